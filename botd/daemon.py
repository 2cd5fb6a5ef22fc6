"""The daemon: one session of a plan on a feed, from its first start or from where it stopped."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from botd.app import build_loop, open_feeds
from botd.config.loader import fit_to_data
from botd.config.plan import Plan
from botd.core.records import Record
from botd.errors import InputInvalid, OtherAccount, StateCorrupt
from botd.feeds.synthetic import SyntheticFeed
from botd.ports import Batch, Cursor, Feed, SessionInfo
from botd.runtime.batch import run_batch
from botd.runtime.clock import WallClock
from botd.runtime.live import LiveDriver
from botd.runtime.lock import StateLock
from botd.runtime.loop import Group, Recovery, TradingLoop
from botd.runtime.reconcile import Reconciler
from botd.runtime.schedule import build_schedule
from botd.runtime.shutdown import Stage, Stages, StopRequest, stop_on_signals
from botd.runtime.snapshot import decode, encode
from botd.runtime.supervisor import Supervisor
from botd.runtime.terminal import Screen
from botd.store.journal import SqliteJournal, open_state
from botd.store.writer import WriterThread
from botd.venues.book import SqliteVenueBook

DAY_US = 86_400_000_000
WARM_UP_US = DAY_US
WARM_UP_GROUPS = 1_000  # per transaction: nothing depends on a warm-up's being durable at once
ABSENCE_MAX_US = DAY_US
SNAPSHOT_EVERY_US = 60_000_000
VENUE_FILE = "venue.sqlite3"


@dataclass(slots=True)
class Session:
    """A session ready to run."""

    id: str
    plan: Plan
    feed: Feed
    loop: TradingLoop
    book: SqliteVenueBook


class SessionWriter:
    """The journal in its thread, with snapshots encoded there too."""

    def __init__(self, journal: SqliteJournal, plan_hash: str) -> None:
        self._journal = journal
        self._plan_hash = plan_hash
        self._thread = WriterThread(journal)

    async def commit(self, batch: Batch) -> None:
        """Write one transaction; return when it is on disk."""
        await self._thread.commit(batch)

    async def snapshot(self, session_id: str, cursor: Cursor, state: dict[str, object]) -> None:
        """Keep a state; the copy was made by the caller, the rest happens in the thread."""
        await self._thread.call(self._save, session_id, cursor, state)

    def _save(self, session_id: str, cursor: Cursor, state: dict[str, object]) -> None:
        self._journal.save_snapshot(session_id, cursor, encode(state, plan=self._plan_hash))

    async def end(self, session_id: str, status: str, ended_us: int) -> None:
        """Write how the session ended."""
        await self._thread.call(self._journal.end_session, session_id, status=status, ended_us=ended_us)

    async def close(self) -> None:
        await self._thread.close()


class Daemon:
    """Runs a plan until its feed ends or a signal stops it."""

    def __init__(
        self, plan: Plan, *, data: Path | None, speed: float | None, clock: WallClock, screen: Screen
    ) -> None:
        """`data` replaces the plan's feed by a recorded file at `speed`, None as fast as it goes."""
        self._clock = clock
        self._screen = screen
        self._say = screen.say
        self.plan, self._feed = self._open_feed(plan, data, speed)

    def _open_feed(self, plan: Plan, data: Path | None, speed: float | None) -> tuple[Plan, Feed]:
        settings = plan.feed
        if data is None and settings.kind == "synthetic":
            return plan, SyntheticFeed(
                plan.instruments, seed=settings.seed, clock=self._clock, speed=settings.speed
            )
        path = data or settings.path
        if path is None:
            raise InputInvalid(
                "config.yaml: feed.kind is recorded and feed.path is missing; name a data file"
            )
        feeds = open_feeds(plan, path, clock=self._clock, speed=speed if data else settings.speed)
        if len(feeds) != 1:
            raise InputInvalid(
                f"{path}: the daemon runs on one data file, this folder has {len(feeds)}; name one"
            )
        feed = feeds[0]
        fitted = fit_to_data(plan, feed.instruments, bars_only=feed.bar_length_us is not None)
        for warning in fitted.warnings:
            self._say(warning.render())
        return fitted, feed

    def run(self) -> int:
        """Prepare the session, run it, and return the exit code."""
        state = self.plan.state_path
        with StateLock(state.parent):
            journal = open_state(state)
            try:
                session = self._prepare(journal)
            except BaseException:
                journal.close()
                raise
            try:
                return asyncio.run(self._live(session, journal))
            finally:
                session.book.close()

    # ---- beginning ------------------------------------------------------------------------------

    def _prepare(self, journal: SqliteJournal) -> Session:
        now_us = self._clock.now_us()
        journal.save_revision(config_hash=self.plan.config_hash, files=self.plan.files, applied_us=now_us)
        info = journal.find_session(mode=self.plan.mode, feed=self._feed.identity)
        cursor = journal.cursor(info.id) if info else None
        if info is None or cursor is None:
            return self._begin(journal)
        if info.account != self.plan.account:
            raise OtherAccount(
                f"{self.plan.state_path} holds the account {info.account}, config.yaml names "
                f"{self.plan.account}; give each account a state file of its own"
            )
        if info.config_hash != self.plan.config_hash:
            raise InputInvalid(
                f"the configuration changed while session {info.id} was stopped; put the files back as "
                "they were, or move the state folder away to begin anew"
            )
        return self._resume(journal, info, cursor)

    def _resume(self, journal: SqliteJournal, info: SessionInfo, cursor: Cursor) -> Session:
        """Come back to where the session was: newest snapshot, then the rows and answers since."""
        book = self._book(info.id)
        kept = journal.load_snapshot(info.id)
        state = decode(kept[1], plan=self.plan.config_hash) if kept else None
        if state is None and self._began_warm():
            raise StateCorrupt(
                f"session {info.id} has no usable snapshot in {self.plan.state_path.parent / 'snapshots'}; "
                "restore that folder, or move the state folder away to begin anew"
            )
        since = state["position"] if state is not None else 0
        events = tuple(journal.events(info.id, from_position=since))
        loop = build_loop(
            self.plan, self._feed, session_id=info.id, book=book, recovery=Recovery(cursor, events)
        )
        if state is not None:
            loop.restore(state)
        journal.start_session(replace(info, status="running", ended_us=None))
        self._say(f"session {info.id} goes on at {_utc(cursor.ts_us)}")
        return Session(info.id, self.plan, self._feed, loop, book)

    def _began_warm(self) -> bool:
        return isinstance(self._feed, SyntheticFeed)

    def _begin(self, journal: SqliteJournal) -> Session:
        session_id = self._new_id(self.plan.mode)
        book = self._book(session_id)
        if isinstance(self._feed, SyntheticFeed):
            loop = self._warm_up(journal, self._feed)
            loop.bot.desk.id_prefix = session_id
            loop.bot.restate(loop.ts_us)
            loop.venue.keep_in(book)
        else:
            loop = build_loop(self.plan, self._feed, session_id=session_id, book=book)
            book.save(loop.venue.state(), ())
        self._start(journal, session_id, self.plan.mode)
        records = tuple(loop.bot.take_records())
        journal.commit(Batch(session_id=session_id, records=records, cursor=loop.cursor()))
        journal.save_snapshot(session_id, loop.cursor(), encode(loop.state(), plan=self.plan.config_hash))
        self._say(f"session {session_id} begins")
        return Session(session_id, self.plan, self._feed, loop, book)

    def _warm_up(self, journal: SqliteJournal, feed: SyntheticFeed) -> TradingLoop:
        """Run the day before the first start through the batch driver into the same store."""
        until = self._clock.now_us()
        session_id = self._new_id("warmup")
        loop = build_loop(self.plan, feed, session_id=session_id)
        loop.feed_position = feed.position_at(until - WARM_UP_US)
        self._start(journal, session_id, "warmup")
        began = self._clock.monotonic()
        pending: list[Group] = []
        written = 0

        def write() -> None:
            nonlocal written
            records = tuple(record for group in pending for record in group.records)
            events = tuple(event for group in pending for event in group.events)
            journal.commit(Batch(session_id=session_id, records=records, events=events, cursor=loop.cursor()))
            self._screen.update(records, announce=False)
            written += len(records)
            pending.clear()

        def take(group: Group) -> None:
            pending.append(group)
            if len(pending) >= WARM_UP_GROUPS:
                write()

        try:
            run_batch(loop, feed.read(loop.feed_position, until_us=until), take)
            write()
        except BaseException:
            journal.end_session(session_id, status="failed", ended_us=self._clock.now_us())
            raise
        journal.end_session(session_id, status="finished", ended_us=self._clock.now_us())
        took = self._clock.monotonic() - began
        self._say(f"warm-up: 24 h, {loop.position:,} rows, {written:,} records in {took:.1f} s")
        return loop

    def _start(self, journal: SqliteJournal, session_id: str, mode: str) -> None:
        journal.start_session(
            SessionInfo(
                id=session_id,
                mode=mode,
                feed=self._feed.identity,
                config_hash=self.plan.config_hash,
                started_us=self._clock.now_us(),
                ended_us=None,
                status="running",
                account=self.plan.account,
            )
        )

    def _new_id(self, mode: str) -> str:
        now = datetime.fromtimestamp(self._clock.now_us() / 1e6, UTC)
        return f"{mode}-{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"

    def _book(self, session_id: str) -> SqliteVenueBook:
        return SqliteVenueBook(self.plan.state_path.parent / VENUE_FILE, session_id)

    # ---- running --------------------------------------------------------------------------------

    async def _live(self, session: Session, journal: SqliteJournal) -> int:
        writer = SessionWriter(journal, self.plan.config_hash)
        driver = LiveDriver(
            session.loop,
            session.feed,
            writer,
            self._clock,
            session_id=session.id,
            snapshot_every_us=SNAPSHOT_EVERY_US,
            on_records=self._heard,
            on_block=lambda ts_us: self._screen.observe(session.loop.bot, ts_us),
        )
        request = StopRequest()
        self._screen.begin(session=session.id, feed=session.feed.identity)
        try:
            with stop_on_signals(request), self._screen:
                await self._tasks(session, driver, request)
                report = await self._stages(session, driver, writer, request).run(
                    ceiling_s=self.plan.shutdown.ceiling_us / 1e6, request=request
                )
        finally:
            await writer.close()
        self._say(self._screen.summary())
        self._say(report.describe())
        return report.exit_code

    async def _tasks(self, session: Session, driver: LiveDriver, request: StopRequest) -> None:
        """Trade until the feed ends or a stop is asked for; the helpers end with it."""
        schedule = build_schedule(self.plan.schedule, self._alert)
        reconciler = Reconciler(session.loop, self._clock, self._alert, self.plan.settings.execution)

        async def trade() -> None:
            if isinstance(session.feed, SyntheticFeed):
                await driver.catch_up(session.feed.read(session.loop.feed_position))
            await driver.run(schedule.due)

        async def watch() -> None:
            await request.wait()
            driver.request_stop()

        async with Supervisor(self._clock, self._alert) as supervisor:
            supervisor.start("trading", trade)
            supervisor.start("stop", watch, restarts=1)
            supervisor.start("schedule", schedule.run, restarts=3)
            supervisor.start("reconcile", reconciler.run, restarts=3)

    def _stages(
        self, session: Session, driver: LiveDriver, writer: SessionWriter, request: StopRequest
    ) -> Stages:
        async def settle() -> None:
            await driver.finish(apply_policies=request.requested)

        async def end() -> None:
            status = "stopped" if request.requested else "finished"
            await writer.end(session.id, status, self._clock.now_us())

        return Stages([Stage("orders", settle, 30.0), Stage("session", end, 5.0, essential=True)])

    def _heard(self, records: Sequence[Record]) -> None:
        self._screen.update(records)

    def _alert(self, source: str, message: str) -> None:
        self._say(f"{source}: {message}")


def _utc(ts_us: int) -> str:
    return datetime.fromtimestamp(ts_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
