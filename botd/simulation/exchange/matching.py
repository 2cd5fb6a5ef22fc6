"""The matching of the venue: what is accepted fills, rests, triggers, expires, exactly.

Its orders leave no mark on the market: each meets the whole top of the book, and beyond the top's size as
much again at every further tick. Fees are rounded as in botd.core.money.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import replace
from typing import Final

from botd.core.events import OrderType, Side, SubmitOrder, TimeInForce
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.money import ZERO, fee
from botd.core.values import maker
from botd.ports import OrderState, VenueEvent, VenueFill
from botd.simulation.chance import Chance, Stream
from botd.simulation.clock import EPOCH_US
from botd.simulation.exchange.account import Account
from botd.simulation.exchange.fate import draw_fate, draw_hiding
from botd.simulation.exchange.orders import EVER, Order, Shown
from botd.simulation.exchange.resting import Prices, Resting, Top, meets
from botd.simulation.exchange.truth import Truth
from botd.simulation.loop import VirtualLoop

POLL_S: Final = 1.0
LEVELS_MAX: Final = 50  # of the book that an order walks
SPLIT_PERCENT: Final = 30  # of immediate orders fill in parts
PART_S: Final = (0.05, 0.9)  # between two parts
LATER_S: Final = (0.2, 5.0)  # until what was accepted is rejected
AFTER_S: Final = (0.0, 1.5)  # from the end of an order to a fill of it

NOTHING_TO_REDUCE: Final = "reduce-only order would not reduce the position"

_make_fill: Final = maker(VenueFill)


class Matching:
    """The orders and the account, moved on by the loop's timers outside of any process."""

    def __init__(
        self,
        loop: VirtualLoop,
        chance: Chance,
        prices: Prices,
        instruments: Sequence[Instrument],
        account: Account,
        *,
        read_lag_us: int,
        tell: Callable[[VenueEvent], None],
    ) -> None:
        self.account = account
        self.truth = Truth()
        self.shown = Shown(lambda order: draw_hiding(order, chance, self.now_us()))
        self._resting = Resting()
        self.open = self._resting.open
        self.instruments = {instrument.id: instrument for instrument in instruments}
        self.outside = Context()  # of steps that belong to no process
        self.paused_until_us = 0  # nothing fills before
        self.fees_in_base = False  # what is bought of a spot comes short by its fee
        self._loop = loop
        self._chance = chance
        self._prices = prices
        self._parts = chance.stream("venue.parts")
        self._read_lag_us = read_lag_us
        self._tell = tell
        self._numbers = 0
        self._trades: dict[InstrumentId, int] = {}
        self._polling = False

    def now_us(self) -> int:
        """Return the venue's time."""
        return EPOCH_US + round(self._loop.now_s * 1e6)

    @property
    def seen_us(self) -> int:
        """As of when reads are shown things."""
        return EVER if self._chance.healed else self.now_us()

    @property
    def paused(self) -> bool:
        """Whether the market stands still for maintenance."""
        return self.now_us() < self.paused_until_us and not self._chance.healed

    def top(self, instrument: InstrumentId) -> Top:
        """Return the top of the book now."""
        return self._prices.top(instrument, self.now_us())

    # ---- what is asked --------------------------------------------------------------------------

    def accept(self, command: SubmitOrder) -> Order:
        """Take an order in. It fills now as far as it can."""
        order = Order(
            number=self._next_number(),
            client_order_id=command.client_order_id,
            instrument=self.instruments[command.instrument],
            side=command.side,
            type=command.type,
            qty=command.qty,
            limit=command.limit,
            stop=command.stop,
            immediate=command.type is OrderType.MARKET or command.tif is TimeInForce.IOC,
            reduce_only=command.reduce_only,
            expire_us=command.expire_us,
            ts_us=self.now_us(),
        )
        self.truth.orders[command.client_order_id] += 1
        later = draw_fate(order, self._chance, self._read_lag_us)
        self._open(order)
        if later is not None:
            self.after(later.span(*LATER_S), self._reject, order, later)
            order.running = order.immediate  # it never gets to be executed
        if order.state is OrderState.OPEN and not order.running:
            self._begin(order)
        return order

    def leave_order(self, instrument: Instrument, side: Side, qty: int, limit: int) -> Order:
        """Put a resting order on the book that nobody gave a client order id."""
        order = Order(
            number=self._next_number(),
            client_order_id="",
            instrument=instrument,
            side=side,
            type=OrderType.LIMIT,
            qty=qty,
            limit=limit,
            stop=None,
            immediate=False,
            reduce_only=False,
            expire_us=None,
            ts_us=self.now_us(),
        )
        self._open(order)
        self._begin(order)
        return order

    def trade(self, instrument: Instrument, side: Side, qty: int, price: int, *, liquidation: bool) -> None:
        """Book an execution that no order of the daemon asked for."""
        self._fill(instrument, side, price, qty, maker=False, liquidation=liquidation)

    def take_back(self, fill: VenueFill) -> None:
        """Take a trade back: it is told once more, as busted."""
        bust = replace(fill, busted=True, ts_us=self.now_us())
        side = Side.SELL if fill.side is Side.BUY else Side.BUY
        fees = (ZERO, -fill.fee) if fill.fee_currency else (-fill.fee, ZERO)
        self.account.book(self.instruments[fill.instrument], side, fill.price, fill.qty, *fees)
        self.truth.add_bust(bust)
        self.shown.add_fill(bust, bust.ts_us, 0)
        self._tell(bust)

    def end(self, order: Order, state: OrderState, reason: str) -> None:
        """End an open order."""
        order.state = state
        order.reason = reason
        del self.open[order.number]
        self._resting.touch()
        self._change(order)

    def amend(self, order: Order, qty: int, stop: int | None) -> None:
        """Change an open order's quantity, and its stop where one is given."""
        order.qty = qty
        if stop is not None:
            order.stop = stop
            self._resting.touch()
        self._change(order)

    def force(self, order: Order, lots: int) -> None:
        """Fill so much of an open order here and now: it wins the race with its cancel."""
        lots = self._allowed(order, lots)
        if lots < 1 or self.paused:
            return
        if order.type is OrderType.LIMIT and not order.immediate and order.limit is not None:
            self._fill_order(order, order.limit, lots, maker=True)
        else:
            self._take(order, lots)
        if order.filled >= order.qty:
            self.end(order, OrderState.FILLED, "")
        else:
            self._change(order)

    def fill_after(self, order: Order, lots: int) -> None:
        """Fill so much of an order in a moment, though it is over by then."""
        self.after(self._parts.span(*AFTER_S), self._fill_late, order, lots)

    def _fill_late(self, order: Order, lots: int) -> None:
        lots = self._allowed(order, lots)
        if lots > 0 and not self.paused:
            price = order.limit or self.top(order.instrument.id)[order.side is Side.BUY]
            self._fill_order(order, price, lots, maker=False)
            self._change(order)

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    # ---- execution ------------------------------------------------------------------------------

    def _open(self, order: Order) -> None:
        self.open[order.number] = order
        self._resting.touch()
        self.shown.add_order(order)
        self._change(order)
        if order.expire_us is not None and not order.immediate:
            due_s = (order.expire_us - EPOCH_US) / 1e6
            self._loop.call_at(due_s, self._expire, order, context=self.outside)

    def _begin(self, order: Order) -> None:
        if order.immediate:
            self._run(order)
            return
        if not self.paused and not self._over(order) and meets(order, self.top(order.instrument.id)):
            if order.stop is not None:
                self._run(order)
            else:
                self._cross(order)
        self._ensure_poll()

    def _cross(self, order: Order) -> None:
        """Take what is there at its price, up to the limit of a resting order; the rest of it rests."""
        self._take(order, order.rest)
        if order.filled >= order.qty:
            self.end(order, OrderState.FILLED, "")
        elif order.filled:
            self._change(order)

    def _over(self, order: Order) -> bool:
        """Whether its time is up, and its timer about to end it."""
        return order.expire_us is not None and order.expire_us <= self.now_us()

    def _run(self, order: Order) -> None:
        """Execute an order against the top, at once or in parts."""
        order.running = True
        self._resting.touch()
        if order.rest > 1 and self._parts.below(100) < SPLIT_PERCENT:
            order.parts = 2 + self._parts.below(2)
        self._next_part(order)

    def _next_part(self, order: Order) -> None:
        if order.state is not OrderState.OPEN:
            return
        if self.paused:
            self.after(1.0, self._next_part, order)
            return
        lots = -(-order.rest // order.parts)
        order.parts -= 1
        before = order.filled
        self._take(order, lots)
        if order.filled >= order.qty:
            self.end(order, OrderState.FILLED, "")
        elif not order.parts or order.filled - before < lots:
            nothing = order.reduce_only and not self._allowed(order, 1)
            self.end(order, order.unfilled, NOTHING_TO_REDUCE if nothing else "immediate or cancel")
        else:
            self._change(order)
            self.after(self._parts.span(*PART_S), self._next_part, order)

    def _allowed(self, order: Order, lots: int) -> int:
        """Return how many of these lots may fill: what reduces never turns a position."""
        if not order.reducing:
            return lots
        return min(lots, self.account.reducible(order.instrument.id, order.side))

    def _take(self, order: Order, lots: int) -> None:
        """Fill at the top and, tick by tick, behind it, as far as size and bound allow."""
        bid, ask, bid_lots, ask_lots = self.top(order.instrument.id)
        buys = order.side is Side.BUY
        price, size, step = (ask, ask_lots, 1) if buys else (bid, bid_lots, -1)
        lots = self._allowed(order, lots)
        for _ in range(LEVELS_MAX if size > 0 else 0):
            beyond = order.limit is not None and (price > order.limit if buys else price < order.limit)
            if lots < 1 or price < 1 or beyond:
                return
            part = min(lots, size)
            lots -= part
            self._fill_order(order, price, part, maker=False)
            price += step

    def _make(self, order: Order, limit: int, size: int) -> None:
        """Fill a resting order at its price."""
        lots = self._allowed(order, min(order.rest, size))
        if lots < 1:
            self.end(order, OrderState.EXPIRED, NOTHING_TO_REDUCE)
            return
        self._fill_order(order, limit, lots, maker=True)
        if order.filled >= order.qty:
            self.end(order, OrderState.FILLED, "")
        else:
            self._change(order)

    def _fill_order(self, order: Order, price: int, lots: int, *, maker: bool) -> None:
        if order.extra and order.filled + lots == order.qty:
            if order.extra_apart:
                self.fill_after(order, order.extra)
            else:
                lots += order.extra
        order.filled += lots
        self._fill(order.instrument, order.side, price, lots, maker=maker, order=order)

    def _fill(
        self,
        instrument: Instrument,
        side: Side,
        price: int,
        qty: int,
        *,
        maker: bool,
        order: Order | None = None,
        liquidation: bool = False,
    ) -> None:
        number = self._trades[instrument.id] = self._trades.get(instrument.id, 0) + 1
        now_us = self.now_us()
        rate = instrument.maker_fee if maker else instrument.taker_fee
        in_base = self.fees_in_base and side is Side.BUY and instrument.kind is InstrumentKind.SPOT
        cost = fee(instrument.qty(qty) if in_base else instrument.money(price * qty), rate)
        fill = _make_fill(
            client_order_id=order.client_order_id if order is not None else "",
            instrument=instrument.id,
            trade_id=str(number),
            side=side,
            price=price,
            qty=qty,
            fee=cost,
            maker=maker,
            ts_us=now_us,
            liquidation=liquidation,
            fee_currency=instrument.base if in_base else "",
        )
        self.account.book(instrument, side, price, qty, *((ZERO, cost) if in_base else (cost, ZERO)))
        self.truth.add_fill(fill)
        self.shown.add_fill(fill, now_us, order.fills_lag_us if order is not None else 0)
        self._tell(fill)

    def _change(self, order: Order) -> None:
        now_us = order.ts_us = self.now_us()
        report = order.report()
        self.shown.change(order, report, now_us)
        self._tell(report)

    # ---- time -----------------------------------------------------------------------------------

    def after(self, seconds: float, callback: Callable[..., None], *args: object) -> None:
        """Call a function later, whoever is alive then."""
        self._loop.call_later(seconds, callback, *args, context=self.outside)

    def settle(self) -> None:
        """Fill and trigger what rests, at the prices of now."""
        if self.paused:
            return
        now_us = self.now_us()
        for name in self._resting.instruments:
            top = self._prices.top(name, now_us)
            for order in self._resting.reached(name, top):
                if not self._over(order) and meets(order, top):  # the ones before it may have ended it
                    self._touch(order, top)

    def _touch(self, order: Order, top: Top) -> None:
        if order.stop is not None:
            self._run(order)
        elif order.limit is not None:
            self._make(order, order.limit, top[3] if order.side is Side.BUY else top[2])

    def _ensure_poll(self) -> None:
        if not self._polling and self._resting.instruments:
            self._polling = True
            due_s = (math.floor(self._loop.now_s / POLL_S) + 1) * POLL_S
            self._loop.call_at(due_s, self._poll, context=self.outside)

    def _poll(self) -> None:
        self._polling = False
        self.settle()
        self._ensure_poll()

    def _expire(self, order: Order) -> None:
        if order.state is OrderState.OPEN:
            self.end(order, OrderState.EXPIRED, "time to live")

    def _reject(self, order: Order, fault: Stream) -> None:
        """Reject what was accepted, or let it expire; what has filled in part can only expire."""
        if order.state is not OrderState.OPEN:
            return
        if self._chance.healed:
            if order.immediate and not order.filled:
                self._begin(order)
        elif order.filled or fault.below(2):
            self.end(order, OrderState.EXPIRED, "expired by the venue")
        else:
            self.end(order, OrderState.REJECTED, "rejected by the venue")
