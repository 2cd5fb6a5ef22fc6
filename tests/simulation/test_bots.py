"""The bots that seeds draw: all of them can be read, and between them they meet every kind of limit."""

from __future__ import annotations

from botd.machine import read_plan
from botd.simulation.bots import EDITIONS, draw_files


def test_bots_of_many_seeds_are_read_in_every_edition() -> None:
    for seed in range(40):
        for edition in range(EDITIONS):
            files = draw_files(seed, edition=edition)
            plan = read_plan(files)
            assert len(plan.strategies) == sum(name.startswith("strategies/") for name in files)


def test_editions_of_a_bot_differ_in_numbers_alone() -> None:
    for seed in range(40):
        first, second = draw_files(seed), draw_files(seed, edition=1)
        assert list(first) == list(second)
        for name in ("config.yaml", "configs/risk.yaml", "configs/execution.yaml"):
            assert first[name] == second[name]


def test_bot_that_is_compared_with_a_run_without_a_crash_keeps_its_positions_and_its_head() -> None:
    """A cap halts, and nobody resumes such a bot."""
    policies = {
        line
        for seed in range(100)
        for text in draw_files(seed, policy="keep").values()
        for line in text.splitlines()
        if line.startswith(("on_stop:", "strategy: runaway"))
    }
    assert policies == {"on_stop: keep"}
    assert any("strategies/runaway_0.yaml" in draw_files(seed) for seed in range(100))
