"""An instrument that is gone: from the venue, from the feed, before a start and after it. F7."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from botd.config.loader import load_plan
from botd.config.plan import Plan
from botd.core.events import SubmitOrder
from botd.core.instrument import Instrument
from botd.engine import layout as col
from botd.engine.layout import N_INPUT, RowKind
from botd.errors import ConfigInvalid
from botd.machine import Machine
from botd.ports import Batch, Chunk, VenueError
from botd.runtime.brake import Brake
from botd.runtime.snapshot import encode
from botd.sessions import Session, SessionOpener
from botd.store.journal import SqliteJournal, open_state
from botd.store.queries import StateReader
from tests.core.scene import NO_LIMITS, PERP, strategy
from tests.runtime.gateway_scene import Day, Swing, play
from tests.session_scene import NOW_US, Bench, HandClock, held

HOLDS = """strategy: holder
instruments: [ETH/USDT:USDT, SOL/USDT:USDT]
side: long
S1: { when: price > 1, cooldown: 60s }
Z1: { when: always, order: { type: market, slippage_max: 100bps }, size: { percent: 2% of equity } }
E1: [{ name: out, when: price > 200000 }]
protect: { stop_loss: 20% }
on_stop: keep
"""
ETH, SOL = "ETH/USDT:USDT", "SOL/USDT:USDT"


class Listing:
    """A print of each listed instrument in each second, at a price that stands still."""

    kinds = frozenset({RowKind.TRADE})
    bar_length_us = None
    seekable = True
    identity = "listing"

    def __init__(self, instruments: tuple[Instrument, ...], clock: HandClock) -> None:
        self.instruments = instruments
        self._clock = clock

    def read(self, position: int, *, rows_max: int = 65536) -> Iterator[Chunk]:
        """Yield what has come by now: two rows a second by number, whatever is listed."""
        come = 2 * (self._clock.now_us() - NOW_US) // 1_000_000
        if position >= come:
            return
        numbers = np.arange(position, come)
        rows = np.zeros((N_INPUT, numbers.size), np.int64)
        rows[[col.T, col.VT, col.RT]] = NOW_US + numbers // 2 * 1_000_000
        rows[[col.P, col.OPEN, col.HIGH, col.LOW, col.BID]] = 20_000
        rows[col.ASK] = 20_001
        rows[[col.Q, col.BSZ, col.ASZ]] = 1_000_000
        rows[col.SIDE], rows[col.KIND] = 1, int(RowKind.TRADE)
        yield Chunk(position=position, instrument=numbers % len(self.instruments), rows=rows)

    async def stream(self, position: int) -> AsyncIterator[Chunk]:
        for chunk in self.read(position):
            yield chunk


class Listed(Bench):
    """A bot folder on a feed that lists what a test says."""

    def plan(self) -> Plan:
        return load_plan(self.folder)

    def start(self, *names: str) -> tuple[Session, SqliteJournal]:
        plan, self.brake = self.plan(), Brake()
        instruments = tuple(one for one in plan.instruments if one.id in names)
        journal = open_state(plan.state_path)
        feed: Any = Listing(instruments, self.clock)
        opener = SessionOpener(
            plan, feed, journal, machine=Machine(clock=self.clock), screen=Said(self.said), brake=self.brake,
            as_listed=True,
        )  # fmt: skip
        try:
            return opener.open(), journal
        except BaseException:
            journal.close()
            raise

    def live(self, session: Session, journal: SqliteJournal, seconds: int) -> None:
        """Trade for a while; leave a snapshot, and die."""
        self.clock.at_us += seconds * 1_000_000
        loop = session.loop
        for chunk in session.feed.read(loop.feed_position):
            for group in loop.run(chunk):
                journal.commit(Batch(session_id=session.id, records=group.records, events=group.events,
                                     cursor=group.cursor))  # fmt: skip
        group = loop.record_books()  # values all that is held
        journal.commit(Batch(session_id=session.id, records=group.records, events=group.events,
                             cursor=group.cursor))  # fmt: skip
        journal.save_snapshot(session.id, loop.cursor(), encode(loop.state(), plan=session.plan.config_hash))
        self.die(session, journal)

    def halted(self, session: Session) -> list[tuple[str, str]]:
        with StateReader(self.folder / "state" / "botd.sqlite3") as reader:
            return [(one.cause, one.scope) for one in reader.restraints(session.id)]


class Said:
    """A screen that keeps what is said."""

    def __init__(self, said: list[str]) -> None:
        self.say = said.append

    def update(self, records: Any, *, announce: bool = True) -> None:
        """Show nothing."""


@pytest.fixture
def bot(tmp_path: Path) -> Listed:
    bot = Listed(tmp_path)
    bot.write(HOLDS)
    return bot


def test_F7_first_start_on_a_feed_without_a_symbol_is_a_config_error(bot: Listed) -> None:
    with pytest.raises(ConfigInvalid) as failed:
        bot.start(ETH)
    (fault,) = failed.value.diagnostics
    assert fault.file.endswith("holder.yaml")
    assert fault.message.startswith(f"the feed has no {SOL}; ")


@pytest.mark.parametrize("edited", [False, True], ids=["same files", "other files"])
def test_F7_start_without_a_symbol_that_is_held_quarantines_it_and_trades_the_others(
    bot: Listed, edited: bool
) -> None:
    session, journal = bot.start(ETH, SOL)
    bot.live(session, journal, 60)
    before = held(session)
    assert set(before) == {ETH, SOL}
    marks = session.loop.bot.desk.marks_now()
    if edited:
        bot.write(HOLDS.replace("200000", "300000"))
    session, journal = bot.start(ETH)
    assert f"{SOL} is not in the feed any more: it is quarantined, and the others are traded" in bot.said
    assert (session.id in bot.said[-1], held(session)) == (True, before)
    bot.live(session, journal, 60)
    assert held(session)[SOL] == before[SOL]  # visible, at its last price
    assert session.loop.bot.desk.marks_now() == marks
    assert bot.halted(session) == [("quarantined", SOL)]
    assert any(lane.engine.rows_seen > 100 for lane in session.loop.bot.desk.lanes)
    told = alerts(bot, session)
    assert told.count("trading_halted") == 1
    session, journal = bot.start(ETH)  # and so does the next start, without news
    bot.live(session, journal, 60)
    assert held(session)[SOL] == before[SOL]
    assert alerts(bot, session) == told


def alerts(bot: Listed, session: Session) -> list[str]:
    with StateReader(bot.folder / "state" / "botd.sqlite3") as reader:
        return [one.type for one in reader.recent_alerts(session.id)]


def test_F7_position_of_a_symbol_that_is_gone_stays_at_a_stop_that_would_close_it(bot: Listed) -> None:
    bot.write(HOLDS.replace("on_stop: keep", "on_stop: flatten"))
    session, journal = bot.start(ETH, SOL)
    bot.live(session, journal, 60)
    bot.judge_otherwise()  # another session, which has no row of it
    session, journal = bot.start(ETH)
    bot.clock.at_us += 1_000_000
    for chunk in session.feed.read(session.loop.feed_position):
        list(session.loop.run(chunk))
    list(session.loop.stop())
    assert set(held(session)) == {SOL}
    bot.die(session, journal)


# ---- at a venue ------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", ["BadSymbol", "ContractUnavailable"])
def test_F7_instrument_that_the_venue_trades_no_more_is_quarantined_at_the_first_order(error: str) -> None:
    async def refused(way_on: Callable[..., Awaitable[Any]], order: SubmitOrder) -> Any:
        raise VenueError(error, "no such symbol", http=400)

    async def script(day: Day) -> None:
        day.hooks["submit"] = refused
        await day.at(200)
        assert day.statuses() == ["rejected"]
        assert day.restraints() == [("halted", "quarantined")]
        assert [one.scope for one in day.bot.desk.restraints] == [PERP.id]
        assert day.alerts().count("trading_halted") == 1
        day.check()

    often = strategy(s1="when: price > 100, cooldown: 1s", e1="{ name: out, when: held > 5s }")
    play(script, often, prices=Swing(), limits=replace(NO_LIMITS, losing_streak_max=10**6))
