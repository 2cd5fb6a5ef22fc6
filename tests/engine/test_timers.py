"""Timer rows depend on market rows only, whatever the chunks."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import numpy as np
import pytest

from botd.engine.layout import KIND, N_INPUT, P, Q, RowKind, T
from botd.engine.timers import TimerSource

S = 1_000_000


def market(*times_us: int) -> np.ndarray:
    rows = np.zeros((N_INPUT, len(times_us)), np.int64)
    rows[T] = times_us
    rows[P] = np.arange(1, len(times_us) + 1)
    rows[Q] = 5
    return rows


def test_timers_stand_at_whole_seconds_then_at_whole_minutes() -> None:
    out = TimerSource().extend(market(10 * S + 5, 200 * S), 200 * S)
    seconds = [s * S for s in range(11, 71)]
    assert out[T].tolist() == [10 * S + 5, *seconds, 120 * S, 180 * S, 200 * S]
    assert out[P, 1:-1].tolist() == [1] * 62  # carried from the market row before
    assert out[Q, 1:-1].tolist() == [0] * 62
    assert set(out[KIND, 1:-1].tolist()) == {int(RowKind.TIMER)}


def test_market_row_at_a_whole_second_takes_the_timer_s_place() -> None:
    out = TimerSource().extend(market(10 * S, 12 * S), 12 * S)
    assert out[T].tolist() == [10 * S, 11 * S, 12 * S]


@pytest.mark.parametrize(
    "moment",
    [
        "2016-12-31 23:59:59",  # before a leap second, which UTC in microseconds since 1970 does not have
        "2024-02-29 23:59:30",
        "2025-03-30 00:59:30",  # clocks go forward in Europe
        "2038-01-19 03:14:07",  # the last second of 32 bits
        "2100-02-28 23:59:30",
    ],
)
def test_P4_minutes_are_60_seconds_at_every_edge_of_the_calendar(moment: str) -> None:  # noqa: N802
    began = int(datetime.fromisoformat(f"{moment}+00:00").timestamp()) * S
    out = TimerSource().extend(market(began, began + 600 * S), began + 600 * S)
    minutes = out[T][out[T] > began + 60 * S][:-1]
    assert set(np.diff(minutes).tolist()) == {60 * S}
    assert [datetime.fromtimestamp(t // S, UTC).second for t in minutes.tolist()] == [0] * len(minutes)
    assert len(minutes) == 9 - (int(moment[-2:]) == 0)
    bars = TimerSource(60 * S).extend(market(began // (60 * S) * 60 * S, began + 600 * S), began + 600 * S)
    assert set(np.diff(bars[T][:-1]).tolist()) == {60 * S}


def test_bar_input_has_timers_only_at_missing_closes() -> None:
    out = TimerSource(60 * S).extend(market(60 * S, 120 * S, 300 * S), 300 * S)
    assert out[T].tolist() == [60 * S, 120 * S, 180 * S, 240 * S, 300 * S]
    assert out[KIND].tolist() == [0, 0, 3, 3, 0]


@pytest.mark.parametrize("bar", [None, 60 * S])
def test_timers_do_not_depend_on_the_chunks(bar: int | None) -> None:
    rng = random.Random(4)
    times, t = [], 1000 * S
    for _ in range(60):
        t += (
            rng.choice([0, 1, 400_000, S, 3 * S, 65 * S, 400 * S])
            if bar is None
            else rng.choice([1, 1, 4]) * bar
        )
        times.append(t)
    rows = market(*times)
    whole = TimerSource(bar).extend(rows, times[-1])
    parts, source, at = [], TimerSource(bar), 0
    while at < len(times):
        n = rng.randint(1, 7)
        parts.append(source.extend(rows[:, at : at + n], times[min(at + n, len(times)) - 1]))
        at += n
        if rng.random() < 0.3:  # another instrument moves time on, this one has no row
            until = times[min(at, len(times) - 1)]
            parts.append(source.extend(rows[:, :0], until))
        if rng.random() < 0.3:
            other = TimerSource(bar)
            other.restore(source.state())
            source = other
    assert np.array_equal(np.concatenate(parts, axis=1), whole), "seed 4"


def test_no_rows_yet_makes_no_timers() -> None:
    assert TimerSource().extend(market(), 50 * S).shape == (N_INPUT, 0)
