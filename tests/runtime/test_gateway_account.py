"""The account and the venue's own moods through the gateway, and orders that no books know: by fault id."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from botd.core.events import Side, SubmitOrder
from botd.core.instrument import InstrumentId
from botd.core.records import FillRecord, IntentRecord, OrderRecord, SignalRecord, TradeRecord
from botd.core.updates import AlertRecord
from botd.ports import OrderReport, VenueError
from botd.simulation.clock import EPOCH_US
from botd.simulation.exchange import sites
from botd.simulation.exchange.sites import PATHS, Kind
from tests.runtime.gateway_scene import BUYER, PATIENT, PERP, STOPPED, Day, Prices, play
from tests.simulation.exchange.scene import limit

Way = Callable[..., Awaitable[Any]]

READ = PATHS[Kind.READ]
DECISIONS = (SignalRecord, IntentRecord, OrderRecord, FillRecord, TradeRecord, AlertRecord)


async def dark(way_on: Way, *args: Any) -> Any:
    raise VenueError("ExchangeNotAvailable", http=503)


def stops(day: Day) -> list[OrderReport]:
    return [one for one in day.exchange.open_orders if one.stop is not None]


def decisions(day: Day) -> int:
    return sum(len(day.of(kind)) for kind in DECISIONS)


# ---- positions -------------------------------------------------------------------------------------


def test_E1_liquidation_closes_the_position_its_stop_and_the_account() -> None:
    async def script(day: Day) -> None:
        await day.at(40)
        assert (day.held(), stops(day), day.statuses().count("accepted")) == (0, [], 0)
        assert "liquidation" in day.alerts()
        assert day.restraints() == [("halted", "liquidation")]
        (trade,) = day.of(TradeRecord)
        assert trade.exit_rule == "liquidation"
        assert day.bot.desk.portfolio.balance("USDT") == day.exchange.account.cash["USDT"]
        day.check()

    play(script, STOPPED, faults=[sites.LIQUIDATION])


def test_E3_manual_close_leaves_no_stop_and_none_is_made_again() -> None:
    async def script(day: Day) -> None:
        await day.at(20)
        day.exchange.matching.trade(PERP, Side.SELL, 10, 101, liquidation=False)
        await day.at(27)
        assert (day.held(), stops(day)) == (0, [])
        await day.at(60)
        assert stops(day) == []
        assert "external_fill" in day.alerts()
        assert day.restraints() == [("halted", "external_trade")]
        day.check()

    play(script, STOPPED)


def test_E3_manual_reduction_leaves_a_stop_of_the_rest() -> None:
    async def script(day: Day) -> None:
        await day.at(20)
        day.exchange.matching.trade(PERP, Side.SELL, 4, 101, liquidation=False)
        await day.at(30)
        assert [one.qty for one in stops(day)] == [6]
        day.check()

    play(script, STOPPED)


def test_E4_one_empty_answer_about_positions_is_nothing() -> None:
    async def empty_once(way_on: Way) -> Mapping[InstrumentId, int]:
        day.hooks.clear()
        return {}

    async def script(today: Day) -> None:
        nonlocal day
        day = today
        await day.at(25)
        before = day.rows()
        day.hooks["fetch_positions"] = empty_once
        await day.at(60)
        assert day.hooks == {}
        assert day.rows() == before
        day.check()

    day: Day
    play(script, STOPPED)


def test_E4_hold_is_lifted_by_the_process_after_where_nothing_differs_any_more() -> None:
    async def empty_positions(way_on: Way) -> Mapping[InstrumentId, int]:
        return {}

    async def script(day: Day) -> None:
        await day.at(25)
        day.hooks.update(fetch_positions=empty_positions)
        await day.at(85)
        assert day.restraints() == [("reducing", "position_differs")]
        day.hooks.clear()
        await day.restart()
        await day.at(110)
        assert day.restraints() == []
        day.check()

    play(script, STOPPED)


def test_E4_empty_positions_and_orders_hold_and_change_nothing() -> None:
    async def empty_positions(way_on: Way) -> Mapping[InstrumentId, int]:
        return {}

    async def empty_orders(way_on: Way) -> tuple[OrderReport, ...]:
        return ()

    async def script(day: Day) -> None:
        await day.at(25)
        before = decisions(day)
        day.hooks.update(fetch_positions=empty_positions, fetch_open_orders=empty_orders)
        await day.at(85)
        assert day.restraints() == [("reducing", "position_differs")]
        day.hooks.clear()
        await day.at(110)
        assert day.restraints() == []
        assert (day.statuses(), len(stops(day))) == (["filled", "accepted"], 1)
        assert decisions(day) == before + 2  # that it was held, and released
        day.check()

    play(script, STOPPED)


def test_E4_failed_reads_hold_and_change_nothing() -> None:
    async def script(day: Day) -> None:
        await day.at(25)
        reads = ("fetch_positions", "fetch_open_orders", "fetch_balances", "fetch_fills", "fetch_order")
        day.hooks.update(dict.fromkeys(reads, dark))
        await day.at(60)
        assert day.restraints() == [("reducing", "venue_down")]
        assert day.alerts() == []
        day.hooks.clear()
        await day.at(80)
        assert (day.restraints(), len(stops(day)), day.alerts()) == ([], 1, [])
        day.check()

    play(script, STOPPED)


def test_E4_hold_that_a_dead_process_left_standing_is_released_by_the_next() -> None:
    async def script(day: Day) -> None:
        await day.at(25)
        day.hooks.update(dict.fromkeys(("fetch_open_orders", "fetch_fills"), dark))
        await day.at(60)
        assert day.restraints() == [("reducing", "venue_down")]
        day.hooks.clear()
        await day.restart()
        await day.at(80)
        assert day.restraints() == []

    play(script)


def test_E4_balance_of_zero_is_told_and_nothing_is_sized_by_it() -> None:
    async def zero(way_on: Way) -> Mapping[str, Decimal]:
        return {"USDT": Decimal(0)}

    async def script(day: Day) -> None:
        await day.at(100)
        assert day.alerts() == ["balance_differs"]
        assert day.restraints() == []
        assert day.bot.desk.portfolio.balance("USDT") == Decimal(100_000) - day.bot.desk.portfolio.fees(
            "USDT"
        )
        day.check()

    play(script, hooks={"fetch_balances": zero})


@pytest.mark.parametrize("shape", [BUYER, STOPPED, PATIENT], ids=["position", "stop", "entry"])
def test_E5_ten_restarts_write_no_decision(shape: Any) -> None:
    async def script(day: Day) -> None:
        await day.at(30)
        before = decisions(day)
        for _ in range(10):
            await day.restart(0.5)
            await asyncio.sleep(7)
        assert decisions(day) == before
        day.check()

    play(script, shape)


def test_E7_position_of_the_other_sign_halts_and_nothing_is_ordered() -> None:
    async def turned(way_on: Way) -> Mapping[InstrumentId, int]:
        return {PERP.id: -10}

    async def script(day: Day) -> None:
        await day.at(25)
        day.hooks["fetch_positions"] = turned
        await day.at(50)
        assert ("halted", "position_differs") in day.restraints()
        assert "trading_halted" in day.alerts()
        assert day.truth.sent.total() == 1
        day.check()

    play(script)


@pytest.mark.parametrize(("amount", "told"), [("-0.5", ["balance_differs"]), ("-0.0009", [])])
def test_E8_withdrawal_counts_by_its_share_of_the_account_not_in_units(amount: str, told: list[str]) -> None:
    async def script(day: Day) -> None:
        await day.at(25)
        day.exchange.account.move("BTC", Decimal(amount))
        await day.at(100)
        assert day.alerts() == told
        day.check()

    play(script)


@pytest.mark.parametrize("amount", [Decimal(50_000), Decimal(-60_000)])
def test_E8_deposit_or_withdrawal_is_told_once_and_moves_no_limit(amount: Decimal) -> None:
    async def script(day: Day) -> None:
        await day.at(25)
        day.exchange.account.move("USDT", amount)
        await day.at(100)
        assert day.alerts() == ["balance_differs"]
        assert day.restraints() == []
        portfolio = day.bot.desk.portfolio
        assert portfolio.balance("USDT") == Decimal(100_000) - portfolio.fees("USDT")
        assert day.truth.sent.total() == 1

    play(script)


# ---- orders that no books know ---------------------------------------------------------------------


def test_G14_order_of_our_family_that_no_books_know_is_cancelled_on_a_quiet_account() -> None:
    async def script(day: Day) -> None:
        await day.at(20)
        order = limit("botd-lost-1", 50, qty=3, instrument=PERP.id)
        day.exchange.matching.accept(order)
        await day.at(45)
        assert day.exchange.open_orders == ()
        assert day.alerts() == ["orphan_order"]

    play(script, prices=Prices((0, 100)))


def test_E3_order_of_somebody_else_is_left_alone() -> None:
    async def script(day: Day) -> None:
        await day.at(20)
        day.exchange.matching.accept(limit("web-1", 50, qty=3, instrument=PERP.id))
        await day.at(60)
        assert len(day.exchange.open_orders) == 1
        assert day.alerts() == ["external_order"]

    play(script, prices=Prices((0, 100)))


# ---- limits, bans, clocks, filters -----------------------------------------------------------------


def test_F1_nothing_is_asked_before_the_time_to_wait_is_over() -> None:
    async def script(day: Day) -> None:
        await day.at(60)
        assert (READ.limited.name, 30) in day.chance.fired
        assert day.truth.limited_calls <= 1  # what was under way already
        day.check()

    play(script, faults=[(READ.limited, 30)])


def test_F2_ban_is_kept_by_this_process_and_by_the_next() -> None:
    async def script(day: Day) -> None:
        await day.at(25)
        assert day.restraints() == [("halted", "banned")]
        assert "trading_halted" in day.alerts()
        until_us = day.bot.desk.banned_until_us
        assert until_us > EPOCH_US + 40_000_000
        for _ in range(3):
            await day.restart(0.5)
            await asyncio.sleep(3)
        assert day.truth.defied_bans() == 0
        assert [one.process for one in day.truth.banned_calls if one.process != "bot.1"] == []
        await day.at((until_us - EPOCH_US) / 1e6 + 20)
        assert [one.process for one in day.truth.banned_calls if one.process != "bot.1"] == []
        assert day.restraints() == [("halted", "banned")]  # until somebody resumes
        day.check()

    play(script, faults=[(sites.BANNED, 15)])


@pytest.mark.parametrize("skew_us", [-3_600_000_000, -2_000_000, 2_000_000, 86_400_000_000])
def test_F5_wrong_clock_is_measured_before_anything_is_asked(skew_us: int) -> None:
    async def script(day: Day) -> None:
        await day.at(30)
        refused = [one.outcome for one in day.truth.arrivals if one.outcome == "InvalidNonce"]
        assert refused == []
        assert "clock_skew" in day.alerts()
        far = abs(skew_us) > 2_500_000  # half of what a request is valid for
        assert day.restraints() == ([("reducing", "clock_skew")] if far else [])
        assert day.held() == (0 if far else 10)

    play(script, skew_us=skew_us)


def test_F5_clock_that_is_set_while_we_trade_holds_until_it_is_right_again() -> None:
    async def script(day: Day) -> None:
        process = day.host.process
        assert process is not None
        await day.at(25)
        process.clock.step(30_000_000)
        await day.at(45)
        assert day.restraints() == [("reducing", "clock_skew")]
        process.clock.step(-30_000_000)
        await day.at(80)
        assert day.restraints() == []
        assert (day.statuses(), len(stops(day))) == (["filled", "accepted"], 1)
        day.check()

    play(script, STOPPED)


def test_F5_refused_time_stamp_on_a_submit_is_a_rejection() -> None:
    async def script(day: Day) -> None:
        process = day.host.process
        assert process is not None
        await day.at(9.99)
        process.clock.step(30_000_000)
        await day.at(25)
        assert day.statuses()[0] in ("rejected", "expired")
        assert day.held() == 0
        day.check()

    play(script)


def test_F6_size_that_the_venue_has_come_to_refuse_is_rejected_once_and_not_sent_again() -> None:
    sent: list[str] = []

    async def too_small(way_on: Way, order: SubmitOrder) -> OrderReport:
        sent.append(order.client_order_id)
        raise VenueError("InvalidOrder", "the notional is too small", http=400, code="-4164")

    async def script(day: Day) -> None:
        await day.at(60)
        assert len(sent) == 1
        assert day.statuses() == ["rejected"]
        assert day.alerts() == ["order_rejected"]
        day.check()

    play(script, hooks={"submit": too_small})
