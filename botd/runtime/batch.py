"""The batch driver: a session as fast as the machine goes, committed by whoever takes the groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from botd.ports import Chunk, Feed
from botd.runtime.loop import Group, TradingLoop

READ_ROWS = 4_096  # at a time: whoever waits for an event loop gets its turn in between


def run_batch(
    loop: TradingLoop,
    chunks: Iterable[Chunk],
    take: Callable[[Group], None],
    *,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Run every chunk through the loop; `take` is given each group before its commands are sent.

    `progress` hears the number of market rows done after each chunk.
    """
    for chunk in chunks:
        for group in loop.run(chunk):
            take(group)
        if progress is not None:
            progress(chunk.rows.shape[1])


def read_before(feed: Feed, position: int, end: int) -> Iterator[Chunk]:
    """Yield the feed's rows from a position up to another; they have been due and are not waited for."""
    for chunk in feed.read(position, rows_max=READ_ROWS):
        count = min(chunk.rows.shape[1], end - chunk.position)
        if count <= 0:
            return
        rows = np.ascontiguousarray(chunk.rows[:, :count])
        yield replace(chunk, instrument=chunk.instrument[:count], rows=rows)
