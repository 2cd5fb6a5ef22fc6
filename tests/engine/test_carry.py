"""A reload's engines: what two programs share goes on to the bit, what is new is as after a long run."""

from __future__ import annotations

import random

import numpy as np
import pytest
from numpy.typing import NDArray

from botd.engine.carry import adds_nodes, carry_engine
from botd.engine.engine import InstrumentEngine
from botd.engine.layout import T
from botd.errors import InvariantBroken
from botd.language.program import Program, compile_program
from botd.language.warmup import strategy_warmup_us
from tests.engine.cases import LOT, TICK, Run, random_rows, same, strategy_of
from tests.engine.expressions import condition

ROWS = 6_000


def program(lets: dict[str, str]) -> tuple[Program, int]:
    strategy = strategy_of(lets)
    return compile_program([strategy]), strategy_warmup_us(strategy)


def named(texts: list[str]) -> dict[str, str]:
    return {f"v{k}": text for k, text in enumerate(texts)}


def run_on(engine: InstrumentEngine, rows: NDArray[np.int64], sizes: list[int]) -> Run:
    run = Run.__new__(Run)
    run.engine, run._parts = engine, {}
    return run.feed(rows, sizes)


@pytest.mark.parametrize("case", range(6))
def test_shared_nodes_go_on_and_new_ones_are_as_after_the_whole_history(case: int) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    rows = random_rows(seed, ROWS)
    shared = [condition(rng, 2) for _ in range(4)]
    gone, added = [condition(rng, 2) for _ in range(3)], [condition(rng, 2) for _ in range(3)]
    old, _ = program(named(gone + shared))
    new, warm_us = program(named(added + shared) if case % 3 else named(shared))
    at = rng.randrange(ROWS // 2, ROWS - 500)
    block = rng.choice([64, 512])
    sizes = [rng.randint(1, block) for _ in range(ROWS)]
    former = Run(old, block_max=block).feed(rows[:, :at], sizes).engine
    start_us = min(int(former.ring[T, 0]), int(rows[T, at - 1]) - warm_us)
    first = former.first_row
    if adds_nodes(old, new):  # with the row that stands at the start
        first = max(0, int(np.searchsorted(rows[T], start_us)) - 1)
    engine = InstrumentEngine(new, tick=TICK, lot=LOT, block_max=former.block_max)
    engine.phase[:] = 1
    if adds_nodes(old, new) or rng.random() < 0.3:
        engine.begin_at(first)
        run_on(engine, rows[:, first:at], [block // 2])
    carry_engine(former, engine)
    went_on = run_on(engine, rows[:, at:], sizes[::-1]).columns()
    whole = Run(new).feed(rows, [512]).columns()
    assert same(went_on, {name: column[at:] for name, column in whole.items()})


def test_rows_that_are_not_the_same_are_refused() -> None:
    old, _ = program({"v0": "high(5s)"})
    rows = random_rows(3, 400, timers=False)
    former = Run(old).feed(rows, [100]).engine
    for other in (rows[:, :399], np.where(np.arange(400) == 380, rows + 1, rows)):
        engine = InstrumentEngine(old, tick=TICK, lot=LOT)
        run_on(engine, other, [100])
        with pytest.raises(InvariantBroken, match=r"stands at row|other rows"):
            carry_engine(former, engine)


def test_number_of_the_first_row_is_given_before_it() -> None:
    engine = InstrumentEngine(program({"v0": "high(5s)"})[0], tick=TICK, lot=LOT)
    engine.begin_at(70)
    run_on(engine, random_rows(1, 10), [10])
    assert engine.rows_seen == 80
    with pytest.raises(InvariantBroken):
        engine.begin_at(0)


@pytest.mark.parametrize(
    ("text", "adds"), [("high(5s) > 5", False), ("high(6s) > 3", True), ("sells(5s) > 0.5", True)]
)
def test_threshold_adds_no_node(text: str, adds: bool) -> None:
    assert adds_nodes(program({"v0": "high(5s) > 3"})[0], program({"v0": text})[0]) is adds
