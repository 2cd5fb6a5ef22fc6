"""Stops and fills through the gateway at a venue that misleads: by fault id."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from botd.core.events import Side, SubmitOrder
from botd.core.instrument import InstrumentId
from botd.core.outcomes import DenyReason
from botd.core.records import FillRecord, RiskRecord
from botd.core.restraint import Cause, TradingCommand, Verb
from botd.core.updates import AlertRecord
from botd.ports import OrderReport, OrderState, VenueError, VenueEvent, VenueFill
from botd.simulation.clock import EPOCH_US
from botd.simulation.exchange import sites
from botd.simulation.exchange.exchange import RULES
from botd.simulation.exchange.sites import PATHS, Kind
from tests.core.scene import strategy
from tests.runtime.gateway_scene import BUYER, PATIENT, PERP, STOPPED, Day, Prices, play

Way = Callable[..., Awaitable[Any]]

LAG_SEED = 7  # of fills that no read shows for 4 s
SUBMIT = PATHS[Kind.SUBMIT]
LOST = VenueError("NetworkError", "connection reset by peer")
REFUSED = VenueError("InvalidOrder", "no", http=400, code="-1013")


async def silent(event: VenueEvent) -> list[VenueEvent]:
    return []


def stops(day: Day) -> list[OrderReport]:
    """Return the stops that truly rest."""
    return [one for one in day.exchange.open_orders if one.stop is not None]


# ---- stops -----------------------------------------------------------------------------------------


def test_B11_position_whose_stop_is_refused_is_closed_at_once_and_cried_out() -> None:
    async def no_stops(way_on: Way, order: SubmitOrder) -> OrderReport:
        if order.stop is not None:
            raise REFUSED
        report: OrderReport = await way_on(order)
        return report

    async def script(day: Day) -> None:
        await day.at(14)
        assert day.statuses() == ["filled", "rejected", "filled"]
        assert (day.held(), day.alerts()) == (0, ["order_rejected"])
        day.check()

    play(script, STOPPED, hooks={"submit": no_stops})


def test_B11_stop_that_never_came_is_replaced_once_it_cannot_come_any_more() -> None:
    async def script(day: Day) -> None:
        await day.at(26)
        assert stops(day) == []
        assert "order_in_doubt" in day.alerts()
        await day.at(45)
        assert day.statuses() == ["filled", "never_arrived", "accepted"]
        (stop,) = stops(day)
        assert (stop.qty, stop.reduce_only) == (10, True)
        day.check()

    play(script, STOPPED, faults=[(SUBMIT.lost, 2)])


def test_B11_F2_stop_in_doubt_is_cried_out_while_the_venue_has_shut_us_out() -> None:
    async def banned(way_on: Way, *args: Any) -> Any:
        raise VenueError("DDoSProtection", "banned", http=418, retry_after_us=120_000_000)

    async def lost_then_banned(way_on: Way, order: SubmitOrder) -> OrderReport:
        if order.stop is not None:
            day.hooks.update(fetch_open_orders=banned, fetch_order=banned)
            raise LOST
        report: OrderReport = await way_on(order)
        return report

    async def script(today: Day) -> None:
        nonlocal day
        day = today
        await day.at(40)
        (cry,) = [one for one in day.of(AlertRecord) if one.type == "order_in_doubt"]
        assert (cry.severity, cry.strategy, cry.instrument) == ("critical", STOPPED.id, PERP.id)

    day: Day
    play(script, STOPPED, hooks={"submit": lost_then_banned, "stream": silent})


def test_B14_stop_taken_without_reduce_only_is_cancelled_cried_out_and_replaced() -> None:
    async def drop_flag(way_on: Way, order: SubmitOrder) -> OrderReport:
        if order.stop is not None:
            day.hooks.clear()
            order = replace(order, reduce_only=False)
        report: OrderReport = await way_on(order)
        return report

    async def script(today: Day) -> None:
        nonlocal day
        day = today
        await day.at(20)
        assert day.statuses() == ["filled", "canceled", "accepted"]
        assert day.alerts() == ["order_differs"]
        (stop,) = stops(day)
        assert stop.reduce_only
        day.check()

    day: Day
    play(script, STOPPED, hooks={"submit": drop_flag})


async def without_flag(way_on: Way, order: SubmitOrder) -> OrderReport:
    report: OrderReport = await way_on(replace(order, reduce_only=order.stop is None and order.reduce_only))
    return report


async def lost_stops(way_on: Way, order: SubmitOrder) -> OrderReport:
    if order.stop is not None:
        raise LOST
    report: OrderReport = await way_on(order)
    return report


@pytest.mark.parametrize("hook", [without_flag, lost_stops])
def test_B11_B17_position_that_no_stop_will_protect_is_closed(hook: Any) -> None:
    async def script(day: Day) -> None:
        await day.at(90)
        assert (day.held(), stops(day)) == (0, [])
        assert "stop_does_not_stand" in day.alerts()
        assert len(day.orders()) == 5  # the entry, three stops, the exit
        day.check()

    play(script, STOPPED, hooks={"submit": hook})


def test_B14_market_order_taken_for_less_is_over_with_what_it_filled() -> None:
    async def round_down(way_on: Way, order: SubmitOrder) -> OrderReport:
        report: OrderReport = await way_on(replace(order, qty=9))
        return report

    async def script(day: Day) -> None:
        await day.at(30)
        (order,) = day.orders()
        assert (str(order.status), day.held()) == ("expired", 9)
        assert day.alerts() == ["order_differs"]
        day.check()

    play(script, hooks={"submit": round_down})


# ---- fills -----------------------------------------------------------------------------------------


def test_C1_fills_that_come_twice_and_again_after_a_restart_are_booked_once() -> None:
    async def twice(event: VenueEvent) -> list[VenueEvent]:
        return [event, event]

    async def script(day: Day) -> None:
        await day.at(20)
        fills = len(day.of(FillRecord))
        day.check()
        await day.restart()
        await day.at(40)
        assert len(day.of(FillRecord)) == fills
        day.check()

    play(script, hooks={"stream": twice})


def test_C2_fill_before_its_orders_acceptance_is_booked() -> None:
    async def fills_alone(event: VenueEvent) -> list[VenueEvent]:
        return [event] if isinstance(event, VenueFill) else []

    async def late(way_on: Way, order: SubmitOrder) -> OrderReport:
        report: OrderReport = await way_on(order)
        await asyncio.sleep(3)
        return report

    async def script(day: Day) -> None:
        await day.at(12)
        assert day.held() == 10
        await day.at(20)
        assert day.statuses() == ["filled"]
        day.check()

    play(script, hooks={"stream": fills_alone, "submit": late})


def test_C5_fill_beyond_the_order_is_booked_cried_out_and_nothing_new_begins() -> None:
    async def script(day: Day) -> None:
        await day.at(60)
        assert day.held() > 10
        assert "overfill" in day.alerts()
        denied = [one.reason for one in day.of(RiskRecord) if not one.approved]
        assert denied == [DenyReason.POSITION_UNEXPLAINED]
        day.check()

    other = strategy("other", s1="when: price > 110, cooldown: 1h")
    play(script, BUYER, other, faults=[sites.OVERFILL], prices=Prices((0, 100), (10, 101), (30, 111)))


def test_C7_fills_that_the_stream_never_tells_are_found_within_ten_seconds() -> None:
    async def script(day: Day) -> None:
        await day.at(20)
        day.exchange.matching.force(*(one for one in day.exchange.matching.open.values()), 4)
        await day.at(30)
        assert day.held() == 4
        day.check()

    play(script, PATIENT, hooks={"stream": silent})


def test_C7_fill_that_reads_show_late_is_found_though_they_were_asked_before() -> None:
    async def script(day: Day) -> None:
        await day.at(13)
        assert day.held() == 0
        await day.at(25)
        assert day.held() == 10
        day.check()

    play(script, faults=[sites.LAG], hooks={"stream": silent}, seed=LAG_SEED)


def test_B10_end_that_the_stream_never_tells_is_found() -> None:
    async def script(day: Day) -> None:
        await day.at(20)
        (order,) = day.exchange.matching.open.values()
        day.exchange.matching.end(order, OrderState.EXPIRED, "by the venue")
        await day.at(30)
        assert day.statuses() == ["expired"]
        day.check()

    play(script, PATIENT, hooks={"stream": silent})


@pytest.mark.parametrize(
    "broken",
    [{"price": 0}, {"price": -5}, {"qty": 0}, {"trade_id": ""}],
    ids=["free", "negative", "of nothing", "nameless"],
)
def test_C8_fill_that_cannot_be_is_not_booked_and_cried_out(broken: dict[str, Any]) -> None:
    async def spoil(event: VenueEvent) -> list[VenueEvent]:
        return [replace(event, **broken)] if isinstance(event, VenueFill) else [event]

    async def script(day: Day) -> None:
        await day.at(30)  # the lists have had it whole
        assert day.alerts() == ["fill_unreadable"]
        assert day.statuses() == ["filled"]
        day.check()

    play(script, hooks={"stream": spoil})


def test_C8_fill_from_the_future_is_booked_now() -> None:
    async def ahead(event: VenueEvent) -> list[VenueEvent]:
        late_us = 86_400_000_000
        return [replace(event, ts_us=event.ts_us + late_us)] if isinstance(event, VenueFill) else [event]

    async def script(day: Day) -> None:
        await day.at(30)
        assert max(one.ts_us for one in day.of(FillRecord)) < EPOCH_US + 30_000_000
        day.check()

    play(script, hooks={"stream": ahead})


def test_C9_fill_of_nobody_of_ours_is_booked_cried_out_and_halts_its_instrument() -> None:
    async def script(day: Day) -> None:
        await day.at(20)
        day.exchange.matching.trade(PERP, Side.BUY, 4, 101, liquidation=False)
        await day.at(30)
        assert (day.held(), day.alerts()) == (14, ["external_fill", "trading_halted"])
        assert day.restraints() == [("halted", "external_trade")]
        day.check()

    play(script)


def test_C10_what_the_venue_has_forgotten_is_never_made_up_and_goes_to_a_person() -> None:
    async def script(day: Day) -> None:
        await day.at(20)
        day.kill()
        day.exchange.matching.trade(PERP, Side.SELL, 10, 101, liquidation=False)
        await asyncio.sleep(300)
        day.boot()
        await day.at(400)
        assert len(day.of(FillRecord)) == 1
        assert (day.held(), day.really_held()) == (10, 0)
        assert ("reducing", "position_differs") in day.restraints()

    play(script, rules=replace(RULES, fills_back_us=60_000_000))


def test_C10_order_whose_fills_are_never_shown_goes_to_a_person() -> None:
    async def forgetful(way_on: Way, since_us: int) -> tuple[VenueFill, ...]:
        return ()

    async def script(day: Day) -> None:
        await day.at(100)
        (order,) = day.orders()
        assert order.needs_human
        assert "needs_human" in day.alerts()
        assert ("reducing", "position_differs") in day.restraints()

    play(script, hooks={"stream": silent, "fetch_fills": forgetful})


def test_C10_order_that_a_person_resolves_is_over_for_this_process_and_the_next() -> None:
    async def forgetful(way_on: Way, since_us: int) -> tuple[VenueFill, ...]:
        return ()

    async def script(day: Day) -> None:
        await day.at(100)
        (order,) = day.orders()
        told = TradingCommand(
            verb=Verb.RESOLVE, cause=Cause.COMMAND, who="ann", reason="", scope=order.client_order_id
        )
        day.loop.call_soon(day.brake.ask, told)
        await day.at(110)
        assert day.statuses() == ["canceled"]
        await day.restart()
        await day.at(120)
        assert day.statuses() == ["canceled"]
        assert [one.needs_human for one in day.orders()] == [False]
        assert day.alerts().count("order_resolved") == 1
        day.hooks.clear()
        await day.restart()  # which reads a day of fills: the venue shows it after all
        await day.at(150)
        assert (day.statuses(), day.held()) == (["canceled"], day.really_held())
        assert day.restraints() == []
        assert await day.stop() is None  # nothing is left to find out
        day.boot()
        day.check()

    play(script, hooks={"stream": silent, "fetch_fills": forgetful})


@pytest.mark.parametrize("restarts", [False, True])
def test_B18_stop_that_is_hidden_for_a_while_needs_a_person_until_it_shows(restarts: bool) -> None:
    async def no_orders(way_on: Way) -> tuple[OrderReport, ...]:
        return ()

    async def no_order(way_on: Way, client_order_id: str, instrument: InstrumentId) -> None:
        return None

    async def script(day: Day) -> None:
        await day.at(20)
        day.hooks.update(fetch_open_orders=no_orders, fetch_order=no_order)
        await day.at(100)
        assert [one.needs_human for one in day.orders()] == [False, True]
        assert day.alerts() == ["needs_human"]
        if restarts:
            await day.restart()
        day.hooks.clear()
        await day.at(120)
        assert [one.needs_human for one in day.orders()] == [False, False]
        assert day.statuses() == ["filled", "accepted"]
        assert day.alerts() == ["needs_human"]
        day.check()

    play(script, STOPPED, hooks={})
