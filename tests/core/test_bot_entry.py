"""From idle to the order: S1, O1, Z1, sizing's and risk's answers, and how a signal ends."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from botd.core.events import CancelOrder, DecisionKey, OrderType, Section, Side, TimeInForce
from botd.core.outcomes import DenyReason, OrderStatus
from botd.core.records import IntentRecord, OrderRecord, RiskRecord, SignalRecord
from botd.core.settings import ExecutionSettings
from botd.core.updates import AlertRecord, OrderUpdate
from botd.engine.machine import ENTERING, IDLE, IN_POSITION, SIGNALLED
from tests.core.scene import (
    MINUTE,
    NO_LIMITS,
    PERP,
    SECOND,
    SPOT,
    T0,
    Scene,
    bought,
    only,
    strategy,
    submitted,
)

D = Decimal
LIMIT = "when: always, order: { type: limit, price: price - 5, ttl: 20s }, size: { fixed: 10 BTC }"


def signals(scene: Scene, section: Section = Section.S1) -> list[tuple[int, int]]:
    """Return (cycle, row) of every signal of a section."""
    return [(one.cycle, one.row) for one in scene.of(SignalRecord) if one.section is section]


def test_row_that_makes_s1_true_enters_where_z1_is_true_too() -> None:
    scene = Scene(strategy(let="twice: price * 2\ndear: price > 100"))
    assert scene.row(100) == []
    order = submitted(scene.row(101))
    assert (order.key, order.instrument) == (DecisionKey("s", PERP.id, 1, Section.Z1, ""), PERP.id)
    assert (order.side, order.type, order.tif) == (Side.BUY, OrderType.MARKET, TimeInForce.IOC)
    assert (order.qty, order.limit, order.stop) == (10, 112, None)  # the ask, 102, and 10 % above it: 112.2
    assert (order.reduce_only, order.expire_us, order.ts_us) == (False, None, T0 + 2 * SECOND)
    s1, z1 = scene.of(SignalRecord)
    assert (s1.section, s1.cycle, s1.row, s1.ts_us, s1.side) == (Section.S1, 1, 1, T0 + 2 * SECOND, Side.BUY)
    assert (s1.price, s1.confidence, s1.acted) == (101, 1.0, True)
    assert s1.values == z1.values == (("twice", 202.0), ("dear", 1.0))
    assert (z1.section, z1.confidence) == (Section.Z1, None)
    (intent,) = scene.of(IntentRecord)
    assert (intent.qty, intent.price, intent.sizing) == (10, 102, "fixed: 10 BTC")
    (risk,) = scene.of(RiskRecord)
    assert (risk.intent_seq, risk.approved, risk.reason) == (intent.seq, True, None)
    (record,) = scene.of(OrderRecord)
    assert (record.intent_seq, record.qty, record.decision_price) == (intent.seq, 10, 102)
    assert scene.phase() == ENTERING


def test_value_that_is_not_ready_is_recorded_as_nan() -> None:
    scene = Scene(strategy(let="slow: twpa(10s)\nrising: price > slow"))
    scene.row(101)
    values = dict(scene.of(SignalRecord)[0].values)
    assert str(values["slow"]) == str(values["rising"]) == "nan"


def test_without_z1_s1_enters_and_no_z1_is_recorded() -> None:
    scene = Scene(
        strategy(
            s1="when: price > 100, order: { type: market, slippage_max: 1% }, size: { fixed: 3 BTC }", z1=""
        )
    )
    order = submitted(scene.row(101))
    assert (order.key.section, order.qty, order.limit) == (Section.Z1, 3, 103)  # 102 + 1 % = 103.02
    assert [one.section for one in scene.of(SignalRecord)] == [Section.S1]


def test_signal_waits_for_z1() -> None:
    scene = Scene(
        strategy(
            z1="when: price > 105, order: { type: market, slippage_max: 10% }, size: { fixed: 10 BTC }",
        )
    )
    assert scene.row(101) == []
    assert scene.phase() == SIGNALLED
    assert scene.row(105) == []
    assert submitted(scene.row(106)).qty == 10


def test_o1_when_ends_the_signal_before_z1_and_s1_comes_a_row_later() -> None:
    scene = Scene(
        strategy(
            s1="when: price > 100, cooldown: 1s",
            o1="when: price > 110",
            z1="when: price > 110, order: { type: market, slippage_max: 10% }, size: { fixed: 10 BTC }",
        )
    )
    scene.row(101)
    assert scene.row(111) == []
    assert scene.phase() == IDLE
    (dropped,) = [one for one in scene.of(SignalRecord) if one.section is Section.O1]
    assert (dropped.cycle, dropped.row, dropped.reason) == (1, 1, "when")
    scene.row(111)  # S1 is still true: it must have been false once
    assert signals(scene) == [(1, 0)]
    scene.row(99)
    scene.row(101)
    assert signals(scene) == [(1, 0), (2, 4)]


def test_o1_after_ends_the_signal_at_the_first_row_of_its_time() -> None:
    never = "when: price > 999, order: { type: market, slippage_max: 10% }, size: { fixed: 10 BTC }"
    scene = Scene(strategy(o1="after: 5s", z1=never))
    scene.row(101, at=10)
    scene.row(101, at=14)
    assert scene.phase() == SIGNALLED
    scene.row(101, at=17)
    (dropped,) = [one for one in scene.of(SignalRecord) if one.section is Section.O1]
    assert (dropped.reason, dropped.ts_us, scene.phase()) == ("after", T0 + 17 * SECOND, IDLE)


def test_s1_rearms_after_false_and_waits_for_its_cooldown() -> None:
    never = "when: never, order: { type: market, slippage_max: 10% }, size: { fixed: 10 BTC }"
    scene = Scene(strategy(s1="when: price > 100, cooldown: 10s", o1="when: price < 100", z1=never))
    scene.row(101, at=10)
    scene.row(99, at=12)
    scene.row(101, at=14)  # armed, but the cooldown counts from the signal at 10 s
    scene.row(101, at=19)
    assert signals(scene) == [(1, 0)]
    scene.row(101, at=20)
    assert signals(scene) == [(1, 0), (2, 4)]


@pytest.mark.parametrize(
    ("confidence", "recorded", "acted"),
    [("0.49", 0.49, False), ("0.5", 0.5, True), ("1.5", 1.0, True), ("0 - 1", 0.0, False)],
)
def test_confidence_is_read_in_s1s_row_and_a_weak_one_is_recorded_only(
    confidence: str, recorded: float, acted: bool
) -> None:
    scene = Scene(strategy(s1=f"when: price > 100, confidence: {confidence}, cooldown: 1s"))
    assert bool(scene.row(101)) is acted
    s1 = scene.of(SignalRecord)[0]
    assert (s1.confidence, s1.acted) == (recorded, acted)
    assert scene.phase() == (ENTERING if acted else IDLE)


def test_confidence_that_is_not_ready_is_weak() -> None:
    scene = Scene(strategy(s1="when: price > 100, confidence: price / twpa(10s), confidence_min: 0"))
    assert scene.row(101) == []
    assert (scene.of(SignalRecord)[0].acted, scene.of(SignalRecord)[0].confidence) == (False, 0.0)


def test_confidence_sizes_by_kelly() -> None:
    size = "{ kelly: 25%, cap: 50% of equity }"
    scene = Scene(
        strategy(
            s1="when: price > 100, confidence: (price - 100) / price",
            z1=f"when: always, order: {{ type: market, slippage_max: 10% }}, size: {size}",
        )
    )
    order = submitted(scene.row(400))  # 100,000 x 0.25 x (2 x 0.75 - 1) = 12,500; at the ask, 401: 31.2
    assert order.qty == 31


def test_denial_ends_the_signal_and_is_not_asked_again() -> None:
    scene = Scene(strategy(), limits=replace(NO_LIMITS, position_max_usd=D(1000)))
    assert scene.row(101) == []
    (risk,) = scene.of(RiskRecord)
    assert (risk.approved, risk.reason) == (False, DenyReason.POSITION_MAX)
    assert (risk.limit, risk.actual) == (1000, 1020)
    assert scene.phase() == IDLE
    scene.row(101)
    assert len(scene.of(IntentRecord)) == 1
    assert scene.of(OrderRecord) == []


def test_strategys_own_limits_stand_in_place_of_the_accounts() -> None:
    scene = Scene(replace(strategy(), limits=(("positions_max", D(0)),)))
    scene.row(101)
    assert scene.of(RiskRecord)[0].reason is DenyReason.POSITIONS_MAX
    assert scene.of(RiskRecord)[0].limit == 0


@pytest.mark.parametrize(
    ("size", "reason"),
    [("{ fixed: 100 USDT }", DenyReason.SIZE_ZERO), ("{ risk: 1% of equity }", DenyReason.SIZE_ZERO)],
)
def test_size_under_one_lot_is_a_denial(size: str, reason: DenyReason) -> None:
    protect = "" if "fixed" in size else "stop_loss: 10%"
    scene = Scene(
        strategy(z1=f"when: always, order: {{ type: market }}, size: {size}", protect=protect), equity="1000"
    )
    assert scene.row(101) == []
    assert scene.of(RiskRecord)[0].reason is reason


def test_unknown_price_on_the_side_to_trade_is_a_denial() -> None:
    scene = Scene(strategy())
    assert scene.row(101, ask=0) == []
    assert scene.of(RiskRecord)[0].reason is DenyReason.PRICE_UNKNOWN
    assert scene.of(IntentRecord)[0].sizing == "no price is known on the side to trade"


def test_short_sells_at_the_bid_and_bounds_from_below() -> None:
    scene = Scene(strategy(side="short"))
    order = submitted(scene.row(101))
    assert (order.side, order.qty, order.limit) == (Side.SELL, 10, 90)  # the bid, 100, less 10 %
    assert scene.of(OrderRecord)[0].decision_price == 100


def test_short_bound_is_rounded_to_the_near_side() -> None:
    z1 = "when: always, order: { type: market, slippage_max: 125bps }, size: { fixed: 10 BTC }"
    scene = Scene(strategy(side="short", z1=z1))
    assert submitted(scene.row(101)).limit == 99  # 100 - 1.25 = 98.75


def test_market_order_without_a_bound_of_its_own_takes_the_settings() -> None:
    z1 = "when: always, order: { type: market }, size: { fixed: 10 BTC }"
    scene = Scene(strategy(z1=z1), execution=ExecutionSettings(slippage_max=D("0.5")))
    assert submitted(scene.row(101)).limit == 153  # 102 x 1.5


@pytest.mark.parametrize(
    ("side", "price", "limit"),
    [("long", "price - 5.5", 95), ("short", "price + 5.5", 107), ("long", "price - 5", 96)],
)
def test_limit_order_rests_on_the_near_side_of_its_price(side: str, price: str, limit: int) -> None:
    z1 = f"when: always, order: {{ type: limit, price: {price}, ttl: 20s }}, size: {{ fixed: 10 BTC }}"
    scene = Scene(strategy(side=side, z1=z1))
    order = submitted(scene.row(101))
    assert (order.type, order.tif, order.limit) == (OrderType.LIMIT, TimeInForce.GTC, limit)
    assert order.expire_us == T0 + 21 * SECOND


def test_limit_order_without_a_ttl_takes_the_settings() -> None:
    z1 = "when: always, order: { type: limit, price: price }, size: { fixed: 10 BTC }"
    scene = Scene(strategy(z1=z1))
    assert submitted(scene.row(101)).expire_us == T0 + SECOND + 5 * MINUTE


@pytest.mark.parametrize("price", ["twpa(10s)", "price - 200", "price / (price - 101) * price"])
def test_limit_price_that_is_not_known_is_a_denial(price: str) -> None:
    z1 = f"when: always, order: {{ type: limit, price: {price} }}, size: {{ fixed: 10 BTC }}"
    scene = Scene(strategy(z1=z1))
    assert scene.row(101) == []
    assert scene.of(RiskRecord)[0].reason is DenyReason.PRICE_UNKNOWN
    assert scene.phase() == IDLE


def test_reject_ends_the_signal_counts_and_alerts() -> None:
    scene = Scene(strategy())
    order = submitted(scene.row(101))
    assert scene.reject(order, "insufficient balance") == []
    assert scene.phase() == IDLE
    assert scene.bot.desk.rejects == 1
    assert scene.bot.desk.working == []
    (alert,) = scene.of(AlertRecord)
    assert (alert.severity, alert.type, alert.strategy) == ("high", "order_rejected", "s")
    assert alert.message == "the venue rejected buy o-1: insufficient balance"
    assert scene.of(OrderUpdate)[-1].status is OrderStatus.REJECTED


def test_a_fill_ends_the_row_of_rejects() -> None:
    scene = Scene(strategy())
    scene.reject(submitted(scene.row(101)))
    scene.row(99)
    bought(scene)
    assert scene.bot.desk.rejects == 0


def test_unfilled_expiry_ends_the_signal() -> None:
    scene = Scene(strategy(z1=LIMIT))
    order = submitted(scene.row(101))
    scene.accept(order)
    assert scene.row(101) == []
    assert scene.phase() == ENTERING
    scene.end(order, reason="time to live is over")
    assert scene.phase() == IDLE
    assert scene.bot.desk.working == []
    update = scene.of(OrderUpdate)[-1]
    assert (update.status, update.reason) == (OrderStatus.EXPIRED, "time to live is over")


def test_first_fill_opens_the_position_and_the_rest_works_on() -> None:
    scene = Scene(strategy(z1=LIMIT))
    order = submitted(scene.row(101))
    scene.accept(order)
    scene.fill(order, 4, 96, fee="0.5")
    assert (scene.phase(), scene.held()) == (IN_POSITION, 4)
    assert [runner.strategy.id for runner in scene.bot.desk.working] == ["s"]
    scene.fill(order, 6, 96)
    assert (scene.held(), scene.bot.desk.working) == (10, [])
    scene.row(101)
    assert scene.phase() == IN_POSITION


def test_partial_fill_and_expiry_keep_what_was_bought() -> None:
    scene = Scene(strategy())
    order = submitted(scene.row(101))
    scene.accept(order)
    scene.fill(order, 4, 102)
    assert scene.end(order) == []
    assert (scene.phase(), scene.held()) == (IN_POSITION, 4)


def test_entries_are_counted_for_a_minute() -> None:
    scene = Scene(strategy(), limits=replace(NO_LIMITS, orders_per_minute_max=1))
    scene.reject(submitted(scene.row(101, at=10)))
    scene.row(99, at=11)
    scene.row(101, at=69)
    assert scene.of(RiskRecord)[-1].reason is DenyReason.ORDERS_PER_MINUTE
    scene.row(99, at=69)
    assert submitted(scene.row(101, at=70)).qty == 10  # a minute after the first


def test_working_entries_of_others_count_as_filled() -> None:
    """The other strategy's order binds 10 x 96 (its limit) of 2,000; 10 x 102 more is too much."""
    scene = Scene(
        strategy("a", z1=LIMIT),
        strategy("b", s1="when: price > 101, cooldown: 1s"),
        equity="1900",
    )
    submitted(scene.row(101))
    assert scene.row(102) == []
    risk = scene.of(RiskRecord)[-1]
    assert (risk.reason, risk.limit, risk.actual) == (DenyReason.BALANCE, 940, 1030)


def test_working_entry_counts_as_a_position_once() -> None:
    scene = Scene(
        strategy("a"),
        strategy("b", s1="when: price > 101, cooldown: 1s"),
        limits=replace(NO_LIMITS, positions_max=1),
    )
    order = submitted(scene.row(101))
    scene.accept(order)
    scene.fill(order, 4, 102)
    assert scene.row(102) == []
    risk = scene.of(RiskRecord)[-1]
    assert (risk.reason, risk.limit, risk.actual) == (DenyReason.POSITIONS_MAX, 1, 1)


def test_spot_pays_the_whole_notional_and_its_fee() -> None:
    spot = replace(SPOT, taker_fee=D("0.01"))
    scene = Scene(strategy(instrument=spot.id), instrument=spot, equity="1030")
    assert scene.row(101) == []
    risk = scene.of(RiskRecord)[-1]
    assert (risk.reason, risk.limit, risk.actual) == (DenyReason.BALANCE, 1030, D("1030.2"))


def test_z1_waits_for_the_orders_of_the_last_position() -> None:
    """The stop's cancel is under way: an entry now could fill first and meet the old stop."""
    scene = Scene(strategy(protect="stop_loss: 10%", ze1="{ name: out, when: price > 110, close: 100% }"))
    stop = bought(scene)
    assert stop is not None
    scene.accept(stop)
    out = submitted(scene.row(111))
    scene.accept(out)
    cancel = only(scene.fill(out, 10, 110), CancelOrder)
    assert (cancel.client_order_id, scene.phase()) == (stop.client_order_id, IDLE)
    scene.row(99)
    assert scene.row(101) == []
    assert signals(scene)[-1] == (2, 3)
    assert scene.phase() == SIGNALLED
    assert len(scene.of(IntentRecord)) == 2  # nothing new was decided
    scene.end(stop, canceled=True)
    again = submitted(scene.row(101))
    assert (again.key.cycle, again.key.section) == (2, Section.Z1)
