"""Cancels, changes and shutdowns through the gateway at a venue that misleads: by fault id."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from botd.core.events import AmendOrder, SubmitOrder
from botd.errors import UnresolvedOrders
from botd.ports import OrderReport, VenueError, VenueEvent, VenueFill
from botd.simulation.exchange import sites
from botd.simulation.exchange.sites import PATHS, Kind
from tests.core.scene import strategy
from tests.runtime.gateway_scene import PATIENT, Day, Prices, play

Way = Callable[..., Awaitable[Any]]

CHANGE = PATHS[Kind.CHANGE]
LOST = VenueError("NetworkError", "connection reset by peer")
REFUSED = VenueError("InvalidOrder", "no", http=400, code="-1013")
# a limit order that is protected as it fills
SLOWLY = strategy(
    s1="when: price > 100, cooldown: 1h",
    z1="when: always, order: { type: limit, price: price - 5, ttl: 300s }, size: { fixed: 10 BTC }",
    o1="after: 600s",
    protect="stop_loss: 10%",
)
# closes by rule what has a stop
GUARDED = strategy(
    s1="when: price > 100, cooldown: 1h",
    ze1="{ name: out, when: price > 120, close: 100% }",
    protect="stop_loss: 10%",
)
UP_LATER = Prices((0, 100), (10, 101), (30, 125))


async def silent(event: VenueEvent) -> list[VenueEvent]:
    return []


async def dark(way_on: Way, *args: Any) -> Any:
    raise LOST


async def dark_after(way_on: Way, order: SubmitOrder) -> OrderReport:
    await way_on(order)
    raise LOST


async def none(way_on: Way, since_us: int) -> tuple[VenueFill, ...]:
    return ()


def stops(day: Day) -> list[OrderReport]:
    """Return the stops that truly rest."""
    return [one for one in day.exchange.open_orders if one.stop is not None]


def test_D1_cancel_of_what_had_filled_ends_nothing_and_the_fill_is_booked() -> None:
    async def script(day: Day) -> None:
        await day.at(20)
        day.halt()
        await day.at(40)
        assert (day.statuses(), day.held()) == (["filled"], 10)
        day.check()

    play(script, PATIENT, faults=[sites.FILL_WINS])


@pytest.mark.parametrize("fault", [CHANGE.lost, CHANGE.unanswered, CHANGE.error, CHANGE.held])
@pytest.mark.parametrize("stream", ["tells", "loses"])
def test_D2_cancel_without_an_answer_is_asked_again_until_the_order_is_over(fault: Any, stream: str) -> None:
    async def script(day: Day) -> None:
        await day.at(20)
        day.halt()
        await day.at(50)
        assert (day.statuses(), day.exchange.open_orders) == (["canceled"], ())
        day.check()

    play(script, PATIENT, faults=[fault], hooks={"stream": silent} if stream == "loses" else {})


def test_D2_cancels_that_do_nothing_are_cried_out() -> None:
    async def script(day: Day) -> None:
        await day.at(20)
        day.halt()
        await day.at(120)
        assert "cancel_unconfirmed" in day.alerts()
        assert day.statuses() == ["pending_cancel"]

    play(script, PATIENT, hooks={"cancel": dark})


def test_D4_stop_that_cannot_grow_is_replaced_only_after_its_end() -> None:
    most = 0

    async def refuse(way_on: Way, command: AmendOrder) -> None:
        raise REFUSED

    async def slow(way_on: Way, *args: Any) -> None:
        await asyncio.sleep(2)
        await way_on(*args)

    async def script(day: Day) -> None:
        def count(event: VenueEvent) -> None:
            nonlocal most
            most = max(most, len(stops(day)))

        day.exchange.on_event = count
        await day.at(20)
        (entry,) = day.exchange.matching.open.values()
        day.exchange.matching.force(entry, 4)
        await day.at(25)
        assert [one.qty for one in stops(day)] == [4]
        day.exchange.matching.force(entry, 6)
        await day.at(40)
        assert [one.qty for one in stops(day)] == [10]
        assert most == 1
        assert "stop_not_resized" in day.alerts()
        day.check()

    play(script, SLOWLY, hooks={"amend": refuse, "cancel": slow})


@pytest.mark.parametrize("fault", [CHANGE.lost, CHANGE.unanswered, CHANGE.held])
def test_D4_amendment_without_an_answer_ends_with_a_stop_of_what_is_held(fault: Any) -> None:
    async def script(day: Day) -> None:
        await day.at(20)
        (entry,) = day.exchange.matching.open.values()
        day.exchange.matching.force(entry, 4)
        await day.at(25)
        day.exchange.matching.force(entry, 6)
        await day.at(70)
        assert [one.qty for one in stops(day)] == [10]
        day.check()

    play(script, SLOWLY, faults=[fault])


@pytest.mark.parametrize("answered", [True, False])
def test_D4_restart_asks_again_only_for_the_change_that_has_no_answer(answered: bool) -> None:
    """All those before it are history: sent together they arrive in any order, and an old one may win."""
    asked: list[int] = []

    async def count(way_on: Way, command: AmendOrder) -> None:
        asked.append(command.qty)
        await way_on(command)

    async def script(day: Day) -> None:
        await day.at(20)
        (entry,) = day.exchange.matching.open.values()
        for second, lots in ((20, 3), (25, 3), (30, 4)):
            await day.at(second)
            day.exchange.matching.force(entry, lots)
        await day.until(lambda: 10 in asked)
        if answered:
            await day.at(40)
        assert asked == [6, 10]
        await day.restart()
        await day.at(70)
        assert asked[2:] == ([] if answered else [10])
        assert [one.qty for one in stops(day)] == [10]
        day.check()

    play(script, SLOWLY, hooks={"amend": count})


@pytest.mark.parametrize("fault", [None, CHANGE.lost, CHANGE.unanswered])
def test_D5_stop_is_gone_soon_after_its_position(fault: Any) -> None:
    async def script(day: Day) -> None:
        await day.at(29)
        assert len(stops(day)) == 1
        await day.at(36)
        assert (day.held(), stops(day)) == (0, [])
        day.check()

    play(script, GUARDED, faults=[fault] if fault else [], prices=UP_LATER)


def test_D7_stop_with_an_order_in_doubt_ends_with_code_4_and_the_next_start_finds_out() -> None:
    async def script(day: Day) -> None:
        await day.at(12)
        error = await day.stop()
        assert isinstance(error, UnresolvedOrders)
        assert error.exit_code == 4
        assert day.loop.now_s < 20
        day.hooks.clear()
        day.boot()
        await day.at(40)
        assert day.statuses() == ["filled"]
        day.check()

    play(script, hooks={"submit": dark_after, "stream": silent, "fetch_order": dark, "fetch_fills": none})


def test_D8_cancel_goes_out_while_requests_are_limited_and_another_order_is_in_doubt() -> None:
    async def limited(way_on: Way, *args: Any) -> Any:
        day.hooks.pop("fetch_order", None)
        raise VenueError("RateLimitExceeded", http=429, retry_after_us=30_000_000)

    async def lose_second(way_on: Way, order: SubmitOrder) -> OrderReport:
        if order.key.strategy == "late":
            day.hooks["fetch_order"] = limited
            raise LOST
        report: OrderReport = await way_on(order)
        return report

    async def script(today: Day) -> None:
        nonlocal day
        day = today
        await day.at(34)
        assert "fetch_order" not in day.hooks  # the limit stands, and `late` is in doubt
        day.halt()
        await day.at(37)
        assert day.exchange.open_orders == ()

    day: Day
    late = strategy("late", s1="when: price > 110, cooldown: 1h")
    prices = Prices((0, 100), (10, 101), (30, 111))
    play(script, PATIENT, late, prices=prices, hooks={"submit": lose_second})


def test_D8_cancel_goes_out_while_a_lookup_hangs() -> None:
    async def hang(way_on: Way, *args: Any) -> Any:
        await asyncio.sleep(3600)

    async def lose_second(way_on: Way, order: SubmitOrder) -> OrderReport:
        if order.key.strategy == "late":
            raise LOST
        report: OrderReport = await way_on(order)
        return report

    async def script(day: Day) -> None:
        await day.at(25)
        day.hooks["fetch_order"] = hang
        await day.at(34)
        day.halt()
        await day.at(37)
        assert day.exchange.open_orders == ()

    late = strategy("late", s1="when: price > 110, cooldown: 1h")
    prices = Prices((0, 100), (10, 101), (30, 111))
    play(script, PATIENT, late, prices=prices, hooks={"submit": lose_second})


def test_D9_cancel_of_an_order_on_its_way_goes_out_once_it_is_there() -> None:
    async def slow(way_on: Way, order: SubmitOrder) -> OrderReport:
        await asyncio.sleep(3)
        report: OrderReport = await way_on(order)
        return report

    async def script(day: Day) -> None:
        await day.at(11)
        assert day.statuses() == ["submitted"]
        day.halt()
        await day.at(20)
        assert (day.statuses(), day.exchange.open_orders) == (["canceled"], ())
        day.check()

    play(script, PATIENT, hooks={"submit": slow})
