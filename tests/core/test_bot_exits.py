"""From the position to flat: protect, E1 and ZE1, their legs, and the stop that rests at the venue."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from botd.core import exit
from botd.core.events import (
    AmendOrder,
    CancelOrder,
    DecisionKey,
    OrderType,
    Section,
    Side,
    SubmitOrder,
    TimeInForce,
)
from botd.core.records import (
    AlertRecord,
    IntentRecord,
    OrderRecord,
    PositionUpdate,
    RiskRecord,
    SignalRecord,
    TradeRecord,
)
from botd.engine.machine import DID_TAKE_PROFIT, IDLE, IN_POSITION
from botd.errors import InvariantBroken
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


def test_exit_is_a_market_order_without_a_bound_for_a_share_of_what_is_held() -> None:
    scene = Scene(strategy(ze1=HALF))
    bought(scene)
    order = submitted(scene.row(111))
    assert (order.key, order.side, order.qty) == (key(Section.ZE1, "half"), Side.SELL, 5)
    assert (order.type, order.tif, order.limit) == (OrderType.MARKET, TimeInForce.IOC, None)
    assert order.reduce_only
    signal, intent, record = (
        scene.of(SignalRecord)[-1],
        scene.of(IntentRecord)[-1],
        scene.of(OrderRecord)[-1],
    )
    assert (signal.section, signal.rule, signal.side) == (Section.ZE1, "half", Side.SELL)
    assert (intent.qty, intent.price, intent.sizing) == (5, 110, "exit")  # the bid
    assert (record.intent_seq, record.decision_price) == (intent.seq, 110)
    assert len(scene.of(RiskRecord)) == 1  # the entry's: exits have no check


def test_each_exit_rule_fires_once_per_position() -> None:
    scene = Scene(strategy(ze1=f"{HALF}, {OUT}"))
    bought(scene)
    order = submitted(scene.row(111))
    scene.accept(order)
    assert scene.row(111) == []  # in flight
    scene.fill(order, 5, 110)
    assert scene.row(112) == []  # it has had its turn
    out = submitted(scene.row(121))
    assert (out.key, out.qty) == (key(Section.ZE1, "out"), 5)
    scene.fill(out, 5, 120)
    assert (scene.phase(), scene.held()) == (IDLE, 0)
    (trade,) = scene.of(TradeRecord)
    assert (trade.qty, trade.entry_price, trade.exit_price) == (10, 102, 115)
    assert (trade.realized_pnl, trade.exit_section, trade.exit_rule) == (130, Section.ZE1, "out")
    scene.row(99)
    order = submitted(scene.row(101))
    scene.fill(order, 10, 102)
    assert submitted(scene.row(111)).key == key(Section.ZE1, "half", cycle=2)  # a new position


def test_first_match_wins_in_one_row() -> None:
    scene = Scene(strategy(ze1=f"{HALF}, {OUT}"))
    bought(scene)
    order = submitted(scene.row(121))
    assert (order.key.rule, order.qty) == ("half", 5)
    scene.fill(order, 5, 120)
    assert submitted(scene.row(121)).key.rule == "out"


@pytest.mark.parametrize(
    ("close", "lots"), [("33%", 3), ("39.9%", 3), ("100%", 10), ("95%", 9), ("5%", None)]
)
def test_share_is_floored_to_the_lot(close: str, lots: int | None) -> None:
    scene = Scene(strategy(ze1=f"{{ name: part, when: price > 110, close: {close} }}"))
    bought(scene)
    commands = scene.row(111)
    assert [one.qty for one in commands if isinstance(one, SubmitOrder)] == ([] if lots is None else [lots])
    if lots is None:  # under one lot: the rule has had its turn, and the next one may speak
        assert rules(scene) == ["part"]
        scene.row(111)
        assert rules(scene) == ["part"]


@pytest.mark.parametrize(("close", "lots"), [("50%", 5), ("60%", 10), ("5%", 5)])
def test_remainder_below_the_minimum_notional_closes_too(close: str, lots: int) -> None:
    """At 111 a remainder of 5 is worth 555, one of 4 is worth 444; of one lot held nothing can stay."""
    instrument = replace(PERP, min_notional=D(500))
    scene = Scene(strategy(ze1=f"{{ name: part, when: price > 110, close: {close} }}"), instrument=instrument)
    if close == "5%":  # 5 % of 5 lots is under one lot, and 5 x 60 = 300 is below the minimum
        scene = Scene(
            strategy(
                ze1="{ name: part, when: price < 61, close: 5% }",
                z1="when: always, order: { type: market }, size: { fixed: 5 BTC }",
            ),
            instrument=instrument,
        )
        bought(scene, qty=5)
        assert submitted(scene.row(60)).qty == lots
        return
    bought(scene)
    assert submitted(scene.row(111)).qty == lots


def test_remainder_of_an_exit_is_asked_again_a_row_later_with_the_next_leg() -> None:
    scene = Scene(strategy(ze1=HALF))
    bought(scene)
    order = submitted(scene.row(111))
    scene.accept(order)
    scene.fill(order, 2, 110)
    assert scene.end(order, reason="the book within the limit is used up") == []
    rest = submitted(scene.row(100))  # its rule is not true any more
    assert (rest.key, rest.qty) == (key(Section.ZE1, "half", leg=1), 3)
    scene.accept(rest)
    assert scene.row(111) == []
    scene.fill(rest, 1, 99)
    scene.end(rest)
    last = submitted(scene.row(100))
    assert (last.key, last.qty) == (key(Section.ZE1, "half", leg=2), 2)
    scene.fill(last, 2, 99)
    assert (scene.held(), scene.row(111)) == (5, [])  # fired once its quantity was filled
    assert rules(scene) == ["half"]


def test_rejected_exit_is_asked_again_after_ten_seconds() -> None:
    scene = Scene(strategy(ze1=OUT))
    bought(scene)
    order = submitted(scene.row(121, at=10))
    scene.reject(order, "busy")
    (alert,) = scene.of(AlertRecord)
    assert (alert.severity, alert.message) == ("critical", "the venue rejected sell o-2: busy")
    assert scene.row(121, at=19) == []
    again = submitted(scene.row(121, at=20))
    assert (again.key, again.qty) == (key(Section.ZE1, "out", leg=1), 10)


def test_full_exit_cancels_the_rest_of_the_entry() -> None:
    scene = Scene(strategy(z1=RESTING, ze1=f"{HALF}, {OUT}"))
    entry = submitted(scene.row(101))
    scene.accept(entry)
    scene.fill(entry, 4, 96)
    assert submitted(scene.row(111)).qty == 2  # half of it closes; the entry works on
    scene.fill(scene.bot.runners[0].memory.exit_ids[0], 2, 110)
    cancel, out = scene.row(121)
    assert isinstance(cancel, CancelOrder)
    assert cancel.client_order_id == entry.client_order_id
    assert isinstance(out, SubmitOrder)
    assert out.qty == 2
    scene.fill(entry, 3, 96)  # the cancel came too late for these
    scene.end(entry, canceled=True)
    scene.fill(out, 2, 120)
    assert scene.held() == 3
    rest = submitted(scene.row(121))
    assert (rest.key, rest.qty) == (key(Section.ZE1, "out", leg=1), 3)
    assert scene.fill(rest, 3, 120) == []
    assert (scene.phase(), scene.held()) == (IDLE, 0)


# ---- E1 -----------------------------------------------------------------------------------------


def test_emergency_closes_all_and_its_cooldown_counts_from_its_fill() -> None:
    scene = Scene(strategy(e1=CRASH))
    bought(scene)
    order = submitted(scene.row(89, at=10))
    assert (order.key, order.qty) == (key(Section.E1, "crash"), 10)
    scene.second = 13
    scene.fill(order, 10, 88)
    assert scene.phase() == IDLE
    scene.row(99, at=14)
    scene.row(101, at=32)  # 20 s from the fill at 13
    assert rules(scene) == ["crash"]
    assert len(scene.of(RiskRecord)) == 1
    assert submitted(scene.row(101, at=33)).key.cycle == 2


def test_emergency_takes_over_from_an_exit_in_flight() -> None:
    scene = Scene(strategy(ze1=HALF, e1=CRASH))
    bought(scene)
    half = submitted(scene.row(111))
    scene.accept(half)
    crash = submitted(scene.row(89))
    assert (crash.key, crash.qty) == (key(Section.E1, "crash"), 5)  # the other 5 are on their way
    assert scene.row(89) == []  # in flight now
    scene.fill(half, 2, 88)
    scene.end(half)
    scene.fill(crash, 5, 88)
    rest = submitted(scene.row(100))
    assert (rest.key, rest.qty) == (key(Section.E1, "crash", leg=1), 3)
    scene.fill(rest, 3, 99)
    assert scene.phase() == IDLE


def test_emergency_with_everything_in_flight_waits_for_its_end() -> None:
    scene = Scene(strategy(ze1=OUT, e1=CRASH))
    bought(scene)
    out = submitted(scene.row(121))
    assert scene.row(89) == []
    assert rules(scene) == ["out", "crash"]
    scene.fill(out, 4, 88)
    scene.end(out)
    rest = submitted(scene.row(100))
    assert (rest.key, rest.qty) == (key(Section.E1, "crash"), 6)  # its first order: leg 0


def test_emergency_does_not_wait_for_a_rejected_exit() -> None:
    scene = Scene(strategy(ze1=OUT, e1=CRASH))
    bought(scene)
    scene.reject(submitted(scene.row(121, at=10)))
    assert submitted(scene.row(89, at=12)).key == key(Section.E1, "crash")


def test_partial_emergency_cancels_the_entry_and_speaks_again_with_a_leg_of_its_own() -> None:
    scene = Scene(strategy(z1=RESTING, e1="{ name: ease, when: price < 90, close: 50%, cooldown: 5s }"))
    entry = submitted(scene.row(101))
    scene.accept(entry)
    scene.fill(entry, 4, 96)
    cancel, ease = scene.row(89)
    assert isinstance(cancel, CancelOrder)
    assert isinstance(ease, SubmitOrder)
    assert (cancel.client_order_id, ease.qty) == (entry.client_order_id, 2)
    scene.end(entry, canceled=True)
    scene.fill(ease, 2, 88)
    again = submitted(scene.row(89))
    assert (again.key, again.qty) == (key(Section.E1, "ease", leg=1), 1)
    scene.fill(again, 1, 88)
    last = submitted(scene.row(89))  # half of one lot: what cannot be split is closed
    assert (last.key, last.qty) == (key(Section.E1, "ease", leg=2), 1)
    scene.fill(last, 1, 88)
    assert scene.phase() == IDLE


def test_partial_emergency_does_not_weaken_a_full_exit() -> None:
    scene = Scene(strategy(ze1=OUT, e1="{ name: ease, when: price < 90, close: 50%, cooldown: 1s }"))
    bought(scene)
    out = submitted(scene.row(121))
    scene.row(89)
    scene.fill(out, 4, 88)
    scene.end(out)
    assert submitted(scene.row(100)).qty == 6


def test_rule_overtaken_by_a_partial_emergency_does_not_fire_again() -> None:
    scene = Scene(strategy(ze1=HALF, e1="{ name: ease, when: price < 90, close: 20%, cooldown: 1s }"))
    bought(scene)
    half = submitted(scene.row(111))
    ease = submitted(scene.row(89))
    assert ease.qty == 2
    scene.fill(half, 5, 88)
    scene.fill(ease, 2, 88)
    assert (scene.held(), scene.row(111)) == (3, [])
    assert rules(scene) == ["half", "ease"]


# ---- protect ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("protect", "price", "rule"),
    [("take_profit: 10%", 114, "take_profit"), ("trailing_stop: 10%", 90, "trailing_stop")],
)
def test_protect_closes_everything(protect: str, price: int, rule: str) -> None:
    """Bought at 102; the bid is a tick under the price: 113 is +10.8 %, 89 is 11 % under 100."""
    scene = Scene(strategy(protect=protect))
    bought(scene)
    scene.row(101)
    order = submitted(scene.row(price))
    assert (order.key, order.qty) == (key(Section.PROTECT, rule), 10)
    signal = scene.of(SignalRecord)[-1]
    assert (signal.section, signal.rule, signal.reason, signal.values) == (Section.PROTECT, rule, rule, ())
    scene.fill(order, 10, price)
    assert scene.of(TradeRecord)[0].exit_rule == rule


def test_holding_max_counts_from_the_first_fill() -> None:
    scene = Scene(strategy(protect="holding_max: 30s"))
    bought(scene)  # at 1 s
    assert scene.row(101, at=30) == []
    assert submitted(scene.row(101, at=31)).key.rule == "holding_max"


def test_protect_waits_for_an_exit_in_flight() -> None:
    scene = Scene(strategy(ze1=HALF, protect="holding_max: 30s"))
    bought(scene)
    half = submitted(scene.row(111, at=20))
    assert scene.row(111, at=40) == []
    scene.fill(half, 5, 110)
    order = submitted(scene.row(111, at=41))
    assert (order.key.rule, order.qty) == ("holding_max", 5)


def test_protect_compares_the_mark_where_the_feed_has_one() -> None:
    scene = Scene(strategy(protect="take_profit: 10%"))
    bought(scene)
    assert scene.row(120, mark=105) == []
    assert submitted(scene.row(105, mark=113)).key.rule == "take_profit"


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


def test_stop_shrinks_with_the_position_and_goes_when_it_is_flat() -> None:
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


# ---- the books ----------------------------------------------------------------------------------


def test_short_position_buys_back() -> None:
    scene = Scene(strategy(side="short", ze1="{ name: out, when: price < 90, close: 100% }"))
    order = submitted(scene.row(101))
    scene.fill(order, 10, 100, fee="1")
    assert scene.held() == -10
    out = submitted(scene.row(89))
    assert (out.side, out.qty) == (Side.BUY, 10)
    assert scene.of(IntentRecord)[-1].price == 90  # the ask
    scene.fill(out, 10, 90, fee="0.9")
    (trade,) = scene.of(TradeRecord)
    assert (trade.side, trade.realized_pnl, trade.fees) == ("short", 100, D("1.9"))
    assert scene.bot.desk.portfolio.balance("USDT") == D("100098.1")
    assert [(one.qty, one.side) for one in scene.of(PositionUpdate)] == [(-10, "short"), (0, "short")]


def test_exit_with_nothing_held_breaks_an_invariant() -> None:
    scene = Scene(strategy(ze1=OUT, e1=CRASH))
    scene.row(99)
    desk, runner = scene.bot.desk, scene.bot.runners[0]
    for speak, rule in ((exit.leave, 0), (exit.emergency, 0), (exit.protect, DID_TAKE_PROFIT)):
        with pytest.raises(InvariantBroken, match="s: an exit speaks and nothing is held"):
            speak(desk, runner, 0, rule)


def test_rest_of_an_exit_that_nobody_began_breaks_an_invariant() -> None:
    scene = Scene(strategy(ze1=OUT))
    bought(scene)
    assert scene.phase() == IN_POSITION
    with pytest.raises(InvariantBroken, match="s: the rest of an exit is asked for that nobody began"):
        exit.ask_rest(scene.bot.desk, scene.bot.runners[0], 0)
