"""Nothing sees the future: whatever comes after a row changes no value at or before it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from botd.engine.layout import ASK, BID, HIGH, KIND, LOW, MARK, OPEN, SIDE, P, Q, RowKind, T
from tests.engine.cases import (
    MINUTE,
    Columns,
    Run,
    catalogue_examples,
    program_of,
    random_bars,
    random_rows,
    random_sizes,
    same,
)
from tests.engine.expressions import conditions

I64 = NDArray[np.int64]


def perturbed(rows: I64, cut: int, rng: np.random.Generator) -> I64:
    """Return rows that are the same up to `cut` and all different after it, their times included."""
    out = rows.copy()
    after = slice(cut + 1, None)
    n = rows.shape[1] - cut - 1
    out[T, after] = rows[T, cut] + np.cumsum(rng.integers(0, 900_000, n))
    out[[P, BID, ASK, MARK, OPEN, HIGH, LOW], after] += rng.integers(50, 5000, n)
    out[Q, after] += rng.integers(1, 5000, n)
    out[SIDE, after] = rng.choice([-1, 1], n)
    if rows[KIND, 0] != int(RowKind.BAR):
        out[KIND, after] = rng.choice([int(RowKind.TRADE), int(RowKind.TIMER), int(RowKind.FUNDING)], n)
    return out


def seers(run: Callable[[I64], Columns], rows: I64, cuts: list[int], seed: int) -> set[str]:
    """Return the names of columns that change at or before a cut when the rows after it do."""
    rng = np.random.default_rng(seed)
    before = run(rows)
    found: set[str] = set()
    for cut in cuts:
        after = run(perturbed(rows, cut, rng))
        for name, column in before.items():
            if not np.array_equal(column[: cut + 1], after[name][: cut + 1], equal_nan=True):
                found.add(name)
    return found


def runner(texts: list[str], sizes: list[int], **options: int) -> Callable[[I64], Columns]:
    program = program_of(texts)
    return lambda rows: Run(program, **options).feed(rows, sizes).columns()


@pytest.mark.parametrize("seed", [301, 302, 303])
def test_random_conditions_see_no_future(seed: int) -> None:
    print("seed", seed)
    texts = conditions(seed, 60)
    rows = random_rows(seed, 700)
    run = runner(texts, [512])
    decided = {name for name, column in run(rows).items() if len(set(column.tolist()) & {0.0, 1.0}) == 2}
    assert len(decided) > 20  # the test looks at conditions that do change
    assert seers(run, rows, [40, 255, 511, 600], seed) == set()


def test_catalogue_sees_no_future() -> None:
    rows = random_rows(304, 700)
    assert seers(runner(catalogue_examples(), [512]), rows, [100, 400], 304) == set()


def test_catalogue_on_bars_sees_no_future() -> None:
    bars = random_bars(305, 400)
    run = runner(catalogue_examples(), [512], bar_length_us=MINUTE)
    assert seers(run, bars, [50, 300], 305) == set()


@pytest.mark.parametrize("seed", [306, 307])
def test_random_conditions_do_not_depend_on_the_blocks(seed: int) -> None:
    print("seed", seed)
    program = program_of(conditions(seed, 60))
    rows = random_rows(seed, 900)
    reference = Run(program).feed(rows, [512])
    for sizes in ([1], [7], random_sizes(seed)):
        other = Run(program, capacity=300, block_max=512).feed(rows, sizes)
        assert same(reference.columns(), other.columns())
        assert reference.engine.digest() == other.engine.digest()


_PLANTED = """
import sys
sys.path.insert(0, sys.argv[1])
from botd.engine import kernels
from tests.engine import cases, test_causality

honest = kernels.k_edge

def peeking(R, base, n, first, lag, ist, io, C, o):
    honest(R, base, n, first, lag, ist, io, C, o)
    for j in range(n - 1):  # the cursor knows one row too early that rows have left
        C[o + j] = C[o + j + 1]

if sys.argv[2] == "planted":
    kernels.k_edge = peeking
rows = cases.random_rows(308, 200)
run = test_causality.runner(["volume(5s)", "price > 3", "twpa(9s)"], [100])
print(sorted(test_causality.seers(run, rows, list(range(20, 180, 20)), 308)))
"""


@pytest.mark.parametrize(("mode", "found"), [("honest", "[]"), ("planted", "['v0', 'v2']")])
def test_planted_cursor_that_peeks_is_caught(mode: str, found: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PLANTED, str(Path(__file__).parents[2]), mode],
        env=os.environ | {"BOTD_NO_NUMBA": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == found
