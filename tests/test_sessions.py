"""Opening sessions: begun with a warm-up, resumed after a crash, handed over, ended after an absence."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from botd.config.loader import load_plan
from botd.errors import InputInvalid, OtherAccount, StateCorrupt
from botd.feeds.synthetic import SyntheticFeed
from botd.ports import Batch
from botd.runtime.snapshot import encode
from botd.store.fsck import examine
from botd.store.journal import SqliteJournal, open_state
from botd.store.queries import StateReader
from tests.session_scene import (
    HOLDER,
    MINUTE_US,
    NOW_US,
    Bench,
    held,
    live_orders,
    recover,
)
from tests.store import samples


def test_G6_first_start_killed_as_its_warm_up_ends_leaves_sound_books(  # noqa: N802
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SqliteJournal, "end_session", die)
    with pytest.raises(KeyboardInterrupt):
        bench.open()
    state = bench.folder / "state" / "botd.sqlite3"
    with closing(sqlite3.connect(state)) as connection:
        assert connection.execute("SELECT count(*) FROM signals WHERE revision IS NOT NULL").fetchone()[0]
    assert examine(state).findings == ()


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
    bench.judge_otherwise()
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


def test_start_that_is_refused_leaves_no_file_of_the_venue_open(bench: Bench) -> None:
    session, journal = bench.open()
    bench.trade(session, journal, 1)
    shutil.rmtree(bench.folder / "state/snapshots")
    with pytest.raises(StateCorrupt) as kept:  # with its traceback, and what that refers to
        bench.open()
    assert kept.tb is not None
    files = [str(one.readlink()) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
    assert [one for one in files if one.startswith(str(bench.folder))] == []


def test_P5_start_at_a_clock_behind_the_books_trades_nothing_until_it_is_right(  # noqa: N802
    bench: Bench,
) -> None:
    session, journal = bench.open()
    bench.trade(session, journal, 5)
    right_us, orders, before = bench.clock.at_us, live_orders(session), held(session)
    bench.clock.at_us -= 60 * MINUTE_US
    again, journal = bench.open()
    assert again.id == session.id
    assert isinstance(again.feed, SyntheticFeed)
    reached = again.loop.feed_position
    rows = list(again.feed.read(reached, until_us=bench.clock.at_us))
    assert sum(chunk.rows.shape[1] for chunk in rows) == 0
    bench.die(again, journal)

    bench.clock.at_us = right_us
    later, journal = bench.open()
    recover(bench, later)
    assert (later.id, held(later), live_orders(later)) == (session.id, before, orders)
    bench.die(later, journal)


def test_P5_first_start_at_a_clock_in_1970_is_refused(bench: Bench) -> None:  # noqa: N802 - the fault's id
    bench.clock.at_us = 60 * MINUTE_US
    with pytest.raises(InputInvalid, match="the synthetic market begins on 2020-01-01"):
        bench.open()
