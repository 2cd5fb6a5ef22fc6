"""Faults planted in a real daemon: tasks that die or hold the loop up, a log that nobody can write."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.books import Books
from tests.cli.bots import COMMAND, Running, edit, environment, make_bot, write_pump
from tests.halting_scene import DATA, has, said, state
from tests.test_daemon import wait_until


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    folder = make_bot(tmp_path / "bot")
    write_pump(folder / DATA, bursts=12)
    return folder


# ---- tasks that die, and one that does not give way ---------------------------------------------

BREAK = """
import sys, time
from botd import sessions
from botd.runtime.loop import TradingLoop
from botd.runtime.reconcile import Reconciler
from botd.venues.simulated import SimulatedVenue

def fail(*terms, **more):
    raise OSError("the planted fault")

def stand_still(self):
    time.sleep(3)
    Reconciler.check = check

check = Reconciler.check
if sys.argv[1] == "reconcile":
    SimulatedVenue.positions = fail
elif sys.argv[1] == "trading":
    TradingLoop._apply = fail
else:
    Reconciler.check = stand_still
    sessions.WARM_UP_US = 60_000_000
from botd.cli.main import main
sys.exit(main(["run", *sys.argv[2:]]))
"""


class Broken(Running):
    """A daemon with a fault planted in one of its tasks."""

    def __init__(self, folder: Path, task: str, *arguments: object) -> None:
        script = folder / "broken.py"
        script.write_text(BREAK)
        self.command = (sys.executable, "-W", "error", str(script), task)
        super().__init__(folder, *arguments)


def test_K1_task_that_holds_the_loop_up_holds_trading_until_the_loop_is_well(bot: Path) -> None:  # noqa: N802
    edit(bot / "configs/execution.yaml", "positions: 10s", "positions: 2s")
    with Broken(bot, "stall") as daemon:
        wait_until(has(bot, ("hold", "loop_stalled"), ("release", "loop_stalled")))
        daemon.process.terminate()
        assert daemon.end().code == 0
    late = said(daemon, "the event loop stands still")
    assert any("stand_still" in line["stack"] for line in late)


def test_K3_death_of_the_trading_task_ends_the_daemon(bot: Path) -> None:  # noqa: N802 - the fault's id
    with Broken(bot, "trading", "--data", DATA, "--speed", "300") as daemon:
        done = daemon.end()
    assert done.code == 1
    assert "botd: unexpected OSError: the planted fault" in done.err
    failed = [line["task"] for line in said(daemon, "task failed, everything stops")]
    assert failed == ["trading", "session"]  # and with it what it is a part of


def test_K3_reconciliation_that_keeps_dying_halts(bot: Path) -> None:  # noqa: N802 - the fault's id
    edit(bot / "configs/execution.yaml", "positions: 10s", "positions: 100ms")
    with Broken(bot, "reconcile", "--data", DATA, "--speed", "300") as daemon:
        wait_until(lambda: bool(said(daemon, "task given up")))
        wait_until(has(bot, ("halt", "task_lost")))
        assert len(said(daemon, "task failed, starting it again")) == 3
        daemon.process.terminate()
        assert daemon.process.wait(30) == 0


# ---- a log that nobody can write, a screen that nobody reads ------------------------------------


def stuffed() -> tuple[int, int]:
    """Return a pipe that is full and that nobody reads."""
    out, into = os.pipe()
    os.set_blocking(into, False)
    with suppress(BlockingIOError):
        while True:
            os.write(into, b"x" * 4096)
    os.set_blocking(into, True)
    return out, into


@pytest.mark.parametrize("where", ["full disk", "full pipe"])
def test_H12_log_and_screen_that_cannot_be_written_change_nothing(  # noqa: N802 - the fault's id
    bot: Path, where: str
) -> None:
    """The log on a full disk; and log and screen in a pipe that nobody reads."""
    full = [os.open("/dev/full", os.O_WRONLY)] if where == "full disk" else list(stuffed())
    edit(bot / "config.yaml", "level: info", "level: debug")
    with subprocess.Popen(
        [*COMMAND, "run", "--data", DATA],
        cwd=bot,
        env=environment(),
        stdout=subprocess.DEVNULL if where == "full disk" else full[-1],
        stderr=full[-1],
    ) as daemon:
        code = daemon.wait(60)
    for descriptor in full:
        os.close(descriptor)
    assert code == 0
    assert len(Books(state(bot)).trades) == 12
    assert [one["status"] for one in Books(state(bot)).sessions] == ["finished"]
