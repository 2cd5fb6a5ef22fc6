"""Orders whose fate is not known: they count, they wait, and they end on evidence only."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

from dataclasses import replace

import pytest

from botd.core import halts
from botd.core.events import (
    AmendOrder,
    CancelOrder,
    OrderInDoubt,
    OrderNeedsHuman,
    OrderNeverArrived,
    SubmitOrder,
)
from botd.core.outcomes import RATE_LIMITED, DenyReason, OrderStatus
from botd.core.records import RiskRecord
from botd.core.restraint import Cause, TradingCommand, Verb, trading_of, trading_text
from botd.core.updates import AlertRecord, OrderUpdate
from botd.engine.machine import IDLE, IN_POSITION
from tests.core.scene import NO_LIMITS, PERP, SPOT, Scene, bought, only, strategy, submitted

OUT = "{ name: out, when: price > 120, close: 100% }"


def doubt(scene: Scene, order: SubmitOrder) -> list:
    return scene.say(OrderInDoubt, client_order_id=order.client_order_id, reason="no answer")


def never(scene: Scene, order: SubmitOrder) -> list:
    return scene.say(OrderNeverArrived, client_order_id=order.client_order_id, reason="12 lookups")


def forsake(scene: Scene, order: SubmitOrder) -> list:
    return scene.say(OrderNeedsHuman, client_order_id=order.client_order_id, reason="shown no more")


def last(scene: Scene) -> OrderUpdate:
    return scene.of(OrderUpdate)[-1]


def test_B1_entry_that_never_arrived_ends_the_signal_and_nothing_is_sent_again() -> None:
    scene = Scene(strategy())
    order = submitted(scene.row(101))
    assert doubt(scene, order) == []
    assert (last(scene).status, last(scene).in_doubt) == (OrderStatus.SUBMITTED, True)
    assert scene.row(102) == []
    assert never(scene, order) == []
    assert (last(scene).status, last(scene).in_doubt) == (OrderStatus.NEVER_ARRIVED, False)
    assert (last(scene).reason, scene.phase()) == ("12 lookups", IDLE)


def test_B2_sighting_of_an_order_in_doubt_adopts_it_with_its_fills() -> None:
    scene = Scene(strategy())
    order = submitted(scene.row(101))
    doubt(scene, order)
    scene.fill(order, 4, 102)
    assert (last(scene).status, last(scene).in_doubt) == (OrderStatus.PARTIALLY_FILLED, False)
    assert (scene.held(), scene.phase()) == (4, IN_POSITION)


def test_order_in_doubt_counts_as_exposure() -> None:
    scene = Scene(strategy(), strategy("t"), limits=replace(NO_LIMITS, positions_max=1))
    first = only(scene.row(101), SubmitOrder)
    doubt(scene, first)
    denied = [one for one in scene.of(RiskRecord) if not one.approved]
    assert [one.reason for one in denied] == [DenyReason.POSITIONS_MAX]


@pytest.mark.parametrize("sight", ["accept", "fill"])
def test_B3_late_doubt_and_late_absence_change_nothing_about_a_sighted_order(sight: str) -> None:
    scene = Scene(strategy())
    order = submitted(scene.row(101))
    if sight == "accept":
        scene.accept(order)
    else:
        scene.fill(order, 4, 102)
    before = len(scene.of(OrderUpdate))
    doubt(scene, order)
    never(scene, order)
    assert len(scene.of(OrderUpdate)) == before


def test_second_doubt_about_one_order_is_no_news() -> None:
    scene = Scene(strategy())
    order = submitted(scene.row(101))
    doubt(scene, order)
    before = len(scene.records)
    doubt(scene, order)
    assert len(scene.records) == before


def test_D2_cancel_without_an_answer_leaves_the_order_pending_and_in_doubt() -> None:
    resting = "when: always, order: { type: limit, price: price - 5, ttl: 60s }, size: { fixed: 10 BTC }"
    scene = Scene(strategy(z1=resting, o1="after: 3s", e1="{ name: e, when: price > 150 }", on_stop="cancel"))
    order = submitted(scene.row(101))
    scene.accept(order)
    assert isinstance(scene.bot.stop(scene.now_us)[0], CancelOrder)
    doubt(scene, order)
    assert (last(scene).status, last(scene).in_doubt) == (OrderStatus.PENDING_CANCEL, True)
    scene.fill(order, 10, 96)
    assert (last(scene).status, last(scene).in_doubt) == (OrderStatus.FILLED, False)


def test_order_that_needs_a_person_is_cried_out_once_and_counts_on() -> None:
    scene = Scene(strategy())
    order = submitted(scene.row(101))
    scene.accept(order)
    forsake(scene, order)
    assert (last(scene).status, last(scene).needs_human) == (OrderStatus.ACCEPTED, True)
    forsake(scene, order)
    alerts = [(one.severity, one.type) for one in scene.of(AlertRecord)]
    assert alerts == [("critical", "needs_human")]
    assert scene.row(102) == []  # nothing new while it is open
    scene.fill(order, 10, 102)
    assert not last(scene).needs_human


def test_order_that_the_venue_shows_again_needs_nobody_any_more() -> None:
    scene = Scene(strategy())
    order = submitted(scene.row(101))
    scene.accept(order)
    forsake(scene, order)
    scene.fill(order, 4, 102)
    assert (last(scene).status, last(scene).needs_human) == (OrderStatus.PARTIALLY_FILLED, False)


def test_B18_order_that_is_shown_again_as_it_was_needs_nobody_any_more() -> None:
    scene = Scene(strategy())
    order = submitted(scene.row(101))
    scene.accept(order)
    forsake(scene, order)
    scene.accept(order)
    assert (last(scene).status, last(scene).needs_human) == (OrderStatus.ACCEPTED, False)
    before = len(scene.records)
    scene.accept(order)
    assert len(scene.records) == before


def test_stop_that_never_arrived_is_sent_again_under_another_id() -> None:
    scene = Scene(strategy(protect="stop_loss: 10%"))
    order = submitted(scene.row(101))
    scene.accept(order)
    stop = submitted(scene.fill(order, 10, 100))
    again = submitted(never(scene, stop))
    assert again.client_order_id != stop.client_order_id
    assert (again.stop, again.qty, again.reduce_only) == (stop.stop, 10, True)


def failing_stops(scene: Scene, count: int) -> SubmitOrder:
    """Bring a scene into a position, have stops be cancelled by the venue, and return the next one."""
    order = submitted(scene.row(101))
    scene.accept(order)
    stop = submitted(scene.fill(order, 10, 100))
    for _ in range(count):
        scene.accept(stop)
        stop = submitted(scene.end(stop, canceled=True))
    return stop


@pytest.mark.parametrize("end", ["never", "limited", "canceled"])
def test_B11_B17_third_stop_in_a_row_that_does_not_stand_closes_the_position(end: str) -> None:
    scene = Scene(strategy(protect="stop_loss: 10%"))
    stop = failing_stops(scene, 2)
    if end == "never":
        commands = never(scene, stop)
    elif end == "limited":
        commands = scene.reject(stop, f"{RATE_LIMITED}: 429")
    else:
        commands = scene.end(stop, canceled=True)
    assert commands == []
    assert "stop_does_not_stand" in [one.type for one in scene.of(AlertRecord)]
    closing = submitted(scene.row(101))
    assert (closing.stop, closing.qty, closing.reduce_only) == (None, 10, True)


def test_B17_stop_that_stood_for_a_minute_begins_the_count_anew() -> None:
    scene = Scene(strategy(protect="stop_loss: 10%"))
    stop = failing_stops(scene, 2)
    scene.accept(stop)
    scene.row(101, at=100)
    stop = submitted(scene.end(stop, canceled=True))
    stop = submitted(scene.end(stop, canceled=True))
    assert scene.end(stop, canceled=True) == []


def test_D4_stop_that_we_cancel_to_resize_it_has_not_failed() -> None:
    scene = Scene(strategy(protect="stop_loss: 10%"))
    order = submitted(scene.row(101))
    scene.accept(order)
    stop = submitted(scene.fill(order, 2, 100))
    for _ in range(4):
        scene.accept(stop)
        amend = only(scene.fill(order, 2, 100), AmendOrder)
        assert only(scene.refuse(amend), CancelOrder).client_order_id == stop.client_order_id
        stop = submitted(scene.end(stop, canceled=True))
    assert (stop.qty, stop.stop) == (10, 90)


def test_B15_stop_that_came_too_fast_is_sent_again_and_one_refused_closes_the_position() -> None:
    scene = Scene(strategy(protect="stop_loss: 10%"))
    order = submitted(scene.row(101))
    scene.accept(order)
    stop = submitted(scene.fill(order, 10, 100))
    again = submitted(scene.reject(stop, f"{RATE_LIMITED}: 429"))
    assert again.stop == stop.stop
    assert scene.reject(again, "no such price") == []
    closing = submitted(scene.row(101))
    assert (closing.stop, closing.reduce_only) == (None, True)


def test_exit_that_never_arrived_is_asked_for_again_in_a_new_leg() -> None:
    scene = Scene(strategy(ze1=OUT))
    bought(scene)
    out = submitted(scene.row(121))
    doubt(scene, out)
    assert scene.row(122) == []  # it may still close the position
    never(scene, out)
    again = submitted(scene.row(123))
    assert (again.key.leg, again.qty) == (1, 10)


def test_amendment_of_a_stop_waits_for_what_the_venue_shows() -> None:
    scene = Scene(strategy(protect="stop_loss: 10%"))
    order = submitted(scene.row(101))
    scene.accept(order)
    stop = submitted(scene.fill(order, 4, 100))
    scene.accept(stop)
    amend = only(scene.fill(order, 6, 100), AmendOrder)
    doubt(scene, stop)
    assert (amend.qty, last(scene).in_doubt) == (10, False)


def test_orders_on_one_instrument_are_counted_while_they_live() -> None:
    scene = Scene(strategy(protect="stop_loss: 10%"))
    bought(scene)
    assert scene.bot.desk.orders.live_on(PERP.id) == 1
    assert scene.bot.desk.orders.live_on(SPOT.id) == 0


# ---- what a person resolves ------------------------------------------------------------------------


def resolve(scene: Scene, name: str) -> list:
    told = TradingCommand(
        verb=Verb.RESOLVE, cause=Cause.COMMAND, who="ann", reason="looked at the venue", scope=name
    )
    assert trading_of(trading_text(told, scene.now_us)) == (told, scene.now_us)
    changes = halts.changes(scene.bot.desk, told)
    before = len(scene.of(OrderUpdate))
    commands = scene.bot.obey(told, scene.now_us)
    scene._note()
    assert changes is (len(scene.of(OrderUpdate)) > before)
    return commands


def test_C10_order_that_a_person_resolves_ends_with_what_is_booked_of_it() -> None:
    scene = Scene(strategy(protect="stop_loss: 10%"))
    order = submitted(scene.row(101))
    scene.accept(order)
    scene.fill(order, 4, 102)
    forsake(scene, order)
    resolve(scene, order.client_order_id)
    assert (last(scene).status, last(scene).needs_human) == (OrderStatus.CANCELED, False)
    assert last(scene).reason == "resolved by ann: looked at the venue"
    assert scene.of(AlertRecord)[-1].type == "order_resolved"
    assert (scene.held(), scene.phase()) == (4, IN_POSITION)
    scene.fill(order, 2, 102)  # and what the venue shows later is booked
    assert scene.held() == 6


def test_C10_stop_that_a_person_resolves_makes_way_for_another() -> None:
    scene = Scene(strategy(protect="stop_loss: 10%"))
    order = submitted(scene.row(101))
    scene.accept(order)
    stop = submitted(scene.fill(order, 10, 102))
    scene.accept(stop)
    forsake(scene, stop)
    again = submitted(resolve(scene, stop.client_order_id))
    assert (again.stop, again.qty) == (stop.stop, stop.qty)


def test_order_that_needs_nobody_is_not_resolved() -> None:
    scene = Scene(strategy())
    order = submitted(scene.row(101))
    scene.accept(order)
    for name in (order.client_order_id, "none"):
        assert resolve(scene, name) == []
    assert last(scene).status is OrderStatus.ACCEPTED
