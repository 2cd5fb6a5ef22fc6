"""A venue with one script that talks to it: no fault happens but those that are named."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from botd.core.events import ClientOrderId, DecisionKey, OrderType, Section, Side, SubmitOrder, TimeInForce
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.ports import RemoteVenue, VenueError, VenueEvent, VenueRules
from botd.simulation.chance import Chance, Fired, Site
from botd.simulation.clock import EPOCH_US
from botd.simulation.exchange.exchange import RULES, Exchange
from botd.simulation.exchange.sites import SITES
from botd.simulation.host import Host, Process
from botd.simulation.loop import VirtualLoop, run_virtual

BTC = InstrumentId("BTC/USDT:USDT")
ETH = InstrumentId("ETH/USDT")
PERP = Instrument(
    id=BTC,
    kind=InstrumentKind.PERPETUAL,
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
    min_notional=Decimal(5),
    qty_max_lots=10_000,
    taker_fee=Decimal("0.0005"),
    maker_fee=Decimal("0.0002"),
)
SPOT = Instrument(
    id=ETH,
    kind=InstrumentKind.SPOT,
    base="ETH",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.01"),
    taker_fee=Decimal("0.001"),
    maker_fee=Decimal("0.001"),
)
CASH = Decimal(10_000)

Script = Callable[[RemoteVenue, Exchange], Coroutine[Any, Any, Any]]


class Steps:
    """Prices that stand still between given seconds; the ask is one tick above the bid."""

    def __init__(self, *steps: tuple[float, int], lots: int = 1000) -> None:
        self._steps = steps or ((0.0, 100_000),)
        self._lots = lots

    def top(self, instrument: InstrumentId, now_us: int) -> tuple[int, int, int, int]:
        now_s = (now_us - EPOCH_US) / 1e6
        bid = next(bid for from_s, bid in reversed(self._steps) if from_s <= now_s)
        return bid, bid + 1, self._lots, self._lots


@dataclass(frozen=True)
class Played:
    """What a script returned, and the venue it talked to."""

    result: Any
    exchange: Exchange
    events: list[VenueEvent]
    fired: list[Fired]
    digest: str
    ended_s: float


def play(
    script: Script,
    *faults: Site | tuple[Site, int],
    prices: Steps | None = None,
    rules: VenueRules = RULES,
    skew_us: int = 0,
    seed: int = 1,
) -> Played:
    """Run a script in a process; a fault is a site, at its first draw or at the one that is given with it."""
    only = [Fired(f.name, 1) if isinstance(f, Site) else Fired(f[0].name, f[1]) for f in faults]
    chance = Chance(seed, SITES, only=only)
    events: list[VenueEvent] = []

    async def world(loop: VirtualLoop) -> tuple[Any, Exchange]:
        exchange = Exchange(
            loop, chance, prices or Steps(), instruments=(PERP, SPOT), cash={"USDT": CASH}, rules=rules
        )
        exchange.on_event = events.append

        async def main(process: Process) -> Any:
            return await script(exchange.connect(process), exchange)

        end = await Host(loop, "bot").boot(main, skew_us=skew_us).ended
        if end.error is not None:
            raise end.error
        return end.result, exchange

    outcome = run_virtual(world, seed=seed)
    result, exchange = outcome.result
    return Played(result, exchange, events, chance.fired, outcome.digest, outcome.ended_s)


def order(name: str, side: Side = Side.BUY, qty: int = 100, **changes: Any) -> SubmitOrder:
    """Return a market order, or what the changes make of it."""
    plain = SubmitOrder(
        client_order_id=ClientOrderId(name),
        key=DecisionKey("s", BTC, 1, Section.O1, ""),
        instrument=BTC,
        side=side,
        type=OrderType.MARKET,
        tif=TimeInForce.IOC,
        qty=qty,
        ts_us=EPOCH_US,
    )
    return replace(plain, **changes)


def limit(name: str, price: int, side: Side = Side.BUY, qty: int = 100, **changes: Any) -> SubmitOrder:
    """Return a limit order that rests."""
    return order(name, side, qty, type=OrderType.LIMIT, tif=TimeInForce.GTC, limit=price, **changes)


def stop(name: str, price: int, side: Side = Side.SELL, qty: int = 100, **changes: Any) -> SubmitOrder:
    """Return a reduce-only stop."""
    return order(
        name,
        side,
        qty,
        type=OrderType.STOP_MARKET,
        tif=TimeInForce.GTC,
        stop=price,
        reduce_only=True,
        **changes,
    )


async def error_of(request: Coroutine[Any, Any, Any]) -> VenueError:
    """Return the error that a request ends with."""
    try:
        await request
    except VenueError as error:
        return error
    raise AssertionError("the request got a good answer")


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
    """Return what became of the submits that arrived."""
    return [arrival.outcome for arrival in played.exchange.truth.arrivals]
