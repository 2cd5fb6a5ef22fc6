"""A small valid strategy and the edits that tests make to it."""

from __future__ import annotations

from botd.errors import Diagnostic
from botd.language.parser import parse_expression
from botd.language.source import Faults, Source
from botd.language.strategy import read_strategy
from botd.language.typed import Expr, Strategy, Unit

STRATEGY = """\
strategy: small
instruments: [BTC/USDT:USDT]
side: long
let:
  fast: twpa(10s)
  slow: twpa(5m)
S1:
  when: fast > slow
Z1:
  when: always
  size: { fixed: 500 USDT }
protect: { stop_loss: 2% }
on_stop: cancel
"""


def edited(*edits: tuple[str, str]) -> str:
    """Return the strategy with pieces of its text replaced; each must be there."""
    text = STRATEGY
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def read(*edits: tuple[str, str]) -> Strategy:
    """Return the strategy, which must have no fault at all."""
    strategy, diagnostics = read_strategy(edited(*edits), "small.yaml")
    assert diagnostics == []
    assert strategy is not None
    return strategy


def diagnostics_of(*edits: tuple[str, str]) -> list[Diagnostic]:
    return read_strategy(edited(*edits), "small.yaml")[1]


def parse(text: str, names: dict[str, Expr] | None = None, want: Unit | None = None) -> Expr:
    """Return the expression of a text, which must have no fault at all."""
    faults = Faults(Source("x", text))
    expr = parse_expression(faults, 0, len(text), names or {}, position_words=True, want=want)
    assert [d.render() for d in faults.diagnostics()] == []
    assert expr is not None
    return expr


def brief(expr: Expr) -> str:
    """Write an expression as op(args; params), constants as their numbers."""
    if expr.op == "const":
        return f"{expr.params[0]:g}"
    inside = ", ".join(brief(arg) for arg in expr.args)
    params = ", ".join(f"{p:g}" if isinstance(p, float) else str(p) for p in expr.params)
    joined = "; ".join(part for part in (inside, params) if part)
    return f"{expr.op}({joined})" if joined else expr.op
