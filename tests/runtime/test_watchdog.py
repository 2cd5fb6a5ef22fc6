"""The watchdog as it runs: real event loops that stand still, real processes that do not end."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from botd.core.restraint import Cause, Verb
from botd.errors import InvariantBroken
from botd.runtime.brake import Brake
from botd.runtime.clock import WallClock
from botd.runtime.control import ControlFiles
from botd.runtime.lag import LagLimits
from botd.runtime.watchdog import Watchdog

ROOT = Path(__file__).resolve().parents[2]
QUICK = LagLimits(beat_s=0.02, late_s=0.05, hold_s=0.3, steady_s=0.1, kill_s=600.0)
PROCESS = """
import asyncio, sys, threading, time
from pathlib import Path
from botd.runtime.brake import Brake
from botd.runtime.clock import WallClock
from botd.runtime.control import ControlFiles
from botd.runtime.lag import LagLimits
from botd.runtime.listener import keep_for_listener
from botd.runtime.watchdog import Watchdog
from botd.telemetry import configure_logging

def handle_a_request():
    time.sleep(60)

async def main(watchdog):
    with watchdog.follow(asyncio.get_running_loop()):
        print("ready", flush=True)
        if sys.argv[1] == "stuck":
            await asyncio.sleep(0.3)
            handle_a_request()

configure_logging()
limits = LagLimits(kill_s=1.0)
with keep_for_listener(), Watchdog(
    Brake(), ControlFiles(Path(sys.argv[2])), WallClock(), limits=limits, exit_s=1.0
) as watchdog:
    asyncio.run(main(watchdog))
if sys.argv[1] == "lingering":
    threading.Thread(target=time.sleep, args=(60,)).start()  # as a library's worker thread would
"""


def run(how: str, folder: Path) -> tuple[int, list[dict[str, object]]]:
    """Run a process that does not go on, or does not end; return its exit code and log."""
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, how, str(folder)], cwd=ROOT, capture_output=True, timeout=40
    )
    assert done.stdout == b"ready\n"
    return done.returncode, [json.loads(line) for line in done.stderr.splitlines()]


def test_K1_process_whose_loop_is_stuck_is_ended_and_says_where(tmp_path: Path) -> None:  # noqa: N802 - the id
    code, log = run("stuck", tmp_path)
    assert code == 8
    assert [line["message"] for line in log] == [
        "the event loop stands still",
        "the event loop is stuck: ending the process",
    ]
    for line in log:
        assert "handle_a_request" in str(line["stack"])


def test_J5_process_that_does_not_end_is_ended(tmp_path: Path) -> None:  # noqa: N802 - the fault's id
    code, log = run("lingering", tmp_path)
    assert code == 4
    assert [line["message"] for line in log] == ["the process does not end by itself: ending it"]


def test_process_that_ends_is_left_alone(tmp_path: Path) -> None:
    assert run("fine", tmp_path) == (0, [])


# ---- in this process ----------------------------------------------------------------------------


def watchdog_of(folder: Path, brake: Brake, limits: LagLimits = QUICK) -> Watchdog:
    return Watchdog(brake, ControlFiles(folder), WallClock(), limits=limits)


async def until(met: Callable[[], bool]) -> None:
    """Let the loop beat until something is met."""
    async with asyncio.timeout(20):
        while not met():  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(0.01)


SIGNALLED = """
import os, signal, sys, threading
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGHUP})  # as `botd run` begins
from pathlib import Path
from botd.runtime.brake import Brake
from botd.runtime.clock import WallClock
from botd.runtime.control import ControlFiles
from botd.runtime.listener import keep_for_listener
from botd.runtime.watchdog import Watchdog

brake, woken = Brake(), threading.Event()
with keep_for_listener(), Watchdog(brake, ControlFiles(Path(sys.argv[1])), WallClock()):
    brake.take()
    brake.wake_by(woken.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    woken.wait(20)  # the main thread runs no line of Python meanwhile
for one in brake.take():
    print(one.verb, one.cause)
"""


def asked(brake: Brake) -> list[tuple[Verb, Cause]]:
    return [(one.verb, one.cause) for one in brake.take()]


async def test_K1_stall_holds_until_the_loop_is_well(  # noqa: N802 - the fault's id
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    brake = Brake()
    with watchdog_of(tmp_path, brake) as watchdog, watchdog.follow(asyncio.get_running_loop()):
        assert asked(brake) == [(Verb.RELEASE, Cause.LOOP_STALLED)]  # of a run that died in a stall
        watchdog.hold_on_stall = True
        await asyncio.sleep(0.05)
        time.sleep(0.8)  # noqa: ASYNC251 - this is the fault
        assert brake.on  # before the loop does anything else
        assert asked(brake) == [(Verb.HOLD, Cause.LOOP_STALLED)]
        await until(lambda: brake.asked)
        assert asked(brake) == [(Verb.RELEASE, Cause.LOOP_STALLED)]
        assert watchdog.lag.late >= 1
        assert watchdog.lag.lag_max_s > 0.5
    stacks = [str(record.__dict__["stack"]) for record in caplog.records if "stack" in record.__dict__]
    assert any("time.sleep(0.8)" in stack for stack in stacks)


async def test_stall_on_data_that_do_not_age_holds_nothing(tmp_path: Path) -> None:
    brake = Brake()
    with watchdog_of(tmp_path, brake) as watchdog, watchdog.follow(asyncio.get_running_loop()):
        brake.take()
        await asyncio.sleep(0.05)
        time.sleep(0.8)  # noqa: ASYNC251 - this is the fault
        assert not brake.on
        await until(lambda: watchdog.lag.late > 0)


def test_R3_halt_that_is_there_at_the_start_is_in_force_before_anything_runs(tmp_path: Path) -> None:  # noqa: N802
    brake = Brake()
    (tmp_path / "HALT").write_text("odd prices")
    with watchdog_of(tmp_path, brake):
        assert brake.on
        assert (Verb.HALT, Cause.FILE) in asked(brake)


class Hurt(ControlFiles):
    """Files that cannot be looked at, for a while."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.looks = 0

    def halt(self) -> None:
        self.looks += 1
        if 2 <= self.looks <= 4:
            raise OSError(5, "Input/output error")


def test_K3_watchdog_that_stumbles_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:  # noqa: N802
    files = Hurt(tmp_path)
    on_its_way = threading.Event()
    with caplog.at_level(logging.ERROR), Watchdog(Brake(), files, WallClock()):
        while files.looks < 6:
            on_its_way.wait(0.02)
    stumbled = [record for record in caplog.records if record.message == "the watchdog stumbled and goes on"]
    assert len(stumbled) == 3


def test_watchdog_watches_once_and_ends_its_thread(tmp_path: Path) -> None:
    watchdog = watchdog_of(tmp_path, Brake())
    with watchdog, pytest.raises(InvariantBroken), watchdog:
        pass
    assert not [one for one in threading.enumerate() if one.name == "botd-watchdog"]


def test_R3_sigusr1_reaches_the_watchdog_wherever_the_main_thread_is(tmp_path: Path) -> None:  # noqa: N802
    # in a process of its own: a thread that was there before the signals were blocked could take it instead
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SIGNALLED, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "halt signal\n"), done.stderr
