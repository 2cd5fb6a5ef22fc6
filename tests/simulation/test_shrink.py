"""From many faults to the few that it takes, for the check that failed and no other."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from botd.errors import InvariantBroken
from botd.simulation.chance import Chance, Fired, Site
from botd.simulation.loop import VirtualLoop, run_virtual
from botd.simulation.shrink import Trial, shrink

REPLY_LOST, READ_LAG, FILL_LOST = Site("reply.lost", 0.3), Site("read.lag", 0.25), Site("fill.lost", 0.3)
SITES = (REPLY_LOST, READ_LAG, FILL_LOST)
SEED = 18
ORDERS = 70


def run(only: Collection[Fired] | None) -> Trial:
    """Send orders; one whose reply is lost, and that two reads then miss, is sent again: S1 fails.

    A fill that is lost makes S5 fail, and any of many does: the bug that a careless shrinker slides into.
    """
    chance = Chance(SEED, SITES, swarm=False, only=only)

    async def world(loop: VirtualLoop) -> str | None:
        twice = missed = 0
        for _ in range(ORDERS):
            await asyncio.sleep(1)
            lost = chance.hit(REPLY_LOST.name) is not None
            missing = [chance.hit(READ_LAG.name) is not None for _ in range(2)]
            twice += lost and all(missing)
            missed += chance.hit(FILL_LOST.name) is not None
        return "S1" if twice else "S5" if missed else None

    return Trial(run_virtual(world, seed=SEED).result, tuple(chance.fired))


def test_sixty_faults_shrink_to_the_three_that_break_the_same_check() -> None:
    whole = run(None)
    assert len(whole.fired) >= 60
    assert whole.check == "S1"
    found = shrink(run)
    assert (found.check, found.complete) == ("S1", True)
    assert found.runs < 100
    first, second, third = sorted(found.faults)
    assert (first.site, second.site, third.site) == (READ_LAG.name, READ_LAG.name, REPLY_LOST.name)
    assert (first.n, second.n) == (2 * third.n - 1, 2 * third.n)
    assert run(found.faults) == Trial("S1", found.faults)


def test_spent_runs_leave_what_was_found_so_far() -> None:
    found = shrink(run, runs_max=7)
    assert not found.complete
    assert found.runs == 7
    assert 3 < len(found.faults) < len(run(None).fired)
    assert run(found.faults).check == "S1"


def test_check_that_needs_no_fault_shrinks_to_none() -> None:
    faults = (Fired("a", 1), Fired("b", 1))
    assert shrink(lambda only: Trial("S2", faults if only is None else tuple(only))).faults == ()


def test_faults_that_no_longer_come_up_are_left_out_at_once() -> None:
    every = [Fired("chain", n) for n in range(1, 129)]

    def chain(only: Collection[Fired] | None) -> Trial:
        """All but one of the faults come up only after the first; that one is enough."""
        allowed = every if only is None else [fault for fault in every if fault in only]
        first = every[0] in allowed
        happened = tuple(fault for fault in allowed if first or fault == every[99])
        return Trial("S9" if every[99] in happened else None, happened)

    found = shrink(chain)
    assert found.faults == (every[99],)
    assert found.runs == 4  # whole, again, without the first half, without the one that is left


def test_run_that_fails_nothing_is_refused() -> None:
    with pytest.raises(InvariantBroken, match="fails no check"):
        shrink(lambda only: Trial(None, ()))


def test_run_that_does_not_repeat_is_refused() -> None:
    checks = iter(["S1", "S2"])
    with pytest.raises(InvariantBroken, match="not repeatable: it failed S1 after 0 faults, then S2"):
        shrink(lambda only: Trial(next(checks), ()))
