"""A trading loop behind the gateway at the simulated exchange, in a process that may die and come back.

Everything is real but the disk, which is a list, and the market, whose prices a test writes down. What goes
wrong is named: a fault of the exchange by its site, or something that happens to the requests of one kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

import numpy as np

from botd.core.bot import Bot, LaneSpec
from botd.core.events import AmendOrder, SubmitOrder
from botd.core.instrument import Instrument, InstrumentId
from botd.core.orders import Order
from botd.core.records import FillRecord
from botd.core.restraint import Cause, TradingCommand, Verb
from botd.core.settings import CoreSettings, Limits
from botd.core.updates import AlertRecord
from botd.engine import layout as col
from botd.engine.layout import N_INPUT, RowKind
from botd.language.typed import Strategy
from botd.ports import (
    AccountModes,
    Batch,
    Chunk,
    Cursor,
    OrderReport,
    RemoteVenue,
    VenueEvent,
    VenueFill,
    VenueRules,
)
from botd.runtime.brake import Brake
from botd.runtime.gateway import Gateway
from botd.runtime.live import LiveDriver
from botd.runtime.loop import TradingLoop
from botd.runtime.recovery import Recovery
from botd.runtime.trades import seen_name
from botd.simulation.chance import Chance, Fired, Site
from botd.simulation.clock import EPOCH_US
from botd.simulation.exchange.exchange import RULES, Exchange
from botd.simulation.exchange.sites import SITES
from botd.simulation.host import Death, Host, Process
from botd.simulation.loop import VirtualLoop, run_virtual
from tests.core.scene import NO_LIMITS, strategy
from tests.core.scene import PERP as PLAIN

T = TypeVar("T")
K = TypeVar("K")

PERP = replace(PLAIN, taker_fee=Decimal("0.001"), maker_fee=Decimal("0.001"))
ENTRY_S = 10  # when the price makes the strategy buy, unless a test has other prices
BUYER = strategy(s1="when: price > 100, cooldown: 1h")
# a limit order that rests, and is dropped after a while
PATIENT = strategy(
    s1="when: price > 100, cooldown: 1h",
    z1="when: always, order: { type: limit, price: price - 5, ttl: 300s }, size: { fixed: 10 BTC }",
    o1="after: 600s",
)
STOPPED = strategy(s1="when: price > 100, cooldown: 1h", protect="stop_loss: 10%")


class Prices:
    """Bid prices from given seconds on; the ask is a tick above."""

    def __init__(self, *steps: tuple[float, int]) -> None:
        self._steps = steps or ((0.0, 100), (ENTRY_S, 101))

    def top(self, instrument: InstrumentId, now_us: int) -> tuple[int, int, int, int]:
        now_s = (now_us - EPOCH_US) / 1e6
        bid = next(bid for from_s, bid in reversed(self._steps) if from_s <= now_s)
        return bid, bid + 1, 1000, 1000


class Swing(Prices):
    """A bid of 100 and 101 in turn, ten seconds each."""

    def top(self, instrument: InstrumentId, now_us: int) -> tuple[int, int, int, int]:
        bid = 100 + (now_us - EPOCH_US) // 10_000_000 % 2
        return bid, bid + 1, 1000, 1000


class Feed:
    """A print at the bid in each second, as `Prices` has it."""

    identity = "prices"
    instruments = (PERP,)
    kinds = frozenset({RowKind.TRADE})
    bar_length_us = None
    seekable = True

    def __init__(self, prices: Prices, loop: VirtualLoop) -> None:
        self._prices = prices
        self._loop = loop

    def _rows(self, start: int, stop: int) -> Chunk:
        rows = np.zeros((N_INPUT, stop - start), np.int64)
        for place, second in enumerate(range(start, stop)):
            at_us = EPOCH_US + second * 1_000_000
            bid, ask, bid_lots, ask_lots = self._prices.top(PERP.id, at_us)
            rows[[col.T, col.VT, col.RT], place] = at_us
            rows[[col.P, col.OPEN, col.HIGH, col.LOW], place] = bid
            rows[col.Q, place], rows[col.SIDE, place], rows[col.KIND, place] = 1, 1, int(RowKind.TRADE)
            rows[[col.BID, col.ASK, col.BSZ, col.ASZ], place] = bid, ask, bid_lots, ask_lots
        return Chunk(position=start, instrument=np.zeros(stop - start, np.int64), rows=rows)

    def read(self, position: int, *, rows_max: int = 65536) -> Iterator[Chunk]:
        """Yield the prints that have come by now."""
        come = int(self._loop.now_s) + 1
        if position < come:
            yield self._rows(position, come)

    async def stream(self, position: int) -> AsyncIterator[Chunk]:
        """Yield each print as it comes."""
        while True:
            for chunk in self.read(position):
                yield chunk
                position += chunk.rows.shape[1]
            await asyncio.sleep(position - self._loop.now_s + 1e-6)


class Way:
    """A venue with something on the way to it: a hook gets a request and the way on."""

    def __init__(self, venue: RemoteVenue, hooks: Mapping[str, Callable[..., Awaitable[Any]]]) -> None:
        self._venue = venue
        self._hooks = hooks

    @property
    def rules(self) -> VenueRules:
        return self._venue.rules

    def correct_clock(self, offset_us: int) -> None:
        self._venue.correct_clock(offset_us)

    async def _ask(self, name: str, *args: Any) -> Any:
        way_on = getattr(self._venue, name)
        hook = self._hooks.get(name)
        return await (way_on(*args) if hook is None else hook(way_on, *args))

    async def submit(self, order: SubmitOrder) -> OrderReport:
        return await self._ask("submit", order)

    async def cancel(self, client_order_id: str, instrument: InstrumentId) -> None:
        await self._ask("cancel", client_order_id, instrument)

    async def amend(self, command: AmendOrder) -> None:
        await self._ask("amend", command)

    async def fetch_order(self, client_order_id: str, instrument: InstrumentId) -> OrderReport | None:
        return await self._ask("fetch_order", client_order_id, instrument)

    async def fetch_open_orders(self) -> tuple[OrderReport, ...]:
        return await self._ask("fetch_open_orders")

    async def fetch_fills(self, since_us: int) -> tuple[VenueFill, ...]:
        return await self._ask("fetch_fills", since_us)

    async def fetch_positions(self) -> Mapping[InstrumentId, int]:
        return await self._ask("fetch_positions")

    async def fetch_balances(self) -> Mapping[str, Decimal]:
        return await self._ask("fetch_balances")

    async def fetch_modes(self) -> AccountModes:
        return await self._ask("fetch_modes")

    async def fetch_time_us(self) -> int:
        return await self._ask("fetch_time_us")

    async def stream(self) -> AsyncIterator[VenueEvent | None]:
        hook = self._hooks.get("stream")
        async for event in self._venue.stream():
            for one in [event] if hook is None or event is None else await hook(event):
                yield one


class Disk:
    """What has been committed; a commit takes a few milliseconds."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    async def commit(self, batch: Batch) -> None:
        await asyncio.sleep(0.002)
        self.batches.append(batch)
        await asyncio.sleep(0.002)

    async def snapshot(self, session_id: str, cursor: Cursor, state: dict[str, Any]) -> None:
        raise AssertionError("no snapshot is due")

    def recovery(self) -> Recovery | None:
        cursors = [one.cursor for one in self.batches if one.cursor is not None]
        if not cursors:
            return None
        return Recovery(cursors[-1], [event for one in self.batches for event in one.events])


class Day:
    """One account at the exchange and whatever runs on it."""

    def __init__(
        self,
        loop: VirtualLoop,
        strategies: Sequence[Strategy],
        *,
        faults: Sequence[Site | tuple[Site, int]] | None = (),
        prices: Prices | None = None,
        rules: VenueRules = RULES,
        limits: Limits = NO_LIMITS,
        instrument: Instrument = PERP,
        hooks: Mapping[str, Callable[..., Awaitable[Any]]] | None = None,
        skew_us: int = 0,
        seed: int = 1,
    ) -> None:
        """`faults` None lets chance have its way."""
        only = None
        if faults is not None:
            only = [Fired(f.name, 1) if isinstance(f, Site) else Fired(f[0].name, f[1]) for f in faults]
        self.loop = loop
        self.chance = Chance(seed, SITES, only=only)
        self.prices = prices or Prices()
        cash = {"USDT": Decimal(100_000), "BTC": Decimal(1)}
        self.exchange = Exchange(
            loop, self.chance, self.prices, instruments=(instrument,), cash=cash, rules=rules
        )
        self.settings = CoreSettings(equity=cash, limits=limits, outlier_sigma=0.0)
        self.strategies = strategies
        self.hooks = dict(hooks or {})
        self.instrument = instrument
        self.disk = Disk()
        self.host = Host(loop, "bot")
        self._skew_us = skew_us
        self._bot: Bot | None = None
        self._driver: LiveDriver | None = None
        self.brake = Brake()

    # ---- the process --------------------------------------------------------------------------------

    def boot(self, death: Death | None = None) -> Process:
        """Start the daemon's part: the loop, its driver and its gateway, over what is on disk."""
        return self.host.boot(self._main, skew_us=self._skew_us, death=death)

    async def _main(self, process: Process) -> None:
        spec = LaneSpec(instrument=self.instrument, strategies=tuple(self.strategies))
        settings = replace(self.settings, one_way=self.exchange.rules.one_way)
        bot = Bot(settings, [spec], id_prefix="session", block_max=64)
        recovery = self.disk.recovery()
        venue: Any = Way(self.exchange.connect(process), self.hooks)
        brake = Brake()
        gateway = Gateway(venue, process.clock, process.clock.monotonic, brake)
        trading = TradingLoop(bot, gateway, lane_of=[0], bar_length_us=None, recovery=recovery)
        trading.brake = brake
        gateway.serve(
            trading,
            [seen_name(str(f.instrument), f.client_order_id, f.trade_id) for f in self.of(FillRecord)],
        )
        driver = LiveDriver(
            trading,
            Feed(self.prices, self.loop),
            self.disk,
            process.clock,
            session_id="session",
            snapshot_every_us=10**15,
            on_records=lambda records: None,
            on_block=lambda ts_us: None,
            gateway=gateway,
        )
        self._bot, self._driver, self.brake = bot, driver, brake
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(gateway.run(), name="gateway")
            await driver.run(asyncio.Queue())
            try:
                await driver.finish(apply_policies=True)
            finally:
                serving.cancel()

    def kill(self) -> None:
        """Kill the process where it stands."""
        assert self.host.process is not None
        self.host.process.kill()

    async def stop(self) -> BaseException | None:
        """Have the process stop in order; return what it could not do."""
        process = self.host.process
        assert process is not None
        assert self._driver is not None
        self.loop.call_soon(self._driver.request_stop)
        end = await process.ended
        error = end.error
        return error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error

    async def restart(self, after_s: float = 1.0) -> None:
        """Kill it, and start it again a little later."""
        self.kill()
        await asyncio.sleep(after_s)
        self.boot()

    def halt(self) -> None:
        """Have somebody halt trading: entries that rest are cancelled."""
        self.loop.call_soon(self.brake.ask, TradingCommand(verb=Verb.HALT, cause=Cause.COMMAND, who="ann"))

    # ---- time ---------------------------------------------------------------------------------------

    async def at(self, second: float) -> None:
        """Let time pass until a second of the day."""
        await asyncio.sleep(max(0.0, second - self.loop.now_s))
        process = self.host.process
        assert process is not None, "the daemon has ended"

    async def until(self, come: Callable[[], object]) -> None:
        """Let time pass, a breath at a time, until something is so."""
        for _ in range(100_000):
            if come():
                return
            await asyncio.sleep(0.0005)
        raise AssertionError("it never came to that")

    # ---- what came of it ----------------------------------------------------------------------------

    @property
    def bot(self) -> Bot:
        assert self._bot is not None
        return self._bot

    @property
    def truth(self) -> Any:
        return self.exchange.truth

    def of(self, kind: type[K]) -> list[K]:
        """Return the committed records of a kind."""
        return [one for batch in self.disk.batches for one in batch.records if isinstance(one, kind)]

    def orders(self) -> list[Order]:
        """Return every order of the books, oldest first."""
        return self.bot.desk.orders.all()

    def statuses(self) -> list[str]:
        return [str(one.status) for one in self.orders()]

    def held(self) -> int:
        return self.bot.desk.portfolio.net_quantities().get(PERP.id, 0)

    def really_held(self) -> int:
        return self.exchange.account.held(PERP.id)

    def alerts(self) -> list[str]:
        """Return what was cried out, without what holds and releases."""
        quiet = ("trading_held", "trading_released")
        return [one.type for one in self.of(AlertRecord) if one.type not in quiet]

    def restraints(self) -> list[tuple[str, str]]:
        return [(str(one.state), str(one.cause)) for one in self.bot.desk.restraints]

    def rows(self) -> int:
        """Return how many records are on disk."""
        return sum(len(batch.records) for batch in self.disk.batches)

    def check(self) -> None:
        """Check what holds at every quiet moment: one request an order, and books that are the venue's."""
        assert set(self.truth.sent.values()) <= {1}
        assert self.truth.doubled() == []
        assert self.held() == self.really_held()
        portfolio = self.bot.desk.portfolio
        assert sum(one.fee for one in self.of(FillRecord)) == portfolio.fees("USDT")
        booked = sorted((one.trade_id, one.fill.qty) for one in self.of(FillRecord))
        assert booked == sorted((one.trade_id, one.qty) for one in self.truth.fills)


def play(script: Callable[[Day], Coroutine[Any, Any, T]], *strategies: Strategy, **terms: Any) -> T:
    """Live through a day from outside of the process."""

    async def world(loop: VirtualLoop) -> T:
        day = Day(loop, strategies or (BUYER,), **terms)
        day.boot()
        result = await script(day)
        process = day.host.process
        if process is not None:
            process.kill()
        return result

    return run_virtual(world, seed=terms.get("seed", 1)).result
