"""Fills beyond what an order or a position allows are booked as they are, cried out, and keep entries off."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

from decimal import Decimal

import pytest

from botd.core.carry import carry
from botd.core.events import AmendOrder
from botd.core.outcomes import DenyReason, OrderStatus
from botd.core.portfolio import UNOWNED
from botd.core.records import FillRecord, RiskRecord
from botd.core.updates import AlertRecord, PositionUpdate
from botd.engine.machine import IN_POSITION
from botd.errors import InputInvalid
from tests.core.scene import PERP, SPOT, Scene, bought, only, strategy, submitted

D = Decimal
OUT = "{ name: out, when: price > 120, close: 100% }"


def alerts(scene: Scene) -> list[tuple[str, str]]:
    return [(one.severity, one.type) for one in scene.of(AlertRecord)]


def unowned(scene: Scene) -> int:
    position = scene.bot.desk.portfolio.held((UNOWNED, PERP.id))
    return position.signed_qty if position else 0


def test_C5_entry_that_fills_beyond_its_quantity_is_held_and_cried_out() -> None:
    scene = Scene(strategy(protect="stop_loss: 10%"))
    order = submitted(scene.row(101))
    scene.accept(order)
    stop = submitted(scene.fill(order, 10, 102))
    scene.accept(stop)
    assert only(scene.fill(order, 3, 103, fee="0.5"), AmendOrder).qty == 13
    assert scene.held() == 13
    assert alerts(scene) == [("critical", "overfill")]
    booked = scene.bot.desk.orders.get(order.client_order_id)
    assert booked is not None
    assert (booked.status, booked.filled, booked.leaves) == (OrderStatus.FILLED, 13, 0)
    assert scene.bot.desk.portfolio.fees("USDT") == D("0.5")


def test_C5_exit_that_fills_beyond_what_is_held_never_turns_the_position() -> None:
    scene = Scene(strategy(ze1=OUT))
    bought(scene)
    out = submitted(scene.row(121))
    scene.accept(out)
    scene.fill(out, 12, 120, fee="0.6", trade="x")
    assert (scene.held(), unowned(scene)) == (0, -2)
    assert scene.bot.desk.portfolio.net_quantities() == {PERP.id: -2}
    assert ("critical", "overfill") in alerts(scene)
    assert ("critical", "unowned_position") in alerts(scene)
    fills = [(one.strategy, one.trade_id, one.qty, one.fee) for one in scene.of(FillRecord)][-2:]
    assert fills == [(UNOWNED, "x#unowned1", 2, 0), ("s", "x", 10, D("0.6"))]
    moved = {one.strategy: (one.qty, one.entry_price) for one in scene.of(PositionUpdate)}
    assert moved == {"s": (0, 102), UNOWNED: (-2, 120)}


def test_C5_late_fill_of_an_exit_after_the_position_is_flat_belongs_to_nobody() -> None:
    scene = Scene(strategy(ze1=OUT, protect="stop_loss: 10%"))
    stop = bought(scene)
    assert stop is not None
    scene.accept(stop)
    out = submitted(scene.row(121))
    scene.fill(out, 10, 120)
    scene.fill(stop, 10, 91, fee="1")  # both filled: what D6 asks
    assert (scene.held(), unowned(scene)) == (0, -10)
    assert alerts(scene) == [("critical", "unowned_position")]
    assert scene.bot.desk.portfolio.fees("USDT") == 1
    assert scene.bot.desk.orders.live() == []


def test_D6_stop_and_target_that_both_fill_keep_entries_off_until_it_is_resolved() -> None:
    scene = Scene(strategy(ze1=OUT, protect="stop_loss: 10%"))
    stop = bought(scene)
    assert stop is not None
    scene.accept(stop)
    out = submitted(scene.row(121))
    scene.fill(out, 10, 120)
    scene.fill(stop, 10, 91)
    scene.row(99)
    assert scene.row(101) == []
    verdict = scene.of(RiskRecord)[-1]
    assert (verdict.approved, verdict.reason) == (False, DenyReason.POSITION_UNEXPLAINED)


def test_unowned_fills_of_the_other_side_close_what_nobody_owns_and_turn_it() -> None:
    scene = Scene(strategy(ze1=OUT), strategy("t", ze1=OUT, side="short", s1="when: price > 100"))
    portfolio, desk = scene.bot.desk.portfolio, scene.bot.desk
    for order in scene.row(101):
        scene.fill(order, 10, 101)  # type: ignore[union-attr]
    exits = scene.row(121)
    for order in exits:
        scene.fill(order, 10, 120)
    long_exit, short_exit = exits
    scene.fill(long_exit, 4, 120)  # beyond: -4 of nobody
    scene.fill(short_exit, 6, 110)  # beyond: closes 4 and leaves +2
    assert unowned(scene) == 2
    assert portfolio.realized("USDT") == (19 * 10 - 19 * 10) + 4 * 10
    assert desk.portfolio.net_quantities() == {PERP.id: 2}


def test_unowned_position_shrinks_when_less_fills_on_the_other_side() -> None:
    scene = Scene(strategy(ze1=OUT), strategy("t", ze1=OUT, side="short", s1="when: price > 100"))
    for order in scene.row(101):
        scene.fill(order, 10, 101)  # type: ignore[arg-type]
    long_exit, short_exit = scene.row(121)
    scene.fill(long_exit, 15, 120)
    scene.fill(short_exit, 12, 120)
    assert unowned(scene) == -3
    assert scene.bot.desk.portfolio.net_quantities() == {PERP.id: -3}


def test_overfilled_position_keeps_other_entries_off_its_instrument_until_flat() -> None:
    scene = Scene(strategy(), strategy("t", s1="when: price > 110"))
    order = submitted(scene.row(101))
    scene.fill(order, 10, 101)
    scene.fill(order, 1, 101)
    assert scene.phase() == IN_POSITION
    assert scene.row(111) == []
    assert scene.of(RiskRecord)[-1].reason is DenyReason.POSITION_UNEXPLAINED


def test_unowned_position_survives_a_snapshot_and_a_hand_over() -> None:
    scene = Scene(strategy(ze1=OUT))
    bought(scene)
    out = submitted(scene.row(121))
    scene.fill(out, 12, 120)
    again = scene.fresh()
    again.restore(scene.bot.state())
    assert again.desk.portfolio.net_quantities() == {PERP.id: -2}
    heir = scene.fresh()
    carry(scene.bot, heir, scene.now_us)
    assert heir.desk.portfolio.net_quantities() == {PERP.id: -2}


def test_hand_over_to_a_plan_without_the_instrument_of_an_unowned_position_is_refused() -> None:
    scene = Scene(strategy(ze1=OUT))
    bought(scene)
    out = submitted(scene.row(121))
    scene.fill(out, 12, 120)
    other = Scene(strategy("s", instrument=SPOT.id), instrument=SPOT).bot
    with pytest.raises(InputInvalid, match="nobody owns"):
        carry(scene.bot, other, scene.now_us)
