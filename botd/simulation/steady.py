"""Days in which nothing goes wrong: what the daemon holds on to must not grow with them."""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from botd.simulation.chance import Chance
from botd.simulation.loop import VirtualLoop, run_virtual
from botd.simulation.swarm import quiet, world_of
from botd.simulation.tally import Tally

DAY_S: Final = 86_400.0
_STEPS_PER_DAY: Final = 20_000_000
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process holds at one moment."""

    day: int
    rss_mib: float
    tasks: int
    files: int
    orders: int

    def __str__(self) -> str:
        held = f"{self.rss_mib:.1f} MiB, {self.tasks} tasks, {self.files} files"
        return f"day {self.day}: {held}, {self.orders} orders"


def run_steady(seed: int, days: int, *, on_day: Callable[[Sample], None]) -> list[Sample]:
    """Trade for some days without a fault; return a sample of each."""
    kind, sites = world_of(seed)
    chance, samples = Chance(seed, sites, only=()), list[Sample]()

    async def live(loop: VirtualLoop, folder: Path) -> None:
        world = kind(loop, chance, folder, chaos_s=days * DAY_S, tally=Tally())

        async def look() -> None:
            for day in range(1, days + 1):
                await asyncio.sleep(day * DAY_S - 1.0 - loop.now_s)
                sample = _sample(day, loop, world.count_orders())
                samples.append(sample)
                on_day(sample)

        looking = asyncio.create_task(look(), name="sampler")
        try:
            await world.run()
            await looking
        finally:
            world.close()

    with tempfile.TemporaryDirectory(prefix="botd-sim-") as folder, quiet():
        run_virtual(partial(live, folder=Path(folder)), seed=seed, steps_max=days * _STEPS_PER_DAY)
    return samples


def _sample(day: int, loop: VirtualLoop, orders: int) -> Sample:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    rss_mib = pages * os.sysconf("SC_PAGE_SIZE") / _MIB
    files = sum(1 for _ in Path("/proc/self/fd").iterdir())
    return Sample(day, rss_mib, len(loop.tasks_of()), files, orders)


def slope(samples: list[Sample]) -> float:
    """Return by how many MiB a day the memory grows, by least squares over the days after the first."""
    later = samples[1:]
    mean_day = sum(one.day for one in later) / len(later)
    mean_mib = sum(one.rss_mib for one in later) / len(later)
    spread = sum((one.day - mean_day) ** 2 for one in later)
    return sum((one.day - mean_day) * (one.rss_mib - mean_mib) for one in later) / spread
