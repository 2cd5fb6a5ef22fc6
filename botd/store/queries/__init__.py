"""Read models over the state file. They cannot write: the file is opened read-only."""

from __future__ import annotations

from botd.core.periods import PERIODS, start_of
from botd.store.queries.bars import BarView
from botd.store.queries.reader import OrderView, PositionView, ProfitView, SignalView, StateReader
from botd.store.queries.results import (
    FOR_EVER,
    CurrencyResult,
    EquityPoint,
    ResultView,
    Trip,
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
    "OrderView",
    "PositionView",
    "ProfitView",
    "ResultView",
    "ScreenReader",
    "SignalStory",
    "SignalView",
    "StateReader",
    "TradingView",
    "Trip",
    "by_owner",
    "nets_by_currency",
    "start_of",
]
