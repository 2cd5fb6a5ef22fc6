"""A change that is refused while a cancel is on its way: by fault id."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from botd.core.events import AmendOrder
from botd.ports import VenueError, VenueEvent, VenueFill
from tests.core.scene import strategy
from tests.runtime.gateway_scene import Day, Prices, play

Way = Callable[..., Awaitable[Any]]

LOST = VenueError("NetworkError", "connection reset by peer")
REFUSED = VenueError("InvalidOrder", "order would immediately trigger", http=400, code="-2021")
IN_HALVES = strategy(
    s1="when: price > 100, cooldown: 1h",
    ze1="{ name: half, when: price > 120, close: 50% }, { name: rest, when: price > 130, close: 100% }",
    protect="stop_loss: 10%",
)
UP_TWICE = Prices((0, 100), (10, 101), (30, 125), (36, 135))


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.003])
@pytest.mark.parametrize("seed", range(1, 7))
def test_D5_refused_change_of_a_stop_does_not_forget_that_its_cancel_was_asked_for(
    after_s: float, seed: int
) -> None:
    leaving, left = asyncio.Event(), asyncio.Event()

    async def refuse(way_on: Way, command: AmendOrder) -> None:
        if not leaving.is_set():
            await way_on(command)
            return
        await left.wait()
        await asyncio.sleep(after_s)
        raise REFUSED

    async def dark(way_on: Way, *args: Any) -> None:
        raise LOST

    async def watch(event: VenueEvent) -> list[VenueEvent]:
        if isinstance(event, VenueFill) and event.price > 120:
            (left if event.price > 130 else leaving).set()
        return [event]

    async def script(day: Day) -> None:
        await day.at(34)
        assert [one.qty for one in day.exchange.open_orders] == [10]
        await day.at(38)
        assert day.held() == 0
        assert day.statuses().count("pending_cancel") == 1
        del day.hooks["cancel"]
        await day.restart()
        await day.at(60)
        assert day.exchange.open_orders == ()
        day.check()

    play(
        script,
        IN_HALVES,
        hooks={"amend": refuse, "cancel": dark, "stream": watch},
        prices=UP_TWICE,
        seed=seed,
    )
