"""Careless trading against the venue with its faults on, by a process that is killed now and then.

A module for tests, and a script for other processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from botd.core.events import AmendOrder, Side
from botd.core.instrument import InstrumentId
from botd.feeds.chance import make_key, pick
from botd.ports import OrderReport, RemoteVenue, VenueError, VenueEvent
from botd.simulation.chance import Chance, Fired, Stream
from botd.simulation.clock import EPOCH_US
from botd.simulation.exchange.exchange import Exchange
from botd.simulation.exchange.sites import SITES
from botd.simulation.host import Host, Process
from botd.simulation.loop import VirtualLoop, run_virtual
from tests.simulation.exchange.scene import BTC, CASH, PERP, SPOT, limit, order, stop

PAUSE_S = 36.0  # between two orders: a hundred in an hour
POLL_S = 5.0


class Walk:
    """Prices that move by up to five ticks a quarter of a second, a pure function of time."""

    def __init__(self, seed: int) -> None:
        self._key = make_key(seed, "walk")
        self._prices = [100_000]

    def top(self, instrument: InstrumentId, now_us: int) -> tuple[int, int, int, int]:
        index = (now_us - EPOCH_US) // 250_000
        while len(self._prices) <= index:
            self._prices.append(self._prices[-1] + pick(self._key, len(self._prices)) % 11 - 5)
        bid = self._prices[index]
        return bid, bid + 1, 20, 20


@dataclass
class Hour:
    """What there is to check."""

    exchange: Exchange
    events: list[VenueEvent]
    fired: list[Fired]
    digest: str
    steps: int
    answers: list[str]
    flips: list[VenueEvent]  # fills of reduce-only orders that did not reduce


class Trader:
    """What one process does: trades without much thought, polls, listens."""

    def __init__(self, process: Process, venue: RemoteVenue, chance: Chance, answers: list[str]) -> None:
        self._draws = chance.stream("trader")
        self._venue = venue
        self._label = process.label
        self._answers = answers
        self._names: list[str] = []

    async def main(self) -> None:
        """Trade, poll and listen until killed."""
        await asyncio.gather(self._trade(), self._poll(), self._listen())

    async def _ask(self, request: Any) -> Any:
        try:
            answer = await request
        except (VenueError, KeyError) as error:
            self._answers.append(getattr(error, "name", type(error).__name__))
            return None
        self._answers.append(type(answer).__name__)
        return answer

    async def _trade(self) -> None:
        while True:
            await asyncio.sleep(self._draws.span(0.5, 1.5) * PAUSE_S)
            name = f"{self._label}-{len(self._names)}"
            self._names.append(name)
            await self._ask(self._venue.submit(self._draw_order(name, self._draws)))
            if self._draws.below(3) == 0:
                await self._ask(self._venue.cancel(self._draws.one_of(self._names), BTC))
            elif self._draws.below(3) == 0:
                old = order(self._draws.one_of(self._names)).client_order_id
                await self._ask(self._venue.amend(AmendOrder(old, BTC, 5, EPOCH_US)))

    def _draw_order(self, name: str, draws: Stream) -> Any:
        side = draws.one_of((Side.BUY, Side.SELL))
        qty = 1 + draws.below(60)
        kind = draws.below(5)
        if kind == 0:
            return limit(name, 100_000 + draws.below(41) - 20, side, qty, expire_us=None)
        if kind == 1:
            return stop(f"ro-{name}", 100_000 + draws.below(41) - 20, side, qty)
        if kind == 2:
            return limit(f"ro-{name}", 100_000 + draws.below(41) - 20, side, qty, reduce_only=True)
        if kind == 3:
            return order(f"ro-{name}", side, qty, reduce_only=True)
        return order(name, side, qty)

    async def _poll(self) -> None:
        venue = self._venue
        while True:
            await asyncio.sleep(POLL_S)
            await self._ask(venue.fetch_open_orders())
            await self._ask(venue.fetch_positions())
            await self._ask(venue.fetch_fills(0))
            if self._names:
                await self._ask(venue.fetch_order(self._names[-1], BTC))

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(VenueError, KeyError):
                async for _ in self._venue.stream():
                    pass
            await asyncio.sleep(1)


def trade(
    seed: int, *, swarm: bool = True, hours: float = 1.0, only: Collection[Fired] | None = None
) -> Hour:
    """Trade for a while; everything follows from the seed."""
    chance = Chance(seed, SITES, swarm=swarm, only=only)
    events: list[VenueEvent] = []
    answers: list[str] = []
    flips: list[VenueEvent] = []

    async def world(loop: VirtualLoop) -> Exchange:
        exchange = Exchange(loop, chance, Walk(seed), instruments=(PERP, SPOT), cash={"USDT": CASH})

        def watch(event: VenueEvent) -> None:
            events.append(event)
            held = exchange.truth.positions.get(event.instrument, 0)
            if isinstance(event, OrderReport) or event.busted or not event.client_order_id.startswith("ro-"):
                return
            before = held + (event.qty if event.side is Side.SELL else -event.qty)
            if before * held < 0 or abs(held) > abs(before):
                flips.append(event)

        exchange.on_event = watch
        host = Host(loop, "bot")
        downs = chance.stream("downs")

        async def main(process: Process) -> None:
            await Trader(process, exchange.connect(process), chance, answers).main()

        until_s = hours * 3600
        while loop.now_s < until_s:
            process = host.boot(main, skew_us=downs.below(400_000) - 200_000)
            loop.call_later(min(downs.span(60, 1800), until_s - loop.now_s), process.kill)
            await process.ended
            await asyncio.sleep(downs.span(0.5, 20))
        chance.healed = True
        await asyncio.sleep(300)
        return exchange

    outcome = run_virtual(world, seed=seed)
    return Hour(outcome.result, events, chance.fired, outcome.digest, outcome.steps, answers, flips)


if __name__ == "__main__":
    for number in map(int, sys.argv[1:]):
        hour = trade(number)
        print(number, hour.digest, hour.steps, len(hour.fired), hash("a word"))
