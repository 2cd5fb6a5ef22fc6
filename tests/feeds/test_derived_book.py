"""The rules of the derived top, on rows worked out by hand."""

from __future__ import annotations

import random

import numpy as np

from botd.feeds.book import derive_top


def top(prints: list[tuple[int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Return (bid, ask, bid size, ask size) after each (price, lots, side)."""
    price, lots, side = (np.array(column, dtype=np.int64) for column in zip(*prints, strict=True))
    return [tuple(int(v) for v in row) for row in zip(*derive_top(price, lots, side), strict=True)]


def test_top_follows_last_print_of_each_side() -> None:
    assert top([(101, 5, 1), (99, 7, -1), (102, 3, 1), (98, 2, -1)]) == [
        (100, 101, 5, 5),  # no sell yet: one tick under the buy, its amount
        (99, 101, 7, 5),
        (99, 102, 7, 3),
        (98, 102, 2, 3),
    ]


def test_top_before_first_buy_stands_one_tick_above_sell() -> None:
    assert top([(50, 4, -1), (49, 6, -1)]) == [(50, 51, 4, 4), (49, 50, 6, 6)]


def test_buy_below_bid_moves_bid_one_tick_under_it() -> None:
    # the bid's size stays that of its own print
    assert top([(103, 5, 1), (100, 7, -1), (98, 2, 1)])[2] == (97, 98, 7, 2)


def test_sell_above_ask_moves_ask_one_tick_over_it() -> None:
    assert top([(99, 7, -1), (100, 5, 1), (104, 3, -1)])[2] == (104, 105, 3, 5)


def test_locked_sides_count_as_crossed() -> None:
    assert top([(102, 1, 1), (100, 2, -1), (100, 3, 1)])[2] == (99, 100, 2, 3)


def test_moved_side_returns_to_its_print_when_no_longer_crossed() -> None:
    assert top([(101, 1, 1), (100, 2, -1), (99, 3, 1), (105, 4, 1)])[3] == (100, 105, 2, 4)


def test_top_of_a_coin_at_one_tick_has_a_bid() -> None:
    assert top([(1, 4, 1), (1, 6, -1), (2, 3, 1), (1, 2, 1)]) == [
        (1, 2, 4, 4),  # nothing stands under one tick: the ask moves
        (1, 2, 6, 4),
        (1, 2, 6, 3),
        (1, 2, 6, 2),
    ]


def test_top_equals_a_row_by_row_walk_and_never_locks() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    prints = [(rng.randint(990, 1010), rng.randint(1, 9), rng.choice((1, -1))) for _ in range(500)]
    buy: tuple[int, int] | None = None
    sell: tuple[int, int] | None = None
    expected = []
    for price, lots, side in prints:
        if side > 0:
            buy = (price, lots)
        else:
            sell = (price, lots)
        if sell is None or buy is None:
            one = (price - 1, price, lots, lots) if side > 0 else (price, price + 1, lots, lots)
        elif sell[0] >= buy[0]:
            bid, ask = (buy[0] - 1, buy[0]) if side > 0 else (sell[0], sell[0] + 1)
            one = (bid, ask, sell[1], buy[1])
        else:
            one = (sell[0], buy[0], sell[1], buy[1])
        expected.append(one)
    assert top(prints) == expected
    assert all(bid < ask for bid, ask, _, _ in expected)
