"""Checks of a whole strategy: what each part allows and all together do not."""

from __future__ import annotations

from typing import Final

from botd.errors import Diagnostic
from botd.language.catalogue import BY_OP
from botd.language.document import MapNode, Node
from botd.language.quantities import format_duration
from botd.language.source import Faults, Source
from botd.language.typed import Expr, PositionSide, SizeKind, Span, Strategy
from botd.language.warmup import expressions
from botd.language.words import Reads

_NOT_ON_BARS: Final = frozenset({Reads.TRADES, Reads.BOOK, Reads.MARK, Reads.FUNDING})
_BAR_WORDS: Final = {
    "price": "close(1m)",
    "mid": "close(1m)",
    "best_bid": "close(1m)",
    "best_ask": "close(1m)",
    "twpa": "sma(close(1m), 5)",
    "vwap": "sma(close(1m), 5)",
    "volume": "bar_volume(1m)",
    "high": "highest(bar_high(1m), 5)",
    "low": "lowest(bar_low(1m), 5)",
    "range": "highest(bar_high(1m), 5) - lowest(bar_low(1m), 5)",
    "stddev": "stddev(close(1m), 20)",
    "change": "close(1m) / close(1m)[5 bars ago] - 1",
}


def check_strategy(strategy: Strategy, root: MapNode, faults: Faults) -> None:
    """Report what is wrong with the strategy as a whole. `root` says where its keys stand."""
    protect, size = strategy.protect, strategy.entry.size
    section = "Z1" if strategy.entry.written else "S1"
    _check_exits(strategy, _place(root, "protect"), faults)
    if strategy.side is PositionSide.SHORT and protect.take_profit is not None and protect.take_profit >= 1:
        faults.error(
            _place(root, "protect", "take_profit"),
            "a short position cannot gain 100%; write a smaller take_profit",
        )
    if size.kind is SizeKind.RISK and protect.stop_loss is None:
        faults.error(
            _place(root, section, "size", "risk"),
            "'risk' sizes by the loss at the stop; add stop_loss: 2% to protect",
        )
    if size.kind is SizeKind.KELLY and strategy.signal.confidence is None:
        faults.warning(
            _place(root, section, "size", "kelly"),
            "without a confidence in S1 kelly always bets its full fraction; add confidence",
        )


def _check_exits(strategy: Strategy, where: Span, faults: Faults) -> None:
    protect = strategy.protect
    bounded = protect.stop_loss is not None or protect.trailing_stop is not None
    ends = bounded or protect.take_profit is not None or protect.holding_max_us is not None
    if not ends and all(rule.close < 1 for rule in (*strategy.exits, *strategy.emergencies)):
        faults.error(
            where, "nothing ever closes the whole position; add stop_loss: 2%, or an exit with close: 100%"
        )
    elif not bounded:
        faults.warning(where, "no stop_loss and no trailing_stop: nothing bounds a loss; add stop_loss: 2%")


def _place(root: MapNode, *path: str) -> Span:
    """Return where the key at the end of a path stands; it is known to be written."""
    node: Node = root
    span = root.span
    for step in path:
        entries = node.entries if isinstance(node, MapNode) else ()
        entry = next(e for e in entries if e.key == step)
        node, span = entry.value, entry.key_span
    return span


def clauses_unfit_for_bars(strategy: Strategy, bar_length_us: int) -> list[Diagnostic]:
    """Return an error for every clause that data of bars of this length cannot answer."""
    return [*_needing_trades(strategy), *_off_bars(strategy, bar_length_us)]


def _needing_trades(strategy: Strategy) -> list[Diagnostic]:
    """Return an error for every clause that reads trades or the book, for data that has bars only."""
    faults = Faults(Source(strategy.file, strategy.text))
    seen: set[Expr] = set()
    for clause, expr in expressions(strategy):
        for node in _reading_rows(expr):
            if node in seen:  # a named value is reported where it is named
                continue
            seen.add(node)
            advice = f"; write {_BAR_WORDS[node.op]}" if node.op in _BAR_WORDS else "; remove it"
            reads = BY_OP[node.op].reads
            faults.error(
                node.span,
                f"{clause} uses '{node.op}', which needs {reads}, and these data are bars only{advice}",
            )
    return faults.diagnostics()


def _off_bars(strategy: Strategy, bar_length_us: int) -> list[Diagnostic]:
    """Return an error for every clause whose bars cannot be made of the data's bars of this length."""
    faults = Faults(Source(strategy.file, strategy.text))
    seen: set[Expr] = set()
    length = format_duration(bar_length_us)
    for clause, expr in expressions(strategy):
        for node in _reading_bars(expr):
            own = int(node.params[0])
            if own % bar_length_us == 0 or node in seen:
                continue
            seen.add(node)
            nearest = format_duration(-(-own // bar_length_us) * bar_length_us)
            faults.error(
                node.span,
                f"{clause} uses bars of {format_duration(own)}, and these data are bars of {length}; "
                f"write {nearest}, or another multiple of {length}",
            )
    return faults.diagnostics()


def _reading_bars(expr: Expr) -> list[Expr]:
    entry = BY_OP.get(expr.op)
    if entry is not None and entry.reads is Reads.BARS and not expr.args:
        return [expr]
    return [node for arg in expr.args for node in _reading_bars(arg)]


def _reading_rows(expr: Expr) -> list[Expr]:
    entry = BY_OP.get(expr.op)
    if entry is not None and entry.reads in _NOT_ON_BARS:
        return [expr]
    return [node for arg in expr.args for node in _reading_rows(arg)]
