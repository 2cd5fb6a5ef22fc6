"""Carries commands to a remote venue: each order once, cancels and changes until they are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from botd.core.events import AmendOrder, VenueNotice
from botd.core.outcomes import RATE_LIMITED
from botd.core.restraint import TradingCommand, quarantine
from botd.core.verdicts import GONE, Verdict
from botd.failpoints import Point, failpoint
from botd.ports import OrderReport, VenueError
from botd.runtime.link import Closed, Kind, Link
from botd.runtime.tickets import Phase, Ticket
from botd.runtime.tracking import CANCELS_S, LOOKS_S, Tell, Tracker

VALID_US: Final = 5_000_000  # an entry that is not on its way so long after its row is another decision
CANCELS_MAX: Final = 8  # unanswered, before a person hears of it


class Courier:
    """Makes the requests that change something at the venue."""

    def __init__(
        self,
        link: Link,
        tracker: Tracker,
        tell: Tell,
        halted: Callable[[], bool],
        wake: Callable[[], None],
        ask: Callable[[TradingCommand], None],
    ) -> None:
        """`halted` says that no new risk may leave; `wake` has the lookups look at what is due; `ask` takes
        trading commands.
        """
        self._ask = ask
        self._link = link
        self._tracker = tracker
        self._tell = tell
        self._halted = halted
        self._wake = wake

    async def submit(self, ticket: Ticket) -> None:
        """Send an order, unless it is too late for it. There is no second request for it, ever."""
        command, link = ticket.command, self._link
        reason = self._why_not(ticket)
        if reason:
            self._tracker.never_sent(ticket, reason)
            return
        ticket.phase = Phase.SENDING
        kind = Kind.EXIT if command.reduce_only else Kind.ENTRY
        try:
            failpoint(Point.REQUEST_BEFORE)
            report = await link.ask(kind, lambda: self._post(ticket))
            failpoint(Point.REQUEST_AFTER)
        except Closed:
            self._tracker.never_sent(ticket, "the venue wants to hear nothing now")
        except VenueError as error:
            self._failed(ticket, error)
        except asyncio.CancelledError:
            self._tracker.doubt(ticket, "the request was broken off", link.now_s())
            raise
        else:
            self._tracker.report(report, link.now_s())
        self._wake()

    def _why_not(self, ticket: Ticket) -> str:
        if ticket.cancel_wanted:
            return "cancelled before it was sent"
        if ticket.command.reduce_only:
            return ""
        if self._halted():
            return "halted before it was sent"
        late_us = self._link.now_us() - ticket.command.ts_us
        return (
            "" if late_us <= VALID_US else f"{late_us / 1e6:.1f} s after its row, it is too late to send it"
        )

    async def _post(self, ticket: Ticket) -> OrderReport:
        ticket.sent_s = self._link.now_s()
        return await self._link.venue.submit(ticket.command)

    def _failed(self, ticket: Ticket, error: VenueError) -> None:
        found = self._link.verdict(error)
        if found is Verdict.REFUSED:
            if error.name in GONE:
                self._ask(quarantine(ticket.command.instrument, f"the venue trades it no more ({error})"))
            self._tracker.rejected(ticket, str(error))
        elif found in (Verdict.RATE_LIMITED, Verdict.BANNED):
            self._tracker.rejected(ticket, f"{RATE_LIMITED}: {error}")
        else:
            self._tracker.doubt(ticket, str(error), self._link.now_s())

    async def cancel(self, ticket: Ticket) -> None:
        """Ask for an order's end. Neither an answer nor an error ends it: only what the venue shows does."""
        link, now_s = self._link, self._link.now_s()
        ticket.cancels += 1
        pause_s = CANCELS_S[min(ticket.cancels, len(CANCELS_S)) - 1]
        ticket.cancel_s = now_s + pause_s
        ticket.cancelling = True

        async def post() -> None:
            async with asyncio.timeout(pause_s):  # one that is lost must not keep the next from leaving
                await link.venue.cancel(ticket.id, ticket.command.instrument)

        try:
            await link.ask(Kind.CANCEL, post)
        except VenueError as error:
            self._tracker.doubt(ticket, f"cancel: {error}", link.now_s())
        finally:
            ticket.cancelling = False
        ticket.look_s = link.now_s()
        if ticket.cancels == CANCELS_MAX:
            text = f"{ticket.cancels} cancels of {ticket.id} and the venue still shows it"
            self._tell(VenueNotice, 0, severity="critical", kind="cancel_unconfirmed", text=text)
        self._wake()

    async def amend(self, ticket: Ticket, command: AmendOrder) -> None:
        """Ask for other terms of a resting stop; what the venue shows tells whether they are in force."""
        link = self._link
        ticket.amend, ticket.amend_s = command, link.now_s()
        try:
            await link.ask(Kind.EXIT, lambda: self._post_amend(ticket, command))
        except VenueError as error:
            if link.verdict(error) in (Verdict.REFUSED, Verdict.RATE_LIMITED, Verdict.BANNED):
                ticket.look_s = link.now_s()
                if ticket.amend is command:
                    self._tracker.amend_refused(ticket, str(error))
            else:
                ticket.look_s = link.now_s() + LOOKS_S[0]
        else:
            ticket.look_s = link.now_s()
        self._wake()

    async def _post_amend(self, ticket: Ticket, command: AmendOrder) -> None:
        ticket.amend_s = self._link.now_s()
        await self._link.venue.amend(command)

    async def cancel_orphan(self, client_order_id: str) -> None:
        """Cancel an order of our family that no books know: it must not fill."""
        orphan = self._tracker.orphans.pop(client_order_id)
        text = f"{client_order_id} rests on {orphan.instrument} and no books know it; it is cancelled"
        self._tell(VenueNotice, 0, severity="critical", kind="orphan_order", text=text)
        try:
            await self._link.ask(
                Kind.CANCEL, lambda: self._link.venue.cancel(client_order_id, orphan.instrument)
            )
        except VenueError:
            return  # the next list of open orders brings it up again
