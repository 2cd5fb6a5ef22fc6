"""Read models over the state file. They cannot write: the file is opened read-only."""

from __future__ import annotations

from botd.store.queries.bars import BarView
from botd.store.queries.reader import OrderView, PositionView, ProfitView, SignalView, StateReader
from botd.store.queries.results import AccountResult, EquityPoint, ResultView, nets_by_currency
from botd.store.queries.screens import ScreenReader, SignalStory, TradingView

__all__ = [
    "AccountResult",
    "BarView",
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
    "nets_by_currency",
]
