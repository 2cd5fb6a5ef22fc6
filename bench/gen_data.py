"""Make the benchmarks' data: 1,000,000 one-minute bars and 10,000,000 trades, the same bits on every machine.

bars:  `open[i] == close[i-1]`, so that this close and the next open are the same fill in every engine.
ticks: about 8 a second with bursts of 5 to 20 % inside a minute about once an hour.
The draws follow the order of the peers' own generator, so its figures and ours come from the same input.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DATA = Path(os.environ.get("BOTD_BENCH_DATA", Path(__file__).resolve().parent / "data")).resolve()
START_NS = 1_700_000_000 // 60 * 60 * 1_000_000_000
SECOND_NS = 1_000_000_000
F8 = NDArray[np.float64]
Columns = dict[str, NDArray[np.generic]]


def make_bars(rng: np.random.Generator, n: int = 1_000_000) -> Columns:
    """Draw n bars with about one burst a day that fades over the next 30 bars."""
    returns = rng.normal(0.0, 0.0006, n)
    bursts = np.flatnonzero(rng.random(n) < 1 / 1440)
    sizes = np.log1p(rng.uniform(0.05, 0.20, bursts.size))
    for at, size in zip(bursts, sizes, strict=True):
        returns[at] += size
        returns[at + 1 : at + 31] -= size / 30
    level = np.cumsum(returns)
    level -= 0.00002 * np.cumsum(level - level.mean()) / n
    close: F8 = np.round(1000.0 * np.exp(level - level[0]), 2)
    opens = np.empty(n)
    opens[0], opens[1:] = 1000.0, close[:-1]
    wicks = np.abs(rng.normal(0, 0.0003, (2, n)))
    volume = np.round(rng.lognormal(3, 0.6, n), 3)
    volume[bursts] *= 10
    return {
        "ts": START_NS + np.arange(n, dtype=np.int64) * 60 * SECOND_NS,
        "open": opens,
        "high": np.round(np.maximum(opens, close) * (1 + wicks[0]), 2),
        "low": np.round(np.minimum(opens, close) * (1 - wicks[1]), 2),
        "close": close,
        "volume": np.round(volume, 3),
    }


def draw_seconds(rng: np.random.Generator, seconds: int) -> tuple[F8, F8, F8]:
    """Draw trades per second, drift per second and a factor on sizes: quiet hours with bursts in between."""
    rate, drift, factor = np.full(seconds, 8.0), np.zeros(seconds), np.ones(seconds)
    at = 1200
    while at < seconds - 2000:
        rise = np.log1p(rng.uniform(0.05, 0.20))
        up, down = int(rng.integers(20, 61)), int(rng.integers(200, 900))
        rate[at : at + up] = rng.uniform(40, 160)
        factor[at : at + up] = 5.0
        drift[at : at + up] += rise / up
        rate[at + up : at + up + down] *= 2
        drift[at + up : at + up + down] -= rise / down
        at += int(rng.exponential(3600)) + 1500
    return rate, drift, factor


def make_ticks(rng: np.random.Generator, n: int = 10_000_000) -> Columns:
    """Spread n trades over the drawn seconds; the price ends where it began."""
    rate, drift, factor = draw_seconds(rng, 1_400_000)
    counts = rng.poisson(rate)
    counts = counts[: int(np.searchsorted(np.cumsum(counts), n)) + 1]
    second = np.repeat(np.arange(counts.size), counts)[:n]
    ts = second * SECOND_NS + rng.integers(0, SECOND_NS, n)
    ts.sort()
    second = ts // SECOND_NS
    returns = drift[second] / np.maximum(counts[second], 1) + rng.normal(0, 0.00004, n)
    level = np.cumsum(returns)
    level -= np.arange(n) / n * level[-1]
    size = np.round(rng.lognormal(-2, 1.0, n) * factor[second], 4) + 0.0001
    bought = rng.random(n) < 0.5 + 0.2 * (factor[second] > 1)
    return {
        "ts": START_NS + ts,
        "price": np.round(1000.0 * np.exp(level), 2),
        "size": np.round(size, 4),
        "side": np.where(bought, 1, -1).astype(np.int8),
    }


def write(name: str, columns: Columns) -> None:
    """Write one file of records, which the peers map, and one plain file per column."""
    records = np.empty(columns["ts"].size, dtype=[(key, value.dtype) for key, value in columns.items()])
    for key, value in columns.items():
        records[key] = value
        np.save(DATA / f"{name}_{key}.npy", np.ascontiguousarray(value))
    np.save(DATA / f"{name}.npy", records)


def main() -> None:
    """Write the data unless it is there already."""
    if (DATA / "complete").exists():
        return
    DATA.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    write("bars", make_bars(rng))
    write("ticks", make_ticks(rng))
    (DATA / "complete").write_text("seed 7\n", encoding="utf-8")


if __name__ == "__main__":
    main()
