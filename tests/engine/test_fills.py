"""The fill model: what a market order walks, what a bar costs, which row touches a resting order."""

from __future__ import annotations

import random

import numpy as np
import pytest
from numpy.typing import NDArray

from botd.engine.fills import NEVER, bar_price, first_touch, walk
from botd.engine.layout import HIGH, KIND, LOW, N_COLUMNS, P, RowKind, T


@pytest.mark.parametrize(
    ("lots", "top", "size", "buy", "limit", "levels", "expected"),
    [
        (5, 100, 10, True, None, 9, [(100, 5)]),
        (10, 100, 10, True, None, 9, [(100, 10)]),
        (25, 100, 10, True, None, 9, [(100, 10), (101, 10), (102, 5)]),
        (25, 100, 10, False, None, 9, [(100, 10), (99, 10), (98, 5)]),
        (25, 100, 0, True, None, 9, [(100, 25)]),
        (25, 100, 10, True, 101, 9, [(100, 10), (101, 10)]),
        (25, 100, 10, False, 99, 9, [(100, 10), (99, 10)]),
        (25, 100, 10, True, 99, 9, []),
        (25, 100, 10, False, 101, 9, []),
        (25, 100, 10, True, None, 2, [(100, 10), (101, 10)]),
        (25, 2, 10, False, None, 9, [(2, 10), (1, 10)]),
        (25, 0, 10, True, None, 9, []),
        (0, 100, 10, True, None, 9, []),
    ],
)
def test_walk(
    lots: int, top: int, size: int, buy: bool, limit: int | None, levels: int, expected: list[tuple[int, int]]
) -> None:
    assert list(walk(lots, top, size, buy=buy, limit=limit, levels_max=levels)) == expected


@pytest.mark.parametrize(
    ("price", "ppm", "buy", "expected"),
    [
        (10_000, 1000, True, 10_010),
        (10_000, 1000, False, 9_990),
        (10_001, 1000, True, 10_012),  # 10,011.001
        (10_001, 1000, False, 9_990),  # 9,990.999
        (10_001, 0, True, 10_001),
        (10_001, 0, False, 10_001),
        (1, 1000, True, 2),
        (1, 1000, False, 1),  # never free
    ],
)
def test_bar_price_is_rounded_to_the_worse_tick(price: int, ppm: int, buy: bool, expected: int) -> None:
    assert bar_price(price, ppm, buy=buy) == expected


def rows(*written: tuple[RowKind, int, int, int]) -> NDArray[np.int64]:
    """Make a ring of (kind, low, high, last), one a second."""
    ring = np.zeros((N_COLUMNS, len(written)), np.int64)
    for i, (kind, low, high, last) in enumerate(written):
        ring[[T, KIND, LOW, HIGH, P], i] = i * 1_000_000, kind, low, high, last
    return ring


TRADES = rows(*((RowKind.TRADE, 0, 0, p) for p in (100, 102, 98, 105, 90)))
BARS = rows(
    (RowKind.BAR, 99, 101, 100),
    (RowKind.BAR, 98, 103, 100),
    (RowKind.TIMER, 0, 0, 100),
    (RowKind.BAR, 95, 106, 100),
)
NOTHING = {"sell_stop": 0, "buy_stop": NEVER, "buy_limit": 0, "sell_limit": NEVER}


@pytest.mark.parametrize(
    ("orders", "on_trades", "on_bars"),
    [
        ({}, 5, 4),
        ({"sell_stop": 98}, 2, 1),  # reached
        ({"sell_stop": 97}, 4, 3),
        ({"buy_stop": 102}, 1, 1),
        ({"buy_stop": 106}, 5, 3),
        ({"buy_limit": 98}, 4, 3),  # passed, not reached
        ({"buy_limit": 99}, 2, 1),
        ({"sell_limit": 105}, 5, 3),
        ({"sell_limit": 101}, 1, 1),
        ({"sell_limit": 104, "sell_stop": 90}, 3, 3),
    ],
)
def test_first_touch(orders: dict[str, int], on_trades: int, on_bars: int) -> None:
    asked = list((NOTHING | orders).values())
    assert first_touch(TRADES, 0, 5, NEVER, *asked) == on_trades
    assert first_touch(BARS, 0, 4, NEVER, *asked) == on_bars


def test_first_bar_from_a_time_on() -> None:
    asked = list(NOTHING.values())
    assert [first_touch(BARS, 0, 4, t, *asked) for t in (0, 1, 1_000_001, 3_000_001)] == [0, 1, 3, 4]
    assert first_touch(BARS, 2, 3, 0, *asked) == 3  # a timer is no bar


def test_rows_that_trade_nothing_touch_nothing() -> None:
    others = [RowKind.BOOK, RowKind.TIMER, RowKind.MARK, RowKind.FUNDING]
    ring = rows(*((kind, 1, 999, 100) for kind in others))
    assert first_touch(ring, 0, 4, 0, 500, 1, 500, 1) == 4


def test_first_touch_equals_a_search_row_by_row() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(300):
        kinds = rng.choices([RowKind.TRADE, RowKind.BAR, RowKind.BOOK, RowKind.TIMER], k=30)
        ring = rows(*((k, p := rng.randint(90, 110), p + rng.randint(0, 9), p + 2) for k in kinds))
        stops = rng.choice([0, rng.randint(80, 100)]), rng.choice([NEVER, rng.randint(100, 120)])
        limits = rng.choice([0, rng.randint(80, 100)]), rng.choice([NEVER, rng.randint(100, 120)])
        deadline = rng.choice([NEVER, rng.randint(0, 40_000_000)])
        start, stop = sorted(rng.sample(range(31), 2))
        expected = stop
        for i in range(start, stop):
            kind = ring[KIND, i]
            if kind not in (RowKind.TRADE, RowKind.BAR):
                continue
            low, high = (ring[LOW, i], ring[HIGH, i]) if kind == RowKind.BAR else (ring[P, i], ring[P, i])
            late = kind == RowKind.BAR and ring[T, i] >= deadline
            if late or low <= stops[0] or high >= stops[1] or low < limits[0] or high > limits[1]:
                expected = i
                break
        assert first_touch(ring, start, stop, deadline, *stops, *limits) == expected
