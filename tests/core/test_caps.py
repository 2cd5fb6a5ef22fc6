"""What is never sent, whatever the limits in the files say: a runaway halts."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

from dataclasses import replace

from botd.core import caps
from botd.core.events import SubmitOrder
from botd.core.outcomes import DenyReason
from botd.core.records import RiskRecord
from botd.core.restraint import Cause, TradingState
from tests.core.scene import NO_LIMITS, PERP, D, Scene, bought, strategy, submitted


def denials(scene: Scene) -> list[tuple[DenyReason | None, object, object]]:
    return [(one.reason, one.limit, one.actual) for one in scene.of(RiskRecord) if not one.approved]


def test_B17_entries_of_a_minute_are_bounded_in_code_and_halt() -> None:
    scene = Scene(strategy(), limits=replace(NO_LIMITS, orders_per_minute_max=10**9))
    desk = scene.bot.desk
    desk.submitted_us.extend([scene.now_us] * caps.ENTRIES_PER_MINUTE)
    assert scene.row(101) == []
    assert denials(scene) == [(DenyReason.RATE_CAP, D(120), D(121))]
    assert desk.trading_state is TradingState.HALTED
    assert desk.restraint is not None
    assert desk.restraint.cause is Cause.RATE_CAP


def test_B17_turnover_of_an_hour_is_bounded_in_code() -> None:
    scene = Scene(strategy(), equity="100000")
    desk = scene.bot.desk
    desk.turnover, desk.turnover_until_us = 99.999, scene.now_us + caps.HOUR_US
    assert scene.row(101) == []
    ((reason, limit, actual),) = denials(scene)
    assert (reason, limit) == (DenyReason.RATE_CAP, D(100))
    assert D(100) < D(str(actual)) < D("100.1")


def test_turnover_counts_what_is_sent_and_begins_anew_after_an_hour() -> None:
    scene = Scene(strategy(), equity="100000")
    bought(scene)
    desk = scene.bot.desk
    assert desk.turnover == float(PERP.money(102 * 10)) / 100_000
    again = scene.fresh()
    again.restore(scene.bot.state())
    assert (again.desk.turnover, again.desk.turnover_until_us) == (desk.turnover, desk.turnover_until_us)
    later = desk.turnover_until_us
    assert caps.over_cap(desk, scene.bot.lanes[0], 10**6, D(100_000), later) is None
    assert desk.turnover == float(PERP.money(10**6)) / 100_000


def test_many_live_orders_elsewhere_are_no_reason() -> None:
    scene = Scene(strategy())
    scene.row(99)
    scene.bot.desk.orders.live_count = caps.LIVE_ORDERS_PER_INSTRUMENT
    assert submitted(scene.row(101)).instrument == PERP.id


def test_B17_live_orders_on_one_instrument_are_bounded_in_code() -> None:
    count = caps.LIVE_ORDERS_PER_INSTRUMENT
    many = [strategy(f"s{number:02d}") for number in range(count + 1)]
    scene = Scene(
        *many, limits=replace(NO_LIMITS, orders_per_minute_max=10**9, positions_max=99), equity="100000000"
    )
    assert sum(isinstance(one, SubmitOrder) for one in scene.row(101)) == count
    assert denials(scene) == [(DenyReason.RATE_CAP, D(count), D(count + 1))]
