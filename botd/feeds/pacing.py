"""Hand out the rows of an array-backed feed: all at once, or as they fall due."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from botd.errors import InvariantBroken
from botd.ports import I64, Chunk, Clock

STREAM_ROWS_MAX: Final = 4096  # bounds how long a burst keeps the event loop

Cut = Callable[[int, int], Chunk]  # (first position, end position) -> their rows


def read_rows(count: int, cut: Cut, position: int, rows_max: int) -> Iterator[Chunk]:
    """Yield the rows from a position to the end in chunks of at most `rows_max`."""
    check_position(position, rows_max)
    for start in range(position, count, rows_max):
        yield cut(start, min(start + rows_max, count))


@dataclass(frozen=True, slots=True)
class Pace:
    """How wall time maps to event time: `origin_us` of event time is due at `started_us`."""

    clock: Clock
    speed: float
    origin_us: int
    started_us: int

    def due_us(self) -> int:
        """Return the event time that is due now."""
        return self.origin_us + int((self.clock.now_us() - self.started_us) * self.speed)

    async def wait_for(self, ts_us: int) -> None:
        """Sleep until an event time is due; a microsecond more makes up for rounding."""
        await self.clock.sleep_until(self.started_us + 1 + int((ts_us - self.origin_us) / self.speed))


def make_pace(clock: Clock | None, speed: float, origin_us: int) -> Pace:
    """Start pacing now, with `origin_us` due at once."""
    if clock is None or speed <= 0:
        raise InvariantBroken("a paced feed needs a clock and a positive speed")
    return Pace(clock, speed, origin_us, clock.now_us())


async def stream_rows(
    times: I64, cut: Cut, position: int, *, clock: Clock | None, speed: float | None
) -> AsyncIterator[Chunk]:
    """Yield rows as they fall due: their distances in time divided by `speed`, None being no wait.

    The first row is due at once, whatever its time: a recording starts when it is started.
    """
    check_position(position, STREAM_ROWS_MAX)
    count = int(times.size)
    if speed is None:
        for chunk in read_rows(count, cut, position, STREAM_ROWS_MAX):
            yield chunk
            await asyncio.sleep(0)  # the journal and the screens get their turn
        return
    if position >= count:
        return
    pace = make_pace(clock, speed, int(times[position]))
    while position < count:
        end = int(np.searchsorted(times, pace.due_us(), side="right"))
        if end <= position:
            await pace.wait_for(int(times[position]))
            continue
        end = min(end, position + STREAM_ROWS_MAX)
        yield cut(position, end)
        position = end


def check_position(position: int, rows_max: int) -> None:
    """Raise InvariantBroken for a position or chunk size that no feed has."""
    if position < 0 or rows_max < 1:
        raise InvariantBroken(f"a feed has no position {position} with chunks of {rows_max} rows")
