"""Timer rows: time passing between market rows, as rows of their own.

After each market row a timer stands at the next 60 whole seconds, then at whole minutes, until the
instrument's next market row; on bar-only input only at the close of each missing bar. Timers depend
on market rows alone, so every driver makes the same ones.
"""

from __future__ import annotations

from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from botd.engine.jit import entry, inline
from botd.engine.layout import HIGH, KIND, LOW, N_INPUT, OPEN, RT, SIDE, VT, P, Q, RowKind, T

I64 = NDArray[np.int64]
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
SECOND_TIMERS = 60

_TIMER: Final = int(RowKind.TIMER)
_NEVER: Final = 2**63 - 1


@inline
def _next_timer(since: Any, after: Any, bar_us: Any) -> Any:
    """Return the first timer later than `after` in the gap that opens with a market row at `since`."""
    if bar_us > 0:
        return since + ((after - since) // bar_us + 1) * bar_us
    second = (after // SECOND_US + 1) * SECOND_US
    last = (since // SECOND_US + SECOND_TIMERS) * SECOND_US
    if second <= last:
        return second
    return (max(after, last) // MINUTE_US + 1) * MINUTE_US


@entry
def _interleave(market: Any, skipped: Any, done_us: Any, until_us: Any, bar_us: Any) -> Any:
    """Return (rows, time of the next timer): market rows, but the first `skipped`, and the timers between."""
    n = market.shape[1]
    count = n - skipped
    time = done_us
    for i in range(n):
        since = market[T, i]
        end = market[T, i + 1] if i + 1 < n else until_us
        time = _next_timer(since, max(since, done_us) if i < skipped else since, bar_us)
        while time < end:
            count += 1
            time = _next_timer(since, time, bar_us)
    out = np.empty((N_INPUT, count), np.int64)
    at = 0
    for i in range(n):
        if i >= skipped:
            out[:, at] = market[:, i]
            at += 1
        since = market[T, i]
        end = market[T, i + 1] if i + 1 < n else until_us
        time = _next_timer(since, max(since, done_us) if i < skipped else since, bar_us)
        while time < end:
            out[:, at] = market[:, i]
            out[T, at] = out[VT, at] = out[RT, at] = time
            out[Q, at] = out[SIDE, at] = 0
            out[KIND, at] = _TIMER
            out[OPEN, at] = out[HIGH, at] = out[LOW, at] = market[P, i]
            at += 1
            time = _next_timer(since, time, bar_us)
    return out, time


class TimerSource:
    """Interleave one instrument's market rows with their timers, chunk after chunk."""

    __slots__ = ("_bar_us", "_done_us", "_last", "_next_us")

    def __init__(self, bar_length_us: int | None = None) -> None:
        self._bar_us = bar_length_us or 0
        self._last: I64 | None = None  # the last market row
        self._done_us = 0  # timers up to here (inclusive) are out
        self._next_us = _NEVER  # the first that is not, or earlier

    def quiet(self, until_us: int) -> bool:
        """Say whether no timer stands before `until_us` unless a market row comes; remember that."""
        if self._next_us < until_us:
            return False
        self._done_us = max(self._done_us, until_us - 1)
        return True

    def extend(self, rows: I64, until_us: int) -> I64:
        """Return int64[N_INPUT, m]: the market rows with every timer before `until_us` between them.

        Timers at or after `until_us` wait: a market row may still take their place. The carried
        values of a timer row are those of the market row before it.
        """
        market = rows if self._last is None else np.concatenate((self._last[:, None], rows), axis=1)
        if market.shape[1] == 0:
            return rows
        skipped = 0 if self._last is None else 1
        market = np.require(market, np.int64, ("C", "W"))  # one type, or the kernel is compiled again
        merged, self._next_us = _interleave(market, skipped, self._done_us, until_us, self._bar_us)
        self._last = market[:, -1].copy()
        self._done_us = max(self._done_us, until_us - 1)
        return cast(I64, merged)

    def state(self) -> tuple[list[int] | None, int]:
        """Return what a snapshot keeps."""
        return (None if self._last is None else self._last.tolist()), self._done_us

    def restore(self, state: tuple[list[int] | None, int]) -> None:
        """Continue from a snapshot."""
        last, self._done_us = state
        self._last = None if last is None else np.array(last, np.int64)
        self._next_us = 0  # asked for anew
