"""What is traded, and the exact steps its prices and quantities move in."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NewType

InstrumentId = NewType("InstrumentId", str)  # as ccxt writes it: BTC/USDT, BTC/USDT:USDT


def quote_of(instrument: str) -> str:
    """Return the currency an instrument's money is in, which stands in its name: `BTC/USDT:USDT`."""
    return instrument.partition("/")[2].partition(":")[0]


class InstrumentKind(StrEnum):
    SPOT = "spot"
    PERPETUAL = "perpetual"  # linear


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One instrument at one venue."""

    id: InstrumentId
    kind: InstrumentKind
    base: str
    quote: str  # the currency that money of this instrument is in
    tick_size: Decimal
    lot_size: Decimal
    min_notional: Decimal = Decimal(0)
    qty_max_lots: int | None = None
    taker_fee: Decimal  # ratio of notional
    maker_fee: Decimal
    leverage: Decimal = Decimal(1)

    def holds(self, currency: str) -> bool:
        """Say whether a fee in this currency leaves less of what was bought: that of a spot's base does."""
        return self.kind is InstrumentKind.SPOT and currency == self.base

    def price(self, ticks: int) -> Decimal:
        """Return the exact price of so many ticks."""
        return ticks * self.tick_size

    def qty(self, lots: int) -> Decimal:
        """Return the exact quantity of so many lots."""
        return lots * self.lot_size

    def money(self, tick_lots: int) -> Decimal:
        """Return the exact quote amount of so many tick-lots (price times quantity)."""
        return tick_lots * self.tick_size * self.lot_size
