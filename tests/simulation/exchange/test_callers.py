"""Requests whose callers die or give up: they go on, and nobody hears of them."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id

from __future__ import annotations

import asyncio

import pytest

from botd.ports import RemoteVenue
from botd.simulation.chance import Chance, Fired
from botd.simulation.exchange import sites
from botd.simulation.exchange.exchange import Exchange
from botd.simulation.exchange.sites import SITES
from botd.simulation.host import Death, EndCause, Host, Process
from botd.simulation.loop import VirtualLoop, run_virtual
from tests.simulation.exchange.scene import (
    BTC,
    CASH,
    PERP,
    Steps,
    error_of,
    order,
    play,
)


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


def test_F2_ban_that_a_dead_process_was_to_hear_of_has_been_told_to_nobody() -> None:
    async def world(loop: VirtualLoop) -> Exchange:
        chance = Chance(1, SITES, only=[Fired(sites.BANNED.name, 1)])
        exchange = Exchange(loop, chance, Steps(), instruments=(PERP,), cash={"USDT": CASH})
        host = Host(loop, "bot")

        async def ask(process: Process) -> None:
            await error_of(exchange.connect(process).fetch_positions())

        process = host.boot(ask)
        loop.call_later(0.001, process.kill)
        await process.ended
        await asyncio.sleep(1)
        await host.boot(ask).ended
        await asyncio.sleep(1)
        await host.boot(ask).ended
        return exchange

    calls = run_virtual(world, seed=1).result.truth.banned_calls
    assert [call.process for call in calls] == ["bot.2", "bot.3"]
    assert [call.told_us for call in calls] == [None, None]
    assert calls[0].first_told_us is None
    assert calls[1].first_told_us is not None


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
