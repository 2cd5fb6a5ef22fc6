"""Read models over the state file. They cannot write: the file is opened read-only."""

from __future__ import annotations

from botd.core.instrument import quote_of
from botd.core.periods import PERIODS, start_of
from botd.core.trade_stats import TradeStats
from botd.store.queries.bars import BarView
from botd.store.queries.reader import OrderView, PositionView, ProfitView, SignalView, StateReader
from botd.store.queries.results import (
    FOR_EVER,
    CurrencyResult,
    EquityPoint,
    GroupView,
    ResultView,
    Trip,
    by_group,
    by_owner,
    nets_by_currency,
)
from botd.store.queries.screens import ScreenReader, SignalStory, TradingView

__all__ = [
    "FOR_EVER",
    "PERIODS",
    "BarView",
    "CurrencyResult",
    "EquityPoint",
    "GroupView",
    "OrderView",
    "PositionView",
    "ProfitView",
    "ResultView",
    "ScreenReader",
    "SignalStory",
    "SignalView",
    "StateReader",
    "TradeStats",
    "TradingView",
    "Trip",
    "by_group",
    "by_owner",
    "nets_by_currency",
    "quote_of",
    "start_of",
]
