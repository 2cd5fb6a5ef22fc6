"""What happens to requests on their way, one fault at a time; and that they go on without their caller."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from botd.ports import RemoteVenue, VenueError, VenueRules
from botd.simulation.clock import EPOCH_US
from botd.simulation.exchange import sites
from botd.simulation.exchange.exchange import Exchange
from botd.simulation.exchange.network import HELD_S
from botd.simulation.exchange.sites import PATHS, Kind
from tests.simulation.exchange.scene import (
    BTC,
    error_of,
    limit,
    order,
    outcomes,
    play,
    submit_once,
)

LOST, HELD, UNANSWERED, ERROR, LIMITED = PATHS[Kind.SUBMIT]
SEEDS = range(1, 13)


def test_good_request_is_answered_within_a_second() -> None:
    answer, seconds = play(submit_once).result
    assert answer == "filled"
    assert 0.02 < seconds < 0.3


def test_B1_lost_request_never_arrives_and_ends_in_a_timeout_or_a_reset() -> None:
    seen: set[str] = set()
    for seed in SEEDS:
        played = play(submit_once, LOST, seed=seed)
        answer, seconds = played.result
        seen.add(answer)
        assert answer != "RequestTimeout" or seconds == pytest.approx(10)
        assert played.exchange.truth.arrivals == []
        assert played.exchange.truth.sent == {"a": 1}
        assert played.events == []
    assert seen == {"RequestTimeout", "NetworkError"}


def test_B2_lost_answer_leaves_the_order_at_the_venue() -> None:
    seen: set[str] = set()
    for seed in SEEDS:
        played = play(submit_once, UNANSWERED, seed=seed)
        seen.add(played.result[0])
        assert outcomes(played) == ["accepted"]
        assert played.exchange.truth.filled("a") == 100
    assert seen == {"RequestTimeout", "NetworkError"}


def test_B3_held_request_is_processed_late_or_refused_by_its_validity() -> None:
    seen: set[str] = set()
    for seed in SEEDS:
        played = play(submit_once, HELD, seed=seed)
        (arrival,) = played.exchange.truth.arrivals
        late_us = arrival.arrived_us - arrival.sent_us
        seen.add(arrival.outcome)
        assert late_us > HELD_S[0] * 1e6
        assert arrival.outcome == ("accepted" if late_us <= 5_000_000 else "InvalidNonce")
        assert (played.exchange.truth.orders["a"] == 1) == (late_us <= 5_000_000)
    assert seen == {"accepted", "InvalidNonce"}


def test_B3_request_comes_up_after_its_caller_has_been_told_that_the_connection_broke() -> None:
    late = 0
    for seed in range(1, 60):
        played = play(submit_once, HELD, seed=seed)
        (arrival,) = played.exchange.truth.arrivals
        answer, seconds = played.result
        broke = answer == "NetworkError" and arrival.decided_us - arrival.sent_us > seconds * 1e6
        late += broke and arrival.outcome == "accepted"
    assert late > 0


def test_B3_slow_venue_accepts_after_the_caller_gave_up_but_within_its_promise() -> None:
    seen: set[tuple[str, str]] = set()
    rules = VenueRules(
        name="slow",
        validity_us=5_000_000,
        processing_us=20_000_000,
        read_lag_us=0,
        ids_unique=False,
    )
    for seed in range(1, 40):
        played = play(submit_once, sites.SLOW, rules=rules, skew_us=900_000, seed=seed)
        (arrival,) = played.exchange.truth.arrivals
        seen.add((played.result[0], arrival.outcome))
        if arrival.outcome == "accepted":
            assert arrival.decided_us - arrival.sent_us <= rules.validity_us + rules.processing_us
    assert {("RequestTimeout", "accepted"), ("filled", "accepted"), ("InvalidNonce", "InvalidNonce")} <= seen


def test_promise_holds_for_a_clock_that_is_ahead() -> None:
    rules = VenueRules(
        name="swift", validity_us=5_000_000, processing_us=50_000, read_lag_us=0, ids_unique=False
    )
    refused = 0
    for seed in range(1, 120):
        (arrival,) = play(submit_once, HELD, rules=rules, skew_us=950_000, seed=seed).exchange.truth.arrivals
        took_us = arrival.decided_us - arrival.sent_us
        assert (arrival.outcome == "accepted") == (took_us <= 5_050_000)
        refused += 5_050_000 < took_us < 5_950_000
    assert refused > 3


def test_B4_B5_unclear_error_says_nothing_about_the_order() -> None:
    errors: set[str] = set()
    seen: set[str] = set()
    for seed in range(1, 60):
        played = play(submit_once, ERROR, seed=seed)
        errors.add(played.result[0])
        seen.update(outcomes(played))
        assert (played.exchange.truth.filled("a") == 100) == (outcomes(played) == ["accepted"])
    assert seen == {"accepted", "unprocessed"}
    assert errors == {"ExchangeNotAvailable", "ExchangeError", "BadResponse", "NullResponse", "KeyError"}


def test_error_of_a_request_that_is_refused_anyway_is_unclear_too() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> str:
        try:
            await venue.submit(order("a", qty=0))
        except (VenueError, KeyError) as error:
            return getattr(error, "name", "KeyError")
        return "accepted"

    names = {play(script, ERROR, seed=seed).result for seed in SEEDS}
    assert "InvalidOrder" not in names


def test_B15_F1_limited_request_is_not_processed_and_neither_are_those_of_the_next_seconds() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        first = await error_of(venue.submit(order("a")))
        second = await error_of(venue.fetch_positions())
        await asyncio.sleep(second.retry_after_us / 1e6)
        return first, second, await venue.fetch_positions()

    played = play(script, LIMITED)
    first, second, positions = played.result
    assert (first.name, first.http, second.http) == ("RateLimitExceeded", 429, 429)
    assert 0 < second.retry_after_us < first.retry_after_us <= 20_000_000
    assert positions == {}
    assert outcomes(played) == ["RateLimitExceeded"]
    assert played.exchange.truth.limited_calls == 1


def test_F2_ban_counts_the_calls_of_who_was_told() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        first = await error_of(venue.submit(order("a")))
        quiet = exchange.truth.defied_bans()
        await asyncio.sleep(1)
        second = await error_of(venue.cancel("a", BTC))
        await asyncio.sleep(second.retry_after_us / 1e6)
        return first, quiet, second, await venue.fetch_open_orders()

    played = play(script, sites.BANNED)
    first, quiet, second, orders = played.result
    assert [(e.name, e.http) for e in (first, second)] == [("DDoSProtection", 418)] * 2
    assert 0 < second.retry_after_us < first.retry_after_us <= 300_000_000
    assert (quiet, played.exchange.truth.defied_bans(), orders) == (0, 1, ())


def test_F2_calls_that_were_under_way_when_the_ban_was_told_are_not_held_against_anybody() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        await asyncio.gather(*(venue.submit(order(name)) for name in "abcdef"), return_exceptions=True)
        await asyncio.sleep(1)

    played = play(script, sites.BANNED)
    assert len(played.exchange.truth.banned_calls) > 1
    assert played.exchange.truth.defied_bans() == 0


def test_F2_call_that_arrives_after_the_ban_was_told_but_was_made_before_is_no_defiance() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        held = asyncio.create_task(error_of(venue.submit(order("held"))))
        await asyncio.sleep(0.001)
        await error_of(venue.submit(order("a")))
        await held
        await asyncio.sleep(HELD_S[1])

    truth = play(script, (sites.BANNED, 2), HELD).exchange.truth
    (call,) = truth.banned_calls
    assert call.told_us is not None
    assert (call.sent_us < call.told_us, truth.defied_bans()) == (True, 0)


@pytest.mark.parametrize(
    ("skew_us", "name"),
    [(-6_000_000, "InvalidNonce"), (-4_000_000, None), (900_000, None), (1_200_000, "InvalidNonce")],
)
def test_F5_stamp_of_a_wrong_clock_is_refused_by_every_request_but_that_for_the_time(
    skew_us: int, name: str | None
) -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        answers: list[Any] = []
        for request in (venue.submit(limit("a", 90_000)), venue.cancel("a", BTC), venue.fetch_positions()):
            try:
                await request
                answers.append(None)
            except VenueError as error:
                answers.append(error.name)
                assert (error.code, error.http) == ("-1021", 400)
        return answers, await venue.fetch_time_us()

    answers, time_us = play(script, skew_us=skew_us).result
    assert answers == [name] * 3
    assert 0 < time_us - EPOCH_US < 2_000_000


def test_C2_fill_comes_by_the_stream_before_the_answer() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> list[str]:
        seen: list[str] = []

        async def listen() -> None:
            async for event in venue.stream():
                if event is not None:
                    seen.append(type(event).__name__)

        listening = asyncio.create_task(listen())
        await asyncio.sleep(1)
        await venue.submit(order("a"))
        seen.append("answer")
        listening.cancel()
        return seen

    assert play(script, sites.ACK_LATE, seed=2).result[:2] == ["OrderReport", "VenueFill"]
    assert play(script, sites.ACK_LATE, seed=2).result[-1] == "answer"
