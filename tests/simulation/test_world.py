"""The whole daemon in simulated days: what is checked, and that the checks see what they are for."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from botd.core.events import Command
from botd.ports import Batch
from botd.runtime.live import LiveDriver
from botd.runtime.loop import Group, TradingLoop
from botd.simulation.swarm import SeedRun, run_seed, shrink_seed
from botd.store.journal import SqliteJournal
from botd.venues import latency as venue_latency
from botd.venues.account import VenueAccount
from botd.venues.simulated import SimulatedVenue

HOURS = 0.25
TRIED = range(40)


def first_failure(seeds: Sequence[int] = TRIED) -> SeedRun:
    """Return the first run that fails a check."""
    for seed in seeds:
        run = run_seed(seed, hours=HOURS)
        if run.check is not None:
            return run
    raise AssertionError(f"none of {len(seeds)} seeds fails")


def test_day_has_crashes_and_orders_and_decides_as_without_them() -> None:
    runs = [run_seed(seed, hours=HOURS) for seed in range(6)]
    assert [run.detail for run in runs if run.check is not None] == []
    assert sum(run.crashes for run in runs) >= 12
    assert sum(run.orders for run in runs) >= 100
    assert sum(run.compared for run in runs) >= 200


def test_seed_runs_the_same_in_processes_with_other_hash_seeds() -> None:
    def digest(hash_seed: str) -> str:
        command = [sys.executable, "-m", "botd.cli.main", "sim", "--seed", "8", "--hours", "0.1"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    first = digest("1")
    assert "all checks hold, digest " in first
    assert digest("2") == first


# ---- safeguards taken away ----------------------------------------------------------------------


def test_command_sent_before_its_commit_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    block: Callable[..., Iterator[Group]] = TradingLoop._block

    def hasty(loop: TradingLoop, *terms: Any) -> Iterator[Group]:
        kept: list[Group] = []
        for group in block(loop, *terms):  # what is yielded late has been acted upon already
            kept.append(group)
        yield from kept

    monkeypatch.setattr(TradingLoop, "_block", hasty)
    assert first_failure().check == "venue.unknown_order"


def test_request_taken_twice_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    send: Callable[[SimulatedVenue, int, Command], None] = SimulatedVenue.send

    def forgetful(venue: SimulatedVenue, number: int, command: Command) -> None:
        venue._last_request = 0
        send(venue, number, command)

    monkeypatch.setattr(SimulatedVenue, "send", forgetful)
    assert first_failure().check is not None


def test_answers_that_are_not_journalled_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    commit: Callable[[SqliteJournal, Batch], None] = SqliteJournal.commit

    def partial(journal: SqliteJournal, batch: Batch) -> None:
        commit(journal, Batch(session_id=batch.session_id, records=batch.records, cursor=batch.cursor))

    monkeypatch.setattr(SqliteJournal, "commit", partial)
    assert first_failure().check is not None


def test_fee_that_only_the_venue_knows_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    book: Callable[..., None] = VenueAccount.book

    def dear(
        account: VenueAccount, instrument: Any, owner: str, price: int, signed: int, fee: Decimal
    ) -> None:
        book(account, instrument, owner, price, signed, fee * 2)

    monkeypatch.setattr(VenueAccount, "book", dear)
    assert first_failure().check == "books.cash"


def test_position_that_only_the_venue_knows_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    nets: Callable[[VenueAccount], dict[Any, int]] = VenueAccount.nets
    monkeypatch.setattr(VenueAccount, "nets", lambda account: {k: v + 1 for k, v in nets(account).items()})
    assert first_failure().check == "said.reconcile"


def test_decision_that_another_clock_changes_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the latency to the venue is drawn anew by every process."""
    latency: Callable[..., int] = venue_latency.latency_us
    calls = count()
    monkeypatch.setattr(
        "botd.venues.simulated.latency_us", lambda *terms: latency(*terms) + 50_000 * (next(calls) % 7)
    )
    assert first_failure().check in ("parity.decision", "parity.count")


def test_stop_that_never_ends_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LiveDriver, "request_stop", lambda driver: None)
    run = first_failure()
    assert run.check == "stop.ceiling"


def test_failing_seed_shrinks_to_the_faults_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: every start forgets the last fill, which the next one sees."""
    note: Callable[[SqliteJournal, int], None] = SqliteJournal.note_killed

    def forgetful(journal: SqliteJournal, ended_us: int) -> None:
        note(journal, ended_us)
        with sqlite3.connect(journal.path) as connection:
            connection.execute("DELETE FROM fills WHERE seq = (SELECT max(seq) FROM fills)")

    monkeypatch.setattr(SqliteJournal, "note_killed", forgetful)
    run = first_failure()
    shrunk = shrink_seed(run.seed, hours=HOURS)
    assert shrunk.check == run.check
    assert shrunk.complete
    assert 0 < len(shrunk.faults) < len(run.fired)


def test_state_folder_of_a_run_is_gone_when_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botd.simulation.swarm.place_without_disk", lambda: tmp_path)
    before = set(Path("/proc/self/fd").iterdir())
    run_seed(1, hours=0.05)
    assert list(tmp_path.iterdir()) == []
    assert len(set(Path("/proc/self/fd").iterdir()) - before) <= 1  # the listing itself
