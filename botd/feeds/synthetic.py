"""A market that needs nobody: the same rows for the same seed and UTC time, whoever asks and when.

The feed sequence number of a row is its number since 2020-01-01 00:00 UTC over all instruments. Every
minute has a known number of rows (see `market`), so number and time lead to each other without a count.
"""

from __future__ import annotations

import asyncio
import hashlib
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

import numpy as np

from botd.core.instrument import Instrument
from botd.engine import layout as col
from botd.engine.layout import RowKind
from botd.errors import InputInvalid, InvariantBroken
from botd.feeds.market import (
    BLOCK_US,
    EPOCH_BLOCK,
    PUMP_BLOCKS,
    Schedule,
    SyntheticInstrument,
    Temper,
)
from botd.feeds.pacing import STREAM_ROWS_MAX, Pace, check_position, make_pace
from botd.ports import Chunk, Clock

_VERSION: Final = 1  # rises when the same seed and time give other rows
_BATCH_BLOCKS: Final = 30
_BURST_SECONDS: Final = (0, 20, 40, 10, 30, 50, 5, 25, 45, 15, 35)  # the n-th instrument's, from three on


class SyntheticFeed:
    """The synthetic market of some instruments.

    `speed` is event time over wall time: at 1 a row is due at its own UTC time; at other speeds the
    first row is due at once; None hands out rows as fast as they are asked for, without end.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        *,
        seed: int,
        clock: Clock | None = None,
        speed: float | None = 1.0,
    ) -> None:
        if not instruments:
            raise InputInvalid("the synthetic market needs at least one instrument")
        self.instruments: tuple[Instrument, ...] = tuple(instruments)
        self._seed = seed
        self._clock = clock
        self._speed = speed
        self._markets = [
            SyntheticInstrument(instrument, seed=seed, schedule=schedule)
            for instrument, schedule in zip(self.instruments, plan_events(self.instruments), strict=True)
        ]
        self._cached: tuple[int, Chunk] | None = None
        self.identity = self._identity()

    @property
    def kinds(self) -> frozenset[RowKind]:
        return frozenset({RowKind.TRADE})

    @property
    def bar_length_us(self) -> int | None:
        return None

    @property
    def seekable(self) -> bool:
        return True

    @property
    def book(self) -> str:
        return "synthetic"

    def describe(self) -> list[str]:
        """Return lines for people."""
        names = ", ".join(instrument.id for instrument in self.instruments)
        return [f"synthetic market, seed {self._seed}: {names}"]

    def position_at(self, ts_us: int) -> int:
        """Return the position of the first row at or after a time."""
        block = ts_us // BLOCK_US
        if block < EPOCH_BLOCK:
            raise InputInvalid("the synthetic market begins on 2020-01-01")
        return self._first_position(block) + int(np.searchsorted(self._block(block).rows[col.T], ts_us))

    def read(self, position: int, *, rows_max: int = 65536, until_us: int | None = None) -> Iterator[Chunk]:
        """Yield the rows from `position` with a time before `until_us`; None means those due by now."""
        check_position(position, rows_max)
        if until_us is None:
            until_us = self._now_us() + 1
        last, end = until_us // BLOCK_US, self.position_at(until_us)
        while position < end:
            block = self._block_of(position)
            chunk = self._generate(block, min(block + _BATCH_BLOCKS, last + 1))
            stop = min(chunk.position + chunk.instrument.size, end)
            while position < stop:
                part = _slice(chunk, position, min(position + rows_max, stop))
                yield part
                position += part.instrument.size

    async def stream(self, position: int) -> AsyncIterator[Chunk]:
        """Yield rows as they fall due, without end."""
        check_position(position, STREAM_ROWS_MAX)
        pace = self._make_pace(position)
        while True:
            block = self._block(self._block_of(position))
            times = block.rows[col.T]
            at = position - block.position
            end = min(at + STREAM_ROWS_MAX, times.size)
            if pace is not None:
                end = min(end, int(np.searchsorted(times, pace.due_us(), side="right")))
                if end <= at:
                    await pace.wait_for(int(times[at]))
                    continue
            yield _slice(block, position, block.position + end)
            position = block.position + end
            if pace is None:
                await asyncio.sleep(0)

    def _make_pace(self, position: int) -> Pace | None:
        if self._speed is None:
            return None
        if self._speed == 1 and self._clock is not None:
            return Pace(self._clock, 1.0, 0, 0)  # UTC itself
        block = self._block(self._block_of(position))
        return make_pace(self._clock, self._speed, int(block.rows[col.T, position - block.position]))

    def _first_position(self, block: int) -> int:
        return sum(market.rows_before(block) for market in self._markets)

    def _block_of(self, position: int) -> int:
        """Return the minute that holds a position: the last one that starts at or before it."""
        least = sum(market.block_rows for market in self._markets)
        high = EPOCH_BLOCK + position // least + 1
        blocks = range(EPOCH_BLOCK, high)
        return EPOCH_BLOCK + bisect_right(blocks, position, key=self._first_position) - 1

    def _block(self, block: int) -> Chunk:
        """Return the rows of one minute; the last one asked for is kept."""
        if self._cached is None or self._cached[0] != block:
            self._cached = (block, self._generate(block, block + 1))
        return self._cached[1]

    def _generate(self, first: int, end: int) -> Chunk:
        """Return the merged rows of the minutes [first, end): by time, then instrument."""
        parts = [market.rows(first, end) for market in self._markets]
        rows = np.concatenate(parts, axis=1)
        owner = np.repeat(np.arange(len(parts), dtype=np.int64), [part.shape[1] for part in parts])
        order = np.argsort(rows[col.T], kind="stable")
        return Chunk(
            position=self._first_position(first),
            instrument=owner[order],
            rows=np.ascontiguousarray(rows[:, order]),
        )

    def _identity(self) -> str:
        lines = "\n".join(f"{i.id}|{i.tick_size}|{i.lot_size}" for i in self.instruments)
        digest = hashlib.sha256(lines.encode()).hexdigest()[:16]
        return f"synthetic:{_VERSION}:{self._seed}:{digest}"

    def _now_us(self) -> int:
        if self._clock is None:
            raise InvariantBroken("a synthetic market without a clock does not know what is due")
        return self._clock.now_us()


def plan_events(instruments: Sequence[Instrument]) -> list[Schedule]:
    """Give every instrument its events, so that a burst starts somewhere at least every 20 s."""
    tempers = [_temper(instrument) for instrument in instruments]
    bursting, pumping = tempers.count(Temper.BURST), 0
    number, schedules = 0, []
    for temper in tempers:
        if temper is Temper.BURST:
            seconds = _burst_seconds(number, bursting)
            schedules.append(Schedule(temper=temper, burst_seconds=seconds, burst_shift=number))
            number += 1
        elif temper is Temper.PUMP:
            # 131 minutes apart, and with the shift of up to 39 inside the eight hours
            schedules.append(Schedule(temper=temper, pump_offset=131 * pumping % (PUMP_BLOCKS - 40)))
            pumping += 1
        else:
            schedules.append(Schedule(temper=temper))
    return schedules


def _temper(instrument: Instrument) -> Temper:
    if instrument.quote == "BTC":
        return Temper.PUMP
    return Temper.TREND if instrument.base == "BTC" else Temper.BURST


def _burst_seconds(number: int, count: int) -> tuple[int, ...]:
    if count == 1:
        return (0, 20, 40)
    if count == 2:
        return (15 * number, 15 * number + 30)
    return (_BURST_SECONDS[number % len(_BURST_SECONDS)],)


def _slice(chunk: Chunk, start: int, end: int) -> Chunk:
    """Return the rows of a chunk between two positions."""
    lo, hi = start - chunk.position, end - chunk.position
    return Chunk(position=start, instrument=chunk.instrument[lo:hi].copy(), rows=chunk.rows[:, lo:hi].copy())
