"""What the bot makes of a hostile venue is sound, however strange: fsck cries over damage only."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import pytest

from botd.core.events import OrderType
from botd.core.outcomes import OrderStatus
from botd.core.portfolio import UNOWNED
from botd.core.records import FillRecord
from botd.core.restraint import Cause, TradingCommand, Verb, trading_text
from botd.ports import Batch, Cursor, JournalEvent
from botd.store.fsck import Report, examine
from botd.store.journal import open_state
from botd.store.queries import StateReader
from tests.core.scene import Scene, bought, strategy, submitted
from tests.core.test_bot_chaos import Venue, scene_of
from tests.store import samples
from tests.store.ledgers import change, first, opened

OUT = "{ name: out, when: price > 120, close: 100% }"


def write(path: Path, scene: Scene, session: str, *, finished: bool = False) -> None:
    """Write what a bot recorded since the last time."""
    journal = open_state(path)
    journal.start_session(samples.started(session, status="finished" if finished else "running"))
    cursor = Cursor(feed_position=1, position=1, ts_us=scene.now_us, seq=scene.bot.desk.seq, venue_seq=0)
    journal.commit(Batch(session_id=session, records=tuple(scene.records), cursor=cursor))
    journal.close()


def judged(path: Path, scene: Scene) -> Report:
    """Write what a bot recorded and look at it; what the venue said is not there to compare with."""
    write(path, scene, "s1")
    return examine(path, newest=10**9)


def trade(scene: Scene, venue: Venue, rows: int, price: int = 100) -> None:
    """Let the market walk and the venue do its worst."""
    for row in range(scene.second, scene.second + rows):
        price = max(90, min(110, price + venue.chance.randint(-2, 2)))
        venue.send(row, scene.row(price))
        venue.step(row)
    scene.bot.close_books(scene.now_us)
    scene.records += scene.bot.take_records()


@pytest.mark.parametrize("seed", range(12))
def test_books_of_a_hostile_session_are_sound_at_any_moment(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    scene = scene_of()
    trade(scene, Venue(scene, chance), chance.randint(100, 400))
    assert len(scene.of(FillRecord)) > 2
    assert judged(tmp_path / "s.sqlite3", scene).findings == ()


@pytest.mark.parametrize("seed", range(12))
def test_hostile_session_that_is_taken_over_at_any_moment_stays_sound(seed: int, tmp_path: Path) -> None:
    chance, path = random.Random(seed), tmp_path / "s.sqlite3"
    scene = scene_of()
    venue = Venue(scene, chance)
    for number in range(4):
        trade(scene, venue, chance.randint(1, 60))
        last = number == 3
        write(path, scene, f"s{number}", finished=not last)
        state, scene.bot = scene.bot.state(), scene.fresh()
        scene.bot.restore(state)
        scene.bot.desk.id_prefix = f"p{number}"
        scene.bot.restate(scene.now_us)
        scene.records = scene.bot.take_records()
    assert examine(path, newest=10**9).findings == ()
    assert examine(path, newest=10**9).sessions_count == 4


def test_C5_overfilled_entry_is_sound_where_an_alert_tells_of_it(tmp_path: Path) -> None:  # noqa: N802
    scene = Scene(strategy(protect="stop_loss: 10%"))
    order = submitted(scene.row(101))
    scene.accept(order)
    scene.accept(submitted(scene.fill(order, 10, 102)))
    scene.fill(order, 3, 103, fee="0.5")
    assert judged(tmp_path / "told.sqlite3", scene).findings == ()
    scene.records = [one for one in scene.records if getattr(one, "type", "") != "overfill"]
    (finding,) = judged(tmp_path / "silent.sqlite3", scene).findings
    assert finding.check.id == "S6.overfilled"
    assert finding.rows[0]["client_order_id"] == order.client_order_id


def test_C5_what_nobody_owns_is_sound(tmp_path: Path) -> None:  # noqa: N802 - the fault's id
    scene = Scene(strategy(ze1=OUT), strategy("t", ze1=OUT, side="short", s1="when: price > 100"))
    for order in scene.row(101):
        scene.fill(order, 10, 101)  # type: ignore[arg-type]
    long_exit, short_exit = scene.row(121)
    scene.fill(long_exit, 15, 120, fee="1")  # 5 beyond what is held: nobody's, and short
    scene.fill(short_exit, 18, 110, fee="1")  # 8 beyond: closes those and leaves 3 long
    assert {one.strategy for one in scene.of(FillRecord)} == {"s", "t", UNOWNED}
    assert judged(tmp_path / "s.sqlite3", scene).findings == ()


def test_D6_stop_and_exit_that_both_fill_are_sound(tmp_path: Path) -> None:  # noqa: N802 - the fault's id
    scene = Scene(strategy(ze1=OUT, protect="stop_loss: 10%"))
    stop = bought(scene)
    assert stop is not None
    scene.accept(stop)
    scene.fill(submitted(scene.row(121)), 10, 120)
    scene.fill(stop, 10, 91, fee="1")
    assert judged(tmp_path / "s.sqlite3", scene).findings == ()


def filled_after_its_close(path: Path) -> Report:
    """An entry fills by 4, which an exit closes, and then by 6 more, which another exit closes."""
    resting = "when: always, order: { type: limit, price: price - 5, ttl: 60s }, size: { fixed: 10 BTC }"
    scene = Scene(strategy(z1=resting, ze1=OUT))
    entry = submitted(scene.row(101))
    scene.accept(entry)
    scene.fill(entry, 4, 96)
    _, out = scene.row(121)
    scene.fill(out, 4, 120)  # type: ignore[arg-type]
    scene.fill(entry, 6, 96)  # the fill has won against the cancel
    scene.fill(submitted(scene.row(122)), 6, 119)
    return judged(path, scene)


def test_entry_filled_after_its_close_is_a_round_trip_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite3"
    assert filled_after_its_close(path).findings == ()
    with StateReader(path) as reader:
        assert [(one.cycle, one.realized_pnl) for one in reader.trades("s1")] == [(1, 96), (2, 138)]
        held = reader.positions("s1", open_only=False)
        assert [(one.cycle, one.qty, one.realized_pnl) for one in held] == [(1, 0, 96), (2, 0, 138)]


@pytest.mark.parametrize(("cycle", "price"), [(1, "120"), (2, "119")])
def test_each_round_trip_of_one_entry_is_judged_by_its_own_fills(
    tmp_path: Path, cycle: int, price: str
) -> None:
    path = tmp_path / "s.sqlite3"
    filled_after_its_close(path)
    with opened(path) as connection:
        sale = first(connection, "SELECT * FROM fills WHERE side = 'sell' AND cycle = ?", cycle)
        change(connection, "fills", sale, price="118")
    (finding,) = examine(path, newest=10**9).findings
    assert (finding.check.id, finding.rows[0]["cycle"]) == ("S7.realized", cycle)
    assert sale["price"] == price


@pytest.mark.parametrize(("resolved", "broken"), [("b-1", []), ("b-2", ["S10.ended"])])
def test_order_that_a_person_resolved_is_canceled_by_that(
    tmp_path: Path, resolved: str, broken: list[str]
) -> None:
    path, limit = tmp_path / "s.sqlite3", {"type": OrderType.LIMIT, "limit_price": Decimal(20010)}
    asked = (samples.signal(1), samples.intent(2), samples.risk(3, 2))
    ended = (samples.order(4, intent_seq=2, **limit), samples.update(5, OrderStatus.CANCELED))
    command = TradingCommand(verb=Verb.RESOLVE, cause=Cause.COMMAND, who="ann", scope=resolved)
    event = JournalEvent(position=300, ordinal=0, kind="command", payload=trading_text(command, samples.T0))
    batch = Batch(
        session_id="s1", records=(*asked, *ended), events=(event,), cursor=samples.cursor(300, seq=5)
    )
    journal = open_state(path)
    journal.start_session(samples.started("s1"))
    journal.commit(batch)
    journal.close()
    assert [finding.check.id for finding in examine(path).findings] == broken
