"""What a session came to, currency by currency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from botd.api import models as m
from botd.api.views import currency_of
from botd.core.performance import EquitySample, summarize
from botd.core.records import TradeRecord
from botd.store.pages import PageReader

DAY_US: Final = 86_400_000_000
_BACK_DAYS: Final = {"WEEK": 7, "MONTH": 30}


def period_start(period: str, now_us: int) -> int:
    """Return where a period begins that ends now; 0 is everything."""
    if period == "TODAY":
        return now_us - now_us % DAY_US
    return now_us - _BACK_DAYS[period] * DAY_US if period in _BACK_DAYS else 0


def performance_of(books: PageReader, session_id: str, period: str = "ALL") -> list[m.CurrencyPerformance]:
    """Judge the round trips that closed in a period, and the equity meanwhile."""
    cursor = books.cursor(session_id)
    end_us = cursor.ts_us if cursor else 0
    from_us = period_start(period, end_us)
    # a row has what the record has, by the same names
    rows = cast(
        "Sequence[TradeRecord]", books.trades_page(session_id, limit=None, closed_from_us=from_us)[::-1]
    )
    equity = books.equity_of(session_id)
    samples = [one for one in books.equity_curve(session_id) if one.ts_us >= from_us]
    found = []
    for currency in sorted(equity.keys() | {currency_of(row.instrument) for row in rows}):
        curve = [EquitySample(one.ts_us, one.equity) for one in samples if one.currency == currency]
        trades = [row for row in rows if currency_of(row.instrument) == currency]
        begins = [one.ts_us for one in curve[:1]] + [one.opened_us for one in trades]
        start_us = min(begins, default=end_us)
        made = summarize(trades, samples=curve, start_us=start_us, end_us=end_us)
        found.append(
            m.CurrencyPerformance(
                currency=currency,
                trades_count=made.trades_count,
                wins_count=made.wins_count,
                losses_count=made.losses_count,
                win_rate=made.win_rate,
                profit_factor=made.profit_factor,
                expectancy=made.expectancy,
                pnl_total=made.pnl_total,
                pnl_gross=made.pnl_gross,
                fees=made.fees,
                trade_best=made.trade_best,
                trade_worst=made.trade_worst,
                holding_avg_us=made.holding_avg_us,
                exposure_time=made.exposure_time,
                max_drawdown=made.max_drawdown,
                sharpe=made.sharpe,
                sortino=made.sortino,
                equity=equity.get(currency),
            )
        )
    return found
