"""Opening a session: its first start with a warm-up, its return after a stop or a crash, its successor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from botd.app import build_loop, quarantine_absent, read_pins
from botd.config.changes import needs_session
from botd.config.loader import fit_to_data
from botd.config.plan import Plan
from botd.core import halts
from botd.core.pins import pin_of
from botd.core.restraint import Restraint
from botd.engine.fills import NEVER
from botd.errors import ConfigInvalid, InputInvalid, OtherAccount, StateCorrupt
from botd.feeds.synthetic import SyntheticFeed
from botd.machine import Display, Machine
from botd.ports import Batch, Chunk, Cursor, Feed, SessionInfo
from botd.runtime.bars import BarRecorder
from botd.runtime.batch import read_before, run_batch
from botd.runtime.brake import Brake
from botd.runtime.gateway import Gateway
from botd.runtime.loop import TradingLoop
from botd.runtime.recovery import Recovery, event_place
from botd.runtime.snapshot import decode, encode
from botd.runtime.trades import seen_name
from botd.sink import Sink
from botd.store.journal import SqliteJournal
from botd.venues.book import SqliteVenueBook

DAY_US = 86_400_000_000
WARM_UP_US = DAY_US
ABSENCE_MAX_US = DAY_US
EXAMINED_RECORDS = 50_000  # the newest, one by one, at a start and every hour; sums are over all
CLOCK_OFF_MAX_US = 7_200_000_000  # that our clock may be off when we look for what we have booked
VENUE_FILE = "venue.sqlite3"


@dataclass(slots=True)
class Session:
    """A session ready to run."""

    id: str
    plan: Plan  # that it trades by: on its return the one it had, whatever the files say now
    feed: Feed
    loop: TradingLoop
    book: SqliteVenueBook | None  # of the simulated venue
    bars: BarRecorder
    gateway: Gateway | None = None  # to any other

    def close(self) -> None:
        """Close what its venue keeps."""
        if self.book is not None:
            self.book.close()


class SessionOpener:
    """Finds or begins the session of a plan on a feed; the state folder is locked by the caller."""

    def __init__(
        self,
        plan: Plan,
        feed: Feed,
        journal: SqliteJournal,
        *,
        machine: Machine,
        screen: Display,
        brake: Brake | None = None,
        connect: Callable[[Brake], Gateway] | None = None,
        check_stop: Callable[[], None] = lambda: None,
        as_listed: bool = False,
    ) -> None:
        """`brake` is that of every session of the account; `connect` makes a gateway to a venue that is not
        simulated; `check_stop` is called now and then, and what it raises breaks the opening off. With
        `as_listed` the feed carries the instruments that plans list, and strategies trade where their files
        say; else a feed that is not synthetic is data to be put on.
        """
        self._plan = plan
        self._feed = feed
        self._journal = journal
        self._machine = machine
        self._clock = machine.clock
        self._screen = screen
        self._say = screen.say
        self._brake = brake or Brake()
        self._connect = connect
        self._check_stop = check_stop
        self._as_listed = as_listed
        self._bars = BarRecorder(feed.instruments, bar_length_us=feed.bar_length_us)
        self._books = ExitStack()  # what a start that is refused must not leave open

    def open(self) -> Session:
        """Return the session to run: begun, resumed, or the successor of one that cannot go on."""
        with self._books:
            session = self._open()
            self._books.pop_all()
            return session

    def _open(self) -> Session:
        plan, journal = self._plan, self._journal
        for account in journal.accounts():
            if account != plan.account:
                raise OtherAccount(
                    f"{plan.state_path} holds the account {account}, config.yaml names {plan.account}; "
                    "give each account a state file of its own"
                )
        info = self._find()
        listed = self._feed.instruments
        quarantine_absent(plan, listed, first=info is None, ask=self._brake.ask, say=self._say)
        if info is not None:
            self._examine(info.id)
        journal.note_killed(self._clock.now_us())
        cursor = journal.cursor(info.id) if info else None
        self._bars.go_on(journal.newest_bars(listed), again=bool(info and info.feed == self._feed.identity))
        if info is None or cursor is None:
            return self._begin(plan)
        away_us = self._clock.now_us() - cursor.ts_us
        if isinstance(self._feed, SyntheticFeed) and away_us > ABSENCE_MAX_US:
            return self._begin_after_absence(info, cursor)
        former, feed = self._former(info)
        if needs_session(former, plan) or feed.identity != self._feed.identity:
            return self._succeed(info, cursor)
        loop, book = self._restore(former, self._feed, info, cursor)
        journal.start_session(replace(info, status="running", ended_us=None))
        self._say(f"session {info.id} goes on at {_utc(cursor.ts_us)}")
        return self._session(info.id, former, loop, book)

    def _session(
        self, session_id: str, plan: Plan, loop: TradingLoop, book: SqliteVenueBook | None
    ) -> Session:
        gateway = loop.venue if isinstance(loop.venue, Gateway) else None
        if gateway is not None:
            since_us = self._clock.now_us() - gateway.link.rules.fills_back_us - CLOCK_OFF_MAX_US
            gateway.serve(loop, [seen_name(*one) for one in self._journal.fills_since(since_us)])
        return Session(session_id, plan, self._feed, loop, book, self._bars, gateway)

    def _find(self) -> SessionInfo | None:
        if isinstance(self._feed, SyntheticFeed):  # other instruments make it another feed: still our account
            return self._journal.newest_session(mode=self._plan.mode, feed_kind="synthetic")
        return self._journal.find_session(mode=self._plan.mode, feed=self._feed.identity)

    def _examine(self, session_id: str) -> None:
        """Hold the books to their invariants before anything trades on them; raises StateCorrupt."""
        # the pages were checked as the file was opened
        report = self._machine.examine(
            self._journal.path, session_id=session_id, newest=EXAMINED_RECORDS, sound=True
        )
        for warning in report.warnings:
            self._say(f"fsck: {warning}")
        if report.refusal is not None:
            raise report.refusal

    # ---- a first start --------------------------------------------------------------------------

    def _begin(self, plan: Plan, *, after: str | None = None, standing: Sequence[Restraint] = ()) -> Session:
        session_id = self._new_id(plan.mode)
        book = self._book(session_id)
        if isinstance(self._feed, SyntheticFeed):
            loop = self._warm_up(plan, self._feed)
            loop.bot.desk.id_prefix = session_id
            halts.inherit(loop.bot.desk, standing)
            loop.bot.restate(loop.ts_us)
        else:
            loop = build_loop(plan, self._feed, session_id=session_id, gateway=self._gateway())
        return self._start_at(session_id, loop, book, after=after)

    def _start_at(
        self, session_id: str, loop: TradingLoop, book: SqliteVenueBook | None, *, after: str | None
    ) -> Session:
        """Start a session where its loop stands; a first snapshot is what it can always come back to.

        The session whose account it goes on with ends in the same transaction: a kill leaves one of them.
        """
        if book is not None:
            loop.venue.keep_in(book)
        loop.brake = self._brake
        records, journal, plan = tuple(loop.bot.take_records()), self._journal, self._plan
        with journal.together():
            self._start(session_id, plan.mode)
            journal.commit(Batch(session_id=session_id, records=records, cursor=loop.cursor()))
            journal.save_snapshot(session_id, loop.cursor(), encode(loop.state(), plan=plan.config_hash))
            if after is not None:
                journal.end_session(after, status="finished", ended_us=self._clock.now_us())
        for group in loop.send_unsent():
            journal.commit(
                Batch(session_id=session_id, records=group.records, events=group.events, cursor=group.cursor)
            )
        self._screen.update(records)
        self._say(f"session {session_id} begins")
        return self._session(session_id, plan, loop, book)

    def _warm_up(self, plan: Plan, feed: SyntheticFeed) -> TradingLoop:
        """Run the day before the first start through the batch driver into the same store."""
        self._say("warming up: the last 24 h of the market, some seconds")
        until = self._clock.now_us()
        session_id = self._new_id("warmup")
        loop = build_loop(plan, feed, session_id=session_id)
        loop.feed_position = feed.position_at(until - WARM_UP_US)
        self._start(session_id, "warmup")
        began = self._clock.monotonic()
        sink = Sink(self._journal, session_id, loop, self._screen, announce=False, bars=self._bars)
        rows = self._bars.through(feed.read(loop.feed_position, until_us=until))
        try:
            run_batch(loop, self._unless_stopped(rows), sink.take)
            sink.write()
        except BaseException:
            self._journal.end_session(session_id, status="failed", ended_us=self._clock.now_us())
            raise
        self._journal.end_session(session_id, status="finished", ended_us=self._clock.now_us())
        took = self._clock.monotonic() - began
        self._say(f"warm-up: 24 h, {loop.position:,} rows, {sink.written:,} records in {took:.1f} s")
        return loop

    # ---- coming back ----------------------------------------------------------------------------

    def _restore(
        self, plan: Plan, feed: Feed, info: SessionInfo, cursor: Cursor
    ) -> tuple[TradingLoop, SqliteVenueBook | None]:
        """Return to where the session was: newest snapshot, then the rows and answers since."""
        book = self._book(info.id)
        kept = self._journal.load_snapshot(info.id)
        state = decode(kept[1], plan=info.config_hash) if kept else None
        if state is None and (isinstance(feed, SyntheticFeed) or self._journal.has_swapped(info.id)):
            raise StateCorrupt(
                f"session {info.id} has no usable snapshot in {plan.state_path.parent / 'snapshots'}; "
                "restore that folder, or move the state folder away to begin anew"
            )
        since = state["position"] if state is not None else 0
        known = event_place(state) if state is not None else (0, -1)
        events = self._journal.events(info.id, from_position=since)
        recovery = Recovery(cursor, [e for e in events if (e.position, e.ordinal) > known])
        pins = [pin_of(row) for row in state["bot"].get("pins", ())] if state is not None else []
        loop = build_loop(
            plan,
            feed,
            session_id=info.id,
            book=book,
            gateway=self._gateway(),
            recovery=recovery,
            pins=pins,
            revisions=read_pins(plan, pins, self._machine.read_plan) if pins else (),
        )
        loop.brake = self._brake
        if state is not None:
            loop.restore(state)
        return loop, book

    def _meet_again(self, info: SessionInfo, cursor: Cursor) -> tuple[TradingLoop, SqliteVenueBook | None]:
        """Bring an ended session's loop to its cursor under the plan it ran on."""
        plan, feed = self._former(info)
        loop, book = self._restore(plan, feed, info, cursor)
        sink = Sink(self._journal, info.id, loop, self._screen)
        loop.ends_recovered = True
        for chunk in self._unless_stopped(read_before(feed, loop.feed_position, cursor.feed_position)):
            for group in loop.run(chunk):
                sink.take(group, at_once=True)
            if loop.stopping:  # everything is met again: the rest was never judged
                break
        for group in loop.end_recovery():
            sink.take(group, at_once=True)
        if loop.recovery is not None:
            raise StateCorrupt(f"session {info.id} cannot be met again: its feed ends before its cursor")
        for group in loop.hear(NEVER):  # what the venue answered and no daemon has taken
            sink.take(group, at_once=True)
        sink.write()
        return loop, book

    def _former(self, info: SessionInfo) -> tuple[Plan, Feed]:
        """Return the plan and feed that a session ran on, from the files kept with it."""
        if info.config_hash == self._plan.config_hash:
            return self._plan, self._feed
        files = self._journal.revision(info.config_hash)
        if files is None:
            raise StateCorrupt(f"the configuration of session {info.id} is not in {self._plan.state_path}")
        try:
            plan = self._machine.read_plan(files)
        except ConfigInvalid as error:
            raise InputInvalid(
                f"this botd no longer accepts the configuration of session {info.id}: {error}"
            ) from error
        if isinstance(self._feed, SyntheticFeed):
            feed = SyntheticFeed(plan.instruments, seed=plan.feed.seed, clock=self._clock)
            return plan, feed
        if self._as_listed:
            return plan, self._feed
        fitted = fit_to_data(plan, self._feed.instruments, bar_length_us=self._feed.bar_length_us)
        return fitted, self._feed

    # ---- what cannot go on ----------------------------------------------------------------------

    def _succeed(self, info: SessionInfo, cursor: Cursor) -> Session:
        """What the session stands on changed meanwhile: a new one takes the account over."""
        old, book = self._meet_again(info, cursor)
        if book is not None:
            book.close()
        session_id = self._new_id(self._plan.mode)
        loop = build_loop(self._plan, self._feed, session_id=session_id, gateway=self._gateway())
        self._warm(loop, old)
        loop.succeed(old)
        self._say(f"the configuration changed: session {info.id} ends, its account is taken over")
        return self._start_at(session_id, loop, self._book(session_id), after=info.id)

    def _warm(self, loop: TradingLoop, old: TradingLoop) -> None:
        """Warm a loop with the rows that an old one has judged, as far back as engines are warmed."""
        feed = self._feed
        start = feed.position_at(old.ts_us - WARM_UP_US) if isinstance(feed, SyntheticFeed) else 0
        last: Chunk | None = None
        for chunk in self._unless_stopped(read_before(feed, start, old.judged_feed_position)):
            if last is not None:
                loop.warm(last)
            last = chunk
        if last is not None:
            loop.warm(last, until_us=old.ts_us + 1)  # with the timers that were judged after it

    def _begin_after_absence(self, info: SessionInfo, cursor: Cursor) -> Session:
        """After more than a day nothing can be replayed: positions close, the balances go on."""
        old, book = self._meet_again(info, cursor)
        sink = Sink(self._journal, info.id, old, self._screen)
        for group in old.abandon("closed at the last price: the daemon was away for more than 24 h"):
            sink.take(group, at_once=True)
        if book is not None:
            book.close()
        portfolio = old.bot.desk.portfolio
        balances = {currency: portfolio.balance(currency) for currency in portfolio.currencies()}
        self._say(f"session {info.id} ended {_utc(cursor.ts_us)}, more than a day ago; its balances go on")
        plan = replace(self._plan, settings=replace(self._plan.settings, equity=balances))
        return self._begin(plan, after=info.id, standing=old.bot.desk.restraints)

    # ---- small parts ----------------------------------------------------------------------------

    def _unless_stopped(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        for chunk in chunks:
            self._check_stop()
            yield chunk

    def _start(self, session_id: str, mode: str) -> None:
        """Write that a session begins, after the files that its records will name."""
        plan, now_us = self._plan, self._clock.now_us()
        self._journal.save_revision(config_hash=plan.config_hash, files=plan.files, applied_us=now_us)
        self._journal.start_session(
            SessionInfo(
                id=session_id,
                mode=mode,
                feed=self._feed.identity,
                config_hash=plan.config_hash,
                started_us=now_us,
                ended_us=None,
                status="running",
                account=plan.account,
            )
        )

    def _new_id(self, mode: str) -> str:
        now = datetime.fromtimestamp(self._clock.now_us() / 1e6, UTC)
        return f"{mode}-{now:%Y%m%dT%H%M%S}-{self._machine.new_token()}"

    def _gateway(self) -> Gateway | None:
        return None if self._connect is None else self._connect(self._brake)

    def _book(self, session_id: str) -> SqliteVenueBook | None:
        if self._connect is not None:
            return None  # the venue keeps its own
        book = self._machine.open_book(self._plan.state_path.parent / VENUE_FILE, session_id)
        self._books.callback(book.close)
        return book


def _utc(ts_us: int) -> str:
    return datetime.fromtimestamp(ts_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
