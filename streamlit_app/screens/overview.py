"""Overview: equity, today, what is held, whether it trades, the last reload and the newest alerts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import streamlit as st

from botd.store.queries import BarView, EquityPoint, PositionView, ScreenReader, nets_by_currency

from . import tables, words
from .charts import show_equity
from .frame import Frame, Page, Scope
from .held import show_positions
from .tables import Card, Cell, Column

DAY_US: Final = 86_400_000_000
SPANS: Final[Mapping[str, int]] = {"1 day": DAY_US, "7 days": 7 * DAY_US, "30 days": 30 * DAY_US, "all": 0}
_POINTS: Final = 400
_ALERTS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    books: tuple[Any, ...]  # the newest snapshot by currency
    today: Mapping[str, tuple[Decimal, int]]
    day_us: int
    curves: Mapping[str, tuple[EquityPoint, ...]]
    positions: tuple[PositionView, ...]
    bars: Mapping[str, BarView]
    alerts: tuple[Any, ...]
    reload: Any | None


def choose() -> str:
    """Offer how far back the curve goes."""
    chosen = st.segmented_control(
        "Equity over", list(SPANS), default="1 day", key="span", bind="query-params", required=True
    )
    return str(chosen)


def read(reader: ScreenReader, scope: Scope, span: str) -> Overview:
    """Read everything of the page."""
    cursor = reader.cursor(scope.session)
    now_us = cursor.ts_us if cursor else time.time_ns() // 1000
    day_us = now_us // DAY_US * DAY_US
    books = tuple(sorted(reader.books(scope.sessions), key=lambda one: words.order_of(one.currency)))
    since_us = now_us - SPANS[span] if SPANS.get(span) else 0
    start_us = max([since_us, *(reader.session(one).started_us for one in scope.sessions[-1:])])
    step_us = max((now_us - (since_us or start_us)) // _POINTS, 1_000_000)
    curves = {
        one.currency: reader.curve(scope.sessions, one.currency, since_us=since_us, step_us=step_us)
        for one in books
    }
    positions = reader.held(scope.session)
    reloads = reader.reloads(limit=1)
    return Overview(
        books=books,
        today=nets_by_currency(reader.results(scope.sessions, day_us)),
        day_us=day_us,
        curves=curves,
        positions=positions,
        bars=reader.last_bars([one.instrument for one in positions]),
        alerts=reader.newest_alerts(scope.sessions, _ALERTS),
        reload=reloads[0] if reloads else None,
    )


def draw(frame: Frame, found: Overview) -> None:
    """Draw the page."""
    show_reload(found.reload)
    cards = []
    for one in found.books:
        cards.append(
            Card(
                f"Equity {one.currency}",
                words.money(one.equity, one.currency),
                f"drawdown {words.percent(one.drawdown)}, at {words.when(one.ts_us)[11:16]}",
            )
        )
        net, count = found.today.get(one.currency, (Decimal(0), 0))
        cards.append(
            Card(
                f"Today {one.currency}",
                words.money(net, one.currency, signed=True),
                f"{count:,} trade{'' if count == 1 else 's'}, after fees",
                words.tone(net),
            )
        )
    cards.append(
        Card(
            "Open positions",
            str(len(found.positions)),
            ", ".join(sorted({p.strategy for p in found.positions})),
        )
    )
    tables.show_cards(cards)
    curves = {currency: points for currency, points in found.curves.items() if len(points) > 1}
    if curves:
        moved = [c for c, points in curves.items() if len({one.equity for one in points}) > 1] or list(curves)
        for currency, column in zip(moved, st.columns(len(moved)), strict=True):
            with column:
                tables.show_heading(f"Equity and drawdown, {currency}")
                show_equity(curves[currency], currency)
    else:
        tables.show_banner(
            "blue", "The equity curve begins with the first two snapshots of the account.", name="empty"
        )
    tables.show_heading("Open positions")
    show_positions(found.positions, found.bars, frame.as_of_us)
    tables.show_heading("Newest alerts")
    show_alerts(found.alerts)


def show_reload(outcome: Any | None) -> None:
    """Say how the last reload went."""
    if outcome is None:
        return
    at = f"{words.when(outcome.ts_us)} UTC"
    if outcome.ok:
        count = len(outcome.changes)
        text = f"Last reload at {at} by {outcome.who}: ok, {count} change{'' if count == 1 else 's'}"
        tables.show_banner("green", f"{text}, running {outcome.running_hash[:8]}.", name="reload")
        return
    first = (
        f" {outcome.errors[0].file}:{outcome.errors[0].line}: {outcome.errors[0].message}."
        if outcome.errors
        else ""
    )
    count = len(outcome.errors)
    tables.show_banner(
        "red",
        f"Last reload at {at} by {outcome.who}: refused, {count} error{'' if count == 1 else 's'}.{first} "
        f"The former plan ({outcome.running_hash[:8]}) trades on.",
        name="reload",
    )


SEVERITY_LOOK: Final[Mapping[str, str]] = {"critical": "bad", "high": "warn"}


def show_alerts(alerts: tuple[Any, ...]) -> None:
    """Draw alerts, newest first."""
    tables.show_table(
        (
            Column("time (UTC)"),
            Column("severity"),
            Column("type", "x"),
            Column("of", "x"),
            Column("message", "w"),
        ),
        [
            (
                words.short_when(one.ts_us),
                Cell(one.severity, SEVERITY_LOOK.get(one.severity, "")),
                one.type,
                " ".join(word for word in (one.strategy, one.instrument) if word) or words.NONE,
                one.message,
            )
            for one in alerts
        ],
        key="alerts",
        empty="No alerts.",
    )


PAGE: Final = Page(
    title="Overview", url="overview", icon=":material/monitoring:", read=read, draw=draw, choose=choose
)
