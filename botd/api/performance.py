"""What a session came to, currency by currency."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from botd.api.figures import CurrencyPerformance, GroupPerformance
from botd.core.periods import start_of
from botd.core.trade_stats import TradeStats
from botd.store.pages import PageReader
from botd.store.queries import FOR_EVER, by_group


def performance_of(
    books: PageReader,
    session_id: str,
    *,
    period: str = "ALL",
    from_us: int | None = None,
    until_us: int | None = None,
    by: str | None = None,
) -> tuple[list[CurrencyPerformance], list[GroupPerformance]]:
    """Judge the round trips that closed in a span, and the equity meanwhile; and in groups, where asked."""
    cursor = books.cursor(session_id)
    since_us = start_of(period, cursor.ts_us if cursor else 0) if from_us is None else from_us
    found = books.performance(
        (session_id,), since_us=since_us, until_us=FOR_EVER if until_us is None else until_us
    )
    equity = books.equity_of(session_id)
    whole = [
        CurrencyPerformance(
            currency=one.currency,
            **_figures(one.performance),
            exposure_time=one.performance.exposure_time,
            max_drawdown=one.performance.max_drawdown,
            max_drawdown_length_us=one.performance.max_drawdown_length_us,
            sharpe=one.performance.sharpe,
            sortino=one.performance.sortino,
            calmar=one.performance.calmar,
            equity=equity.get(one.currency),
        )
        for one in found
    ]
    groups = [
        GroupPerformance(currency=one.currency, group=one.group, **_figures(one.stats))
        for one in (() if by is None else by_group(found, by))
    ]
    return whole, groups


def _figures(stats: TradeStats) -> dict[str, Any]:
    return {field.name: getattr(stats, field.name) for field in fields(TradeStats)}
