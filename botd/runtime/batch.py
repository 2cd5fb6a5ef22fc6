"""The batch driver: a session as fast as the machine goes, committed by whoever takes the groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from botd.ports import Chunk
from botd.runtime.loop import Group, TradingLoop


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
