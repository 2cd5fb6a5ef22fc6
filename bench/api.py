"""Measure what who looks at a daemon does to its commits.

Nobody; 20 sessions of one dashboard, as that many browsers have them; these and 500 slow sockets at the
API; and 20 pollers of the API and the slow sockets.

These take turns within one run of the shipped bot on the synthetic market, so that whatever else the
machine does falls on all of them. A commit is timed by the daemon, from asking for it to its being on disk.
Who calls runs on the processors that are not left to the daemon, as from another machine; with `--beside`
on any. A TMPDIR in memory leaves out the disk.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
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
from collections.abc import AsyncIterator, Coroutine, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from botd.processors import leave_one

ROOT = Path(__file__).resolve().parent.parent
POLLERS = 20
SLOW = 500
POLLED = (
    *("/health", "/api/trading/positions", "/api/trading/orders", "/api/trading/signals", "/api/alerts"),
)
PAGES = ("", "chart", "orders", "signals", "trades")
SPEED = 90  # times real time: the synthetic market's commits of a minute and a half in a second


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


def start(folder: Path, port: int) -> dict[str, subprocess.Popen[bytes]]:
    """Start the shipped bot at SPEED in a folder of its own, and its dashboard."""
    for name in ("configs", "strategies"):
        shutil.copytree(ROOT / name, folder / name)
    text = (ROOT / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("  speed: 1 ", f"  speed: {SPEED} "))
    daemon = [sys.executable, __file__, "--daemon", str(folder), "--port", str(port)]
    dashboard = [str(Path(sys.executable).with_name("botd")), "dashboard", "--port", str(port + 1)]
    commands = {
        "daemon": daemon,
        "dashboard": [*dashboard, "--state", str(folder / "state/botd.sqlite3")],
    }
    started = {}
    for name, command in commands.items():
        with (folder / f"{name}.log").open("wb") as log:
            started[name] = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        asyncio.run(asyncio.wait_for(ready(port, "/health/ready"), 300))
    asyncio.run(asyncio.wait_for(ready(port + 1, "/_stcore/health"), 120))
    return started


# ---- the callers --------------------------------------------------------------------------------


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> int:
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    named = b"content-length:"
    lengths = (line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(named))
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


async def crawl(port: int, number: int) -> None:
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


async def watch(port: int, number: int, runs: list[float]) -> None:
    """Look at one page of the dashboard as a browser does: again whenever the page wants it."""
    async with aiohttp.ClientSession() as http:
        origin = f"http://127.0.0.1:{port}"
        async with http.ws_connect(
            f"{origin}/_stcore/stream", protocols=["streamlit"], origin=origin
        ) as socket:
            first = BackMsg()
            first.rerun_script.page_name = PAGES[number % len(PAGES)]
            await socket.send_bytes(first.SerializeToString())
            begun: dict[str, asyncio.Task[None]] = {}
            page = ""
            try:
                async for message in socket:
                    said = ForwardMsg.FromString(message.data)
                    kind = said.WhichOneof("type")
                    if kind == "new_session":
                        page = said.new_session.page_script_hash
                    elif kind == "script_finished":
                        runs.append(time.monotonic())
                    elif kind == "auto_rerun" and said.auto_rerun.fragment_id not in begun:
                        one = said.auto_rerun
                        again = refresh(socket, one.fragment_id, one.interval, page)
                        begun[one.fragment_id] = asyncio.create_task(again)
            finally:
                for task in begun.values():
                    task.cancel()


async def refresh(socket: aiohttp.ClientWebSocketResponse, fragment: str, every_s: float, page: str) -> None:
    message = BackMsg()
    message.rerun_script.fragment_id = fragment
    message.rerun_script.is_auto_rerun = True
    message.rerun_script.page_script_hash = page
    while True:
        await asyncio.sleep(every_s)
        await socket.send_bytes(message.SerializeToString())


KINDS = ("quiet", "dashboards", "dashboards, slow", "pollers, slow")


def calls_of(kind: str, port: int, waited: dict[str, list[float]]) -> list[Coroutine[Any, Any, None]]:
    if kind == "quiet":
        return []
    calls: list[Coroutine[Any, Any, None]] = []
    if "dashboards" in kind:
        calls += [watch(port + 1, k, waited[kind]) for k in range(POLLERS)]
    else:
        calls += [poll(port, k, waited[kind]) for k in range(POLLERS)]
    if kind != "dashboards":
        calls += [crawl(port, k) for k in range(SLOW)]
    return calls


@contextlib.asynccontextmanager
async def callers(kind: str, port: int, waited: dict[str, list[float]]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one) for one in calls_of(kind, port, waited)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if not isinstance(ended, asyncio.CancelledError):
                raise RuntimeError(f"a caller of {kind!r} has left") from ended


async def ready(port: int, path: str) -> None:
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                if await ask(reader, writer, path) == 200:
                    return
            finally:
                writer.close()
        await asyncio.sleep(0.5)


# ---- the turns ----------------------------------------------------------------------------------

Span = tuple[str, float, float]  # who called, from when, until when


Waited = dict[str, list[float]]  # seconds for an answer; when a page was drawn


async def take_turns(port: int, rounds: int, seconds: float) -> tuple[list[Span], Waited]:
    """Have each kind of callers call for a while, again and again, each first in its turn."""
    spans, waited = [], collections.defaultdict[str, list[float]](list)
    for turn in range(rounds):
        for place in range(len(KINDS)):
            kind = KINDS[(turn + place) % len(KINDS)]
            async with callers(kind, port, waited):
                await asyncio.sleep(20 if "dashboards" in kind else 1)  # they come
                began = time.monotonic()
                await asyncio.sleep(seconds)
                spans.append((kind, began, time.monotonic()))
            await asyncio.sleep(1)  # they have left
    return spans, waited


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def report(spans: list[Span], commits: list[list[float]], waited: Waited) -> None:
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    quiet: list[float] = []
    for kind in KINDS:
        within = [(begin, end) for one, begin, end in spans if one == kind]
        turns = [[s * 1e3 for at, s in commits if begin <= at <= end] for begin, end in within]
        every = [one for turn in turns for one in turn]
        highs = [percentile(turn, 0.99) for turn in turns]
        quiet = quiet or highs
        ratio = statistics.median(high / calm for high, calm in zip(highs, quiet, strict=True))
        print(
            f"{kind:<20} {len(every):6} commits  p50 {statistics.median(every):6.2f} ms  "
            f"p90 {percentile(every, 0.9):6.2f} ms  p99 {percentile(every, 0.99):6.2f} ms  "
            f"turns' p99, median {statistics.median(highs):6.2f} ms, over quiet's {ratio:.2f}"
        )
        if "dashboards" in kind:
            drawn = sum(begin <= at <= end for at in waited[kind] for begin, end in within)
            print(f"{'':<20} {drawn / sum(end - begin for begin, end in within):.1f} pages a second")
        elif kind != "quiet":
            reads = [one * 1e3 for one in waited[kind]]
            middle, high = statistics.median(reads), percentile(reads, 0.99)
            print(f"{'':<20} {len(reads)} reads: p50 {middle:.1f} ms, p99 {high:.1f} ms")


def main() -> int:
    parser = argparse.ArgumentParser(description="What who looks at a daemon does to its commits.")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each turn")
    parser.add_argument("--port", type=int, default=18_089, help="the first of two")
    parser.add_argument("--beside", action="store_true", help="callers take the daemon's processor as well")
    parser.add_argument("--daemon", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.daemon:
        return run_daemon(given.daemon, given.port)
    with tempfile.TemporaryDirectory(prefix="botd-bench-") as name:
        folder = Path(name)
        started = start(folder, given.port)
        if not given.beside:
            leave_one()
        try:
            spans, waited = asyncio.run(take_turns(given.port, given.rounds, given.seconds))
        finally:
            for one in started.values():
                one.send_signal(signal.SIGTERM)
            for one in started.values():
                one.wait(90)
        commits = json.loads((folder / "commits.json").read_text())
    report(spans, commits, waited)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
