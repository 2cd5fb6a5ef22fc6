"""The daemon: one session of a plan on a feed, from its first start or from where it stopped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from botd.app import open_feeds
from botd.config.loader import fit_to_data
from botd.config.plan import Plan
from botd.core.bot import Bot
from botd.core.records import Record
from botd.core.restraint import Cause, TradingCommand, Verb
from botd.core.updates import TradingStateRecord
from botd.engine.warm import main as load_kernels
from botd.errors import BotdError, InputInvalid, InvariantBroken, UnresolvedOrders
from botd.failpoints import Point, failpoint
from botd.feeds.synthetic import SyntheticFeed
from botd.machine import Display, Machine, Watch
from botd.ports import Feed, RemoteVenue
from botd.reception import Api, ApiNeeds, NoApi
from botd.reload import Reloader, report
from botd.runtime.audit import Audit
from botd.runtime.batch import READ_ROWS, read_before
from botd.runtime.brake import Brake
from botd.runtime.control import ControlFiles
from botd.runtime.gateway import Gateway
from botd.runtime.listener import keep_for_listener
from botd.runtime.live import LiveDriver
from botd.runtime.outbox import Outbox
from botd.runtime.reconcile import Reconciler
from botd.runtime.shutdown import Stage, Stages, StopReport, StopRequest, note_signals
from botd.runtime.starts import STARTS_MAX, StartLog
from botd.runtime.supervisor import Supervisor
from botd.session_writer import SessionWriter
from botd.sessions import EXAMINED_RECORDS, Session, SessionOpener
from botd.store.fsck import Report, examine
from botd.store.journal import SqliteJournal
from botd.swapping import Swapper
from botd.telemetry import set_level
from botd.venues.simulated import SimulatedVenue

NEEDED_TASKS = frozenset({"reconcile", "gateway"})  # restartable, yet nothing new is traded without them

log = logging.getLogger(__name__)

Ended = tuple[StopReport, BotdError | None]  # how the stages went, and why the books cannot be trusted


class Daemon:
    """Runs a plan until its feed ends or a signal stops it."""

    def __init__(
        self,
        plan: Plan,
        *,
        data: Path | None,
        speed: float | None,
        screen: Display,
        machine: Machine,
        config: Path | None = None,
        feed: Feed | None = None,
        venue: RemoteVenue | None = None,
    ) -> None:
        """`config` is where the plan was read and is read again; without it nothing is reloaded.

        `data` replaces the plan's feed by a recorded file at `speed`, None as fast as it goes.

        A `feed` that is given replaces both; it carries the plan's instruments. Orders go to the simulated
        venue unless another is given.
        """
        self._venue = venue
        self._machine = machine
        self._config = config
        self._clock = machine.clock
        self._screen = screen
        self._say = screen.say
        self._brake = Brake()
        self._outbox = Outbox(plan.state_path.parent)
        self._api: Api = NoApi()
        self._reloads: Reloader | None = None  # of the session that trades
        self._changed = plan  # what the files said at this start
        self._followers: list[Callable[[Plan], None]] = []  # told of the plan that trades from here on
        # a hold for a stall is about rows that are late by the wall clock: recorded ones never are
        self._in_real_time = data is None and plan.feed.kind == "synthetic" and plan.feed.speed == 1
        self._as_listed = feed is not None
        self._as_written = self._as_listed or (data is None and plan.feed.kind == "synthetic")
        self.plan, self._feed = (plan, feed) if feed else self._open_feed(plan, data, speed)

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
        fitted = self._fit(plan, feed)
        for warning in fitted.warnings[len(plan.warnings) :]:  # the others have been said
            self._say(warning.render())
        return fitted, feed

    def _fit(self, plan: Plan, feed: Feed) -> Plan:
        return fit_to_data(plan, feed.instruments, bar_length_us=feed.bar_length_us)

    def run(self) -> int:
        """Prepare the session, run it, and return the exit code."""
        request = StopRequest()
        with self._machine.lock(self.plan.state_path.parent), note_signals(request), keep_for_listener():
            return asyncio.run(self.serve(request))

    async def serve(self, request: StopRequest) -> int:
        """Do what `run` does, in a loop that is there, on a state folder that is locked."""
        folder = self.plan.state_path.parent
        files, starts = ControlFiles(folder), StartLog(folder)
        watchdog = self._machine.watch(self._brake, files, self._clock)
        needs = ApiNeeds(
            brake=self._brake,
            files=files,
            clock=self._clock,
            lag_s=watchdog.lag_s,
            plan=lambda: self.plan,
            reload=lambda: self._reloads,
        )
        self._api = self._machine.open_api(self.plan, needs)
        if files.resume() is not None:
            starts.settle()  # a person has looked at what went wrong
        with watchdog, self._api:
            with self._screen:  # from here on nobody waits for who reads it
                if self._api.address:
                    self._say(f"API: {self._api.address}")
                self._judge_starts(starts.begin(self._clock.now_us()))
                ended = await self._run(request, watchdog, starts)
            if ended is None:
                self._say("stopped before it traded")
                starts.settle()
                return 0
            report, refusal = ended
            self._say(self._screen.summary())
            self._say(report.describe())
            if report.exit_code in (0, UnresolvedOrders.exit_code):
                starts.settle()
            if refusal is not None:
                raise refusal
            return report.exit_code

    def _judge_starts(self, count: int) -> None:
        """Begin in safe mode where the daemon has died again and again: exits and cancels, no entries."""
        if count < STARTS_MAX:
            return
        reason = f"{count} starts within 10 minutes and no clean stop; see the log for what ended them"
        halt = TradingCommand(verb=Verb.HALT, cause=Cause.CRASH_LOOP, who="botd", reason=reason)
        self._brake.ask(halt)
        log.critical("safe mode: no new entries until botd resume", extra={"reason": reason})
        self._say(f"safe mode: {reason}; no new entries until 'botd resume'")

    async def _run(self, request: StopRequest, watchdog: Watch, starts: StartLog) -> Ended | None:
        """Open a session and trade; return how it ended, None where a stop came before it traded."""
        try:
            session, journal = self._open(request)
        except KeyboardInterrupt:
            return None
        except BotdError as error:
            if not isinstance(error, InvariantBroken):
                starts.settle()  # it refused to trade: that is no crash
            raise
        try:
            return await self._live(session, journal, request, watchdog)
        finally:
            session.close()

    def _open(self, request: StopRequest) -> tuple[Session, SqliteJournal]:
        load_kernels()  # half a second that the event loop would stand still at its first row
        journal = self._machine.open_journal(self.plan.state_path)
        journal.bars_kept_us = self.plan.bars_kept_us
        opener = SessionOpener(
            self.plan,
            self._feed,
            journal,
            machine=self._machine,
            screen=self._screen,
            brake=self._brake,
            connect=self._connect if self._venue else None,
            check_stop=request.check,
            as_listed=self._as_listed,
        )
        self._api.books(open=True)
        try:
            self._outbox.tell_again(journal, self._say)
            session = opener.open()
            self._changed, self.plan = self.plan, session.plan
            cursor = journal.cursor(session.id)
            seq = cursor.seq if cursor else 0
            self._outbox.begin(session.id, seq)
            self._told(session.id, seq)
            self._api.begin(session.id)
            return session, journal
        except BaseException:
            self._api.books(open=False)
            journal.close()
            raise

    def _connect(self, brake: Brake) -> Gateway:
        if self._venue is None:
            raise InvariantBroken("there is no venue to connect to")
        return Gateway(self._venue, self._clock, self._machine.clock.monotonic, brake)

    # ---- running --------------------------------------------------------------------------------

    async def _live(
        self, session: Session, journal: SqliteJournal, request: StopRequest, watchdog: Watch
    ) -> Ended:
        writing = self._machine.start_writer(journal)
        writer = SessionWriter(journal, self.plan.config_hash, writing, self._clock, self._api.committed)
        driver = LiveDriver(
            session.loop,
            session.feed,
            writer,
            self._clock,
            session_id=session.id,
            snapshot_every_us=self._machine.snapshot_every_us,
            on_records=lambda records: self._heard(session.id, records),
            on_block=lambda ts_us: self._seen(session.loop.bot, ts_us),
            gateway=session.gateway,
            bars=session.bars,
        )
        audit = self._audit(session, journal, request)
        self._screen.begin(session=session.id, feed=session.feed.identity)
        loop = asyncio.get_running_loop()
        try:
            with self._machine.stop_on_signals(request), watchdog.follow(loop):
                report = await self._trade_and_stop(session, driver, writer, request, watchdog, audit)
        finally:
            watchdog.leave()
            self._api.books(open=False)
            await writer.close()
        return report, audit.refusal

    async def _trade_and_stop(
        self,
        session: Session,
        driver: LiveDriver,
        writer: SessionWriter,
        request: StopRequest,
        watchdog: Watch,
        audit: Audit,
    ) -> StopReport:
        """Trade until the end, then stop in stages; the gateway serves through both."""
        reports: list[StopReport] = []

        async def whole() -> None:
            await self._tasks(session, driver, writer, request, watchdog, audit)
            stages = self._stages(session, driver, writer, request)
            ceiling_s = self.plan.shutdown.ceiling_us / 1e6
            reports.append(await stages.run(ceiling_s=ceiling_s, request=request))

        async with Supervisor(self._clock, self._lost) as supervisor:
            supervisor.start("session", whole)
            if session.gateway is not None:
                supervisor.start("gateway", session.gateway.run, restarts=3)
        return reports[0]

    def _audit(self, session: Session, journal: SqliteJournal, request: StopRequest) -> Audit:
        def look(cancelled: Callable[[], bool]) -> Report:
            return examine(journal.path, session_id=session.id, newest=EXAMINED_RECORDS, cancelled=cancelled)

        return Audit(look, self._clock, self._alert, request.ask)

    async def _tasks(
        self,
        session: Session,
        driver: LiveDriver,
        writer: SessionWriter,
        request: StopRequest,
        watchdog: Watch,
        audit: Audit,
    ) -> None:
        """Trade until the feed ends or a stop is asked for; the helpers end with it."""
        schedule = self._machine.schedule(self.plan.schedule, self._alert)
        venue = session.loop.venue

        async def trade() -> None:
            feed, loop = session.feed, session.loop
            if loop.recovery is not None:
                end = loop.recovery.cursor.feed_position
                await driver.catch_up(read_before(feed, loop.feed_position, end))
            if await driver.meet_venue() and self._changed.config_hash != self.plan.config_hash:
                report(await swapper.begin_with(self._changed), self._say)
            swapper.begun.set()
            if isinstance(feed, SyntheticFeed):
                await driver.catch_up(feed.read(loop.feed_position, rows_max=READ_ROWS))
            watchdog.hold_on_stall = self._in_real_time
            self._api.trades(True)
            try:
                await driver.run(schedule.due)
            finally:
                self._api.trades(False)

        async def watch() -> None:
            await request.wait()
            driver.request_stop()

        self._followers = [lambda plan: schedule.go_by(plan.schedule)]
        read_plan = self._machine.read_plan
        swapper = Swapper(
            session, driver, writer, read_plan=read_plan, applied=self._follow, clock=self._clock
        )
        reloader = self._reloads = self._reloader(session, swapper, writer)
        async with Supervisor(self._clock, self._lost) as supervisor:
            supervisor.start("trading", trade)
            supervisor.start("stop", watch, restarts=1)
            if reloader is not None:
                watchdog.on_reload(reloader.request)
                supervisor.start("reload", reloader.run, restarts=3)
            supervisor.start("schedule", schedule.run, restarts=3)
            if isinstance(venue, SimulatedVenue):  # a gateway compares by itself
                terms = self.plan.settings.execution
                reconciler = Reconciler(session.loop, venue, self._clock, self._alert, terms)
                self._followers.append(lambda plan: reconciler.go_by(plan.settings.execution))
                self._followers.append(lambda plan: venue.go_by(plan.settings.paper))
                supervisor.start("reconcile", reconciler.run, restarts=3)
            supervisor.start("fsck", audit.run, restarts=3)
        self._reloads = None  # nobody would answer

    def _reloader(self, session: Session, swapper: Swapper, writer: SessionWriter) -> Reloader | None:
        if self._config is None:
            return None
        return Reloader(
            self._machine.open_folder(self._config, self._changed.files),
            swapper,
            fit=lambda plan: plan if self._as_written else self._fit(plan, session.feed),
            note=writer.note,
            tell=lambda outcome: report(outcome, self._say),
        )

    def _follow(self, plan: Plan) -> None:
        self.plan = plan
        set_level(plan.logging.level)
        for follow in self._followers:
            follow(plan)

    def _stages(
        self, session: Session, driver: LiveDriver, writer: SessionWriter, request: StopRequest
    ) -> Stages:
        async def settle() -> None:
            await driver.finish(apply_policies=request.requested)

        async def end() -> None:
            status = "stopped" if request.requested else "finished"
            await writer.end(session.id, status, self._clock.now_us())

        return Stages(
            [
                Stage("orders", settle, 30.0),
                Stage("snapshot", driver.keep, 5.0),
                Stage("session", end, 5.0, essential=True),
            ]
        )

    def _heard(self, session_id: str, records: Sequence[Record]) -> None:
        failpoint(Point.OUTBOX_BEFORE_PUBLISH)
        self._screen.update(records)
        for one in records:
            if isinstance(one, TradingStateRecord):
                level = logging.CRITICAL if one.verb is Verb.HALT else logging.WARNING
                fields = {"state": str(one.state), "cause": str(one.cause), "who": one.who}
                log.log(level, "trading state: %s", one.verb, extra={**fields, "reason": one.reason})

        if records:
            self._told(session_id, records[-1].seq)
            self._api.heard(records)

    def _seen(self, bot: Bot, ts_us: int) -> None:
        self._screen.observe(bot, ts_us)
        self._api.observe(bot, ts_us)

    def _told(self, session_id: str, seq: int) -> None:
        self._screen.after_lines(lambda: self._outbox.mark(session_id, seq))

    def _lost(self, task: str, message: str) -> None:
        """Tell of a task that was given up; without some of them nothing new may be traded."""
        self._alert(task, message)
        if task in NEEDED_TASKS:
            halt = TradingCommand(verb=Verb.HALT, cause=Cause.TASK_LOST, who="supervisor", reason=message)
            self._brake.ask(halt)

    def _alert(self, source: str, message: str) -> None:
        self._say(f"{source}: {message}")
