"""The account at the venue: one net position per instrument, and cash per quote currency. No margin.

What is held of an instrument is exact; what can be traded of it, its position, is the whole lots of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_FLOOR, Decimal

from botd.core.events import Side
from botd.core.instrument import Instrument, InstrumentId
from botd.core.money import ZERO, divide_half_even
from botd.ports import VenueFill


class Account:
    """Signed lots and exact cash; what a fill does to them is average cost, as in botd.core.portfolio."""

    __slots__ = ("_lot_sizes", "amounts", "cash", "costs", "positions", "start")

    def __init__(self, cash: Mapping[str, Decimal]) -> None:
        self.start: Mapping[str, Decimal] = dict(cash)
        self.cash = dict(cash)  # start, deposits, realized and fees
        self.amounts: dict[InstrumentId, Decimal] = {}  # of the base currency, what fees have left of it
        self._lot_sizes: dict[InstrumentId, Decimal] = {}
        self.positions: dict[InstrumentId, int] = {}  # signed lots of everything traded so far
        self.costs: dict[InstrumentId, int] = {}  # tick-lots: entry cost of what is held

    def held(self, instrument: InstrumentId) -> int:
        """Return the signed lots held."""
        return self.positions.get(instrument, 0)

    def reducible(self, instrument: InstrumentId, side: Side) -> int:
        """Return by how many lots an order of this side can reduce what is held."""
        held = self.positions.get(instrument, 0)
        return max(0, -held if side is Side.BUY else held)

    def without(self, fills: Iterable[VenueFill]) -> dict[InstrumentId, int]:
        """Return the positions as they were before some fills."""
        amounts = dict(self.amounts)
        for fill in fills:
            signed = fill.qty if fill.side is Side.BUY else -fill.qty
            taken = fill.fee if fill.fee_currency else ZERO
            amounts[fill.instrument] -= signed * self._lot_sizes[fill.instrument] - taken
        return {name: self._lots(name, amount) for name, amount in amounts.items()}

    def _lots(self, instrument: InstrumentId, amount: Decimal) -> int:
        return int((amount / self._lot_sizes[instrument]).to_integral_value(ROUND_FLOOR))

    def book(
        self, instrument: Instrument, side: Side, price: int, qty: int, fee: Decimal, taken: Decimal = ZERO
    ) -> None:
        """Move the position and the cash by a fill; `taken` is a fee in the base currency."""
        signed = qty if side is Side.BUY else -qty
        held = self.positions.get(instrument.id, 0)
        cost = self.costs.get(instrument.id, 0)
        closing = min(abs(held), qty) if held * signed < 0 else 0
        realized = 0
        if closing:
            removed = divide_half_even(cost * closing, abs(held))
            realized = price * closing - removed if held > 0 else removed - price * closing
            cost -= removed
        self._lot_sizes[instrument.id] = instrument.lot_size
        amount = self.amounts.get(instrument.id, ZERO) + instrument.qty(signed) - taken
        self.amounts[instrument.id] = amount
        lots = self.positions[instrument.id] = self._lots(instrument.id, amount)
        cost += price * (qty - closing)
        if taken and lots < held + signed:  # what the fee has made of whole lots is realized as lost
            lost = divide_half_even(cost * (held + signed - lots), held + signed)
            cost, realized = cost - lost, realized - lost
        self.costs[instrument.id] = cost
        self.move(instrument.quote, instrument.money(realized) - fee)

    def move(self, currency: str, amount: Decimal) -> None:
        """Add to the cash of a currency, or take from it."""
        self.cash[currency] = self.cash.get(currency, ZERO) + amount
