"""Orders through the gateway at a venue that loses, delays, doubles and misleads: by fault id."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from botd.core.events import SubmitOrder
from botd.core.outcomes import RATE_LIMITED
from botd.engine.machine import IDLE
from botd.ports import OrderReport, VenueError, VenueEvent
from botd.simulation.exchange import sites
from botd.simulation.exchange.exchange import RULES
from botd.simulation.exchange.sites import PATHS, Kind
from tests.core.scene import strategy
from tests.runtime.gateway_scene import BUYER, PATIENT, Day, Prices, Swing, play

LATE_SEED = 9  # of a held request that takes 4 s
LAG_SEED = 8  # of an order that no read shows for 4.5 s
SUBMIT = PATHS[Kind.SUBMIT]
LOST = VenueError("NetworkError", "connection reset by peer")


def after(error: Exception) -> Callable[..., Awaitable[Any]]:
    """Let a request through and have its answer be an error."""

    async def hook(way_on: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        await way_on(*args)
        raise error

    return hook


async def silent(event: VenueEvent) -> list[VenueEvent]:
    """Lose everything that the stream would tell."""
    return []


async def dark(way_on: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    raise LOST


# ---- the request and its answer --------------------------------------------------------------------


def test_B1_lost_request_is_looked_up_until_it_cannot_come_and_sent_no_second_time() -> None:
    async def script(day: Day) -> None:
        await day.at(25)
        (order,) = day.orders()
        assert (str(order.status), order.in_doubt) == ("submitted", True)
        await day.at(60)
        assert day.statuses() == ["never_arrived"]
        assert "lookups found nothing" in order.reason
        assert (day.truth.arrivals, day.truth.sent.total()) == ([], 1)
        assert day.bot.runners[0].phase() == IDLE
        assert day.alerts() == ["order_in_doubt"]
        day.check()

    play(script, faults=[SUBMIT.lost])


@pytest.mark.parametrize("stream", ["tells", "loses"])
def test_B2_order_whose_answer_is_lost_is_adopted_with_its_fills(stream: str) -> None:
    async def script(day: Day) -> None:
        await day.at(25)
        assert day.statuses() == ["filled"]
        assert day.held() == 10
        day.check()

    play(script, faults=[SUBMIT.unanswered], hooks={"stream": silent} if stream == "loses" else {})


def test_B2_order_in_doubt_is_cried_out_while_the_venue_cannot_be_asked() -> None:
    async def script(day: Day) -> None:
        await day.at(30)
        day.hooks.update(fetch_order=dark, fetch_open_orders=dark)
        await day.at(48)
        assert day.alerts() == []
        await day.at(100)
        assert day.alerts() == ["order_in_doubt", "order_in_doubt"]
        assert ("reducing", "venue_down") in day.restraints()
        day.hooks.clear()
        await day.at(115)
        assert day.statuses() == ["accepted"]
        assert day.restraints() == []
        day.check()

    hooks = {"submit": after(LOST), "stream": silent}
    play(script, PATIENT, prices=Prices((0, 100), (40, 101)), hooks=hooks)


def test_B3_order_that_arrives_after_we_gave_it_up_is_adopted() -> None:
    late: set[asyncio.Task[Any]] = set()

    async def give_up(way_on: Callable[..., Awaitable[Any]], order: SubmitOrder) -> OrderReport:
        late.add(asyncio.ensure_future(way_on(order)))
        raise LOST

    async def script(day: Day) -> None:
        await day.at(30)
        (arrival,) = day.truth.arrivals
        assert arrival.arrived_us - arrival.sent_us > 3_000_000  # after two lookups that found nothing
        assert day.statuses() == ["filled"]
        day.check()

    play(script, faults=[SUBMIT.held], hooks={"submit": give_up}, seed=LATE_SEED)


@pytest.mark.parametrize(
    "error",
    [
        VenueError("ExchangeNotAvailable", http=502),
        VenueError("ExchangeError", http=400, code="-1007"),
        VenueError("InvalidOrder", http=503),
        VenueError("ExchangeError"),
    ],
    ids=lambda error: f"{error}-{error.http}",
)
def test_B4_server_error_after_matching_is_no_refusal(error: VenueError) -> None:
    async def script(day: Day) -> None:
        await day.at(25)
        assert day.statuses() == ["filled"]
        day.check()

    play(script, hooks={"submit": after(error), "stream": silent})


@pytest.mark.parametrize(
    "error",
    [
        VenueError("BadResponse", "<html>", http=200),
        VenueError("NullResponse", http=200),
        KeyError("orderId"),
    ],
    ids=repr,
)
def test_B5_success_that_says_nothing_is_no_refusal(error: Exception) -> None:
    async def script(day: Day) -> None:
        await day.at(25)
        assert day.statuses() == ["filled"]
        day.check()

    play(script, hooks={"submit": after(error), "stream": silent})


@pytest.mark.parametrize("second", [10.1, 10.5, 11.5, 14.0])
def test_B6_G3_filled_order_in_doubt_is_not_sent_again_by_the_process_after_it(second: float) -> None:
    async def script(day: Day) -> None:
        await day.at(second)
        for _ in range(3):
            await day.restart(0.5)
            await asyncio.sleep(1.3)
        await day.at(40)
        assert day.truth.sent.total() == 1
        assert day.statuses() == [
            "filled"
        ]  # its id is free at the venue: a second one would be a second order
        day.check()

    play(script, faults=[SUBMIT.unanswered])


@pytest.mark.parametrize("seed", range(4))
def test_B7_each_order_is_one_request_whatever_happens(seed: int) -> None:
    busy = strategy(s1="when: price > 100, cooldown: 5s", ze1="{ name: out, when: held > 5s, close: 100% }")

    async def script(day: Day) -> None:
        for _ in range(4):
            await day.at(day.loop.now_s + 100)
            await day.restart()
        assert day.truth.sent.total() > 10
        assert set(day.truth.sent.values()) == {1}
        assert day.truth.doubled() == []

    play(script, busy, faults=None, prices=Swing(), seed=seed)


def test_B8_duplicate_id_is_an_order_of_ours() -> None:
    async def script(day: Day) -> None:
        await day.at(25)
        assert day.statuses() == ["filled"]
        day.check()

    play(script, faults=[sites.DUPLICATE], rules=replace(RULES, ids_unique=True))


def test_B9_no_funds_while_another_order_is_in_doubt_ends_only_the_one_that_was_refused() -> None:
    async def no_funds(way_on: Callable[..., Awaitable[Any]], order: SubmitOrder) -> OrderReport:
        if order.key.strategy == "second":
            raise VenueError("InsufficientFunds", http=400, code="-2010")
        await way_on(order)
        raise LOST

    async def script(day: Day) -> None:
        await day.at(10.8)
        assert sorted(day.statuses()) == ["rejected", "submitted"]
        await day.at(40)
        assert sorted(day.statuses()) == ["filled", "rejected"]
        assert day.truth.sent.total() == 1
        day.check()

    second = strategy("second", s1="when: price > 100, cooldown: 1h")
    play(script, BUYER, second, hooks={"submit": no_funds, "stream": silent})


@pytest.mark.parametrize("seed", range(3))
def test_B10_order_that_is_rejected_later_is_over_and_its_exposure_free(seed: int) -> None:
    async def script(day: Day) -> None:
        await day.at(30)
        (order,) = day.orders()
        assert str(order.status) in ("rejected", "expired")
        assert (day.bot.desk.working, day.bot.runners[0].phase()) == ([], IDLE)
        day.check()

    play(script, PATIENT, faults=[sites.ASYNC_REJECT], seed=seed)


def test_B12_entry_decided_while_the_venue_limits_us_is_never_sent() -> None:
    async def limited(way_on: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        day.hooks.clear()
        raise VenueError("RateLimitExceeded", http=429, retry_after_us=20_000_000)

    async def script(today: Day) -> None:
        nonlocal day
        day = today
        await day.at(7)
        day.hooks["fetch_open_orders"] = limited
        await day.at(60)
        (order,) = day.orders()
        assert (str(order.status), order.reason) == ("expired", "the venue wants to hear nothing now")
        assert day.truth.sent.total() == 0

    day: Day
    play(script, prices=Prices((0, 100), (14, 101)))


def test_B12_entry_whose_row_is_old_by_now_is_never_sent() -> None:
    async def script(day: Day) -> None:
        await day.at(5)
        await day.restart(20)
        await day.at(60)
        (order,) = day.orders()
        assert str(order.status) == "expired"
        assert "too late to send it" in order.reason
        assert day.truth.sent.total() == 0

    play(script)


def test_B12_halt_that_comes_with_the_entry_keeps_it_from_being_sent() -> None:
    async def script(day: Day) -> None:
        await day.at(9.9)
        await day.until(day.orders)
        day.halt()
        await day.at(40)
        assert day.truth.sent.total() == 0
        assert day.statuses() == ["expired"]

    play(script)


def test_B15_too_many_requests_is_a_rejection_and_nothing_is_sent_again() -> None:
    async def script(day: Day) -> None:
        await day.at(60)
        (order,) = day.orders()
        assert str(order.status) == "rejected"
        assert order.reason.startswith(RATE_LIMITED)
        assert day.truth.sent.total() == 1
        assert day.truth.limited_calls == 0  # nor was anything else asked in that time

    play(script, faults=[SUBMIT.limited])


def test_B17_venue_that_rejects_everything_halts_us_after_five() -> None:
    sent = []

    async def refuse(way_on: Callable[..., Awaitable[Any]], order: SubmitOrder) -> OrderReport:
        sent.append(order.client_order_id)
        raise VenueError("InvalidOrder", http=400, code="-1013")

    async def script(day: Day) -> None:
        await day.at(120)
        assert len(sent) == len(set(sent)) == 5
        assert ("halted", "rejects_in_a_row") in day.restraints()

    eager = strategy(s1="when: price > 100, cooldown: 1s")
    play(script, eager, prices=Swing(), hooks={"submit": refuse})


def test_B18_order_that_reads_do_not_show_yet_is_not_taken_for_lost() -> None:
    async def script(day: Day) -> None:
        await day.at(20)
        (order,) = day.exchange.matching.open.values()
        assert order.lag_us > 3_000_000  # two lookups have found nothing
        assert day.statuses() == ["accepted"]
        day.check()

    hooks = {"submit": after(LOST), "stream": silent}
    play(script, PATIENT, faults=[sites.LAG], hooks=hooks, seed=LAG_SEED)
