"""Safeguards taken out one at a time, to see that the simulation misses each of them.

A mutant replaces a function of the daemon by a worse one, for as long as it is applied. Nothing in the daemon
knows of them: no switch of it can take a safeguard out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from botd.core import answers, changes, dust, external, orders, verdicts
from botd.core.changes import Change
from botd.core.desk import Desk
from botd.core.events import ClientOrderId, ExternalFill, OrderEnded, OrderFilled, TradeBusted
from botd.core.orders import Order, OrderTable
from botd.core.verdicts import Verdict
from botd.ports import VenueError
from botd.runtime import link
from botd.runtime.courier import Courier
from botd.runtime.gateway import Gateway
from botd.runtime.link import Kind, Link
from botd.runtime.live import LiveDriver
from botd.runtime.modes import ModeWatch
from botd.runtime.recovery import Recovery
from botd.runtime.tickets import Phase, Ticket
from botd.runtime.tracking import Tracker
from botd.runtime.watch import Watch
from botd.store.journal import SqliteJournal
from botd.venues.simulated import SimulatedVenue

Patch = tuple[Any, str, Any]  # whose attribute becomes what


@dataclass(frozen=True, slots=True)
class Mutant:
    """A safeguard that is missing."""

    name: str
    without: str  # what the daemon does without it
    patches: Callable[[], Sequence[Patch]]


@contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """Run the daemon without a safeguard."""
    patches = mutant.patches()
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in patches]
    for owner, name, worse in patches:
        setattr(owner, name, worse)
    try:
        yield
    finally:
        for owner, name, was in before:
            setattr(owner, name, was)


# ---- sending ------------------------------------------------------------------------------------


def _retry_same_id() -> Sequence[Patch]:
    async def post(self: Courier, ticket: Ticket) -> Any:
        ticket.sent_s = self._link.now_s()
        try:
            return await self._link.venue.submit(ticket.command)
        except VenueError as error:
            if self._link.verdict(error) is not Verdict.UNKNOWN:
                raise
            return await self._link.venue.submit(ticket.command)

    return [(Courier, "_post", post)]


def _retry_new_id() -> Sequence[Patch]:
    async def post(self: Courier, ticket: Ticket) -> Any:
        ticket.sent_s = self._link.now_s()
        try:
            return await self._link.venue.submit(ticket.command)
        except VenueError as error:
            if self._link.verdict(error) is not Verdict.UNKNOWN:
                raise
            again = ClientOrderId(f"{ticket.id}r")
            report = await self._link.venue.submit(replace(ticket.command, client_order_id=again))
            return replace(report, client_order_id=ticket.id)

    return [(Courier, "_post", post)]


def _resend_after_restart() -> Sequence[Patch]:
    def send_again(self: Gateway, number: int, command: Any) -> None:
        self.send(number, command)

    def resume(self: Tracker, live: Any, amending: Any, now_s: float) -> None:
        whole(self, [one for one in live if str(one.client_order_id) not in self.tickets], amending, now_s)

    whole = Tracker.resume
    return [(Gateway, "send_again", send_again), (Tracker, "resume", resume)]


def _send_before_commit() -> Sequence[Patch]:
    async def keep(self: LiveDriver, group: Any) -> None:
        await whole(self, replace(group, urgent=False))

    whole = LiveDriver._keep
    return [(LiveDriver, "_keep", keep)]


def _late_entries() -> Sequence[Patch]:
    return [(Courier, "_why_not", lambda self, ticket: "")]


def _ban_ignored() -> Sequence[Patch]:
    def closed_to(self: Link, kind: Kind) -> bool:
        return kind is not Kind.CANCEL and self.now_s() < self._limited_until_s

    return [(Link, "closed_to", closed_to)]


# ---- finding out --------------------------------------------------------------------------------


def _unknown_is_refused() -> Sequence[Patch]:
    def verdict(venue: str, name: str, *, http: int | None, code: str) -> Verdict:
        found = whole(venue, name, http=http, code=code)
        return Verdict.REFUSED if found is Verdict.UNKNOWN else found

    whole = verdicts.verdict
    return [(link, "verdict", verdict)]


def _absent_is_never() -> Sequence[Patch]:
    def not_there(self: Tracker, ticket: Ticket, asked_s: float) -> None:
        ticket.absent_s = asked_s
        whole(self, ticket, asked_s)

    whole = Tracker._not_there
    return [
        (Tracker, "deadline_s", lambda self, ticket: ticket.sent_s),
        (Tracker, "_not_there", not_there),
    ]


def _no_lookup_after_restart() -> Sequence[Patch]:
    def resume(self: Tracker, live: Any, amending: Any, now_s: float) -> None:
        whole(self, [order for order in live if order.accepted], amending, now_s)

    whole = Tracker.resume
    return [(Tracker, "resume", resume)]


def _doubt_forgotten() -> Sequence[Patch]:
    def doubt(self: Tracker, ticket: Ticket, reason: str, now_s: float) -> None:
        if ticket.phase in (Phase.SENDING, Phase.WAITING, Phase.DOUBT):
            self.never_sent(ticket, reason)

    return [(Tracker, "doubt", doubt)]


def _cancel_assumed() -> Sequence[Patch]:
    async def cancel(self: Courier, ticket: Ticket) -> None:
        with suppress(VenueError):
            await self._link.venue.cancel(ticket.id, ticket.command.instrument)
        self._tracker._end(ticket)
        self._tell(OrderEnded, 0, client_order_id=ticket.id, canceled=True, reason="assumed")

    def fill(self: Tracker, one: Any) -> None:
        order = self._known(one.client_order_id)
        if order is None or not order.is_terminal or order.filled >= order.qty:
            whole(self, one)

    whole = Tracker.fill
    return [(Courier, "cancel", cancel), (Tracker, "fill", fill)]


def _stream_only() -> Sequence[Patch]:
    async def read_all(self: Watch) -> None:
        asked_s = self._link.now_s()
        for report in await self._link.ask(Kind.READ, self._link.venue.fetch_open_orders):
            self._tracker.report(report, asked_s)
        self._read_s = self._link.now_s()

    return [(Watch, "read_all", read_all)]


def _fills_from_now() -> Sequence[Patch]:
    return [(Gateway, "_fills_from", lambda self: self.link.now_us())]


def _no_overlap() -> Sequence[Patch]:
    async def read_all(self: Watch) -> None:
        before_us = self._link.now_us()
        await whole(self)
        self.since_us = before_us

    whole = Watch.read_all
    return [(Watch, "read_all", read_all)]


# ---- booking ------------------------------------------------------------------------------------


def _fills_twice() -> Sequence[Patch]:
    def filled(order: Order, answer: OrderFilled) -> Change:
        order.trade_ids = ()
        return whole(order, answer)

    class Forgetful(dict[Any, int]):
        def __contains__(self, one: object) -> bool:
            return False

    def build(self: Tracker, *terms: Any) -> None:
        made(self, *terms)
        self.seen = Forgetful()

    whole, made = changes._filled, Tracker.__init__
    own = Tracker._own_fill

    def own_fill(self: Tracker, name: ClientOrderId, fill: Any) -> None:
        ticket = self.tickets.get(name)
        if ticket is not None:
            ticket.trades.clear()
        own(self, name, fill)

    book = {**changes.BOOK, OrderFilled: filled}
    return [
        (Tracker, "__init__", build),
        (Tracker, "_own_fill", own_fill),
        (orders, "BOOK", book),
    ]


def _late_fill_dropped() -> Sequence[Patch]:
    def book(self: OrderTable, order: Order, answer: Any) -> Change:
        return Change.DUPLICATE if order.is_terminal else whole(self, order, answer)

    whole = OrderTable.book
    return [(OrderTable, "book", book)]


def _overfill_clamped() -> Sequence[Patch]:
    def own_fill(self: Tracker, name: ClientOrderId, fill: Any) -> None:
        order = self._known(name)
        left = fill.qty if order is None else order.qty - order.filled
        if left > 0:
            whole(self, name, replace(fill, qty=min(fill.qty, left)))

    whole = Tracker._own_fill
    return [(Tracker, "_own_fill", own_fill)]


def _external_ignored() -> Sequence[Patch]:
    def ignore(desk: Desk, runners: Any, fill: Any) -> None:
        return

    return [(external, "_DO", {**external._DO, ExternalFill: ignore})]


def _base_fees_ignored() -> Sequence[Patch]:
    def pay(desk: Desk, runners: Any, strategy: str, instrument: Any, fill: Any, taken: Any) -> None:
        if not instrument.holds(taken.currency):
            whole(desk, runners, strategy, instrument, fill, taken)

    whole = dust._pay
    return [(dust, "_pay", pay)]


def _busts_ignored() -> Sequence[Patch]:
    def ignore(desk: Desk, runners: Any, bust: TradeBusted) -> None:
        return

    return [(external, "_DO", {**external._DO, TradeBusted: ignore})]


def _modes_not_compared() -> Sequence[Patch]:
    async def check(self: ModeWatch) -> None:
        return

    return [(ModeWatch, "check", check)]


def _fees_forgotten() -> Sequence[Patch]:
    def filled(desk: Desk, runner: Any, order: Order, fill: OrderFilled) -> None:
        whole(desk, runner, order, replace(fill, fee=Decimal(0)))

    whole = answers.filled
    return [(answers, "filled", filled)]


def _stop_left() -> Sequence[Patch]:
    def flat(desk: Desk, runner: Any, ts_us: int) -> None:
        stop, runner.memory.stop_id = runner.memory.stop_id, None
        whole(desk, runner, ts_us)
        runner.memory.stop_id = stop

    whole = answers._flat
    return [(answers, "_flat", flat)]


def _stop_not_resized() -> Sequence[Patch]:
    return [(Desk, "amend", lambda self, order, lots, stop, ts_us: None)]


def _exits_may_add() -> Sequence[Patch]:
    def submit(self: Desk, *terms: Any, **named: Any) -> Order:
        if named.get("reduce_only") and named.get("stop") is None:
            named["reduce_only"] = False
        return whole(self, *terms, **named)

    whole = Desk.submit
    return [(Desk, "submit", submit)]


# ---- coming back --------------------------------------------------------------------------------


def _answers_not_met_again() -> Sequence[Patch]:
    def events_at(self: Recovery, position: int) -> Any:
        return [event for event in whole(self, position) if event.kind != "answers"]

    whole = Recovery.events_at
    return [(Recovery, "events_at", events_at)]


def _halt_forgotten() -> Sequence[Patch]:
    def restore(self: Desk, state: Any) -> None:
        whole(self, {**state, "restraints": ()})

    whole = Desk.restore
    return [(Desk, "restore", restore)]


def _ids_begin_anew() -> Sequence[Patch]:
    def restore(self: Desk, state: Any) -> None:
        whole(self, {**state, "ids": 0})

    whole = Desk.restore
    return [(Desk, "restore", restore), (Gateway, "epoch", lambda self: ("botd-0", self.link.now_us()))]


def _halves_committed() -> Sequence[Patch]:
    def commit(self: SqliteJournal, batch: Any) -> None:
        whole(self, replace(batch, events=(), cursor=None))
        whole(self, replace(batch, records=()))

    whole = SqliteJournal.commit
    return [(SqliteJournal, "commit", commit)]


def _venue_forgets() -> Sequence[Patch]:
    return [(SimulatedVenue, "save", lambda self: None)]


MUTANTS: Final[tuple[Mutant, ...]] = tuple(
    Mutant(make.__name__.lstrip("_"), without, make)
    for make, without in (
        (_retry_same_id, "sends an order again under the same id where the outcome is unknown"),
        (_retry_new_id, "sends an order again under a new id where the outcome is unknown"),
        (_resend_after_restart, "sends again what was committed before a crash"),
        (_send_before_commit, "sends orders before they are on disk"),
        (_late_entries, "sends entries however late"),
        (_ban_ignored, "calls a venue that has banned it"),
        (_unknown_is_refused, "takes an unknown outcome for a refusal"),
        (_absent_is_never, "takes an order that a lookup does not find for one that never came"),
        (_no_lookup_after_restart, "does not look up what was on its way when it died"),
        (_doubt_forgotten, "drops an order whose outcome is unknown"),
        (_cancel_assumed, "takes a cancel, answered or not, for the end"),
        (_stream_only, "believes that the stream shows every fill"),
        (_fills_from_now, "reads no fills of the time it was away"),
        (_no_overlap, "reads fills from where it last read, to the microsecond"),
        (_fills_twice, "books a fill as often as it is shown"),
        (_late_fill_dropped, "drops a fill of an order that is over"),
        (_overfill_clamped, "books no more than was asked for"),
        (_external_ignored, "books nothing that others trade"),
        (_base_fees_ignored, "takes fees in what was bought for nothing"),
        (_busts_ignored, "keeps a trade that the venue has taken back"),
        (_modes_not_compared, "never looks at position mode, margin mode and leverage"),
        (_fees_forgotten, "books no fees"),
        (_stop_left, "leaves the stop of a closed position"),
        (_stop_not_resized, "leaves a stop as large as it was"),
        (_exits_may_add, "sends exits that may add"),
        (_answers_not_met_again, "does not meet the venue's answers again after a restart"),
        (_halt_forgotten, "forgets a halt over a restart"),
        (_ids_begin_anew, "counts its order ids from one after a restart"),
        (_halves_committed, "commits records and cursor in two transactions"),
        (_venue_forgets, "trades on paper at a venue that saves nothing"),
    )
)
