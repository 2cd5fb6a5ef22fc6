"""What happens to requests on their way, one fault at a time; and that they go on without their caller."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from botd.ports import OrderState, RemoteVenue, VenueError, VenueRules
from botd.simulation.chance import Chance, Site
from botd.simulation.clock import EPOCH_US
from botd.simulation.exchange import sites
from botd.simulation.exchange.exchange import Exchange
from botd.simulation.exchange.network import HELD_S
from botd.simulation.exchange.sites import PATHS, SITES, Kind
from botd.simulation.host import Death, EndCause, Host, Process
from botd.simulation.loop import VirtualLoop, run_virtual
from tests.simulation.exchange.scene import BTC, CASH, PERP, Played, Steps, error_of, limit, order, play

LOST, HELD, UNANSWERED, ERROR, LIMITED = PATHS[Kind.SUBMIT]
SEEDS = range(1, 13)


async def submit_once(venue: RemoteVenue, exchange: Exchange) -> tuple[str, float]:
    """Submit one order; return how it was answered, and after how many seconds."""
    began_s = asyncio.get_running_loop().now_s  # type: ignore[attr-defined]
    try:
        answer: str = (await venue.submit(order("a"))).state
    except VenueError as error:
        answer = error.name
    except KeyError:
        answer = "KeyError"
    ended_s = asyncio.get_running_loop().now_s  # type: ignore[attr-defined]
    await asyncio.sleep(30)
    return answer, ended_s - began_s


def outcomes(played: Played) -> list[str]:
    return [arrival.outcome for arrival in played.exchange.truth.arrivals]


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
    assert outcomes(played) == ["DuplicateOrderId"]
    assert played.exchange.truth.filled("a") == 100


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


def test_C4_part_fills_before_the_cancel() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        await venue.submit(limit("a", 99_000))
        await venue.cancel("a", BTC)
        return await venue.fetch_order("a", BTC)

    played = play(script, sites.PART_FILLS)
    assert played.result.state is OrderState.CANCELED
    assert 0 < played.result.filled < 100
    assert played.exchange.truth.filled("a") == played.result.filled


@pytest.mark.parametrize("site", [PATHS[Kind.CHANGE].unanswered, PATHS[Kind.CHANGE].error])
def test_D2_cancel_is_done_though_its_answer_says_otherwise(site: Site) -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        await venue.submit(limit("a", 99_000))
        with pytest.raises((VenueError, KeyError)):
            await venue.cancel("a", BTC)

    played = play(script, site, seed=3)
    assert played.exchange.open_orders == ()
    assert len(played.fired) == 1


def test_cut_order_expires_with_a_remainder() -> None:
    played = play(submit_once, sites.CUT, seed=4)
    last = [event for event in played.events if hasattr(event, "state")][-1]
    assert last.state is OrderState.EXPIRED
    assert 0 <= played.exchange.truth.filled("a") < 100


def test_C5_overfill_is_more_than_was_asked_for() -> None:
    played = play(submit_once, sites.OVERFILL)
    assert 100 < played.exchange.truth.filled("a") <= 111


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


def test_B10_order_that_would_be_rejected_later_fills_where_the_run_is_healed_before() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> int:
        await venue.submit(order("a"))
        exchange.chance.healed = True
        await asyncio.sleep(9)
        return exchange.truth.filled("a")

    assert play(script, sites.ASYNC_REJECT).result == 100


# ---- who asked is gone ------------------------------------------------------------------------------


def die_while_asking(kill_after_s: float) -> tuple[Exchange, list[str]]:
    """Kill a process while its request is under way; start another that looks for the order."""
    found: list[str] = []

    async def world(loop: VirtualLoop) -> Exchange:
        exchange = Exchange(
            loop, Chance(1, SITES, only=[]), Steps(), instruments=(PERP,), cash={"USDT": CASH}
        )
        host = Host(loop, "bot")

        async def first(process: Process) -> None:
            try:
                await exchange.connect(process).submit(order("a"))
            finally:
                found.append("unwound")

        async def second(process: Process) -> None:
            report = await exchange.connect(process).fetch_order("a", BTC)
            found.append(report.state if report is not None else "nothing")

        process = host.boot(first)
        loop.call_later(kill_after_s, process.kill)
        assert (await process.ended).cause is EndCause.KILLED
        await asyncio.sleep(5)
        assert (await host.boot(second).ended).cause is EndCause.RETURNED
        return exchange

    return run_virtual(world, seed=1).result, found


def test_G3_request_of_a_dead_process_goes_on_and_nobody_hears_of_it() -> None:
    exchange, found = die_while_asking(0.001)
    assert found == ["filled"]
    (arrival,) = exchange.truth.arrivals
    assert (arrival.outcome, arrival.process) == ("accepted", "bot.1")


def test_process_that_dies_before_any_step_of_a_request_is_as_if_it_never_was() -> None:
    async def world(loop: VirtualLoop) -> Exchange:
        exchange = Exchange(
            loop, Chance(1, SITES, only=[]), Steps(), instruments=(PERP,), cash={"USDT": CASH}
        )

        async def main(process: Process) -> None:
            await exchange.connect(process).submit(order("a"))

        await Host(loop, "bot").boot(main, death=Death(step=1)).ended
        await asyncio.sleep(20)
        return exchange

    assert run_virtual(world, seed=1).result.truth.sent == {}


def test_caller_that_gives_up_leaves_the_request_on_its_way() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.005):
                await venue.submit(order("a"))
        await asyncio.sleep(5)

    assert play(script).exchange.truth.filled("a") == 100
