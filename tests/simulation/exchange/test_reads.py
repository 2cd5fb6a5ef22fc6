"""What reads show: late, not at all, or nothing; and the truth once that is over."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id

from __future__ import annotations

import asyncio
from typing import Any

from botd.ports import OrderState, RemoteVenue
from botd.simulation.clock import EPOCH_US
from botd.simulation.exchange import sites
from botd.simulation.exchange.exchange import RULES, Exchange
from botd.simulation.exchange.orders import READS
from tests.simulation.exchange.scene import BTC, error_of, limit, order, play

LAG_S = RULES.read_lag_us / 1e6
SEEDS = range(1, 13)


async def look_early_and_late(venue: RemoteVenue, exchange: Exchange) -> list[list[Any]]:
    """Fill an order; return what each read shows at once, and after the lag."""
    looks = []
    await venue.submit(order("a", qty=1))
    for pause_s in (0.0, LAG_S):
        await asyncio.sleep(pause_s)
        report = await venue.fetch_order("a", BTC)
        open_orders = await venue.fetch_open_orders()
        fills, positions = await venue.fetch_fills(EPOCH_US), await venue.fetch_positions()
        looks.append([report and report.state, len(open_orders), len(fills), positions])
    return looks


def test_reads_show_everything_at_once_where_nothing_lags() -> None:
    assert play(look_early_and_late).result == [[OrderState.FILLED, 0, 1, {BTC: 1}]] * 2


def test_B18_order_and_fills_show_late_and_each_by_itself() -> None:
    early = []
    for seed in SEEDS:
        first, last = play(look_early_and_late, sites.LAG, seed=seed).result
        assert last == [OrderState.FILLED, 0, 1, {BTC: 1}]
        early.append(first)
    assert [None, 0, 1, {BTC: 1}] in early  # the fill shows, the order does not
    assert [OrderState.FILLED, 0, 0, {}] in early  # the other way round
    assert [None, 0, 0, {}] in early


def test_B18_order_that_does_not_show_cannot_be_canceled_yet() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        await venue.submit(limit("a", 90_000))
        first = await error_of(venue.cancel("a", BTC))
        still = exchange.open_orders
        await asyncio.sleep(LAG_S)
        await venue.cancel("a", BTC)
        return first.name, len(still), len(exchange.open_orders)

    results = [play(script, sites.LAG, seed=seed) for seed in SEEDS if lags(seed)]
    assert results
    assert {played.result for played in results} == {("OrderNotFound", 1, 0)}


def lags(seed: int) -> bool:
    """Whether the first lag of a seed hides an order for a while."""

    async def script(venue: RemoteVenue, exchange: Exchange) -> bool:
        await venue.submit(limit("a", 90_000))
        return await venue.fetch_order("a", BTC) is None

    return bool(play(script, sites.LAG, seed=seed).result)


def test_B18_resting_order_is_hidden_for_a_minute_or_two_and_then_shown_as_it_was() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> tuple[list[int], list[float]]:
        await venue.submit(limit("a", 90_000))
        looks: list[tuple[float, bool, bool]] = []
        for _ in range(200):
            await asyncio.sleep(1.0)
            listed = bool(await venue.fetch_open_orders())
            found = await venue.fetch_order("a", BTC) is not None
            looks.append((asyncio.get_running_loop().time(), listed, found))
        missing = [at for at, listed, found in looks if not (listed or found)]
        assert exchange.hid == {"a"}
        await venue.cancel("a", BTC)
        return [listed + found for _, listed, found in looks], missing

    for seed in SEEDS:
        shows, missing = play(script, sites.HIDDEN, seed=seed).result
        first = shows.index(0)
        assert sum(shows[:first]) == READS
        assert shows[first : first + len(missing)] == [0] * len(missing)  # once
        assert 55 <= missing[-1] - missing[0] <= 120


def test_hidden_order_can_be_canceled_and_shows_once_faults_have_ended() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        for name in ("a", "b"):
            await venue.submit(limit(name, 90_000))
        while "a" not in exchange.hid:
            await venue.fetch_order("a", BTC)
        assert [one.client_order_id for one in await venue.fetch_open_orders()] == ["b"]
        await venue.cancel("a", BTC)
        assert await venue.fetch_order("a", BTC) is None
        exchange.chance.healed = True
        report = await venue.fetch_order("a", BTC)
        assert report is not None and report.state is OrderState.CANCELED

    play(script, sites.HIDDEN)


def test_ended_order_shows_as_open_for_a_while() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> list[list[str]]:
        await venue.submit(limit("a", 90_000))
        await venue.submit(limit("b", 90_000))
        await asyncio.sleep(LAG_S + 1)
        await venue.cancel("a", BTC)
        looks = []
        for _ in range(2):
            looks.append([str(report.client_order_id) for report in await venue.fetch_open_orders()])
            await asyncio.sleep(LAG_S)
        return looks

    looks = [play(script, sites.LAG, seed=seed).result for seed in SEEDS]
    assert [["a", "b"], ["b"]] in looks
    assert all(look[1] == ["b"] for look in looks)


def test_E4_empty_answers_while_something_is_there() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> list[Any]:
        await venue.submit(order("a"))
        await venue.submit(limit("b", 90_000))
        await asyncio.sleep(3)
        return [
            await read()
            for read in (venue.fetch_positions, venue.fetch_open_orders, venue.fetch_balances)
            for _ in range(2)
        ]

    balances = []
    for seed in SEEDS:
        answers = play(script, *((sites.EMPTY, n) for n in (1, 3, 5)), seed=seed).result
        assert answers[0:3:2] == [{}, ()]
        assert all(answers[1::2])
        balances.append(answers[4])
    assert {} in balances
    assert {"USDT": 0} in balances


def test_fills_are_asked_for_by_time_and_not_beyond_the_window() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        await venue.submit(order("a", qty=1))
        await asyncio.sleep(10)
        await venue.submit(order("b", qty=1))
        times = [fill.ts_us for fill in exchange.truth.fills]
        looks = [len(await venue.fetch_fills(since)) for since in (0, times[0], times[0] + 1, times[1] + 1)]
        await asyncio.sleep(RULES.fills_back_us / 1e6)
        return looks, len(await venue.fetch_fills(0))

    looks, later = play(script).result
    assert (looks, later) == ([2, 2, 1, 0], 0)


def test_lookup_heeds_the_instrument_and_shows_the_newest_order_of_an_id() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        await venue.submit(order("a", qty=1))
        await venue.submit(limit("a", 90_000, qty=7))
        other = await venue.fetch_order("a", order("x", instrument="ETH/USDT").instrument)
        return other, await venue.fetch_order("a", BTC), await venue.fetch_order("b", BTC)

    other, newest, unknown = play(script).result
    assert (other, unknown) == (None, None)
    assert newest.qty == 7


def test_everything_shows_once_the_run_is_healed() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        await venue.submit(order("a", qty=1))
        exchange.chance.healed = True
        report = await venue.fetch_order("a", BTC)
        return report and report.state, await venue.fetch_positions()

    for seed in SEEDS:
        assert play(script, sites.LAG, seed=seed).result == (OrderState.FILLED, {BTC: 1})
