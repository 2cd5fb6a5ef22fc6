"""The in-kernel policy trades what the full core trades: rows, sides, quantities, prices, times."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pytest
from numpy.typing import NDArray

from botd.core.bot import Bot, LaneSpec
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.records import FillRecord, OrderRecord, RiskRecord, TradeRecord
from botd.core.settings import CoreSettings, Limits, PaperSettings
from botd.engine.engine import InstrumentEngine
from botd.engine.layout import ASK, ASZ, BID, BSZ, MARK, N_COLUMNS, N_INPUT, SIDE, P, Q, T
from botd.engine.sweep import PolicyRun
from botd.engine.timers import TimerSource
from botd.errors import InvariantBroken
from botd.feeds.book import derive_top
from botd.language.program import compile_program
from botd.language.strategy import read_strategy
from botd.language.typed import Strategy
from botd.ports import Chunk
from botd.runtime.loop import TradingLoop
from botd.venues.simulated import SimulatedVenue
from tests.engine.cases import MINUTE, SECOND, pump_rows, random_bars, random_rows

D = Decimal
LOTS = 40
MS = 1_000
X = Instrument(
    id=InstrumentId("X/USDT:USDT"),
    kind=InstrumentKind.PERPETUAL,
    base="X",
    quote="USDT",
    tick_size=D("0.01"),
    lot_size=D("0.001"),
    taker_fee=D("0.0007"),
    maker_fee=D("0.0002"),
)
OPEN_LIMITS = Limits(
    position_max_usd=None,
    losing_streak_max=10**9,
    orders_per_minute_max=10**9,
    rejects_in_a_row_max=10**9,
    drawdown_max=D(1),
    daily_loss_max=D(1),
)
Trade = tuple[str, int, int, int, int]  # strategy, row decided, time of the fill, signed lots, price

TICKS = """strategy: {name}
instruments: [X/USDT:USDT]
side: {side}
let:
  speed: twpa(2s) / twpa(20s) - 1
S1:
  when: speed {up} 0.1%
  confidence: "clamp(volume(10s) / volume(20s), 0, 1)"
  cooldown: {cooldown}
O1: {{ when: speed {down} -0.05%, after: 4s }}
Z1:
  when: spread < 1%
  order: {{ type: market, slippage_max: 50% }}
  size: {{ fixed: 0.04 X }}
ZE1:
  - {{ name: gain, when: pnl > 0.2% for 1s, close: 100% }}
  - {{ name: back, when: pnl_max - pnl > 0.15% and held > 2s, close: 100% }}
  - {{ name: fade, when: speed {down} 0, close: 100% }}
E1:
  - {{ name: crash, when: speed {down} -0.1%, cooldown: 15s }}
  - {{ name: deep, when: pnl crosses below -0.25%, cooldown: 40s }}
protect: {{ take_profit: 0.4%, trailing_stop: 0.3%, holding_max: 9s }}
on_stop: keep
"""
BARS = """strategy: {name}
instruments: [X/USDT:USDT]
side: {side}
let:
  fast: sma(close(1m), 3)
  slow: sma(close(1m), 12)
S1: {{ when: fast {up} slow, cooldown: {cooldown} }}
Z1: {{ when: always, order: {{ type: market, slippage_max: 50% }}, size: {{ fixed: 0.04 X }} }}
ZE1:
  - {{ name: out, when: fast {down} slow, close: 100% }}
  - {{ name: old, when: held > 9m, close: 100% }}
E1: [ {{ name: deep, when: pnl < -0.15%, cooldown: 5m }} ]
protect: {{ take_profit: 0.25%, trailing_stop: 0.2%, holding_max: 7m }}
on_stop: keep
"""


def strategies(template: str, cooldown: str = "0s") -> tuple[Strategy, ...]:
    """Read the template for both sides: the short one's comparisons are turned around."""
    found = []
    for side, up, down in (("long", ">", "<"), ("short", "<", ">")):
        text = template.format(name=side, side=side, up=up, down=down, cooldown=cooldown)
        if side == "short":  # ratios change their sign with the side, except P&L's
            text = (
                text.replace("< 0.1%", "< -0.1%").replace("> -0.05%", "> 0.05%").replace("> -0.1%", "> 0.1%")
            )
        strategy, faults = read_strategy(text, "tried.yaml")
        assert strategy is not None, "\n".join(fault.render() for fault in faults)
        found.append(strategy)
    return tuple(found)


class Core:
    """What the bot, its loop and its venue made of market rows."""

    def __init__(
        self,
        plan: Sequence[Strategy],
        market: NDArray[np.int64],
        latency_us: int,
        *,
        bars: bool,
        slippage: str,
    ) -> None:
        length = MINUTE if bars else None
        settings = CoreSettings(
            outlier_sigma=0.0,  # the in-kernel policy takes every print as it comes
            equity={"USDT": D(10**9)},
            limits=OPEN_LIMITS,
            paper=PaperSettings(
                latency_min_us=latency_us, latency_max_us=latency_us, bar_slippage=D(slippage)
            ),
        )
        spec = LaneSpec(instrument=X, strategies=tuple(plan))
        bot = Bot(settings, [spec], id_prefix="c", block_max=256, bar_length_us=length)
        venue = SimulatedVenue([X], settings.paper, balances=settings.equity, bars_only=bars)
        loop = TradingLoop(bot, venue, lane_of=[0], bar_length_us=length)
        chunk = Chunk(position=0, instrument=np.zeros(market.shape[1], np.int64), rows=market)
        records = [record for group in loop.run(chunk) for record in group.records]
        rows = {r.client_order_id: r.row for r in records if isinstance(r, OrderRecord)}
        filled = [r for r in records if isinstance(r, FillRecord)]
        assert all(r.approved for r in records if isinstance(r, RiskRecord))
        self.trades: list[Trade] = [
            (
                r.strategy,
                rows[r.client_order_id],
                r.ts_us,
                int(r.qty / X.lot_size) * (1 if r.side == "buy" else -1),
                int(r.price / X.tick_size),
            )
            for r in filled
        ]
        self.realized = {
            s.id: sum((r.realized_pnl for r in filled if r.strategy == s.id), D(0)) for s in plan
        }
        self.fees = {s.id: sum((r.fee for r in filled if r.strategy == s.id), D(0)) for s in plan}
        self.closed = {
            s.id: sum(1 for r in records if isinstance(r, TradeRecord) and r.strategy == s.id) for s in plan
        }
        self.rules = {(r.strategy, r.section, r.rule) for r in records if isinstance(r, OrderRecord)}


def policy(
    plan: Sequence[Strategy],
    market: NDArray[np.int64],
    latency_us: int,
    *,
    bars: bool,
    slippage: str,
    fee_e4: int = 0,
    block: int = 512,
    fills_max: int = 20_000,
) -> PolicyRun:
    rows = TimerSource(MINUTE if bars else None).extend(market, int(market[T].max()))
    ring = np.zeros((N_COLUMNS, rows.shape[1]), np.int64)
    ring[:N_INPUT] = rows
    engine = InstrumentEngine(
        compile_program(plan),
        tick=float(X.tick_size),
        lot=float(X.lot_size),
        block_max=block,
        bar_length_us=MINUTE if bars else 0,
    )
    engine.attach(ring)
    run = PolicyRun(
        engine,
        lots=LOTS,
        latency_us=latency_us,
        fee_e4=fee_e4,
        slippage_ppm=int(D(slippage) * 1_000_000),
        confidence_min=0.5,
        bars_only=bars,
        fills_max=fills_max,
    )
    run.run(rows.shape[1], block)
    return run


def by_time(trades: Sequence[Trade]) -> list[Trade]:
    return sorted(trades, key=lambda trade: (trade[2], trade[0], trade[1]))


def compare(
    plan: Sequence[Strategy],
    market: NDArray[np.int64],
    latency_us: int,
    *,
    bars: bool = False,
    slippage: str = "0",
) -> Core:
    """Hold the kernel's fills and money to the core's; return what the core did."""
    core = Core(plan, market, latency_us, bars=bars, slippage=slippage)
    run = policy(plan, market, latency_us, bars=bars, slippage=slippage)
    fills = [(plan[f.machine].id, f.row, f.ts_us, f.lots, f.price) for f in run.fills()]
    assert by_time(fills) == by_time(core.trades)
    with_fees = policy(plan, market, latency_us, bars=bars, slippage=slippage, fee_e4=7, block=64)
    assert with_fees.fills() == run.fills()
    for strategy, result, costly in zip(plan, run.results(), with_fees.results(), strict=True):
        own = [t for t in core.trades if t[0] == strategy.id]
        assert result.fills == len(own)
        assert result.round_trips == core.closed[strategy.id]
        held = result.cost if result.qty > 0 else -result.cost
        assert X.money(result.cash // 10_000 + (held if result.qty else 0)) == core.realized[strategy.id]
        paid = sum(abs(lots) * price for *_, lots, price in own) * 7  # 7 bps of every fill, unrounded
        assert result.cash - costly.cash == paid
        # the core rounds every fee to 1e-8
        exact = X.money(paid) / 10_000
        assert abs(exact - core.fees[strategy.id]) <= len(own) * D("0.5e-8")
    return core


def bursts(seed: int, n: int) -> NDArray[np.int64]:
    """Make prints with sudden runs up and down; sizes unknown, the top derived from the prints."""
    rng = np.random.default_rng(seed)
    rows = random_rows(seed, n, gap_us=250_000, timers=False)
    drift = np.zeros(n)
    for start in rng.integers(0, n, n // 60):
        drift[start : start + int(rng.integers(10, 60))] += rng.choice([-1, 1]) * rng.uniform(5, 40)
    rows[P] = np.maximum(1000, 100_000 + np.cumsum(np.rint(rng.normal(0, 6, n) + drift)).astype(np.int64))
    spread = rng.integers(1, 30, n)
    rows[BID], rows[ASK] = rows[P] - spread, rows[P] + spread
    rows[BSZ] = rows[ASZ] = 0
    rows[MARK] = 0
    return rows


@pytest.mark.parametrize("latency_us", [0, 1, 100 * MS, 3 * SECOND])
@pytest.mark.parametrize("cooldown", ["0s", "30s"])
def test_policy_equals_the_core_on_bursts(latency_us: int, cooldown: str) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    core = compare(strategies(TICKS, cooldown), bursts(seed, 20_000), latency_us)
    assert len(core.trades) > 40
    assert len({section for _, section, _ in core.rules}) >= 3


def test_policy_equals_the_core_with_marks() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rows = bursts(seed, 20_000)
    rows[MARK] = rows[P] + np.random.default_rng(seed).integers(-200, 200, 20_000)
    assert len(compare(strategies(TICKS), rows, 150 * MS).trades) > 40


@pytest.mark.parametrize("latency_us", [0, 300 * MS, 90 * SECOND])
@pytest.mark.parametrize("slippage", ["0", "0.001"])
def test_policy_equals_the_core_on_bars(latency_us: int, slippage: str) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rows = random_bars(seed, 3000)
    keep = np.random.default_rng(seed).random(3000) > 0.05  # missing bars make timers
    keep[0] = True
    core = compare(
        strategies(BARS), np.ascontiguousarray(rows[:, keep]), latency_us, bars=True, slippage=slippage
    )
    assert len(core.trades) > 40
    assert len({section for _, section, _ in core.rules}) >= 3


def test_sale_at_one_tick_equals_the_core() -> None:
    rows = random_bars(1, 400)
    for column in (P, BID, ASK, *range(10, 13)):
        rows[column] = np.maximum(1, rows[column] - 100_000)
    core = compare(strategies(BARS), rows, 0, bars=True, slippage="0.001")
    assert core.trades


@pytest.mark.parametrize("file", ["NXSBTC_2020-03-03T1600.parquet", "EVXBTC_2021-01-09T2100.parquet"])
def test_policy_equals_the_core_on_pumps(file: str) -> None:
    rows = pump_rows(60_000, file)
    bid, ask, _, _ = derive_top(rows[P], rows[Q], rows[SIDE])
    rows[BID], rows[ASK] = bid, ask
    rows[BSZ] = rows[ASZ] = rows[MARK] = 0
    core = compare(strategies(TICKS), rows, 200 * MS)
    assert len(core.trades) > 100


def test_block_size_changes_nothing() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rows = bursts(seed, 3000)
    plan = strategies(TICKS)
    runs = [policy(plan, rows, 100 * MS, bars=False, slippage="0", fee_e4=7, block=b) for b in (1, 63, 512)]
    assert len(runs[0].fills()) > 4
    assert runs[0].fills() == runs[1].fills() == runs[2].fills()
    assert runs[0].results() == runs[1].results() == runs[2].results()


def test_log_that_was_too_short_is_refused() -> None:
    run = policy(strategies(TICKS), bursts(3, 3000), 0, bars=False, slippage="0", fills_max=5)
    assert sum(result.fills for result in run.results()) > 5
    with pytest.raises(InvariantBroken, match="do not fit into a log of 5"):
        run.fills()
