"""The kernel with fixed quantity: rules, fills and cash in one pass over a history in memory.

    python bench/sweep.py bars 1000000      SMA(10)/SMA(30) cross on one-minute bars (S-A)
    python bench/sweep.py ticks 10000000    the spike strategy on trades (S-B)

Times are processor time of the run alone: the data lie in the ring, as they do for every peer whose
loader is not timed either. Trades and P&L are printed so that they can be compared with the peers'.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from botd.engine import layout as col
from botd.engine.engine import InstrumentEngine
from botd.engine.sweep import PolicyRun
from botd.language.program import compile_program
from botd.language.strategy import read_strategy

DATA = Path(__file__).parent / "data"
BLOCK = 1024
REPEATS = 5

CROSS = """strategy: cross
instruments: [X/USDT:USDT]
side: long
let:
  fast: sma(close(1m), 10)
  slow: sma(close(1m), 30)
S1: { when: fast crosses above slow, cooldown: 0s }
Z1: { when: always, order: { type: market }, size: { fixed: 1 USDT } }
ZE1: [ { name: out, when: fast crosses below slow, close: 100% } ]
protect: { stop_loss: 99% }
on_stop: keep
"""
SPIKE = """strategy: spike
instruments: [X/USDT:USDT]
side: long
let:
  speed: twpa(10s) / twpa(5m) - 1
  surge: volume(10s) / (volume(10m) / 60)
S1: { when: speed > 1% and surge > 3, cooldown: 0s }
Z1: { when: always, order: { type: market }, size: { fixed: 1 USDT } }
ZE1: [ { name: fade, when: speed < 0 or held >= 300s, close: 100% } ]
protect: { holding_max: 1d }
on_stop: keep
"""


def ring_of_bars(n: int) -> np.ndarray:
    """Return the ring of n one-minute bars, entered at their close."""
    ring = np.zeros((col.N_COLUMNS, n), np.int64)
    ring[col.T] = np.load(DATA / "bars_ts.npy")[:n] // 1000 + 60_000_000
    for column, name in ((col.OPEN, "open"), (col.HIGH, "high"), (col.LOW, "low"), (col.P, "close")):
        ring[column] = np.rint(np.load(DATA / f"bars_{name}.npy")[:n] * 100)
    ring[col.Q] = np.rint(np.load(DATA / "bars_volume.npy")[:n] * 1000)
    ring[col.BID] = ring[col.ASK] = ring[col.P]
    ring[col.KIND] = int(col.RowKind.BAR)
    return ring


def ring_of_ticks(n: int) -> np.ndarray:
    """Return the ring of n trades; the book's top is the trade's own price, as the peers have it."""
    ring = np.zeros((col.N_COLUMNS, n), np.int64)
    ring[col.T] = np.load(DATA / "ticks_ts.npy")[:n] // 1000
    ring[col.P] = np.rint(np.load(DATA / "ticks_price.npy")[:n] * 100)
    ring[col.Q] = np.rint(np.load(DATA / "ticks_size.npy")[:n] * 10_000)
    ring[col.SIDE] = np.load(DATA / "ticks_side.npy")[:n]
    ring[col.BID] = ring[col.ASK] = ring[col.P]
    return ring


def main() -> None:
    what, n = sys.argv[1], int(float(sys.argv[2]))
    bars = what == "bars"
    text = CROSS if bars else SPIKE
    strategy, faults = read_strategy(text, f"{what}.yaml")
    if strategy is None:
        raise SystemExit("\n".join(fault.render() for fault in faults))
    ring = ring_of_bars(n) if bars else ring_of_ticks(n)
    times = []
    for _ in range(REPEATS + 1):
        engine = InstrumentEngine(
            compile_program((strategy,)),
            tick=0.01,
            lot=1e-4,
            block_max=BLOCK,
            bar_length_us=60_000_000 if bars else 0,
        )
        engine.attach(ring)
        run = PolicyRun(engine, lots=1, latency_us=0, fee_e4=10, bars_only=bars)
        began = time.process_time()
        run.run(n)
        times.append(time.process_time() - began)
    result = run.results()[0]
    best = min(times[1:])
    last = int(ring[col.P, -1])
    worth = (result.cash + result.qty * last * 10_000) / 1e6
    print(
        json.dumps(
            {
                "bench": "botd S-A kernel" if bars else "botd S-B kernel",
                "n": n,
                "cpu_s": best,
                "per_s": n / best,
                "at_least": 20e6,
                "trades": result.fills,
                "pnl": round(worth, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
