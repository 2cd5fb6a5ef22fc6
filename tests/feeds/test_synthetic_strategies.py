"""The shipped strategies on the synthetic market: what a new user sees in the first minutes."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from botd.core.bot import Bot, LaneSpec
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.records import Record, RiskRecord, TradeRecord
from botd.core.settings import CoreSettings
from botd.core.updates import PortfolioSnapshot
from botd.feeds.synthetic import SyntheticFeed
from botd.language.strategy import read_strategy
from botd.language.typed import Strategy
from botd.runtime.batch import run_batch
from botd.runtime.loop import Group, TradingLoop
from botd.venues.simulated import SimulatedVenue

SECOND = 1_000_000
HOUR = 3600 * SECOND
NOW = 1_763_690_017_123_456  # 2025-11-21 01:53:37 UTC
FOLDER = Path(__file__).parents[2] / "strategies"
STEPS = {"BTC": ("0.1", "0.001"), "ETH": ("0.01", "0.001"), "SOL": ("0.01", "0.01")}


def shipped() -> list[Strategy]:
    strategies = []
    for path in sorted(FOLDER.glob("*.yaml")):
        strategy, diagnostics = read_strategy(path.read_text(), str(path))
        assert strategy is not None, [one.render() for one in diagnostics]
        strategies.append(strategy)
    return strategies


def instrument(name: str) -> Instrument:
    base, quote = name.split(":")[0].split("/")
    perpetual = ":" in name
    tick, lot = STEPS.get(base, ("0.00000001", "1"))
    return Instrument(
        id=InstrumentId(name),
        kind=InstrumentKind.PERPETUAL if perpetual else InstrumentKind.SPOT,
        base=base,
        quote=quote,
        tick_size=Decimal(tick),
        lot_size=Decimal(lot),
        taker_fee=Decimal("0.0005") if perpetual else Decimal("0.001"),
        maker_fee=Decimal("0.0002") if perpetual else Decimal("0.001"),
    )


def run(strategies: Sequence[Strategy], hours: int, seed: int) -> list[Record]:
    names = sorted({name for strategy in strategies for name in strategy.instruments})
    instruments = [instrument(name) for name in names]
    settings = CoreSettings(equity={"USDT": Decimal(10_000), "BTC": Decimal(1)})
    specs = [
        LaneSpec(instrument=one, strategies=tuple(s for s in strategies if one.id in s.instruments))
        for one in instruments
    ]
    loop = TradingLoop(
        Bot(settings, specs, id_prefix="t"),
        SimulatedVenue(instruments, settings.paper, balances=settings.equity),
        lane_of=list(range(len(instruments))),
        bar_length_us=None,
    )
    feed = SyntheticFeed(instruments, seed=seed)
    records: list[Record] = []

    def take(group: Group) -> None:
        records.extend(group.records)

    run_batch(loop, feed.read(feed.position_at(NOW - hours * HOUR), until_us=NOW), take)
    return records


@pytest.mark.parametrize("seed", [1, 2])
def test_a_trade_closes_every_half_minute_and_nothing_is_denied(seed: int) -> None:
    strategies = [one for one in shipped() if one.id in ("breakout", "mean_reversion")]
    records = run(strategies, 3, seed)
    trades = [one for one in records if isinstance(one, TradeRecord)]
    assert {trade.strategy for trade in trades} == {"breakout", "mean_reversion"}
    warm_us = NOW - 3 * HOUR + 300 * SECOND
    closed = sorted(trade.closed_us for trade in trades if trade.closed_us > warm_us)
    gaps = [after - before for before, after in pairwise([warm_us, *closed, NOW])]
    assert max(gaps) < 30 * SECOND
    assert not [one for one in records if isinstance(one, RiskRecord) and not one.approved]


def test_the_demonstration_neither_ruins_nor_promises_riches() -> None:
    """Limits of loss must not stop it on the first day, nor profits grow its orders over the limits."""
    records = run(shipped(), 9, 1)
    last = {one.currency: one.equity for one in records if isinstance(one, PortfolioSnapshot)}
    assert Decimal(9_950) < last["USDT"] < Decimal(11_500)
    assert Decimal("0.98") < last["BTC"] < Decimal("1.05")
    traded = {one.strategy for one in records if isinstance(one, TradeRecord)}
    assert traded == {"breakout", "mean_reversion", "pump_rider", "sma_cross"}
