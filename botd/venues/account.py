"""The account as the simulated venue keeps it: cash per currency and one net position per instrument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from botd.core.events import OrderType, Side, SubmitOrder
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind


class VenueAccount:
    """Cash and nets; says what the account cannot afford."""

    def __init__(self, instruments: Sequence[Instrument], balances: Mapping[str, Decimal]) -> None:
        self._instruments = {i.id: i for i in instruments}
        self._cash = dict(balances)
        self._nets: dict[InstrumentId, tuple[int, int]] = {}  # signed lots, tick-lots of their cost
        self._owned: dict[tuple[str, InstrumentId], int] = {}  # signed lots by the strategy that traded them

    def nets(self) -> dict[InstrumentId, int]:
        """Return the signed lots held of every instrument traded so far."""
        return {name: lots for name, (lots, _) in self._nets.items()}

    def refusal(self, instrument: Instrument, command: SubmitOrder, price: int) -> str:
        """Return why the venue rejects the order at this price (ticks, 0 unknown), or nothing."""
        if command.qty < 1:
            return "quantity is below one lot"
        if command.type is OrderType.MARKET and price <= 0:
            return "there is no price to trade at"
        if command.reduce_only:
            return (
                ""
                if self.reducible(command, command.qty)
                else "reduce-only order would not reduce the position"
            )
        judged = command.limit or command.stop or price
        notional = instrument.money(command.qty * judged)
        if notional < instrument.min_notional:
            return f"notional {notional} is below the minimum {instrument.min_notional}"
        held = self._nets.get(instrument.id, (0, 0))[0]
        if instrument.kind is InstrumentKind.SPOT:
            if command.side is Side.SELL:
                return "" if command.qty <= held else "insufficient balance"
            needed = notional * (1 + instrument.taker_fee)
        else:
            opposite = max(0, -held if command.side is Side.BUY else held)
            opened = max(0, command.qty - opposite)  # what only closes needs no margin
            needed = instrument.money(opened * judged) / instrument.leverage
        return "insufficient balance" if needed > self._free(instrument.quote) else ""

    def reducible(self, command: SubmitOrder, lots: int) -> int:
        """Return by how much of `lots` the order may reduce what its own strategy holds.

        Judged by owner, as a venue in hedge mode does: two strategies on opposite sides of one
        instrument would else take each other's exits away.
        """
        held = self._owned.get((command.key.strategy, command.instrument), 0)
        return max(0, min(lots, held if command.side is Side.SELL else -held))

    def _free(self, currency: str) -> Decimal:
        bound = Decimal(0)
        for name, (lots, cost) in self._nets.items():
            if lots and self._instruments[name].quote == currency:
                bound += self._instruments[name].money(cost) / self._instruments[name].leverage
        return self._cash.get(currency, Decimal(0)) - bound

    def book(self, instrument: Instrument, owner: str, price: int, signed: int, fee: Decimal) -> None:
        """Move cash and the net position by a fill: average cost, realized on what reduces."""
        self._owned[owner, instrument.id] = self._owned.get((owner, instrument.id), 0) + signed
        held, cost = self._nets.get(instrument.id, (0, 0))
        realized = 0
        closing = min(abs(held), abs(signed)) if held * signed < 0 else 0
        if closing:
            removed = cost * closing // abs(held)
            realized = (1 if held > 0 else -1) * (price * closing - removed)
            cost -= removed
        self._nets[instrument.id] = held + signed, cost + price * (abs(signed) - closing)
        cash = self._cash.get(instrument.quote, Decimal(0))
        self._cash[instrument.quote] = cash + instrument.money(realized) - fee

    def state(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "cash": {currency: str(amount) for currency, amount in self._cash.items()},
            "nets": {name: list(pair) for name, pair in self._nets.items()},
            "owned": [[owner, name, lots] for (owner, name), lots in self._owned.items() if lots],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state()`."""
        self._cash = {currency: Decimal(amount) for currency, amount in state["cash"].items()}
        self._nets = {InstrumentId(name): (lots, cost) for name, (lots, cost) in state["nets"].items()}
        self._owned = {(owner, InstrumentId(name)): lots for owner, name, lots in state["owned"]}
