"""Seeds of the simulated daemon: the known ones first, then a hundred that no commit before has run.

Twelve minutes of chaos each, since most of what goes wrong is local in time; `make sim` runs whole hours.
"""

from __future__ import annotations

import pytest

from botd.simulation.swarm import SeedRun, Total, run_seed, run_seeds
from tests.simulation.fresh import FRESH, first_seed, known_seeds

HOURS = 0.2
GROUP = 5


def complain(run: SeedRun, hours: float) -> str:
    return f"{run.check}: {run.detail}\n    botd sim --seed {run.seed} --hours {hours} --trace"


@pytest.mark.parametrize(("seed", "hours"), known_seeds())
def test_seed_that_once_failed_holds(seed: int, hours: float) -> None:
    run = run_seed(seed, hours=hours)
    assert run.check is None, complain(run, hours)


@pytest.mark.parametrize("group", range(FRESH // GROUP))
def test_fresh_seeds_hold(group: int) -> None:
    first = first_seed() + group * GROUP
    for seed in range(first, first + GROUP):
        run = run_seed(seed, hours=HOURS)
        assert run.check is None, complain(run, HOURS)


def test_seeds_in_processes_come_in_order_and_go_as_alone() -> None:
    alone, shared = (list(run_seeds(range(3), hours=0.05, jobs=jobs)) for jobs in (1, 2))
    assert [run.seed for run in shared] == [0, 1, 2]
    assert [run.digest for run in shared] == [run.digest for run in alone]
    total = Total()
    for run in shared:
        total.add(run)
    assert (total.seeds, total.starts) == (3, sum(run.starts for run in alone))
