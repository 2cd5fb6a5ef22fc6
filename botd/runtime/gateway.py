"""The order gateway: a remote venue, as the trading loop sees one.

Commands go in as they are committed; answers come out at the loop's place, in one order. In between, each
order is sent at most once, and what becomes of it is found out: by the answer, the stream, the lists, and
lookups by its client order id. Nothing here survives the process: whatever was live when it died may have
been sent, and is looked up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from botd.core.events import (
    AmendOrder,
    Answer,
    CancelOrder,
    ClientOrderId,
    Command,
    OrderType,
    RequestRefused,
    SubmitOrder,
    VenueBan,
)
from botd.core.instrument import InstrumentId
from botd.core.lanes import I64
from botd.core.orders import Order
from botd.core.outcomes import OrderStatus
from botd.core.restraint import TradingState
from botd.engine.fills import NEVER
from botd.errors import InvariantBroken
from botd.ports import Clock, RemoteVenue, VenueBook, VenueError
from botd.runtime.brake import Brake
from botd.runtime.courier import Courier
from botd.runtime.link import Link
from botd.runtime.loop import TradingLoop
from botd.runtime.modes import ModeWatch
from botd.runtime.tickets import Phase, Ticket
from botd.runtime.tracking import Tracker
from botd.runtime.trades import FAMILY
from botd.runtime.watch import Watch

RETRY_S: Final = (0.5, 1.0, 2.0, 5.0)  # between tries to read the venue at a start


class Gateway:
    """Stands where the simulated venue stands on paper. All of it runs in one event loop."""

    def __init__(
        self, venue: RemoteVenue, clock: Clock, monotonic: Callable[[], float], brake: Brake
    ) -> None:
        self._clock = clock
        self._brake = brake
        self._loop: TradingLoop | None = None
        self._told: list[tuple[Callable[..., Answer], int, dict[str, Any]]] = []
        self._queue: list[Ticket | AmendOrder] = []
        self._sent = asyncio.Event()
        self._hear: Callable[[], object] = lambda: None
        self._again: list[AmendOrder] = []
        self._begun = asyncio.Event()
        self._ready = asyncio.Event()
        self.link = Link(venue, clock, monotonic, self._banned)
        self.tracker = Tracker(venue.rules, self._tell, self._known)
        self.watch = Watch(self.link, self.tracker, self._tell, brake.ask, self._nets, self._balances)
        self.modes = ModeWatch(self.link, self._tell, brake.ask, self._terms, self._instruments)
        self.courier = Courier(
            self.link, self.tracker, self._tell, lambda: brake.on, self.watch.wake, brake.ask
        )

    # ---- what it may know of the books ----------------------------------------------------------

    def serve(self, loop: TradingLoop, seen: Iterable[tuple[str, str]]) -> None:
        """Be the venue of a loop; `seen` are the fills of the last day in its books, by `seen_name`."""
        self._loop = loop
        self.tracker.seen.update(dict.fromkeys(seen, self._clock.now_us()))

    def _served(self) -> TradingLoop:
        if self._loop is None:
            raise InvariantBroken("the gateway serves nobody")
        return self._loop

    def _known(self, client_order_id: ClientOrderId) -> Order | None:
        return self._served().bot.desk.orders.get(client_order_id)

    def _nets(self) -> Mapping[InstrumentId, int]:
        return self._served().bot.desk.holdings()

    def _balances(self) -> Mapping[str, Decimal]:
        portfolio = self._served().bot.desk.portfolio
        return {currency: portfolio.balance(currency) for currency in portfolio.currencies()}

    def _terms(self) -> Mapping[str, str]:
        return self._served().bot.desk.terms

    def _instruments(self) -> Mapping[InstrumentId, object]:
        return self._served().bot.desk.instruments

    # ---- answers --------------------------------------------------------------------------------

    def wake_by(self, hear: Callable[[], object]) -> None:
        """Have a function called whenever an answer waits."""
        self._hear = hear

    def _tell(self, kind: Callable[..., Answer], ts_us: int, /, **fields: Any) -> None:
        self._told.append((kind, ts_us, fields))
        self._hear()

    def _banned(self, for_us: int, reason: str) -> None:
        self._tell(VenueBan, 0, until_us=self.link.now_us() + for_us, for_us=for_us, reason=reason)

    @property
    def waits(self) -> bool:
        """Whether an answer waits to be taken."""
        return bool(self._told)

    def waiting_position(self) -> int:
        """Return that no row has to wait: what is heard is taken where the loop asks for it."""
        return NEVER

    def take_waiting(self, position: int) -> list[Answer]:
        """Hand over what has been heard, numbered in the order it is applied in.

        Nothing comes before the last row, and nothing from the future.
        """
        told = self._next_told()
        if not told:
            return []
        loop, now_us = self._served(), self.link.now_us()
        floor_us = loop.ts_us or now_us
        return [
            kind(seq=seq, ts_us=max(min(ts_us, now_us), floor_us), **fields)
            for seq, (kind, ts_us, fields) in enumerate(told, loop.venue_seq + 1)
        ]

    def _next_told(self) -> list[tuple[Callable[..., Answer], int, dict[str, Any]]]:
        """Take what has been heard, up to a refused change: what comes before may have its stop be cancelled.

        Of a stop that is to end a refused change is no news, and no answer to its cancel: that one is asked
        for until the stop has ended.
        """
        while self._told and self._refuses_what_ends(*self._told[0]):
            self._told.pop(0)
        ends = [place for place, one in enumerate(self._told) if place and one[0] is RequestRefused]
        end = ends[0] if ends else len(self._told)
        told, self._told = self._told[:end], self._told[end:]
        if self._told:
            self._hear()
        return told

    def _refuses_what_ends(self, kind: Callable[..., Answer], _ts_us: int, fields: Mapping[str, Any]) -> bool:
        order = self._known(fields["client_order_id"]) if kind is RequestRefused else None
        return order is not None and order.status is OrderStatus.PENDING_CANCEL

    # ---- commands -------------------------------------------------------------------------------

    def send(self, number: int, command: Command) -> None:
        """Take a command that is on disk; it leaves when `save` has been called."""
        if isinstance(command, SubmitOrder):
            self._queue.append(self.tracker.track(command))
            return
        ticket = self.tracker.tickets.get(command.client_order_id)
        if isinstance(command, CancelOrder):
            if ticket is not None:
                ticket.cancel_wanted = True
                ticket.cancel_s = 0.0
            self.watch.wake()
        elif ticket is not None:
            self._queue.append(command)

    def send_again(self, number: int, command: Command) -> None:
        """Take what a process before this one may have sent: an order is looked up and never sent again.

        It is live in the books, and so is a cancel; what a stop was to be is asked for once more.
        """
        if isinstance(command, AmendOrder):
            self._again.append(command)

    def took(self, number: int) -> bool:
        """Return True before anything was reconciled: all of that may have been sent."""
        return not self.reconciled

    def save(self) -> None:
        """Let go what has been taken."""
        self._sent.set()

    # ---- running --------------------------------------------------------------------------------

    @property
    def reconciled(self) -> bool:
        """Whether it is known how things stand at the venue: nothing is sent before."""
        return self._ready.is_set()

    async def begin(self) -> None:
        """Reconcile, now that the books are as they were, and return once that is done."""
        self._begun.set()
        await self._ready.wait()

    async def _reconcile(self) -> None:
        """Find out how things stand at the venue. Tries until it has been told."""
        bot = self._served().bot
        desk = bot.desk
        # our clock may be wrong: a ban is over after as long as it was for, whatever the time is
        self.link.stay_away(min(desk.banned_until_us - self._clock.now_us(), desk.banned_for_us))
        amending = [r.memory.stop_id for r in bot.runners if r.memory.amending and r.memory.stop_id]
        self.tracker.busts.names |= set(desk.busted)
        self.tracker.resume(desk.orders.live(), amending, self.link.now_s())
        unanswered = {one.client_order_id: one for one in self._again if one.client_order_id in amending}
        self._queue += unanswered.values()  # the last to each stop: all of them could overtake one another
        self._again.clear()
        self.watch.held_before(
            {(one.cause, one.scope) for one in desk.restraints if one.state is TradingState.REDUCING}
        )
        tries = 0
        while True:
            try:
                await self.watch.measure()
                self.watch.begin(self._fills_from())
                await self.watch.read_all()
                await self.watch.compare()
                await self.modes.check()
            except VenueError:
                await asyncio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
                tries += 1
                continue
            self._ready.set()
            self.save()
            return

    def _fills_from(self) -> int:
        """Return the venue time from which on fills may be missing; what came before botd is not its own."""
        now_us, rules = self.link.now_us(), self.link.rules
        began_us = self._served().bot.desk.fills_from_us or now_us
        return max(began_us, now_us - rules.fills_back_us)

    def epoch(self) -> tuple[str, int]:
        """Return what the order ids of this process begin with, and the venue's time."""
        return id_prefix(self._clock.now_us()), self.link.now_us()

    async def run(self) -> None:
        """Serve until cancelled. Started again, whatever was on its way counts as unanswered."""
        if not self.reconciled:
            await self._begun.wait()
            await self._reconcile()
        self._take_up()
        async with asyncio.TaskGroup() as group:

            def spawn(name: str, work: Coroutine[Any, Any, object]) -> None:
                group.create_task(work, name=name)

            def cancel(ticket: Ticket) -> None:
                ticket.cancelling = True
                spawn(f"cancel {ticket.id}", self.courier.cancel(ticket))

            spawn("gateway poll", self.watch.poll(self.save))
            spawn("gateway doubts", self.watch.cry_for_ever())
            spawn("gateway lookups", self.watch.look_up())
            spawn("gateway cancels", self.watch.repeat_cancels(cancel))
            spawn("gateway stream", self.watch.listen())
            spawn("gateway clock", self.watch.keep_time())
            spawn("gateway holdings", self.watch.compare_for_ever())
            spawn("gateway modes", self.modes.watch())
            while True:
                await self._sent.wait()
                self._sent.clear()
                queue, self._queue = self._queue, []
                for one in queue:
                    self._dispatch(one, spawn)
                for orphan in sorted(self.tracker.orphans):
                    spawn(f"cancel {orphan}", self.courier.cancel_orphan(orphan))

    def _take_up(self) -> None:
        """Take up what a failure of this task has dropped."""
        queued = {one.id for one in self._queue if isinstance(one, Ticket)}
        for ticket in list(self.tracker.tickets.values()):
            ticket.cancelling = False
            if ticket.phase is Phase.SENDING:
                self.tracker.doubt(ticket, "the gateway was restarted", self.link.now_s())
            elif ticket.phase is Phase.WAITING and ticket.id not in queued:
                self._queue.append(ticket)

    def _dispatch(
        self, one: Ticket | AmendOrder, spawn: Callable[[str, Coroutine[Any, Any, object]], None]
    ) -> None:
        if isinstance(one, AmendOrder):
            ticket = self.tracker.tickets.get(one.client_order_id)
            if ticket is not None:
                spawn(f"amend {one.client_order_id}", self.courier.amend(ticket, one))
        elif one.phase is Phase.WAITING:
            spawn(f"submit {one.id}", self.courier.submit(one))

    @property
    def unresolved(self) -> Sequence[ClientOrderId]:
        """Return the orders whose fate is not known: in doubt, on their way, being cancelled."""
        return [
            one.id
            for one in self.tracker.tickets.values()
            if one.phase is not Phase.SIGHTED
            or one.cancel_wanted
            or one.final
            or one.command.type is OrderType.MARKET
            or (one.command.stop is not None and one.filled)
        ]

    # ---- what a venue in event time does, and this one does not ---------------------------------

    def keep_in(self, book: VenueBook) -> None:
        """Keep nothing: the venue does."""

    def state(self) -> Mapping[str, Any]:
        return {}

    def recall(self, kept: tuple[Mapping[str, Any], Sequence[Any]] | None, *, expected: bool) -> None:
        """Recall nothing: the venue is asked."""

    def busy(self, instrument: InstrumentId) -> bool:
        return False

    def deadline_us(self, instrument: InstrumentId) -> int:
        return NEVER

    def first_touch(self, instrument: InstrumentId, ring: I64, first_row: int, start: int, stop: int) -> int:
        return stop

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
        return []

    def drain(
        self, instrument: InstrumentId, ring: I64, first_row: int, rows: int, position: int
    ) -> list[Answer]:
        return []


def id_prefix(started_us: int) -> str:
    """Return what the client order ids of a process begin with: no two processes have the same.

    The epoch is the second of its start, which an old backup of the state file cannot bring back.
    """
    digits, number = "", started_us // 1_000_000
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return f"{FAMILY}-{digits}"
