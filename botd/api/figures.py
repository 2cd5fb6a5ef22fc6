"""What the API gives of closed trades and of the equity meanwhile."""

from __future__ import annotations

from botd.api.shapes import Answer, Money


class TradeFigures(Answer):
    """Closed round trips, after fees unless named gross. What is undefined is null, never 0."""

    trades_count: int
    wins_count: int
    losses_count: int
    win_rate: float | None
    profit_factor: float | None
    expectancy: Money | None
    pnl_total: Money
    pnl_gross: Money
    fees: Money
    trade_best: Money | None
    trade_worst: Money | None
    win_avg: Money | None
    loss_avg: Money | None
    wins_in_a_row: int
    losses_in_a_row: int
    fall_max: Money
    """The deepest fall of the sum of the trades from its peak, in money."""
    holding_min_us: int | None
    holding_median_us: int | None
    holding_avg_us: int | None
    holding_max_us: int | None


class CurrencyPerformance(TradeFigures):
    currency: str
    exposure_time: float | None
    max_drawdown: float | None
    max_drawdown_length_us: int | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    equity: Money | None
    """Of the last snapshot."""


class GroupPerformance(TradeFigures):
    currency: str
    group: str
