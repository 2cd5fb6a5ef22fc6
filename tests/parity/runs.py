"""The same strategy on the same file, by every way there is."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from botd.app import backtest, build_loop, open_feeds
from botd.config.loader import load_strategies, on_instruments
from botd.core.decisions import canonical_line
from botd.core.records import Record
from botd.feeds.recorded import RecordedFeed
from botd.ports import Chunk
from botd.runtime.batch import run_batch
from botd.store.fsck import examine
from botd.store.queries import StateReader
from tests.parity.cases import ROOT, STRATEGIES

BOTD = (sys.executable, "-m", "botd")
STARTED_S = 300.0  # a busy machine starts late


def backtest_lines(strategy: str, data: Path, *, block_rows: int = 512) -> list[str]:
    """Return the decisions of `botd backtest`."""
    plan = load_strategies([STRATEGIES / f"{strategy}.yaml"], ROOT / "config.yaml")
    (feed,) = open_feeds(plan, data)
    run = backtest(plan, feed, name=data.name, block_rows=block_rows)
    return lines_of(run.records)


def random_block_lines(strategy: str, data: Path, seed: int) -> list[str]:
    """Return the decisions where chunks and so blocks have random sizes."""
    plan = load_strategies([STRATEGIES / f"{strategy}.yaml"], ROOT / "config.yaml")
    (feed,) = open_feeds(plan, data)
    plan = on_instruments(plan, feed.instruments)
    loop = build_loop(plan, feed, session_id="random")
    records: list[Record] = []
    run_batch(loop, _random_chunks(feed, random.Random(seed)), lambda group: records.extend(group.records))
    return lines_of(records)


def _random_chunks(feed: RecordedFeed, rng: random.Random) -> Iterator[Chunk]:
    position = 0
    while position < feed.count:
        chunk = next(feed.read(position, rows_max=rng.choice([1, 2, 3, 17, 64, 300, 2_000])))
        position += chunk.rows.shape[1]
        yield chunk


def lines_of(records: list[Record]) -> list[str]:
    return [line for line in map(canonical_line, records) if line is not None]


def state_lines(bot: Path) -> list[str]:
    """Return the decisions of the newest session in a bot folder's state file, whose books must hold."""
    path = bot / "state" / "botd.sqlite3"
    assert examine(path).findings == ()
    with StateReader(path) as reader:
        session = reader.session()
        found = [canonical_line(row, kind) for kind, row in reader.decisions(session.id)]
        return [line for line in found if line is not None]


def start_daemon(bot: Path, data: Path, speed: str) -> subprocess.Popen[str]:
    command = (*BOTD, "run", "--config", str(bot), "--data", str(data), "--speed", speed)
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run_daemon(bot: Path, data: Path) -> str:
    """Run the daemon at full speed to the end of the data; return what it printed."""
    with start_daemon(bot, data, "max") as daemon:
        out, _ = daemon.communicate(timeout=600)
        assert daemon.returncode == 0, out
        return out


def interrupt_daemon(bot: Path, data: Path, speed: str, how: signal.Signals, *, after: int) -> None:
    """Start the daemon, wait until its session has come `after` rows further, and send it a signal."""
    began = _position(bot)
    with start_daemon(bot, data, speed) as daemon:
        deadline = time.monotonic() + STARTED_S
        while _position(bot) < began + after:
            assert daemon.poll() is None, daemon.communicate()[0]
            assert time.monotonic() < deadline, "the daemon does not come on"
            time.sleep(0.02)
        daemon.send_signal(how)
        out, _ = daemon.communicate(timeout=60)
        assert daemon.returncode == (0 if how is signal.SIGTERM else -how), out


def _position(bot: Path) -> int:
    """Return how many rows the session has judged, from the outside."""
    path = bot / "state" / "botd.sqlite3"
    if not path.exists():
        return 0
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            (found,) = connection.execute("SELECT MAX(position) FROM journal_cursor").fetchone()
        finally:
            connection.close()
    except sqlite3.OperationalError:  # being made
        return 0
    return found or 0
