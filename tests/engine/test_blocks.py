"""The same rows give the same bits, whatever the blocks, the ring, a restart or the interpreter."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from botd.engine.engine import InstrumentEngine
from botd.engine.layout import N_COLUMNS, N_INPUT, RowKind, T
from botd.errors import InvariantBroken
from botd.language.program import Program, compile_program
from tests.engine.cases import (
    LOT,
    MINUTE,
    SECOND,
    START,
    TICK,
    Run,
    blank_rows,
    catalogue_examples,
    program_of,
    pump_rows,
    random_bars,
    random_rows,
    random_sizes,
    same,
    strategy_of,
)
from tests.engine.expressions import conditions

I64 = NDArray[np.int64]


def whole_catalogue() -> Program:
    return program_of(catalogue_examples())


@pytest.mark.parametrize("seed", [101, 102])
def test_values_and_digest_do_not_depend_on_the_blocks(seed: int) -> None:
    print("seed", seed)
    rows = random_rows(seed, 3000)
    program = whole_catalogue()
    reference = Run(program).feed(rows, [512])
    for sizes in ([1], [7], random_sizes(seed)):
        other = Run(program, capacity=600).feed(rows, sizes)
        assert same(reference.columns(), other.columns())
        assert reference.engine.digest() == other.engine.digest()


def test_values_on_a_recorded_pump_do_not_depend_on_the_blocks() -> None:
    rows = pump_rows(6000)
    program = whole_catalogue()
    reference = Run(program).feed(rows, [512])
    for sizes in ([7], random_sizes(1)):
        other = Run(program).feed(rows, sizes)
        assert same(reference.columns(), other.columns())
        assert reference.engine.digest() == other.engine.digest()


def test_values_on_bars_do_not_depend_on_the_blocks() -> None:
    bars = random_bars(103, 2000)
    texts = [t for t in catalogue_examples() if "1m" in t and "twpa" not in t]
    program = program_of(texts)
    reference = Run(program, bar_length_us=MINUTE).feed(bars, [512])
    for sizes in ([1], [7], random_sizes(2)):
        other = Run(program, bar_length_us=MINUTE).feed(bars, sizes)
        assert same(reference.columns(), other.columns())
        assert reference.engine.digest() == other.engine.digest()


def test_digest_tells_other_rows_apart() -> None:
    rows = random_rows(104, 800)
    program = whole_catalogue()
    before = Run(program).feed(rows, [100]).engine.digest()
    rows[1, 795:] += 1
    assert Run(program).feed(rows, [100]).engine.digest() != before


@pytest.mark.parametrize("cut", [1, 333, 2900])
def test_restart_from_a_snapshot_continues_to_the_bit(cut: int) -> None:
    rows = random_rows(105, 3000)
    program = whole_catalogue()
    whole = Run(program).feed(rows, [64])
    first = Run(program).feed(rows[:, :cut], [50])
    second = Run(program, block_max=40, capacity=64)
    second.engine.restore(first.engine.state())
    assert second.engine.digest() == first.engine.digest()
    second.feed(rows[:, cut:], [40])
    assert second.engine.digest() == whole.engine.digest()
    assert second.engine.rows_seen == 3000
    after = {name: column[cut:] for name, column in whole.columns().items()}
    assert same(second.columns(), after)


def test_state_does_not_share_memory_with_the_engine() -> None:
    run = Run(whole_catalogue()).feed(random_rows(106, 400), [100])
    state = run.engine.state()
    digest = run.engine.digest()
    for part in state.values():
        part[...] = 0
    assert run.engine.digest() == digest


def test_snapshot_of_another_program_is_refused() -> None:
    engine = InstrumentEngine(program_of(["twpa(5s)"]), tick=TICK, lot=LOT)
    other = InstrumentEngine(whole_catalogue(), tick=TICK, lot=LOT)
    with pytest.raises(InvariantBroken, match="another program"):
        engine.restore(other.state())


def test_snapshot_before_the_first_row_restores_to_an_empty_engine() -> None:
    program = whole_catalogue()
    engine = InstrumentEngine(program, tick=TICK, lot=LOT)
    engine.restore(InstrumentEngine(program, tick=TICK, lot=LOT).state())
    assert engine.rows_seen == 0
    assert engine.digest() == InstrumentEngine(program, tick=TICK, lot=LOT).digest()


def test_attached_rows_give_what_appended_rows_give() -> None:
    rows = random_rows(107, 2000)
    program = whole_catalogue()
    appended = Run(program).feed(rows, [300]).engine
    ring = np.zeros((N_COLUMNS, rows.shape[1]), np.int64)
    ring[:N_INPUT] = rows
    attached = InstrumentEngine(program, tick=TICK, lot=LOT)
    attached.phase[:] = 1
    attached.attach(ring)
    attached.run(700, block=100)
    attached.run(2000)
    assert attached.ring is ring
    assert attached.digest() == appended.digest()


def test_attach_refuses_a_used_engine_and_a_strided_ring() -> None:
    engine = InstrumentEngine(program_of(["price"]), tick=TICK, lot=LOT)
    with pytest.raises(InvariantBroken, match="contiguous"):
        engine.attach(np.zeros((N_COLUMNS, 20), np.int64)[:, ::2])
    engine.append(random_rows(1, 5))
    with pytest.raises(InvariantBroken, match="fresh"):
        engine.attach(np.zeros((N_COLUMNS, 20), np.int64))


def test_old_rows_leave_the_ring_and_needed_ones_stay() -> None:
    rows = random_rows(108, 20_000, gap_us=50_000)
    run = Run(program_of(["volume(5s)"]), capacity=1200, block_max=100).feed(rows, [100])
    engine = run.engine
    assert engine.ring.shape[1] < 2000
    assert engine.rows_seen == 20_000
    assert engine.first_row > 18_000
    index = engine.rows_seen - engine.first_row - 1
    assert engine.ring[T, index] == rows[T, -1]


def test_window_longer_than_the_ring_makes_it_grow() -> None:
    rows = random_rows(109, 6000)
    run = Run(program_of(["volume(20m)", "price[20m ago]"]), capacity=300, block_max=100).feed(rows, [100])
    reference = Run(program_of(["volume(20m)", "price[20m ago]"]), capacity=20_000).feed(rows, [512])
    assert run.engine.ring.shape[1] > 1000
    assert same(run.columns(), reference.columns())


def test_deques_grow_when_a_price_only_falls() -> None:
    n = 9000
    rows = random_rows(110, n, timers=False)
    rows[1] = 100_000 - np.arange(n)
    program = program_of(["high(10m)", "low(10m)", "high(from 20m to 1m)"])
    run = Run(program).feed(rows, [500])
    assert np.nanmax(run.columns()["v0"]) > 0
    one = Run(program).feed(rows, [1])
    assert same(run.columns(), one.columns())
    assert run.engine.digest() == one.engine.digest()
    ring = np.zeros((N_COLUMNS, n), np.int64)
    ring[:N_INPUT] = rows
    attached = InstrumentEngine(program, tick=TICK, lot=LOT)
    attached.phase[:] = 1
    attached.attach(ring)
    attached.run(n)
    assert attached.digest() == one.engine.digest()
    again = InstrumentEngine(program, tick=TICK, lot=LOT)
    again.restore(one.engine.state())
    assert again.digest() == one.engine.digest()


def test_bar_rings_grow_when_many_bars_close_in_one_block() -> None:
    rows = blank_rows(40)
    rows[T] = START + np.arange(40) * 200 * SECOND
    rows[1] = 1000 + np.arange(40)
    program = program_of(["sma(close(1s), 50)", "close(1s)", "ema(close(1s), 30)"])
    big = Run(program).feed(rows, [40])
    small = Run(program).feed(rows, [1])
    assert same(big.columns(), small.columns())
    assert big.engine.digest() == small.engine.digest()


def test_block_longer_than_the_engine_takes_is_refused() -> None:
    engine = InstrumentEngine(program_of(["price"]), tick=TICK, lot=LOT, block_max=10)
    with pytest.raises(InvariantBroken, match="longer than 10"):
        engine.append(random_rows(1, 11))


def test_rows_in_any_memory_layout_give_the_same() -> None:
    rows = random_rows(111, 300)
    program = whole_catalogue()
    reference = Run(program).feed(rows, [100]).engine.digest()
    frozen = rows.copy()
    frozen.setflags(write=False)
    assert Run(program).feed(frozen, [300]).engine.digest() == reference
    assert Run(program).feed(np.asfortranarray(rows), [300]).engine.digest() == reference


def test_guard_skips_only_what_an_idle_machine_does_not_need() -> None:
    rows = random_rows(112, 2000)
    lets = {"quick": "volume(3s) * 2", "sum": "twpa(9s) + price"}
    program = compile_program([strategy_of(lets, s1="volume(2s) > 55", z1="quick > 3")])
    (machine,) = program.machines
    guarded = InstrumentEngine(program, tick=TICK, lot=LOT, block_max=50)
    open_ = InstrumentEngine(program, tick=TICK, lot=LOT, block_max=50)
    open_.phase[:] = 1
    stride = guarded.block_max
    skipped = 0
    for at in range(0, 2000, 50):
        for engine in (guarded, open_):
            engine.append(rows[:, at : at + 50])
        s1 = slice(machine.s1 * stride, machine.s1 * stride + 50)
        assert np.array_equal(guarded.U[s1], open_.U[s1])
        z1 = slice(machine.z1 * stride, machine.z1 * stride + 50)
        if (open_.U[s1] == 1).any():
            assert np.array_equal(guarded.U[z1], open_.U[z1])
            for _, is_bool, slot in machine.lets:
                assert not is_bool
                let = slice(slot * stride, slot * stride + 50)
                assert np.array_equal(guarded.F[let], open_.F[let], equal_nan=True)
        else:
            skipped += 1
    assert 0 < skipped < 40
    kept, other = guarded.state()["ist"], open_.state()["ist"]
    assert np.array_equal(kept, other)  # what keeps state is never skipped


_CHILD = """
import json, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from botd.engine import jit
from tests.engine import cases, expressions
assert jit.COMPILED is False
assert "numba" not in sys.modules
out = []
for texts, rows in (
    (cases.catalogue_examples(), cases.random_rows(201, 600)),
    (cases.catalogue_examples(), cases.random_bars(202, 150)),
    (expressions.conditions(203, 40), cases.random_rows(203, 400)),
):
    run = cases.Run(cases.program_of(texts)).feed(rows, [1, 60, 200])
    columns = {k: [x.hex() for x in v.tolist()] for k, v in run.columns().items()}
    out.append((run.engine.digest(), columns))
print(json.dumps(out))
"""


def test_plain_python_equals_the_compiled_kernels_to_the_bit() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _CHILD, str(root)],
        env=os.environ | {"BOTD_NO_NUMBA": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    plain = json.loads(done.stdout)
    compiled = (
        (catalogue_examples(), random_rows(201, 600)),
        (catalogue_examples(), random_bars(202, 150)),
        (conditions(203, 40), random_rows(203, 400)),
    )
    for (digest, columns), (texts, rows) in zip(plain, compiled, strict=True):
        run = Run(program_of(texts)).feed(rows, [512])
        assert run.engine.digest() == digest
        assert {k: [x.hex() for x in v.tolist()] for k, v in run.columns().items()} == columns


def test_timer_rows_move_windows_and_nothing_else() -> None:
    seed = 113
    rng = random.Random(seed)
    rows = random_rows(seed, 900, timers=False)
    timers = blank_rows(300, RowKind.TIMER)
    timers[T] = [rng.randint(int(rows[T, 0]), int(rows[T, -1])) for _ in range(300)]
    index = np.searchsorted(rows[T], timers[T], side="right") - 1
    kind, stamp = timers[4].copy(), timers[T].copy()
    timers[:] = rows[:, index]
    timers[4], timers[T] = kind, stamp
    timers[[2, 3]] = 0
    merged = np.concatenate((rows, timers), axis=1)
    order = np.lexsort((np.arange(1200) >= 900, merged[T]))
    merged = np.ascontiguousarray(merged[:, order])
    texts = [
        "twpa(20s)",
        "vwap(20s)",
        "volume(20s)",
        "count(20s)",
        "high(20s)",
        "stddev(20s)",
        "rsi(close(15s), 3)",
    ]
    program = program_of(texts)
    with_timers = Run(program).feed(merged, [64]).columns()
    without = Run(program).feed(rows, [64]).columns()
    trades = np.flatnonzero(order < 900)
    for k, text in enumerate(texts):
        assert np.array_equal(with_timers[f"v{k}"][trades], without[f"v{k}"], equal_nan=True), text
