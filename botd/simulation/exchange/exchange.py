"""The venue: takes requests from processes, fills, misbehaves, and knows what truly happened.

It belongs to no process and outlives them all. What it does is a function of the loop's time, of the prices
and of chance.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from botd.core.events import AmendOrder, Side, SubmitOrder
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.money import ZERO
from botd.ports import (
    AccountModes,
    OrderReport,
    OrderState,
    RemoteVenue,
    VenueError,
    VenueEvent,
    VenueFill,
    VenueRules,
)
from botd.simulation.chance import Chance
from botd.simulation.exchange import sites
from botd.simulation.exchange.account import Account
from botd.simulation.exchange.archive import Archive
from botd.simulation.exchange.gate import Gate
from botd.simulation.exchange.matching import NOTHING_TO_REDUCE, Matching
from botd.simulation.exchange.mishaps import Mishaps
from botd.simulation.exchange.network import Network
from botd.simulation.exchange.orders import Order
from botd.simulation.exchange.resting import Prices
from botd.simulation.exchange.sites import Kind
from botd.simulation.exchange.streams import Streams, Subscription
from botd.simulation.exchange.truth import Truth
from botd.simulation.host import Process
from botd.simulation.loop import VirtualLoop

RULES: Final = VenueRules(
    name="simulated",
    validity_us=5_000_000,
    processing_us=10_000_000,
    read_lag_us=5_000_000,
    ids_unique=False,
)


class Exchange:
    """A venue with one account in one-way mode. `chance` has to know `sites.SITES`."""

    def __init__(
        self,
        loop: VirtualLoop,
        chance: Chance,
        prices: Prices,
        *,
        instruments: Sequence[Instrument],
        cash: Mapping[str, Decimal],
        rules: VenueRules = RULES,
    ) -> None:
        self.rules = rules
        self.on_event: Callable[[VenueEvent], None] | None = None  # sees each event when it truly happens
        self.account = Account(cash)
        self.matching = Matching(
            loop,
            chance,
            prices,
            instruments,
            self.account,
            read_lag_us=rules.read_lag_us,
            tell=self._tell,
        )
        self._loop = loop
        self.chance = chance
        self._shown = self.matching.shown
        self._ended: dict[str, OrderState] = {}  # by client order id, of orders that were put away
        gate = Gate(chance, self.matching)
        self.network = Network(loop, chance, rules, self.matching, gate)
        self._streams = Streams(loop, chance, self.matching, self.network.latency_s)
        self.mishaps = Mishaps(chance, self.matching, self._streams)

    @property
    def truth(self) -> Truth:
        """What truly happened."""
        return self.matching.truth

    @property
    def open_orders(self) -> tuple[OrderReport, ...]:
        """What is truly open, oldest first."""
        return tuple(order.report() for order in self.matching.open.values())

    @property
    def hid(self) -> frozenset[str]:
        """Return the client order ids of orders that reads did not show for a while."""
        return frozenset(self._shown.hid)

    def final_state(self, client_order_id: str) -> OrderState | None:
        """Return what an order truly is, None where none of this id was ever accepted."""
        orders = self._shown.known(client_order_id)
        return orders[-1].state if orders else self._ended.get(client_order_id)

    def changed_us(self, client_order_id: str) -> int:
        """Return when an order last changed, 0 where that is long ago."""
        orders = self._shown.known(client_order_id)
        return orders[-1].ts_us if orders else 0

    def put_away(self, archive: Archive, before_us: int) -> None:
        """Move the record of what was over before a time into a file; reads show it no more."""
        ended = self._shown.take_ended(before_us)
        self._shown.forget_fills(before_us)
        archive.put(self.truth.take_old(before_us, ended, lambda name: bool(self._shown.known(name))))

    def take_back(self, archive: Archive) -> None:
        """Have the whole record again, for the judges."""
        for chapter in archive.chapters():
            self.truth.take_back(chapter)
            self._ended.update(chapter.ended)

    def connect(self, process: Process) -> RemoteVenue:
        """Return the venue as this process sees it."""
        return Connection(self, process, self._loop)

    def _tell(self, event: VenueEvent) -> None:
        self._loop.note(repr(event))
        self._streams.tell(event)
        if self.on_event is not None:
            self.on_event(event)

    # ---- requests, as they are processed; what they raise is the answer ---------------------------

    def submit(self, command: SubmitOrder) -> OrderReport | VenueError:
        """Accept an order, or raise why not. The answer may be an error though it is accepted."""
        refused = self.chance.hit(sites.REFUSED.name)
        doubled = self.chance.hit(sites.DUPLICATE.name)
        self.matching.settle()
        self._check(command)
        if refused is not None:
            if command.reduce_only or refused.below(2):
                raise VenueError("InvalidOrder", "the order is refused", http=400, code="-1013")
            raise VenueError("InsufficientFunds", "insufficient balance", http=400, code="-2019")
        order = self.matching.accept(command)
        misled_us = 0 if command.reduce_only else self.mishaps.misled_us(command.instrument)
        if misled_us:
            self.truth.misled.append((command.client_order_id, misled_us))
        if doubled is not None and self._taken(command.client_order_id):
            return _duplicate()  # it is an answer, and no refusal
        return order.report()

    def cancel(self, client_order_id: str, instrument: InstrumentId) -> None:
        """Cancel an open order; on its way the cancel may lose the race against a fill."""
        order = self._open_order(client_order_id, instrument)
        wins = self.chance.hit(sites.FILL_WINS.name)
        part = self.chance.hit(sites.PART_FILLS.name)
        after = self.chance.hit(sites.FILL_AFTER.name)
        if wins is not None:
            self.matching.force(order, order.rest)
        elif part is not None and order.rest > 1:
            self.matching.force(order, 1 + part.below(order.rest - 1))
        if order.state is not OrderState.OPEN:
            raise _not_found()
        if after is not None and order.stop is None:  # what has not been triggered cannot fill
            self.matching.fill_after(order, 1 + after.below(order.rest))
        self.matching.end(order, OrderState.CANCELED, "canceled on request")

    def amend(self, command: AmendOrder) -> None:
        """Change an open order."""
        refused = self.chance.hit(sites.AMEND_REFUSED.name)
        order = self._open_order(command.client_order_id, command.instrument)
        if refused is not None:
            raise VenueError("InvalidOrder", "order would immediately trigger", http=400, code="-2021")
        if command.qty <= order.filled:
            raise VenueError(
                "InvalidOrder", "the quantity is not above what is filled", http=400, code="-1013"
            )
        self.matching.amend(order, command.qty, command.stop)

    def fetch_order(self, client_order_id: str, instrument: InstrumentId) -> OrderReport | None:
        """Look an order up, as far as it is shown."""
        return self._shown.order(client_order_id, instrument, self.matching.seen_us)

    def fetch_open_orders(self) -> tuple[OrderReport, ...]:
        """Return what is shown as open."""
        found = self._shown.open_orders(self.matching.open.values(), self.matching.seen_us)
        return () if found and self._comes_empty() else found

    def fetch_fills(self, since_us: int) -> tuple[VenueFill, ...]:
        """Return the fills that are shown, as far back as the rules let one ask."""
        oldest_us = self.matching.now_us() - self.rules.fills_back_us
        return self._shown.fills(max(since_us, oldest_us), self.matching.seen_us)

    def fetch_positions(self) -> dict[InstrumentId, int]:
        """Return what is shown as held."""
        shown = self.account.without(self._shown.hidden(self.matching.seen_us))
        found = {instrument: lots for instrument, lots in shown.items() if lots}
        return {} if found and self._comes_empty() else found

    def fetch_balances(self) -> dict[str, Decimal]:
        """Return the cash."""
        fault = self.chance.hit(sites.EMPTY.name)
        if fault is None:
            return dict(self.account.cash)
        return dict.fromkeys(self.account.cash, ZERO) if fault.below(2) else {}

    def fetch_modes(self) -> AccountModes:
        """Return how the account is set up."""
        return self.mishaps.modes(self.rules.one_way)

    def fetch_time_us(self) -> int:
        """Return the venue's time."""
        return self.matching.now_us()

    def subscribe(self, subscription: Subscription) -> None:
        """Begin to feed a connection to the stream."""
        self._streams.add(subscription)

    def _comes_empty(self) -> bool:
        return self.chance.hit(sites.EMPTY.name) is not None

    def _open_order(self, client_order_id: str, instrument: InstrumentId) -> Order:
        """Return the open order of an id. One that does not show yet is not found here either."""
        self.matching.settle()
        for order in reversed(self._shown.known(client_order_id)):
            if order.state is OrderState.OPEN and order.instrument.id == instrument:
                if order.as_of(self.matching.seen_us) is None:
                    break
                return order
        raise _not_found()

    def _taken(self, client_order_id: str) -> bool:
        """Whether an order of this id would be refused as a duplicate."""
        orders = self._shown.known(client_order_id)
        return any(self.rules.ids_unique or order.state is OrderState.OPEN for order in orders)

    def _check(self, command: SubmitOrder) -> None:
        """Raise why an order is not acceptable."""
        instrument = self.matching.instruments.get(command.instrument)
        if instrument is None:
            raise VenueError("BadSymbol", f"there is no {command.instrument}", http=400, code="-1121")
        if self._taken(command.client_order_id):
            raise _duplicate()
        if command.qty < 1 or (instrument.qty_max_lots is not None and command.qty > instrument.qty_max_lots):
            raise VenueError("InvalidOrder", "the quantity is out of range", http=400, code="-4003")
        reducible = self.account.reducible(command.instrument, command.side)
        price = command.limit or command.stop or self.matching.top(command.instrument)[1]
        too_small = instrument.money(command.qty * price) < instrument.min_notional
        if command.reduce_only:
            if not reducible:
                raise VenueError("InvalidOrder", NOTHING_TO_REDUCE, http=400, code="-2022")
            if too_small and instrument.kind is InstrumentKind.SPOT:  # to it an exit is an order as any other
                raise _too_small()
            return
        if instrument.kind is InstrumentKind.SPOT and command.side is Side.SELL and command.qty > reducible:
            raise VenueError("InsufficientFunds", "insufficient balance", http=400, code="-2010")
        if too_small or self.mishaps.too_small(command.qty):
            raise _too_small()


def _too_small() -> VenueError:
    return VenueError("InvalidOrder", "the notional is too small", http=400, code="-4164")


def _duplicate() -> VenueError:
    return VenueError("DuplicateOrderId", "the client order id is taken", http=400, code="-4116")


def _not_found() -> VenueError:
    return VenueError("OrderNotFound", "unknown order sent", http=400, code="-2011")


class Connection:
    """ports.RemoteVenue for one process."""

    def __init__(self, exchange: Exchange, process: Process, loop: VirtualLoop) -> None:
        self._exchange = exchange
        self._process = process
        self._loop = loop
        self._offset_us = 0

    def correct_clock(self, offset_us: int) -> None:
        self._offset_us = offset_us

    @property
    def rules(self) -> VenueRules:
        return self._exchange.rules

    async def submit(self, order: SubmitOrder) -> OrderReport:
        self._exchange.truth.sent[order.client_order_id] += 1
        report: OrderReport = await self._ask(Kind.SUBMIT, self._exchange.submit, order)
        return report

    async def cancel(self, client_order_id: str, instrument: InstrumentId) -> None:
        await self._ask(Kind.CHANGE, self._exchange.cancel, client_order_id, instrument)

    async def amend(self, command: AmendOrder) -> None:
        await self._ask(Kind.CHANGE, self._exchange.amend, command)

    async def fetch_order(self, client_order_id: str, instrument: InstrumentId) -> OrderReport | None:
        found: OrderReport | None = await self._read(self._exchange.fetch_order, client_order_id, instrument)
        return found

    async def fetch_open_orders(self) -> tuple[OrderReport, ...]:
        found: tuple[OrderReport, ...] = await self._read(self._exchange.fetch_open_orders)
        return found

    async def fetch_fills(self, since_us: int) -> tuple[VenueFill, ...]:
        found: tuple[VenueFill, ...] = await self._read(self._exchange.fetch_fills, since_us)
        return found

    async def fetch_positions(self) -> Mapping[InstrumentId, int]:
        found: dict[InstrumentId, int] = await self._read(self._exchange.fetch_positions)
        return found

    async def fetch_balances(self) -> Mapping[str, Decimal]:
        found: dict[str, Decimal] = await self._read(self._exchange.fetch_balances)
        return found

    async def fetch_modes(self) -> AccountModes:
        modes: AccountModes = await self._read(self._exchange.fetch_modes)
        return modes

    async def fetch_time_us(self) -> int:
        time_us: int = await self._ask(Kind.READ, self._exchange.fetch_time_us, signed=False)
        return time_us

    async def stream(self) -> AsyncIterator[VenueEvent | None]:
        subscription = Subscription(self._process, self._loop)
        try:
            await self._read(self._exchange.subscribe, subscription)
            while True:
                yield await subscription.next()
        finally:
            subscription.ended = True

    async def _read(self, handler: Callable[..., object], *args: object) -> Any:
        return await self._ask(Kind.READ, handler, *args)

    async def _ask(
        self, kind: Kind, handler: Callable[..., object], *args: object, signed: bool = True
    ) -> Any:
        """Make one request and wait for what becomes of it."""
        stamp_us = self._process.clock.now_us() + self._offset_us if signed else None
        result = await self._exchange.network.send(self._process, kind, handler, *args, stamp_us=stamp_us)
        if isinstance(result, Exception):
            raise result
        return result
