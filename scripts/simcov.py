"""Run simulated seeds under branch coverage and say what they leave out of the core and the gateway.

Exit 1 where a seed fails, or where one of the areas that simulation has to cover is below its share.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import coverage

BOTD: Final = Path(__file__).resolve().parent.parent / "botd"
REQUIRED: Final = 95.0  # percent of an area's lines and branches together
AREAS: Final[Mapping[str, Sequence[str]]] = {
    "orders": (
        *("core/orders.py", "core/changes.py", "core/answers.py", "core/excess.py", "core/external.py"),
    ),
    "risk": ("core/risk.py", "core/caps.py", "core/halts.py", "core/restraint.py", "core/sizing.py"),
    "portfolio": ("core/portfolio.py",),  # core/performance.py is the backtest's report, no part of a daemon
    "reconcile": ("core/reconcile.py", "runtime/reconcile.py"),
    "gateway": (
        *("runtime/gateway.py", "runtime/courier.py", "runtime/tracking.py", "runtime/watch.py"),
        "runtime/link.py",
    ),
}
LONG_ONE_IN: Final = 8  # seeds; they live so long that the books forget what is an hour old
LONG_H: Final = 1.2
TOLD_ONLY: Final = frozenset({"gateway"})  # has no share to reach


def main() -> int:
    """Measure, print a line per module and area, and return the exit code."""
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("--seeds", type=int, default=100)
    told.add_argument("--first", type=int, default=0)
    told.add_argument("--hours", type=float, default=0.5, help="of chaos in each seed")
    told.add_argument("--jobs", type=int, default=2)
    asked = told.parse_args()
    shares = [range(asked.first + job, asked.first + asked.seeds, asked.jobs) for job in range(asked.jobs)]
    with tempfile.TemporaryDirectory(prefix="botd-simcov-") as folder:
        one = partial(measure, hours=asked.hours, folder=folder)
        # a process of its own for each share: what was imported before a measurement begins is not in it
        with multiprocessing.get_context("spawn").Pool(asked.jobs) as pool:
            failed = [line for lines in pool.imap(one, shares) for line in lines]
        figures = combined(Path(folder))
    short = tell(figures)
    for line in failed:
        print(f"simcov: {line}")
    return 1 if short or failed else 0


def measure(seeds: Sequence[int], *, hours: float, folder: str) -> list[str]:
    """Run seeds under coverage, leave the data in the folder, and return what failed, a line each."""
    meter = coverage.Coverage(
        branch=True,
        concurrency=["greenlet"],  # the simulated processes' stacks
        include=[str(BOTD / module) for modules in AREAS.values() for module in modules],
        data_file=f"{folder}/.coverage.{seeds[0] if seeds else 'none'}",
        config_file=False,
    )
    meter.start()
    from botd.simulation.swarm import run_seed

    failed = []
    for seed in seeds:
        lives_h = hours if seed % LONG_ONE_IN else max(hours, LONG_H)
        run = run_seed(seed, hours=lives_h)
        if run.check is not None:
            failed.append(f"botd sim --seed {seed} --hours {lives_h}: {run.check}: {run.detail}")
    meter.stop()
    meter.save()
    return failed


def combined(folder: Path) -> Mapping[str, Any]:
    """Return coverage's own report over all data of a folder, by module."""
    meter = coverage.Coverage(data_file=str(folder / ".coverage"), config_file=False)
    meter.combine([str(folder)])
    meter.exclude("if TYPE_CHECKING:")
    meter.exclude("raise InvariantBroken")  # a run that comes there has failed
    report = folder / "report.json"
    meter.json_report(outfile=str(report))
    files = json.loads(report.read_text())["files"]
    return {Path(name).resolve().relative_to(BOTD).as_posix(): one for name, one in files.items()}


def tell(figures: Mapping[str, Any]) -> bool:
    """Print each module with what is missing, then its area; say whether an area is below its share."""
    short = False
    for area, modules in AREAS.items():
        for module in modules:
            one = figures[module]
            print(f"  {module:22} {percent([one['summary']]):6.1f} %  {missing(one)}".rstrip())
        reached = percent([figures[module]["summary"] for module in modules])
        below = area not in TOLD_ONLY and reached < REQUIRED
        short |= below
        print(f"{area:24} {reached:6.1f} %{f'  below {REQUIRED:.0f} %' if below else ''}")
    return short


def percent(summaries: Sequence[Mapping[str, int]]) -> float:
    """Return the share of lines and branches that ran, of some modules together."""
    hit = sum(one["covered_lines"] + one["covered_branches"] for one in summaries)
    of = sum(one["num_statements"] + one["num_branches"] for one in summaries)
    return 100.0 * hit / of if of else 100.0


def missing(one: Mapping[str, Any]) -> str:
    """Return the lines that never ran, and the branches that were never taken from lines that did."""
    lines: list[int] = one["missing_lines"]
    gone = set(lines)
    branches = [
        f"{begin}->{end if end > 0 else 'exit'}"
        for begin, end in one["missing_branches"]
        if begin not in gone and end not in gone
    ]
    return ", ".join([*spans(lines), *branches])


def spans(lines: Sequence[int]) -> list[str]:
    """Return numbers as text, those that follow each other as one."""
    found: list[list[int]] = []
    for line in lines:
        if found and found[-1][1] == line - 1:
            found[-1][1] = line
        else:
            found.append([line, line])
    return [str(begin) if begin == end else f"{begin}-{end}" for begin, end in found]


if __name__ == "__main__":
    sys.exit(main())
