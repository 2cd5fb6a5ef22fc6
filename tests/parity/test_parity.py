"""Backtest = daemon at full speed = plain Python = any block size = stopped and resumed = killed and resumed.

Small cuts here; `make parity` runs the whole recorded files (BOTD_PARITY=full).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from botd.core.decisions import digest
from tests.parity.cases import (
    FULL,
    ON_BARS,
    ON_TRADES,
    ROOT,
    Case,
    bot_folder,
    counted,
    made_cases,
    recorded_cases,
)
from tests.parity.runs import (
    backtest_lines,
    interrupt_daemon,
    random_block_lines,
    run_daemon,
    state_lines,
)

NAMES = (*ON_TRADES, ON_BARS)
pytestmark = pytest.mark.timeout(3600 if FULL else 300)


@pytest.fixture(scope="module", params=["made", "recorded"])
def cases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "made":
        return made_cases(folder)
    found = recorded_cases(folder)
    if not found:
        pytest.skip("the recorded market data are not here: set BOTD_DATA to their folder")
    return found


@pytest.fixture(scope="module")
def expected(cases: list[Case]) -> dict[Case, list[str]]:
    """The decisions of every case's backtest."""
    return {case: backtest_lines(case.strategy, case.data) for case in cases}


@pytest.mark.parametrize("strategy", NAMES)
def test_case_has_enough_decisions_to_count(expected: dict[Case, list[str]], strategy: str) -> None:
    counts = [counted(lines) for case, lines in expected.items() if case.strategy == strategy]
    signals, entries, exits = (sum(column) for column in zip(*counts, strict=True))
    assert signals >= 20
    assert entries >= 5
    assert exits >= 5


@pytest.mark.parametrize("strategy", NAMES)
def test_block_size_changes_no_decision(expected: dict[Case, list[str]], strategy: str) -> None:
    seed = random.randrange(1 << 32)
    for case, lines in expected.items():
        if case.strategy != strategy:
            continue
        for block_rows in (1, 7):
            assert digest(backtest_lines(strategy, case.data, block_rows=block_rows)) == digest(lines), (
                case.name
            )
        assert digest(random_block_lines(strategy, case.data, seed)) == digest(lines), (
            f"{case.name}, seed {seed}"
        )


def test_plain_python_decides_the_same(expected: dict[Case, list[str]]) -> None:
    command = [sys.executable, "-m", "tests.parity.backtest_digests"]
    for case in expected:
        command += [case.strategy, str(case.data)]
    plain = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "BOTD_NO_NUMBA": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert plain.returncode == 0, plain.stderr
    assert plain.stdout.split() == [digest(lines) for lines in expected.values()]


@pytest.mark.parametrize("strategy", NAMES)
def test_daemon_at_full_speed_decides_the_same(
    expected: dict[Case, list[str]], strategy: str, tmp_path: Path
) -> None:
    for number, (case, lines) in enumerate(expected.items()):
        if case.strategy == strategy:
            bot = bot_folder(tmp_path / str(number), strategy)
            run_daemon(bot, case.data)
            assert digest(state_lines(bot)) == digest(lines), case.name


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("strategy", NAMES)
def test_interrupted_daemon_decides_the_same(
    expected: dict[Case, list[str]], strategy: str, how: signal.Signals, tmp_path: Path
) -> None:
    """Interrupt twice at random rows, resume, and compare with a backtest that knew nothing of it."""
    if not FULL and not chosen_for_the_suite(strategy, how, next(iter(expected))):
        pytest.skip("long, and much like the others; make parity runs it")
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    chosen = [case for case in expected if case.strategy == strategy]
    for number, case in enumerate(chosen if FULL else chosen[:1]):
        bot = bot_folder(tmp_path / str(number), strategy)
        speed = _speed(case)
        for _ in range(2):
            interrupt_daemon(bot, case.data, speed, how, after=rng.randrange(50, 200))
        run_daemon(bot, case.data)
        assert digest(state_lines(bot)) == digest(expected[case]), f"{case.name}, seed {seed}"


def chosen_for_the_suite(strategy: str, how: signal.Signals, case: Case) -> bool:
    """Say whether the short run has it: every strategy is killed once, two are stopped, one on real data."""
    if case.data.parent.name.startswith("made"):
        return how is signal.SIGKILL or strategy in (ON_TRADES[0], ON_BARS)
    return how is signal.SIGKILL and strategy in (ON_TRADES[0], ON_BARS)


def _speed(case: Case) -> str:
    """Return a speed at which there is time to interrupt: the whole case takes a few seconds."""
    if case.strategy == ON_BARS:
        return "200000" if FULL else "15000"
    return "40000" if FULL else "1500"
