"""Random programs over what asyncio offers: a module for tests, a script for other processes."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from botd.simulation.loop import Outcome, VirtualLoop, run_virtual

Program = Callable[[VirtualLoop], Coroutine[Any, Any, list[object]]]


class Broken(Exception):
    """What a program's task may end with."""


class Scene:
    """What the tasks of one program share, and what they saw."""

    def __init__(self, loop: VirtualLoop, rng: random.Random) -> None:
        self.seen: list[object] = []
        self._loop = loop
        self._queue: asyncio.Queue[int] = asyncio.Queue(rng.randrange(1, 4))
        self._lock = asyncio.Lock()
        self._event = asyncio.Event()
        self._slots = asyncio.Semaphore(2)

    async def leaf(self, name: str, rng: random.Random) -> None:
        """Do a few things, one after the other."""
        for i in range(rng.randrange(1, 4)):
            what = rng.randrange(9)
            self.seen.append((name, i, what, self._loop.now_s))
            await self._do(what, name, rng)

    async def _do(self, what: int, name: str, rng: random.Random) -> None:
        if what == 0:
            await asyncio.sleep(rng.choice((0, 0.001, 0.1, 0.25)))
        elif what == 1:
            await self._queue.put(what)
        elif what == 2:
            async with asyncio.timeout(rng.choice((0.05, 0.1))):
                self.seen.append(await self._queue.get())
        elif what == 3:
            async with self._lock:
                await asyncio.sleep(0.1)
        elif what == 4:
            self._event.set()
        elif what == 5:
            async with asyncio.timeout(0.1):  # wait_for loses cancellations before Python 3.12
                await self._event.wait()
        elif what == 6:
            async with self._slots:
                self.seen.append(await asyncio.to_thread(len, name))
        elif what == 7:
            raise Broken(name)
        else:
            await asyncio.sleep(0)

    async def branch(self, name: str, depth: int, rng: random.Random) -> None:
        """Run leaves and further branches in a group, for a while."""
        children = [random.Random(rng.random()) for _ in range(rng.randrange(2, 5))]
        try:
            async with asyncio.timeout(0.4), asyncio.TaskGroup() as group:
                for i, child in enumerate(children):
                    title = f"{name}.{i}"
                    deeper = depth > 0 and child.random() < 0.5
                    group.create_task(
                        self.branch(title, depth - 1, child) if deeper else self.leaf(title, child)
                    )
        except* (Broken, TimeoutError) as failed:
            self.seen.append([str(error) for error in failed.exceptions])
        except* asyncio.CancelledError:
            self.seen.append(f"{name} cancelled")


def make_program(shape: int) -> Program:
    """Return a program whose shape is drawn from a number; the run's seed decides nothing about it."""

    async def program(loop: VirtualLoop) -> list[object]:
        rng = random.Random(shape)
        scene = Scene(loop, rng)
        branches = [scene.branch(f"b{i}", 2, random.Random(rng.random())) for i in range(3)]
        tasks = [asyncio.create_task(branch) for branch in branches]
        done, late = await asyncio.wait(tasks, timeout=2.0)
        scene.seen.append([task.get_name() for task in done])
        for task in late:
            task.cancel()
        return [*scene.seen, *await asyncio.gather(*late, return_exceptions=True)]

    return program


def run_program(shape: int, seed: int) -> Outcome[list[object]]:
    """Run a program once."""
    return run_virtual(make_program(shape), seed=seed)


if __name__ == "__main__":
    for number in map(int, sys.argv[1:]):
        outcome = run_program(number, seed=number)
        print(number, outcome.digest, outcome.steps, hash("a word"), *map(repr, outcome.result))
