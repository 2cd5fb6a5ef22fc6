"""Row words, three-valued logic and the operators that remember, by hand and by slow loops."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from botd.engine.layout import ASK, ASZ, BID, BSZ, HIGH, KIND, MARK, P, Q, RowKind, T
from tests.engine.cases import LOT, SECOND, START, TICK, blank_rows, random_bars, random_rows, values


def steps(prices: list[int], seconds: list[float] | None = None) -> np.ndarray:
    rows = blank_rows(len(prices))
    at = range(len(prices)) if seconds is None else seconds
    rows[T] = START + np.array([round(s * SECOND) for s in at])
    rows[P] = prices
    return rows


def test_row_words_by_hand() -> None:
    rows = steps([200, 200])
    rows[BID], rows[ASK], rows[BSZ], rows[ASZ], rows[MARK] = 198, 202, 30, 10, 201
    rows[[BID, ASK, MARK], 1] = 0
    words = (
        "price best_bid best_ask bid_size ask_size mid spread spread_price imbalance mark_price".split()  # noqa: SIM905
    )
    got = {word: column.tolist() for word, column in zip(words, values(words, rows), strict=True)}
    assert got["price"] == [200 * TICK, 200 * TICK]
    first = {word: column[0] for word, column in got.items() if word != "price"}
    assert first == {
        "best_bid": 198 * TICK,
        "best_ask": 202 * TICK,
        "bid_size": 30 * LOT,
        "ask_size": 10 * LOT,
        "mid": 200 * TICK,
        "spread": 4 / 200,
        "spread_price": 4 * TICK,
        "imbalance": 0.5,
        "mark_price": 201 * TICK,
    }
    assert all(math.isnan(column[1]) for word, column in got.items() if word != "price")


def test_imbalance_of_an_empty_book_and_price_before_the_first_are_undefined() -> None:
    rows = steps([0])
    rows[BID], rows[ASK] = 1, 2
    imbalance, price = values(["imbalance", "price"], rows)
    assert math.isnan(imbalance[0])
    assert math.isnan(price[0])


def test_clock_words() -> None:
    rows = steps([1, 1, 1])
    # 1970-01-01 was a Thursday; 2020-09-13 was a Sunday, 2020-09-14 a Monday
    rows[T] = [1_000_000, 1_599_998_400_000_000 + 3 * 3600 * SECOND + 500_000, 1_600_041_600_000_000]
    time, day = values(["time_of_day", "day_of_week"], rows)
    assert time.tolist() == [1.0, 3 * 3600 + 12 * 3600 + 0.5, 0.0]
    assert day.tolist() == [3, 6, 0]


def test_funding_rate_stands_until_the_next() -> None:
    rows = steps([5, 5, 5, 5])
    rows[KIND, [1, 3]] = int(RowKind.FUNDING)
    rows[HIGH, [1, 3]] = [100_000, -2_500]  # 1e-9
    (rate,) = values(["funding_rate"], rows, [1, 2])
    assert math.isnan(rate[0])
    assert rate[1:].tolist() == [1e-4, 1e-4, -2.5e-6]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("price < 3", [1, 1, 0, 0]),
        ("price <= 3", [1, 1, 1, 0]),
        ("price == 3", [0, 0, 1, 0]),
        ("price != 3", [1, 1, 0, 1]),
        ("3 < price", [0, 0, 0, 1]),
        ("3 <= price", [0, 0, 1, 1]),
        ("price > 1 and price < 3", [0, 1, 0, 0]),
        ("price < 2 or price > 3", [1, 0, 0, 1]),
        ("not (price < 2 or price > 3)", [0, 1, 1, 0]),
        ("price < price * 2", [1, 1, 1, 1]),
        ("price <= price", [1, 1, 1, 1]),
        ("always", [1, 1, 1, 1]),
        ("never", [0, 0, 0, 0]),
        ("never or price > 3", [0, 0, 0, 1]),
        # mark price is known in the last two rows only
        ("mark_price > 0", [2, 2, 1, 1]),
        ("not (mark_price > 0)", [2, 2, 0, 0]),
        ("mark_price > 0 or always", [2, 2, 1, 1]),
        ("always and mark_price > 0", [2, 2, 1, 1]),
        ("never and mark_price > 0", [2, 2, 0, 0]),
        ("mark_price == 7", [2, 2, 1, 1]),
        ("mark_price != 7", [2, 2, 0, 0]),
        ("7 <= mark_price", [2, 2, 1, 1]),
        ("price / (price - price) > 1", [2, 2, 2, 2]),
        ("if(price > 2, price, mark_price) > 0", [2, 2, 1, 1]),
        ("if(mark_price > 0, price, price) > 0", [2, 2, 1, 1]),
        ("(price > 2)[1s ago]", [2, 0, 0, 1]),
    ],
)
def test_conditions_by_hand(text: str, expected: list[int]) -> None:
    rows = steps([100, 200, 300, 400])
    rows[MARK, 2:] = 700
    (got,) = values([text], rows, [3])
    assert got.tolist() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("price + 1", [2.0, 3.0]),
        ("1 + price + price", [3.0, 5.0]),
        ("price - 1", [0.0, 1.0]),
        ("1 - price", [0.0, -1.0]),
        ("price - price / 2", [0.5, 1.0]),
        ("price * 3", [3.0, 6.0]),
        ("price * price", [1.0, 4.0]),
        ("price / 2", [0.5, 1.0]),
        ("2 / price", [2.0, 1.0]),
        ("-price", [-1.0, -2.0]),
        ("abs(-price)", [1.0, 2.0]),
        ("min(price, 1.5)", [1.0, 1.5]),
        ("max(price, 1.5)", [1.5, 2.0]),
        ("clamp(price, 1.25, 1.75)", [1.25, 1.75]),
        ("if(price > 1, price, 7)", [7.0, 2.0]),
        ("price / (price - 1)", [math.nan, 2.0]),
        ("1 / (price - 1)", [math.nan, 1.0]),
        ("min(price / (price - 1), 9)", [math.nan, 2.0]),
        ("max(9, price / (price - 1))", [math.nan, 9.0]),
    ],
)
def test_arithmetic_by_hand(text: str, expected: list[float]) -> None:
    (got,) = values([text], steps([100, 200]))
    np.testing.assert_array_equal(got, expected)


def test_crosses_need_a_difference_of_the_other_sign_before() -> None:
    rows = steps([300, 300, 500, 300, 300, 500, 500, 200, 300, 250])
    up, down = values(["price crosses above 3", "price crosses below 3"], rows, [1, 4])
    # the tie at the third row keeps the last difference; the first differing row cannot cross
    assert up.tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    assert down.tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 0, 0]
    rows[P, 8:] = [300, 350]
    up, _ = values(["price crosses above 3", "price crosses below 3"], rows, [1, 4])
    assert up.tolist() == [0] * 9 + [1]


def test_crossing_of_bars_stands_until_the_next_bar_closes() -> None:
    prices = [120] * 5 + [110] * 10 + [100] * 10 + [112] * 4 + [112] * 16
    rows = steps(prices, list(range(len(prices))))
    first = int(rows[T, 0] // SECOND % 5)
    text = "sma(close(5s), 1) crosses above sma(close(5s), 3)"
    for sizes in ([1], [7], [512]):
        above, below = values([text, text.replace("above", "below")], rows, sizes)
        at = int(np.argmax(above == 1))
        assert (first + at) % 5 == 0  # the row that closes the bar
        assert above[at : at + 5].tolist() == [1] * 5
        assert int((above == 1).sum()) == 5
        assert not (below == 1).any()


def test_crossing_of_bars_that_are_rows_is_true_for_one() -> None:
    rows = random_bars(5, 400)
    fast, slow, up = values(
        ["sma(close(1m), 2)", "sma(close(1m), 5)", "sma(close(1m), 2) crosses above sma(close(1m), 5)"], rows
    )
    side, expected = 0, []
    for x, y in zip(fast, slow, strict=True):
        expected.append(2 if math.isnan(y) else int(x > y and side < 0))
        side = 1 if x > y else -1 if x < y else side
    assert up.tolist() == expected
    assert expected.count(1) > 20


def test_crossing_of_bars_with_a_price_is_judged_by_row() -> None:
    rows = steps([100] * 12 + [300] * 3, list(range(15)))
    (up,) = values(["price crosses above sma(close(5s), 1) + 1"], rows)
    assert int((up == 1).sum()) == 1


def test_windows_before_the_first_trade_are_undefined() -> None:
    rows = steps([10_000] * 16, list(range(16)))
    rows[KIND, :9], rows[P, :9] = int(RowKind.BOOK), 0
    rows[P, 9:] = 10_000 + np.arange(7)
    texts = ["twpa(5s)", "twpa(from 5s to 1s)", "low(5s)", "high(5s)", "range(5s)", "slope(5s)"]
    for column in values(texts, rows, [4]):
        assert np.isnan(column[:14]).all()  # 5 s before the last of them no trade had been
        assert not np.isnan(column[14:]).any()


def test_crossing_keeps_its_side_through_undefined_rows() -> None:
    rows = steps([1, 1, 1, 1])
    rows[MARK] = [100, 0, 0, 300]
    (up,) = values(["mark_price crosses above 2"], rows)
    assert up.tolist() == [0, 2, 2, 1]


def test_for_counts_from_the_first_true_row_and_undefined_resets_it() -> None:
    rows = steps([300, 300, 300, 100, 300, 300, 300, 300], [0, 1, 2, 3, 4, 5, 6, 7])
    rows[MARK] = rows[P]
    rows[MARK, 6] = 0
    calm, marked = values(["price > 2 for 2s", "mark_price > 2 for 1s"], rows, [2])
    assert calm.tolist() == [0, 0, 1, 0, 0, 0, 1, 1]
    assert marked.tolist() == [0, 1, 1, 0, 0, 1, 2, 0]


def test_ago_is_the_value_at_the_last_row_old_enough() -> None:
    rows = random_rows(61, 1200)
    ago, inner = values(["(price * 2)[5s ago]", "price * 2"], rows, [5, 90])
    index = np.searchsorted(rows[T], rows[T] - 5 * SECOND, side="right") - 1
    expected = np.where(index < 0, np.nan, inner[np.maximum(index, 0)])
    assert np.array_equal(ago, expected, equal_nan=True)


def sampled(t: np.ndarray, x: np.ndarray, window: int, every: int, floor: float) -> list[float]:
    """Compute zscore slowly: at every row, from all samples before it."""
    out = []
    for i in range(len(t)):
        now = int(t[i])
        first = -(-int(t[0]) // every) * every
        low = max(first, (now - window) // every * every + every)
        points = [x[np.searchsorted(t[:i], m, side="right") - 1] for m in range(low, now, every)]
        points = [Fraction(p) for p in points if not math.isnan(p)]
        if not points or len(points) < window / every / 4:
            out.append(math.nan)
            continue
        mean = sum(points) / len(points)
        deviation = math.sqrt(sum((p - mean) ** 2 for p in points) / len(points))
        width = max(deviation, floor)
        undefined = width == 0 or math.isnan(x[i])
        out.append(math.nan if undefined else float(Fraction(x[i]) - mean) / width)
    return out


@pytest.mark.parametrize(
    ("inner", "floor"), [("count(3s)", 0.3), ("price", 0.0), ("rush_orders(8s)", 0.3), ("close(1m)", 0.0)]
)
def test_zscore_equals_slow_sampling(inner: str, floor: float) -> None:
    rows = random_rows(62, 1500)
    score, x = values([f"zscore({inner}, 60s, every 5s)", inner], rows, [1, 2, 77])
    oracle = sampled(rows[T], x, 60 * SECOND, 5 * SECOND, floor)
    assert np.isfinite(score).sum() > 300
    np.testing.assert_allclose(score, oracle, rtol=1e-9, atol=1e-9, equal_nan=True)


def test_A14_zscore_of_a_constant_price_is_undefined_and_of_a_constant_count_is_not() -> None:  # noqa: N802
    rows = steps([100] * 200)
    rows[KIND] = int(RowKind.TIMER)
    price, count = values(["zscore(price, 60s, every 5s)", "zscore(count(5s), 60s, every 5s)"], rows)
    assert np.isnan(price).all()
    assert (count[-50:] == 0).all()


def test_zscore_of_equal_samples_whose_mean_rounds_is_undefined() -> None:
    rows = steps([123_457] * 90 + [123_458])
    (score,) = values(["zscore(price * 0.1, 60s, every 1s)"], rows)
    assert np.isnan(score).all()


def test_zscore_over_a_gap_longer_than_its_window() -> None:
    rows = steps([100, 200, 300, 300, 400], [0, 10, 20, 5000, 5001])
    score, x = values(["zscore(price, 60s, every 5s)", "price"], rows, [2])
    oracle = sampled(rows[T], x, 60 * SECOND, 5 * SECOND, 0.0)
    np.testing.assert_allclose(score, oracle, rtol=1e-12, equal_nan=True)


def test_velocity_and_surge_are_what_they_stand_for() -> None:
    rows = random_rows(63, 1500)
    got = values(
        [
            "velocity(5s, 60s)",
            "twpa(5s) / twpa(60s) - 1",
            "volume_surge(5s, 60s)",
            "volume(5s)",
            "volume(60s)",
        ],
        rows,
    )
    assert np.array_equal(got[0], got[1], equal_nan=True)
    with np.errstate(all="ignore"):
        surge = np.where(got[4] > 0, (got[3] / 5.0) / (got[4] / 60.0), np.nan)
    np.testing.assert_array_equal(got[2], surge)


def test_volume_counts_nothing_on_rows_that_trade_nothing() -> None:
    rows = random_rows(64, 600)
    volume, count = values(["volume(2s)", "count(2s)"], rows)
    quiet = (rows[KIND] != int(RowKind.TRADE)) & np.isfinite(volume)
    same_time = np.concatenate(([False], np.diff(rows[T]) == 0)) & quiet
    assert same_time.any()
    at = np.flatnonzero(same_time)
    assert np.array_equal(volume[at], volume[at - 1])
    assert np.array_equal(count[at], count[at - 1])
    assert rows[Q, quiet].sum() == 0
