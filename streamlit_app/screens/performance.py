"""Performance: what each strategy made on each instrument, and each exit, hour or revision, over a period."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import streamlit as st

from botd.store.queries import (
    PERIODS,
    CurrencyResult,
    ScreenReader,
    TradeStats,
    by_group,
    by_owner,
    quote_of,
    start_of,
)

from . import tables, words
from .frame import Frame, Page, Scope, pick
from .tables import Card, Cell, Column

GROUPS: Final = ("exit", "side", "hour", "revision")
_FIGURES: Final = (
    Column("trades", "n"),
    Column("win rate", "n"),
    Column("profit", "n"),
    Column("profit factor", "n x"),
    Column("expectancy", "n x"),
    Column("best / worst", "n x"),
    Column("fees", "n x"),
    Column("max drawdown", "n x"),
    Column("held, mean", "n x"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    period: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    by: str
    found: tuple[CurrencyResult, ...]


def choose() -> Choice:
    """Offer a period, and what to put trades together by.

    Days, weeks and months are those of UTC, `7D` and `30D` the last so many days.
    """
    with st.container(horizontal=True, vertical_alignment="top"):
        period = st.segmented_control(
            "Period", PERIODS, default="ALL", key="period", bind="query-params", required=True
        )
        return Choice(period=str(period), by=pick("Also by", GROUPS, key="by") or GROUPS[0])


def read(reader: ScreenReader, scope: Scope, choice: Choice) -> Performance:
    """Read everything of the page."""
    cursor = reader.cursor(scope.session)
    since_us = start_of(choice.period, cursor.ts_us if cursor else time.time_ns() // 1000)
    return Performance(by=choice.by, found=reader.performance(scope.sessions, since_us=since_us))


def draw(_: Frame, found: Performance) -> None:
    """Draw the page."""
    results = sorted(found.found, key=lambda one: words.order_of(one.currency))
    for one in results:
        if one.trips:
            tables.show_cards(_cards(one))
    tables.show_heading("By strategy and instrument")
    tables.show_table(
        (Column("strategy"), Column("instrument"), *_FIGURES),
        [
            (one.strategy, one.instrument, *_figures(one.stats, quote_of(one.instrument)))
            for one in by_owner(trip for result in results for trip in result.trips)
        ],
        key="performance",
        empty="No round trip has closed in this period.",
    )
    tables.show_heading(f"By {found.by}")
    tables.show_table(
        (Column("hour of the close (UTC)" if found.by == "hour" else found.by), *_FIGURES),
        [(one.group, *_figures(one.stats, one.currency)) for one in by_group(results, found.by)],
        key="groups",
        empty="No round trip has closed in this period.",
    )
    st.caption(
        "No profit factor where nothing was lost. Drawdown here is of the sum of the trades, in money."
    )


def _cards(one: CurrencyResult) -> list[Card]:
    currency, made = one.currency, one.performance
    row = f"at most {made.wins_in_a_row} won, {made.losses_in_a_row} lost in a row"
    length = words.span(made.max_drawdown_length_us)
    return [
        Card(
            f"Net profit {currency}",
            words.money(made.pnl_total, currency, signed=True),
            f"{made.trades_count:,} trades, after fees",
            words.tone(made.pnl_total),
        ),
        Card(f"Win rate {currency}", words.percent(made.win_rate, digits=1), row),
        Card(
            f"Sharpe / Sortino {currency}",
            f"{words.number(made.sharpe)} / {words.number(made.sortino)}",
            "hourly equity, a year",
        ),
        Card(f"Calmar {currency}", words.number(made.calmar), "a year's return / drawdown"),
        Card(f"Max drawdown {currency}", words.percent(made.max_drawdown), f"under a peak for {length}"),
    ]


def _figures(stats: TradeStats, currency: str) -> tuple[tables.Value, ...]:
    return (
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
