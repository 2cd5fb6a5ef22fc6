"""Programs, rows and runs that the engine's tests share."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from botd.engine.engine import InstrumentEngine
from botd.engine.layout import (
    ASK,
    ASZ,
    BID,
    BSZ,
    HIGH,
    KIND,
    LOW,
    MARK,
    N_INPUT,
    OPEN,
    RT,
    SIDE,
    VT,
    P,
    Q,
    RowKind,
    T,
)
from botd.language.catalogue import WORDS
from botd.language.program import Program, compile_program
from botd.language.strategy import read_strategy
from botd.language.typed import Strategy

SECOND = 1_000_000
MINUTE = 60 * SECOND
START = 1_600_000_000 * SECOND // (1440 * MINUTE) * (1440 * MINUTE)  # a midnight
TICK = 0.01
LOT = 0.001

Columns = dict[str, NDArray[np.float64]]


def data_folder() -> Path:
    """Return the folder of recorded data, or skip the test."""
    folder = Path(os.environ.get("BOTD_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recorded data in {folder}; set BOTD_DATA")
    return folder


def strategy_of(
    lets: Mapping[str, str], *, name: str = "tried", s1: str = "never", z1: str = "always", exits: str = ""
) -> Strategy:
    """Read a strategy whose named values are the given expressions."""
    lines = "".join(f"  {key}: {text}\n" for key, text in lets.items())
    text = (
        f"strategy: {name}\ninstruments: [X/Y]\nside: long\n"
        + (f"let:\n{lines}" if lets else "")
        + f"S1: {{ when: {s1} }}\n"
        + f"Z1: {{ when: {z1}, order: {{ type: market }}, size: {{ fixed: 1 Y }} }}\n"
        + exits
        + "protect: { stop_loss: 2% }\non_stop: cancel\n"
    )
    strategy, diagnostics = read_strategy(text, "tried.yaml")
    assert strategy is not None, "\n".join(d.render() for d in diagnostics)
    return strategy


def program_of(texts: Sequence[str]) -> Program:
    """Compile expressions; the k-th is the let `v<k>`."""
    return compile_program([strategy_of({f"v{k}": text for k, text in enumerate(texts)})])


def catalogue_examples() -> list[str]:
    """Return the example of every word that needs no position."""
    entries = [entry for forms in WORDS.values() for entry in forms]
    return [e.example for e in entries if e.reads.name != "POSITION"]


class Run:
    """An engine whose guards never skip, and what its lets were at every row."""

    def __init__(self, program: Program, **options: int) -> None:
        self.engine = InstrumentEngine(program, tick=TICK, lot=LOT, **options)
        self.engine.phase[:] = 1
        self._parts: dict[str, list[NDArray[np.float64]]] = {}

    def feed(self, rows: NDArray[np.int64], sizes: Iterable[int]) -> Run:
        """Append rows in blocks of the given sizes, the last of them over and over."""
        sizes = iter(sizes)
        size = next(sizes)
        at = 0
        while at < rows.shape[1]:
            block = rows[:, at : at + size]
            self.engine.append(block)
            self._collect(block.shape[1])
            at += block.shape[1]
            size = next(sizes, size)
        return self

    def _collect(self, n: int) -> None:
        stride = self.engine.block_max
        for machine in self.engine.program.machines:
            for name, is_bool, slot in machine.lets:
                plane = self.engine.U if is_bool else self.engine.F
                part = plane[slot * stride : slot * stride + n].astype(np.float64)
                if is_bool:
                    part = np.minimum(part, 2)
                self._parts.setdefault(name, []).append(part)

    def columns(self) -> Columns:
        """Return every let by name; booleans as 0, 1 and 2 for undefined."""
        return {name: np.concatenate(parts) for name, parts in self._parts.items()}


def values(
    texts: Sequence[str], rows: NDArray[np.int64], sizes: Sequence[int] = (512,)
) -> list[NDArray[np.float64]]:
    """Run expressions over rows; return the column of each."""
    columns = Run(program_of(texts)).feed(rows, sizes).columns()
    return [columns[f"v{k}"] for k in range(len(texts))]


def same(a: Columns, b: Columns) -> bool:
    """Say whether two runs gave the same values, to the bit."""
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k], equal_nan=True) for k in a)


def random_sizes(seed: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randint(1, 500) for _ in range(2000)]


def blank_rows(n: int, kind: RowKind = RowKind.TRADE) -> NDArray[np.int64]:
    rows = np.zeros((N_INPUT, n), np.int64)
    rows[KIND] = int(kind)
    return rows


def random_rows(seed: int, n: int, *, gap_us: int = 300_000, timers: bool = True) -> NDArray[np.int64]:
    """Make rows of every kind but bars, many of them sharing a timestamp; prices carried on."""
    rng = np.random.default_rng(seed)
    rows = blank_rows(n)
    gaps = rng.exponential(gap_us, n).astype(np.int64)
    gaps[rng.random(n) < 0.35] = 0
    gaps[rng.random(n) < 0.002] = 150 * SECOND
    rows[T] = START + 17 * SECOND + np.cumsum(gaps)
    kinds = [RowKind.TRADE, RowKind.BOOK, RowKind.MARK, RowKind.FUNDING, RowKind.TIMER]
    rows[KIND] = rng.choice(
        [int(k) for k in kinds], n, p=[0.8, 0.08, 0.05, 0.02, 0.05] if timers else [1, 0, 0, 0, 0]
    )
    rows[KIND, 0] = int(RowKind.TRADE)
    trade = rows[KIND] == int(RowKind.TRADE)
    steps = np.rint(rng.standard_t(3, n) * 6).astype(np.int64) * trade
    rows[P] = np.maximum(1000, 100_000 + np.cumsum(steps))
    rows[Q] = rng.integers(1, 5000, n) * trade
    rows[SIDE] = rng.choice([-1, 1], n) * trade
    rows[BID] = rows[P] - rng.integers(1, 30, n)
    rows[ASK] = rows[P] + rng.integers(1, 30, n)
    rows[BSZ] = rng.integers(0, 900, n)
    rows[ASZ] = rng.integers(0, 900, n)
    rows[MARK] = rows[P] + rng.integers(-20, 20, n)
    rows[OPEN] = rows[HIGH] = rows[LOW] = rows[P]
    funding = rows[KIND] == int(RowKind.FUNDING)
    rows[HIGH, funding] = rng.integers(-300_000, 300_000, int(funding.sum()))
    rows[VT] = rows[RT] = rows[T]
    return rows


def bar_rows(
    closes_at: NDArray[np.int64],
    open_: NDArray[np.int64],
    high: NDArray[np.int64],
    low: NDArray[np.int64],
    close: NDArray[np.int64],
    volume: NDArray[np.int64],
) -> NDArray[np.int64]:
    rows = blank_rows(closes_at.shape[0], RowKind.BAR)
    rows[T], rows[OPEN], rows[HIGH], rows[LOW], rows[P], rows[Q] = closes_at, open_, high, low, close, volume
    rows[BID] = rows[ASK] = close
    return rows


def random_bars(seed: int, n: int, length: int = MINUTE) -> NDArray[np.int64]:
    """Make n bars in a row, stamped at their close."""
    rng = np.random.default_rng(seed)
    close = np.maximum(1000, 100_000 + np.cumsum(rng.integers(-80, 81, n)))
    open_ = np.concatenate(([100_000], close[:-1]))
    high = np.maximum(open_, close) + rng.integers(0, 40, n)
    low = np.minimum(open_, close) - rng.integers(0, 40, n)
    closes_at = START + (np.arange(n, dtype=np.int64) + 1) * length
    return bar_rows(closes_at, open_, high, low, close, rng.integers(0, 90_000, n))


def pump_rows(rows_max: int, file: str = "NXSBTC_2020-03-03T1600.parquet") -> NDArray[np.int64]:
    """Read the last trades before and the first after a pump's announcement; price in 1e-8, lots in 1e-3."""
    path = data_folder() / "pumps" / file
    if not path.is_file():
        pytest.skip(f"no {path.name} in the recorded data")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(path)
    n = table.num_rows
    first = max(0, n // 2 - rows_max // 2)
    table = table.slice(first, rows_max)
    rows = blank_rows(table.num_rows)
    rows[T] = np.maximum.accumulate(table["ts_ms"].to_numpy() * 1000)
    rows[P] = np.rint(table["price"].to_numpy() * 1e8).astype(np.int64)
    rows[Q] = np.rint(table["amount"].to_numpy() * 1e3).astype(np.int64)
    rows[SIDE] = np.where(np.array(table["side"].to_pylist()) == "buy", 1, -1)
    rows[BID] = rows[ASK] = rows[OPEN] = rows[HIGH] = rows[LOW] = rows[P]
    return rows
