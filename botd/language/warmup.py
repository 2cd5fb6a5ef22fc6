"""How much history a strategy needs, derived from its expressions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from botd.language.catalogue import BY_OP
from botd.language.typed import Expr, Strategy
from botd.language.words import Reads, Warmup

# An exponential average started on other history is bit-identical after some 18 times its periods,
# one of Wilder's kind (weight 1/n instead of 2/(n+1)) after twice that.
AVERAGE_BARS: Final = 20
WILDER_BARS: Final = 40


def expressions(strategy: Strategy) -> list[tuple[str, Expr]]:
    """Return every expression of a strategy with the name of its clause, in the file's order."""
    signal, entry = strategy.signal, strategy.entry
    clauses: list[tuple[str, Expr | None]] = [(f"let.{name}", expr) for name, expr in strategy.lets]
    clauses += [("S1.when", signal.when), ("S1.confidence", signal.confidence)]
    if strategy.cancel is not None:
        clauses.append(("O1.when", strategy.cancel.when))
    if entry.written:
        clauses.append(("Z1.when", entry.when))
    clauses.append(("Z1.order.price" if entry.written else "S1.order.price", entry.order.price))
    for section, rules in (("ZE1", strategy.exits), ("E1", strategy.emergencies)):
        clauses += [(f"{section}.{rule.name}", rule.when) for rule in rules]
    return [(clause, expr) for clause, expr in clauses if expr is not None]


def strategy_warmup_us(strategy: Strategy) -> int:
    """Return the history the strategy needs before its first decision."""
    return warmup_us(expr for _, expr in expressions(strategy))


def warmup_us(exprs: Iterable[Expr]) -> int:
    """Return the longest history that any of the expressions needs."""
    known: dict[int, int] = {}
    return max((_needs(expr, known) for expr in exprs), default=0)


def bar_length_us(expr: Expr) -> int:
    """Return the longest bar an expression is made of, 0 when it reads no bars."""
    entry = BY_OP.get(expr.op)
    if entry is not None and entry.reads is Reads.BARS and not expr.args:
        return int(expr.params[0])
    return max(map(bar_length_us, expr.args), default=0)


def _needs(expr: Expr, known: dict[int, int]) -> int:
    found = known.get(id(expr))
    if found is None:
        inner = max((_needs(arg, known) for arg in expr.args), default=0)
        found = inner + _own(expr)
        known[id(expr)] = found
    return found


def _own(expr: Expr) -> int:
    """Return what the node needs beyond its arguments."""
    op = "crosses" if expr.op.startswith("crosses_") else expr.op
    entry = BY_OP.get(op)
    rule = Warmup.NONE if entry is None else entry.warmup
    params = [int(param) for param in expr.params] if rule is not Warmup.NONE else []
    if rule is Warmup.NONE:
        return 0
    if rule is Warmup.BAR:
        return 2 * params[0]
    if rule in (Warmup.WINDOW, Warmup.LOOK_BACK):
        return params[0]
    if rule is Warmup.LONGEST:
        return max(params)
    if rule is Warmup.SAMPLES:
        return sum(params)
    return _bars(rule, expr, params) * bar_length_us(expr)


def _bars(rule: Warmup, expr: Expr, params: list[int]) -> int:
    if rule is Warmup.ONE_BAR:
        return 1
    if rule is Warmup.AVERAGE:
        return AVERAGE_BARS * (sum(params[1:]) if len(params) > 1 else params[0])
    if rule is Warmup.WILDER:  # atr has its bar length before its periods
        return WILDER_BARS * params[-1] + (0 if expr.args else 2)
    return params[0]
