"""What can become of an intent and of an order, in one word each."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class OrderStatus(StrEnum):
    INTENT = "intent"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    NEVER_ARRIVED = "never_arrived"
    DENIED = "denied"


RATE_LIMITED: Final = "rate limited"  # how the reason of such a rejection begins: nothing was looked at


class DenyReason(StrEnum):
    """Why risk refused an intent, or sizing came to nothing."""

    SIZE_ZERO = "size_zero"
    SIZE_TOO_LARGE = "size_too_large"
    BELOW_MIN_NOTIONAL = "below_min_notional"
    PRICE_UNKNOWN = "price_unknown"
    POSITION_UNEXPLAINED = "position_unexplained"
    TRADING_HALTED = "trading_halted"
    TRADING_REDUCING = "trading_reducing"
    POSITIONS_MAX = "positions_max"
    POSITION_MAX = "position_max"
    SYMBOL_EXPOSURE_MAX = "symbol_exposure_max"
    TOTAL_EXPOSURE_MAX = "total_exposure_max"
    LEVERAGE_MAX = "leverage_max"
    CONCENTRATION_MAX = "concentration_max"
    MARGIN_USE_MAX = "margin_use_max"
    DAILY_LOSS_MAX = "daily_loss_max"
    DRAWDOWN_MAX = "drawdown_max"
    EQUITY_MIN = "equity_min"
    BALANCE = "balance"
    LOSING_STREAK_MAX = "losing_streak_max"
    ORDERS_PER_MINUTE = "orders_per_minute"
    RATE_CAP = "rate_cap"
    OPPOSITE_SIDE = "opposite_side"
    REJECTS_IN_A_ROW = "rejects_in_a_row"  # in older state files: it is a halt now
    SHORT_ON_SPOT = "short_on_spot"
