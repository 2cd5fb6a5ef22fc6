"""`botd sim`: the whole daemon in simulated days of crashes and faults, as its developers judge it."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from botd.cli.output import write

if TYPE_CHECKING:
    from botd.simulation.shrink import Shrunk  # allow: only for the checker; loaded where it is needed
    from botd.simulation.swarm import SeedRun  # allow: only for the checker; loaded where it is needed

SeedOption = Annotated[int | None, typer.Option("--seed", help="One seed alone.", min=0)]
SeedsOption = Annotated[int, typer.Option("--seeds", help="How many seeds.", min=1)]
FirstOption = Annotated[int, typer.Option("--first", help="The first of them.", min=0)]
JobsOption = Annotated[int, typer.Option("--jobs", help="Processes.", min=1)]
HoursOption = Annotated[float, typer.Option("--hours", help="Simulated hours of chaos for each.", min=0.01)]
TraceOption = Annotated[bool, typer.Option("--trace", help="With --seed: tell what happened.")]
ShrinkOption = Annotated[bool, typer.Option("--shrink", help="With --seed: find the few faults it takes.")]
MutantsOption = Annotated[
    bool, typer.Option("--mutants", help="Take safeguards out one by one; each has to be missed.")
]
DaysOption = Annotated[int, typer.Option("--days", help="Trade so many days without a fault.", min=0)]
ObjectsOption = Annotated[
    bool, typer.Option("--objects", help="With --days: count objects too, three times as slow.")
]

FAILED = 1
INTERRUPTED = 130
_PROGRESS_EVERY = 250


def sim(
    seed: SeedOption = None,
    seeds: SeedsOption = 100,
    first: FirstOption = 0,
    jobs: JobsOption = 1,
    hours: HoursOption = 1.0,
    trace: TraceOption = False,
    shrink: ShrinkOption = False,
    mutants: MutantsOption = False,
    days: DaysOption = 0,
    objects: ObjectsOption = False,
) -> int:
    """Run seeds of the simulation; exit 1 where a check failed, with what repeats it."""
    from botd.errors import InputInvalid

    if days:
        return _steady(1 if seed is None else seed, days, counting=objects)
    if seed is not None:
        return _one(seed, hours=hours, trace=trace, shrinking=shrink)
    if trace or shrink:
        raise InputInvalid("--trace and --shrink go with one seed; name it with --seed")
    if mutants:
        return _mutants(range(first, first + seeds), hours=hours)
    return _many(range(first, first + seeds), jobs=jobs, hours=hours)


def _one(seed: int, *, hours: float, trace: bool, shrinking: bool) -> int:
    from botd.simulation.swarm import Total, count, run_seed, shrink_seed

    run = run_seed(seed, hours=hours)
    if trace:
        write("".join(f"{line}\n" for line in run.history))
    total = Total()
    total.add(run)
    write(f"faults: {count(total.sites)}\n")
    write(
        f"{run.starts} starts, {run.crashes} crashes, {run.orders} orders, "
        f"{run.compared} decisions compared with a run without a crash\n"
    )
    if run.check is None:
        write(f"seed {seed}: all checks hold, digest {run.digest}\n")
        return 0
    _tell_failure(run, hours)
    if shrinking:
        _tell_shrunk(shrink_seed(seed, hours=hours))
    return FAILED


def _many(seeds: range, *, jobs: int, hours: float) -> int:
    from botd.runtime.clock import WallClock
    from botd.simulation.swarm import Total, run_seeds

    clock, total, failed = WallClock(), Total(), 0
    began_s = clock.monotonic()
    runs = run_seeds(seeds, hours=hours, jobs=jobs)
    with suppress(KeyboardInterrupt), closing(runs):  # Ctrl-C: what has been seen is told all the same
        for run in runs:
            total.add(run)
            if run.check is not None:
                failed += 1
                _tell_failure(run, hours)
            if total.seeds % _PROGRESS_EVERY == 0:
                write(f"{total.seeds} seeds, {failed} failed\n")
    if not total.seeds:
        return INTERRUPTED
    took_s = clock.monotonic() - began_s
    write(
        f"{total.seeds} seeds from {seeds.start} in {took_s:.1f} s: {total.seeds / took_s:.2f} seeds/s, "
        f"{total.simulated_s / 3600:.1f} simulated hours, {total.faults} faults, {total.starts} starts, "
        f"{total.crashes} crashes ({total.crashes / total.seeds:.1f} a seed), {total.orders} orders, "
        f"{total.compared} seeds compared with a run without a crash, {failed} violations\n"
    )
    write("".join(f"{line}\n" for line in total.coverage()))
    return FAILED if failed else 0 if total.seeds == len(seeds) else INTERRUPTED


def _mutants(seeds: range, *, hours: float) -> int:
    from botd.simulation.mutants import MUTANTS
    from botd.simulation.swarm import first_seed_that_fails

    survived = 0
    for mutant in MUTANTS:
        run = first_seed_that_fails(mutant, seeds, hours=hours)
        survived += run is None
        outcome = f"seed {run.seed}: {run.check}" if run else f"SURVIVES {len(seeds)} seeds"
        write(f"{mutant.name}: {outcome} ({mutant.without})\n")
    write(f"{len(MUTANTS) - survived} of {len(MUTANTS)} caught\n")
    return FAILED if survived else 0


def _steady(seed: int, days: int, *, counting: bool) -> int:
    from botd.errors import InputInvalid
    from botd.simulation.checks import CheckFailed
    from botd.simulation.steady import DAYS_MIN, findings, growth, run_steady

    if days < DAYS_MIN:
        raise InputInvalid(f"--days needs at least {DAYS_MIN}: the first is left out of what is judged")
    try:
        samples = run_steady(seed, days, counting=counting, on_day=lambda sample: write(f"{sample}\n"))
    except CheckFailed as error:
        write(f"seed {seed}: {error}\n")
        return FAILED
    write("".join(f"{name}: {mib:+.2f} MiB a day\n" for name, mib in growth(samples).items()))
    found = findings(samples)
    write("".join(f"seed {seed}: {line}\n" for line in found))
    return FAILED if found else 0


def _tell_failure(run: SeedRun, hours: float) -> None:
    write(f"seed {run.seed}: {run.check}: {run.detail}\n")
    write(f"    botd sim --seed {run.seed} --hours {hours:g} --trace\n")


def _tell_shrunk(shrunk: Shrunk) -> None:
    write(f"{shrunk.check} takes these {len(shrunk.faults)} faults ({shrunk.runs} runs):\n")
    write("".join(f"    {fault.site} #{fault.n}\n" for fault in shrunk.faults))
    if not shrunk.complete:
        write("    and perhaps fewer: all the runs that were granted are spent\n")
