"""The full core without a disk: what one order costs, and one event through 50 strategies.

An order is everything that hangs on it in the core: the signal, sizing, risk, the order table, the venue's
answers, the fill in the books, and the record of each. Two figures are given per order submitted (entries,
resting stops and exits): the time inside the core's own calls, the median of each over the runs; and the
processor time of the whole run with the simulated venue, the driver and the rows watched while a position
is held, less that without a signal.
"""

from __future__ import annotations

import gc
import json
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from time import perf_counter

import numpy as np
from kernel import random_rows, random_strategy

from botd.core.bot import Bot, LaneSpec
from botd.core.events import Answer, Command
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.lanes import Lane
from botd.core.records import FillRecord, OrderRecord
from botd.core.settings import CoreSettings, Limits
from botd.language.strategy import read_strategy
from botd.language.typed import Strategy
from botd.ports import Chunk
from botd.runtime.loop import TradingLoop
from botd.venues.simulated import SimulatedVenue

ROWS = 200_000
EVENTS = 5_000
WARM_EVENTS = 1_000
REPEATS = 7
STRATEGIES = 50

INSTRUMENT = Instrument(
    id=InstrumentId("BTC/USDT:USDT"),
    kind=InstrumentKind.PERPETUAL,
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.001"),
    taker_fee=Decimal("0.0005"),
    maker_fee=Decimal("0.0002"),
)
HUGE = Decimal(10) ** 9
# Nothing may be denied: a denial costs less than an order.
LIMITS = Limits(
    position_max=HUGE,
    position_max_usd=None,
    symbol_exposure_max=HUGE,
    total_exposure_max=HUGE,
    positions_max=10**9,
    leverage_max=HUGE,
    daily_loss_max=HUGE,
    drawdown_max=HUGE,
    concentration_max=HUGE,
    margin_use_max=HUGE,
    losing_streak_max=10**9,
    orders_per_minute_max=10**9,
    rejects_in_a_row_max=10**9,
    equity_min=Decimal(0),
)
SETTINGS = CoreSettings(equity={"USDT": Decimal(10_000_000)}, limits=LIMITS)

CHURN = """strategy: churn
instruments: [BTC/USDT:USDT]
side: long
let:
  fast: twpa(2s)
  slow: twpa(20s)
S1: {{ when: fast > slow and price > {floor}, cooldown: 1s }}
Z1: {{ when: always, order: {{ type: market, slippage_max: 500bps }}, size: {{ fixed: 100 USDT }} }}
ZE1: [ {{ name: out, when: fast < slow, close: 100% }} ]
protect: {{ stop_loss: 50% }}
on_stop: cancel
"""


def churn(*, trades: bool) -> Strategy:
    """Return a strategy that is in and out all the time, or the same one with a signal that never comes."""
    strategy, faults = read_strategy(CHURN.format(floor=0 if trades else 10**9), "churn.yaml")
    if strategy is None:
        raise SystemExit("\n".join(fault.render() for fault in faults))
    return strategy


decide, apply = Bot._decide, Bot.apply


class TimedBot(Bot):
    """A bot that notes how long each of its own decisions took, and each batch of answers."""

    taken: list[float]

    def _decide(self, lane: Lane, place: int) -> None:
        began = perf_counter()
        decide(self, lane, place)
        self.taken.append(perf_counter() - began)

    def apply(self, answers: Sequence[Answer]) -> list[Command]:
        """Take answers, timed."""
        began = perf_counter()
        commands = apply(self, answers)
        self.taken.append(perf_counter() - began)
        return commands


def clock_cost() -> float:
    """Return the seconds that reading the clock adds to a timed call."""
    taken = []
    for _ in range(10_000):
        began = perf_counter()
        taken.append(perf_counter() - began)
    return statistics.median(taken)


@dataclass(frozen=True, slots=True)
class Session:
    """What one run took and did."""

    cpu_s: float
    calls_s: list[float]
    orders: int
    fills: int


def run_session(strategy: Strategy, rows: np.ndarray) -> Session:
    """Run rows through the whole core and the venue."""
    bot = TimedBot(SETTINGS, [LaneSpec(instrument=INSTRUMENT, strategies=(strategy,))], id_prefix="b")
    bot.taken = []
    venue = SimulatedVenue([INSTRUMENT], SETTINGS.paper, balances=SETTINGS.equity)
    loop = TradingLoop(bot, venue, lane_of=[0], bar_length_us=None)
    chunk = Chunk(position=0, instrument=np.zeros(rows.shape[1], np.int64), rows=rows)
    orders = fills = 0
    gc.collect()
    began = time.process_time()
    for group in loop.run(chunk):
        for record in group.records:
            orders += isinstance(record, OrderRecord)
            fills += isinstance(record, FillRecord)
    cpu = time.process_time() - began
    return Session(cpu, bot.taken, orders, fills)


def cost_of_orders() -> None:
    """Print the cost of an order."""
    rows = random_rows(ROWS)
    idle, busy = churn(trades=False), churn(trades=True)
    run_session(busy, rows[:, :2000].copy())  # loads the kernels
    quiet = [run_session(idle, rows) for _ in range(REPEATS)]
    active = [run_session(busy, rows) for _ in range(REPEATS)]
    orders, fills = active[0].orders, active[0].fills
    if quiet[0].orders or orders < 1000:
        raise SystemExit(f"the workload is not what it should be: {quiet[0].orders} and {orders} orders")
    # every run makes the same calls: the median of each leaves out what the machine did beside it
    calls = [statistics.median(same) for same in zip(*(one.calls_s for one in active), strict=True)]
    core = (sum(calls) - len(calls) * clock_cost()) / orders
    whole = (min(one.cpu_s for one in active) - min(one.cpu_s for one in quiet)) / orders
    report("full core, an order", core, at_most=25, orders=orders, fills=fills)
    report("core, simulated venue, driver and position watched, an order", whole, orders=orders, fills=fills)


def report(name: str, seconds: float, **more: float) -> None:
    """Print one figure in the form that run.py reads."""
    print(json.dumps({"bench": name, "value": round(seconds * 1e6, 2), "unit": "us", **more}), flush=True)


def latency_of_events() -> None:
    """Print how long one event takes through 50 strategies of 19 indicators, nothing committed."""
    rng = random.Random(1)
    strategies = tuple(random_strategy(k, rng) for k in range(STRATEGIES))
    bot = Bot(SETTINGS, [LaneSpec(instrument=INSTRUMENT, strategies=strategies)], id_prefix="b")
    rows = random_rows(WARM_EVENTS + EVENTS)
    lane = np.zeros(1, np.int64)
    singles = [np.ascontiguousarray(rows[:, k : k + 1]) for k in range(rows.shape[1])]
    taken: list[float] = []
    gc.collect()
    for single in singles:
        began = perf_counter()
        block = bot.load(lane, single)
        place = 0
        while place < block.n:
            place, _ = bot.advance(block, place, block.n)
        taken.append(perf_counter() - began)
        bot.take_records()
    cuts = statistics.quantiles(taken[WARM_EVENTS:], n=100)
    report(f"one event through {STRATEGIES} strategies, p50", cuts[49], at_most=20)
    report(f"one event through {STRATEGIES} strategies, p99", cuts[98])


def main() -> int:
    """Print both figures."""
    cost_of_orders()
    latency_of_events()
    return 0


if __name__ == "__main__":
    sys.exit(main())
