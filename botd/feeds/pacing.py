"""Hand out the rows of an array-backed feed: all at once, or as they fall due."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
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
    if clock is None or speed <= 0:
        raise InvariantBroken("a paced feed needs a clock and a positive speed")
    if position >= count:
        return
    origin_us, started_us = int(times[position]), clock.now_us()
    while position < count:
        due_us = origin_us + int((clock.now_us() - started_us) * speed)
        end = int(np.searchsorted(times, due_us, side="right"))
        if end <= position:
            await clock.sleep_until(started_us + 1 + int((int(times[position]) - origin_us) / speed))
            continue
        end = min(end, position + STREAM_ROWS_MAX)
        yield cut(position, end)
        position = end


def check_position(position: int, rows_max: int) -> None:
    """Raise InvariantBroken for a position or chunk size that no feed has."""
    if position < 0 or rows_max < 1:
        raise InvariantBroken(f"a feed has no position {position} with chunks of {rows_max} rows")
