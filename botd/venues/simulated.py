"""The simulated venue: a request reaches it after its latency, in event time, and fills over rows.

Its clock is the row time it was last fed, so neither the block size nor the speed of the machine can
change a fill. It knows orders by client order id and requests by number: a second copy is ignored,
which is what lets a restarted daemon hand over again whatever it cannot be sure of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from botd.core.events import (
    AmendOrder,
    Answer,
    CancelOrder,
    Command,
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
from botd.core.instrument import Instrument, InstrumentId
from botd.core.lanes import I64
from botd.core.money import fee
from botd.core.settings import PaperSettings
from botd.engine.fills import NEVER, bar_price, first_touch, walk
from botd.engine.layout import ASK, ASZ, BID, BSZ, HIGH, KIND, LOW, OPEN, P, RowKind, T
from botd.errors import StateCorrupt
from botd.ports import VenueBook
from botd.venues.account import VenueAccount
from botd.venues.floor import Due, Floor, Request, Working


class SimulatedVenue:
    """Matches our orders against rows; one per account."""

    def __init__(
        self,
        instruments: Sequence[Instrument],
        settings: PaperSettings,
        *,
        balances: Mapping[str, Decimal],
        bars_only: bool = False,
        bar_length_us: int | None = None,
        book: VenueBook | None = None,
    ) -> None:
        self._instruments = {i.id: i for i in instruments}
        self._floors = {i.id: Floor() for i in instruments}
        self._settings = settings
        self._account = VenueAccount(instruments, balances)
        self._bars_only = bars_only
        self._bar_length_us = bar_length_us or 0
        self._slippage_ppm = int(settings.bar_slippage * 1_000_000)
        self._book = book
        self._seq = 0
        self._trades = 0
        self._last_request = 0
        self._position = 0  # merged position being served
        self._out: list[Due] = []  # answers made by the call in progress
        self._waiting: list[Due] = []  # answers that a daemon before this one never took

    # ---- requests -------------------------------------------------------------------------------

    def send(self, number: int, command: Command) -> None:
        """Take a request; it arrives after its latency. A number seen before is ignored."""
        if number <= self._last_request:
            return
        self._last_request = number
        arrives = command.ts_us + self._latency_us(command)
        self._floors[command.instrument].requests.append(Request(number, arrives, command))

    def keep_in(self, book: VenueBook) -> None:
        """Keep everything in a book from here on."""
        self._book = book
        self.save()

    def save(self) -> None:
        """Make everything taken so far durable."""
        if self._book is not None:
            self._book.save(self.state(), self._out)

    def _latency_us(self, command: Command) -> int:
        low, high = self._settings.latency_min_us, self._settings.latency_max_us
        if low == high:
            return low
        what = str(command.key) if isinstance(command, SubmitOrder) else self._request_key(command)
        digest = hashlib.sha256(f"{self._settings.seed}|{what}".encode()).digest()
        return low + int.from_bytes(digest[:8], "big") % (high - low + 1)

    def _request_key(self, command: CancelOrder | AmendOrder) -> str:
        """Name a cancel or an amendment without the order's id, which differs between sessions."""
        floor = self._floors[command.instrument]
        order = floor.working.get(command.client_order_id)
        submit = order.command if order else None
        for request in floor.requests:
            if isinstance(request.command, SubmitOrder) and (
                request.command.client_order_id == command.client_order_id
            ):
                submit = request.command
        key = str(submit.key) if submit else str(command.instrument)
        return f"{type(command).__name__}|{key}|{command.ts_us}"

    # ---- rows -----------------------------------------------------------------------------------

    def deadline_us(self, instrument: InstrumentId) -> int:
        """Return the earliest time at which a request arrives or an order expires, NEVER for none."""
        return NEVER if self._bars_only else self._deadline(self._floors[instrument])

    @staticmethod
    def _deadline(floor: Floor) -> int:
        deadline = min((r.arrives_us for r in floor.requests), default=NEVER)
        for order in floor.working.values():
            if order.command.expire_us is not None:
                deadline = min(deadline, order.command.expire_us)
        return deadline

    def waiting_position(self) -> int:
        """Return the merged position of the first answer that a former daemon never took, or NEVER."""
        return self._waiting[0].position if self._waiting else NEVER

    def busy(self, instrument: InstrumentId) -> bool:
        """Say whether anything of the instrument is on its way or rests."""
        floor = self._floors[instrument]
        return bool(floor.requests or floor.working)

    def first_touch(self, instrument: InstrumentId, ring: I64, first_row: int, start: int, stop: int) -> int:
        """Return the first ring index in [start, stop) whose row touches a resting order, else `stop`.

        `first_row` is the absolute row number of ring index 0. On bars a row is also a touch when a
        request has arrived or an order expires by its time: there they are carried out at a bar's open.
        """
        floor = self._floors[instrument]
        found = stop
        if self._bars_only:
            deadline = self._deadline(floor)
            if deadline != NEVER:
                found = int(first_touch(ring, start, stop, deadline, 0, NEVER, 0, NEVER))
        if not floor.working:
            return found
        sell_stop, buy_stop, buy_limit, sell_limit = 0, NEVER, 0, NEVER
        fresh = stop
        for order in floor.working.values():
            command = order.command
            fresh = min(fresh, order.checked + 1 - first_row)
            if command.type is OrderType.LIMIT and command.limit is not None:
                if command.side is Side.BUY:
                    buy_limit = max(buy_limit, command.limit)
                else:
                    sell_limit = min(sell_limit, command.limit)
            elif command.stop is not None:
                if command.side is Side.SELL:
                    sell_stop = max(sell_stop, command.stop)
                else:
                    buy_stop = min(buy_stop, command.stop)
        start = max(start, fresh)
        return int(first_touch(ring, start, found, NEVER, sell_stop, buy_stop, buy_limit, sell_limit))

    def execute(
        self,
        instrument: InstrumentId,
        ring: I64,
        first_row: int,
        index: int,
        now_us: int,
        position: int,
        *,
        own: bool,
    ) -> list[Answer]:
        """Do everything of an instrument that is due before a merged position of row time `now_us`.

        `index` is the ring index of the instrument's first row at or after that position; `own` says
        that the row at the position is it, so that its price may touch resting orders.
        """
        floor = self._floors[instrument]
        self._position = position
        if not self._bars_only or (own and ring[KIND, index] == RowKind.BAR):
            self._arrivals(instrument, floor, ring, index, now_us, first_row + index)
        if own:
            self._touches(instrument, floor, ring, index, first_row + index)
        return self._spoken()

    def take_waiting(self, position: int) -> list[Answer]:
        """Hand over the answers due before a merged position that a former daemon never took."""
        late = [due.answer for due in self._waiting if due.position <= position]
        self._waiting = [due for due in self._waiting if due.position > position]
        return late

    def _spoken(self) -> list[Answer]:
        if not self._out:
            return []
        self.save()
        answers = [due.answer for due in self._out]
        self._out = []
        return answers

    def drain(
        self, instrument: InstrumentId, ring: I64, first_row: int, rows: int, position: int
    ) -> list[Answer]:
        """Carry out every request in flight after its latency at the last top: the daemon is stopping.

        `rows` is the number of rows in the ring.
        """
        floor = self._floors[instrument]
        self._position = position
        while floor.requests:
            arrives = min(r.arrives_us for r in floor.requests)
            self._arrivals(instrument, floor, ring, rows, arrives, first_row + rows, closing=True)
        return self._spoken()

    def _arrivals(
        self,
        name: InstrumentId,
        floor: Floor,
        ring: I64,
        index: int,
        now: int,
        row: int,
        *,
        closing: bool = False,
    ) -> None:
        """Carry out requests that have arrived by `now`, and expiries, in the order of their times."""
        while True:
            request = min(
                (r for r in floor.requests if r.arrives_us <= now),
                key=lambda r: (r.arrives_us, r.number),
                default=None,
            )
            self._expire(name, floor, request.arrives_us if request else now, row)
            if request is None:
                return
            floor.requests.remove(request)
            command = request.command
            if isinstance(command, SubmitOrder):
                self._submit(name, floor, command, ring, index, request.arrives_us, row, closing=closing)
            elif isinstance(command, CancelOrder):
                self._cancel(name, floor, command, request.arrives_us, row)
            else:
                self._amend(name, floor, command, request.arrives_us, row)

    def _expire(self, name: InstrumentId, floor: Floor, now: int, row: int) -> None:
        for key, order in list(floor.working.items()):
            expire = order.command.expire_us
            if expire is not None and expire <= now:
                del floor.working[key]
                self._end(name, order, "time to live is over", expire, row)

    def _submit(
        self,
        name: InstrumentId,
        floor: Floor,
        command: SubmitOrder,
        ring: I64,
        index: int,
        at_us: int,
        row: int,
        *,
        closing: bool,
    ) -> None:
        instrument = self._instruments[name]
        price, size = self._top(command, ring, index, closing=closing)
        reason = self._account.refusal(instrument, command, price)
        if reason:
            self._say(
                name,
                OrderRejected(
                    seq=self._number(), client_order_id=command.client_order_id, reason=reason, ts_us=at_us
                ),
            )
            return
        self._say(
            name, OrderAccepted(seq=self._number(), client_order_id=command.client_order_id, ts_us=at_us)
        )
        order = Working(command, command.qty, checked=row - 1)
        if command.type is OrderType.MARKET:
            self._take(name, floor, order, price, size, at_us, row)
        elif (
            command.type is OrderType.LIMIT and command.limit is not None and self._marketable(command, price)
        ):
            self._take(name, floor, order, price, size, at_us, row)
            if order.leaves:
                floor.working[command.client_order_id] = order
        else:
            floor.working[command.client_order_id] = order

    def _top(self, command: SubmitOrder, ring: I64, index: int, *, closing: bool) -> tuple[int, int]:
        """Return (price, size) that a market order meets: the top before the row, or the bar's open."""
        buy = command.side is Side.BUY
        if self._bars_only:
            at = index - 1 if closing else index
            if at < 0:
                return 0, 0
            return bar_price(int(ring[P if closing else OPEN, at]), self._slippage_ppm, buy=buy), 0
        if index < 1:
            return 0, 0
        return int(ring[ASK if buy else BID, index - 1]), int(ring[ASZ if buy else BSZ, index - 1])

    @staticmethod
    def _marketable(command: SubmitOrder, price: int) -> bool:
        if command.limit is None or price <= 0:
            return False
        return price <= command.limit if command.side is Side.BUY else price >= command.limit

    # ---- fills ----------------------------------------------------------------------------------

    def _take(
        self, name: InstrumentId, floor: Floor, order: Working, price: int, size: int, at_us: int, row: int
    ) -> None:
        """Trade against the book: the top, then one tick per multiple of its size."""
        command = order.command
        wanted = self._account.reducible(command) if command.reduce_only else order.leaves
        limit = command.limit if command.type is not OrderType.STOP_MARKET else None
        buy = command.side is Side.BUY
        for level, lots in walk(
            min(wanted, order.leaves),
            price,
            size,
            buy=buy,
            limit=limit,
            levels_max=self._settings.walk_levels_max,
        ):
            self._fill(name, floor, order, level, lots, at_us, row, maker=False)
        if order.leaves and command.type is not OrderType.LIMIT:
            reason = (
                "nothing left to reduce" if wanted < order.qty else "the book within the limit is used up"
            )
            self._end(name, order, reason, at_us, row)

    def _touches(self, name: InstrumentId, floor: Floor, ring: I64, index: int, row: int) -> None:
        """Compare resting orders with the row: stops first, then limits, each once per row."""
        kind = int(ring[KIND, index])
        orders = [o for o in floor.working.values() if o.checked < row]
        for order in orders:
            order.checked = row
        if kind not in (RowKind.TRADE, RowKind.BAR):
            return
        high = int(ring[HIGH if kind == RowKind.BAR else P, index])
        low = int(ring[LOW if kind == RowKind.BAR else P, index])
        now = int(ring[T, index])
        for order in orders:
            command = order.command
            if command.type is not OrderType.STOP_MARKET or command.stop is None:
                continue
            if (low <= command.stop) if command.side is Side.SELL else (high >= command.stop):
                del floor.working[command.client_order_id]
                price, size = self._stop_price(command, ring, index, kind)
                self._take(name, floor, order, price, size, now, row)
        for order in orders:
            command = order.command
            if command.type is not OrderType.LIMIT or command.limit is None or not order.leaves:
                continue
            if (low < command.limit) if command.side is Side.BUY else (high > command.limit):
                del floor.working[command.client_order_id]
                self._fill(name, floor, order, command.limit, order.leaves, now, row, maker=True)

    def _stop_price(self, command: SubmitOrder, ring: I64, index: int, kind: int) -> tuple[int, int]:
        buy = command.side is Side.BUY
        if kind == RowKind.BAR and command.stop is not None:
            opened = int(ring[OPEN, index])
            price = max(opened, command.stop) if buy else min(opened, command.stop)
            return bar_price(price, self._slippage_ppm, buy=buy), 0
        price = int(ring[ASK if buy else BID, index]) or int(ring[P, index])
        return price, int(ring[ASZ if buy else BSZ, index])

    def _fill(
        self,
        name: InstrumentId,
        floor: Floor,
        order: Working,
        price: int,
        lots: int,
        at_us: int,
        row: int,
        *,
        maker: bool,
    ) -> None:
        instrument, command = self._instruments[name], order.command
        rate = instrument.maker_fee if maker else instrument.taker_fee
        paid = fee(instrument.money(price * lots), rate)
        order.filled += lots
        self._trades += 1
        self._account.book(
            instrument, command.key.strategy, price, lots if command.side is Side.BUY else -lots, paid
        )
        self._say(
            name,
            OrderFilled(
                seq=self._number(),
                client_order_id=command.client_order_id,
                trade_id=f"t{self._trades}",
                price=price,
                qty=lots,
                fee=paid,
                maker=maker,
                ts_us=at_us,
            ),
        )

    def _cancel(self, name: InstrumentId, floor: Floor, command: CancelOrder, at_us: int, row: int) -> None:
        order = floor.working.pop(command.client_order_id, None)
        if order is None:
            refusal = RequestRefused(
                seq=self._number(),
                client_order_id=command.client_order_id,
                reason="no such order",
                ts_us=at_us,
            )
            self._say(name, refusal)
        else:
            self._end(name, order, "canceled on request", at_us, row, canceled=True)

    def _amend(self, name: InstrumentId, floor: Floor, command: AmendOrder, at_us: int, row: int) -> None:
        order = floor.working.get(command.client_order_id)
        if order is None or command.qty <= order.filled:
            refusal = RequestRefused(
                seq=self._number(),
                client_order_id=command.client_order_id,
                reason="no such order",
                ts_us=at_us,
            )
            self._say(name, refusal)
            return
        order.qty = command.qty
        answer = OrderAmended(
            seq=self._number(), client_order_id=command.client_order_id, qty=command.qty, ts_us=at_us
        )
        self._say(name, answer)

    def _end(
        self, name: InstrumentId, order: Working, reason: str, at_us: int, row: int, *, canceled: bool = False
    ) -> None:
        coid = order.command.client_order_id
        answer = OrderEnded(
            seq=self._number(), client_order_id=coid, canceled=canceled, reason=reason, ts_us=at_us
        )
        self._say(name, answer)

    def _say(self, name: InstrumentId, answer: Answer) -> None:
        self._out.append(Due(name, self._position, answer))

    def _number(self) -> int:
        self._seq += 1
        return self._seq

    # ---- what survives --------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return everything the venue must not forget, as JSON values."""
        return {
            "seq": self._seq,
            "trades": self._trades,
            "last_request": self._last_request,
            "account": self._account.state(),
            "floors": {name: floor.state() for name, floor in self._floors.items()},
        }

    def recall(self, kept: tuple[Mapping[str, Any], Sequence[Due]] | None, *, expected: bool) -> None:
        """Continue from what the book kept: its state, and the answers that no daemon has taken yet.

        With `expected`, a book that knows nothing of the account raises StateCorrupt: requests would be
        carried out a second time.
        """
        if kept is None:
            if expected:
                raise StateCorrupt(
                    "the simulated venue's file knows nothing of this session; restore venue.sqlite3 "
                    "beside the state file, or move both away to begin anew"
                )
            return
        state, waiting = kept
        self._seq = state["seq"]
        self._trades = state["trades"]
        self._last_request = state["last_request"]
        self._account.restore(state["account"])
        for name, one in state["floors"].items():
            if name in self._floors:
                self._floors[name] = Floor.of(one)
        self._waiting = list(waiting)

    def positions(self) -> dict[InstrumentId, int]:
        """Return the signed lots held of every instrument traded so far."""
        return self._account.nets()

    def working(self) -> list[tuple[SubmitOrder, tuple[int, int]]]:
        """Return every order at the venue with its (filled, whole) lots."""
        floors = self._floors.values()
        return [(o.command, (o.filled, o.qty)) for floor in floors for o in floor.working.values()]
