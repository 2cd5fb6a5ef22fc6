"""The trading loop: market rows in, groups to commit out, commands carried out after their commit.

One generator drives everything, backtest and daemon alike. It stops at each group of records; the
driver commits the group and asks for the next, and only then are the group's commands sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from botd.core import halts
from botd.core.bot import Bot
from botd.core.carry import adopt_stops, carry
from botd.core.codec import answers_of, answers_text, command_of, command_text
from botd.core.events import Answer, Command, OrderEnded
from botd.core.lanes import I64, Block
from botd.core.records import Record
from botd.core.restraint import trading_text
from botd.core.swap import swap
from botd.core.values import maker, value
from botd.errors import InvariantBroken, StateCorrupt
from botd.failpoints import Point, failpoint
from botd.ports import AnswersEvent, Chunk, Cursor, EventVenue, JournalEvent
from botd.runtime.brake import Brake, withhold
from botd.runtime.due import answers_due, next_due
from botd.runtime.merge import RowMerger
from botd.runtime.recovery import Recovery, event_place, replay


@value(frozen=True, slots=True)
class Group:
    """What happened together and is committed together."""

    records: tuple[Record, ...]
    events: tuple[JournalEvent | AnswersEvent, ...]
    cursor: Cursor
    urgent: bool  # commands wait for it, or the venue's answers are in it


_made_group = maker(Group)
_made_cursor = maker(Cursor)
_journal_event = maker(JournalEvent)
_answers_event = maker(AnswersEvent)


class TradingLoop:
    """One session of a bot at an event-time venue."""

    def __init__(
        self,
        bot: Bot,
        venue: EventVenue,
        *,
        lane_of: Sequence[int],
        bar_length_us: int | None,
        recovery: Recovery | None = None,
    ) -> None:
        """`lane_of` gives each instrument of the feed its lane, -1 where no strategy trades it."""
        self.bot = bot
        self.venue = venue
        self._rows = RowMerger(lane_of, len(bot.lanes), bar_length_us)
        self.recovery = recovery
        self.brake = Brake()
        self.stopping = False  # set by the driver: judge no further block
        self.ends_recovered = False  # set by the driver: judge nothing that was not judged before
        self.pauses_recovered = False  # set by the driver: it has to look around before the next row
        self.position = 0  # merged rows judged
        self.feed_position = 0  # market rows taken from the feed
        self.ts_us = 0  # time of the last row judged
        self.venue_seq = 0
        self._commands = 0  # commands made in this session
        self._ordinal = (0, 0)  # (position, events applied there)
        self._unsent: list[tuple[int, Command]] = []  # made in a hand-over, or again during recovery
        self._chunk_start = 0  # position of the chunk's first merged row
        self._feed_at: I64 = np.zeros(1, np.int64)  # feed rows before each merged row

    # ---- rows -----------------------------------------------------------------------------------

    def run(self, chunk: Chunk, *, until_us: int | None = None) -> Iterator[Group]:
        """Judge a chunk of market rows and the timers among them.

        Timers run up to the chunk's last row, or to `until_us` where the driver knows that no earlier
        market row can follow.
        """
        lanes, rows = self._take(chunk, until_us)
        size = self.bot.block_max
        for start in range(0, rows.shape[1], size):
            if self.stopping:
                return
            if self.recovery is None:
                yield from self.hear(self.position)
            yield from self._block(
                lanes[start : start + size], np.ascontiguousarray(rows[:, start : start + size])
            )

    @property
    def judged_feed_position(self) -> int:
        """Return the feed's first market row that was not judged; `feed_position` is the end of its chunk."""
        return int(self._feed_at[self.position - self._chunk_start])

    def _take(self, chunk: Chunk, until_us: int | None) -> tuple[I64, I64]:
        self.feed_position = chunk.position + chunk.rows.shape[1]
        lanes, rows, self._feed_at = self._rows.take(chunk, until_us)
        self._chunk_start = self.position
        return lanes, rows

    def _block(self, lanes: I64, rows: I64) -> Iterator[Group]:
        block = self.bot.load(lanes, rows)
        start, place = self.position, 0
        while place < block.n:
            if self.recovery is not None:
                place = self._recover(block, start, place)
                failpoint(Point.RECOVERY_ROWS)
                self._moved(block, start, place)
                yield from self._recovered()
                if self.ends_recovered and self.recovery is None:
                    self.stopping = True
                    return
                if self.recovery is None:
                    yield from self.hear(self.position)
                continue
            while self.brake.urgent:
                yield from self.obey(self.ts_us or int(block.times[0]), settled=False)
            due, lane = next_due(self.venue, self.bot.lanes, block, start, place)
            place, commands = self.bot.advance(block, place, due)
            self._moved(block, start, place)
            if commands:
                yield self._group(urgent=True)
                yield from self._send(commands)
            elif place == due and due < block.n:
                answers = answers_due(self.venue, block, lane, start, place)
                if answers:
                    events, commands = self._apply(answers)
                    yield self._group(events, urgent=True)
                    yield from self._send(commands)
        if self.bot.desk.records:
            yield self._group(urgent=False)

    def _moved(self, block: Block, start: int, place: int) -> None:
        self.position = start + place
        if place:
            self.ts_us = int(block.times[place - 1])

    # ---- the venue ------------------------------------------------------------------------------

    def _apply(self, answers: Sequence[Answer]) -> tuple[list[AnswersEvent], list[Command]]:
        """Book what the venue answered at this place: one event, so that it is met again as one."""
        self.venue_seq = max(self.venue_seq, answers[-1].seq)
        event = _answers_event(self.position, self._next_ordinal(), tuple(answers))
        commands = self.bot.apply(answers)
        failpoint(Point.ANSWERS_BEFORE_COMMIT)
        return [event], commands

    def _event(self, kind: str, payload: str) -> JournalEvent:
        return _journal_event(self.position, self._next_ordinal(), kind, payload)

    def _next_ordinal(self) -> int:
        position, count = self._ordinal
        self._ordinal = (self.position, count + 1 if position == self.position else 0)
        return self._ordinal[1]

    def _send(self, commands: Sequence[Command]) -> Iterator[Group]:
        failpoint(Point.SEND_BEFORE)
        yield from self._hand_over(self._number(commands))
        failpoint(Point.SEND_AFTER)

    def _number(self, commands: Sequence[Command]) -> list[tuple[int, Command]]:
        first = self._commands + 1
        self._commands += len(commands)
        return list(enumerate(commands, first))

    def _hand_over(self, numbered: list[tuple[int, Command]], *, again: bool = False) -> Iterator[Group]:
        """Send commands; while the brake is on, end what adds risk instead, and have that written first."""
        send = self.venue.send_again if again else self.venue.send
        if self.brake.on:
            held, numbered = withhold(numbered, self.venue, self.ts_us)
            if held:
                event = self._event("withheld", answers_text(held))
                numbered += self._number(self.bot.apply(held))
                yield self._group([event], urgent=True)
        for number, command in numbered:
            send(number, command)
            failpoint(Point.SEND_BETWEEN)
        self.venue.save()

    def obey(self, ts_us: int, *, settled: bool = True) -> Iterator[Group]:
        """Carry out the trading commands that wait, each at its place among the events.

        `settled` says that no lane has been judged beyond that place.
        """
        events: list[JournalEvent] = []
        commands: list[Command] = []
        for one in self.brake.take(ending=settled):
            if halts.changes(self.bot.desk, one):
                events.append(self._event("command", trading_text(one, ts_us)))
                commands += self.bot.obey(one, ts_us)
        if events:
            yield self._group(events, urgent=True)
            yield from self._send(commands)
        self.brake.settle()

    def hear(self, until: int) -> Iterator[Group]:
        """Apply what the venue has answered, due before a merged position that no lane was judged beyond."""
        answers = self.venue.take_waiting(until)
        if answers:
            events, commands = self._apply(answers)
            yield self._group(events, urgent=True)
            yield from self._send(commands)

    def begin_epoch(self, id_prefix: str, venue_us: int) -> Group:
        """Give the orders of this process ids that no other process has given."""
        event = self._event("epoch", f"{id_prefix}|{venue_us}")
        self.bot.begin_epoch(id_prefix, venue_us)
        return self._group([event], urgent=True)

    def _group(self, events: Sequence[JournalEvent | AnswersEvent] = (), *, urgent: bool) -> Group:
        return _made_group(tuple(self.bot.take_records()), tuple(events), self.cursor(), urgent)

    def cursor(self) -> Cursor:
        """Say how far the session has come."""
        return _made_cursor(self.feed_position, self.position, self.ts_us, self.bot.desk.seq, self.venue_seq)

    # ---- coming back ----------------------------------------------------------------------------

    def _recover(self, block: Block, start: int, place: int) -> int:
        """Judge rows again as the session did before, with the answers it had; return the next place."""
        recovery = self.recovery
        if recovery is None:
            raise InvariantBroken("there is nothing to recover")
        for event in recovery.events_at(start + place):
            self._replay(event)
        until = min(block.n, recovery.next_position() - start)
        if until > place:
            place, commands = self.bot.advance(block, place, until)
            self._remember(commands)
        if start + place >= recovery.cursor.position:
            self._moved(block, start, place)
            for event in recovery.events_at(start + place):
                self._replay(event)
        return place

    def _replay(self, event: JournalEvent) -> None:
        """Have the bot meet an event again, and remember what it then asks for."""
        if event.kind in ("answers", "withheld"):
            answers = answers_of(event.payload)
            if event.kind == "answers":
                self.venue_seq = max(self.venue_seq, answers[-1].seq)
            else:
                never_sent = {one.client_order_id for one in answers if isinstance(one, OrderEnded)}
                self._unsent = [one for one in self._unsent if one[1].client_order_id not in never_sent]
            self._remember(self.bot.apply(answers))
        else:
            self._remember(replay(self.bot, event))
        self._ordinal = (event.position, event.ordinal)

    def _remember(self, commands: Sequence[Command]) -> None:
        self._unsent += self._number(commands)

    def _recovered(self) -> Iterator[Group]:
        """Once everything committed is met again: hand the venue what it may have missed, and go on."""
        recovery = self.recovery
        if recovery is None:
            return
        known = recovery.cursor.seq  # what the former run committed is neither written nor told again
        self.bot.desk.records = [record for record in self.bot.desk.records if record.seq > known]
        if self.position < recovery.cursor.position:
            return
        if self.position != recovery.cursor.position:
            raise InvariantBroken(
                f"recovery came to row {self.position}, the journal ends at {recovery.cursor.position}"
            )
        if self.bot.desk.seq != known:
            raise StateCorrupt(
                f"the session is not met again as it was ({self.bot.desk.seq} records for {known}): "
                "another botd decided, or rows changed; start the version that wrote it, or restore a copy"
            )
        self.recovery = None
        if self.bot.desk.records:
            yield self._group(urgent=True)
        failpoint(Point.RECOVERY_BEFORE_SEND)
        yield from self.send_unsent()
        if self.pauses_recovered:
            yield self._group(urgent=False)

    def end_recovery(self) -> Iterator[Group]:
        """Meet what was committed at the place where the loop stands: no further row is to be judged."""
        recovery = self.recovery
        if recovery is not None and self.position == recovery.cursor.position:
            for event in recovery.events_at(self.position):
                self._replay(event)
            yield from self._recovered()

    def send_unsent(self, *, again: bool = True) -> Iterator[Group]:
        """Hand the venue the commands kept back until they were on disk; `again`, those it has had too."""
        unsent, self._unsent = self._unsent, []
        yield from self._hand_over(unsent, again=again)
        failpoint(Point.RECOVERY_AFTER)

    # ---- jobs -----------------------------------------------------------------------------------

    def record_books(self) -> Group:
        """Record the account between two chunks. It moves no peak: no row says when a job is due."""
        event = self._event("books", str(self.ts_us))
        self.bot.note_books(self.ts_us)
        return self._group([event], urgent=True)

    # ---- stopping -------------------------------------------------------------------------------

    def stop(self) -> Iterator[Group]:
        """Apply every strategy's `on_stop` and let the venue answer what is in flight."""
        event = self._event("stop", str(self.ts_us))
        yield from self._wind_down(event, self.bot.stop(self.ts_us))

    def abandon(self, reason: str) -> Iterator[Group]:
        """Close every position at the last top, with alerts: the session cannot go on."""
        event = self._event("abandon", f"{self.ts_us}|{reason}")
        yield from self._wind_down(event, self.bot.flatten(self.ts_us, reason))

    def _wind_down(self, event: JournalEvent, commands: Sequence[Command]) -> Iterator[Group]:
        yield self._group([event], urgent=True)  # without commands too: it changes what answers lead to
        if not commands:
            return
        yield from self._send(commands)
        while True:
            answers: list[Answer] = []
            for lane in self.bot.lanes:
                engine, last = lane.engine, lane.judged()
                if last is not None:
                    answers += self.venue.drain(
                        lane.instrument.id, engine.ring, engine.first_row, last + 1, self.position
                    )
            if not answers:
                return
            events, commands = self._apply(answers)
            yield self._group(events, urgent=True)
            yield from self._send(commands)

    # ---- another plan ---------------------------------------------------------------------------

    def warm(self, chunk: Chunk, *, until_us: int | None = None) -> None:
        """Run stage 1 over a chunk and judge nothing: the engines take in history."""
        lanes, rows = self._take(chunk, until_us)
        size = self.bot.block_max
        for start in range(0, rows.shape[1], size):
            part = np.ascontiguousarray(rows[:, start : start + size])
            block = self.bot.load(lanes[start : start + size], part)
            self.bot.pass_over(block)
            self._moved(block, self.position, block.n)

    def succeed(self, old: TradingLoop) -> None:
        """Take over a session's account, orders and request numbers; the rows are warm already.

        What this asks of the venue is part of `state()` until `send_unsent`: commit it before.
        """
        changed = carry(old.bot, self.bot, self.ts_us)
        self.bot.restate(self.ts_us)
        self.venue.recall((old.venue.state(), ()), expected=True)
        self.venue_seq = old.venue_seq
        self._commands = old._commands
        self._remember(adopt_stops(self.bot, changed, self.ts_us))

    def exchange(self, bot: Bot) -> Group:
        """Go on with another plan's bot from the next row on; what it asks is part of `state()` as well."""
        changed = swap(self.bot, bot, self.ts_us)
        self.bot = bot
        self._remember(adopt_stops(bot, changed, self.ts_us))
        return self._group(urgent=True)

    # ---- snapshots ------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return everything that a restart between two chunks needs."""
        return {
            "bot": self.bot.state(),
            "timers": self._rows.state(),
            "position": self.position,
            "ordinal": list(self._ordinal),
            "feed_position": self.feed_position,
            "ts_us": self.ts_us,
            "venue_seq": self.venue_seq,
            "commands": self._commands,
            "unsent": [(number, command_text(command)) for number, command in self._unsent],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state()` of a session with the same plan."""
        self.bot.restore(state["bot"])
        self._rows.restore(state["timers"])
        self.position = self._chunk_start = state["position"]
        self._feed_at = np.full(1, state["feed_position"], np.int64)
        self._ordinal = event_place(state)
        self.feed_position = state["feed_position"]
        self.ts_us = state["ts_us"]
        self.venue_seq = state["venue_seq"]
        self._commands = state["commands"]
        unsent = state.get("unsent", ())  # a snapshot of an older botd has none
        self._unsent = [(number, command_of(text)) for number, text in unsent]
