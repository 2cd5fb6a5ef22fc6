"""Safeguards that are taken out are missed: a few of them here, all of them by `botd sim --mutants`."""

from __future__ import annotations

import pytest

from botd.simulation.mutants import MUTANTS, Mutant, applied
from botd.simulation.swarm import first_seed_that_fails, run_seed

# Those that show within seconds.
QUICK = (
    *("external_ignored", "fees_forgotten", "late_entries", "exits_may_add", "fills_twice"),
    *("answers_not_met_again", "ids_begin_anew", "venue_forgets", "doubt_forgotten"),
)
SEEDS = range(8)
HOURS = 0.5


@pytest.mark.parametrize("mutant", [one for one in MUTANTS if one.name in QUICK], ids=lambda one: one.name)
def test_missing_safeguard_is_noticed(mutant: Mutant) -> None:
    run = first_seed_that_fails(mutant, SEEDS, hours=HOURS)
    assert run is not None, f"{len(SEEDS)} seeds pass with a bot that {mutant.without}"


def test_there_are_twenty_safeguards_and_more() -> None:
    assert len({one.name for one in MUTANTS}) == len(MUTANTS) >= 20


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_mutant_leaves_nothing_behind(mutant: Mutant) -> None:
    patches = mutant.patches()
    before = [getattr(owner, name) for owner, name, _ in patches]
    with applied(mutant):
        during = [getattr(owner, name) for owner, name, _ in patches]
    assert all(worse is not was for worse, was in zip(during, before, strict=True))
    assert [getattr(owner, name) for owner, name, _ in patches] == before


def test_seed_says_how_its_orders_went() -> None:
    run = run_seed(3, hours=0.2)
    assert run.moves["submitted>accepted"] > 0
