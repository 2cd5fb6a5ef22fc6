"""Outlier prints by hand-made rows: flagged, confirmed by prints or time, cleared, and never by blocks."""

from __future__ import annotations

import random

import numpy as np
import pytest
from numpy.typing import NDArray

from botd.engine.flags import OutlierFlags
from botd.engine.layout import ASK, BID, KIND, N_COLUMNS, P, RowKind, T

MS = 1_000
S = 1_000_000
CALM = [100_000 + (k % 2) for k in range(40)]  # moves of one tick: the floor of two ticks rules


def rows(prices: list[int], *, gap_us: int = 50 * MS, start_us: int = S) -> NDArray[np.int64]:
    ring = np.zeros((N_COLUMNS, len(prices)), np.int64)
    ring[T] = start_us + np.arange(len(prices)) * gap_us
    ring[P] = prices
    ring[BID] = ring[P] - 1
    ring[ASK] = ring[P] + 1
    return ring


def flags(sigma: float = 3.0) -> OutlierFlags:
    return OutlierFlags(sigma=sigma, window_us=300 * S, confirm_us=250 * MS, block_max=4096)


def held(ring: NDArray[np.int64], sigma: float = 3.0) -> list[int]:
    one = flags(sigma)
    one.load(ring, 0, ring.shape[1])
    return one.hold[: ring.shape[1]].tolist()


def test_move_over_three_times_the_floor_is_flagged_and_three_prints_confirm_it() -> None:
    base = CALM[-1]
    hold = held(rows([*CALM, base + 7, base + 8, base + 9, base + 9, base + 9]))
    assert hold[:40] == [0] * 40
    assert hold[40:] == [1, 1, 1, 0, 0]  # the third further print ends it in its own row


def test_move_of_three_times_the_floor_is_not_flagged() -> None:
    assert sum(held(rows([*CALM, CALM[-1] + 6, CALM[-1] + 6]))) == 0


def test_time_confirms_it() -> None:
    base = CALM[-1]
    ring = rows([*CALM, base - 20, base - 20, base - 20])
    ring[T, 41:] = ring[T, 40] + np.array([249 * MS, 250 * MS])
    assert held(ring)[40:] == [1, 1, 0]


def test_timer_row_lets_time_confirm_it() -> None:
    ring = rows([*CALM, CALM[-1] + 50, CALM[-1] + 50])
    ring[KIND, 41] = int(RowKind.TIMER)
    ring[T, 41] = ring[T, 40] + 300 * MS
    assert held(ring)[40:] == [1, 0]


def test_print_back_where_it_was_clears_it() -> None:
    base = CALM[-1]
    assert held(rows([*CALM, base + 400, base, base]))[40:] == [1, 0, 0]


def test_exits_see_the_top_before_the_flagged_print() -> None:
    base = CALM[-1]
    ring = rows([*CALM, base - 500, base - 501, base])
    one = flags()
    one.load(ring, 0, ring.shape[1])
    assert one.bids[39:43].tolist() == [base - 1, base - 1, base - 1, base - 1]
    assert one.asks[39:43].tolist() == [base + 1, base + 1, base + 1, base + 1]


def test_wild_market_raises_the_bar() -> None:
    swings = [100_000 + 30 * (k % 2) for k in range(60)]  # moves of 30 ticks: the deviation is about 30
    assert held(rows([*swings, swings[-1] + 80]))[60] == 0
    assert held(rows([*swings, swings[-1] + 100]))[60] == 1


def test_first_print_has_nothing_to_be_far_from() -> None:
    assert held(rows([5_000, 5_006, 5_013])) == [0, 0, 1]


@pytest.mark.parametrize("calm", [1, 2, 20, 29])
def test_few_moves_are_judged_by_the_floor_alone(calm: int) -> None:
    assert held(rows([1000] * calm + [1006])) == [0] * (calm + 1)
    assert held(rows([1000] * calm + [1007])) == [0] * calm + [1]


def test_sparse_market_is_judged_too() -> None:
    assert held(rows([1000] * 240 + [1500], gap_us=15 * S)) == [0] * 240 + [1]


def test_few_wild_moves_raise_the_bar_as_many_do() -> None:
    # moves of 60 up and 60 down: the deviation is 60 of six, 53.2 of five
    swings = [1000 + 60 * (k % 2) for k in range(7)]
    assert held(rows([*swings, swings[-1] + 180]))[7:] == [0]
    assert held(rows([*swings, swings[-1] + 181]))[7:] == [1]


def bids(ring: NDArray[np.int64]) -> list[int]:
    one = flags()
    one.load(ring, 0, ring.shape[1])
    return one.bids[: ring.shape[1]].tolist()


@pytest.mark.parametrize("calm", [3, 40, 400])
def test_print_that_clears_an_outlier_may_be_one_itself(calm: int) -> None:
    ring = rows([1000] * calm + [1500, 500, 500, 1000], gap_us=10 * MS)
    assert held(ring)[calm:] == [1, 1, 1, 0]
    assert bids(ring)[calm:] == [999, 999, 999, 999]


def test_outlier_that_cleared_another_is_confirmed_as_any_other() -> None:
    ring = rows([1000] * 40 + [1500, 500, 500, 500, 500], gap_us=10 * MS)
    assert held(ring)[40:] == [1, 1, 1, 1, 0]
    assert bids(ring)[40:] == [999, 999, 999, 999, 499]
    ring = rows([1000] * 40 + [1500, 500, 500], gap_us=10 * MS)
    ring[T, 42] = ring[T, 41] + 250 * MS  # its own 250 ms, not those of the print that it cleared
    assert held(ring)[40:] == [1, 1, 0]


def test_clearing_print_is_judged_against_the_last_confirmed_price() -> None:
    # from the outlier it is 500 away, from the price before it 6
    assert held(rows([1000] * 40 + [1500, 994], gap_us=10 * MS))[40:] == [1, 0]
    assert held(rows([1000] * 40 + [1500, 993], gap_us=10 * MS))[40:] == [1, 1]


@pytest.mark.parametrize("calm", [1, 40, 400])
def test_market_that_leaps_to_and_fro_is_not_held_for_ever(calm: int) -> None:
    # the leaps are moves of the market: once one move in nine is a leap, none is an outlier
    assert held(rows([1000] * calm + [1500, 500] * 30, gap_us=MS))[-1] == 0


def test_late_print_on_its_side_is_a_part_of_the_move() -> None:
    ring = rows([*[1000] * 40, 500, 200, 900], gap_us=300 * MS)
    assert held(ring)[40:] == [1, 0, 1]


def test_late_print_back_where_it_was_is_none() -> None:
    assert held(rows([*[1000] * 40, 500, 1000], gap_us=300 * MS))[40:] == [1, 0]


def test_zero_sigma_flags_nothing_and_passes_the_top_on() -> None:
    ring = rows([*CALM, CALM[-1] + 900])
    one = flags(0.0)
    one.load(ring, 0, ring.shape[1])
    assert one.hold.sum() == 0
    assert one.bids[: ring.shape[1]].tolist() == ring[BID].tolist()


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_blocks_and_snapshots_change_no_flag(seed: int) -> None:
    rng = random.Random(seed)
    prices, price = [], 100_000
    for _ in range(3_000):
        price += rng.choice([-2, -1, 0, 1, 2]) + (rng.randrange(-60, 60) if rng.random() < 0.03 else 0)
        prices.append(price)
    ring = rows(prices, gap_us=90 * MS)
    whole = flags()
    whole.load(ring, 0, 3_000)
    assert 10 < whole.hold[:3_000].sum() < 1_000, f"seed {seed}"
    parts, at, one = [], 0, flags()
    while at < 3_000:
        n = min(rng.choice([1, 5, 64, 700]), 3_000 - at)
        one.load(ring, at, n)
        parts.append(np.stack((one.hold[:n].astype(np.int64), one.bids[:n], one.asks[:n])).copy())
        at += n
        if rng.random() < 0.2:
            other = flags()
            other.restore(one.state())
            one = other
    joined = np.concatenate(parts, axis=1)
    assert np.array_equal(joined[0], whole.hold[:3_000]), f"seed {seed}"
    assert np.array_equal(joined[1], whole.bids[:3_000]), f"seed {seed}"
    assert np.array_equal(joined[2], whole.asks[:3_000]), f"seed {seed}"
