"""Measure what callers of the API do to the daemon's commits: nobody, 20 pollers, 500 slow sockets as well.

These take turns within one run of the shipped bot on the synthetic market, so that whatever else the machine
does falls on all of them. A commit is timed by the daemon, from asking for it to its being on disk.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
POLLERS = 20
SLOW = 500
POLLED = (
    *("/health", "/api/trading/positions", "/api/trading/orders", "/api/trading/signals", "/api/alerts"),
)
SPEED = 30  # times real time: the synthetic market's commits of half a minute in a second


# ---- the daemon ---------------------------------------------------------------------------------


def run_daemon(folder: Path, port: int) -> int:
    """Run the bot of a folder; leave every commit's end and length in `commits.jsonl`."""
    from dataclasses import replace

    from rich.console import Console

    from botd.config.loader import load_plan
    from botd.config.plan import Plan
    from botd.daemon import Daemon
    from botd.machine import Machine
    from botd.reception import Api, ApiNeeds
    from botd.runtime.terminal import Screen
    from botd.serving import DaemonApi, settings_of
    from botd.telemetry import configure_logging

    commits: list[tuple[float, float]] = []

    class TimedApi(DaemonApi):
        def committed(self, seconds: float) -> None:
            commits.append((time.monotonic(), seconds))
            super().committed(seconds)

    def open_api(plan: Plan, needs: ApiNeeds) -> Api:
        settings = settings_of(replace(plan.api, port=port), {})
        assert settings is not None
        return TimedApi(settings, needs, {})

    configure_logging(level="error")
    plan = load_plan(folder)
    machine = Machine(open_api=open_api)
    with (folder / "said.txt").open("w") as said:
        screen = Screen(Console(file=said), machine.clock, mode=plan.mode)
        code = Daemon(plan, data=None, speed=None, screen=screen, machine=machine).run()
    (folder / "commits.json").write_text(json.dumps(commits))
    return code


def start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Start the shipped bot at SPEED in a folder of its own; return once it is ready to trade."""
    for name in ("configs", "strategies"):
        shutil.copytree(ROOT / name, folder / name)
    text = (ROOT / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("  speed: 1 ", f"  speed: {SPEED} "))
    command = [sys.executable, __file__, "--daemon", str(folder), "--port", str(port)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)


# ---- the callers --------------------------------------------------------------------------------


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> int:
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = (line.split(b":")[1] for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
    await reader.readexactly(int(next(lengths)))
    return int(head.split()[1])


async def poll(port: int, number: int, waited: list[float]) -> None:
    """Read what a dashboard shows, once a second, from an address of its own."""
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, local_addr=(f"127.0.0.{10 + number}", 0)
            )
            try:
                while True:
                    for path in POLLED:
                        began = time.monotonic()
                        await ask(reader, writer, path)
                        waited.append(time.monotonic() - began)
                    await asyncio.sleep(1)
            finally:
                writer.close()
        await asyncio.sleep(0.2)


async def crawl(port: int, number: int, _: list[float]) -> None:
    """Send a request a byte a second, and begin anew when cut off."""
    source = f"127.0.{1 + number % 100}.1"
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
            try:
                for byte in b"GET /health HTTP/1.1\r\nX: " + b"a" * 60:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(1)
            finally:
                writer.close()
        await asyncio.sleep(1)


@contextlib.asynccontextmanager
async def callers(kind: str, port: int, waited: list[float]) -> AsyncIterator[None]:
    wanted = {"quiet": (0, 0), "polled": (POLLERS, 0), "polled and crawled": (POLLERS, SLOW)}[kind]
    tasks = [asyncio.create_task(poll(port, k, waited)) for k in range(wanted[0])]
    tasks += [asyncio.create_task(crawl(port, k, waited)) for k in range(wanted[1])]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def ready(port: int) -> None:
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                if await ask(reader, writer, "/health/ready") == 200:
                    return
            finally:
                writer.close()
        await asyncio.sleep(0.5)


# ---- the turns ----------------------------------------------------------------------------------

KINDS = ("quiet", "polled", "polled and crawled")


Span = tuple[str, float, float]  # who called, from when, until when


async def take_turns(port: int, rounds: int, seconds: float) -> tuple[list[Span], list[float]]:
    """Have each kind of callers call for a while, again and again, each first in its turn."""
    await asyncio.wait_for(ready(port), 300)
    await asyncio.sleep(5)
    spans, waited = [], list[float]()
    for turn in range(rounds):
        for place in range(len(KINDS)):
            kind = KINDS[(turn + place) % len(KINDS)]
            async with callers(kind, port, waited):
                await asyncio.sleep(1)  # they come
                began = time.monotonic()
                await asyncio.sleep(seconds)
                spans.append((kind, began, time.monotonic()))
            await asyncio.sleep(1)  # they have left
    return spans, waited


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def report(spans: list[Span], commits: list[list[float]], waited: list[float]) -> None:
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for kind in KINDS:
        within = [(begin, end) for one, begin, end in spans if one == kind]
        turns = [[s * 1e3 for at, s in commits if begin <= at <= end] for begin, end in within]
        every = [one for turn in turns for one in turn]
        middle, high = statistics.median(every), percentile(every, 0.99)
        by_turn = statistics.median(percentile(turn, 0.99) for turn in turns if turn)
        print(
            f"{kind:<20} {len(every):6} commits  p50 {middle:6.2f} ms  p90 {percentile(every, 0.9):6.2f} ms  "
            f"p99 {high:6.2f} ms  median of the turns' p99 {by_turn:6.2f} ms"
        )
    reads = [one * 1e3 for one in waited]
    print(f"{len(reads)} reads: p50 {statistics.median(reads):.1f} ms, p99 {percentile(reads, 0.99):.1f} ms")


def main() -> int:
    parser = argparse.ArgumentParser(description="How callers of the API slow down commits.")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each turn")
    parser.add_argument("--port", type=int, default=18_089)
    parser.add_argument("--daemon", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.daemon:
        return run_daemon(given.daemon, given.port)
    with tempfile.TemporaryDirectory(prefix="botd-bench-") as name:
        folder = Path(name)
        daemon = start(folder, given.port)
        try:
            spans, waited = asyncio.run(take_turns(given.port, given.rounds, given.seconds))
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(90)
        commits = json.loads((folder / "commits.json").read_text())
    report(spans, commits, waited)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
