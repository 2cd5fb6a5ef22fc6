"""The account at the venue: one net position per instrument, and cash per quote currency. No margin."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from botd.core.events import Side
from botd.core.instrument import Instrument, InstrumentId
from botd.core.money import ZERO, divide_half_even


class Account:
    """Signed lots and exact cash; what a fill does to them is average cost, as in botd.core.portfolio."""

    __slots__ = ("cash", "costs", "positions", "start")

    def __init__(self, cash: Mapping[str, Decimal]) -> None:
        self.start: Mapping[str, Decimal] = dict(cash)
        self.cash = dict(cash)  # start, deposits, realized and fees
        self.positions: dict[InstrumentId, int] = {}  # signed lots of everything traded so far
        self.costs: dict[InstrumentId, int] = {}  # tick-lots: entry cost of what is held

    def held(self, instrument: InstrumentId) -> int:
        """Return the signed lots held."""
        return self.positions.get(instrument, 0)

    def reducible(self, instrument: InstrumentId, side: Side) -> int:
        """Return by how many lots an order of this side can reduce what is held."""
        held = self.positions.get(instrument, 0)
        return max(0, -held if side is Side.BUY else held)

    def book(self, instrument: Instrument, side: Side, price: int, qty: int, fee: Decimal) -> None:
        """Move the position and the cash by a fill."""
        signed = qty if side is Side.BUY else -qty
        held = self.positions.get(instrument.id, 0)
        cost = self.costs.get(instrument.id, 0)
        closing = min(abs(held), qty) if held * signed < 0 else 0
        realized = 0
        if closing:
            removed = divide_half_even(cost * closing, abs(held))
            realized = price * closing - removed if held > 0 else removed - price * closing
            cost -= removed
        self.positions[instrument.id] = held + signed
        self.costs[instrument.id] = cost + price * (qty - closing)
        self.move(instrument.quote, instrument.money(realized) - fee)

    def move(self, currency: str, amount: Decimal) -> None:
        """Add to the cash of a currency, or take from it."""
        self.cash[currency] = self.cash.get(currency, ZERO) + amount
