"""Trades: round trips with what they made, and all of them as a CSV file."""

from __future__ import annotations

import csv
import io
from typing import Any, Final

import streamlit as st

from botd.store.queries import ScreenReader, quote_of

from . import tables, words
from .frame import Frame, Page, Scope
from .place import state_path
from .tables import Cell, Column

LIMIT: Final = 100
CSV_MAX: Final = 200_000
CSV_COLUMNS: Final = (
    *("strategy", "instrument", "cycle", "side", "qty", "entry_price", "exit_price"),
    *("realized_pnl", "fees", "exit_section", "exit_rule", "confidence", "opened_us", "closed_us"),
    "revision",
)


def choose() -> None:
    """Offer the file; it is made when somebody asks for it."""
    chosen = (st.session_state.get("session"), st.session_state.get("history", True))
    st.download_button(
        "Download as CSV",
        lambda: make_csv(*chosen),
        file_name="trades.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key="csv",
    )


def make_csv(session: str | None, with_before: bool) -> str:
    """Return every round trip, newest first, amounts as they are in the books."""
    with ScreenReader(state_path()) as reader:
        name = reader.session(session).id
        sessions = reader.line(name) if with_before else (name,)
        found = reader.newest_trades(sessions, CSV_MAX)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*CSV_COLUMNS, "net_pnl", "opened", "closed"))
    for one in found:
        times = (words.moment(ts_us).isoformat() for ts_us in (one.opened_us, one.closed_us))
        amounts = (f"{value:f}" if hasattr(value, "as_tuple") else value for value in _values(one))
        writer.writerow((*amounts, f"{one.realized_pnl - one.fees:f}", *times))
    return text.getvalue()


def _values(one: Any) -> tuple[Any, ...]:
    return tuple(getattr(one, name) for name in CSV_COLUMNS)


def read(reader: ScreenReader, scope: Scope, _: None) -> tuple[Any, ...]:
    """Read the newest round trips."""
    return reader.newest_trades(scope.sessions, LIMIT)


def draw(_: Frame, found: tuple[Any, ...]) -> None:
    """Draw the page."""
    st.caption(f"The newest {LIMIT} at most; profit is after fees.")
    tables.show_table(
        (
            Column("closed (UTC)"),
            Column("strategy", "x"),
            Column("instrument"),
            Column("position", "n x"),
            Column("entry", "n x"),
            Column("exit", "n x"),
            Column("fees", "n x"),
            Column("profit", "n"),
            Column("%", "n"),
            Column("held", "n x"),
            Column("left by", "x"),
            Column("revision", "x"),
        ),
        [_row(one) for one in found],
        key="trades",
        empty="No round trip has closed yet.",
    )


def _row(one: Any) -> tuple[tables.Value, ...]:
    currency = quote_of(one.instrument)
    net = one.realized_pnl - one.fees
    cost = one.entry_price * one.qty
    share = net / cost if cost else None
    return (
        words.short_when(one.closed_us),
        one.strategy,
        one.instrument,
        f"{one.side} {words.plain(one.qty)}",
        Cell(words.short(one.entry_price), title=words.plain(one.entry_price)),
        Cell(words.short(one.exit_price), title=words.plain(one.exit_price)),
        words.money(one.fees, currency),
        Cell(f"{words.money(net, currency, signed=True)} {currency}", words.tone(net)),
        Cell(words.percent(share, signed=True), words.tone(share)),
        words.span(one.closed_us - one.opened_us),
        f"{one.exit_section} {one.exit_rule}".strip(),
        tables.revision_cell(one.revision),
    )


PAGE: Final = Page(
    title="Trades", url="trades", icon=":material/swap_horiz:", read=read, draw=draw, choose=choose
)
