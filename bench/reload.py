"""Measure how soon a saved threshold trades, on 10 instruments of 100 rows/s each, and what the reloads cost.

A daemon judges a recording in real time while a strategy's file is saved at random moments. Who holds a
position then follows its file once that is closed, which is a swap of its own and not timed here.
Afterwards the same rows are judged again here, in one go, with each edit from its row on and warmed by
every row before it: the decisions have to be equal, and every row of the recording has to be among those
judged.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from botd.app import build_bot, build_loop, lane_specs, open_feeds, read_pins
from botd.config.loader import load_plan
from botd.config.plan import Plan
from botd.core.decisions import canonical_line
from botd.core.swap import pins_due
from botd.feeds.merged import MergedFeed
from botd.machine import read_plan
from botd.runtime.loop import Group, TradingLoop
from botd.runtime.merge import RowMerger
from botd.store.queries import StateReader
from botd.warming import catch_up

ROOT = Path(__file__).resolve().parent.parent
INSTRUMENTS = tuple(f"C{n}/USDT:USDT" for n in range(10))
RATE = 100  # trades a second of each
START_MS = 1_700_000_000_000
LIMIT_S = 60.0

EDITED = """strategy: rider
instruments: [{names}]
side: long
let:
  rise: price / low(from 8s to 1s) - 1
S1: {{ when: rise > {threshold}%, cooldown: 5s }}
Z1: {{ when: always, order: {{ type: market, slippage_max: 100bps }}, size: {{ percent: 1% of equity }} }}
ZE1:
  - {{ name: half, when: held > 3s, close: 50% }}
  - {{ name: out, when: held > 9s, close: 100% }}
protect: {{ stop_loss: 20% }}
limits: {{ losing_streak_max: 100000, daily_loss_max: 90%, drawdown_max: 90% }}
on_stop: keep
"""
UNTOUCHED = """strategy: steady
instruments: [{names}]
side: long
let:
  fast: ema(close(1s), 5)
  slow: ema(close(1s), 15)
S1: {{ when: fast crosses above slow, cooldown: 5s }}
Z1: {{ when: price > 0, order: {{ type: market }}, size: {{ fixed: 20 USDT }} }}
ZE1: [ {{ name: back, when: fast < slow, close: 100% }} ]
protect: {{ stop_loss: 20% }}
limits: {{ losing_streak_max: 100000, daily_loss_max: 90%, drawdown_max: 90% }}
on_stop: keep
"""


# ---- the bot --------------------------------------------------------------------------------------


def strategy(text: str, **more: str) -> str:
    return text.format(names=", ".join(INSTRUMENTS), **more)


def make_bot(folder: Path, seconds: int) -> None:
    """Make the folder of a bot, and a recording of so many seconds."""
    shutil.copytree(ROOT / "configs", folder / "configs")
    (folder / "strategies").mkdir()
    grid = "{ tick: 0.01, lot: 0.001, min_notional: 5 USDT, leverage: 1 }"
    lines = (ROOT / "config.yaml").read_text().splitlines()
    first = lines.index(next(line for line in lines if line.startswith("instruments:")))
    end = lines.index(next(line for line in lines if line.startswith("feed:")))
    listed = ["instruments:", *(f"  {name}: {grid}" for name in INSTRUMENTS), "universes: {}"]
    (folder / "config.yaml").write_text("\n".join([*lines[:first], *listed, *lines[end:]]) + "\n")
    (folder / "strategies/rider.yaml").write_text(strategy(EDITED, threshold="0.2"))
    (folder / "strategies/steady.yaml").write_text(strategy(UNTOUCHED))
    (folder / "data").mkdir()
    sidecar = (
        f'c{n}.parquet: {{instrument: "{name}", rows: trades}}\n' for n, name in enumerate(INSTRUMENTS)
    )
    (folder / "data/instruments.yaml").write_text("".join(sidecar))
    for number in range(len(INSTRUMENTS)):
        write_trades(folder / f"data/c{number}.parquet", number, seconds)


def write_trades(path: Path, number: int, seconds: int) -> None:
    """Write trades whose price goes up and down by half a percent in 20 s or so, with some noise."""
    rng = np.random.default_rng(number)
    count = seconds * RATE
    times = START_MS + np.arange(count) * 1000 // RATE
    wave = np.sin(np.arange(count) / RATE * 2 * np.pi / (17 + number))
    prices = np.round(100 * (1 + 0.0025 * wave + rng.normal(0, 0.0001, count)), 2)
    sides = np.where(rng.random(count) < 0.5, "buy", "sell")
    amounts = rng.integers(100, 5_000, count) / 1000
    table = {"ts_ms": times, "price": prices, "amount": amounts, "side": sides.tolist()}
    pa.parquet.write_table(pa.table(table), path)


def open_market(plan: Plan, folder: Path, *, paced: bool) -> MergedFeed:
    from botd.runtime.clock import WallClock

    clock, speed = (WallClock(), 1.0) if paced else (None, None)
    (feed,) = open_feeds(plan, folder / "data", portfolio=True, clock=clock, speed=speed)
    assert isinstance(feed, MergedFeed)
    return feed


def run_daemon(folder: Path) -> int:
    """Run the bot of a folder on its recording, in real time."""
    from rich.console import Console

    from botd.daemon import Daemon
    from botd.machine import Machine
    from botd.runtime.terminal import Screen
    from botd.telemetry import configure_logging

    configure_logging(level="info")
    plan = load_plan(folder)
    machine = Machine()
    feed = open_market(plan, folder, paced=True)
    with (folder / "said.txt").open("w") as said:
        screen = Screen(Console(file=said), machine.clock, mode=plan.mode)
        daemon = Daemon(plan, data=None, speed=None, screen=screen, machine=machine, config=folder, feed=feed)
        return daemon.run()


# ---- the saves ------------------------------------------------------------------------------------


def ask(folder: Path, query: str) -> list[Any]:
    path = folder / "state/botd.sqlite3"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
        return connection.execute(query).fetchall()


def wait_for(folder: Path, query: str, daemon: subprocess.Popen[bytes]) -> None:
    """Wait until a query finds something."""
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until and daemon.poll() is None:
        with contextlib.suppress(sqlite3.OperationalError):
            if ask(folder, query):
                return
        time.sleep(0.005)
    raise SystemExit(f"nothing came of: {query}\n{(folder / 'daemon.log').read_text()[-2000:]}")


def save_again_and_again(
    folder: Path, daemon: subprocess.Popen[bytes], saves: int, rng: random.Random
) -> list[tuple[float, float]]:
    """Save thresholds; return the seconds from each save to the swap's decision, and to its being on disk."""
    wait_for(folder, "SELECT 1 FROM journal_cursor WHERE position > 10000", daemon)
    file = folder / "strategies/rider.yaml"
    waited = []
    seen = 0
    for number in range(1, saves + 1):
        time.sleep(rng.uniform(0.2, 2.5))
        text = strategy(EDITED, threshold=f"0.{rng.randint(10, 35)}{number:03}")
        draft = file.with_name(".rider.yaml.new")
        draft.write_text(text)
        saved = time.time()
        draft.replace(file)  # as editors do: where a disk stalls, a file being written is empty for long
        mine = f"FROM reloads WHERE who = 'files' AND number > {seen}"  # others end pins
        wait_for(folder, f"SELECT 1 {mine}", daemon)
        on_disk = time.time() - saved
        ((seen, ts_us, ok, errors),) = ask(folder, f"SELECT number, ts_us, ok, errors {mine}")
        if not ok:
            raise SystemExit(f"a reload was refused: {errors}")
        waited.append((ts_us / 1e6 - saved, on_disk))
    return waited


# ---- the same rows with each edit from its row on ---------------------------------------------------


def judge_again(folder: Path, first: Plan) -> tuple[list[str], int, int]:
    """Return what is decided with each edit from its row on, and how many rows there are, and market rows."""
    feed = open_market(first, folder, paced=False)
    loop = build_loop(first, feed, session_id="again")
    lines: list[str] = []

    def take(groups: Iterator[Group]) -> None:
        for group in groups:
            lines.extend(line for one in group.records if (line := canonical_line(one)) is not None)

    def run(until: int) -> None:
        for start in range(loop.feed_position, until, 512):
            take(loop.run(feed.cut(start, min(start + 512, until))))

    feed_at = market_rows_before(first, feed)
    query = "SELECT position, running_hash FROM reloads WHERE ok AND changes <> '[]' ORDER BY number"
    for position, config_hash in ask(folder, query):
        run(int(feed_at[position]))
        if loop.position != position:
            raise SystemExit(f"the reload at row {position} stands between two blocks of row {loop.position}")
        ((files,),) = ask(
            folder, f"SELECT DISTINCT files FROM config_revisions WHERE config_hash = '{config_hash}'"
        )
        exchange(loop, read_plan(json.loads(files)), feed)
        take(loop.send_unsent(again=False))
    run(feed.count)
    return lines, feed_at.size - 1, feed.count


def market_rows_before(plan: Plan, feed: MergedFeed) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return how many market rows stand before each merged row, and in all."""
    specs, lane_of = lane_specs(plan, feed.instruments)
    return RowMerger(lane_of, len(specs), feed.bar_length_us).take(feed.cut(0, feed.count), None)[2]


def exchange(loop: TradingLoop, plan: Plan, feed: MergedFeed) -> None:
    """Swap in a plan that every row before has warmed."""
    pins = pins_due(loop.bot, plan.strategies)
    revisions = read_pins(plan, pins, read_plan)
    bot = build_bot(plan, feed, session_id="again", pins=pins, revisions=revisions)
    other = build_loop(plan, feed, session_id="again")
    other.bot = bot
    end = loop.judged_feed_position
    for chunk in feed.read(0):
        count = min(chunk.rows.shape[1], end - chunk.position)
        if count > 0:
            rows = np.ascontiguousarray(chunk.rows[:, :count])
            other.warm(replace(chunk, instrument=chunk.instrument[:count], rows=rows))
    if not catch_up(bot, loop.bot):
        raise SystemExit("the rows before a reload are gone")
    loop.exchange(bot)


def decided(folder: Path) -> list[str]:
    """Return what the daemon decided."""
    with StateReader(folder / "state/botd.sqlite3") as books:
        found = books.decisions(books.session().id)
        return [line for kind, row in found if (line := canonical_line(row, kind)) is not None]


# ---- the whole ------------------------------------------------------------------------------------


def measure(folder: Path, saves: int, seconds: int, rng: random.Random) -> None:
    make_bot(folder, seconds)
    first = load_plan(folder)
    with (folder / "daemon.log").open("wb") as log:
        daemon = subprocess.Popen(
            [sys.executable, __file__, "--daemon", str(folder)],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, "BOTD_API_PORT": "0"},
        )  # fmt: skip
        try:
            waited = save_again_and_again(folder, daemon, saves, rng)
            daemon.wait(seconds + 60)
        finally:
            if daemon.poll() is None:
                daemon.send_signal(signal.SIGKILL)
                daemon.wait()
    print("seconds to each swap:", *(f"{one:.2f}" for one, _ in waited))
    for place, name in enumerate(("to the swap", "until it is on disk")):
        times = sorted(one[place] for one in waited)
        report(f"saved threshold {name}, p50", statistics.median(times), "s")
        p95 = times[math.ceil(0.95 * len(times)) - 1]
        report(f"saved threshold {name}, p95", p95, "s", at_most=1)
        report(f"saved threshold {name}, max", times[-1], "s")
    lines, merged, market = judge_again(folder, first)
    ((judged, taken),) = ask(folder, "SELECT position, feed_position FROM journal_cursor")
    report("rows judged of those recorded", taken / market, "x")
    report("rows and timers judged of those due", judged / merged, "x")
    for line in (folder / "daemon.log").read_text().splitlines():
        if "stands still" in line:
            print(line[:2_000])
    if held := ask(folder, "SELECT ts_us, cause, reason FROM trading_states"):
        print(f"the decisions cannot be compared, trading was held: {held}")
        return
    ours = decided(folder)
    differing = sum(a != b for a, b in zip(ours, lines, strict=False)) + abs(len(ours) - len(lines))
    report("decisions of the run", len(ours), "lines")
    report("decisions unlike those of a run with each edit from its row on", differing, "lines", at_most=0)


def report(name: str, value: float, unit: str, at_most: float | None = None) -> None:
    """Print one figure in the form that run.py reads."""
    target = {} if at_most is None else {"at_most": at_most}
    print(json.dumps({"bench": name, "value": round(value, 3), "unit": unit, **target}), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="How soon a saved threshold trades.")
    parser.add_argument("--saves", type=int, default=40)
    parser.add_argument("--seconds", type=int, default=200, help="of recorded market")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--daemon", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.daemon:
        return run_daemon(given.daemon)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, seed {given.seed}")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))  # a daemon has the whole machine
    with tempfile.TemporaryDirectory(prefix="botd-bench-") as name:
        measure(Path(name), given.saves, given.seconds, random.Random(given.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
