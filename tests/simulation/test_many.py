"""A long run that is interrupted tells what it has seen."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import pytest

from botd.cli.sim import INTERRUPTED, sim
from botd.simulation import swarm
from botd.simulation.swarm import SeedRun, run_seed


@pytest.mark.parametrize("seen", [0, 2])
def test_interrupted_run_tells_of_the_seeds_before(
    seen: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(seeds: Sequence[int], *, hours: float, jobs: int) -> Generator[SeedRun, None, None]:
        for seed in seeds[:seen]:
            yield run_seed(seed, hours=hours)
        raise KeyboardInterrupt

    monkeypatch.setattr(swarm, "run_seeds", interrupted)
    assert sim(seeds=50, first=7, hours=0.02, jobs=2) == INTERRUPTED
    told = capsys.readouterr().out
    assert told.startswith("2 seeds from 7 in " if seen else "")
    assert ("faults: " in told) is bool(seen)
