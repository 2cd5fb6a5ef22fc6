"""Bars of any length out of the minutes that the state file keeps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from botd.core.instrument import InstrumentId

_INSTRUMENTS: Final = """
WITH RECURSIVE found(name) AS (
    SELECT min(instrument) FROM ohlcv_history
    UNION ALL
    SELECT (SELECT min(instrument) FROM ohlcv_history WHERE instrument > name) FROM found
    WHERE name IS NOT NULL)
SELECT name FROM found WHERE name IS NOT NULL
"""
_NEWEST: Final = """
SELECT open_us, open, high, low, close, volume, tick_size, lot_size FROM ohlcv_history
WHERE instrument = ? ORDER BY open_us DESC LIMIT 1
"""
_BARS: Final = """
WITH slots AS (
    SELECT open_us / :length AS slot, tick_size AS tick, lot_size AS lot, min(open_us) AS first,
        max(open_us) AS last, max(high) AS high, min(low) AS low, sum(volume) AS volume
    FROM ohlcv_history
    WHERE instrument = :instrument AND open_us >= :since AND open_us < :until
    GROUP BY 1, 2, 3)
SELECT slot * :length, a.open, slots.high, slots.low, z.close, slots.volume, tick, lot
FROM slots
JOIN ohlcv_history a ON a.instrument = :instrument AND a.open_us = first
JOIN ohlcv_history z ON z.instrument = :instrument AND z.open_us = last
ORDER BY 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BarView:
    """A bar of a market, at its open."""

    open_us: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


def instruments(raw: Any) -> tuple[InstrumentId, ...]:
    """Return the instruments that have bars, by name."""
    return tuple(InstrumentId(name) for (name,) in raw.execute(_INSTRUMENTS))


def newest(raw: Any, names: Iterable[str]) -> dict[str, BarView]:
    """Return the newest minute of each instrument that has one."""
    found = {name: raw.execute(_NEWEST, (name,)).fetchone() for name in names}
    return {name: _view(row) for name, row in found.items() if row is not None}


def bars(raw: Any, instrument: str, length_us: int, *, since_us: int, until_us: int) -> tuple[BarView, ...]:
    """Return the bars that open in a span, oldest first; the span is taken as whole bars."""
    asked = {
        "instrument": instrument,
        "length": length_us,
        "since": since_us // length_us * length_us,
        "until": -(-until_us // length_us) * length_us,
    }
    return tuple(map(_view, raw.execute(_BARS, asked)))


def _view(row: Any) -> BarView:
    open_us, opened, high, low, close, volume, tick, lot = row
    price, size = Decimal(tick), Decimal(lot)
    return BarView(
        open_us=open_us,
        open=opened * price,
        high=high * price,
        low=low * price,
        close=close * price,
        volume=volume * size,
    )
