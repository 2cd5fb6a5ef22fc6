"""A small market for simulated days: two instruments that move often, a pure function of seed and time.

Prints come every one to three seconds, and once a minute in a burst that lifts or drops the price by up to
one percent and lets it come back. Nothing has to be warmed up, and nothing remembers who asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from botd.core.instrument import Instrument, InstrumentId
from botd.engine import layout as col
from botd.engine.layout import N_INPUT, RowKind
from botd.errors import InvariantBroken
from botd.feeds.chance import F64, make_key, ramp, unit, wave
from botd.feeds.pacing import STREAM_ROWS_MAX, check_position
from botd.ports import I64, Chunk
from botd.simulation.clock import EPOCH_US
from botd.simulation.loop import VirtualLoop

MINUTE_US: Final = 60_000_000
LATENCY_US: Final = 80_000  # from a print to whoever listens

_SLOTS: Final = 30  # prints of a minute, two seconds apart
_SLOT_US: Final = 2_000_000
_BURST_ROWS: Final = 12
_BURST_STEP_US: Final = 250_000
_ROWS: Final = _SLOTS + _BURST_ROWS  # of one instrument in a minute
_BATCH: Final = 15  # minutes made at a time
_KEPT_MAX: Final = 16
_ROWS_IN_STALL: Final = 200  # that a busy host reads at a time


@dataclass(frozen=True, slots=True)
class Temper:
    """How an instrument moves: shares of its price, and sizes in lots."""

    start_ticks: int
    spread_ticks: int  # at most
    burst: tuple[float, float]
    top_lots: tuple[int, int]


TEMPERS: Final = (
    Temper(200_000, 4, (0.003, 0.010), (20, 400)),  # ETH/USDT:USDT in ticks of 0.01
    Temper(4_000, 2, (0.006, 0.020), (50, 1_000)),  # EVX/BTC in ticks of 1e-8
)


class Market:
    """Rows and tops of book of the given instruments, the first two of which have a temper."""

    def __init__(self, instruments: Sequence[Instrument], *, seed: int) -> None:
        self.instruments = tuple(instruments)
        self.seed = seed
        self.closed_us: int | None = None  # no print at or after this time
        self._kept: dict[int, Chunk] = {}

    @property
    def minute_rows(self) -> int:
        """Rows of all instruments in any minute."""
        return _ROWS * len(self.instruments)

    def chunk(self, position: int, end_us: int, rows_max: int) -> Chunk | None:
        """Return the rows from a position that were printed before a time, None where there are none."""
        if self.closed_us is not None:
            end_us = min(end_us, self.closed_us)
        whole = self._batch(position // self.minute_rows // _BATCH)
        start = position - whole.position
        stop = min(int(np.searchsorted(whole.rows[col.T], end_us)), start + rows_max)
        if stop <= start:
            return None
        rows = np.ascontiguousarray(whole.rows[:, start:stop])
        return Chunk(position=position, instrument=whole.instrument[start:stop].copy(), rows=rows)

    def time_us(self, position: int) -> int | None:
        """Return when the row of a position is printed, None where the market has closed before."""
        whole = self._batch(position // self.minute_rows // _BATCH)
        at = int(whole.rows[col.T, position - whole.position])
        return at if self.closed_us is None or at < self.closed_us else None

    def top(self, instrument: InstrumentId, now_us: int) -> tuple[int, int, int, int]:
        """Return (bid, ask, bid size, ask size) in ticks and lots, as of the last print before a time."""
        index = next(i for i, one in enumerate(self.instruments) if one.id == instrument)
        if self.closed_us is not None:
            now_us = min(now_us, self.closed_us)
        number = max(0, now_us - EPOCH_US) // (MINUTE_US * _BATCH)
        for batch in (number, number - 1):  # the last print may be of the one before
            whole = self._batch(max(0, batch))
            own = np.nonzero(whole.instrument == index)[0]
            at = int(np.searchsorted(whole.rows[col.T, own], now_us)) - 1
            if at >= 0 or batch <= 0:
                row = whole.rows[:, own[max(at, 0)]]  # before the first print: as it will be
                return int(row[col.BID]), int(row[col.ASK]), int(row[col.BSZ]), int(row[col.ASZ])
        raise InvariantBroken("a batch of the market has no rows")

    def _batch(self, number: int) -> Chunk:
        found = self._kept.get(number)
        if found is None:
            if len(self._kept) >= _KEPT_MAX:
                del self._kept[next(iter(self._kept))]
            found = self._kept[number] = self._make(number)
        return found

    def _make(self, number: int) -> Chunk:
        minutes = np.arange(number * _BATCH, (number + 1) * _BATCH, dtype=np.int64)
        parts = [self._rows(i, minutes) for i in range(len(self.instruments))]
        rows = np.concatenate(parts, axis=1)
        owner = np.repeat(np.arange(len(parts), dtype=np.int64), minutes.size * _ROWS)
        order = np.lexsort((owner, rows[col.T]))
        return Chunk(
            position=number * _BATCH * self.minute_rows,
            instrument=owner[order],
            rows=np.ascontiguousarray(rows[:, order]),
        )

    def _rows(self, index: int, minutes: I64) -> I64:
        """Return the rows of one instrument over whole minutes."""
        key = make_key(self.seed, "market", index)
        temper = TEMPERS[index]
        burst_us = self._burst_us(key, minutes)
        slots = minutes[:, None] * _SLOTS + np.arange(_SLOTS)
        jitter = (unit(make_key(key, "slot"), slots.ravel()).reshape(slots.shape) * 0.5 * _SLOT_US).astype(
            np.int64
        )
        even = slots * _SLOT_US + jitter
        extra = burst_us[:, None] + np.arange(_BURST_ROWS) * _BURST_STEP_US + 1
        since = np.sort(np.concatenate((even, extra), axis=1), axis=1).ravel()
        n = np.repeat(minutes, _ROWS) * _ROWS + np.tile(np.arange(_ROWS, dtype=np.int64), minutes.size)
        mid = self._mid(key, temper, since, np.repeat(burst_us, _ROWS), np.repeat(minutes, _ROWS))
        bid = np.rint(mid).astype(np.int64)
        ask = bid + 1 + (unit(make_key(key, "spread"), n) * temper.spread_ticks).astype(np.int64)
        buys = unit(make_key(key, "side"), n) < 0.5
        low, high = temper.top_lots
        sizes = [
            low + (unit(make_key(key, name), n) * (high - low)).astype(np.int64) for name in ("q", "b", "a")
        ]
        rows = np.zeros((N_INPUT, since.size), np.int64)
        rows[col.T] = rows[col.VT] = rows[col.RT] = EPOCH_US + since
        rows[col.P] = rows[col.OPEN] = rows[col.HIGH] = rows[col.LOW] = np.where(buys, ask, bid)
        rows[col.Q], rows[col.BSZ], rows[col.ASZ] = sizes
        rows[col.SIDE] = np.where(buys, 1, -1)
        rows[col.KIND] = int(RowKind.TRADE)
        rows[col.BID], rows[col.ASK] = bid, ask
        return rows

    def _burst_us(self, key: int, minutes: I64) -> I64:
        """Return when the burst of each minute begins; it is over within the minute."""
        return minutes * MINUTE_US + (unit(make_key(key, "burst"), minutes) * 35e6).astype(np.int64)

    def _mid(self, key: int, temper: Temper, since: I64, burst_us: I64, minutes: I64) -> F64:
        low, high = temper.burst
        size = low + (high - low) * unit(make_key(key, "height"), minutes)
        signed = np.where(unit(make_key(key, "up"), minutes) < 0.5, -size, size)
        age = (since - burst_us) / 1e6
        lift = signed * (ramp(age, 0.0, 3.0) - ramp(age, 6.0, 20.0))
        slow = wave(make_key(key, 1), since, 600_000_000) * 0.006
        middle = wave(make_key(key, 2), since, 45_000_000) * 0.002
        fast = wave(make_key(key, 3), since, 5_000_000) * 0.0004
        return temper.start_ticks * (1.0 + slow + middle + fast + lift)


class MarketFeed:
    """ports.Feed over a market, in the loop's own time: what a host believes the time to be changes nothing.

    Rows that have come within `pause_s` of the last ones are handed out together, as a busy line does.
    """

    bar_length_us = None
    seekable = True
    kinds = frozenset({RowKind.TRADE})

    def __init__(self, market: Market, loop: VirtualLoop, *, pause_s: float, stall_s: float = 0.0) -> None:
        """With `stall_s` old rows are read a few at a time, and the host is busy for so long over each."""
        self.instruments = market.instruments
        self.identity = f"simulated:{market.seed}"
        self._market = market
        self._loop = loop
        self._pause_us = round(pause_s * 1e6)
        self._stall_s = stall_s

    def read(self, position: int, *, rows_max: int = 65536) -> Iterator[Chunk]:
        """Yield the rows from a position that have arrived by now."""
        check_position(position, rows_max)
        if self._stall_s:
            rows_max = min(rows_max, _ROWS_IN_STALL)
        while (chunk := self._market.chunk(position, self._heard_us(), rows_max)) is not None:
            self._loop.stall(self._stall_s)
            yield chunk
            position += chunk.rows.shape[1]

    async def stream(self, position: int) -> AsyncIterator[Chunk]:
        """Yield rows as they arrive; a market that has closed is silent for ever."""
        check_position(position, STREAM_ROWS_MAX)
        while True:
            chunk = self._market.chunk(position, self._heard_us(), STREAM_ROWS_MAX)
            if chunk is not None:
                yield chunk
                position += chunk.rows.shape[1]
                continue
            due_us = self._market.time_us(position)
            if due_us is None:
                await self._loop.create_future()  # nothing more comes
            else:
                last_us = self._heard_us() + self._pause_us
                await asyncio.sleep((max(due_us + 1, last_us) - self._heard_us()) / 1e6)

    def _heard_us(self) -> int:
        """Return the time whose prints have just arrived."""
        return EPOCH_US + round(self._loop.now_s * 1e6) - LATENCY_US
