"""The simulated loop: steps a second of daemon-like work, in a process and outside, and what dying costs.

    taskset -c 1 python bench/simulation.py [hours]

The work is a feed of one row a second through a queue and pollers with timeouts; times are processor time,
the least of several repeats. A process dies 500 times in the middle of a call, then 500 times between steps.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import timeit
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from botd.failpoints import Point, failpoint
from botd.simulation.host import Death, Host, Process
from botd.simulation.loop import VirtualLoop

HOURS = 2.0
REPEATS = 5
DEATHS = 500


async def work(hours: float) -> None:
    """Do what a daemon's tasks do, without the bot."""
    queue: asyncio.Queue[int] = asyncio.Queue(64)

    async def feed() -> None:
        number = 0
        while True:
            await asyncio.sleep(1)
            await queue.put(number)
            number += 1

    async def judge() -> None:
        while True:
            await queue.get()

    async def poll(every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            async with asyncio.timeout(3):
                await asyncio.sleep(0.03)

    tasks = [asyncio.create_task(one) for one in (feed(), judge(), poll(5), poll(10), poll(60))]
    await asyncio.sleep(hours * 3600)
    for task in tasks:
        task.cancel()


async def outside(loop: VirtualLoop, hours: float) -> None:
    """Work in no process."""
    await work(hours)


async def inside(loop: VirtualLoop, hours: float) -> None:
    """Work in a process of a host."""
    await Host(loop, "bot").boot(lambda process: work(hours)).ended


async def die(loop: VirtualLoop, death: Death) -> None:
    """Start a process again and again that dies soon."""

    async def program(process: Process) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(asyncio.sleep(1))
            await asyncio.sleep(0.5)
            failpoint(Point.TX_MID)

    host = Host(loop, "bot")
    for _ in range(DEATHS):
        await host.boot(program, death=death).ended


def least(run: Callable[[VirtualLoop], Coroutine[Any, Any, None]]) -> tuple[float, int]:
    """Return the least processor time of several runs, loop and disposal included, and their steps."""
    times, steps = [], 0
    for _ in range(REPEATS):
        began = time.process_time()
        loop = VirtualLoop(7)
        loop.run_until_complete(run(loop))
        loop.close()
        times.append(time.process_time() - began)
        steps = loop.steps
    return min(times), steps


def show(name: str, **fields: object) -> None:
    """Print one figure for bench/run.py."""
    print(json.dumps({"bench": name, **fields}))


def main() -> None:
    """Print a line for each figure."""
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else HOURS
    for name, run in (("outside of a process", outside), ("in a process", inside)):
        cpu_s, steps = least(partial(run, hours=hours))
        show(f"simulated steps {name}", n=steps, cpu_s=cpu_s, per_s=steps / cpu_s)
        show(f"simulated time {name}", value=hours / cpu_s, unit="hours/CPU s")
    for name, death in (("in the middle of a call", Death(nth=1)), ("between two steps", Death(step=13))):
        cpu_s, _ = least(partial(die, death=death))
        show(f"deaths {name}", n=DEATHS, cpu_s=cpu_s, per_s=DEATHS / cpu_s)
    cost_s = min(timeit.repeat(lambda: failpoint(Point.TX_MID), number=100_000, repeat=REPEATS)) / 100_000
    show("failpoint, not armed", value=cost_s * 1e9, unit="ns")


if __name__ == "__main__":
    main()
