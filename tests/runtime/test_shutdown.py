from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from botd.errors import StateCorrupt
from botd.runtime.shutdown import Stage, Stages, StopRequest, stop_on_signals

ROOT = Path(__file__).resolve().parents[2]
DAEMON = """
import asyncio, sys, time
from botd.runtime.shutdown import Stage, Stages, StopRequest, stop_on_signals

async def main():
    request = StopRequest()
    with stop_on_signals(request):
        print("ready", flush=True)
        await request.wait()
        print(request.cause, flush=True)
        async def orders():
            await asyncio.sleep(60 if sys.argv[1] == "slow" else 0)
        async def journal():
            if sys.argv[2] == "stuck":
                print("stuck", flush=True)
                time.sleep(60)
            print("saved", flush=True)
        stages = Stages([Stage("orders", orders, 30.0), Stage("journal", journal, 5.0, essential=True)])
        report = await stages.run(ceiling_s=40.0, request=request)
    print(report.describe(), flush=True)
    return report.exit_code

raise SystemExit(asyncio.run(main()))
"""


class Daemon:
    """A process that stops in two stages."""

    def __init__(self, orders: str = "fast", journal: str = "fast") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", DAEMON, orders, journal], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self.line() == "ready"

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def end(self) -> tuple[int, list[str]]:
        with self.process:
            assert self.process.stdout is not None
            rest = self.process.stdout.read()
            return self.process.wait(20), rest.splitlines()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_J1_a_signal_runs_every_stage_and_exits_0(number: signal.Signals) -> None:  # noqa: N802 - the fault's id
    daemon = Daemon()
    daemon.process.send_signal(number)
    assert daemon.line() == number.name
    assert daemon.end() == (0, ["saved", "stopped in order"])


def test_J2_a_second_signal_skips_waiting_but_saves_and_exits_4() -> None:  # noqa: N802 - the fault's id
    daemon = Daemon(orders="slow")
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.line() == "SIGTERM"
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.end() == (4, ["saved", "too late: orders"])


def test_J2_a_third_signal_ends_even_a_stuck_process() -> None:  # noqa: N802 - the fault's id
    daemon = Daemon(orders="slow", journal="stuck")
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.line() == "SIGTERM"
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.line() == "stuck"
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.end() == (-signal.SIGTERM, [])


async def test_stop_on_signals_gives_the_handlers_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    request = StopRequest()
    with stop_on_signals(request):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(request.wait(), 5)
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.wait_for(request.wait_at_once(), 5)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert (request.cause, request.requested, request.at_once) == ("SIGTERM", True, True)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_stop_request_starts_unasked() -> None:
    request = StopRequest()
    assert (request.requested, request.at_once, request.cause) == (False, False, "")


# ---- stages -------------------------------------------------------------------------------------


def taking(seconds: float, log: list[str], name: str) -> Callable[[], Coroutine[object, object, None]]:
    async def work() -> None:
        await asyncio.sleep(seconds)
        log.append(name)

    return work


async def test_stages_run_in_order_and_exit_0_when_all_were_in_time() -> None:
    log: list[str] = []
    stages = Stages([Stage(name, taking(0, log, name), 5.0) for name in ("entries", "orders", "journal")])
    report = await stages.run(ceiling_s=5.0)
    assert log == ["entries", "orders", "journal"]
    assert report.done == ("entries", "orders", "journal")
    assert (report.exit_code, report.describe()) == (0, "stopped in order")


async def test_late_stage_is_cancelled_named_and_followed_by_the_next() -> None:
    log: list[str] = []
    stages = Stages(
        [Stage("orders", taking(60, log, "orders"), 0.01), Stage("journal", taking(0, log, "journal"), 5.0)]
    )
    report = await stages.run(ceiling_s=5.0)
    assert log == ["journal"]
    assert (report.done, report.late) == (("journal",), ("orders",))
    assert (report.exit_code, report.describe()) == (4, "too late: orders")


async def test_stage_that_ignores_its_cancellation_is_left_behind() -> None:
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    log: list[str] = []
    stages = Stages([Stage("orders", stubborn, 0.01), Stage("journal", taking(0, log, "journal"), 5.0)])
    report = await asyncio.wait_for(stages.run(ceiling_s=5.0), 5.0)
    release.set()
    await asyncio.sleep(0)
    assert (report.late, log) == (("orders",), ["journal"])


async def test_failed_stage_is_reported_with_its_exit_code_and_the_rest_runs() -> None:
    async def fail() -> None:
        raise StateCorrupt("checksum differs")

    log: list[str] = []
    report = await Stages([Stage("books", fail, 1.0), Stage("journal", taking(0, log, "journal"), 5.0)]).run(
        ceiling_s=5.0
    )
    assert log == ["journal"]
    assert (report.exit_code, report.describe()) == (6, "books failed (StateCorrupt: checksum differs)")


async def test_failure_that_is_not_ours_exits_1() -> None:
    async def fail() -> None:
        raise OSError("disk full")

    report = await Stages([Stage("journal", fail, 1.0)]).run(ceiling_s=5.0)
    assert report.exit_code == 1


async def test_failure_while_a_late_stage_is_cancelled_does_not_escape() -> None:
    async def late_and_broken() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise OSError("half written")

    report = await Stages([Stage("journal", late_and_broken, 0.01)]).run(ceiling_s=5.0)
    assert (report.late, report.exit_code) == (("journal",), 4)


async def test_ceiling_cuts_the_running_stage_and_skips_the_others() -> None:
    log: list[str] = []
    stages = Stages(
        [
            Stage("orders", taking(60, log, "orders"), 60.0, essential=True),
            Stage("journal", taking(0, log, "journal"), 5.0, essential=True),
        ]
    )
    report = await asyncio.wait_for(stages.run(ceiling_s=0.01), 5.0)
    assert log == []
    assert (report.late, report.skipped, report.exit_code) == (("orders",), ("journal",), 4)
    assert report.describe() == "too late: orders; skipped: journal"


async def test_second_request_before_the_stages_runs_the_essential_ones_only() -> None:
    request, log = StopRequest(), list[str]()
    request.ask("SIGTERM")
    request.ask("SIGTERM")
    stages = Stages(
        [
            Stage("orders", taking(0, log, "orders"), 5.0),
            Stage("journal", taking(0.01, log, "journal"), 5.0, essential=True),
        ]
    )
    report = await stages.run(ceiling_s=5.0, request=request)
    assert log == ["journal"]
    assert (report.skipped, report.exit_code) == (("orders",), 4)


async def test_cancelling_the_stages_cancels_the_one_that_runs() -> None:
    ended = asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    running = asyncio.create_task(Stages([Stage("orders", wait, 60.0)]).run(ceiling_s=60.0))
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.wait_for(ended.wait(), 5.0)


async def test_no_stages_at_all_end_well() -> None:
    report = await Stages([]).run(ceiling_s=1.0)
    assert report.exit_code == 0
