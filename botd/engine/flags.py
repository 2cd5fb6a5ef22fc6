"""Outlier prints: flagged by the rows themselves, so that backtest and live agree.

A print is an outlier when it is further from the last confirmed price than `sigma` standard deviations of
the print-to-print moves of the last minutes, floored at two ticks. It stays unconfirmed until three further
prints stand on its side of that price, or a short time has passed; a print back at or beyond the price
clears it, and may be the next outlier. While a print is unconfirmed entries and exits that read the market
wait, and position words see the top that stood before.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from botd.engine.jit import entry, inline
from botd.engine.layout import ASK, BID, KIND, P, RowKind, T
from botd.engine.wide import high_product, wide

CAPACITY: Final = 1 << 14  # moves kept; in a busier window the oldest go first
FLOOR_TICKS: Final = 2.0
CONFIRMING: Final = 3

_TRADE: Final = int(RowKind.TRADE)
_MASK: Final = CAPACITY - 1

# words of the state
PENDING: Final = 0
SINCE: Final = 1  # time of the flagged print
SIDE: Final = 2  # +1 above, -1 below what stood before it
SEEN: Final = 3  # further prints on its side
BEFORE: Final = 4  # the confirmed price before it, ticks
LAST: Final = 5  # last print, ticks; 0 before the first
HEAD: Final = 6
TAIL: Final = 7
SUM: Final = 8  # of the moves in the window, ticks; exact, so history does not matter
SQUARES: Final = 9
BID_THEN: Final = 10  # the confirmed top
ASK_THEN: Final = 11
LIMIT: Final = 12  # whole ticks that were no outlier when it was flagged
DISTANCE: Final = 13  # of the flagged print from the price before it
SQUARES_HIGH: Final = 14  # the high word of SQUARES, see `wide`
WORDS: Final = 15


@inline
def limit_now(t, sigma, window_us, state, times, moves):
    """Forget moves that have left the window; return the whole ticks that are no outlier at time t."""
    while state[HEAD] < state[TAIL] and (
        times[state[HEAD] & _MASK] <= t - window_us or state[TAIL] - state[HEAD] == CAPACITY
    ):
        old = moves[state[HEAD] & _MASK]
        state[SUM] -= old
        state[SQUARES] -= old * old
        state[SQUARES_HIGH] -= high_product(old, old)
        state[HEAD] += 1
    deviation = FLOOR_TICKS
    count = state[TAIL] - state[HEAD]
    if count > 0:
        mean = state[SUM] / count
        spread = wide(state[SQUARES_HIGH], state[SQUARES]) / count - mean * mean
        if spread > FLOOR_TICKS * FLOOR_TICKS:
            deviation = math.sqrt(spread)
    return int(sigma * deviation)


@entry
def flag_rows(R, base, n, sigma, window_us, confirm_us, state, times, moves, tops, S):
    """Flag rows base .. base+n of the ring into tops: hold (1 = wait) at j, bid at S+j, ask at 2S+j.

    At 3S+j is what becomes of the rows that waited: 1 their move is confirmed, -1 they were an outlier that
    another one has cleared, 0 neither.
    """
    for j in range(n):
        i = base + j
        t = R[T, i]
        turn = 0
        if R[KIND, i] == _TRADE:
            p = R[P, i]
            before = state[LAST]
            if before != 0:
                move = p - before
                limit = limit_now(t, sigma, window_us, state, times, moves)
                allowed = limit
                if state[PENDING] != 0:
                    if (p - state[BEFORE]) * state[SIDE] > 0:
                        state[SEEN] += 1
                        before = p
                    else:  # judged as if the outlier had not been: it must not widen the limit
                        state[PENDING] = 0
                        before = state[BEFORE]
                        allowed = state[LIMIT]
                if abs(p - before) > allowed:
                    turn = -1
                    state[PENDING] = 1
                    state[DISTANCE] = abs(p - before)
                    state[SINCE] = t
                    state[SIDE] = 1 if p > before else -1
                    state[SEEN] = 0
                    state[BEFORE] = before
                    state[LIMIT] = limit  # not `allowed`: leaps to and fro soon widen it
                times[state[TAIL] & _MASK] = t
                moves[state[TAIL] & _MASK] = move
                state[SUM] += move
                state[SQUARES] += move * move
                state[SQUARES_HIGH] += high_product(move, move)
                state[TAIL] += 1
            state[LAST] = p
        if state[PENDING] != 0 and (state[SEEN] >= CONFIRMING or t - state[SINCE] >= confirm_us):
            state[PENDING] = 0  # after the print, which may clear it or confirm it
            if 2 * (state[LAST] - state[BEFORE]) * state[SIDE] >= state[DISTANCE]:
                turn = 1  # a price that has come more than half the way back is no move
        if state[PENDING] == 0:
            state[BID_THEN] = R[BID, i]
            state[ASK_THEN] = R[ASK, i]
        tops[j] = state[PENDING]
        tops[S + j] = state[BID_THEN]
        tops[2 * S + j] = state[ASK_THEN]
        tops[3 * S + j] = turn


class OutlierFlags:
    """The flags of one instrument's rows, block after block. A sigma of 0 flags nothing.

    `tops` is int64[4 * block_max]: per row of the block whether it waits, the confirmed bid and ask, and
    what becomes of the rows that waited, see `flag_rows`.
    """

    def __init__(self, *, sigma: float, window_us: int, confirm_us: int, block_max: int) -> None:
        self._limits = (sigma, window_us, confirm_us)
        self._stride = block_max
        self._state: NDArray[np.int64] = np.zeros(WORDS, np.int64)
        self._times: NDArray[np.int64] = np.zeros(CAPACITY, np.int64)
        self._moves: NDArray[np.int64] = np.zeros(CAPACITY, np.int64)
        self.tops: NDArray[np.int64] = np.zeros(4 * block_max, np.int64)
        self.hold = self.tops[:block_max]
        self.bids = self.tops[block_max : 2 * block_max]
        self.asks = self.tops[2 * block_max : 3 * block_max]
        self.turns = self.tops[3 * block_max :]

    def load(self, ring: NDArray[np.int64], base: int, n: int) -> None:
        """Flag the rows of a block, which lie at ring index `base`."""
        if self._limits[0] <= 0.0:
            self.bids[:n] = ring[BID, base : base + n]
            self.asks[:n] = ring[ASK, base : base + n]
            return
        flag_rows(
            ring, base, n, *self._limits, self._state, self._times, self._moves, self.tops, self._stride
        )

    def state(self) -> dict[str, Any]:
        """Return copies of what a snapshot keeps."""
        return {
            "flag_words": self._state.copy(),
            "flag_times": self._times.copy(),
            "flag_moves": self._moves.copy(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state()`."""
        self._state[:] = state["flag_words"]
        self._times[:] = state["flag_times"]
        self._moves[:] = state["flag_moves"]
