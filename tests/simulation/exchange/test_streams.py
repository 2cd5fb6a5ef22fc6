"""The stream, and what a stream does wrong, one fault at a time."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

from botd.ports import OrderState, RemoteVenue, VenueError, VenueEvent, VenueFill
from botd.simulation.chance import Chance
from botd.simulation.exchange import sites
from botd.simulation.exchange.exchange import Exchange
from botd.simulation.exchange.sites import SITES
from botd.simulation.exchange.streams import HEARTBEAT_S
from botd.simulation.host import Host, Process
from botd.simulation.loop import VirtualLoop, run_virtual
from tests.simulation.exchange.scene import BTC, CASH, PERP, Steps, limit, order, play

Seen = list[tuple[float, VenueEvent | None]]


def now_s() -> float:
    """Return the seconds since the run began."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop.now_s


async def listen(venue: RemoteVenue, seen: Seen) -> str:
    """Note what the stream brings and when; return the error that it ends with."""
    try:
        async for event in venue.stream():
            seen.append((now_s(), event))
    except VenueError as error:
        return error.name
    return "it ended"


async def hear_fills(venue: RemoteVenue, exchange: Exchange) -> Seen:
    """Listen while three orders of one lot fill, five seconds apart."""
    seen: Seen = []
    listening = asyncio.create_task(listen(venue, seen))
    await asyncio.sleep(2)
    for name in "abc":
        await venue.submit(order(name, qty=1))
        await asyncio.sleep(5)
    await asyncio.sleep(40)
    listening.cancel()
    return seen


def said(seen: Seen) -> list[str]:
    """Return the events in short, without heartbeats."""
    return [
        f"{event.client_order_id} {'fill' if isinstance(event, VenueFill) else event.state}"
        for _, event in seen
        if event is not None
    ]


WHOLE = [f"{name} {what}" for name in "abc" for what in ("open", "fill", "filled")]


def test_stream_brings_everything_in_order_and_heartbeats() -> None:
    seen = play(hear_fills).result
    assert said(seen) == WHOLE
    beats = [at for at, event in seen if event is None]
    assert len(beats) > 10
    assert {round(b - a, 6) for a, b in pairwise(beats)} == {HEARTBEAT_S}


def test_C1_event_comes_twice() -> None:
    heard = said(play(hear_fills, (sites.DOUBLED, 2)).result)
    assert sorted(heard) == sorted([*WHOLE, "a fill"])


def test_C7_event_is_dropped_and_the_fill_is_there_for_who_asks() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        seen = await hear_fills(venue, exchange)
        return said(seen), [fill.client_order_id for fill in await venue.fetch_fills(0)]

    heard, asked = play(script, (sites.DROPPED, 5)).result
    assert heard == [text for text in WHOLE if text != "b fill"]
    assert asked == ["a", "b", "c"]


def test_event_comes_late_and_out_of_order() -> None:
    orders = set()
    for seed in range(1, 9):
        heard = said(play(hear_fills, (sites.LATE, 2), seed=seed).result)
        assert sorted(heard) == sorted(WHOLE)
        orders.add(heard.index("a fill"))
    assert len(orders) > 2
    assert 1 not in orders  # its report overtakes it


def test_A9_A10_stalled_stream_loses_events_with_and_without_heartbeats() -> None:
    kinds = set()
    for seed in range(1, 25):
        seen = play(hear_fills, (sites.STALL, 1), seed=seed).result
        beats = [at for at, event in seen if event is None]
        heard = said(seen)
        assert heard == [text for text in WHOLE if text in heard]  # what came in the stall is gone for ever
        kinds.add((len(beats) >= 11, len(heard) < len(WHOLE)))
    assert {(True, True), (False, True)} <= kinds


def test_disconnect_ends_the_stream_and_the_next_one_hears_again() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        seen: Seen = []
        first = await listen(venue, seen)
        listening = asyncio.create_task(listen(venue, seen))
        await asyncio.sleep(1)
        await venue.submit(order("a", qty=1))
        await asyncio.sleep(3)
        listening.cancel()
        return first, said(seen)

    assert play(script, (sites.DISCONNECT, 3)).result == ("NetworkError", WHOLE[:3])


def test_stream_that_cannot_be_opened_raises() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        first = await listen(venue, [])
        return first, await listen(venue, [])

    path = sites.PATHS[sites.Kind.READ]
    names = {play(script, path.lost, (sites.DISCONNECT, 2), seed=seed).result for seed in range(1, 12)}
    assert names == {("RequestTimeout", "NetworkError"), ("NetworkError", "NetworkError")}


def test_stream_hears_what_others_do_but_nothing_of_before() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> list[str]:
        await venue.submit(limit("early", 90_000))
        seen: Seen = []
        listening = asyncio.create_task(listen(venue, seen))
        await asyncio.sleep(1)
        exchange.matching.trade(PERP, order("x").side, 5, 100_000, liquidation=False)
        await venue.cancel("early", BTC)
        await asyncio.sleep(1)
        listening.cancel()
        return said(seen)

    assert play(script).result == [" fill", "early canceled"]


def test_stall_ends_where_the_run_is_healed() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> list[str]:
        seen: Seen = []
        listening = asyncio.create_task(listen(venue, seen))
        await asyncio.sleep(3)
        exchange.chance.healed = True
        await venue.submit(order("a", qty=1))
        await asyncio.sleep(2)
        listening.cancel()
        return said(seen)

    for seed in range(1, 6):
        assert play(script, sites.STALL, seed=seed).result == WHOLE[:3]


def test_stream_of_a_dead_process_ends_with_it() -> None:
    async def world(loop: VirtualLoop) -> tuple[Seen, int]:
        exchange = Exchange(
            loop, Chance(1, SITES, only=[]), Steps(), instruments=(PERP,), cash={"USDT": CASH}
        )
        seen: Seen = []

        async def main(process: Process) -> None:
            await listen(exchange.connect(process), seen)

        process = Host(loop, "bot").boot(main)
        loop.call_later(21, process.kill)
        await process.ended
        steps = loop.steps
        await asyncio.sleep(600)
        return seen, loop.steps - steps

    seen, steps = run_virtual(world, seed=1).result
    assert len(seen) == 4
    assert steps < 100  # the venue's own turns and nothing more


def test_stream_that_is_closed_costs_nothing_more() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> int:
        stream = venue.stream()
        assert await anext(stream) is None
        await stream.aclose()  # type: ignore[attr-defined]
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        steps = loop.steps
        await asyncio.sleep(600)
        return loop.steps - steps

    assert play(script).result < 100


def test_event_that_comes_while_nobody_waits_is_kept() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> list[str]:
        stream = venue.stream()
        assert await anext(stream) is None
        await venue.submit(order("a", qty=1))
        await asyncio.sleep(10)
        heard = []
        while len(heard) < 3:
            event = await anext(stream)
            if event is not None:
                heard.append("fill" if isinstance(event, VenueFill) else str(event.state))
        return heard

    assert play(script).result == [OrderState.OPEN, "fill", OrderState.FILLED]
