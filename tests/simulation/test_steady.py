"""Days without a fault: what is sampled of them, and what is found to grow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from botd.cli.sim import sim
from botd.errors import InputInvalid
from botd.runtime.live import LiveDriver
from botd.runtime.loop import Group
from botd.simulation import steady
from botd.simulation.steady import GROWTH_MAX_MIB, Sample, findings, growth, run_steady

PAPER, REMOTE = 12, 1  # seeds
FLAT = Sample(day=1, rss_mib=200.0, live_mib=30.0, tasks=14, files=13, orders=0)
Leak = Callable[[LiveDriver], None]


def days(count: int, **fields: Callable[[int], float | None]) -> list[Sample]:
    """Return samples of so many days, with fields that depend on the day."""
    return [
        replace(FLAT, day=day, **{name: of(day) for name, of in fields.items()})
        for day in range(1, count + 1)
    ]


def test_sample_says_what_is_held() -> None:
    text = "day 2: 200.0 MiB resident, 30.00 MiB of objects, 14 tasks, 13 files, 70 orders"
    assert str(replace(FLAT, day=2, orders=70)) == text


def test_growth_is_that_of_the_days_after_the_first() -> None:
    samples = days(4, rss_mib=lambda day: 900.0 if day == 1 else 2.0 * day)
    assert growth(samples) == pytest.approx({"resident memory": 2.0, "memory of objects": 0.0})


def test_objects_that_nobody_counts_are_not_judged() -> None:
    samples = days(4, rss_mib=lambda day: day, live_mib=lambda day: None)
    assert list(growth(samples)) == ["resident memory"]
    assert str(samples[0]) == "day 1: 1.0 MiB resident, 14 tasks, 13 files, 0 orders"


def test_days_on_which_nothing_grows_have_no_findings() -> None:
    assert findings(days(7)) == []


@pytest.mark.parametrize("field", ["rss_mib", "live_mib"])
def test_memory_that_grows_by_the_limit_is_found(field: str) -> None:
    assert len(findings(days(7, **{field: lambda day: GROWTH_MAX_MIB * day}))) == 1
    assert findings(days(7, **{field: lambda day: 0.99 * GROWTH_MAX_MIB * day})) == []


@pytest.mark.parametrize("field", ["tasks", "files"])
def test_count_that_grows_is_found_and_one_that_varies_is_not(field: str) -> None:
    assert len(findings(days(7, **{field: lambda day: 14 + day}))) == 1
    assert len(findings(days(4, **{field: lambda day: 14 + day // 3}))) == 1
    assert findings(days(7, **{field: lambda day: 14 + day % 2})) == []


def shorten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a day of five minutes; a quarter of the limit leaves room for the market that is kept."""
    monkeypatch.setattr(steady, "DAY_S", 300.0)
    monkeypatch.setattr(steady, "GROWTH_MAX_MIB", 0.25)


def run_short(seed: int, monkeypatch: pytest.MonkeyPatch, *, counting: bool = True) -> list[Sample]:
    """Trade for four short days."""
    shorten(monkeypatch)
    told: list[Sample] = []
    samples = run_steady(seed, 4, counting=counting, on_day=told.append)
    assert told == samples
    assert [one.day for one in samples] == [1, 2, 3, 4]
    assert 0 < samples[0].orders < samples[1].orders < samples[3].orders
    return [replace(one, rss_mib=0.0) for one in samples]  # over minutes it is what malloc does


@pytest.mark.parametrize("seed", [PAPER, REMOTE])
def test_steady_days_hold_nothing_more(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert findings(run_short(seed, monkeypatch)) == []


def plant(leak: Leak, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the daemon leak with every group that it commits."""
    take = LiveDriver.take

    async def take_and_leak(self: LiveDriver, group: Group) -> None:
        leak(self)
        await take(self, group)

    monkeypatch.setattr(LiveDriver, "take", take_and_leak)


def test_memory_that_is_never_let_go_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shorten(monkeypatch)
    kept: list[Any] = []
    plant(lambda driver: kept.append(bytearray(20_000)), monkeypatch)
    assert sim(seed=PAPER, days=4, objects=True) == 1
    said = capsys.readouterr().out
    assert said.count("\nday ") == 3
    assert f"\nseed {PAPER}: memory of objects grows by " in said


def test_command_needs_days_enough_to_judge() -> None:
    with pytest.raises(InputInvalid, match="at least 4"):
        sim(seed=PAPER, days=3)


def test_files_that_are_never_closed_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "open"
    path.touch()
    kept: list[Any] = []
    plant(lambda driver: kept.append(path.open()), monkeypatch)
    try:
        found = findings(run_short(PAPER, monkeypatch, counting=False))
    finally:
        for one in kept:
            one.close()
    assert [line.partition(" grow")[0] for line in found] == ["open files"]
