"""Market rows of a chunk and the timers among them, in the order in which they are judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from botd.core.lanes import I64
from botd.engine.layout import KIND, N_INPUT, RowKind, T
from botd.engine.timers import TimerSource
from botd.ports import Chunk


class RowMerger:
    """Merges the rows of every lane with its timers; carries the timers from chunk to chunk."""

    def __init__(self, lane_of: Sequence[int], lanes_count: int, bar_length_us: int | None) -> None:
        """`lane_of` gives each instrument of the feed its lane, -1 where no strategy trades it."""
        self._lane_of = np.array(lane_of, np.int64)
        self._timers = [TimerSource(bar_length_us) for _ in range(lanes_count)]

    def take(self, chunk: Chunk, until_us: int | None) -> tuple[I64, I64, I64]:
        """Return the lane and the columns of each row, and the feed position before each row and after all.

        Timers run up to the chunk's last row, or to `until_us` where no earlier market row can follow. The
        feed position before a row is the first market row that is not judged when it is its turn.
        """
        lane = self._lane_of[chunk.instrument]
        latest = int(chunk.rows[T].max()) if chunk.rows.shape[1] else 0
        until = latest if until_us is None else max(latest, until_us)
        if len(self._timers) == 1:
            own = chunk.rows if (lane == 0).all() else np.ascontiguousarray(chunk.rows[:, lane == 0])
            rows = self._timers[0].extend(own, until)
            lanes = np.zeros(rows.shape[1], np.int64)
        else:
            lanes, rows = self._merge(chunk, lane, until)
        feed_at = np.full(rows.shape[1] + 1, chunk.position, np.int64)
        feed_at[1:][_market(rows)] = chunk.position + np.nonzero(lane >= 0)[0] + 1
        np.maximum.accumulate(feed_at, out=feed_at)
        feed_at[-1] = chunk.position + chunk.rows.shape[1]
        return lanes, rows, feed_at

    def _merge(self, chunk: Chunk, lane: I64, until: int) -> tuple[I64, I64]:
        parts, lanes, places = [], [], []
        n = chunk.rows.shape[1]
        for k, own_places in enumerate(_places(lane, len(self._timers))):
            timers = self._timers[k]
            if own_places is None and timers.quiet(until):
                continue
            own = chunk.rows[:, own_places] if own_places is not None else chunk.rows[:, :0]
            rows = timers.extend(own, until)
            # market rows keep their feed order; timers stand after every market row of their time
            place = np.full(rows.shape[1], n + k, np.int64)
            if own_places is not None:
                place[_market(rows)] = own_places
            parts.append(rows)
            lanes.append(np.full(rows.shape[1], k, np.int64))
            places.append(place)
        if not parts:
            return np.zeros(0, np.int64), np.zeros((N_INPUT, 0), np.int64)
        if len(parts) == 1:
            return lanes[0], parts[0]
        rows = np.concatenate(parts, axis=1)
        order = np.lexsort((np.concatenate(places), rows[T]))
        return np.concatenate(lanes)[order], rows[:, order]

    def state(self) -> list[Any]:
        """Return what the timers remember."""
        return [timers.state() for timers in self._timers]

    def restore(self, state: Sequence[Any]) -> None:
        """Continue from `state()`."""
        for timers, one in zip(self._timers, state, strict=True):
            timers.restore(one)


def _places(lane: I64, lanes_count: int) -> list[I64 | None]:
    """Return where each lane's rows stand in a chunk, None for a lane without a row."""
    found: list[I64 | None] = [None] * lanes_count
    for k in set(lane.tolist()) - {-1}:
        found[k] = np.nonzero(lane == k)[0]
    return found


def _market(rows: I64) -> NDArray[np.bool_]:
    is_market: NDArray[np.bool_] = rows[KIND] != int(RowKind.TIMER)
    return is_market
