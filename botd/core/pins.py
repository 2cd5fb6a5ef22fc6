"""Pinned revisions: a position keeps the exits it was opened with until it is flat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from botd.core.instrument import InstrumentId
from botd.core.values import value
from botd.language.typed import Expr, Strategy

Owner = tuple[str, InstrumentId]  # a strategy on an instrument


@value(frozen=True, slots=True, kw_only=True)
class Pin:
    """A strategy on an instrument that goes on by an older text of its file, and enters no more."""

    strategy: str
    instrument: InstrumentId
    text: str
    revision: str | None = None  # the last plan that had the text
    gone: bool = False  # there is no file any more that trades the instrument by it

    def row(self) -> list[Any]:
        """Return everything as plain values."""
        return [self.strategy, self.instrument, self.text, self.gone, self.revision]


def pin_of(row: Sequence[Any]) -> Pin:
    """Return the pin that `row` described."""
    strategy, instrument, text, gone, *rest = row
    revision = rest[0] if rest else None  # a snapshot of an older botd has none
    return Pin(
        strategy=strategy, instrument=InstrumentId(instrument), text=text, revision=revision, gone=gone
    )


def exit_only(strategy: Strategy) -> Strategy:
    """Return a strategy whose S1 never comes true."""
    when = strategy.signal.when
    never = Expr(op="never", unit=when.unit, span=when.span)
    return replace(strategy, signal=replace(strategy.signal, when=never, confidence=None))
