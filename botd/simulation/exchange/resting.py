"""The open orders, and the prices between which nothing happens to any of them."""

from __future__ import annotations

from typing import Final, Protocol

from botd.core.events import Side
from botd.core.instrument import InstrumentId
from botd.ports import OrderState
from botd.simulation.exchange.orders import Order

Top = tuple[int, int, int, int]  # bid, ask in ticks, their sizes in lots

_HIGH: Final = 1 << 62  # above every price


class Prices(Protocol):
    """The market, as far as the venue needs it."""

    def top(self, instrument: InstrumentId, now_us: int) -> tuple[int, int, int, int]:
        """Return bid and ask in ticks and their sizes in lots; a size of 0 is an empty side."""
        ...


class Resting:
    """Open orders by number, oldest first."""

    def __init__(self) -> None:
        self.open: dict[int, Order] = {}
        self._bounds: dict[InstrumentId, list[int]] = {}  # by what can be reached: see `reached`
        self._stale = False

    def touch(self) -> None:
        """Take note that an order came, went, changed, or began to be executed."""
        self._stale = True

    @property
    def instruments(self) -> list[InstrumentId]:
        """Where something rests."""
        return [*self._current()]

    def reached(self, instrument: InstrumentId, top: Top) -> list[Order]:
        """Return the orders that a top of the book fills or triggers, oldest first."""
        bounds = self._current().get(instrument)
        if bounds is None:
            return []
        bid, ask, _, _ = top
        buy_limit, sell_stop, sell_limit, buy_stop = bounds
        if buy_limit < ask < buy_stop and sell_stop < bid < sell_limit:
            return []
        return [
            order for order in self.open.values() if order.instrument.id == instrument and meets(order, top)
        ]

    def _current(self) -> dict[InstrumentId, list[int]]:
        if self._stale:
            self._stale = False
            self._bounds = {}
            for order in self.open.values():
                if not order.running:
                    self._add(order)
        return self._bounds

    def _add(self, order: Order) -> None:
        bounds = self._bounds.setdefault(order.instrument.id, [-1, -1, _HIGH, _HIGH])
        if order.stop is not None:
            if order.side is Side.BUY:
                bounds[3] = min(bounds[3], order.stop)
            else:
                bounds[1] = max(bounds[1], order.stop)
        elif order.limit is not None:
            if order.side is Side.BUY:
                bounds[0] = max(bounds[0], order.limit)
            else:
                bounds[2] = min(bounds[2], order.limit)


def meets(order: Order, top: Top) -> bool:
    """Whether a top of the book triggers a stop that waits, or fills a limit order that rests."""
    if order.running or order.state is not OrderState.OPEN:
        return False
    bid, ask, bid_lots, ask_lots = top
    if order.stop is not None:
        return ask >= order.stop if order.side is Side.BUY else bid <= order.stop
    if order.limit is None:
        return False
    if order.side is Side.BUY:
        return ask_lots > 0 and ask <= order.limit
    return bid_lots > 0 and bid >= order.limit
