"""From the position to flat: protect, E1 and ZE1, their legs, and the stop that rests at the venue."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from botd.core import exit
from botd.core.events import (
    CancelOrder,
    DecisionKey,
    OrderType,
    Section,
    Side,
    SubmitOrder,
    TimeInForce,
)
from botd.core.records import IntentRecord, OrderRecord, RiskRecord, SignalRecord, TradeRecord
from botd.core.updates import AlertRecord, PositionUpdate
from botd.engine.machine import DID_TAKE_PROFIT, IDLE, IN_POSITION
from botd.errors import InvariantBroken
from tests.core.scene import PERP, Scene, bought, strategy, submitted

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
    verdict = scene.of(RiskRecord)[-1]  # nothing is checked, and that is written down
    assert (verdict.intent_seq, verdict.approved, verdict.reason) == (intent.seq, True, None)


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
    assert len(scene.of(RiskRecord)) == 2
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
