"""Many seeds, one after the other or in several processes, and a failing one taken apart."""

from __future__ import annotations

import logging
import multiprocessing
import os
import resource
import signal
import tempfile
from collections import Counter
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from botd.errors import InvariantBroken
from botd.runtime.supervisor import describe
from botd.simulation.chance import Chance, Fired, Site
from botd.simulation.checks import CheckFailed
from botd.simulation.coverage import all_points, holes, legal_moves, pairs_of, watching_orders
from botd.simulation.incidents import SITES
from botd.simulation.loop import VirtualLoop, run_virtual
from botd.simulation.mutants import Mutant, applied
from botd.simulation.remote import REMOTE_SITES, RemoteWorld
from botd.simulation.shrink import RUNS_MAX, Shrunk, Trial, shrink
from botd.simulation.tally import Tally
from botd.simulation.world import QUIET_S, SETTLE_S, World

PAPER_ONE_IN: Final = 4  # whose decisions have to equal those of a run without a crash

_MEMORY: Final = Path("/dev/shm")  # a folder without a disk behind it: what is synced there costs nothing
_STEPS_PER_HOUR: Final = 2_000_000  # a run that takes so many spins
_FILES: Final = 16_384  # dead processes keep theirs open until their run has ended
_SEEDS_AT_ONCE: Final = 4  # handed to a process
_TURNS_MAX: Final = 25  # of a process: what the allocator keeps between seeds adds up


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedRun:
    """How one seed went."""

    seed: int
    check: str | None  # that failed, None where all held
    detail: str
    digest: str  # of everything that ran, empty where a check failed
    simulated_s: float
    fired: tuple[Fired, ...]
    starts: int
    crashes: int
    orders: int
    died_at: Mapping[str, int]  # how often at which failpoint
    moves: Mapping[str, int]  # how often an order went from one status to another
    compared: int  # decisions found equal to those of a run without a crash
    history: tuple[str, ...]


@dataclass(slots=True)
class Total:
    """What many seeds came to."""

    seeds: int = 0
    simulated_s: float = 0.0
    faults: int = 0
    starts: int = 0
    crashes: int = 0
    orders: int = 0
    compared: int = 0
    sites: Counter[str] = field(default_factory=Counter)
    died_at: Counter[str] = field(default_factory=Counter)
    moves: Counter[str] = field(default_factory=Counter)
    pairs: set[str] = field(default_factory=set)  # a fault and a point died at, in one seed

    def add(self, run: SeedRun) -> None:
        self.seeds += 1
        self.simulated_s += run.simulated_s
        self.faults += len(run.fired)
        self.starts += run.starts
        self.crashes += run.crashes
        self.orders += run.orders
        self.compared += run.compared > 0
        self.sites.update(fault.site for fault in run.fired)
        self.died_at.update(run.died_at)
        self.moves.update(run.moves)
        self.pairs.update(pairs_of({fault.site for fault in run.fired}, run.died_at))

    def coverage(self) -> list[str]:
        """Return what was seen and what was not, a line each."""
        sites = sorted({site.name for site in (*SITES, *REMOTE_SITES)})
        pairs = len(sites) * len(all_points())
        return [
            f"faults: {count(self.sites)}",
            f"died at: {count(self.died_at)}",
            f"orders went: {count(self.moves)}",
            holes(sites, self.sites, "faults"),
            holes(all_points(), self.died_at, "points"),
            holes(legal_moves(), self.moves, "moves of an order"),
            f"faults with points in one seed: {len(self.pairs)} of {pairs}",
        ]


def run_seed(seed: int, *, hours: float = 1.0, only: Collection[Fired] | None = None) -> SeedRun:
    """Run one simulated time of chaos and judge it. With `only`, no other faults may happen than these."""
    _allow_files()
    kind, sites = world_of(seed)
    chance, tally, worlds = Chance(seed, sites, only=only), Tally(), list[World]()
    moves: Counter[str] = Counter()
    chaos_s = hours * 3600.0
    check: str | None = None
    detail = digest = ""

    async def live(loop: VirtualLoop, folder: Path) -> None:
        world = kind(loop, chance, folder, chaos_s=chaos_s, tally=tally)
        worlds.append(world)
        await world.run()

    place = tempfile.TemporaryDirectory(prefix="botd-sim-", dir=place_without_disk())
    with place as folder, quiet(), watching_orders(moves):
        try:
            steps_max = round((hours + 1.0) * _STEPS_PER_HOUR)
            main = partial(live, folder=Path(folder))
            digest = run_virtual(main, seed=seed, steps_max=steps_max).digest
        except CheckFailed as error:
            check, detail = error.check, error.detail
        except InvariantBroken as error:  # the loop's own: a deadlock, a spinning task, an unhandled failure
            check, detail = f"loop.{type(error).__name__}", describe(error)
        finally:
            for world in worlds:
                world.close()
    return SeedRun(
        seed=seed,
        check=check,
        detail=detail,
        digest=digest,
        simulated_s=chaos_s + SETTLE_S + QUIET_S,
        fired=tuple(chance.fired),
        starts=tally.starts,
        crashes=tally.crashes,
        orders=tally.orders,
        died_at=dict(tally.died_at),
        moves=dict(moves),
        compared=tally.decisions_compared,
        history=tuple(tally.history),
    )


def world_of(seed: int) -> tuple[type[World], tuple[Site, ...]]:
    """Return where a seed is lived, and what can go wrong there: one in four trades on paper."""
    return (RemoteWorld, REMOTE_SITES) if seed % PAPER_ONE_IN else (World, SITES)


def run_seeds(seeds: Sequence[int], *, hours: float = 1.0, jobs: int = 1) -> Generator[SeedRun, None, None]:
    """Run seeds in `jobs` processes; yield how they went, in their order, without their histories."""
    one = partial(_run_without_history, hours=hours)
    if jobs <= 1:
        yield from map(one, seeds)
        return
    deaf = (signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked, which ends these
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, signal.signal, deaf, maxtasksperchild=_TURNS_MAX) as pool:
        yield from pool.imap(one, seeds, chunksize=_SEEDS_AT_ONCE)


def first_seed_that_fails(mutant: Mutant, seeds: Sequence[int], *, hours: float = 1.0) -> SeedRun | None:
    """Return the first run that misses a safeguard, None where all of them pass without it."""
    with applied(mutant):
        for seed in seeds:
            run = run_seed(seed, hours=hours)
            if run.check is not None:
                return run
    return None


def shrink_seed(seed: int, *, hours: float = 1.0, runs_max: int = RUNS_MAX) -> Shrunk:
    """Find the few faults that a failing seed fails the same check with."""

    def attempt(only: Collection[Fired] | None) -> Trial:
        run = run_seed(seed, hours=hours, only=only)
        return Trial(run.check, run.fired)

    return shrink(attempt, runs_max=runs_max)


def count(things: Mapping[str, int]) -> str:
    """Say how many there are of each, in one line."""
    return ", ".join(f"{name} {number}" for name, number in sorted(things.items())) or "none"


def _run_without_history(seed: int, *, hours: float) -> SeedRun:
    return replace(run_seed(seed, hours=hours), history=())


def _allow_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def place_without_disk() -> Path | None:
    """Return where files cost no waiting, None for where temporary files go anyway."""
    return _MEMORY if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) else None


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what dying daemons log off the screen: the history has what matters."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
