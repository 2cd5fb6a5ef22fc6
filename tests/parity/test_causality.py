"""No decision knows what comes after it: random strategies, the whole core, every later row changed."""

from __future__ import annotations

import json
import random
from decimal import Decimal

import numpy as np
import pytest
from numpy.typing import NDArray

from botd.core.bot import Bot, LaneSpec
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.records import Record
from botd.core.settings import CoreSettings, Limits
from botd.engine.layout import ASK, ASZ, BID, BSZ, HIGH, LOW, OPEN, SIDE, P, Q, T
from botd.language.strategy import read_strategy
from botd.ports import Chunk
from botd.runtime.loop import TradingLoop
from botd.venues.simulated import SimulatedVenue
from tests.engine.cases import random_rows
from tests.engine.expressions import conditions
from tests.parity.runs import lines_of

I64 = NDArray[np.int64]
ROWS = 1_500
CUTS = (200, 600, 1_100)
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
WIDE = Limits(
    position_max=Decimal(10), position_max_usd=None, symbol_exposure_max=Decimal(10),
    total_exposure_max=Decimal(10), daily_loss_max=Decimal(1), drawdown_max=Decimal(1),
    losing_streak_max=10**6, orders_per_minute_max=10**6, leverage_max=Decimal(10),
    concentration_max=Decimal(10), margin_use_max=Decimal(10), rejects_in_a_row_max=10**6,
)  # fmt: skip
STRATEGY = """strategy: random
instruments: [BTC/USDT:USDT]
side: {side}
S1: {{ when: "{s1}", cooldown: 1s }}
O1: {{ when: "{o1}", after: 20s }}
Z1: {{ when: "{z1}", order: {{ type: market, slippage_max: 50% }}, size: {{ fixed: 200 USDT }} }}
ZE1:
  - {{ name: half, when: "{half}", close: 50% }}
  - {{ name: rest, when: "held > 4s and ({rest})", close: 100% }}
E1: [ {{ name: crash, when: "pnl < -20%", cooldown: 2s }} ]
protect: {{ stop_loss: 40%, take_profit: 50%, trailing_stop: 45%, holding_max: 30s }}
on_stop: keep
"""


def strategy_text(seed: int) -> str:
    rng = random.Random(seed)
    s1, o1, z1, half, rest = conditions(seed, 5)
    easy = "price > twpa(3s)"  # turns often, so that S1 arms again
    return STRATEGY.format(
        side=rng.choice(["long", "short"]),
        s1=rng.choice([s1, f"{s1} or {easy}", easy]),
        o1=rng.choice([o1, "never"]),
        z1=rng.choice([z1, "always"]),
        half=half,
        rest=rng.choice([rest, "always"]),
    )


def decisions(text: str, rows: I64, *, peek: int = 0) -> list[str]:
    """Return the decision lines of a run; `peek` plants a fault: prices come so many rows too early."""
    strategy, faults = read_strategy(text, "random.yaml")
    assert strategy is not None, [fault.render() for fault in faults]
    if peek:
        rows = rows.copy()
        for column in (P, BID, ASK):
            rows[column, :-peek] = rows[column, peek:]
    settings = CoreSettings(equity={"USDT": Decimal(100_000)}, limits=WIDE)
    bot = Bot(settings, [LaneSpec(instrument=INSTRUMENT, strategies=(strategy,))], id_prefix="c")
    venue = SimulatedVenue([INSTRUMENT], settings.paper, balances=settings.equity)
    loop = TradingLoop(bot, venue, lane_of=[0], bar_length_us=None)
    records: list[Record] = []
    chunk = Chunk(position=0, instrument=np.zeros(rows.shape[1], np.int64), rows=rows)
    for group in loop.run(chunk):
        records.extend(group.records)
    return lines_of(records)


def changed_after(rows: I64, cut: int, seed: int) -> I64:
    """Return rows with other prices, sizes and sides after `cut`; their times stay."""
    rng = np.random.default_rng(seed)
    out = rows.copy()
    n = rows.shape[1] - cut - 1
    after = slice(cut + 1, None)
    out[[P, BID, ASK, OPEN, HIGH, LOW], after] += rng.integers(50, 3_000, n)
    out[[Q, BSZ, ASZ], after] += rng.integers(1, 5_000, n)
    out[SIDE, after] = rng.choice([-1, 1], n)
    return out


def upto(lines: list[str], ts_us: int) -> list[str]:
    return [
        line for line in lines if json.loads(line).get("ts_us", json.loads(line).get("closed_us")) <= ts_us
    ]


def seen_future(text: str, rows: I64, seed: int, *, peek: int = 0) -> tuple[int, int]:
    """Return how many decisions stand before the cuts, and how many cuts changed an earlier decision."""
    whole = decisions(text, rows, peek=peek)
    made = broken = 0
    for cut in CUTS:
        now = int(rows[T, cut])
        before = upto(whole, now)
        made += len(before)
        broken += upto(decisions(text, changed_after(rows, cut, seed), peek=peek), now) != before
    return made, broken


@pytest.mark.parametrize("base", [1000, 2000])
def test_no_decision_depends_on_later_rows(base: int) -> None:
    made = 0
    for seed in range(base, base + 15):
        rows = market(seed)
        count, broken = seen_future(strategy_text(seed), rows, seed)
        assert broken == 0, f"seed {seed}"
        made += count
    assert made > 1_500, "the strategies decide enough for the test to mean something"


def test_planted_look_into_the_future_is_caught() -> None:
    caught = 0
    for seed in range(3000, 3008):
        caught += seen_future(strategy_text(seed), market(seed), seed, peek=60)[1] > 0
    assert caught >= 3


def market(seed: int) -> I64:
    """Return market rows with times that do not fall and no two cuts in one instant."""
    rows = random_rows(seed, ROWS, timers=False)
    for cut in CUTS:  # rows of one time are one instant: what follows at the same time is not the future
        rows[T, cut + 1 :] += 1
    return rows
