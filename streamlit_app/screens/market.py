"""Chart: the candles of an instrument, and each signal at its time and price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import streamlit as st

from botd.store.queries import BarView, ScreenReader, SignalStory

from . import tables, words
from .charts import MARKS, outcome, show_market
from .frame import Frame, Page, Scope, peek
from .tables import Cell, Column

MINUTE_US: Final = 60_000_000
TIMEFRAMES: Final[Mapping[str, int]] = {
    "1m": MINUTE_US,
    "5m": 5 * MINUTE_US,
    "15m": 15 * MINUTE_US,
    "1h": 60 * MINUTE_US,
    "4h": 240 * MINUTE_US,
    "1d": 1440 * MINUTE_US,
}
BARS: Final = 180
MARKS_MAX: Final = 500
_LISTED: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    instrument: str | None
    timeframe: str
    back: int  # windows before the newest one


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    choice: Choice
    bars: tuple[BarView, ...]
    marks: tuple[SignalStory, ...]  # newest first


def choose() -> Choice:
    """Offer instrument, timeframe and how far back."""
    names = list(peek(lambda reader: reader.instruments()) or ())
    with st.container(horizontal=True, vertical_alignment="top"):
        instrument = (
            st.selectbox("Instrument", names, key="instrument", bind="query-params") if names else None
        )
        timeframe = st.segmented_control(
            "Timeframe", list(TIMEFRAMES), default="1m", key="timeframe", bind="query-params", required=True
        )
        back = st.number_input(
            "Windows back",
            min_value=0,
            max_value=10_000,
            value=0,
            step=1,
            key="back",
            bind="query-params",
            width=140,
        )
    return Choice(instrument=instrument, timeframe=str(timeframe), back=int(back))


def read(reader: ScreenReader, scope: Scope, choice: Choice) -> Market:
    """Read one window of bars and the signals in it."""
    if choice.instrument is None:
        return Market(choice=choice, bars=(), marks=())
    length_us = TIMEFRAMES[choice.timeframe]
    last = reader.last_bars([choice.instrument])
    if choice.instrument not in last:
        return Market(choice=choice, bars=(), marks=())
    newest_us = last[choice.instrument].open_us // length_us * length_us
    until_us = newest_us + length_us - choice.back * BARS * length_us
    since_us = until_us - BARS * length_us
    return Market(
        choice=choice,
        bars=reader.bars(choice.instrument, length_us, since_us=since_us, until_us=until_us),
        marks=reader.marks(
            scope.sessions, choice.instrument, since_us=since_us, until_us=until_us, limit=MARKS_MAX
        ),
    )


def draw(_: Frame, found: Market) -> None:
    """Draw the page."""
    choice = found.choice
    if choice.instrument is None:
        tables.show_banner("blue", "No bars yet: the daemon writes them as the market goes.", name="empty")
        return
    if not found.bars:
        tables.show_banner("blue", f"No bars of {choice.instrument} in this window.", name="empty")
        return
    last = found.bars[-1]
    if len(found.marks) == MARKS_MAX:
        tables.show_banner(
            "amber", f"Only the newest {MARKS_MAX} signals of this window are drawn.", name="cut"
        )
    show_market(found.bars, found.marks, instrument=choice.instrument, length_us=TIMEFRAMES[choice.timeframe])
    span = f"{words.when(found.bars[0].open_us)} to {words.when(last.open_us)} UTC"
    st.html(
        f'<div class="botd-strip"><span>{span}</span><span>last <b>{words.price(last.close)}</b></span>'
        f"<span>{len(found.marks)} signals</span></div>"
    )
    tables.show_heading("Signals in this window, newest first")
    show_marks(found.marks[:_LISTED])


def show_marks(marks: tuple[SignalStory, ...]) -> None:
    """List signals as the chart has them."""
    tables.show_table(
        (
            Column("time (UTC)"),
            Column("strategy", "x"),
            Column("section"),
            Column("price", "n"),
            Column("values", "w x"),
            Column("outcome", "w"),
        ),
        [
            (
                words.short_when(one.signal.ts_us),
                one.signal.strategy,
                Cell(
                    f"{one.signal.section} {one.signal.rule}".strip(),
                    dot=MARKS.get(one.signal.section, ("",))[0],
                ),
                words.price(one.signal.price),
                ", ".join(f"{name} {value:.5g}" for name, value in one.signal.values),
                outcome(one),
            )
            for one in marks
        ],
        key="marks",
        empty="No signals in this window.",
    )


PAGE: Final = Page(
    title="Chart", url="chart", icon=":material/candlestick_chart:", read=read, draw=draw, choose=choose
)
