"""Statistics of a run in one currency. What is undefined is None, never 0 and never infinite."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from itertools import pairwise
from typing import Final

from botd.core.instrument import InstrumentId
from botd.core.money import ZERO
from botd.core.periods import HOUR_US
from botd.core.trade_stats import ClosedTrade, TradeStats, measure_trades

HOURS_PER_YEAR: Final = 8760
HOURS_MIN: Final = 168


@dataclass(frozen=True, slots=True)
class EquitySample:
    """The equity of one currency at one time."""

    ts_us: int
    equity: Decimal


@dataclass(frozen=True, slots=True)
class ActedSignal:
    """A signal (S1) that was acted on; its round trip carries the same cycle."""

    strategy: str
    instrument: InstrumentId
    cycle: int


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall from a peak of the equity samples, and the longest time below one."""

    depth: float  # 1 - equity / peak
    length_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance(TradeStats):
    """What a run came to: its trades, and its equity meanwhile."""

    exposure_time: float | None  # share of the time with a position
    max_drawdown: float | None
    max_drawdown_length_us: int | None
    sharpe: float | None  # annual, from hourly samples
    sortino: float | None
    calmar: float | None
    signals_acted_count: int
    signals_judged_count: int  # of those: their trade has closed, or O1 forgot them
    signal_accuracy: float | None  # share of the judged whose trade closed with a profit


def summarize(
    trades: Sequence[ClosedTrade],
    *,
    samples: Sequence[EquitySample],
    signals: Iterable[ActedSignal] = (),
    forgotten: Iterable[ActedSignal] = (),
    start_us: int,
    end_us: int,
    open_since_us: Iterable[int] = (),
) -> Performance:
    """Return the statistics of trades that are all in one currency.

    `samples` rise in time; `forgotten` are the signals that O1 took back; `open_since_us` holds the opening
    times of positions still held at `end_us`.
    """
    stats = measure_trades(trades)
    drawdown = measure_drawdown(samples)
    returns = hourly_returns(samples)
    acted = list(signals)
    right, judged = _judge(trades, acted, frozenset(forgotten)) if acted else (0, 0)
    return Performance(
        **{field.name: getattr(stats, field.name) for field in fields(stats)},
        exposure_time=_exposure_time(trades, start_us, end_us, open_since_us),
        max_drawdown=drawdown.depth if drawdown else None,
        max_drawdown_length_us=drawdown.length_us if drawdown else None,
        sharpe=sharpe(returns),
        sortino=sortino(returns),
        calmar=calmar(returns, drawdown.depth if drawdown else None),
        signals_acted_count=len(acted),
        signals_judged_count=judged,
        signal_accuracy=right / judged if judged else None,
    )


def hourly(samples: Sequence[EquitySample]) -> list[Decimal]:
    """Return the equity standing at every whole hour from the first sample to the last."""
    if not samples:
        return []
    values: list[Decimal] = []
    place = 0
    hour = -(-samples[0].ts_us // HOUR_US) * HOUR_US
    while hour <= samples[-1].ts_us:
        while place + 1 < len(samples) and samples[place + 1].ts_us <= hour:
            place += 1
        values.append(samples[place].equity)
        hour += HOUR_US
    return values


def hourly_returns(samples: Sequence[EquitySample]) -> list[float] | None:
    """Return the simple returns between whole hours; None where some equity is not positive."""
    values = hourly(samples)
    if any(value <= 0 for value in values):
        return None
    return [float(now / before) - 1.0 for before, now in pairwise(values)]


def sharpe(returns: Sequence[float] | None) -> float | None:
    """Return mean / standard deviation (n - 1) of hourly returns, times the root of 8760.

    Sharpe (1994), risk-free rate 0. None under two returns and where they do not vary.
    """
    if returns is None or len(returns) < 2:
        return None
    mean = math.fsum(returns) / len(returns)
    variance = math.fsum((one - mean) ** 2 for one in returns) / (len(returns) - 1)
    if variance == 0.0:
        return None
    return mean / math.sqrt(variance) * math.sqrt(HOURS_PER_YEAR)


def sortino(returns: Sequence[float] | None) -> float | None:
    """Return mean / downside deviation of hourly returns, times the root of 8760.

    Sortino and Price (1994): the root mean square of the returns below 0, over all returns. None
    under two returns and where none is below 0.
    """
    if returns is None or len(returns) < 2:
        return None
    downside = math.fsum(min(one, 0.0) ** 2 for one in returns) / len(returns)
    if downside == 0.0:
        return None
    return math.fsum(returns) / len(returns) / math.sqrt(downside) * math.sqrt(HOURS_PER_YEAR)


def calmar(returns: Sequence[float] | None, drawdown: float | None) -> float | None:
    """Return the compound annual return of hourly returns over the deepest drawdown.

    Young (1991). None without a drawdown, and under a week of hours: a year made of less says nothing.
    """
    if returns is None or len(returns) < HOURS_MIN or not drawdown:
        return None
    growth = math.fsum(math.log1p(one) for one in returns) * HOURS_PER_YEAR / len(returns)
    return math.expm1(growth) / drawdown if growth < 700 else None


def measure_drawdown(samples: Sequence[EquitySample]) -> Drawdown | None:
    """Return the deepest drawdown and the longest time from a peak to its recovery, or to the end.

    None without samples or where the peak is not positive.
    """
    if not samples or samples[0].equity <= 0:
        return None
    peak, peak_us = samples[0].equity, samples[0].ts_us
    depth, length = ZERO, 0
    below = False
    for sample in samples:
        if below:
            length = max(length, sample.ts_us - peak_us)
        if sample.equity >= peak:
            peak, peak_us, below = sample.equity, sample.ts_us, False
        else:
            below = True
            depth = max(depth, 1 - sample.equity / peak)
    return Drawdown(float(depth), length)


def _exposure_time(
    trades: Sequence[ClosedTrade], start_us: int, end_us: int, open_since_us: Iterable[int]
) -> float | None:
    """Return the share of the run during which at least one position was held."""
    if end_us <= start_us:
        return None
    spans = [(trade.opened_us, trade.closed_us) for trade in trades]
    spans += [(opened_us, end_us) for opened_us in open_since_us]
    covered, reached = 0, start_us
    for opened_us, closed_us in sorted(spans):
        closed = min(closed_us, end_us)
        covered += max(0, closed - max(opened_us, reached))
        reached = max(reached, closed)
    return covered / (end_us - start_us)


def _judge(
    trades: Sequence[ClosedTrade], acted: Sequence[ActedSignal], forgotten: frozenset[ActedSignal]
) -> tuple[int, int]:
    """Return how many signals made money and how many were right or wrong at all.

    Of one that risk denied, whose order found no fill, or whose position is still open, nobody knows.
    """
    profits: dict[ActedSignal, bool] = {}
    for trade in trades:
        signal = ActedSignal(trade.strategy, InstrumentId(trade.instrument), trade.cycle)
        profits[signal] = profits.get(signal, False) or trade.realized_pnl > trade.fees
    judged = [signal for signal in acted if signal in profits or signal in forgotten]
    return sum(profits.get(signal, False) for signal in judged), len(judged)
