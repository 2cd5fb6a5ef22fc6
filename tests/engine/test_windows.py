"""Row windows against sums over numpy prefixes, bit for bit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from botd.engine.layout import KIND, SIDE, P, Q, RowKind, T
from tests.engine.cases import LOT, SECOND, START, TICK, blank_rows, pump_rows, random_rows, values

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]
WORDS = [
    "twpa",
    "vwap",
    "volume",
    "buys",
    "sells",
    "count",
    "high",
    "low",
    "range",
    "change",
    "rush_orders",
    "stddev",
    "slope",
]
WINDOWS = [(2, 0), (10, 0), (60, 0), (30, 7)]


def rush_prefix(rows: I64) -> I64:
    """Count, up to each row, the groups of taker buys at one timestamp that span several prices."""
    seen: dict[int, set[int]] = {}
    total = 0
    out = np.zeros(rows.shape[1], np.int64)
    for i in range(rows.shape[1]):
        if rows[KIND, i] == int(RowKind.TRADE) and rows[SIDE, i] > 0:
            prices = seen.setdefault(int(rows[T, i]), set())
            before = len(prices)
            prices.add(int(rows[P, i]))
            total += before == 1 and len(prices) == 2
        out[i] = total
    return out


class Oracle:
    """Windows from int64 prefixes and searchsorted."""

    def __init__(self, rows: I64, start: int, end: int) -> None:
        t, p, q = rows[T], rows[P], rows[Q]
        self.rows, self.t, self.p = rows, t, p
        self.start, self.end = start * SECOND, end * SECOND
        self.first = np.searchsorted(t, t - self.start, side="right") - 1
        n = np.arange(t.shape[0])
        self.last = n if end == 0 else np.searchsorted(t, t - self.end, side="right") - 1
        self.ready = self.first >= 0
        trade = rows[KIND] == int(RowKind.TRADE)
        self.trade = trade
        self.area = np.concatenate(([0], np.cumsum(p[:-1] * np.diff(t))))
        self.sums = {
            "volume": np.cumsum(q),
            "buys": np.cumsum(np.where(rows[SIDE] > 0, q, 0)),
            "count": np.cumsum(trade.astype(np.int64)),
            "rush_orders": rush_prefix(rows),
            "value": np.cumsum(p * q),
        }

    def difference(self, name: str) -> I64:
        prefix = self.sums[name]
        return prefix[self.last] - prefix[self.first]

    def column(self, word: str) -> F64:
        with np.errstate(all="ignore"):
            return np.where(self.ready, self._raw(word), np.nan)

    def _raw(self, word: str) -> F64:
        a, b, t, p = self.first, self.last, self.t, self.p
        if word == "twpa":
            upper = self.area[b] + p[b] * (t - self.end - t[b])
            lower = self.area[a] + p[a] * (t - self.start - t[a])
            return (upper - lower) / (self.start - self.end) * TICK
        if word == "vwap":
            volume = self.difference("volume")
            return np.where(volume == 0, np.nan, self.difference("value") / volume * TICK)
        if word in ("volume", "buys"):
            return self.difference(word) * LOT
        if word == "sells":
            return (self.difference("volume") - self.difference("buys")) * LOT
        if word in ("count", "rush_orders"):
            return self.difference(word).astype(np.float64)
        if word == "change":
            return p[b] / p[a] - 1
        return np.array([self._one(word, i) if self.ready[i] else np.nan for i in range(t.shape[0])])

    def _one(self, word: str, i: int) -> float:
        a, b = int(self.first[i]), int(self.last[i])
        standing = self.p[a : b + 1]
        if word == "high":
            return float(standing.max()) * TICK
        if word == "low":
            return float(standing.min()) * TICK
        if word == "range":
            return float(standing.max()) * TICK - float(standing.min()) * TICK
        inside = slice(a + 1, b + 1)
        if word == "stddev":
            d = [int(x) - int(self.p[b]) for x in self.p[inside][self.trade[inside]]]
            if not d:
                return math.nan
            mean, square = sum(d) / len(d), sum(x * x for x in d) / len(d)
            return math.sqrt(square - mean * mean) * TICK if square > mean * mean else 0.0
        assert word == "slope"
        unit = max(1, (self.start - self.end) >> 20)
        x = [int(v) // unit - int(self.t[b]) // unit for v in self.t[inside]]
        y = [int(v) - int(self.p[b]) for v in self.p[inside]]
        if len(x) < 2:
            return math.nan
        n, sx, sy = float(len(x)), float(sum(x)), float(sum(y))
        var = float(sum(v * v for v in x)) - sx * sx / n
        cov = float(sum(v * w for v, w in zip(x, y, strict=True))) - sx * sy / n
        return cov / var * (1e6 / unit) * TICK if var > 0 else math.nan


def check(rows: I64, start: int, end: int) -> None:
    form = f"{start}s" if end == 0 else f"from {start}s to {end}s"
    columns = values([f"{word}({form})" for word in WORDS], rows, [1, 7, 300, 512])
    oracle = Oracle(rows, start, end)
    assert oracle.ready.any()
    for word, column in zip(WORDS, columns, strict=True):
        expected = oracle.column(word)
        wrong = np.flatnonzero(~((column == expected) | (np.isnan(column) & np.isnan(expected))))
        assert wrong.size == 0, (word, form, wrong[:5], column[wrong[:5]], expected[wrong[:5]])
        assert np.isfinite(column).any(), word


@pytest.mark.parametrize(("start", "end"), WINDOWS)
def test_windows_on_random_rows_equal_the_prefix_oracle(start: int, end: int) -> None:
    seed = 20_000 + start + end
    print("seed", seed)
    check(random_rows(seed, 2500), start, end)


@pytest.mark.parametrize(("start", "end"), [(25, 0), (600, 0), (300, 60)])
def test_windows_on_a_recorded_pump_equal_the_prefix_oracle(start: int, end: int) -> None:
    check(pump_rows(3000), start, end)


def test_stddev_and_slope_equal_numpy() -> None:
    rows = random_rows(5, 800, timers=False)
    stddev, slope = values(["stddev(30s)", "slope(30s)"], rows)
    oracle = Oracle(rows, 30, 0)
    for i in np.flatnonzero(oracle.ready)[::37]:
        inside = slice(int(oracle.first[i]) + 1, int(i) + 1)
        prices = rows[P, inside] * TICK
        assert stddev[i] == pytest.approx(np.std(prices), rel=1e-9)
        seconds = (rows[T, inside] - rows[T, i]) / SECOND
        if np.ptp(seconds) > 0:
            fitted = np.polyfit(seconds, prices, 1)[0]
            assert slope[i] == pytest.approx(fitted, rel=1e-4, abs=1e-9)


def test_twpa_of_two_steps_equals_the_hand_calculation() -> None:
    rows = blank_rows(4)
    rows[T] = START + np.array([0, 4, 10, 12]) * SECOND
    rows[P] = [100, 200, 400, 400]
    twpa, early = values(["twpa(10s)", "twpa(from 10s to 2s)"], rows)
    assert np.isnan(twpa[:2]).all()
    # (0 s, 10 s]: 100 stands 4 s, 200 stands 6 s
    assert twpa[2] == 160 * TICK
    # (2 s, 12 s]: 100 stands 2 s, 200 stands 6 s, 400 stands 2 s
    assert twpa[3] == 220 * TICK
    # (2 s, 10 s]: 100 stands 2 s, 200 stands 6 s
    assert early[3] == 175 * TICK


def test_rows_at_one_timestamp_do_not_see_the_later_ones() -> None:
    rows = blank_rows(4)
    rows[T] = START + np.array([0, 20, 20, 20]) * SECOND
    rows[P] = 100
    rows[Q] = [1, 10, 100, 1000]
    (volume,) = values(["volume(10s)"], rows)
    assert volume[1:].tolist() == [10 * LOT, 110 * LOT, 1110 * LOT]


def test_rush_orders_need_buys_of_one_timestamp_at_several_prices() -> None:
    rows = blank_rows(9)
    rows[T] = START + np.array([0, 20, 20, 20, 20, 21, 21, 22, 22]) * SECOND
    rows[P] = [100, 100, 101, 102, 90, 100, 100, 100, 101]
    rows[Q] = 1
    rows[SIDE] = [1, 1, 1, 1, -1, 1, 1, -1, 1]
    (rush,) = values(["rush_orders(10s)"], rows, [1])
    # one order over three prices at 20 s; one price at 21 s; one buy beside a sell at 22 s
    assert rush[1:].tolist() == [0, 1, 1, 1, 1, 1, 1, 1]


def test_prefix_sums_that_wrap_leave_windows_exact() -> None:
    rows = random_rows(11, 1500)
    texts = ["twpa(30s)", "vwap(30s)", "volume(30s)", "stddev(30s)"]
    small = values(texts, rows)
    big = rows.copy()
    big[P] += 1 << 36
    big[Q] *= 64
    price, lots, time = ([int(v) for v in big[c]] for c in (P, Q, T))
    area = sum(p * (b - a) for p, a, b in zip(price, time, time[1:], strict=False))
    assert area > 1 << 63  # the sums of the whole run overflow, those of one window do not
    assert sum(p * q for p, q in zip(price, lots, strict=True)) > 1 << 63
    twpa, vwap, volume, stddev = values(texts, big)
    oracle = Oracle(big, 30, 0)
    for i in np.flatnonzero(oracle.ready)[::41]:
        a = int(oracle.first[i])
        span = [time[i] - 30 * SECOND, *time[a + 1 : i + 1]]
        stood = sum(p * (y - x) for p, x, y in zip(price[a:i], span, span[1:], strict=False))
        assert twpa[i] == float(stood) / float(30 * SECOND) * TICK
        inside = range(a + 1, i + 1)
        assert volume[i] == float(sum(lots[k] for k in inside)) * LOT
        value = sum(price[k] * lots[k] for k in inside)
        assert vwap[i] == float(value) / float(sum(lots[k] for k in inside)) * TICK
    assert np.array_equal(small[3], stddev, equal_nan=True)  # shifted prices deviate as before
