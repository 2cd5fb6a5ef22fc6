"""Requests that have arrived and prices that come by: what becomes of orders, answer by answer."""

from __future__ import annotations

from dataclasses import replace

from botd.core.events import (
    AmendOrder,
    Answer,
    CancelOrder,
    ClientOrderId,
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    OrderFilled,
    OrderRejected,
    OrderType,
    RequestRefused,
    Side,
    SubmitOrder,
)
from botd.core.instrument import Instrument
from botd.core.money import fee
from botd.core.settings import PaperSettings
from botd.core.values import maker
from botd.engine.fills import walk
from botd.venues.account import VenueAccount
from botd.venues.floor import Floor, Request, Working
from botd.venues.prices import (
    Spot,
    bar_open,
    book_top,
    crosses,
    last_close,
    stop_top,
    traded_range,
    trades_through,
    triggers,
)

_order_accepted = maker(OrderAccepted)
_order_amended = maker(OrderAmended)
_order_ended = maker(OrderEnded)
_order_filled = maker(OrderFilled)
_order_rejected = maker(OrderRejected)
_request_refused = maker(RequestRefused)


class Matching:
    """Carries out requests and fills orders of one account; collects the answers in order."""

    def __init__(self, account: VenueAccount, settings: PaperSettings, *, bars_only: bool) -> None:
        self._account = account
        self.go_by(settings)
        self._bars_only = bars_only
        self.seq = 0  # of the last answer
        self.trades = 0
        self._answers: list[Answer] = []

    def go_by(self, settings: PaperSettings) -> None:
        """Take other settings for the fills to come."""
        self._levels_max = settings.walk_levels_max
        self._slippage_ppm = int(settings.bar_slippage * 1_000_000)

    def take(self) -> list[Answer]:
        """Hand over the answers made since the last call."""
        answers, self._answers = self._answers, []
        return answers

    # ---- requests -------------------------------------------------------------------------------

    def carry_out(
        self, instrument: Instrument, floor: Floor, request: Request, spot: Spot, *, closing: bool
    ) -> None:
        """Carry out a request that has arrived; `closing`: no further row will come."""
        command, at_us = request.command, request.arrives_us
        if isinstance(command, SubmitOrder):
            self._submit(instrument, floor, command, spot, at_us, closing=closing)
        elif isinstance(command, CancelOrder):
            self._cancel(floor, command, at_us)
        else:
            self._amend(floor, command, at_us)

    def _submit(
        self,
        instrument: Instrument,
        floor: Floor,
        command: SubmitOrder,
        spot: Spot,
        at_us: int,
        *,
        closing: bool,
    ) -> None:
        coid = command.client_order_id
        if not self._bars_only:
            price, size = book_top(spot, command.side)
        elif closing:
            price, size = last_close(spot, command.side, self._slippage_ppm)
        else:
            price, size = bar_open(spot, command.side, self._slippage_ppm)
        reason = self._account.refusal(instrument, command, price)
        if reason:
            self._say(_order_rejected(self._next(), coid, reason, at_us))
            return
        self._say(_order_accepted(self._next(), coid, at_us))
        order = Working(command, command.qty, checked=spot.row - 1)
        if command.expire_us is not None and command.expire_us <= at_us:
            self._end(order, "time to live is over", at_us)
            return
        if command.type is OrderType.MARKET:
            self._trade(instrument, order, price, size, at_us)
            return
        if command.type is OrderType.LIMIT and crosses(command, price):
            self._trade(instrument, order, price, size, at_us)
        if order.leaves:
            floor.working[coid] = order

    def _cancel(self, floor: Floor, command: CancelOrder, at_us: int) -> None:
        order = floor.working.pop(command.client_order_id, None)
        if order is None:
            self._refuse(command.client_order_id, at_us)
        else:
            self._end(order, "canceled on request", at_us, canceled=True)

    def _amend(self, floor: Floor, command: AmendOrder, at_us: int) -> None:
        coid = command.client_order_id
        order = floor.working.get(coid)
        if order is None:
            self._refuse(coid, at_us)
            return
        if command.qty <= order.filled:
            self._refuse(coid, at_us, "as much has filled already")
            return
        order.qty = command.qty
        if command.stop is not None:
            order.command = replace(order.command, stop=command.stop)
        self._say(_order_amended(self._next(), coid, command.qty, at_us, command.stop))

    def expire(self, floor: Floor, now_us: int) -> None:
        """End every order whose time to live is over by now, each at its own time, in their order."""
        over = [
            (order.command.expire_us, key)
            for key, order in floor.working.items()
            if order.command.expire_us is not None and order.command.expire_us <= now_us
        ]
        for expire_us, key in sorted(over, key=lambda pair: pair[0]):
            self._end(floor.working.pop(key), "time to live is over", expire_us)

    # ---- rows -----------------------------------------------------------------------------------

    def touch(self, instrument: Instrument, floor: Floor, spot: Spot) -> None:
        """Compare resting orders with the row: stops first, then limits, each once per row."""
        orders = [order for order in floor.working.values() if order.checked < spot.row]
        for order in orders:
            order.checked = spot.row
        prices = traded_range(spot)
        if prices is None:
            return
        low, high = prices
        for order in orders:
            command = order.command
            if command.stop is not None and triggers(command, low, high):
                del floor.working[command.client_order_id]
                price, size = stop_top(spot, command.side, command.stop, self._slippage_ppm)
                self._trade(instrument, order, price, size, spot.now_us)
        for order in orders:
            command = order.command
            if command.limit is not None and order.leaves and trades_through(command, low, high):
                del floor.working[command.client_order_id]
                self._fill(instrument, order, command.limit, order.leaves, spot.now_us, maker=True)

    # ---- fills ----------------------------------------------------------------------------------

    def _trade(self, instrument: Instrument, order: Working, price: int, size: int, at_us: int) -> None:
        """Trade against the book: the top, then one tick per multiple of its size."""
        command = order.command
        # the order's own quantity, not the command's: a resting stop may have been resized
        wanted = self._account.reducible(command, order.leaves) if command.reduce_only else order.leaves
        short = wanted < order.leaves
        limit = command.limit if command.type is not OrderType.STOP_MARKET else None
        buy = command.side is Side.BUY
        for level, lots in walk(wanted, price, size, buy=buy, limit=limit, levels_max=self._levels_max):
            self._fill(instrument, order, level, lots, at_us, maker=False)
        if order.leaves and command.type is not OrderType.LIMIT:
            reason = "nothing left to reduce" if short else "the book within the limit is used up"
            self._end(order, reason, at_us)

    def _fill(
        self, instrument: Instrument, order: Working, price: int, lots: int, at_us: int, *, maker: bool
    ) -> None:
        command = order.command
        rate = instrument.maker_fee if maker else instrument.taker_fee
        paid = fee(instrument.money(price * lots), rate)
        order.filled += lots
        self.trades += 1
        signed = lots if command.side is Side.BUY else -lots
        self._account.book(instrument, command.key.strategy, price, signed, paid)
        self._say(
            _order_filled(
                self._next(), command.client_order_id, f"t{self.trades}", price, lots, paid, maker, at_us
            )
        )

    # ---- answers --------------------------------------------------------------------------------

    def _end(self, order: Working, reason: str, at_us: int, *, canceled: bool = False) -> None:
        coid = order.command.client_order_id
        self._say(_order_ended(self._next(), coid, canceled, reason, at_us))

    def _refuse(self, coid: ClientOrderId, at_us: int, reason: str = "no such order") -> None:
        self._say(_request_refused(self._next(), coid, reason, at_us))

    def _say(self, answer: Answer) -> None:
        self._answers.append(answer)

    def _next(self) -> int:
        self.seq += 1
        return self.seq
