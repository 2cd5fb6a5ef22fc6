"""The daemon: one session of a plan on a feed, from its first start or from where it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from botd.app import open_feeds
from botd.config.loader import fit_to_data
from botd.config.plan import Plan
from botd.core.records import Record
from botd.errors import InputInvalid
from botd.feeds.synthetic import SyntheticFeed
from botd.ports import Batch, Cursor, Feed
from botd.runtime.audit import Audit
from botd.runtime.clock import WallClock
from botd.runtime.live import LiveDriver
from botd.runtime.lock import StateLock
from botd.runtime.reconcile import Reconciler
from botd.runtime.schedule import build_schedule
from botd.runtime.shutdown import Stage, Stages, StopRequest, note_signals, stop_on_signals
from botd.runtime.snapshot import encode
from botd.runtime.supervisor import Supervisor
from botd.runtime.terminal import Screen
from botd.sessions import EXAMINED_RECORDS, Session, SessionOpener, read_before
from botd.store.fsck import Report, examine
from botd.store.journal import SqliteJournal, open_state
from botd.store.writer import WriterThread

SNAPSHOT_EVERY_US = 60_000_000


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
        fitted = fit_to_data(plan, feed.instruments, bar_length_us=feed.bar_length_us)
        for warning in fitted.warnings[len(plan.warnings) :]:  # the others have been said
            self._say(warning.render())
        return fitted, feed

    def run(self) -> int:
        """Prepare the session, run it, and return the exit code."""
        state, request = self.plan.state_path, StopRequest()
        with StateLock(state.parent), note_signals(request):
            journal = open_state(state)
            try:
                session = SessionOpener(
                    self.plan,
                    self._feed,
                    journal,
                    clock=self._clock,
                    screen=self._screen,
                    check_stop=request.check,
                ).open()
            except KeyboardInterrupt:
                journal.close()
                self._say("stopped before it traded")
                return 0
            except BaseException:
                journal.close()
                raise
            try:
                return asyncio.run(self._live(session, journal, request))
            finally:
                session.book.close()

    # ---- running --------------------------------------------------------------------------------

    async def _live(self, session: Session, journal: SqliteJournal, request: StopRequest) -> int:
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
        audit = self._audit(session, journal, request)
        self._screen.begin(session=session.id, feed=session.feed.identity)
        try:
            with stop_on_signals(request), self._screen:
                await self._tasks(session, driver, request, audit)
                report = await self._stages(session, driver, writer, request).run(
                    ceiling_s=self.plan.shutdown.ceiling_us / 1e6, request=request
                )
        finally:
            await writer.close()
        self._say(self._screen.summary())
        self._say(report.describe())
        if audit.refusal is not None:
            raise audit.refusal
        return report.exit_code

    def _audit(self, session: Session, journal: SqliteJournal, request: StopRequest) -> Audit:
        def look(cancelled: Callable[[], bool]) -> Report:
            return examine(journal.path, session_id=session.id, newest=EXAMINED_RECORDS, cancelled=cancelled)

        return Audit(look, self._clock, self._alert, request.ask)

    async def _tasks(self, session: Session, driver: LiveDriver, request: StopRequest, audit: Audit) -> None:
        """Trade until the feed ends or a stop is asked for; the helpers end with it."""
        schedule = build_schedule(self.plan.schedule, self._alert)
        reconciler = Reconciler(session.loop, self._clock, self._alert, self.plan.settings.execution)

        async def trade() -> None:
            feed, loop = session.feed, session.loop
            if isinstance(feed, SyntheticFeed):
                await driver.catch_up(feed.read(loop.feed_position))
            elif loop.recovery is not None:
                end = loop.recovery.cursor.feed_position
                await driver.catch_up(read_before(feed, loop.feed_position, end))
            await driver.run(schedule.due)

        async def watch() -> None:
            await request.wait()
            driver.request_stop()

        async with Supervisor(self._clock, self._alert) as supervisor:
            supervisor.start("trading", trade)
            supervisor.start("stop", watch, restarts=1)
            supervisor.start("schedule", schedule.run, restarts=3)
            supervisor.start("reconcile", reconciler.run, restarts=3)
            supervisor.start("fsck", audit.run, restarts=3)

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
