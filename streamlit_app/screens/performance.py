"""Performance: what each strategy made on each instrument, over a period."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import streamlit as st

from botd.store.queries import PERIODS, CurrencyResult, ResultView, ScreenReader, by_owner, start_of

from . import tables, words
from .frame import Frame, Page, Scope
from .tables import Card, Cell, Column


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    period: str
    found: tuple[CurrencyResult, ...]


def choose() -> str:
    """Offer a period: days, weeks and months are those of UTC, `7D` and `30D` the last so many days."""
    chosen = st.segmented_control(
        "Period", PERIODS, default="ALL", key="period", bind="query-params", required=True
    )
    return str(chosen)


def read(reader: ScreenReader, scope: Scope, period: str) -> Performance:
    """Read everything of the page."""
    cursor = reader.cursor(scope.session)
    since_us = start_of(period, cursor.ts_us if cursor else time.time_ns() // 1000)
    return Performance(period=period, found=reader.performance(scope.sessions, since_us=since_us))


def draw(_: Frame, found: Performance) -> None:
    """Draw the page."""
    for one in sorted(found.found, key=lambda one: words.order_of(one.currency)):
        if one.trips:
            tables.show_cards(_cards(one))
    tables.show_heading("By strategy and instrument")
    tables.show_table(
        (
            Column("strategy"),
            Column("instrument"),
            Column("trades", "n"),
            Column("win rate", "n"),
            Column("profit", "n"),
            Column("profit factor", "n x"),
            Column("expectancy", "n x"),
            Column("best / worst", "n x"),
            Column("fees", "n x"),
            Column("max drawdown", "n x"),
            Column("held, mean", "n x"),
        ),
        [_row(one) for one in by_owner(trip for one in found.found for trip in one.trips)],
        key="performance",
        empty="No round trip has closed in this period.",
    )
    st.caption(
        "No profit factor where nothing was lost. Drawdown here is of the sum of the trades, in money."
    )


def _cards(one: CurrencyResult) -> list[Card]:
    currency, made = one.currency, one.performance
    row = f"{made.wins_in_a_row} won and {made.losses_in_a_row} lost in a row at most"
    length = words.span(made.max_drawdown_length_us)
    return [
        Card(
            f"Net profit {currency}",
            words.money(made.pnl_total, currency, signed=True),
            f"{made.trades_count:,} trades, after fees",
            words.tone(made.pnl_total),
        ),
        Card(f"Win rate {currency}", words.percent(made.win_rate, digits=1), row),
        Card(f"Sharpe {currency}", words.number(made.sharpe), "hourly equity, a year"),
        Card(f"Sortino {currency}", words.number(made.sortino), "hourly equity, a year"),
        Card(f"Calmar {currency}", words.number(made.calmar), "a year's return over the drawdown"),
        Card(f"Max drawdown {currency}", words.percent(made.max_drawdown), f"under a peak for {length}"),
    ]


def _row(one: ResultView) -> tuple[tables.Value, ...]:
    currency, stats = words.quote_of(one.instrument), one.stats
    return (
        one.strategy,
        one.instrument,
        f"{stats.trades_count:,}",
        words.percent(stats.win_rate, digits=1),
        Cell(
            f"{words.money(stats.pnl_total, currency, signed=True)} {currency}", words.tone(stats.pnl_total)
        ),
        words.number(stats.profit_factor),
        Cell(words.money(stats.expectancy, currency, signed=True), words.tone(stats.expectancy)),
        " / ".join(words.money(one, currency, signed=True) for one in (stats.trade_best, stats.trade_worst)),
        words.money(stats.fees, currency),
        words.money(stats.fall_max, currency),
        words.span(stats.holding_avg_us),
    )


PAGE: Final = Page(
    title="Performance",
    url="performance",
    icon=":material/leaderboard:",
    read=read,
    draw=draw,
    choose=choose,
    every_s=10.0,
)
