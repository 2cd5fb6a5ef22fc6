"""Reads what a remote venue shows: lookups of what is in doubt, lists, fills, its stream and holdings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Final

from botd.core.events import VenueNotice
from botd.core.instrument import InstrumentId
from botd.core.restraint import ACCOUNT, Cause, TradingCommand, Verb
from botd.ports import OrderReport, VenueError, VenueFill
from botd.runtime.link import OFFSET_WARN_US, Kind, Link
from botd.runtime.tickets import Phase, Ticket
from botd.runtime.tracking import POLL_S, Tell, Tracker

OVERLAP_US: Final = 60_000_000  # fills are asked for again from so long before the last read, and its lag
SEEN_MAX: Final = 1_000  # fills known by name, before the old ones are forgotten
SEEN_KEPT_US: Final = 3_600_000_000  # a stream may bring up what the lists no longer show
SILENT_S: Final = 12.0  # without a heartbeat the stream is dead
DOWN_S: Final = 15.0  # without one whole read nothing new is traded
CLOCK_S: Final = 60.0
CRY_EVERY_S: Final = 5.0
HOLDINGS_S: Final = 10.0
FAILED_S: Final = 1.0  # after a failed read
RECONNECT_S: Final = (1.0, 2.0, 5.0, 10.0)
BALANCE_RATIO: Final = Decimal("0.001")  # of what is there or was at first: what fees of odd kinds cost
FEE_STEP: Final = Decimal("1e-8")  # what fees are rounded to

Ask = Callable[[TradingCommand], None]
log = logging.getLogger(__name__)

Nets = Callable[[], Mapping[InstrumentId, int]]
Balances = Callable[[], Mapping[str, tuple[Decimal, Decimal]]]  # by currency: now, and at first


class Watch:
    """The tasks that read. What they find goes to the tracker; what they cannot find holds trading."""

    def __init__(
        self, link: Link, tracker: Tracker, tell: Tell, ask: Ask, nets: Nets, balances: Balances
    ) -> None:
        """`ask` takes trading commands; `nets` and `balances` are our own books."""
        self._link = link
        self._tracker = tracker
        self._tell = tell
        self._ask = ask
        self._nets = nets
        self._balances = balances
        self._soon = asyncio.Event()
        self._cancels = asyncio.Event()
        self.since_us = 0  # fills from here on are not known to be complete
        self._read_s = 0.0  # the last whole read
        self._heard_s = -SILENT_S  # the last heartbeat
        self._held: set[tuple[Cause, str]] = set()
        self._differing: dict[InstrumentId, tuple[int, int]] = {}
        self._owed: dict[str, Decimal] = {}
        self._told: dict[str, Decimal] = {}

    def wake(self) -> None:
        """Have what is due be looked up, and cancelled, now."""
        self._soon.set()
        self._cancels.set()

    # ---- orders and fills -----------------------------------------------------------------------

    async def read_all(self) -> None:
        """Read open orders and fills once; raises VenueError."""
        link, tracker, asked_s = self._link, self._tracker, self._link.now_s()
        asked_us = link.now_us()
        listed = await link.ask(Kind.READ, link.venue.fetch_open_orders)
        since_us = self.since_us
        fills = await link.ask(Kind.READ, lambda: link.venue.fetch_fills(since_us))
        tracker.news.clear()
        for fill in fills:
            tracker.fill(fill)
        for report in listed:
            tracker.report(report, asked_s)
        tracker.after_read(asked_s)
        shown = {report.client_order_id for report in listed}
        for ticket in list(tracker.tickets.values()):
            if ticket.phase is Phase.SIGHTED and ticket.id not in shown and not ticket.look_s:
                ticket.look_s = asked_s
        self.since_us = max(since_us, asked_us - OVERLAP_US - link.rules.read_lag_us)
        if len(tracker.seen) > SEEN_MAX:
            tracker.forget_fills(self.since_us - SEEN_KEPT_US)
        self._read_s = link.now_s()

    async def poll(self, found_orphans: Callable[[], None]) -> None:
        """Read open orders and fills for ever, whatever the stream says."""
        while True:
            try:
                await self.read_all()
                if self._tracker.orphans:
                    found_orphans()
                waiting = any(one.final for one in self._tracker.tickets.values())
                pause_s = FAILED_S if waiting or not self._stream_lives else POLL_S
            except VenueError:
                pause_s = FAILED_S
            self._judge_link()
            await self._pause(pause_s)

    async def cry_for_ever(self) -> None:
        """Tell of what stays in doubt, also in a ban, when no read returns."""
        while True:
            await asyncio.sleep(CRY_EVERY_S)
            self._tracker.cry(self._link.now_s())

    async def _pause(self, seconds: float) -> None:
        """Wait; what the tracker has learnt cuts it short."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._tracker.news.wait()
                await asyncio.sleep(FAILED_S)  # more may come, and what was just done shows late

    async def look_up(self) -> None:
        """Look up each order when it is due."""
        link, tracker = self._link, self._tracker
        while True:
            self._soon.clear()
            now_s = link.now_s()
            for ticket in list(tracker.tickets.values()):
                if self._may_show(ticket) and ticket.look_s and ticket.look_s <= now_s:
                    await self._look(ticket)
            tickets = tracker.tickets.values()
            await self._wait(self._soon, [t.look_s for t in tickets if self._may_show(t) and t.look_s])

    async def repeat_cancels(self, spawn: Callable[[Ticket], None]) -> None:
        """Have each order that is to end be cancelled when it is due, whatever the lookups wait for."""
        tracker = self._tracker
        while True:
            self._cancels.clear()
            wanted = [one for one in tracker.tickets.values() if self._cancel_wanted(one)]
            now_s = self._link.now_s()
            for ticket in wanted:
                if ticket.cancel_s <= now_s:
                    spawn(ticket)
            await self._wait(self._cancels, [one.cancel_s for one in wanted if one.cancel_s > now_s])

    async def _wait(self, event: asyncio.Event, times: Iterable[float]) -> None:
        """Wait for the first of some seconds, or for an event."""
        now_s = self._link.now_s()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.05, min(times, default=now_s + POLL_S) - now_s)):
                await event.wait()

    def _may_show(self, ticket: Ticket) -> bool:
        return ticket.phase in (Phase.DOUBT, Phase.SIGHTED)

    def _cancel_wanted(self, ticket: Ticket) -> bool:
        return (
            ticket.cancel_wanted
            and ticket.phase is Phase.SIGHTED
            and ticket.final is None
            and not ticket.cancelling
        )

    async def _look(self, ticket: Ticket) -> None:
        link, asked_s = self._link, self._link.now_s()
        try:
            report = await link.ask(
                Kind.READ, lambda: link.venue.fetch_order(ticket.id, ticket.command.instrument)
            )
        except VenueError:
            ticket.look_s = link.now_s() + FAILED_S
            return
        if report is None:
            self._tracker.absent(ticket, asked_s)
            return
        ticket.look_s = 0.0  # the lists show it from now on; what is awaited is looked up again
        self._tracker.report(report, asked_s)
        if ticket.phase is not Phase.OVER and (ticket.amend or ticket.cancel_wanted or ticket.final):
            ticket.look_s = asked_s + 1.0

    # ---- the stream -----------------------------------------------------------------------------

    @property
    def _stream_lives(self) -> bool:
        return self._link.now_s() - self._heard_s < SILENT_S

    async def listen(self) -> None:
        """Take in what the venue sends by itself; connect again whenever that ends."""
        tries = 0
        while True:
            await self._link.opened(Kind.READ)  # to connect is a request too
            stream = self._link.venue.stream()
            try:
                while True:
                    async with asyncio.timeout(SILENT_S):
                        event = await anext(stream)
                    self._heard_s = self._link.now_s()
                    tries = 0
                    self._take(event)
            except Exception as error:  # whatever ends it, what was missed meanwhile is to be read
                log.warning("the venue's stream ended", extra={"error": f"{type(error).__name__}: {error}"})
                if isinstance(error, VenueError):
                    self._link.learn(error)
                self._tracker.news.set()
            finally:
                close = getattr(stream, "aclose", None)
                if close is not None:
                    await close()
            await asyncio.sleep(RECONNECT_S[min(tries, len(RECONNECT_S) - 1)])
            tries += 1

    def _take(self, event: OrderReport | VenueFill | None) -> None:
        if isinstance(event, VenueFill):
            self._tracker.fill(event)
        elif event is not None:
            self._tracker.report(event, self._link.now_s())
            self.wake()

    # ---- clocks ---------------------------------------------------------------------------------

    async def measure(self) -> None:
        """Compare clocks once; a clock too far off holds trading. Raises VenueError."""
        link = self._link
        before_us = link.offset_us
        await link.measure_offset()
        far = abs(link.offset_us) > link.rules.validity_us // 2
        self._hold(far, Cause.CLOCK_SKEW, f"our clock is {-link.offset_us / 1e6:.1f} s ahead of the venue's")
        if abs(link.offset_us) > OFFSET_WARN_US >= abs(before_us):
            text = f"our clock is {-link.offset_us / 1e6:.1f} s ahead of the venue's"
            self._tell(VenueNotice, 0, severity="medium", kind="clock_skew", text=text)

    async def keep_time(self) -> None:
        """Compare clocks for ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOCK_S):
                    await self._link.wrong_clock.wait()
            self._link.wrong_clock.clear()
            with suppress(VenueError):  # the poll tells that the venue is away
                await self.measure()

    # ---- what is held ---------------------------------------------------------------------------

    async def compare_for_ever(self) -> None:
        """Compare holdings and balances with the venue's, again and again."""
        while True:
            await asyncio.sleep(HOLDINGS_S)
            try:
                await self.compare()
            except VenueError:
                continue

    async def compare(self) -> None:
        """Compare once. What two reads in a row show, and no trade explains, holds or halts."""
        link = self._link
        theirs = await link.ask(Kind.READ, link.venue.fetch_positions)
        ours = self._nets()
        found = {
            instrument: (ours.get(instrument, 0), theirs.get(instrument, 0))
            for instrument in sorted({*ours, *theirs})
            if ours.get(instrument, 0) != theirs.get(instrument, 0)
        }
        if found:
            self._tracker.news.set()  # a fill may not have been shown yet
        before = {InstrumentId(scope) for cause, scope in self._held if cause is Cause.POSITION_DIFFERS}
        for instrument in sorted({*found, *self._differing, *before}):
            pair = found.get(instrument)
            if pair is None or pair == self._differing.get(instrument):
                self._judge_holding(instrument, pair)
        self._differing = found
        self._compare_cash(await link.ask(Kind.READ, link.venue.fetch_balances), quiet=not found)

    def _judge_holding(self, instrument: InstrumentId, pair: tuple[int, int] | None) -> None:
        text = "" if pair is None else f"we hold {pair[0]} lots of {instrument}, the venue says {pair[1]}"
        turned = pair is not None and pair[0] * pair[1] < 0
        if turned:
            halt = TradingCommand(verb=Verb.HALT, cause=Cause.POSITION_DIFFERS, who="reconcile", reason=text)
            self._ask(halt)
        self._hold(pair is not None, Cause.POSITION_DIFFERS, text, scope=str(instrument))

    def _compare_cash(self, theirs: Mapping[str, Decimal], *, quiet: bool) -> None:
        """Tell of cash that came or went without a trade. Nothing is sized by it: our books go on."""
        for currency, (ours, start) in self._balances().items():
            if currency not in theirs:
                continue
            gap = theirs[currency] - ours
            known = self._told.get(currency, Decimal(0))
            near = abs(gap - known) <= max(abs(ours) * BALANCE_RATIO, start * BALANCE_RATIO, FEE_STEP)
            if not near and quiet and self._owed.get(currency) == gap:
                self._told[currency] = gap
                text = f"the venue has {gap:+} {currency} beside our books: a deposit, a withdrawal or a fee"
                self._tell(VenueNotice, 0, severity="high", kind="balance_differs", text=text)
            self._owed[currency] = gap

    # ---- holds ----------------------------------------------------------------------------------

    def _judge_link(self) -> None:
        silent_s = self._link.now_s() - self._read_s
        down = silent_s > DOWN_S or not self._stream_lives
        self._hold(down, Cause.VENUE_DOWN, "the venue does not answer, or its stream is silent")

    def _hold(self, on: bool, cause: Cause, reason: str, *, scope: str = ACCOUNT) -> None:
        """Hold or release, once."""
        if on == ((cause, scope) in self._held):
            return
        (self._held.add if on else self._held.discard)((cause, scope))
        verb = Verb.HOLD if on else Verb.RELEASE
        why = reason if on else "it is well again"
        self._ask(TradingCommand(verb=verb, cause=cause, who="gateway", reason=why, scope=scope))

    def begin(self, since_us: int) -> None:
        """Take it that all is well, and that fills are known up to a time."""
        self.since_us = since_us
        self._read_s = self._heard_s = self._link.now_s()

    def held_before(self, held: set[tuple[Cause, str]]) -> None:
        """Take over the holds that a process before this one left standing."""
        self._held |= held
