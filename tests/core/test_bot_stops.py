"""The stop at the venue: sent with the first fill, resized, hit, rejected, and in races with exits."""

from __future__ import annotations

from decimal import Decimal

import pytest

from botd.core.events import (
    AmendOrder,
    CancelOrder,
    DecisionKey,
    OrderFilled,
    OrderType,
    Section,
    Side,
    TimeInForce,
)
from botd.core.records import OrderRecord, SignalRecord, TradeRecord
from botd.core.updates import AlertRecord
from botd.engine.machine import IDLE
from tests.core.scene import PERP, SECOND, T0, Scene, bought, only, strategy, submitted

D = Decimal
HALF = "{ name: half, when: price > 110, close: 50% }"
OUT = "{ name: out, when: price > 120, close: 100% }"
CRASH = "{ name: crash, when: price < 90, cooldown: 20s }"
RESTING = "when: always, order: { type: limit, price: price - 5, ttl: 60s }, size: { fixed: 10 BTC }"


def key(section: Section, rule: str, leg: int = 0, cycle: int = 1) -> DecisionKey:
    return DecisionKey("s", PERP.id, cycle, section, rule, leg)


def rules(scene: Scene) -> list[str]:
    """Return the names of the exits that spoke, in their order."""
    return [one.rule for one in scene.of(SignalRecord) if one.section not in (Section.S1, Section.Z1)]


# ---- the stop -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "ratio", "stop"),
    [
        ("long", "10%", 92),  # 102 x 0.9 = 91.8
        ("long", "50%", 51),  # exactly
        ("short", "10%", 112),  # 102 x 1.1 = 112.2
        ("short", "50%", 153),
        ("long", "99.9%", 1),  # 0.102
    ],
)
def test_stop_goes_out_with_the_first_fill_on_the_near_side_of_its_price(
    side: str, ratio: str, stop: int
) -> None:
    scene = Scene(strategy(side=side, protect=f"stop_loss: {ratio}"))
    order = bought(scene)
    assert order is not None
    assert (order.key, order.type, order.tif) == (
        key(Section.PROTECT, "stop_loss"),
        OrderType.STOP_MARKET,
        TimeInForce.GTC,
    )
    assert (order.qty, order.stop, order.limit, order.reduce_only) == (10, stop, None, True)
    assert order.side is (Side.SELL if side == "long" else Side.BUY)
    assert order.ts_us == T0 + SECOND
    record = scene.of(OrderRecord)[-1]
    assert (record.intent_seq, record.row, record.stop_price) == (None, 0, stop)


def test_stop_is_resized_only_once_it_is_known_to_rest() -> None:
    scene = Scene(strategy(z1=RESTING, protect="stop_loss: 10%"))
    entry = submitted(scene.row(101))
    scene.accept(entry)
    stop = submitted(scene.fill(entry, 4, 96))
    assert stop.qty == 4
    assert scene.fill(entry, 2, 96) == []  # an amendment could overtake the stop itself
    amend = only(scene.accept(stop), AmendOrder)
    assert (amend.client_order_id, amend.qty) == (stop.client_order_id, 6)
    assert scene.fill(entry, 3, 96) == []  # nor two amendments each other
    amend = only(scene.amended(amend), AmendOrder)
    assert amend.qty == 9
    assert scene.amended(amend) == []
    assert only(scene.fill(entry, 1, 96), AmendOrder).qty == 10


def test_D5_stop_shrinks_with_the_position_and_goes_when_it_is_flat() -> None:  # noqa: N802
    scene = Scene(strategy(ze1=f"{HALF}, {OUT}", protect="stop_loss: 10%"))
    stop = bought(scene)
    assert stop is not None
    scene.accept(stop)
    half = submitted(scene.row(111))
    amend = only(scene.fill(half, 5, 110), AmendOrder)
    assert amend.qty == 5
    scene.amended(amend)
    out = submitted(scene.row(121))
    cancel = only(scene.fill(out, 5, 120), CancelOrder)
    assert cancel.client_order_id == stop.client_order_id
    assert scene.end(stop, canceled=True) == []
    assert scene.bot.desk.orders.live() == []


def test_stop_that_fills_whole_ends_the_position() -> None:
    scene = Scene(strategy(protect="stop_loss: 10%"))
    stop = bought(scene)
    assert stop is not None
    scene.accept(stop)
    assert scene.fill(stop, 10, 92) == []
    assert (scene.phase(), scene.held()) == (IDLE, 0)
    (trade,) = scene.of(TradeRecord)
    assert (trade.realized_pnl, trade.exit_section, trade.exit_rule) == (-100, Section.PROTECT, "stop_loss")


def test_stop_that_fills_short_has_its_rest_closed_at_the_next_row() -> None:
    scene = Scene(strategy(ze1=OUT, protect="stop_loss: 10%"))
    stop = bought(scene)
    assert stop is not None
    scene.accept(stop)
    assert scene.fill(stop, 6, 92) == []
    assert scene.end(stop, reason="the book within the limit is used up") == []
    rest = submitted(scene.row(125))  # the exit rule that is true waits
    assert (rest.key, rest.qty) == (key(Section.PROTECT, "stop_loss", leg=1), 4)
    assert scene.fill(rest, 1, 91) == []  # no second stop where the first was hit
    scene.end(rest)
    last = submitted(scene.row(90))
    assert (last.key, last.qty) == (key(Section.PROTECT, "stop_loss", leg=2), 3)
    scene.fill(last, 3, 89)
    assert scene.phase() == IDLE


def test_stop_legs_begin_at_0_in_every_cycle() -> None:
    scene = Scene(strategy(protect="stop_loss: 10%"))
    for cycle in (1, 2):
        stop = bought(scene)
        assert stop is not None
        assert stop.key == key(Section.PROTECT, "stop_loss", cycle=cycle)
        scene.fill(stop, 10, 92)
        scene.row(99)


def test_stop_that_is_hit_cancels_the_rest_of_the_entry() -> None:
    scene = Scene(strategy(z1=RESTING, protect="stop_loss: 10%"))
    entry = submitted(scene.row(101))
    scene.accept(entry)
    stop = submitted(scene.fill(entry, 4, 96))
    scene.accept(stop)
    assert only(scene.fill(stop, 1, 86), CancelOrder).client_order_id == entry.client_order_id


def test_rejected_stop_makes_protect_close_the_position() -> None:
    scene = Scene(strategy(z1=RESTING, protect="stop_loss: 10%"))
    entry = submitted(scene.row(101))
    scene.accept(entry)
    stop = submitted(scene.fill(entry, 4, 96))
    cancel = only(scene.reject(stop, "stop price is through the market"), CancelOrder)
    assert cancel.client_order_id == entry.client_order_id
    assert [one.severity for one in scene.of(AlertRecord)] == ["critical"]
    order = submitted(scene.row(101))
    assert (order.key, order.qty) == (key(Section.PROTECT, "stop_loss", leg=1), 4)


def test_stop_cancelled_by_a_hand_at_the_venue_is_replaced() -> None:
    scene = Scene(strategy(protect="stop_loss: 10%"))
    stop = bought(scene)
    assert stop is not None
    scene.accept(stop)
    again = submitted(scene.end(stop, canceled=True, reason="canceled by user"))
    assert (again.key, again.stop, again.qty) == (key(Section.PROTECT, "stop_loss", leg=1), 92, 10)


def test_stop_that_ends_during_an_exit_leaves_the_rest_to_it() -> None:
    scene = Scene(strategy(e1=CRASH, protect="stop_loss: 5%"))
    stop = bought(scene)
    assert stop is not None
    scene.accept(stop)
    crash = submitted(scene.row(89))
    scene.fill(stop, 2, 88)
    assert scene.end(stop) == []
    assert scene.row(89) == []
    scene.fill(crash, 8, 88)
    assert scene.phase() == IDLE
    scene.row(99)
    assert scene.row(101) == []  # the emergency's cooldown holds
    assert scene.phase() == IDLE


def test_stop_that_ends_during_a_partial_exit_closes_what_that_leaves() -> None:
    scene = Scene(strategy(ze1=HALF, protect="stop_loss: 5%"))
    stop = bought(scene)
    assert stop is not None
    scene.accept(stop)
    half = submitted(scene.row(111))
    scene.fill(stop, 2, 96)
    scene.end(stop)
    order = submitted(scene.row(96))
    assert (order.key, order.qty) == (key(Section.PROTECT, "stop_loss", leg=1), 3)  # 10 - 2 - 5 in flight
    scene.fill(half, 5, 95)
    scene.fill(order, 3, 95)
    assert scene.phase() == IDLE


def test_amendment_refused_leaves_a_stop_that_covers_more() -> None:
    scene = Scene(strategy(ze1=HALF, protect="stop_loss: 10%"))
    stop = bought(scene)
    assert stop is not None
    scene.accept(stop)
    half = submitted(scene.row(111))
    amend = only(scene.fill(half, 4, 110), AmendOrder)
    assert scene.refuse(amend, "busy") == []  # reduce-only: it closes no more than is held
    assert scene.of(AlertRecord) == []
    assert only(scene.fill(half, 1, 110), AmendOrder).qty == 5  # asked again with the next change


def test_amendment_refused_replaces_a_stop_that_covers_too_little() -> None:
    scene = Scene(strategy(z1=RESTING, protect="stop_loss: 10%"))
    entry = submitted(scene.row(101))
    scene.accept(entry)
    stop = submitted(scene.fill(entry, 4, 96))
    scene.accept(stop)
    amend = only(scene.fill(entry, 3, 96), AmendOrder)
    cancel = only(scene.refuse(amend, "busy"), CancelOrder)
    assert cancel.client_order_id == stop.client_order_id
    (alert,) = scene.of(AlertRecord)
    assert (alert.severity, alert.type) == ("critical", "stop_not_resized")
    assert alert.message == "the venue would not resize stop o-2: busy"
    again = submitted(scene.end(stop, canceled=True))
    assert (again.key, again.qty) == (key(Section.PROTECT, "stop_loss", leg=1), 7)


def test_stop_is_made_of_all_the_fills_of_a_place() -> None:
    scene = Scene(strategy(protect="stop_loss: 10%"))
    order = submitted(scene.row(101))
    terms = {"client_order_id": order.client_order_id, "fee": D(0), "maker": False, "ts_us": scene.now_us}
    heard = [
        OrderFilled(seq=1, trade_id="a", price=100, qty=1, **terms),
        OrderFilled(seq=2, trade_id="b", price=110, qty=9, **terms),
    ]
    stop = submitted(scene.bot.apply(heard))
    assert (stop.qty, stop.stop) == (10, 99)  # 90 % of 109 is 98.1


def test_stop_follows_the_average_entry_of_later_fills_and_no_exit_moves_it() -> None:
    half = "{ name: half, when: price > 120, close: 50% }"
    scene = Scene(strategy(ze1=half, protect="stop_loss: 10%"))
    order = submitted(scene.row(101))
    stop = submitted(scene.fill(order, 1, 100))
    assert (stop.qty, stop.stop) == (1, 90)
    scene.accept(stop)
    amend = only(scene.fill(order, 9, 110), AmendOrder)
    assert (amend.qty, amend.stop) == (10, 99)
    scene.amended(amend)
    table = scene.bot.desk.orders.get(stop.client_order_id)
    assert table is not None
    assert (table.qty, table.command.stop) == (10, 99)
    out = submitted(scene.row(121))
    smaller = only(scene.fill(out, 5, 120), AmendOrder)
    assert (smaller.qty, smaller.stop) == (5, 99)


def test_stop_of_a_short_follows_its_average_entry_downwards() -> None:
    scene = Scene(strategy(side="short", protect="stop_loss: 10%"))
    order = submitted(scene.row(101))
    stop = submitted(scene.fill(order, 5, 100))
    assert stop.stop == 110
    scene.accept(stop)
    assert only(scene.fill(order, 5, 90), AmendOrder).stop == 104  # 110 % of 95 is 104.5


def test_position_that_opened_and_closed_at_one_place_leaves_no_stop() -> None:
    scene = Scene(strategy(ze1=OUT, protect="stop_loss: 10%"))
    stop = bought(scene)
    assert stop is not None
    out = submitted(scene.row(121))
    terms = {"fee": D(0), "maker": False, "ts_us": scene.now_us}
    first = scene.bot.desk.orders.all()[0].client_order_id
    heard = [
        OrderFilled(seq=8, client_order_id=first, trade_id="x", price=102, qty=2, **terms),
        OrderFilled(seq=9, client_order_id=out.client_order_id, trade_id="y", price=120, qty=12, **terms),
    ]
    commands = scene.bot.apply(heard)
    assert scene.held() == 0
    assert [type(one) for one in commands] == [CancelOrder]
