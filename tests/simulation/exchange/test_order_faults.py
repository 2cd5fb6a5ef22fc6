"""What the venue does to orders and cancels that it ought not to, one fault at a time."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from botd.core.events import AmendOrder, ClientOrderId, Side
from botd.ports import OrderReport, OrderState, RemoteVenue, VenueError, VenueFill, VenueRules
from botd.simulation.chance import Site
from botd.simulation.clock import EPOCH_US
from botd.simulation.exchange import sites
from botd.simulation.exchange.exchange import Exchange
from botd.simulation.exchange.sites import PATHS, Kind
from tests.simulation.exchange.scene import (
    BTC,
    Steps,
    error_of,
    limit,
    order,
    outcomes,
    play,
    stop,
    submit_once,
)

SEEDS = range(1, 13)


def test_definite_reject_leaves_no_order() -> None:
    seen: set[str] = set()
    for seed in SEEDS:
        played = play(submit_once, sites.REFUSED, seed=seed)
        seen.add(played.result[0])
        assert outcomes(played) == [played.result[0]]
        assert played.exchange.truth.orders == {}
    assert seen == {"InsufficientFunds", "InvalidOrder"}


def rules_with(*, ids_unique: bool) -> VenueRules:
    return VenueRules(
        name="x",
        validity_us=5_000_000,
        processing_us=10_000_000,
        read_lag_us=5_000_000,
        ids_unique=ids_unique,
    )


def test_B8_duplicate_answer_to_the_first_request_means_that_it_was_accepted() -> None:
    played = play(submit_once, sites.DUPLICATE, rules=rules_with(ids_unique=True))
    assert played.result[0] == "DuplicateOrderId"
    assert outcomes(played) == ["accepted"]
    assert played.exchange.truth.filled("a") == 100


def test_B8_repeated_request_is_no_duplicate_where_its_id_is_free_again() -> None:
    played = play(submit_once, sites.DUPLICATE, rules=rules_with(ids_unique=False), seed=2)
    assert (played.result[0], len(played.fired)) == ("filled", 1)


@pytest.mark.parametrize("ids_unique", [True, False])
def test_B6_second_request_with_an_id_is_a_second_order_where_ids_are_unique_among_open_ones(
    ids_unique: bool,
) -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        await venue.submit(limit("resting", 90_000))
        open_twice = await error_of(venue.submit(limit("resting", 90_000)))
        await venue.submit(order("filled"))
        await asyncio.sleep(5)
        try:
            await venue.submit(order("filled"))
        except VenueError as error:
            return open_twice.name, error.name
        return open_twice.name, "accepted"

    played = play(script, rules=rules_with(ids_unique=ids_unique))
    assert played.result == ("DuplicateOrderId", "DuplicateOrderId" if ids_unique else "accepted")
    assert played.exchange.truth.doubled() == ([] if ids_unique else ["filled"])
    assert played.exchange.truth.sent["filled"] == 2


def test_D1_fill_wins_the_race_against_its_cancel() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> str:
        await venue.submit(limit("a", 99_000))
        return (await error_of(venue.cancel("a", BTC))).name

    played = play(script, sites.FILL_WINS)
    assert played.result == "OrderNotFound"
    assert played.exchange.truth.filled("a") == 100
    assert [fill.price for fill in played.exchange.truth.fills] == [99_000]


def test_D1_reduce_only_order_that_wins_the_race_does_not_turn_the_position() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        await venue.submit(order("in", qty=100))
        await asyncio.sleep(3)
        await venue.submit(limit("out", 110_000, Side.SELL, 300, reduce_only=True))
        await venue.cancel("out", BTC)

    truth = play(script, sites.FILL_WINS).exchange.truth
    assert (truth.filled("out"), truth.positions) == (100, {BTC: 0})


def test_C4_part_fills_before_the_cancel() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        await venue.submit(limit("a", 99_000))
        await venue.cancel("a", BTC)
        return await venue.fetch_order("a", BTC)

    played = play(script, sites.PART_FILLS)
    assert played.result.state is OrderState.CANCELED
    assert 0 < played.result.filled < 100
    assert played.exchange.truth.filled("a") == played.result.filled


def test_D1_fill_is_told_of_after_the_cancel_that_it_was_faster_than() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> tuple[int, Any]:
        await venue.submit(limit("a", 99_000))
        await venue.cancel("a", BTC)
        report = await venue.fetch_order("a", BTC)
        assert report is not None
        await asyncio.sleep(2)
        return report.filled, await venue.fetch_order("a", BTC)

    played = play(script, sites.FILL_AFTER)
    at_first, later = played.result
    assert (at_first, later.state) == (0, OrderState.CANCELED)
    assert 0 < later.filled <= 100
    assert [(fill.price, fill.qty) for fill in played.exchange.truth.fills] == [(99_000, later.filled)]


def test_stop_that_was_not_triggered_does_not_fill_after_its_cancel() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        await venue.submit(order("in", qty=100))
        await asyncio.sleep(3)
        await venue.submit(stop("out", 90_000))
        await venue.cancel("out", BTC)
        await asyncio.sleep(2)

    played = play(script, sites.FILL_AFTER)
    assert len(played.fired) == 1
    assert played.exchange.truth.filled("out") == 0


def test_refused_amendment_leaves_the_stop_as_it_was() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> tuple[str, Any]:
        await venue.submit(order("in", qty=100))
        await asyncio.sleep(3)
        await venue.submit(stop("out", 90_000))
        error = await error_of(venue.amend(AmendOrder(ClientOrderId("out"), BTC, 50, EPOCH_US, 91_000)))
        return error.name, await venue.fetch_order("out", BTC)

    name, report = play(script, sites.AMEND_REFUSED).result
    assert (name, report.qty, report.stop) == ("InvalidOrder", 100, 90_000)


@pytest.mark.parametrize("site", [PATHS[Kind.CHANGE].unanswered, PATHS[Kind.CHANGE].error])
def test_D2_cancel_is_done_though_its_answer_says_otherwise(site: Site) -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        await venue.submit(limit("a", 99_000))
        with pytest.raises((VenueError, KeyError)):
            await venue.cancel("a", BTC)

    played = play(script, site, seed=3)
    assert played.exchange.open_orders == ()
    assert len(played.fired) == 1


def test_cut_order_ends_with_a_remainder_by_the_name_that_the_venue_has_for_it() -> None:
    states = set()
    for seed in SEEDS:
        played = play(submit_once, sites.CUT, seed=seed)
        last = [event for event in played.events if hasattr(event, "state")][-1]
        states.add(last.state)
        assert 0 <= played.exchange.truth.filled("a") < 100
    assert states == {OrderState.EXPIRED, OrderState.CANCELED}


def test_C5_overfill_is_more_than_was_asked_for_at_once_or_after_the_end() -> None:
    late = set()
    for seed in SEEDS:
        played = play(submit_once, sites.OVERFILL, seed=seed)
        assert 100 < played.exchange.truth.filled("a") <= 111
        ended = next(n for n, one in enumerate(played.events) if getattr(one, "state", "") == "filled")
        late.add(any(isinstance(one, VenueFill) for one in played.events[ended:]))
    assert late == {True, False}


def test_B10_accepted_order_is_rejected_or_expires_later() -> None:
    states = set()
    for seed in SEEDS:
        for command in (order("a"), limit("a", 90_000)):

            async def script(venue: RemoteVenue, exchange: Exchange, command: Any = command) -> OrderState:
                report = await venue.submit(command)
                assert report.state is OrderState.OPEN
                await asyncio.sleep(6)
                found = await venue.fetch_order("a", BTC)
                assert found is not None
                assert found.filled == 0
                return found.state

            states.add(play(script, sites.ASYNC_REJECT, seed=seed).result)
    assert states == {OrderState.REJECTED, OrderState.EXPIRED}


def test_B10_order_that_has_filled_in_part_is_not_rejected_but_expires() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        await venue.submit(limit("a", 99_950, qty=25))
        await asyncio.sleep(6)

    states = set()
    for seed in range(1, 30):
        prices = Steps((0, 100_000), (0.5, 99_949), (1.5, 100_000), lots=10)
        played = play(script, sites.ASYNC_REJECT, prices=prices, seed=seed)
        if played.exchange.truth.filled("a"):
            last = played.events[-1]
            assert isinstance(last, OrderReport)
            states.add((last.state, last.filled))
    assert states == {(OrderState.EXPIRED, 10)}


def test_B10_order_that_would_be_rejected_later_fills_where_the_run_is_healed_before() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> int:
        await venue.submit(order("a"))
        exchange.chance.healed = True
        await asyncio.sleep(9)
        return exchange.truth.filled("a")

    assert play(script, sites.ASYNC_REJECT).result == 100
