"""Timer rows: time passing between market rows, as rows of their own.

After each market row a timer stands at the next 60 whole seconds, then at whole minutes, until the
instrument's next market row; on bar-only input only at the close of each missing bar. Timers depend
on market rows alone, so every driver makes the same ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from botd.engine.layout import HIGH, KIND, LOW, N_INPUT, OPEN, RT, SIDE, VT, P, Q, RowKind, T

I64 = NDArray[np.int64]
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
SECOND_TIMERS = 60


def _counts(first: I64, before: I64, step: int) -> I64:
    """Count the multiples first, first+step, ... that lie strictly before `before`."""
    count: I64 = np.maximum((before - 1 - first) // step + 1, 0)
    return count


def timer_times(since: I64, before: I64, bar_length_us: int | None) -> tuple[I64, I64]:
    """Return (gap index, time) of every timer of gaps that open at market rows.

    `since` and `before` are int64[n]: a market row's time and the (exclusive) end of its gap.
    """
    if bar_length_us is not None:
        first = since + bar_length_us
        count = _counts(first, before, bar_length_us)
        return _spread(first, count, bar_length_us)
    first = (since // SECOND_US + 1) * SECOND_US
    all_seconds = _counts(first, before, SECOND_US)
    gap_s, time_s = _spread(first, np.minimum(all_seconds, SECOND_TIMERS), SECOND_US)
    last = first + (SECOND_TIMERS - 1) * SECOND_US
    first_minute = (last // MINUTE_US + 1) * MINUTE_US
    minutes = np.where(all_seconds > SECOND_TIMERS, _counts(first_minute, before, MINUTE_US), 0)
    gap_m, time_m = _spread(first_minute, minutes, MINUTE_US)
    gap = np.concatenate((gap_s, gap_m))
    time = np.concatenate((time_s, time_m))
    order = np.lexsort((time, gap))
    return gap[order], time[order]


def _spread(first: I64, count: I64, step: int) -> tuple[I64, I64]:
    gap = np.repeat(np.arange(first.shape[0], dtype=np.int64), count)
    starts = np.cumsum(count) - count
    within = np.arange(gap.shape[0], dtype=np.int64) - np.repeat(starts, count)
    return gap, first[gap] + within * step


class TimerSource:
    """Interleave one instrument's market rows with their timers, chunk after chunk."""

    __slots__ = ("_bar_length_us", "_done_us", "_last")

    def __init__(self, bar_length_us: int | None = None) -> None:
        self._bar_length_us = bar_length_us
        self._last: I64 | None = None  # the last market row
        self._done_us = 0  # timers up to here (inclusive) are out

    def extend(self, rows: I64, until_us: int) -> I64:
        """Return int64[N_INPUT, m]: the market rows with every timer before `until_us` between them.

        Timers at or after `until_us` wait: a market row may still take their place. The carried
        values of a timer row are those of the market row before it.
        """
        market = rows if self._last is None else np.concatenate((self._last[:, None], rows), axis=1)
        if market.shape[1] == 0:
            return rows
        since = market[T]
        before = np.concatenate((since[1:], [max(until_us, int(since[-1]))])).astype(np.int64)
        gap, time = timer_times(since, before, self._bar_length_us)
        if self._last is not None:
            keep = (gap > 0) | (time > self._done_us)
            gap, time = gap[keep], time[keep]
        timers = _timer_rows(market, gap, time)
        skipped = 0 if self._last is None else 1
        own = market[:, skipped:]
        place = np.concatenate((np.arange(own.shape[1]) + skipped, gap))
        stamp = np.concatenate((own[T], time))
        is_timer = np.concatenate((np.zeros(own.shape[1], np.int8), np.ones(gap.shape[0], np.int8)))
        merged = np.concatenate((own, timers), axis=1)[:, np.lexsort((stamp, is_timer, place))]
        self._last = market[:, -1].copy()
        self._done_us = max(self._done_us, until_us - 1)
        return np.ascontiguousarray(merged)

    def state(self) -> tuple[list[int] | None, int]:
        """Return what a snapshot keeps."""
        return (None if self._last is None else [int(x) for x in self._last]), self._done_us

    def restore(self, state: tuple[list[int] | None, int]) -> None:
        """Continue from a snapshot."""
        last, self._done_us = state
        self._last = None if last is None else np.array(last, np.int64)


def _timer_rows(market: I64, gap: I64, time: I64) -> I64:
    out = market[:N_INPUT, gap].copy()
    out[T] = time
    out[VT] = time
    out[RT] = time
    out[Q] = 0
    out[SIDE] = 0
    out[KIND] = int(RowKind.TIMER)
    out[OPEN] = out[P]
    out[HIGH] = out[P]
    out[LOW] = out[P]
    return out
