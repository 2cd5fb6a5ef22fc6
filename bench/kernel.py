"""Stage 1 alone: ticks per second of N strategies with 19 indicators each, and one event from Python.

    taskset -c 1 python bench/kernel.py [strategies] [rows]

Times are processor time, the least of several repeats.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from botd.engine.engine import InstrumentEngine
from botd.engine.layout import (
    ASK,
    ASZ,
    BID,
    BSZ,
    HIGH,
    KIND,
    LOW,
    N_COLUMNS,
    N_INPUT,
    OPEN,
    SIDE,
    P,
    Q,
    RowKind,
    T,
)
from botd.language.program import Program, compile_program
from botd.language.typed import (
    BOOL,
    NUMBER,
    RATIO,
    CancelSection,
    EntrySection,
    ExitRule,
    Expr,
    OnReload,
    OnStop,
    OrderSpec,
    PositionSide,
    Protect,
    SignalSection,
    SizeKind,
    SizeSpec,
    Span,
    Strategy,
)

SECOND = 1_000_000
_NOWHERE = Span(0, 0)


def word(op: str, *args: Expr, params: tuple[int | float, ...] = ()) -> Expr:
    """Return an expression node; units do not matter to the compiler apart from booleans."""
    boolean = op in ("lt", "le", "and", "or", "not")
    return Expr(op=op, args=args, params=params, unit=BOOL if boolean else RATIO, span=_NOWHERE)


def number(value: float) -> Expr:
    return Expr(op="const", params=(value,), unit=NUMBER, span=_NOWHERE)


def any_of(first: Expr, *rest: Expr) -> Expr:
    return first if not rest else word("or", first, any_of(*rest))


def all_of(first: Expr, *rest: Expr) -> Expr:
    return first if not rest else word("and", first, all_of(*rest))


def random_strategy(index: int, rng: random.Random) -> Strategy:
    """Make a strategy of 19 indicator references, as the peers' comparison uses."""

    def fast() -> int:
        return rng.choice([2, 3, 5, 8, 10, 12, 15, 20, 30]) * SECOND

    def slow() -> int:
        return rng.choice([60, 90, 120, 180, 240, 300, 420, 600, 900]) * SECOND

    def bars() -> tuple[int, int]:
        return rng.choice([15, 60, 300]) * SECOND, rng.choice([5, 7, 9, 10, 14, 20, 21, 26, 30, 50])

    def on_close(op: str, *more: float) -> Expr:
        length, n = bars()
        return word(op, word("close", params=(length,)), params=(n, *more))

    def window(op: str, *us: int) -> Expr:
        return word(op, params=us)

    price, spread, imbalance = word("price"), word("spread"), word("imbalance")
    pair = slow()
    far = fast()
    signal = all_of(
        word("lt", number(rng.uniform(1e-4, 5e-4)), window("velocity", fast(), slow())),
        word("lt", number(rng.uniform(1.1, 1.8)), window("volume_surge", fast(), slow())),
        word("lt", spread, number(rng.uniform(1e-4, 6e-4))),
        word("lt", number(50.0), window("count", slow())),
    )
    cancel = any_of(
        word("lt", window("twpa", fast()), window("twpa", max(pair, far + SECOND), far)),
        word("lt", imbalance, number(-rng.randint(5, 9) / 10)),
    )
    enter = all_of(
        word("lt", word("mul", window("high", fast()), number(1 - rng.random() * 1e-3)), price),
        word("lt", window("vwap", slow()), price),
        word("lt", on_close("rsi"), number(float(rng.randint(55, 80)))),
        word("lt", number(rng.randint(1, 4) / 10), imbalance),
    )
    atr = word("atr", params=bars())
    leave = any_of(
        word("lt", number(float(rng.randint(65, 90))), on_close("rsi")),
        word("lt", on_close("bollinger_upper", 2.0), price),
        word("lt", word("add", on_close("ema"), word("mul", number(rng.uniform(1, 3)), atr)), price),
    )
    crash = any_of(
        word("lt", price, word("sub", on_close("ema"), word("mul", number(2.0), word("atr", params=bars())))),
        word("lt", price, window("low", slow())),
        word("lt", price, word("mul", on_close("sma"), number(0.99))),
        word("lt", number(rng.uniform(1e-3, 3e-3)), spread),
    )
    return strategy(f"s{index}", signal, cancel, enter, leave, crash)


def strategy(name: str, signal: Expr, cancel: Expr | None, enter: Expr, leave: Expr, crash: Expr) -> Strategy:
    return Strategy(
        id=name,
        about="",
        shadow=False,
        instruments=("X/Y",),
        universe=None,
        side=PositionSide.LONG,
        lets=(),
        signal=SignalSection(when=signal),
        cancel=None if cancel is None else CancelSection(when=cancel),
        entry=EntrySection(
            when=enter,
            order=OrderSpec(),
            size=SizeSpec(kind=SizeKind.FIXED, amount=Decimal(1)),
            written=True,
        ),
        exits=(ExitRule(name="leave", when=leave, close=Decimal(1)),),
        emergencies=(ExitRule(name="crash", when=crash, close=Decimal(1)),),
        protect=Protect(),
        limits=(),
        lifecycle=(),
        on_reload=OnReload.PIN,
        on_stop=OnStop.CANCEL,
        warmup_us=0,
        file="",
        text="",
    )


def program_of(strategies: int) -> Program:
    rng = random.Random(1)
    return compile_program([random_strategy(k, rng) for k in range(strategies)])


def random_rows(n: int, seed: int = 7, rate: float = 10.0) -> NDArray[np.int64]:
    """Make int64[N_INPUT, n] trades, `rate` a second, in bursts that share timestamps."""
    rng = np.random.default_rng(seed)
    rows = np.zeros((N_INPUT, n), np.int64)
    gaps = rng.exponential(1e6 / rate, n).astype(np.int64)
    burst = rng.random(n) < 0.4
    gaps[burst] //= 50
    rows[T] = 1_700_000_000_000_000 + np.cumsum(gaps)
    low, high = 5_000_000, 7_000_000
    walk = 6_000_000 + np.cumsum(np.rint(rng.standard_t(4, n) * 12).astype(np.int64))
    width = high - low
    price = np.abs((walk - low) % (2 * width) - width) + low
    rows[P] = rows[OPEN] = rows[HIGH] = rows[LOW] = price
    rows[Q] = np.maximum(1, rng.lognormal(6, 1.5, n)).astype(np.int64)
    rows[SIDE] = rng.choice([-1, 1], n)
    rows[KIND] = int(RowKind.TRADE)
    rows[BID] = price - rng.integers(1, 400, n)
    rows[ASK] = price + rng.integers(1, 400, n)
    rows[BSZ] = rng.integers(1, 100_000, n)
    rows[ASZ] = rng.integers(1, 100_000, n)
    return rows


def least(repeats: int, work: Callable[[], float]) -> float:
    return min(work() for _ in range(repeats))


def batch_seconds(program: Program, rows: NDArray[np.int64], block: int) -> float:
    ring = np.zeros((N_COLUMNS, rows.shape[1]), np.int64)
    ring[:N_INPUT] = rows
    engine = InstrumentEngine(program, tick=0.01, lot=1e-3, block_max=block)
    engine.attach(ring)
    start = time.process_time()
    engine.run(rows.shape[1])
    return time.process_time() - start


def event_seconds(program: Program, rows: NDArray[np.int64], block: int) -> list[float]:
    engine = InstrumentEngine(program, tick=0.01, lot=1e-3, block_max=block, capacity=1 << 15)
    single = [np.ascontiguousarray(rows[:, k : k + 1]) for k in range(rows.shape[1])]
    times = []
    clock = time.perf_counter
    for row in single:
        start = clock()
        engine.append(row)
        times.append(clock() - start)
    return times


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    n = int(float(sys.argv[2])) if len(sys.argv) > 2 else 500_000
    program = program_of(count)
    rows = random_rows(n)
    batch_seconds(program, rows[:, :1000], 512)
    took = least(3, lambda: batch_seconds(program, rows, 512))
    say(f"{count} strategies x 19 indicators", n=n, cpu_s=took, per_s=n / took, at_least=1.5e6)
    times = event_seconds(program, rows[:, :20_000], 512)[2000:]
    quantiles = statistics.quantiles(times, n=1000)
    name = f"one event, {count} strategies, stage 1 from Python"
    say(f"{name}, p50", value=round(quantiles[499] * 1e6, 2), unit="us", at_most=20)
    say(f"{name}, p99", value=round(quantiles[989] * 1e6, 2), unit="us")


def say(bench: str, **fields: object) -> None:
    print(json.dumps({"bench": bench, **fields}), flush=True)


if __name__ == "__main__":
    main()
