"""Prices of many ticks: sums beyond int64, against Python's own whole numbers."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from botd.engine.flags import SQUARES, SQUARES_HIGH, OutlierFlags
from botd.engine.layout import N_COLUMNS, SIDE, P, Q, T
from botd.engine.wide import high_product, wide
from tests.engine.cases import LOT, SECOND, START, TICK, blank_rows, values

FINE = 950_012_345_678  # 9500.12345678 in steps of 1e-8


def fine_rows(n: int, *, lots: int = 100_000_000, seed: int = 3) -> NDArray[np.int64]:
    """Return a trade each second around 9500 in steps of 1e-8, of about one coin in steps of 1e-8."""
    rng = np.random.default_rng(seed)
    rows = blank_rows(n)
    rows[T] = START + np.arange(n) * SECOND
    rows[P] = FINE + np.cumsum(rng.integers(-2_000_000_000, 2_000_000_000, n))
    rows[Q] = lots + rng.integers(0, 1000, n)
    rows[SIDE] = 1
    return rows


def test_whole_products_beyond_int64_are_exact() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(300):
        pairs = [
            (rng.randrange(1 << rng.randint(1, 41)), rng.randrange(1 << rng.randint(1, 38)))
            for _ in range(20)
        ]
        true = sum(a * b for a, b in pairs)
        with np.errstate(over="ignore"):
            high = np.int64(0)
            low = np.int64(0)
            for a, b in pairs:
                high += high_product(np.int64(a), np.int64(b))
                low += np.int64(a) * np.int64(b)
            assert wide(high, low) == float(true)


@pytest.mark.parametrize("block", [1, 7, 200])
def test_price_windows_of_fine_ticks_are_right(block: int) -> None:
    rows = fine_rows(700)
    texts = ["twpa(5m)", "twpa(from 6m to 1m)", "vwap(5m)", "vwap(from 6m to 1m)"]
    twpa, twpa_before, vwap, vwap_before = (column[-1] for column in values(texts, rows, [block]))
    p, q = [int(x) for x in rows[P]], [int(x) for x in rows[Q]]
    now, before = slice(399, 699), slice(339, 639)  # the price stands from its second to the next
    for found, part in ((twpa, now), (twpa_before, before)):
        assert found == pytest.approx(sum(p[part]) / 300 * TICK, rel=1e-15)
    for found, start, end in ((vwap, 400, 700), (vwap_before, 340, 640)):
        value = sum(a * b for a, b in zip(p[start:end], q[start:end], strict=True))
        assert found == pytest.approx(float(Fraction(value, sum(q[start:end]))) * TICK, rel=1e-15)


def test_week_of_one_fine_price_has_it_as_its_average() -> None:
    rows = blank_rows(3)
    rows[T] = START + np.array([0, 3, 8]) * 86_400 * SECOND
    rows[P], rows[Q] = FINE, 10**14
    twpa, vwap = values(["twpa(7d)", "vwap(7d)"], rows)
    assert twpa[-1] == vwap[-1] == FINE * TICK


@pytest.mark.parametrize("block", [1, 7, 200])
def test_deviation_and_slope_of_fine_ticks_are_right(block: int) -> None:
    rows = fine_rows(700)
    found_stddev, found_slope = (c[-1] for c in values(["stddev(5m)", "slope(5m)"], rows, [block]))
    p = [int(x) for x in rows[P, 400:]]
    mean = Fraction(sum(p), 300)
    variance = sum((x - mean) ** 2 for x in p) / 300
    assert found_stddev == pytest.approx(math.sqrt(variance) * TICK, rel=1e-9)
    unit = 300 * SECOND >> 20
    x = [int(t) // unit for t in rows[T, 400:]]
    middle = Fraction(sum(x), 300)
    slope = sum((a - middle) * (b - mean) for a, b in zip(x, p, strict=True)) / sum(
        (a - middle) ** 2 for a in x
    )
    assert found_slope == pytest.approx(float(slope) * (1e6 / unit) * TICK, rel=1e-9)


def test_squares_of_fine_moves_are_right() -> None:
    n = 600
    rows = fine_rows(n)
    ring = np.zeros((N_COLUMNS, n), np.int64)
    ring[: rows.shape[0]] = rows
    flags = OutlierFlags(sigma=3.0, window_us=300 * SECOND, confirm_us=250_000, block_max=n)
    flags.load(ring, 0, n)
    state = flags.state()["flag_words"]
    moves = [int(b) - int(a) for a, b in zip(rows[P, 299:-1], rows[P, 300:], strict=True)]
    with np.errstate(over="ignore"):
        assert wide(state[SQUARES_HIGH], state[SQUARES]) == float(sum(m * m for m in moves))
    assert flags.hold.mean() < 0.01  # a walk of even steps has no outliers


def test_amounts_use_the_lot() -> None:
    rows = fine_rows(20)
    (volume,) = values(["volume(10s)"], rows)
    assert volume[-1] == float(rows[Q, 10:].sum()) * LOT
