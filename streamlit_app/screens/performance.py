"""Performance: what each strategy made on each instrument, over a period."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import streamlit as st

from botd.store.queries import AccountResult, ResultView, ScreenReader, nets_by_currency

from . import tables, words
from .frame import Frame, Page, Scope
from .tables import Card, Cell, Column

DAY_US: Final = 86_400_000_000
PERIODS: Final = ("ALL", "TODAY", "WEEK", "MONTH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    period: str
    results: tuple[ResultView, ...]
    accounts: Mapping[str, AccountResult]


def choose() -> str:
    """Offer a period: today is the UTC day, week and month are the last 7 and 30 days."""
    chosen = st.segmented_control(
        "Period", PERIODS, default="ALL", key="period", bind="query-params", required=True
    )
    return str(chosen)


def start_of(period: str, now_us: int) -> int:
    """Return when a period began."""
    starts = {"TODAY": now_us // DAY_US * DAY_US, "WEEK": now_us - 7 * DAY_US, "MONTH": now_us - 30 * DAY_US}
    return starts.get(period, 0)


def read(reader: ScreenReader, scope: Scope, period: str) -> Performance:
    """Read everything of the page."""
    cursor = reader.cursor(scope.session)
    since_us = start_of(period, cursor.ts_us if cursor else time.time_ns() // 1000)
    return Performance(
        period=period,
        results=reader.results(scope.sessions, since_us),
        accounts={
            one.currency: reader.account_result(scope.sessions, one.currency, since_us=since_us)
            for one in reader.books(scope.sessions)
        },
    )


def draw(_: Frame, found: Performance) -> None:
    """Draw the page."""
    sums = nets_by_currency(found.results)
    for currency, (net, count) in sorted(sums.items(), key=lambda one: words.order_of(one[0])):
        account = found.accounts.get(currency)
        cards = [
            Card(
                f"Net profit {currency}",
                words.money(net, currency, signed=True),
                f"{count:,} trades, after fees",
                words.tone(net),
            )
        ]
        if account is not None:
            cards.append(Card(f"Sharpe {currency}", words.number(account.sharpe), "hourly equity, a year"))
            cards.append(Card(f"Sortino {currency}", words.number(account.sortino), "hourly equity, a year"))
            cards.append(
                Card(f"Max drawdown {currency}", words.percent(account.drawdown_max), "from the peak")
            )
        tables.show_cards(cards)
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
        [_row(one) for one in found.results],
        key="performance",
        empty="No round trip has closed in this period.",
    )
    st.caption(
        "No profit factor where nothing was lost. Drawdown here is of the sum of the trades, in money."
    )


def _row(one: ResultView) -> tuple[tables.Value, ...]:
    currency = words.quote_of(one.instrument)
    return (
        one.strategy,
        one.instrument,
        f"{one.trades_count:,}",
        words.percent(one.win_rate, digits=1),
        Cell(f"{words.money(one.net, currency, signed=True)} {currency}", words.tone(one.net)),
        words.number(one.profit_factor),
        Cell(words.money(one.expectancy, currency, signed=True), words.tone(one.expectancy)),
        f"{words.money(one.best, currency, signed=True)} / {words.money(one.worst, currency, signed=True)}",
        words.money(one.fees, currency),
        words.money(one.drawdown_max, currency),
        words.span(one.holding_avg_us),
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
