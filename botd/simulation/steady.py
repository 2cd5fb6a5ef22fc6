"""Days in which nothing goes wrong: what the daemon holds on to must not grow with them."""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from botd.simulation.chance import Chance
from botd.simulation.exchange.archive import Archive
from botd.simulation.loop import VirtualLoop, run_virtual
from botd.simulation.remote import RemoteWorld
from botd.simulation.swarm import place_without_disk, quiet, world_of
from botd.simulation.tally import Tally
from botd.simulation.world import World

DAY_S: Final = 86_400.0
GROWTH_MAX_MIB: Final = 1.0  # a day
DAYS_MIN: Final = 4  # the first is left out, and what grows has to grow over two halves of the rest

_PARTS: Final = 24  # of a day: after each, what is over for two of them is put away
_HISTORY_KEPT: Final = 1_000  # lines that the daemon has said
_STEPS_PER_DAY: Final = 20_000_000
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the process holds at one moment."""

    day: int
    rss_mib: float  # of the process, with what malloc keeps for later
    live_mib: float | None  # of Python's and numpy's objects, None where nobody counts them
    tasks: int
    files: int
    orders: int

    def __str__(self) -> str:
        objects = "" if self.live_mib is None else f", {self.live_mib:.2f} MiB of objects"
        held = f"{self.rss_mib:.1f} MiB resident{objects}, {self.tasks} tasks, {self.files} files"
        return f"day {self.day}: {held}, {self.orders} orders"


def run_steady(
    seed: int, days: int, *, counting: bool = False, on_day: Callable[[Sample], None]
) -> list[Sample]:
    """Trade for some days without a fault; return a sample of each. Raises CheckFailed.

    With `counting`, tracemalloc counts the objects: three times as slow, and its own books are resident too.
    """
    kind, sites = world_of(seed)
    chance, samples = Chance(seed, sites, only=()), list[Sample]()

    def keep(sample: Sample) -> None:
        samples.append(sample)
        on_day(sample)

    async def live(loop: VirtualLoop, folder: Path) -> None:
        tally = Tally(history=deque(maxlen=_HISTORY_KEPT))
        world = kind(loop, chance, folder, chaos_s=days * DAY_S, tally=tally)
        try:
            async with asyncio.TaskGroup() as group:
                sampling = _sample(loop, world, Archive(folder / "archive"), days, keep)
                group.create_task(sampling, name="sampler")
                group.create_task(world.run(), name="world")
        except ExceptionGroup as failed:  # the one that ended the other
            raise failed.exceptions[0] from None
        finally:
            world.close()

    place = tempfile.TemporaryDirectory(prefix="botd-sim-", dir=place_without_disk())
    with place as folder, quiet(), _counting() if counting else nullcontext():
        run_virtual(partial(live, folder=Path(folder)), seed=seed, steps_max=days * _STEPS_PER_DAY)
    return samples


async def _sample(
    loop: VirtualLoop, world: World, archive: Archive, days: int, keep: Callable[[Sample], None]
) -> None:
    """Take a sample at the end of each day. What the harness itself remembers is kept in a file meanwhile."""
    exchange = world.exchange if isinstance(world, RemoteWorld) else None
    for part in range(1, days * _PARTS + 1):
        await asyncio.sleep(part * DAY_S / _PARTS - 1.0 - loop.now_s)
        if exchange is not None:
            exchange.put_away(archive, exchange.matching.now_us() - round(2e6 * DAY_S / _PARTS))
        if part % _PARTS == 0:
            keep(_look(part // _PARTS, len(loop.tasks_of()), world.count_orders()))
    if exchange is not None:
        exchange.take_back(archive)


def _look(day: int, tasks: int, orders: int) -> Sample:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Sample(
        day=day,
        rss_mib=pages * os.sysconf("SC_PAGE_SIZE") / _MIB,
        live_mib=tracemalloc.get_traced_memory()[0] / _MIB if tracemalloc.is_tracing() else None,
        tasks=tasks,
        files=sum(1 for _ in Path("/proc/self/fd").iterdir()),
        orders=orders,
    )


@contextmanager
def _counting() -> Iterator[None]:
    """Have every object counted."""
    was_tracing = tracemalloc.is_tracing()
    tracemalloc.start()
    try:
        yield
    finally:
        if not was_tracing:
            tracemalloc.stop()


def slope(points: Sequence[tuple[int, float]]) -> float:
    """Return by how much something grows a day, by least squares."""
    mean_day = sum(day for day, _ in points) / len(points)
    mean = sum(value for _, value in points) / len(points)
    spread = sum((day - mean_day) ** 2 for day, _ in points)
    return sum((day - mean_day) * (value - mean) for day, value in points) / spread


def growth(samples: Sequence[Sample]) -> dict[str, float]:
    """Return by how many MiB a day each kind of memory grows, over the days after the first."""
    later = samples[1:]
    grows = {"resident memory": slope([(one.day, one.rss_mib) for one in later])}
    live = [(one.day, one.live_mib) for one in later if one.live_mib is not None]
    if live:
        grows["memory of objects"] = slope(live)
    return grows


def findings(samples: Sequence[Sample]) -> list[str]:
    """Return what grows with the days that must not, a line each."""
    found = [
        f"{name} grows by {mib:.2f} MiB a day, {GROWTH_MAX_MIB:g} is too much"
        for name, mib in growth(samples).items()
        if mib >= GROWTH_MAX_MIB
    ]
    later = samples[1:]
    half = len(later) // 2
    for name, counts in (
        ("tasks", [one.tasks for one in later]),
        ("open files", [one.files for one in later]),
    ):
        most, least = max(counts[:half]), min(counts[half:])
        if least > most:
            found.append(f"{name} grow: at most {most} in the first days, at least {least} in the last")
    return found
