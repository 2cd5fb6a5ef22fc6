"""The live driver: rows as they fall due, every urgent group on disk before its commands are sent."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from botd.core.bot import Bot
from botd.core.records import Record
from botd.errors import UnresolvedOrders
from botd.failpoints import Point, failpoint
from botd.ports import AnswersEvent, Batch, Chunk, Clock, Cursor, Feed, JournalEvent
from botd.runtime.bars import BarRecorder
from botd.runtime.gateway import Gateway
from botd.runtime.loop import Group, TradingLoop
from botd.runtime.schedule import JobDue
from botd.runtime.silence import Silence

V = TypeVar("V")

CURSOR_EVERY_US = 1_000_000
PENDING_RECORDS_MAX = 2_000
SETTLE_S = 5.0  # that a venue may take over what is on its way when the daemon stops


class Writer(Protocol):
    """The journal in its own thread."""

    async def commit(self, batch: Batch) -> None: ...

    async def snapshot(self, session_id: str, cursor: Cursor, state: dict[str, Any]) -> None: ...


class Bell:
    """Wakes its one listener, who looks at what has come in after it began to listen."""

    def __init__(self) -> None:
        self._rung: asyncio.Future[None] | None = None

    def listen(self) -> asyncio.Future[None]:
        """Return what the next ring completes."""
        if self._rung is None or self._rung.done():
            self._rung = asyncio.get_running_loop().create_future()
        return self._rung

    def ring(self) -> None:
        """Wake the listener, if there is one."""
        if self._rung is not None and not self._rung.done():
            self._rung.set_result(None)


@dataclass(slots=True)
class Visit:
    """Something to be done between two chunks, by the driver itself, and what came of it."""

    work: Callable[[], Coroutine[Any, Any, Any]]
    done: asyncio.Future[Any]


class LiveDriver:
    """Runs one session: commits before acting, keeps a cursor on disk, stops between two chunks."""

    def __init__(
        self,
        loop: TradingLoop,
        feed: Feed,
        writer: Writer,
        clock: Clock,
        *,
        session_id: str,
        snapshot_every_us: int,
        on_records: Callable[[Sequence[Record]], None],
        on_block: Callable[[int], None],
        gateway: Gateway | None = None,
        bars: BarRecorder | None = None,
    ) -> None:
        """`on_records` sees what has been committed, `on_block` the event time after each chunk; `gateway`
        is the loop's venue where that does not live in event time; `bars` are written between two chunks.
        """
        self.loop = loop
        self._feed = feed
        self._writer = writer
        self._clock = clock
        self._session_id = session_id
        self._snapshot_every_us = snapshot_every_us
        self._on_records = on_records
        self._on_block = on_block
        self._records: list[Record] = []
        self._events: list[JournalEvent | AnswersEvent] = []
        self._committed_us = clock.now_us()
        self._snapshot_us = clock.now_us()
        self._stops = False
        self._settled = False
        self._bell = Bell()  # a stop, a trading command or an answer has come in
        self._gateway = gateway
        self._bars = bars
        self._silence = Silence(feed.instruments, loop.bot.desk.instruments.keys())
        loop.pauses_recovered = gateway is not None
        self._looked = False
        self._in_epoch = False
        self._visits: deque[Visit] = deque()

    def request_stop(self) -> None:
        """Ask for the end: the chunk being judged is finished, no other is begun.

        A return is broken off at its next block: what a former run decided is not waited for.
        """
        self._stops = True
        self.loop.stopping = self.loop.recovery is not None
        self._bell.ring()

    async def between_chunks(self, work: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Do something where no row is being judged, and return what came of it.

        Rows wait meanwhile. Its errors are the caller's, who is not the driver. It waits until what was
        committed is met again.
        """
        visit = Visit(work, asyncio.get_running_loop().create_future())
        self._visits.append(visit)
        self._bell.ring()
        result: V = await visit.done
        return result

    async def before_rows(self, work: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Do something before `run` is called, and return what came of it."""
        await self._begin_epoch()
        return await work()

    async def _receive(self) -> None:
        while self._visits and self.loop.recovery is None and not self._stops:
            visit = self._visits.popleft()
            if visit.done.done():  # whoever asked is gone
                continue
            bot = self.loop.bot
            try:
                result = await visit.work()
            except Exception as error:
                if not visit.done.done():  # whoever asked may have left meanwhile
                    visit.done.set_exception(error)
                if self.loop.bot is not bot:  # swapped, and not on disk: nothing may be traded from there
                    raise
            else:
                if not visit.done.done():
                    visit.done.set_result(result)

    async def reload(
        self, bot: Bot, save: Callable[[Sequence[Record], Cursor, dict[str, Any]], Awaitable[None]]
    ) -> None:
        """Go on with another bot; `save` writes what it begins with, in one transaction with its plan.

        Only as a visit. What fails before `save` leaves the bot before it; what fails in `save` ends the
        daemon, as every commit does.
        """
        await self._commit(self.loop.cursor())
        group = self.loop.exchange(bot)
        await save(group.records, group.cursor, self.loop.state())
        self._snapshot_us = self._committed_us = self._clock.now_us()
        if group.records:
            self._on_records(group.records)
        for sent in self.loop.send_unsent(again=False):
            await self.take(sent)

    async def catch_up(self, chunks: Iterable[Chunk]) -> None:
        """Judge rows that are already there, as fast as they are committed."""
        for chunk in chunks:
            await self._judge(chunk)
            if self._stops:
                return
            await asyncio.sleep(0)

    async def meet_venue(self) -> bool:
        """Find out how things stand at the venue, without waiting for a row; say whether that was found."""
        if self._stops:
            return False
        for group in self.loop.end_recovery():
            await self.take(group)
        await self._look_around()
        return not self._stops and self.loop.recovery is None and (self._gateway is None or self._looked)

    async def run(self, jobs: asyncio.Queue[JobDue]) -> None:
        """Judge rows as the feed hands them out, until it ends or a stop is asked for."""
        stream = self._feed.stream(self.loop.feed_position)
        events = asyncio.get_running_loop()
        self.loop.brake.wake_by(lambda: events.call_soon_threadsafe(self._bell.ring))
        if self._gateway is not None:
            self._gateway.wake_by(self._bell.ring)
        told = False  # how the account stands at this start
        try:
            while not self._stops:
                chunk = await self._next(stream)
                if chunk is None:
                    return
                await self._judge(chunk)
                await self._receive()
                if not told and self.loop.recovery is None and not self._stops:
                    await self._record_books()
                    told = True
                while not jobs.empty() and self.loop.recovery is None and not self._stops:
                    jobs.get_nowait()  # each of them records the books
                    await self._record_books()
        finally:
            for visit in self._visits:
                visit.done.cancel()
            self.loop.brake.wake_by(None)
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()

    async def _next(self, stream: AsyncIterator[Chunk]) -> Chunk | None:
        """Return the feed's next chunk, None at its end or when a stop comes first."""

        async def read() -> Chunk | None:
            return await anext(stream, None)

        coming = asyncio.create_task(read(), name="next rows")
        try:
            while not coming.done() and not self._stops:
                rung = self._bell.listen()
                await self._obey()
                await self._receive()
                await _first_of(coming, rung)
            return coming.result() if coming.done() else None
        finally:
            if not coming.done():  # or closing the stream would fail, and hide what went wrong
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)

    async def _look_around(self) -> None:
        """Before anything is judged that was not judged before: find out how things stand at the venue."""
        gateway = self._gateway
        if gateway is None or self.loop.recovery is not None or self._looked:
            return
        begin = asyncio.create_task(gateway.begin(), name="reconcile")
        try:
            while not begin.done() and not self._stops:
                await _first_of(begin, self._bell.listen())
        finally:
            begin.cancel()
        self._looked = gateway.reconciled

    async def _begin_epoch(self) -> None:
        """Before the first thing that this process decides by itself: its orders get ids of their own."""
        if self._gateway is not None and not self._in_epoch and self.loop.recovery is None:
            self._in_epoch = True
            await self._keep(self.loop.begin_epoch(*self._gateway.epoch()))

    async def _obey(self) -> None:
        """Obey and hear while no rows come; before the first row there is no time to do it at."""
        loop = self.loop
        if loop.recovery is not None or not loop.ts_us:
            return
        while loop.brake.asked:
            for group in loop.obey(loop.ts_us):
                await self.take(group)
        if self._gateway is not None and self._looked and self._gateway.waits:
            await self._begin_epoch()
            for group in loop.hear(loop.position):
                await self.take(group)

    async def _judge(self, chunk: Chunk) -> None:
        await self._look_around()
        await self._begin_epoch()
        for group in self.loop.run(chunk):
            await self.take(group)
        if self._bars is not None:
            self._bars.add(chunk)
        now_us = self._clock.now_us()
        if abs(now_us - self._committed_us) >= CURSOR_EVERY_US:  # a clock can be set back
            await self._commit(self.loop.cursor(), with_bars=True)
        if abs(now_us - self._snapshot_us) >= self._snapshot_every_us and not self._stops:
            await self.snapshot()
        if self.loop.recovery is None:
            for command in self._silence.judge(chunk, self.loop.bot.desk.restraints):
                self.loop.brake.ask(command)
        self._on_block(self.loop.ts_us)

    async def take(self, group: Group) -> None:
        """Commit a group that commands wait for; let others gather for a moment."""
        await self._keep(group)
        await self._look_around()
        await self._begin_epoch()

    async def _keep(self, group: Group) -> None:
        self._records.extend(group.records)
        self._events.extend(group.events)
        if group.urgent or len(self._records) >= PENDING_RECORDS_MAX:
            await self._commit(group.cursor)

    async def _commit(self, cursor: Cursor, *, with_bars: bool = False) -> None:
        """Write what has gathered. Bars wait for a commit that no command waits for."""
        records, self._records = tuple(self._records), []
        bars = self._bars.take() if with_bars and self._bars is not None else ()
        events, self._events = tuple(self._events), []
        failpoint(Point.GROUP_BEFORE_COMMIT)
        await self._writer.commit(
            Batch(session_id=self._session_id, records=records, events=events, cursor=cursor, bars=bars)
        )
        failpoint(Point.GROUP_AFTER_COMMIT)
        self._committed_us = self._clock.now_us()
        if records:
            self._on_records(records)

    async def snapshot(self) -> None:
        """Save the state between two chunks, so that a restart re-reads little."""
        if self.loop.recovery is not None or not self.loop.between_chunks:
            return
        await self._commit(self.loop.cursor(), with_bars=True)
        failpoint(Point.SNAPSHOT_BEFORE)
        await self._writer.snapshot(self._session_id, self.loop.cursor(), self.loop.state())
        failpoint(Point.SNAPSHOT_AFTER)
        self._snapshot_us = self._clock.now_us()

    async def finish(self, *, apply_policies: bool) -> None:
        """Commit what is left; with `apply_policies` carry out every strategy's `on_stop` first."""
        failpoint(Point.STOP_BEFORE_POLICIES)
        if apply_policies and self.loop.recovery is None and (self._gateway is None or self._looked):
            for group in self.loop.stop():
                await self.take(group)
        left = await self._settle()
        failpoint(Point.STOP_BEFORE_CURSOR)
        if self.loop.recovery is None:
            await self._record_books()
            await self._commit(self.loop.cursor(), with_bars=True)
        self._settled = True
        if left:
            raise UnresolvedOrders(f"left with orders whose outcome is not known: {', '.join(left)}")

    async def keep(self) -> None:
        """Save the state that `finish` left: a restart judges no row again, whatever botd starts then.

        Where it was cut short the state may be ahead of the journal, and is not kept.
        """
        if self._settled:
            await self.snapshot()

    async def _settle(self) -> list[str]:
        """Hear the venue out on what is on its way, for a while; return the orders that stay open.

        Whatever stays is on disk as it is, and the next start looks it up.
        """
        gateway, loop = self._gateway, self.loop
        if gateway is None or not self._looked or not loop.ts_us:
            return [one.client_order_id for one in loop.bot.desk.orders.live() if one.in_doubt]
        gateway.wake_by(self._bell.ring)
        try:
            async with asyncio.timeout(SETTLE_S):
                while True:
                    rung = self._bell.listen()
                    await self._obey()
                    if not gateway.unresolved and not gateway.waits:
                        return []
                    await rung
        except TimeoutError:
            return list(gateway.unresolved)

    async def _record_books(self) -> None:
        if self.loop.ts_us:  # before the first row there is no time to record them at
            await self.take(self.loop.record_books())


async def _first_of(*awaited: asyncio.Future[Any]) -> None:
    await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
