"""One instrument of the synthetic market: its rows of any minute, from (seed, UTC time) alone.

The price is a level built from waves of fixed periods, so it is continuous without any running sum.
On it ride the events that the shipped strategies are to find:

- a *burst* (quotes other than BTC): on six times the volume the price rises, falls through its start
  and recovers within 20 s. Two of three *run* on for 5 s, to 0.4-0.7 %; of the others most are *traps*
  that top out after 1.5 s, and one in twelve is a *slide* whose fall goes on after a first turn;
- a *pump* (BTC quotes), once in every eight hours: 72 market buys in 25 s, each over four prices of one
  timestamp, lift the price by 10-20 %, which takes half an hour to fade;
- a *trend* (BTC against another money): neither, but slow waves that averages cross on.

Every minute of an instrument has a fixed number of rows, and a pump adds a fixed number to its minute:
that is what makes positions exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Final

import numpy as np

from botd.core.instrument import Instrument
from botd.engine import layout as col
from botd.engine.layout import N_INPUT, RowKind
from botd.feeds.chance import F64, make_key, pick, ramp, unit, wave
from botd.ports import I64

SECOND_US: Final = 1_000_000
BLOCK_US: Final = 60 * SECOND_US
EPOCH_BLOCK: Final = 1_577_836_800 // 60  # 2020-01-01, the minute of position 0
PUMP_BLOCKS: Final = 480  # one pump per eight hours
QUIET_ROWS: Final = 60  # per minute
BURST_ROWS: Final = 40
PUMP_ORDERS: Final = 72
PUMP_PRINTS: Final = 4
PUMP_ROWS: Final = PUMP_ORDERS * PUMP_PRINTS

_ROW_STRIDE: Final = 4096  # random numbers are counted by minute * stride + row
_SURGE_S: Final = 7.0  # how long a burst's extra trades come
_PUMP_S: Final = 25.0
_PRICES_USD: Final = {
    "BTC": 60_000.0,
    "ETH": 3_000.0,
    "BNB": 500.0,
    "SOL": 150.0,
    "LTC": 80.0,
    "LINK": 15.0,
    "AVAX": 30.0,
    "DOT": 6.0,
    "XRP": 0.6,
    "ADA": 0.5,
    "DOGE": 0.15,
}
_TICKS_MIN: Final = 1000  # a coarser price would step by more than 10 bps

# period in seconds, amplitude as a ratio of the price
_WAVES: Final = {
    "burst": ((21_600, 0.008), (3_600, 0.003), (600, 0.001), (61, 0.0003), (7, 0.0001)),
    "pump": ((21_600, 0.02), (3_600, 0.006), (600, 0.003), (61, 0.0015)),
    "trend": ((21_600, 0.012), (5_400, 0.008), (1_500, 0.005), (240, 0.001), (17, 0.0002)),
}


@dataclass(frozen=True, slots=True)
class Burst:
    """How a burst goes: its height as a ratio of the price, and (second, share of the height) to pass."""

    height: tuple[float, float]  # least and most
    knots: tuple[tuple[float, float], ...]


# Heights and order are chosen so that the shipped strategies come out a little ahead after fees, win
# more than they lose, and never lose often enough in a row to meet their limits.
_RUN: Final = Burst((0.0040, 0.0066), ((0, 0), (5, 1), (6, 1), (13, -0.45), (19, 0)))
_TRAP: Final = Burst((0.0035, 0.0045), ((0, 0), (1.5, 1), (4, -0.5), (13, -0.5), (19, 0)))
_SLIDE: Final = Burst((0.0029, 0.0041), ((0, 0), (1.5, 1), (5, -0.6), (8, -0.3), (15, -2.1), (20, 0)))
_BURST_ORDER: Final = (_RUN, _RUN, _TRAP, _RUN, _RUN, _TRAP, _RUN, _RUN, _TRAP, _RUN, _RUN, _SLIDE)


class Temper(StrEnum):
    """What events an instrument has."""

    BURST = "burst"
    PUMP = "pump"
    TREND = "trend"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When an instrument's events come."""

    temper: Temper
    burst_seconds: tuple[int, ...] = ()  # seconds of every minute at which a burst starts
    burst_shift: int = 0  # where in the order of kinds its first burst stands
    pump_offset: int = 0  # minutes into each eight hours, before the random shift


class SyntheticInstrument:
    """The rows of one instrument."""

    def __init__(self, instrument: Instrument, *, seed: int, schedule: Schedule) -> None:
        self.instrument = instrument
        self._schedule = schedule
        self.block_rows = QUIET_ROWS + BURST_ROWS * len(schedule.burst_seconds)
        key = self._key = make_key(seed, instrument.id)
        self._streams = {name: make_key(key, name) for name in ("time", "side", "size", "bid", "ask")}
        self._waves = [
            (make_key(key, "wave", period), period * SECOND_US, amplitude)
            for period, amplitude in _WAVES[schedule.temper]
        ]
        self._burst_key, self._pump_key = make_key(key, "burst"), make_key(key, "pump")
        self._base = _base_ticks(instrument, key)
        ratio = 0.001 if schedule.temper is Temper.PUMP else 0.0001
        self._spread = max(1, round(self._base * ratio))
        self._lots = _typical_lots(instrument, self._base)

    def rows_before(self, block: int) -> int:
        """Return how many rows there are from the epoch to the start of a minute."""
        return self.block_rows * (block - EPOCH_BLOCK) + PUMP_ROWS * self._pumps_before(block)

    def rows(self, first: int, end: int) -> I64:
        """Return int64[N_INPUT, n] of the minutes [first, end), in no order of time.

        Rows of one minute keep one order among themselves whatever range is asked for, so a stable
        sort by time gives one result.
        """
        times, number = self._plain_times(first, end)
        base = self._trades(times, number)
        pumps = [self._pump_rows(block) for block in self._pump_blocks(first, end)]
        return np.concatenate([base, *pumps], axis=1) if pumps else base

    def level(self, times_us: I64) -> F64:
        """Return the price in ticks, before rounding and spread."""
        ratio = np.ones(times_us.size)
        for key, period_us, amplitude in self._waves:
            ratio += amplitude * wave(key, times_us, period_us)
        if self._schedule.burst_seconds:
            ratio += self._burst(times_us)[0]
        if self._schedule.temper is Temper.PUMP:
            ratio += self._pump(times_us)
        return self._base * ratio

    def pump_start_us(self, period: int) -> int:
        """Return when the pump of one eight hours starts."""
        bits = pick(self._pump_key, period)
        minute = period * PUMP_BLOCKS + self._schedule.pump_offset + bits % 40
        return minute * BLOCK_US + (5 + (bits >> 16) % 15) * SECOND_US

    def _plain_times(self, first: int, end: int) -> tuple[I64, I64]:
        """Return times and random numbers of the quiet and burst rows of some minutes."""
        blocks = np.arange(first, end, dtype=np.int64)
        number = (blocks[:, None] * _ROW_STRIDE + np.arange(self.block_rows)).ravel()
        luck = unit(self._streams["time"], number).reshape(blocks.size, self.block_rows)
        seconds = np.empty_like(luck)
        quiet = np.arange(QUIET_ROWS)
        seconds[:, :QUIET_ROWS] = (quiet + luck[:, :QUIET_ROWS]) * (60.0 / QUIET_ROWS)
        for i, start in enumerate(self._schedule.burst_seconds):
            lo = QUIET_ROWS + i * BURST_ROWS
            share = (np.arange(BURST_ROWS) + luck[:, lo : lo + BURST_ROWS]) / BURST_ROWS
            seconds[:, lo : lo + BURST_ROWS] = start + share * _SURGE_S
        offset_ms = (seconds * 1000.0).astype(np.int64)
        return (blocks[:, None] * BLOCK_US + offset_ms * 1000).ravel(), number

    def _trades(self, times: I64, number: I64) -> I64:
        """Return rows of single trades at the top of a book around the level."""
        level = self.level(times)
        bid = np.floor(level - 0.5 * self._spread).astype(np.int64)
        ask = bid + self._spread
        busy = np.ones(times.size)
        buy_share = np.full(times.size, 0.5)
        if self._schedule.burst_seconds:
            _, age, rise_s = self._burst(times)
            busy += 5.0 * (age < _SURGE_S)
            buy_share += 0.4 * (age < rise_s) - 0.3 * ((age >= rise_s + 1.0) & (age < 13.0))
        buy = unit(self._streams["side"], number) < buy_share
        lots = self._sizes("size", number, busy)
        price = np.where(buy, ask, bid)
        return self._fill(times, price, lots, np.where(buy, 1, -1), bid, ask, number)

    def _pump_rows(self, block: int) -> I64:
        """Return the rows that a pump adds to its minute: market buys over several prices each."""
        start_us = self.pump_start_us(block // PUMP_BLOCKS)
        order = np.arange(PUMP_ORDERS)
        first = block * _ROW_STRIDE + self.block_rows
        luck = unit(self._streams["time"], first + order)
        # More and more orders come: their number grows with the square of time.
        share = np.sqrt((order + luck) / PUMP_ORDERS)
        times = start_us + (share * (_PUMP_S * 1000.0)).astype(np.int64) * 1000
        times = np.repeat(times, PUMP_PRINTS)
        bid = np.floor(self.level(times) - 0.5 * self._spread).astype(np.int64)
        step = max(1, round(self._base * 0.0004))
        ask = bid + self._spread + np.tile(np.arange(PUMP_PRINTS), PUMP_ORDERS) * step
        number = first + PUMP_ORDERS + np.arange(PUMP_ROWS)
        lots = self._sizes("size", number, np.full(PUMP_ROWS, 8.0))
        return self._fill(times, ask, lots, np.ones(PUMP_ROWS, np.int64), bid, ask, number)

    def _fill(self, times: I64, price: I64, lots: I64, side: I64, bid: I64, ask: I64, number: I64) -> I64:
        rows = np.zeros((N_INPUT, times.size), dtype=np.int64)
        deep = np.full(times.size, 20.0)
        rows[col.T] = rows[col.VT] = rows[col.RT] = times
        rows[col.P] = rows[col.OPEN] = rows[col.HIGH] = rows[col.LOW] = price
        rows[col.Q], rows[col.SIDE], rows[col.KIND] = lots, side, RowKind.TRADE
        rows[col.BID], rows[col.ASK] = bid, ask
        rows[col.BSZ] = self._sizes("bid", number, deep)
        rows[col.ASZ] = self._sizes("ask", number, deep)
        return rows

    def _sizes(self, stream: str, number: I64, factor: F64) -> I64:
        """Return sizes in lots: a few large ones among many small, typically `factor` times the usual."""
        heavy = 0.35 / (unit(self._streams[stream], number) + 0.15)
        return np.maximum(np.rint(self._lots * factor * heavy), 1.0).astype(np.int64)

    def _burst(self, times_us: I64) -> tuple[F64, F64, F64]:
        """Return what bursts add to the price, as a ratio, seconds since the last one began, and for
        how many seconds it rises."""
        starts = self._schedule.burst_seconds
        cycle_us = BLOCK_US // len(starts)
        shifted = times_us - starts[0] * SECOND_US
        cycle = shifted // cycle_us
        age = (shifted - cycle * cycle_us) / float(SECOND_US)
        luck = unit(self._burst_key, cycle)
        kind = (cycle + self._schedule.burst_shift) % len(_BURST_ORDER)
        added, rise_s = np.zeros(times_us.size), np.zeros(times_us.size)
        for burst in dict.fromkeys(_BURST_ORDER):
            turns = [turn for turn, one in enumerate(_BURST_ORDER) if one is burst]
            mine = np.flatnonzero(np.isin(kind, turns))
            low, high = burst.height
            added[mine] = (low + (high - low) * luck[mine]) * _follow(burst.knots, age[mine])
            rise_s[mine] = burst.knots[1][0]
        return added, age, rise_s

    def _pump(self, times_us: I64) -> F64:
        """Return what pumps add to the price, as a ratio; each is over before the next one starts."""
        added = np.zeros(times_us.size)
        first, last = (int(t) // (PUMP_BLOCKS * BLOCK_US) for t in (times_us.min(), times_us.max()))
        for period in range(first - 1, last + 1):
            age = (times_us - self.pump_start_us(period)) / float(SECOND_US)
            left = 1.0 - np.clip(age / _PUMP_S, 0.0, 1.0)
            fade = 1.0 - np.clip((age - 30.0) / 1800.0, 0.0, 1.0)
            height = 0.10 + 0.10 * (pick(self._pump_key, period) >> 40) / (1 << 24)
            added += height * (1.0 - left * left) * (fade * fade * fade)
        return added

    def _pump_block(self, period: int) -> int:
        return self.pump_start_us(period) // BLOCK_US

    def _pumps_before(self, block: int) -> int:
        if self._schedule.temper is not Temper.PUMP:
            return 0
        period = block // PUMP_BLOCKS
        return period - EPOCH_BLOCK // PUMP_BLOCKS + (self._pump_block(period) < block)

    def _pump_blocks(self, first: int, end: int) -> list[int]:
        if self._schedule.temper is not Temper.PUMP:
            return []
        periods = range(first // PUMP_BLOCKS, (end - 1) // PUMP_BLOCKS + 1)
        return [block for block in map(self._pump_block, periods) if first <= block < end]


def _follow(knots: tuple[tuple[float, float], ...], age: F64) -> F64:
    """Return the smooth line through (second, value) knots, 0 before the first and the last after."""
    line = np.zeros(age.size)
    for (start, before), (end, after) in pairwise(knots):
        line += (after - before) * ramp(age, start, end)
    return line


def _base_ticks(instrument: Instrument, key: int) -> int:
    """Return the price that the waves swing around: a familiar one, or a random one."""
    price = _PRICES_USD.get(instrument.base)
    if price is None:
        return _TICKS_MIN + pick(key, 0) % (9 * _TICKS_MIN)
    money = _PRICES_USD.get(instrument.quote, 1.0)
    return max(_TICKS_MIN, round(price / money / float(instrument.tick_size)))


def _typical_lots(instrument: Instrument, base_ticks: int) -> float:
    """Return the lots of an everyday trade, worth some 300 USD."""
    notional = Decimal(300) / Decimal(str(_PRICES_USD.get(instrument.quote, 1.0)))
    return float(notional / instrument.money(base_ticks))
