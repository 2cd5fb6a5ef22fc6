"""Spans of time that people name: days begin at 00:00 UTC, weeks on Monday, months on the 1st."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
PERIODS: Final = ("ALL", "TODAY", "WEEK", "MONTH", "7D", "30D")
_MONDAY: Final = 3  # day 0 was a Thursday
_ROLLING: Final = {"7D": 7, "30D": 30}


def start_of(period: str, now_us: int) -> int:
    """Return when a period that ends now began, 0 for all there is. Raises KeyError for another word."""
    day = now_us // DAY_US
    if period == "ALL":
        return 0
    if period == "TODAY":
        return day * DAY_US
    if period == "WEEK":
        return (day - (day + _MONDAY) % 7) * DAY_US
    if period == "MONTH":
        return (day + 1 - datetime.fromtimestamp(day * 86_400, UTC).day) * DAY_US
    return max(0, now_us - _ROLLING[period] * DAY_US)
