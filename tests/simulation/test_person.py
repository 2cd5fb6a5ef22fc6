"""What a person does to a simulated daemon beyond halting it: another session, its way back, acts by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from botd.core import by_hand
from botd.core.desk import Desk
from botd.core.restraint import TradingCommand, Verb
from botd.core.runner import Runner
from botd.simulation.chance import Fired
from botd.simulation.person import NAME
from botd.simulation.swarm import SeedRun, run_seed

HOURS = 0.2
STOP = Fired("life.stop", 20)  # ten minutes after the start
TAKEN_OVER = "its account is taken over"
PUT_BACK = f"{NAME} puts it back"


def live(seed: int, *faults: Fired) -> SeedRun:
    run = run_seed(seed, hours=HOURS, only=faults)
    assert run.check is None, f"seed {seed}: {run.check}: {run.detail}"
    return run


def says(run: SeedRun, text: str) -> int:
    return sum(text in line for line in run.history)


@pytest.mark.parametrize("seed", [1, 12])  # at the remote venue, and on paper
def test_change_of_a_cold_setting_hands_the_account_over(seed: int) -> None:
    run = live(seed, STOP, Fired("person.turn", 2))
    assert run.orders
    assert says(run, TAKEN_OVER) == 1


def test_position_in_the_way_is_refused_and_the_setting_put_back() -> None:
    faults = (STOP, Fired("person.edit", 2), Fired("person.turn", 2))
    tried = (live(seed, *faults) for seed in range(40))
    refused = next(run for run in tried if says(run, PUT_BACK))
    assert says(refused, "StillHeld") == 1
    assert not says(refused, TAKEN_OVER)


def test_person_closes_and_cancels_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    done = set[Verb]()
    obey = by_hand.obey

    def heard(desk: Desk, runners: Mapping[Any, Runner], command: TradingCommand, ts_us: int) -> None:
        if by_hand.changes(desk, command):
            done.add(command.verb)
        obey(desk, runners, command, ts_us)

    monkeypatch.setattr(by_hand, "obey", heard)
    acts = [Fired("person.hand", n) for n in range(4, 20)]
    seed = 0
    while done != by_hand.VERBS:
        assert seed < 40, f"no seed below 40 has all of {by_hand.VERBS}, only {done}"
        live(seed, *acts)
        seed += 1
