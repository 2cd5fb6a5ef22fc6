"""Bars and what is computed on them, against TA-Lib, numpy and hand calculation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import talib
from numpy.typing import NDArray

from botd.engine.layout import HIGH, KIND, LOW, N_INPUT, OPEN, P, Q, RowKind, T
from tests.engine.cases import (
    LOT,
    MINUTE,
    SECOND,
    START,
    TICK,
    Run,
    bar_rows,
    blank_rows,
    data_folder,
    program_of,
    random_bars,
    random_rows,
    values,
)

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]
OHLCV = ["open(1m)", "bar_high(1m)", "bar_low(1m)", "close(1m)", "bar_volume(1m)"]


def built_bars(rows: I64, length: int) -> list[tuple[int, int, int, int, int, int]]:
    """Build (close time, o, h, l, c, v) from trades, slowly: whole bars from the first boundary on."""
    trades = [(int(t), int(p), int(q)) for t, p, q, k in rows[[T, P, Q, KIND]].T if k == int(RowKind.TRADE)]
    first = -(-int(rows[T, 0]) // length) * length
    last_close = next(p for _, p, _ in trades)
    bars = []
    at = first
    for t, p, _ in trades:
        if t < first:
            last_close = p
    while at + length <= rows[T, -1]:
        inside = [(p, q) for t, p, q in trades if at <= t < at + length]
        if inside:
            prices = [p for p, _ in inside]
            o, h, lo, last_close = prices[0], max(prices), min(prices), prices[-1]
            bars.append((at + length, o, h, lo, last_close, sum(q for _, q in inside)))
        else:
            bars.append((at + length, last_close, last_close, last_close, last_close, 0))
        at += length
    return bars


def as_rows(bars: list[tuple[int, int, int, int, int, int]], rows: I64, column: int) -> F64:
    """Return what a bar word shows at every row: the last closed bar's value."""
    closes = np.array([b[0] for b in bars])
    value = np.array([np.nan] + [float(b[column]) for b in bars])
    return value[np.searchsorted(closes, rows[T], side="right")]


@pytest.mark.parametrize("seed", [31, 32])
def test_bars_of_trades_equal_those_built_one_by_one(seed: int) -> None:
    print("seed", seed)
    rows = random_rows(seed, 3000)
    bars = built_bars(rows, MINUTE)
    assert any(b[5] == 0 for b in bars)
    for column, got in enumerate(values(OHLCV, rows, [1, 3, 200]), start=1):
        scale = LOT if column == 5 else TICK
        assert np.array_equal(got, as_rows(bars, rows, column) * scale, equal_nan=True)


def test_timer_at_a_boundary_closes_the_bar_and_opens_nothing() -> None:
    rows = blank_rows(4)
    rows[T] = START + np.array([0, 60, 70, 120]) * SECOND
    rows[KIND, 1] = rows[KIND, 3] = int(RowKind.TIMER)
    rows[P] = [100, 100, 130, 130]
    rows[Q] = [5, 0, 7, 0]
    open_, high, _, close, volume = values(OHLCV, rows)
    assert math.isnan(open_[0])
    assert [open_[1], close[1], volume[1]] == [100 * TICK, 100 * TICK, 5 * LOT]
    assert [open_[3], high[3], volume[3]] == [130 * TICK, 130 * TICK, 7 * LOT]


def test_bar_in_which_history_begins_is_left_out_unless_whole() -> None:
    rows = blank_rows(3)
    rows[T] = START + np.array([30, 90, 150]) * SECOND
    rows[P] = [100, 110, 120]
    (late,) = values(["close(1m)"], rows)
    assert np.isnan(late[:2]).all()
    assert late[2] == 110 * TICK
    rows[T] -= 30 * SECOND
    (whole,) = values(["close(1m)"], rows)
    assert whole[1] == 100 * TICK


def test_rows_before_the_first_price_make_no_bars() -> None:
    rows = blank_rows(4)
    rows[T] = START + np.array([0, 60, 120, 180]) * SECOND
    rows[KIND, :2] = int(RowKind.BOOK)
    rows[P] = [0, 0, 50, 60]
    (close,) = values(["close(1m)"], rows)
    assert np.isnan(close[:3]).all()
    assert close[3] == 50 * TICK


def recorded_bars(n: int) -> I64:
    path = data_folder() / "bars" / "BTC-PERP_1m_2022-01.parquet"
    if not path.is_file():
        pytest.skip(f"no {path.name} in the recorded data")
    table = pytest.importorskip("pyarrow.parquet").read_table(path).slice(100, n)
    column = {name: table[name].to_numpy() for name in table.column_names}
    o, h, lo, c = (np.rint(column[k] * 100).astype(np.int64) for k in ("open", "high", "low", "close"))
    volume = np.rint(column["volume"]).astype(np.int64)
    return bar_rows(column["ts_ms"] * 1000 + MINUTE, o, h, lo, c, volume)


def expected(bars: I64) -> dict[str, F64]:
    """Compute every bar word with TA-Lib, in price units."""
    o, h, lo, c = (bars[k] * TICK for k in (OPEN, HIGH, LOW, P))
    upper, _, lower = talib.BBANDS(c, 20, 2.0, 2.0)
    line, signal, _ = talib.MACD(c, 12, 26, 9)
    wide, _, _ = talib.MACD(c, 12, 26, 2)
    line[: wide.shape[0]] = np.where(np.isnan(line), wide, line)
    return {
        "sma(close(1m), 10)": talib.SMA(c, 10),
        "sma(open(1m), 3)": talib.SMA(o, 3),
        "ema(close(1m), 20)": talib.EMA(c, 20),
        "rsi(close(1m), 14)": talib.RSI(c, 14),
        "atr(1m, 14)": talib.ATR(h, lo, c, 14),
        "bollinger_upper(close(1m), 20, 2)": upper,
        "bollinger_lower(close(1m), 20, 2)": lower,
        "highest(bar_high(1m), 20)": talib.MAX(h, 20),
        "lowest(bar_low(1m), 20)": talib.MIN(lo, 20),
        "stddev(close(1m), 20)": talib.STDDEV(c, 20),
        "macd_signal(close(1m), 12, 26, 9)": signal,
    }


def check_against_talib(bars: I64) -> None:
    wanted = expected(bars)
    for (text, oracle), got in zip(wanted.items(), values(list(wanted), bars, [1, 40, 512]), strict=True):
        assert np.array_equal(np.isnan(got), np.isnan(oracle)), text
        np.testing.assert_allclose(got, oracle, rtol=1e-9, atol=1e-9, err_msg=text)


@pytest.mark.parametrize("seed", [41, 42])
def test_bar_words_equal_talib(seed: int) -> None:
    print("seed", seed)
    check_against_talib(random_bars(seed, 900))


def test_bar_words_on_recorded_bars_equal_talib() -> None:
    check_against_talib(recorded_bars(3000))


def test_macd_equals_talib() -> None:
    bars = random_bars(43, 300)
    (got,) = values(["macd(close(1m), 12, 26)"], bars)
    line, _, _ = talib.MACD(bars[P] * TICK, 12, 26, 2)
    np.testing.assert_allclose(got[26:], line[26:], rtol=1e-9, atol=1e-9)
    assert np.isnan(got[:25]).all()
    assert math.isfinite(got[25])


def test_bar_words_on_trades_equal_talib_on_the_same_bars() -> None:
    rows = random_rows(44, 6000, gap_us=900_000)
    bars = built_bars(rows, MINUTE)
    assert len(bars) > 60
    closes = np.array([b[4] for b in bars]) * TICK
    (rsi, sma) = values(["rsi(close(1m), 14)", "sma(close(1m), 10)"], rows)
    at = np.searchsorted(np.array([b[0] for b in bars]), rows[T], side="right") - 1
    inside = at >= 0
    for got, oracle in ((rsi, talib.RSI(closes, 14)), (sma, talib.SMA(closes, 10))):
        np.testing.assert_allclose(got[inside], oracle[at[inside]], rtol=1e-9, equal_nan=True)


def test_A14_rsi_of_bars_that_never_move_is_undefined() -> None:  # noqa: N802
    bars = random_bars(45, 40)
    bars[[OPEN, HIGH, LOW, P]] = 500
    (rsi, score) = values(["rsi(close(1m), 14)", "zscore(close(1m), 5)"], bars)
    assert np.isnan(rsi).all()
    assert np.isnan(score).all()


def test_zscore_of_bars_by_hand() -> None:
    bars = random_bars(46, 4)
    bars[P] = [10, 20, 30, 60]
    (score,) = values(["zscore(close(1m), 3)"], bars)
    assert np.isnan(score[:2]).all()
    assert score[2] == pytest.approx(10 / math.sqrt(200 / 3), rel=1e-12)  # mean 20
    assert score[3] == pytest.approx((60 - 110 / 3) / math.sqrt(2600 / 9), rel=1e-12)


def test_bar_rows_make_longer_bars_by_aggregation() -> None:
    bars = random_bars(47, 100)
    words = ["open(5m)", "bar_high(5m)", "bar_low(5m)", "close(5m)", "bar_volume(5m)"]
    five = bars[:, : 100 // 5 * 5].reshape(N_INPUT, -1, 5)
    oracle = [five[OPEN, :, 0], five[HIGH].max(1), five[LOW].min(1), five[P, :, 4], five[Q].sum(1)]
    columns = Run(program_of(words), bar_length_us=MINUTE).feed(bars, [1, 64]).columns()
    for word, got, per_bar in zip(words, columns.values(), oracle, strict=True):
        scale = LOT if "volume" in word else TICK
        assert np.isnan(got[:4]).all()
        assert np.array_equal(got[4::5], per_bar * scale), word
        assert np.array_equal(got[4:-1], np.repeat(per_bar[:-1] * scale, 5)), word


@pytest.mark.parametrize(
    ("begins_at", "length_us", "first"),
    [
        (0, MINUTE, 4),  # the first minute of five: whole
        (0, 0, 9),  # of unknown length: it cannot be told that the bar is whole
        (1, MINUTE, 8),
        (4, MINUTE, 5),  # the last minute of five
    ],
)
def test_longer_bar_that_began_before_history_is_left_out(begins_at: int, length_us: int, first: int) -> None:
    bars = random_bars(48, 20)[:, begins_at:].copy()
    close = Run(program_of(["close(5m)"]), bar_length_us=length_us).feed(bars, [4]).columns()["v0"]
    assert int(np.flatnonzero(np.isfinite(close))[0]) == first


def test_missing_bars_are_flat_and_closed_by_timers() -> None:
    bars = random_bars(49, 6)
    bars[KIND, 2:4] = int(RowKind.TIMER)
    bars[P, 2:4] = bars[P, 1]
    bars[Q, 2:4] = 0
    bars[HIGH, 2:4] += 10_000
    _, high, _, close, volume = values(OHLCV, bars)
    assert (close[2:4] == bars[P, 1] * TICK).all()
    assert (high[2:4] == bars[P, 1] * TICK).all()
    assert (volume[2:4] == 0).all()
    assert high[4] == bars[HIGH, 4] * TICK


def test_bars_ago_shifts_every_bar_word() -> None:
    bars = random_bars(50, 300)
    texts = ["close(1m)", "ema(close(1m), 9)", "rsi(close(1m), 5)", "sma(close(1m), 4) - close(1m) * 2"]
    now = values(texts, bars)
    ago = values([f"({text})[7 bars ago]" for text in texts], bars, [1, 33])
    for text, a, b in zip(texts, now, ago, strict=True):
        assert np.array_equal(a[:-7], b[7:], equal_nan=True), text
        assert np.isnan(b[:7]).all()


def test_long_gap_without_timers_closes_every_bar_in_it() -> None:
    rows = blank_rows(3)
    rows[T] = START + np.array([0, 1, 400_000]) * SECOND
    rows[P] = [100, 110, 200]
    run = Run(program_of(["sma(close(1s), 5)", "close(1s)"])).feed(rows, [3])
    columns = run.columns()
    assert columns["v1"][2] == 110 * TICK
    assert columns["v0"][2] == 110 * TICK
