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
    with st.container(horizontal=True, vertical_alignment="top"):
        return Choice(
            instrument=pick("Instrument", names, key="of"), section=pick("Section", SECTIONS, key="section")
        )


def read(reader: ScreenReader, scope: Scope, choice: Choice) -> tuple[SignalStory, ...]:
    """Read the newest signals."""
    return reader.stories(scope.sessions, LIMIT, instrument=choice.instrument, section=choice.section)


def draw(_: Frame, found: tuple[SignalStory, ...]) -> None:
    """Draw the page."""
    st.caption(f"The newest {LIMIT} at most. A signal that was acted on went to risk, and then to the venue.")
    tables.show_table(
        (
            Column("time (UTC)"),
            Column("strategy", "x"),
            Column("instrument"),
            Column("section"),
            Column("price", "n x"),
            Column("risk", "t"),
            Column("order", "t"),
            Column("values", "w x"),
            Column("revision", "x"),
        ),
        [_row(one) for one in found],
        key="signals",
        empty="No signals yet.",
    )


def _row(one: SignalStory) -> tuple[tables.Value, ...]:
    signal = one.signal
    filled = ""
    if one.filled_qty and one.avg_price is not None:
        filled = f" {words.plain(one.filled_qty)} @ {words.average(one.avg_price, signal.price)}"
    said = [f"{name} {value:.5g}" for name, value in signal.values]
    if signal.confidence is not None:
        said.insert(0, f"confidence {signal.confidence:.2f}")
    return (
        words.short_when(signal.ts_us),
        signal.strategy,
        signal.instrument,
        Cell(f"{signal.section} {signal.rule}".strip(), dot=MARKS.get(signal.section, ("",))[0]),
        words.price(signal.price),
        _risk(one),
        Cell(f"{one.order_status or words.NONE}{filled}", title=one.client_order_id or ""),
        ", ".join(said) or signal.reason or words.NONE,
        tables.revision_cell(signal.revision),
    )


def _risk(one: SignalStory) -> tables.Value:
    if not one.signal.acted:
        return Cell("not acted on: recorded only", "soft")
    if one.approved is None:
        return words.NONE
    said = _limits(one)
    if one.approved:
        return Cell("approved", title=said)
    compared = ""
    if one.limit is not None and one.actual is not None:
        compared = f" (limit {words.short(one.limit)}, actual {words.short(one.actual)})"
    return Cell(f"denied: {one.deny_reason}{compared}", "warn", title=said)


def _limits(one: SignalStory) -> str:
    """Say what every limit compared, a line each."""
    return "\n".join(
        f"{check.reason}: {words.short(check.actual)}, limit {words.short(check.limit)}"
        f"{'' if check.passed else ': broken'}"
        for check in one.checks
    )


PAGE: Final = Page(
    title="Signals", url="signals", icon=":material/bolt:", read=read, draw=draw, choose=choose
)
