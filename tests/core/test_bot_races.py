"""Answers that cross requests: cancels that come too early or too late, late fills, strangers' orders."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from botd.core.events import AmendOrder, CancelOrder, ClientOrderId, Section
from botd.core.outcomes import OrderStatus
from botd.core.records import FillRecord, TradeRecord
from botd.core.updates import AlertRecord, OrderUpdate, PositionUpdate
from botd.engine.machine import ENTERING, IDLE, IN_POSITION, SIGNALLED
from tests.core.scene import PERP, Scene, bought, only, rows, strategy, submitted

D = Decimal
OUT = "{ name: out, when: price > 120, close: 100% }"
RESTING = "when: always, order: { type: limit, price: price - 5, ttl: 60s }, size: { fixed: 10 BTC }"


def statuses(scene: Scene, order: str) -> list[OrderStatus]:
    """Return the states an order went through."""
    return [one.status for one in scene.of(OrderUpdate) if one.client_order_id == order]


def test_answer_about_an_order_that_is_not_ours_alerts_and_changes_nothing() -> None:
    scene = Scene(strategy())
    assert scene.fill(ClientOrderId("stranger"), 1, 100) == []
    (alert,) = scene.of(AlertRecord)
    assert (alert.severity, alert.type) == ("critical", "unknown_order")
    assert alert.message == "the venue reports order stranger, which is not ours"
    assert (alert.strategy, alert.instrument) == (None, None)
    assert scene.bot.desk.portfolio.is_flat


def test_second_copy_of_an_answer_changes_nothing() -> None:
    scene = Scene(strategy())
    order = submitted(scene.row(101))
    scene.accept(order)
    scene.fill(order, 4, 102, trade="t")
    known = len(scene.records)
    assert scene.fill(order, 4, 102, trade="t") == []
    assert scene.accept(order) == []
    assert (scene.held(), len(scene.records)) == (4, known)


def test_fill_before_the_acceptance_is_booked_and_its_stop_sent() -> None:
    scene = Scene(strategy(protect="stop_loss: 10%"))
    order = submitted(scene.row(101))
    assert submitted(scene.fill(order, 10, 102)).qty == 10
    assert (scene.phase(), scene.held()) == (IN_POSITION, 10)


def test_D9_cancel_that_overtook_its_order_is_asked_again_once_the_venue_has_it() -> None:  # noqa: N802
    scene = Scene(strategy(ze1=OUT, protect="stop_loss: 10%"))
    stop = bought(scene)
    assert stop is not None
    out = submitted(scene.row(121))
    cancel = only(scene.fill(out, 10, 120), CancelOrder)
    assert cancel.client_order_id == stop.client_order_id
    assert scene.refuse(cancel) == []  # no such order: the stop is still on its way
    again = only(scene.accept(stop), CancelOrder)
    assert again.client_order_id == stop.client_order_id
    assert scene.end(stop, canceled=True) == []
    assert statuses(scene, stop.client_order_id) == [
        OrderStatus.PENDING_CANCEL,
        OrderStatus.SUBMITTED,
        OrderStatus.PENDING_CANCEL,
        OrderStatus.CANCELED,
    ]


def test_acceptance_before_the_cancels_answer_waits_for_it() -> None:
    scene = Scene(strategy(ze1=OUT, protect="stop_loss: 10%"))
    stop = bought(scene)
    assert stop is not None
    out = submitted(scene.row(121))
    cancel = only(scene.fill(out, 10, 120), CancelOrder)
    assert scene.accept(stop) == []
    assert only(scene.refuse(cancel), CancelOrder).client_order_id == stop.client_order_id
    assert scene.refuse(cancel) == []  # asked twice: what ended it will be told
    assert scene.end(stop) == []
    assert scene.bot.desk.orders.live() == []


def test_refused_cancel_of_a_resting_stop_is_not_repeated() -> None:
    """It was hit before the cancel came: the fill that says so is on its way."""
    scene = Scene(strategy(ze1=OUT, protect="stop_loss: 10%"))
    stop = bought(scene)
    assert stop is not None
    scene.accept(stop)
    out = submitted(scene.row(121))
    cancel = only(scene.fill(out, 10, 120), CancelOrder)
    assert scene.refuse(cancel) == []
    scene.end(stop, reason="nothing left to reduce")
    assert scene.bot.desk.orders.live() == []


def test_exit_that_lost_the_race_against_the_stop_is_no_alarm() -> None:
    scene = Scene(strategy(ze1=OUT, protect="stop_loss: 10%"))
    stop = bought(scene)
    assert stop is not None
    scene.accept(stop)
    out = submitted(scene.row(121))
    assert scene.fill(stop, 10, 92) == []
    assert scene.phase() == IDLE
    assert scene.reject(out, "reduce-only order would not reduce the position") == []
    assert scene.of(AlertRecord) == []
    assert scene.bot.desk.orders.live() == []


def test_stop_that_lost_the_race_against_the_exit_is_no_alarm() -> None:
    scene = Scene(strategy(ze1=OUT, protect="stop_loss: 10%"))
    stop = bought(scene)
    assert stop is not None
    out = submitted(scene.row(121))
    scene.fill(out, 10, 120)
    assert scene.reject(stop, "reduce-only order would not reduce the position") == []
    assert scene.of(AlertRecord) == []


def test_stop_and_exit_that_both_fill_share_the_position() -> None:
    scene = Scene(strategy(ze1=OUT, protect="stop_loss: 10%"))
    stop = bought(scene)
    assert stop is not None
    scene.accept(stop)
    out = submitted(scene.row(121))
    assert only(scene.fill(out, 6, 120), AmendOrder).qty == 4
    assert only(scene.fill(stop, 4, 92), CancelOrder).client_order_id == stop.client_order_id
    assert (scene.held(), scene.phase()) == (0, IDLE)
    scene.end(out, reason="nothing left to reduce")
    scene.end(stop, reason="nothing left to reduce")
    assert [one.realized_pnl for one in scene.of(TradeRecord)] == [6 * 18 - 4 * 10]
    assert scene.bot.desk.orders.live() == []


def test_amendment_answered_after_the_stop_is_over_changes_nothing() -> None:
    scene = Scene(strategy(ze1="{ name: half, when: price > 110, close: 50% }", protect="stop_loss: 10%"))
    stop = bought(scene)
    assert stop is not None
    scene.accept(stop)
    half = submitted(scene.row(111))
    amend = only(scene.fill(half, 5, 110), AmendOrder)
    scene.fill(stop, 5, 92)
    scene.end(stop, reason="nothing left to reduce")
    known = len(scene.records)
    assert scene.refuse(amend) == []
    assert len(scene.records) == known


def test_late_entry_fill_after_the_close_is_a_position_of_its_own() -> None:
    """The fill wins against the cancel: it gets a cycle, a stop and exits of its own."""
    scene = Scene(strategy(z1=RESTING, ze1=OUT, protect="stop_loss: 10%"))
    entry = submitted(scene.row(101))
    scene.accept(entry)
    stop = submitted(scene.fill(entry, 4, 96))
    scene.accept(stop)
    cancel, out = scene.row(121)
    assert isinstance(cancel, CancelOrder)
    scene.fill(out, 4, 120)
    assert scene.phase() == ENTERING
    second = submitted(scene.fill(entry, 6, 96))
    assert (second.qty, second.key.cycle, second.key.leg) == (6, 2, 0)
    scene.end(stop, canceled=True)  # the old stop's end is not the new one's
    assert (scene.phase(), scene.held()) == (IN_POSITION, 6)
    again = submitted(scene.row(121))
    assert (again.key.cycle, again.key.leg, again.qty) == (2, 0, 6)
    scene.fill(again, 6, 120)
    assert [one.cycle for one in scene.of(TradeRecord)] == [1, 2]
    assert [one.cycle for one in scene.of(FillRecord)] == [1, 1, 1, 2]  # the entry keeps its order's key


def test_fill_of_an_entry_that_had_expired_is_booked_under_the_cycle_of_now() -> None:
    never = "when: price > 130, order: { type: limit, price: price - 5, ttl: 60s }, size: { fixed: 10 BTC }"
    scene = Scene(strategy(z1=never))
    entry = submitted(scene.row(131))
    scene.accept(entry)
    scene.end(entry, reason="time to live is over")
    scene.row(99)
    scene.row(101)
    assert scene.phase() == SIGNALLED  # cycle 2
    scene.fill(entry, 4, 96)
    assert (scene.phase(), scene.held()) == (IN_POSITION, 4)
    assert scene.of(PositionUpdate)[-1].cycle == 3
    assert statuses(scene, entry.client_order_id)[-1] is OrderStatus.EXPIRED


def test_late_fill_of_an_exit_counts_towards_the_rest() -> None:
    scene = Scene(strategy(ze1="{ name: half, when: price > 110, close: 50% }"))
    bought(scene)
    half = submitted(scene.row(111))
    scene.fill(half, 2, 110)
    scene.end(half)
    scene.fill(half, 1, 110)  # after its end
    assert submitted(scene.row(111)).qty == 2


def test_exit_of_another_rule_does_not_count_towards_the_goal() -> None:
    scene = Scene(
        strategy(
            ze1="{ name: one, when: price > 110, close: 20% }, { name: two, when: price > 115, close: 50% }"
        )
    )
    bought(scene)
    one = submitted(scene.row(111))
    scene.fill(one, 1, 110)
    scene.end(one)
    rest = submitted(scene.row(111))
    scene.fill(rest, 1, 110)
    two = submitted(scene.row(116))
    assert two.qty == 4
    scene.fill(one, 1, 110)  # a late one of the first rule
    scene.fill(two, 3, 115)
    scene.end(two)
    assert submitted(scene.row(116)).qty == 1


def test_order_that_ends_after_its_position_leaves_nothing_behind() -> None:
    scene = Scene(strategy(z1=RESTING, ze1=OUT))
    entry = submitted(scene.row(101))
    scene.accept(entry)
    scene.fill(entry, 4, 96)
    cancel, out = scene.row(121)
    scene.fill(out, 4, 120)
    assert scene.end(entry, canceled=True) == []
    assert scene.bot.desk.working == []
    scene.row(99)
    again = submitted(scene.row(101))
    assert (again.key.section, again.key.cycle, again.instrument) == (Section.Z1, 2, PERP.id)
    assert isinstance(cancel, CancelOrder)


def test_fill_that_crosses_the_cancel_of_its_entry_meets_rules_that_are_judged_in_the_same_block() -> None:
    """The position was flat and a new block had begun when the rest of the entry filled."""
    z1 = "when: always, order: { type: limit, price: best_ask }, size: { fixed: 10 BTC }"
    scene = Scene(strategy(z1=z1, e1="{ name: crash, when: price < 90 }", protect="take_profit: 5%"))
    order = submitted(scene.row(101))
    scene.accept(order)
    scene.fill(order, 4, 102)
    cancel, out = scene.row(120)
    scene.fill(out, 4, 119)
    assert isinstance(cancel, CancelOrder)
    assert (scene.held(), scene.phase()) == (0, ENTERING)
    block = scene.bot.load(np.zeros(4, np.int64), rows((3, 110), (4, 110), (5, 89), (6, 89)))
    assert scene.bot.advance(block, 0, 2) == (2, [])
    scene.fill(order, 6, 102)  # it filled before the cancel came
    assert (scene.held(), scene.phase()) == (6, IN_POSITION)
    place, commands = scene.bot.advance(block, 2, 4)
    assert (place, submitted(commands).key.rule) == (3, "crash")


def test_machine_idles_once_the_entry_that_a_close_cancelled_is_over() -> None:
    z1 = "when: always, order: { type: limit, price: best_ask }, size: { fixed: 10 BTC }"
    scene = Scene(strategy(z1=z1, protect="take_profit: 5%"))
    order = submitted(scene.row(101))
    scene.fill(order, 4, 102)
    _, out = scene.row(120)
    scene.fill(out, 4, 119)
    scene.row(99)
    assert scene.row(101) == []  # S1 is true again, and waits for the entry to end
    scene.end(order, canceled=True)
    assert scene.phase() == IDLE
    assert submitted(scene.row(101)).key.cycle == 2


def test_late_fill_of_an_entry_that_was_over_is_protected_in_the_same_block() -> None:
    scene = Scene(strategy(protect="take_profit: 5%, stop_loss: 10%"))
    order = submitted(scene.row(101))
    scene.end(order)
    scene.row(99)
    block = scene.bot.load(np.zeros(3, np.int64), rows((3, 99), (4, 99), (5, 99)))
    assert scene.bot.advance(block, 0, 2) == (2, [])
    scene.fill(order, 6, 90)
    place, commands = scene.bot.advance(block, 2, 3)
    assert (place, submitted(commands).key.rule) == (3, "take_profit")
