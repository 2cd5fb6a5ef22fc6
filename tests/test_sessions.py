"""Opening sessions: begun with a warm-up, resumed after a crash, handed over, ended after an absence."""

from __future__ import annotations

import io
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from botd import sessions
from botd.config.loader import load_plan
from botd.core.orders import Order
from botd.errors import InputInvalid, OtherAccount, StateCorrupt
from botd.feeds.synthetic import SyntheticFeed
from botd.ports import Batch, Cursor
from botd.runtime.clock import WallClock
from botd.runtime.snapshot import encode
from botd.runtime.terminal import Screen
from botd.sessions import DAY_US, Session, SessionOpener
from botd.store.fsck import examine
from botd.store.journal import SqliteJournal, open_state
from botd.store.queries import StateReader
from tests.store import samples

ROOT = Path(__file__).resolve().parents[1]
NOW_US = 1_790_000_000_000_000
MINUTE_US = 60_000_000

# enters on every burst and holds, so that there is something to carry
HOLDER = """strategy: breakout
instruments: [ETH/USDT:USDT, SOL/USDT:USDT]
side: long
let:
  rise: price / high(from 15s to 2s) - 1
S1: { when: rise > 0.1%, cooldown: 15s }
Z1: { when: always, order: { type: market, slippage_max: 100bps }, size: { percent: 2% of equity } }
ZE1:
  - { name: half, when: held > 20s, close: 50% }
  - { name: out, when: held > 1h, close: 100% }
protect: { stop_loss: 20% }
on_stop: keep
"""


class HandClock(WallClock):
    """A wall clock that a test moves."""

    def __init__(self, now_us: int) -> None:
        self.at_us = now_us

    def now_us(self) -> int:
        return self.at_us


class Bench:
    """A bot folder, and daemons that start, trade for a while and die."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = HandClock(NOW_US)
        self.said: list[str] = []
        self.summary: Callable[[], str] = str
        shutil.copytree(ROOT / "configs", folder / "configs")
        shutil.copy(ROOT / "config.yaml", folder)
        (folder / "strategies").mkdir()
        self.write(HOLDER)

    def write(self, text: str, name: str = "holder.yaml") -> None:
        (self.folder / "strategies" / name).write_text(text)

    def open(self) -> tuple[Session, SqliteJournal]:
        plan = load_plan(self.folder)
        feed = SyntheticFeed(plan.instruments, seed=1, clock=self.clock)
        journal = open_state(plan.state_path)
        screen = Screen(Console(file=io.StringIO()), self.clock, mode="paper", write=self.said.append)
        self.summary = screen.summary
        try:
            return SessionOpener(plan, feed, journal, clock=self.clock, screen=screen).open(), journal
        except BaseException:
            journal.close()
            raise

    def trade(self, session: Session, journal: SqliteJournal, minutes: int) -> None:
        """Let time pass, commit what happens, and die without a word."""
        self.clock.at_us += minutes * MINUTE_US
        feed = session.feed
        assert isinstance(feed, SyntheticFeed)
        for chunk in feed.read(session.loop.feed_position, until_us=self.clock.at_us):
            for group in session.loop.run(chunk):
                batch = Batch(
                    session_id=session.id, records=group.records, events=group.events, cursor=group.cursor
                )
                journal.commit(batch)
        self.die(session, journal)

    def die(self, session: Session, journal: SqliteJournal) -> None:
        session.book.close()
        journal.close()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(sessions, "WARM_UP_US", 10 * MINUTE_US)  # a day takes seconds
    (tmp_path / "bot").mkdir()
    return Bench(tmp_path / "bot")


def held(session: Session) -> dict[str, int]:
    return {str(p.instrument): p.qty for p in session.loop.bot.desk.portfolio.positions()}


def live_orders(session: Session) -> list[tuple[str, str, int]]:
    orders: list[Order] = session.loop.bot.desk.orders.live()
    return sorted((o.client_order_id, str(o.status), o.qty) for o in orders)


def recover(bench: Bench, session: Session) -> None:
    """Read rows until the session has met all that it had committed."""
    assert isinstance(session.feed, SyntheticFeed)
    until = bench.clock.at_us + 5_000_000
    for chunk in session.feed.read(session.loop.feed_position, until_us=until):
        if session.loop.recovery is None:
            return
        list(session.loop.run(chunk))


def test_first_start_warms_up_and_fills_the_books(bench: Bench) -> None:
    session, journal = bench.open()
    assert held(session)
    assert session.loop.bot.take_records() == []  # all of it is written
    with StateReader(bench.folder / "state" / "botd.sqlite3") as reader:
        modes = {info.mode: info.status for info in reader.sessions()}
        assert modes == {"warmup": "finished", "paper": "running"}
        assert {p.instrument for p in reader.positions(session.id)} == set(held(session))
    bench.die(session, journal)


def test_session_comes_back_as_it_was(bench: Bench) -> None:
    session, journal = bench.open()
    bench.trade(session, journal, 5)
    again, journal = bench.open()
    assert again.id == session.id
    recover(bench, again)
    # the rows after the last commit are judged again too: compare with the loop that went on
    assert held(again) == held(session)
    assert live_orders(again) == live_orders(session)
    assert again.loop.bot.desk.portfolio.balance("USDT") == session.loop.bot.desk.portfolio.balance("USDT")
    assert again.loop.venue.positions() == session.loop.venue.positions()
    bench.die(again, journal)


@pytest.mark.parametrize("snapshot", ["before", "after"])
def test_books_recorded_between_two_chunks_are_met_again_once(bench: Bench, snapshot: str) -> None:
    session, journal = bench.open()
    for step in ("before", "books", "after"):
        if step == "books":
            group = session.loop.record_books()
            journal.commit(
                Batch(session_id=session.id, records=group.records, events=group.events, cursor=group.cursor)
            )
        elif step == snapshot:
            state = encode(session.loop.state(), plan=load_plan(bench.folder).config_hash)
            journal.save_snapshot(session.id, session.loop.cursor(), state)
    bench.trade(session, journal, 2)
    again, journal = bench.open()
    recover(bench, again)
    assert again.loop.bot.desk.seq == session.loop.bot.desk.seq
    assert live_orders(again) == live_orders(session)
    assert again.loop.bot.desk.portfolio.state() == session.loop.bot.desk.portfolio.state()
    with StateReader(bench.folder / "state" / "botd.sqlite3") as reader:
        books = {one.currency: one for one in reader.equity_curve(session.id)}
        assert set(books) == {"USDT", "BTC"}
        assert books["USDT"].unrealized_pnl != 0
    bench.die(again, journal)


def test_changed_files_hand_the_account_over(bench: Bench) -> None:
    session, journal = bench.open()
    bench.trade(session, journal, 5)
    before = held(session)
    assert before
    bench.write(HOLDER.replace("held > 1h", "held > 2h"))
    heir, journal = bench.open()
    assert heir.id != session.id
    assert held(heir) == before
    assert live_orders(heir) == live_orders(session)  # the stops rest on, under their own ids
    assert heir.loop.venue.positions() == session.loop.venue.positions()
    runner = heir.loop.bot.runners[0]
    assert runner.memory.cycle == session.loop.bot.runners[0].memory.cycle
    with StateReader(bench.folder / "state" / "botd.sqlite3") as reader:
        assert [a.type for a in reader.recent_alerts(heir.id)] == ["exits_adopted"] * len(before)
        assert {p.instrument for p in reader.positions(heir.id)} == set(before)
    told = [line for line in bench.said if " alert medium exits_adopted: an open position takes " in line]
    assert len(told) == len(before)
    assert f"  alerts     {len(before)} medium exits_adopted, " in bench.summary()
    bench.trade(heir, journal, 2)  # and it trades on
    assert heir.loop.bot.desk.seq > 0


def stops(session: Session) -> dict[str, list[Decimal]]:
    """Return the stop prices that rest at the venue, as shares of the average entry, by instrument."""
    desk = session.loop.bot.desk
    found: dict[str, list[Decimal]] = {}
    for command, _ in session.loop.venue.working():
        position = desk.portfolio.held((command.key.strategy, command.instrument))
        if command.stop is not None and position is not None:
            ratio = Decimal(command.stop) * position.qty / position.cost
            found.setdefault(str(command.instrument), []).append(round(ratio, 3))
    return found


def test_changed_stop_loss_moves_the_stop_at_the_venue(bench: Bench) -> None:
    session, journal = bench.open()
    bench.trade(session, journal, 5)
    before = stops(session)
    assert before == {instrument: [Decimal("0.8")] for instrument in held(session)}
    assert before
    bench.write(HOLDER.replace("stop_loss: 20%", "stop_loss: 15%"))
    heir, journal = bench.open()
    bench.trade(heir, journal, 1)
    assert stops(heir) == {instrument: [Decimal("0.85")] for instrument in before}


def test_removed_stop_loss_leaves_no_stop_and_an_added_one_brings_it(bench: Bench) -> None:
    session, journal = bench.open()
    bench.trade(session, journal, 5)
    assert stops(session)
    bench.write(HOLDER.replace("{ stop_loss: 20% }", "{}"))
    bare, journal = bench.open()
    bench.trade(bare, journal, 1)
    assert held(bare)
    assert stops(bare) == {}
    bench.write(HOLDER)
    again, journal = bench.open()
    bench.trade(again, journal, 1)
    assert stops(again) == {instrument: [Decimal("0.8")] for instrument in held(again)}


def test_hand_over_killed_before_it_spoke_to_the_venue_speaks_on_return(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, journal = bench.open()
    bench.trade(session, journal, 5)
    before = stops(session)
    bench.write(HOLDER.replace("stop_loss: 20%", "stop_loss: 15%"))

    save = SqliteJournal.save_snapshot

    def save_and_die(journal: SqliteJournal, session_id: str, cursor: Cursor, payload: bytes) -> None:
        save(journal, session_id, cursor, payload)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SqliteJournal, "save_snapshot", save_and_die)
        bench.open()
    heir, journal = bench.open()
    assert stops(heir) == before
    bench.trade(heir, journal, 1)
    assert stops(heir) == {instrument: [Decimal("0.85")] for instrument in before}
    again, journal = bench.open()  # and what was sent once is not sent again
    bench.trade(again, journal, 1)
    assert stops(again) == stops(heir)


def rows_written(bench: Bench) -> dict[str, int]:
    """Count the rows of everything that trading writes."""
    tables = ("intents", "risk_decisions", "orders", "fills", "trades", "positions", "portfolio_snapshots")
    with closing(sqlite3.connect(bench.folder / "state" / "botd.sqlite3")) as connection:
        return {
            table: int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in tables
        }


def test_S14_ten_starts_without_news_write_nothing(bench: Bench) -> None:  # noqa: N802 - the invariant's id
    bench.trade(*bench.open(), minutes=5)
    before = rows_written(bench)
    assert min(before[table] for table in ("intents", "orders", "fills", "positions")) > 0
    for _ in range(10):
        bench.trade(*bench.open(), minutes=0)  # the rows up to now are judged again, and no new ones come
    assert rows_written(bench) == before
    assert examine(bench.folder / "state" / "botd.sqlite3").findings == ()


def test_S5_fill_lost_in_a_session_that_was_taken_over_refuses_the_start(bench: Bench) -> None:  # noqa: N802
    session, journal = bench.open()
    bench.trade(session, journal, 5)
    bench.write(HOLDER.replace("held > 1h", "held > 2h"))
    bench.trade(*bench.open(), minutes=1)
    state = bench.folder / "state" / "botd.sqlite3"
    kept = state.read_bytes()
    with closing(sqlite3.connect(state)) as connection, connection:
        connection.execute("DELETE FROM fills WHERE seq = (SELECT min(seq) FROM fills)")
    broken = state.read_bytes()
    with pytest.raises(StateCorrupt, match=r"cannot be trusted: S5\.position \(3 rows\)"):
        bench.open()
    assert state.read_bytes() == broken
    state.write_bytes(kept)
    session, journal = bench.open()
    bench.die(session, journal)


def test_strategy_with_a_position_cannot_vanish(bench: Bench) -> None:
    session, journal = bench.open()
    bench.trade(session, journal, 5)
    bench.write(HOLDER.replace("strategy: breakout", "strategy: other"))
    with pytest.raises(InputInvalid, match="strategy breakout still holds a position or an order"):
        bench.open()
    bench.write(HOLDER)  # nothing was lost: the old file finds its session again
    again, journal = bench.open()
    assert again.id == session.id
    bench.die(again, journal)


def test_after_a_day_away_positions_close_and_balances_go_on(bench: Bench) -> None:
    session, journal = bench.open()
    bench.trade(session, journal, 5)
    assert held(session)
    bench.clock.at_us += DAY_US + MINUTE_US
    fresh, journal = bench.open()
    assert fresh.id != session.id
    with StateReader(bench.folder / "state" / "botd.sqlite3") as reader:
        assert reader.positions(session.id) == ()
        closed = reader.trades(session.id)[-1]
        assert (str(closed.exit_section), closed.exit_rule) == ("manual", "stop")
        assert {a.type for a in reader.recent_alerts(session.id)} == {"position_closed"}
        told = [line for line in bench.said if " alert critical position_closed: " in line]
        assert len(told) == len(reader.recent_alerts(session.id))
        ended = {info.id: info.status for info in reader.sessions()}
        assert ended[session.id] == "finished"
    start = fresh.loop.bot.desk.portfolio.start("USDT")
    assert start != Decimal(10_000)
    assert abs(start - session.loop.bot.desk.portfolio.balance("USDT")) < 10
    bench.die(fresh, journal)


def test_other_account_is_refused(bench: Bench) -> None:
    session, journal = bench.open()
    bench.die(session, journal)
    config = bench.folder / "config.yaml"
    config.write_text(config.read_text().replace("name: paper", "name: other"))
    with pytest.raises(OtherAccount, match=r"holds the account paper, config\.yaml names other"):
        bench.open()


def test_other_account_is_refused_whatever_the_feed(bench: Bench) -> None:
    journal = open_state(bench.folder / "state" / "botd.sqlite3")
    journal.start_session(samples.started("data", feed="recorded:x.parquet:1", account="theirs"))
    journal.end_session("data", status="finished", ended_us=NOW_US)
    journal.close()
    with pytest.raises(OtherAccount, match=r"holds the account theirs, config\.yaml names paper"):
        bench.open()
    with StateReader(bench.folder / "state" / "botd.sqlite3") as reader:
        assert [info.id for info in reader.sessions()] == ["data"]


def test_sessions_that_a_kill_left_running_are_marked_by_the_next_start(bench: Bench) -> None:
    journal = open_state(bench.folder / "state" / "botd.sqlite3")
    journal.start_session(samples.started("warmup-1", mode="warmup"))
    journal.close()
    session, journal = bench.open()
    bench.die(session, journal)
    with StateReader(bench.folder / "state" / "botd.sqlite3") as reader:
        assert reader.session("warmup-1").status == "killed"
        assert reader.session().id == session.id


def test_lost_snapshots_and_a_lost_venue_file_are_said(bench: Bench) -> None:
    session, journal = bench.open()
    bench.trade(session, journal, 1)
    state = bench.folder / "state"
    (state / "venue.sqlite3").rename(state / "kept")
    with pytest.raises(StateCorrupt, match="knows nothing of this session"):
        bench.open()
    (state / "venue.sqlite3").unlink()
    (state / "kept").rename(state / "venue.sqlite3")
    shutil.rmtree(state / "snapshots")
    with pytest.raises(StateCorrupt, match="no usable snapshot"):
        bench.open()
