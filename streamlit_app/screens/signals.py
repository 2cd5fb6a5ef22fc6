"""Signals, each with what came of it: acted on or not, what risk said, the order and its fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import streamlit as st

from botd.store.queries import ScreenReader, SignalStory

from . import tables, words
from .charts import MARKS
from .frame import Frame, Page, Scope, peek, pick
from .tables import Cell, Column

LIMIT: Final = 100
SECTIONS: Final = ("all", "S1", "O1", "Z1", "ZE1", "E1", "protect")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    instrument: str | None
    section: str | None


def choose() -> Choice:
    """Offer an instrument and a section."""
    names = ["all", *(peek(lambda reader: reader.instruments()) or ())]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        return Choice(
            instrument=pick("Instrument", names, key="of"), section=pick("Section", SECTIONS, key="section")
        )


def read(reader: ScreenReader, scope: Scope, choice: Choice) -> tuple[SignalStory, ...]:
    """Read the newest signals."""
    return reader.stories(scope.sessions, LIMIT, instrument=choice.instrument, section=choice.section)


def draw(_: Frame, found: tuple[SignalStory, ...]) -> None:
    """Draw the page."""
    st.caption(f"The newest {LIMIT} at most. Limit and actual are what risk compared.")
    tables.show_table(
        (
            Column("time (UTC)"),
            Column("strategy", "x"),
            Column("instrument"),
            Column("section"),
            Column("price", "n x"),
            Column("confidence", "n x"),
            Column("acted", "x"),
            Column("risk"),
            Column("limit", "n x"),
            Column("actual", "n x"),
            Column("order"),
            Column("filled", "n x"),
            Column("values", "w x"),
        ),
        [_row(one) for one in found],
        key="signals",
        empty="No signals yet.",
    )


def _row(one: SignalStory) -> tuple[tables.Value, ...]:
    signal = one.signal
    filled = words.NONE
    if one.filled_qty and one.avg_price is not None:
        filled = f"{words.plain(one.filled_qty)} @ {words.average(one.avg_price, signal.price)}"
    return (
        words.short_when(signal.ts_us),
        signal.strategy,
        signal.instrument,
        Cell(f"{signal.section} {signal.rule}".strip(), dot=MARKS.get(signal.section, ("",))[0]),
        words.price(signal.price),
        words.number(signal.confidence),
        "yes" if signal.acted else Cell("recorded only", "soft"),
        _risk(one),
        words.plain(one.limit),
        words.plain(one.actual),
        Cell(str(one.order_status or words.NONE), title=one.client_order_id or ""),
        filled,
        ", ".join(f"{name} {value:.5g}" for name, value in signal.values) or signal.reason or words.NONE,
    )


def _risk(one: SignalStory) -> tables.Value:
    if one.approved is None:
        return words.NONE
    return "approved" if one.approved else Cell(f"denied: {one.deny_reason}", "warn")


PAGE: Final = Page(
    title="Signals", url="signals", icon=":material/bolt:", read=read, draw=draw, choose=choose
)
