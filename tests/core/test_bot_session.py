"""A session as a whole: several strategies and instruments, snapshots, the stop policies, coming back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from botd.core.decisions import canonical_line
from botd.core.events import CancelOrder, ClientOrderId, Section, Side, SubmitOrder
from botd.core.instrument import InstrumentId
from botd.core.recorder import Recorder
from botd.core.records import IntentRecord, OrderRecord, RiskRecord, SignalRecord
from botd.core.updates import AlertRecord, OrderUpdate, PortfolioSnapshot, PositionUpdate
from botd.engine.machine import ENTERING, IDLE, IN_POSITION
from botd.errors import InvariantBroken
from tests.core.scene import MINUTE, PERP, SECOND, T0, D, Scene, bought, only, rows, strategy, submitted

OUT = "{ name: out, when: price > 120, close: 100% }"
RESTING = "when: always, order: { type: limit, price: price - 5, ttl: 60s }, size: { fixed: 10 BTC }"
ETH = replace(PERP, id=InstrumentId("ETH/USDT:USDT"), base="ETH")
LATER = "when: always, order: { type: market, slippage_max: 10% }, size: { fixed: 10 ETH }"


# ---- several ------------------------------------------------------------------------------------


def test_two_strategies_on_one_instrument_each_own_their_quantity() -> None:
    scene = Scene(
        strategy("a", ze1="{ name: out, when: price > 110, close: 100% }", protect="stop_loss: 10%"),
        strategy("b", side="short", s1="when: price < 90, cooldown: 1s", protect="stop_loss: 50%"),
    )
    long = submitted(scene.row(101))
    scene.fill(long, 10, 102)
    short = submitted(scene.row(89))
    assert (short.key.strategy, short.side) == ("b", Side.SELL)
    stop = submitted(scene.fill(short, 10, 88))
    assert (stop.key.strategy, stop.side, stop.stop) == ("b", Side.BUY, 132)
    assert (scene.held(0), scene.held(1)) == (10, -10)
    assert scene.bot.desk.portfolio.net_quantities().get(PERP.id, 0) == 0
    out = submitted(scene.row(111))
    assert out.key.strategy == "a"
    scene.fill(out, 10, 110)
    assert (scene.phase(0), scene.phase(1)) == (IDLE, IN_POSITION)


def test_strategies_decide_in_the_order_of_their_ids_in_one_row() -> None:
    scene = Scene(strategy("a"), strategy("b"))
    first, second = scene.row(101)
    assert isinstance(first, SubmitOrder)
    assert isinstance(second, SubmitOrder)
    assert (first.key.strategy, second.key.strategy) == ("a", "b")
    assert (first.client_order_id, second.client_order_id) == ("o-1", "o-2")


def test_rows_of_several_instruments_are_judged_in_their_merged_order() -> None:
    scene = Scene(strategy("a"), others=[(ETH, strategy("b", instrument=ETH.id, z1=LATER))])
    block = rows((1, 99), (2, 99), (2, 101), (3, 101))
    commands = scene.feed([0, 1, 1, 0], block)  # ETH is first over 100, at the same time as nothing else
    assert [(one.instrument, one.ts_us) for one in commands] == [
        (ETH.id, T0 + 2 * SECOND),
        (PERP.id, T0 + 3 * SECOND),
    ]
    assert [one.seq for one in scene.of(SignalRecord)] == [1, 2, 6, 7]
    assert [one.row for one in scene.of(SignalRecord)] == [1, 1, 1, 1]


def test_decision_of_a_lane_scanned_ahead_waits_for_its_place() -> None:
    """Both lanes decide in one block; the driver stops after each, in the order of places."""
    scene = Scene(strategy("a"), others=[(ETH, strategy("b", instrument=ETH.id, z1=LATER))])
    block = scene.bot.load(np.array([0, 1, 0, 1]), rows((1, 101), (2, 99), (3, 101), (4, 101)))
    place, commands = scene.bot.advance(block, 0, 4)
    assert (place, submitted(commands).instrument) == (1, PERP.id)
    assert scene.bot.advance(block, 1, 3) == (3, [])
    place, commands = scene.bot.advance(block, 3, 4)
    assert (place, submitted(commands).instrument) == (4, ETH.id)


def test_marks_of_other_instruments_are_as_of_the_place() -> None:
    """Held ETH is worth its price at the place, neither the block's first nor its last."""
    scene = Scene(
        strategy("a", s1="when: price > 150, cooldown: 1s"),
        others=[(ETH, strategy("b", instrument=ETH.id, z1=LATER))],
    )
    eth = submitted(scene.feed([1], rows((1, 101))))
    scene.fill(eth, 10, 102)
    scene.second = 2
    scene.feed([1, 1, 0, 1], rows((2, 103), (3, 130), (4, 151), (5, 200)))
    assert scene.bot.desk.portfolio.peak_equity("USDT") == 100_000 + 10 * (130 - 102)


def test_mark_before_the_first_trade_is_the_middle_of_the_top() -> None:
    scene = Scene(strategy(s1="when: mid > 100, cooldown: 1s"))
    order = submitted(scene.row(0, bid=100, ask=104))
    scene.accept(order)
    scene.fill(order, 10, 104)
    desk = scene.bot.desk
    assert desk.marks(1) == desk.marks_now() == {PERP.id: 102}
    scene.row(0, bid=100, ask=0)
    assert desk.marks(1) == desk.marks_now() == {}
    scene.row(99, bid=100, ask=0)
    assert desk.marks(1) == desk.marks_now() == {PERP.id: 99}


def test_instrument_without_a_row_in_the_block_keeps_its_last_mark() -> None:
    scene = Scene(strategy("a"), others=[(ETH, strategy("b", instrument=ETH.id, z1=LATER))])
    assert scene.bot.desk.marks_now() == {}
    eth = submitted(scene.feed([1], rows((1, 101))))
    scene.fill(eth, 10, 102)
    scene.feed([0], rows((2, 99)))
    assert scene.bot.desk.marks(1) == scene.bot.desk.marks_now() == {ETH.id: 101}


# ---- the clock ----------------------------------------------------------------------------------


def test_books_closed_on_request_show_the_drawdown() -> None:
    scene = Scene(strategy(), equity="2000")
    bought(scene)
    scene.row(92)
    scene.bot.close_books(scene.now_us)
    scene.row(92)
    (snapshot,) = scene.of(PortfolioSnapshot)
    assert (snapshot.equity, snapshot.drawdown) == (1900, D("0.05"))


def test_books_noted_at_a_start_or_a_stop_change_no_peak_and_no_day_start() -> None:
    scene = Scene(strategy(), equity="2000")
    bought(scene)
    scene.row(110)
    before = scene.bot.desk.portfolio.state()
    scene.bot.note_books(scene.now_us)
    assert scene.bot.desk.portfolio.state() == before
    scene.row(90)
    scene.bot.note_books(scene.now_us)
    scene.row(90)
    above, below = scene.of(PortfolioSnapshot)
    assert (above.equity, above.peak_equity, above.drawdown) == (2080, 2080, 0)
    assert below.equity == 1880
    assert below.peak_equity == 2000  # the peak above was noted, not observed


def test_drawdown_of_a_currency_without_money_is_0() -> None:
    scene = Scene(strategy(), equity="0")
    scene.bot.close_books(T0)
    scene.row(99)
    assert scene.of(PortfolioSnapshot)[0].drawdown == 0


def test_orders_that_ended_an_hour_ago_leave_memory() -> None:
    scene = Scene(strategy())
    order = submitted(scene.row(101))
    scene.reject(order)
    scene.row(99, at=7200)
    assert scene.bot.desk.orders.all() == []


def test_exit_orders_that_left_memory_hold_nothing_back() -> None:
    scene = Scene(strategy(ze1=OUT, e1="{ name: ease, when: price < 90, close: 50%, cooldown: 1s }"))
    bought(scene)
    out = submitted(scene.row(121))
    scene.bot.runners[0].memory.exit_ids.append(ClientOrderId("gone"))
    scene.fill(out, 4, 120)
    scene.end(out)
    assert submitted(scene.row(121)).qty == 6


# ---- stopping -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "cancelled"), [("keep", False), ("cancel", True), ("flatten", True)])
def test_on_stop_cancels_what_works_to_enter_unless_it_is_kept(policy: str, cancelled: bool) -> None:
    scene = Scene(strategy(z1=RESTING, on_stop=policy))
    order = submitted(scene.row(101))
    commands = scene.bot.stop(scene.now_us)
    assert [one.client_order_id for one in commands] == ([order.client_order_id] if cancelled else [])


@pytest.mark.parametrize(("policy", "count"), [("keep", 0), ("cancel", 0), ("flatten", 1)])
def test_on_stop_closes_positions_only_where_it_says_flatten(policy: str, count: int) -> None:
    scene = Scene(strategy(protect="stop_loss: 10%", on_stop=policy))
    bought(scene)
    scene.row(105)
    commands = scene.bot.stop(scene.now_us)
    assert len(commands) == count
    if count:
        order = submitted(commands)
        assert (order.key.section, order.key.rule, order.qty) == (Section.MANUAL, "stop", 10)
        scene.records += scene.bot.take_records()
        assert scene.of(IntentRecord)[-1].price == 104
        assert only(scene.fill(order, 10, 104), CancelOrder).client_order_id == "o-2"  # its stop
        assert scene.phase() == IDLE


def test_flatten_asks_the_rest_at_once_for_no_row_will_come() -> None:
    scene = Scene(strategy(on_stop="flatten"))
    bought(scene)
    order = submitted(scene.bot.stop(scene.now_us))
    scene.fill(order, 4, 100)
    rest = submitted(scene.end(order))
    assert (rest.qty, rest.key.leg) == (6, 1)
    assert scene.end(rest) == []  # nothing filled: the price is not to be had
    assert scene.held() == 6


def test_flatten_closes_what_the_entry_still_buys() -> None:
    scene = Scene(strategy(z1=RESTING, on_stop="flatten"))
    entry = submitted(scene.row(101))
    cancel = only(scene.bot.stop(scene.now_us), CancelOrder)
    assert scene.refuse(cancel) == []  # it overtook the entry
    assert only(scene.accept(entry), CancelOrder).client_order_id == entry.client_order_id
    order = submitted(scene.fill(entry, 4, 96))
    assert (order.key.section, order.qty) == (Section.MANUAL, 4)
    assert scene.end(entry, canceled=True) == []
    scene.fill(order, 4, 95)
    assert (scene.held(), scene.phase()) == (0, IDLE)


def test_flatten_leaves_exits_in_flight_to_close_their_part() -> None:
    scene = Scene(strategy(ze1="{ name: half, when: price > 110, close: 50% }", on_stop="flatten"))
    bought(scene)
    scene.row(111)
    assert submitted(scene.bot.stop(scene.now_us)).qty == 5


def test_stop_without_any_row_asks_for_nothing() -> None:
    scene = Scene(strategy(on_stop="flatten"))
    assert scene.bot.stop(T0) == []


def test_next_signal_forgets_the_flattening() -> None:
    scene = Scene(strategy(on_stop="flatten"))
    scene.row(99)
    scene.bot.stop(scene.now_us)
    order = submitted(scene.row(101))
    assert scene.fill(order, 10, 102) == []


# ---- coming back --------------------------------------------------------------------------------


def as_kept(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state as a snapshot gives it back: plain values through JSON, arrays as they are."""
    plain = {name: value for name, value in state.items() if name not in ("engines", "machines")}
    return {**json.loads(json.dumps(plain)), "engines": state["engines"], "machines": state["machines"]}


def test_state_taken_amid_an_exit_continues_to_the_last_decision() -> None:
    def begin() -> Scene:
        scene = Scene(
            strategy(
                "a",
                let="slow: twpa(1s)",
                ze1="{ name: half, when: price > slow and price > 110, close: 50% }",
                e1="{ name: crash, when: price < 90 for 2s, cooldown: 5s }",
                protect="stop_loss: 20%",
            ),
            strategy("b", z1=RESTING),
        )
        scene.row(99)
        first, second = scene.row(101)
        scene.accept(first)
        scene.accept(second)
        scene.accept(submitted(scene.fill(first, 10, 102)))
        half = submitted(scene.row(111))
        scene.fill(half, 2, 110)
        return scene

    def go_on(scene: Scene) -> list[str | None]:
        known = len(scene.records)
        scene.end([one for one in scene.of(OrderRecord) if one.rule == "half"][-1].client_order_id)
        rest = submitted(scene.row(112))
        scene.fill(rest, 3, 111)
        scene.row(89)
        scene.row(89)
        scene.row(89)
        scene.records += scene.bot.take_records()
        return [canonical_line(record) for record in scene.records[known:]]

    through, back = begin(), begin()
    state = as_kept(back.bot.state())
    back.bot = back.fresh()
    back.bot.restore(state)
    assert as_kept(back.bot.state())["memories"] == state["memories"]
    assert [runner.strategy.id for runner in back.bot.desk.working] == ["b"]
    assert go_on(back) == go_on(through)
    assert back.records[-1].seq == through.records[-1].seq > 30


def test_restored_bot_shares_nothing_with_the_one_it_came_from() -> None:
    scene = Scene(strategy(ze1=OUT))
    bought(scene)
    out = submitted(scene.row(121))
    state = scene.bot.state()
    other = scene.fresh()
    other.restore(state)
    scene.fill(out, 10, 120)
    memory = other.runners[0].memory
    assert (memory.exit_ids, memory.legs) == ([out.client_order_id], {"ZE1|out": 1})
    assert memory.goal is not None
    assert (memory.goal.section, memory.goal.rule, memory.goal.left) == (Section.ZE1, "out", None)
    assert other.runners[0].phase() == IN_POSITION


def test_state_taken_between_blocks_forgets_the_block() -> None:
    scene = Scene(strategy())
    bought(scene)
    state = scene.bot.state()
    scene.row(105)
    scene.bot.restore(state)
    assert scene.bot.desk.marks_now() == {PERP.id: 101}
    assert scene.bot.lanes[0].judged() == 0


def test_new_session_begins_with_what_is_held_and_what_works() -> None:
    scene = Scene(strategy("a", protect="stop_loss: 10%"), strategy("b", z1=RESTING))
    first, second = scene.row(101)
    scene.accept(second)
    stop = submitted(scene.fill(first, 10, 102))
    known = len(scene.records)
    scene.bot.restate(T0 + MINUTE)
    scene.row(101)
    news = scene.records[known:]
    assert [type(one) for one in news] == [PositionUpdate, OrderRecord, OrderUpdate, OrderRecord, OrderUpdate]
    assert [one.client_order_id for one in scene.of(OrderRecord)[-2:]] == [
        second.client_order_id,
        stop.client_order_id,
    ]
    assert scene.of(PositionUpdate)[-1].qty == 10


def test_records_do_not_change_once_they_are_made() -> None:
    scene = Scene(strategy(ze1=OUT, protect="stop_loss: 10%"))
    shown: list[str] = []
    take = scene.bot.take_records

    def keep() -> list[Any]:
        taken = take()
        shown.extend(repr(one) for one in taken)
        return taken

    scene.bot.take_records = keep  # type: ignore[method-assign]
    stop = bought(scene)
    assert stop is not None
    scene.accept(stop)
    out = submitted(scene.row(121))
    scene.accept(out)
    scene.fill(out, 10, 120, fee="1")
    scene.end(stop, canceled=True)
    scene.bot.close_books(scene.now_us)
    scene.row(99)
    assert [repr(one) for one in scene.records] == shown
    assert [one.seq for one in scene.records] == list(range(1, len(shown) + 1))
    assert len(scene.of(RiskRecord)) == 2


def test_lane_without_a_decision_breaks_an_invariant_when_asked_for_one() -> None:
    scene = Scene(strategy())
    scene.row(99)
    with pytest.raises(InvariantBroken, match="a lane without a decision was asked to decide"):
        scene.bot._decide(scene.bot.lanes[0], 0)
    assert scene.phase() != ENTERING


def test_alert_without_a_strategy_names_none() -> None:
    recorder = Recorder([PERP], None)
    recorder.alert("medium", "note", "something", T0)
    (alert,) = recorder.records
    assert alert == AlertRecord(seq=1, ts_us=T0, severity="medium", type="note", message="something")
