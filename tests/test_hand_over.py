"""An account goes over to another session: other files, or a day away, and a kill at any moment."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id

from __future__ import annotations

from decimal import Decimal

import pytest

from botd.app import build_loop
from botd.config.plan import Plan
from botd.errors import InputInvalid
from botd.feeds.synthetic import SyntheticFeed
from botd.ports import Batch, Cursor
from botd.runtime.loop import TradingLoop
from botd.sessions import DAY_US, Session, SessionOpener
from botd.store.journal import SqliteJournal
from botd.store.queries import StateReader
from tests.session_scene import (
    HOLDER,
    MINUTE_US,
    Bench,
    held,
    live_orders,
)


def test_changed_files_hand_the_account_over(bench: Bench) -> None:
    session, journal = bench.open()
    bench.trade(session, journal, 5)
    before = held(session)
    assert before
    bench.write(HOLDER.replace("held > 1h", "held > 2h"))
    bench.judge_otherwise()
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


@pytest.mark.parametrize("minutes", [45, 90])
def test_hand_over_long_after_the_last_snapshot_takes_what_was_there(bench: Bench, minutes: int) -> None:
    session, journal = bench.open()
    bench.trade(session, journal, minutes)  # and no snapshot since the start
    desk = session.loop.bot.desk
    before = (held(session), [desk.portfolio.balance(one) for one in desk.portfolio.currencies()])
    cycles = [runner.memory.cycle for runner in session.loop.bot.runners]
    bench.write(HOLDER.replace("out, when: held > 1h", "out, when: held > 2h"))
    bench.judge_otherwise()
    heir, journal = bench.open()
    books = heir.loop.bot.desk.portfolio
    assert (held(heir), [books.balance(one) for one in books.currencies()]) == before
    assert [runner.memory.cycle for runner in heir.loop.bot.runners] == cycles
    bench.trade(heir, journal, 1)


def test_hand_over_of_a_session_killed_inside_a_chunk_leaves_no_row_unjudged(bench: Bench) -> None:
    session, journal = bench.open()
    bench.clock.at_us += 90 * MINUTE_US
    assert isinstance(session.feed, SyntheticFeed)
    loop = session.loop
    chunks = session.feed.read(loop.feed_position)
    for count, group in enumerate(group for chunk in chunks for group in loop.run(chunk)):
        journal.commit(
            Batch(session_id=session.id, records=group.records, events=group.events, cursor=group.cursor)
        )
        if count >= 12 and loop.judged_feed_position < loop.feed_position:
            break
    judged = loop.judged_feed_position
    assert judged < loop.feed_position
    before, ts_us = held(session), session.loop.ts_us
    bench.die(session, journal)
    bench.write(HOLDER.replace("out, when: held > 1h", "out, when: held > 2h"))
    bench.judge_otherwise()
    heir, journal = bench.open()
    assert held(heir) == before
    assert (heir.loop.feed_position, heir.loop.ts_us) == (judged, ts_us)
    bench.trade(heir, journal, 1)


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
    bench.judge_otherwise()
    heir, journal = bench.open()
    bench.trade(heir, journal, 1)
    assert stops(heir) == {instrument: [Decimal("0.85")] for instrument in before}


def test_removed_stop_loss_leaves_no_stop_and_an_added_one_brings_it(bench: Bench) -> None:
    session, journal = bench.open()
    bench.trade(session, journal, 5)
    assert stops(session)
    bench.write(HOLDER.replace("{ stop_loss: 20% }", "{}"))
    bench.judge_otherwise()
    bare, journal = bench.open()
    bench.trade(bare, journal, 1)
    assert held(bare)
    assert stops(bare) == {}
    bench.write(HOLDER)
    bench.judge_otherwise()
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
    bench.judge_otherwise()

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


def test_strategy_with_a_position_cannot_vanish(bench: Bench) -> None:
    session, journal = bench.open()
    bench.trade(session, journal, 5)
    bench.write(HOLDER.replace("strategy: breakout", "strategy: other"))
    bench.judge_otherwise()
    with pytest.raises(InputInvalid, match="strategy breakout still holds a position or an order"):
        bench.open()
    bench.judge_otherwise()
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


WRITES = ("start_session", "commit", "save_snapshot", "end_session")


def books(session: Session) -> tuple[dict[str, int], dict[str, Decimal]]:
    portfolio = session.loop.bot.desk.portfolio
    return held(session), {one: portfolio.balance(one) for one in portfolio.currencies()}


@pytest.mark.parametrize("write", WRITES)
def test_G6_hand_over_killed_at_any_write_is_made_again_or_was_made(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    session, journal = bench.open()
    bench.trade(session, journal, 5)
    before = books(session)
    assert before[0]
    bench.write(HOLDER.replace("held > 1h", "held > 2h"))
    bench.judge_otherwise()
    done = getattr(SqliteJournal, write)

    def do_and_die(journal: SqliteJournal, *args: object, **terms: object) -> None:
        done(journal, *args, **terms)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SqliteJournal, write, do_and_die)
        bench.open()
    heir, journal = bench.open()
    assert books(heir) == before
    bench.trade(heir, journal, 1)


@pytest.mark.parametrize("write", WRITES)
def test_G6_balances_survive_a_kill_at_any_write_after_an_absence(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    monkeypatch.setattr(SessionOpener, "_warm_up", lambda opener, plan, feed: cold(opener, plan, feed))
    session, journal = bench.open()
    bench.trade(session, journal, 5)
    bench.clock.at_us += DAY_US + MINUTE_US
    done = getattr(SqliteJournal, write)

    def do_and_die(journal: SqliteJournal, *args: object, **terms: object) -> None:
        done(journal, *args, **terms)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SqliteJournal, write, do_and_die)
        bench.open()
    heir, journal = bench.open()
    closed, balances = books(heir)
    assert closed == {}
    assert balances["USDT"] != Decimal(10_000)
    bench.die(heir, journal)


def cold(opener: SessionOpener, plan: Plan, feed: SyntheticFeed) -> TradingLoop:
    """Begin without a warm-up: nothing is traded before the session starts."""
    loop = build_loop(plan, feed, session_id="cold")
    loop.feed_position = feed.position_at(opener._clock.now_us())
    return loop
