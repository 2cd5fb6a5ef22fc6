"""What an unconfirmed print can move: rules that read the market, and crossings that happen in one row."""

from __future__ import annotations

from typing import Final

from botd.language import opcodes as op
from botd.language.graph import Node

_APART: Final = frozenset(
    {op.CONST, op.CONSTU, op.MARK_PRICE, op.FUNDING_RATE, op.TIME_OF_DAY, op.DAY_OF_WEEK}
)


def reads_prints(node: Node) -> bool:
    """Say whether one print can move a value: the clock, marks, funding and numbers it cannot."""
    return any(map(reads_prints, node.args)) if node.args else node.op not in _APART


def has_crossing(node: Node) -> bool:
    """Say whether a value can be true in the row of a crossing only."""
    return node.op == op.CROSS or any(map(has_crossing, node.args))
