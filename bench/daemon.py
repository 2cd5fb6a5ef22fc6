"""Measure the whole daemon from outside: its second start until the books move, and its memory.

It runs the shipped configuration in a folder of its own. "First row" is seen in the state file: the journal's
cursor has passed the place where the first run stopped. The cursor is written at most once a second, so the
figure is an upper bound. Memory is what the kernel counts for the process, now and at its highest.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BOTD = ROOT / ".venv" / "bin" / "botd"
FIRST_START_LIMIT_S = 300.0
SECOND_START_LIMIT_S = 60.0
STOP_LIMIT_S = 60.0
RUN_S = 30.0


def copy_bot(folder: Path) -> None:
    """Copy the shipped bot, without its state."""
    shutil.copyfile(ROOT / "config.yaml", folder / "config.yaml")
    for name in ("configs", "strategies"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "state").mkdir()


def position(folder: Path) -> int:
    """Return how many rows the journal says were processed, warm-up not counted; 0 before the first."""
    path = folder / "state" / "botd.sqlite3"
    if not path.exists():
        return 0
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1)
        try:
            query = (
                "SELECT coalesce(sum(c.position), 0) FROM journal_cursor c "
                "JOIN sessions s ON s.id = c.session_id WHERE s.mode <> 'warmup'"
            )
            return int(connection.execute(query).fetchone()[0])
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return 0  # not migrated yet


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Start the daemon as a user would, without a terminal."""
    with (folder / "daemon.log").open("ab") as log:
        return subprocess.Popen(
            [str(BOTD), "run", "--config", "config.yaml"],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, "BOTD_API_PORT": "0"},
        )  # fmt: skip


def wait_beyond(folder: Path, daemon: subprocess.Popen[bytes], passed: int, limit_s: float) -> float:
    """Return the seconds until the journal is beyond `passed`; end the process when it never gets there."""
    began = time.monotonic()
    while time.monotonic() - began < limit_s:
        if position(folder) > passed:
            return time.monotonic() - began
        if daemon.poll() is not None:
            break
        time.sleep(0.02)
    daemon.kill()
    tail = (folder / "daemon.log").read_text(errors="replace").strip().splitlines()[-1:]
    raise SystemExit(f"the daemon processed no row within {limit_s} s: {tail}")


def stop(daemon: subprocess.Popen[bytes]) -> float:
    """Stop the daemon and return the seconds it took."""
    began = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    code = daemon.wait(STOP_LIMIT_S)
    if code != 0:
        raise SystemExit(f"the daemon stopped with code {code}")
    return time.monotonic() - began


def memory_mb(pid: int, key: str) -> float:
    """Read one figure of the process from the kernel."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"the kernel does not tell {key}")


def report(name: str, value: float, unit: str, at_most: float | None = None) -> None:
    """Print one figure in the form that run.py reads."""
    target = {} if at_most is None else {"at_most": at_most}
    print(json.dumps({"bench": name, "value": round(value, 3), "unit": unit, **target}), flush=True)


def main() -> int:
    """Start, stop, start again, look, stop."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))  # a daemon has the whole machine
    with tempfile.TemporaryDirectory(prefix="botd-bench-") as name:
        folder = Path(name)
        copy_bot(folder)
        daemon = start(folder)
        report("first start with 24 h of warm-up", wait_beyond(folder, daemon, 0, FIRST_START_LIMIT_S), "s")
        time.sleep(2)
        stop(daemon)
        passed = position(folder)
        daemon = start(folder)
        seconds = wait_beyond(folder, daemon, passed, SECOND_START_LIMIT_S)
        report("second start to first row", seconds, "s", at_most=4)
        time.sleep(RUN_S)
        report("daemon memory", memory_mb(daemon.pid, "VmRSS"), "MB", at_most=300)
        report("daemon memory at its highest", memory_mb(daemon.pid, "VmHWM"), "MB", at_most=300)
        report("clean stop", stop(daemon), "s", at_most=8)
    return 0


if __name__ == "__main__":
    sys.exit(main())
