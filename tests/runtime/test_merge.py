"""Market rows and timers come in one order, whatever the chunks and however many instruments are silent."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest

from botd.engine.layout import KIND, N_INPUT, RowKind, T
from botd.ports import Chunk
from botd.runtime.merge import RowMerger

S = 1_000_000
SEED = 11


def feed(lanes: int, rows: int) -> Chunk:
    """Rows of `lanes` instruments, of which the last comes seldom; -1 is traded by nobody."""
    rng = random.Random(SEED)
    times, instruments, now = [], [], 1_000 * S
    for _ in range(rows):
        now += rng.choice([0, 1, 300_000, S, 7 * S])
        times.append(now)
        instruments.append(rng.choice([*range(lanes - 1)] * 9 + [lanes - 1, lanes]))
    table = np.zeros((N_INPUT, rows), np.int64)
    table[T] = times
    return Chunk(position=100, instrument=np.array(instruments, np.int64), rows=table)


def cut(chunk: Chunk, sizes: list[int]) -> list[Chunk]:
    edges = np.concatenate(([0], np.cumsum(sizes)))
    return [
        Chunk(position=chunk.position + a, instrument=chunk.instrument[a:b], rows=chunk.rows[:, a:b])
        for a, b in pairwise(edges.tolist())
    ]


def expected(chunk: Chunk, lanes: int) -> list[tuple[int, int, bool]]:
    """(time, lane, is a timer) in order, written out by the rule; the data ends with its last row."""
    end = int(chunk.rows[T, -1])
    found = []
    for place, (time, lane) in enumerate(zip(chunk.rows[T].tolist(), chunk.instrument.tolist(), strict=True)):
        if lane < lanes:
            found.append((time, place, lane, False))
    for lane in range(lanes):
        own = chunk.rows[T][chunk.instrument == lane].tolist()
        for time, until in pairwise([*own, end]):
            second = (time // S + 1) * S
            seconds = [second + k * S for k in range(60)]
            minutes = [m * 60 * S for m in range(seconds[-1] // (60 * S) + 1, until // (60 * S) + 1)]
            found += [(t, 1 << 40, lane, True) for t in (*seconds, *minutes) if t < until]
    return [(time, lane, timer) for time, _, lane, timer in sorted(found)]


def merged(
    chunks: list[Chunk], lanes: int, *, restarts: bool
) -> tuple[list[tuple[int, int, bool]], list[int]]:
    rng = random.Random(SEED)
    lane_of = [*range(lanes), -1]
    merger, rows, places = RowMerger(lane_of, lanes, None), [], []
    for chunk in chunks:
        lane, table, feed_at = merger.take(chunk, None)
        rows += zip(table[T].tolist(), lane.tolist(), (table[KIND] == RowKind.TIMER).tolist(), strict=True)
        places += feed_at[:-1].tolist()
        if restarts and rng.random() < 0.3:
            again = RowMerger(lane_of, lanes, None)
            again.restore(merger.state())
            merger = again
    return rows, places


@pytest.mark.parametrize("lanes", [2, 5])
@pytest.mark.parametrize("restarts", [False, True])
def test_rows_and_timers_are_the_same_for_every_chunking(lanes: int, restarts: bool) -> None:
    rng = random.Random(SEED)
    whole = feed(lanes, 400)
    sizes = []
    while sum(sizes) < 400:
        sizes.append(min(rng.choice([1, 1, 2, 9, 50]), 400 - sum(sizes)))
    rows, _ = merged(cut(whole, sizes), lanes, restarts=restarts)
    assert rows == expected(whole, lanes), f"seed {SEED}"


def test_feed_position_before_a_row_is_the_first_market_row_still_to_judge() -> None:
    rows, places = merged([feed(2, 50)], 2, restarts=False)
    market = [place for place, (_, _, timer) in zip(places, rows, strict=True) if not timer]
    assert market == sorted(market)
    assert places == sorted(places)
    assert places[0] == 100


def test_a_chunk_without_a_row_moves_nothing_before_the_next_timer() -> None:
    merger = RowMerger([0, 1, -1], 2, None)
    first = np.zeros((N_INPUT, 1), np.int64)
    first[T] = 10 * S + 1
    merger.take(Chunk(position=0, instrument=np.zeros(1, np.int64), rows=first), None)
    empty = Chunk(position=1, instrument=np.zeros(0, np.int64), rows=first[:, :0])
    assert merger.take(empty, 11 * S)[1].shape == (N_INPUT, 0)
    assert merger.take(empty, 11 * S + 1)[1][T].tolist() == [11 * S]
    assert merger.take(empty, 11 * S + 1)[1].shape == (N_INPUT, 0)
