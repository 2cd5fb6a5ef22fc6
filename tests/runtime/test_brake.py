"""Trading commands in the trading loop: held back at once, written down, met again after any death."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pytest

from botd.core.bot import Bot, LaneSpec
from botd.core.decisions import canonical_line
from botd.core.events import Command, SubmitOrder
from botd.core.outcomes import DenyReason, OrderStatus
from botd.core.records import FillRecord, OrderRecord, Record, RiskRecord
from botd.core.restraint import Cause, TradingCommand, TradingState, Verb
from botd.core.settings import CoreSettings, PaperSettings
from botd.core.updates import OrderUpdate, TradingStateRecord
from botd.ports import Chunk, JournalEvent
from botd.runtime.brake import NEVER_SENT, Brake
from botd.runtime.loop import Group, TradingLoop
from botd.runtime.recovery import Recovery
from botd.venues.floor import Due
from botd.venues.simulated import SimulatedVenue
from tests.core.scene import NO_LIMITS, PERP, D, rows, strategy

OUT = "{ name: out, when: price > 120, close: 100% }"
RIDER = strategy("rider", ze1=OUT, protect="stop_loss: 30%")
LIMIT = "when: always, order: { type: limit, price: price - 20, ttl: 4s }, size: { fixed: 3 BTC }"
LATE = "{ name: late, when: held > 2s, close: 100% }"
# enters in the row in which the rider leaves, and is asked before it
EARLY = strategy("early", s1="when: price > 120, cooldown: 1s", z1=LIMIT, ze1=LATE)
PRICES = (99, 101, 103, 104, 121, 122)
ROUNDS = 12
HALT = TradingCommand(verb=Verb.HALT, cause=Cause.FILE, who="ann", reason="odd prices")
HOLD = TradingCommand(verb=Verb.HOLD, cause=Cause.LOOP_STALLED, who="watchdog")
RELEASE = TradingCommand(verb=Verb.RELEASE, cause=Cause.LOOP_STALLED, who="watchdog")
RESUME = TradingCommand(verb=Verb.RESUME, cause=Cause.COMMAND, who="ann")


Kind = TypeVar("Kind")


class Killed(Exception):
    """The process is gone."""


class Told(SimulatedVenue):
    """The simulated venue, noting every order that reaches it."""

    sent: list[SubmitOrder]

    def send(self, number: int, command: Command) -> None:
        if isinstance(command, SubmitOrder) and not self.took(number):
            self.sent.append(command)
        super().send(number, command)


class Shelf:
    """What the venue keeps in its file, in memory."""

    def __init__(self) -> None:
        self.state = ""
        self.answers: list[Due] = []

    def save(self, state: Mapping[str, Any], answers: Sequence[Due], taken: int) -> None:
        self.state = json.dumps(state)
        self.answers += answers

    def load(self, after_seq: int) -> tuple[Mapping[str, Any], list[Due]] | None:
        if not self.state:
            return None
        return json.loads(self.state), [one for one in self.answers if one.answer.seq > after_seq]


@dataclass
class Session:
    """What is on disk, and a daemon that may die at any commit, before or after what the commit allows."""

    asks: Mapping[int, TradingCommand] = field(default_factory=dict)  # by how many commits there are
    groups: list[Group] = field(default_factory=list)
    unsettled: list[TradingCommand] = field(default_factory=list)  # what the files still ask for
    sent: list[SubmitOrder] = field(default_factory=list)
    shelf: Shelf = field(default_factory=Shelf)

    def run(self, *, die_at: int | None = None, after_sending: bool = False) -> TradingLoop:
        """Come back from what is on disk and run to the end of the rows, or die at a commit."""
        loop = self.open()
        market = rows(*enumerate(PRICES * ROUNDS))
        lanes = np.zeros(market.shape[1], np.int64)
        for group in loop.run(Chunk(position=0, instrument=lanes, rows=market)):
            if after_sending and len(self.groups) == die_at:
                raise Killed
            self._commit(group, loop)
            if not after_sending and len(self.groups) == die_at:
                raise Killed
        return loop

    def open(self) -> TradingLoop:
        spec = LaneSpec(instrument=PERP, strategies=(EARLY, RIDER))
        settings = CoreSettings(equity={"USDT": D(100_000)}, limits=NO_LIMITS)
        bot = Bot(settings, [spec], id_prefix="o", block_max=16)
        venue = Told([PERP], PaperSettings(), balances=settings.equity, book=self.shelf)
        venue.sent = self.sent
        recovery = None
        if self.groups:
            cursor = self.groups[-1].cursor
            recovery = Recovery(cursor, [event for group in self.groups for event in group.events])
            venue.recall(self.shelf.load(cursor.venue_seq), expected=False)
        loop = TradingLoop(bot, venue, lane_of=[0], bar_length_us=None, recovery=recovery)
        for command in list(self.unsettled):
            loop.brake.ask(command, then=partial(self.unsettled.remove, command))
        return loop

    def _commit(self, group: Group, loop: TradingLoop) -> None:
        known = self.groups[-1].cursor.seq if self.groups else 0
        assert all(record.seq > known for record in group.records)
        self.groups.append(group)
        command = self.asks.get(len(self.groups))
        if command is not None:
            self.unsettled.append(command)
            loop.brake.ask(command, then=partial(self.unsettled.remove, command))

    # ---- what came of it ------------------------------------------------------------------------

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [record for group in self.groups for record in group.records if isinstance(record, kind)]

    def events(self, kind: str) -> list[JournalEvent]:
        return [event for group in self.groups for event in group.events if event.kind == kind]

    def commit_of(self, record: Record) -> int:
        """Return how many commits there are once a record is on disk."""
        return next(k for k, group in enumerate(self.groups, start=1) if record in group.records)

    def told(self) -> list[str]:
        """Everything that a run with deaths in it must say too."""
        records = [record for group in self.groups for record in group.records]
        lines = [line for line in map(canonical_line, records) if line is not None]
        return lines + [repr(one) for one in records if isinstance(one, TradingStateRecord | OrderUpdate)]


def entries(session: Session) -> list[OrderRecord]:
    return [one for one in session.of(OrderRecord) if not one.reduce_only]


def ids(orders: Sequence[OrderRecord | SubmitOrder | OrderUpdate]) -> list[str]:
    return [one.client_order_id for one in orders]


@pytest.fixture(scope="module")
def quiet() -> Session:
    """A session in which nobody asks for anything."""
    session = Session()
    session.run()
    for name in ("early", "rider"):
        assert len([one for one in entries(session) if one.strategy == name]) > 5
    return session


def entry_of(session: Session, name: str) -> OrderRecord:
    """Return a strategy's third entry."""
    return [one for one in entries(session) if one.strategy == name][2]


@pytest.mark.parametrize("name", ["early", "rider"])
def test_S8_committed_entry_that_was_not_sent_ends_and_the_venue_never_sees_it(  # noqa: N802 - the id
    quiet: Session, name: str
) -> None:
    order = entry_of(quiet, name)
    session = Session({quiet.commit_of(order): HALT})
    loop = session.run()
    (held,) = [one for one in session.of(OrderUpdate) if one.reason == NEVER_SENT]
    assert (held.client_order_id, held.status) == (order.client_order_id, OrderStatus.EXPIRED)
    assert order.client_order_id not in ids(session.sent)
    (halt,) = session.of(TradingStateRecord)
    assert (halt.cause, halt.ts_us) == (Cause.FILE, order.ts_us)
    # from there on risk denies; what is held and what waits ends
    later = [one for one in session.of(RiskRecord) if one.ts_us > halt.ts_us and not one.approved]
    assert {one.reason for one in later} == {DenyReason.TRADING_HALTED}
    assert [one for one in entries(session) if one.ts_us > halt.ts_us] == []
    assert loop.bot.desk.trading_state is TradingState.HALTED
    assert (loop.bot.desk.working, loop.bot.desk.portfolio.is_flat) == ([], True)


def test_exit_is_sent_although_the_brake_is_on(quiet: Session) -> None:
    """Halted in the very row in which an exit and, before it, an entry is decided."""
    out = [one for one in quiet.of(OrderRecord) if one.rule == "out"][2]
    entry = entry_of(quiet, "early")
    assert quiet.commit_of(out) == quiet.commit_of(entry)
    session = Session({quiet.commit_of(out): HALT})
    session.run()
    assert out.client_order_id in ids(session.sent)
    assert entry.client_order_id not in ids(session.sent)
    assert [one.trade_id for one in session.of(FillRecord) if one.client_order_id == out.client_order_id]


@pytest.mark.parametrize("name", ["early", "rider"])
def test_G2_S8_death_at_any_commit_changes_nothing_of_a_halt_and_a_resume(  # noqa: N802 - the ids
    quiet: Session, name: str
) -> None:
    order = entry_of(quiet, name)
    at = quiet.commit_of(order)
    asks = {at: HALT, at + 2: HOLD, at + 5: RESUME, at + 6: RELEASE}
    whole = Session(asks)
    whole.run()
    verbs = [one.verb for one in whole.of(TradingStateRecord)]
    assert verbs == [Verb.HALT, Verb.HOLD, Verb.RESUME, Verb.RELEASE]
    assert len(whole.events("withheld")) == 1
    assert [one for one in entries(whole) if one.ts_us > whole.of(TradingStateRecord)[-1].ts_us]
    for commit in range(at - 1, at + 12):
        for after_sending in (False, True):
            where = f"died at {commit}, after sending: {after_sending}"
            session = Session(asks)
            with pytest.raises(Killed):
                session.run(die_at=commit, after_sending=after_sending)
            session.run()
            assert session.told() == whole.told(), where
            assert ids(session.sent) == ids(whole.sent), where  # each once


def test_G2_order_that_the_venue_took_before_the_death_is_not_ended_by_a_halt(  # noqa: N802 - the id
    quiet: Session,
) -> None:
    order = entry_of(quiet, "rider")
    session = Session()
    with pytest.raises(Killed):
        session.run(die_at=quiet.commit_of(order), after_sending=True)
    assert ids(session.sent)[-1] == order.client_order_id
    session.unsettled.append(HALT)  # somebody halts while no daemon runs
    session.run()
    assert session.events("withheld") == []
    assert [one for one in session.of(FillRecord) if one.client_order_id == order.client_order_id]
    assert ids(session.sent).count(order.client_order_id) == 1


def test_G2_order_that_was_never_sent_ends_at_the_start_of_a_halted_bot(quiet: Session) -> None:  # noqa: N802
    order = entry_of(quiet, "rider")
    session = Session()
    with pytest.raises(Killed):
        session.run(die_at=quiet.commit_of(order))
    session.unsettled.append(HALT)
    session.run()
    assert order.client_order_id not in ids(session.sent)
    ended = [one for one in session.of(OrderUpdate) if one.reason == NEVER_SENT]
    assert ids(ended) == [order.client_order_id]
    session.run()  # and no later start sends it
    assert order.client_order_id not in ids(session.sent)


def test_G2_event_at_the_place_of_a_snapshot_is_not_met_twice(quiet: Session) -> None:  # noqa: N802 - the id
    """Halted and resumed between two chunks, then a snapshot, and nothing but new events after it."""
    loop = Session().open()
    market = rows(*enumerate(PRICES * 2))
    lanes = np.zeros(market.shape[1], np.int64)
    for _ in loop.run(Chunk(position=0, instrument=lanes, rows=market)):
        pass
    events = []
    for command in (HALT, RESUME):
        loop.brake.ask(command)
        events += [event for group in loop.obey(loop.ts_us) for event in group.events]
    again = Session().open()
    again.restore(loop.state())
    again.brake.ask(HALT)
    events += [event for group in again.obey(again.ts_us) for event in group.events]
    places = [(event.position, event.ordinal) for event in events]
    assert len(set(places)) == 3  # a place is a key: a second event there would be lost
    assert places == sorted(places)


# ---- between threads ----------------------------------------------------------------------------


def test_brake_is_on_from_the_asking_until_the_taking() -> None:
    brake, settled = Brake(), list[str]()
    assert (brake.on, brake.asked) == (False, False)
    brake.ask(RESUME, then=partial(settled.append, "resume"))
    assert (brake.on, brake.asked) == (False, True)
    brake.ask(HOLD)
    brake.ask(RELEASE, then=partial(settled.append, "release"))
    assert brake.on  # it still has to be written down
    assert brake.take() == [RESUME, HOLD, RELEASE]
    assert (brake.on, brake.asked, brake.take(), settled) == (False, False, [], [])
    brake.settle()
    brake.settle()
    assert settled == ["resume", "release"]


def test_brake_wakes_who_waits_for_commands_and_survives_a_closed_loop() -> None:
    loop = asyncio.new_event_loop()
    brake, woken = Brake(), list[str]()
    brake.wake_by(lambda: woken.append("now"))
    brake.ask(HALT)
    loop.close()
    brake.wake_by(lambda: loop.call_soon_threadsafe(woken.append, "never"))
    brake.ask(HALT)
    brake.wake_by(None)
    brake.ask(HALT)
    assert woken == ["now"]
    assert len(brake.take()) == 3
