"""A daemon dies between the venue's answers and their commit, and starts again with changed files."""

from __future__ import annotations

from botd.core.events import OrderFilled, Section
from botd.feeds.synthetic import SyntheticFeed
from botd.ports import AnswersEvent, Batch
from botd.runtime.loop import Group
from botd.sessions import Session
from botd.store.journal import SqliteJournal
from tests.session_scene import HOLDER, MINUTE_US, Bench, held, recover

# trades again and again
BRIEF = HOLDER.replace("held > 1h", "held > 40s").replace(
    "on_stop", "limits: { losing_streak_max: 10000 }\non_stop"
)


def fills(group: Group) -> bool:
    answers = [
        answer for event in group.events if isinstance(event, AnswersEvent) for answer in event.answers
    ]
    return any(isinstance(answer, OrderFilled) for answer in answers)


def die_before_a_fill_is_committed(bench: Bench, session: Session, journal: SqliteJournal) -> None:
    """Trade until the venue has filled an order, and die with that fill in the venue's file alone."""
    bench.clock.at_us += 5 * MINUTE_US
    feed = session.feed
    assert isinstance(feed, SyntheticFeed)
    for chunk in feed.read(session.loop.feed_position, until_us=bench.clock.at_us):
        for group in session.loop.run(chunk):
            if fills(group) and any(session.loop.venue.positions().values()):
                bench.die(session, journal)
                return
            journal.commit(
                Batch(session_id=session.id, records=group.records, events=group.events, cursor=group.cursor)
            )
    raise AssertionError("nothing was filled")


def test_G5_fill_that_was_not_committed_is_met_by_the_next_start(bench: Bench) -> None:  # noqa: N802
    bench.write(BRIEF)
    die_before_a_fill_is_committed(bench, *bench.open())
    session, journal = bench.open()
    recover(bench, session)
    at_venue = {str(name): lots for name, lots in session.loop.venue.positions().items() if lots}
    assert at_venue
    assert held(session) == at_venue
    bench.die(session, journal)


def test_G5_fill_that_was_not_committed_is_met_by_a_start_with_changed_files(bench: Bench) -> None:  # noqa: N802
    bench.write(BRIEF)
    die_before_a_fill_is_committed(bench, *bench.open())
    bench.write(BRIEF.replace("held > 20s", "held > 25s"))
    bench.judge_otherwise()
    session, journal = bench.open()
    at_venue = {str(name): lots for name, lots in session.loop.venue.positions().items() if lots}
    assert at_venue
    assert held(session) == at_venue
    bench.die(session, journal)


def die_with_an_order_on_its_way(bench: Bench, session: Session, journal: SqliteJournal) -> str:
    """Trade until an entry was sent and die before anything is heard of it; return its id."""
    bench.clock.at_us += 5 * MINUTE_US
    feed, orders = session.feed, session.loop.bot.desk.orders
    assert isinstance(feed, SyntheticFeed)
    for chunk in feed.read(session.loop.feed_position, until_us=bench.clock.at_us, rows_max=4):
        for group in session.loop.run(chunk):
            journal.commit(
                Batch(session_id=session.id, records=group.records, events=group.events, cursor=group.cursor)
            )
        coming = [one for one in orders.live() if not one.accepted and one.key.section is Section.Z1]
        if coming:
            bench.die(session, journal)
            return str(coming[0].client_order_id)
    raise AssertionError("no order was on its way between two chunks")


def test_I8_order_on_its_way_fills_for_the_changed_strategy_and_is_sent_once(bench: Bench) -> None:  # noqa: N802
    bench.write(BRIEF)
    name = die_with_an_order_on_its_way(bench, *bench.open())
    bench.write(BRIEF.replace("held > 20s", "held > 25s"))
    bench.judge_otherwise()
    session, journal = bench.open()
    assert [str(one.client_order_id) for one in session.loop.bot.desk.orders.live()].count(name) == 1
    assert held(session) == {}
    bench.trade(session, journal, 1)
    own = [one for one in session.loop.bot.desk.orders.all() if str(one.client_order_id) == name]
    assert [(one.key.strategy, one.filled > 0) for one in own] == [("breakout", True)]
