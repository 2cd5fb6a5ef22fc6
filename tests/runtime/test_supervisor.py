from __future__ import annotations

import asyncio
import logging

import pytest

from botd.errors import InvariantBroken
from botd.runtime.supervisor import STEADY_US, Supervisor, describe
from tests.runtime.manual_clock import ManualClock


class Work:
    """Work that counts its starts and fails on request."""

    def __init__(self, *failures: Exception | None) -> None:
        self._failures = list(failures)
        self.starts = 0
        self.waits = asyncio.Event()
        self.cancelled = False

    async def run(self) -> None:
        """Raise the next failure; None ends well; after the last one run until cancelled."""
        self.starts += 1
        if self._failures:
            failure = self._failures.pop(0)
            if failure is not None:
                raise failure
            return
        self.waits.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


class Alerts(list[tuple[str, str]]):
    def __call__(self, name: str, message: str) -> None:
        self.append((name, message))


def supervisor(alerts: Alerts | None = None, clock: ManualClock | None = None) -> Supervisor:
    return Supervisor(clock or ManualClock(), Alerts() if alerts is None else alerts)


async def test_critical_failure_stops_everything_and_is_raised_as_itself() -> None:
    failure, feed, screen = OSError("disk full"), Work(), Work()
    with pytest.raises(OSError, match="disk full") as caught:
        async with supervisor() as tasks:
            tasks.start("feed", feed.run)
            tasks.start("screen", screen.run, restarts=3)
            tasks.start("journal", Work(failure).run)
    assert caught.value is failure
    assert feed.cancelled
    assert screen.cancelled


async def test_critical_failure_interrupts_the_block_that_waits_inside() -> None:
    with pytest.raises(OSError, match="gone"):
        async with supervisor() as tasks:
            tasks.start("journal", Work(OSError("gone")).run)
            await asyncio.Event().wait()
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


async def test_second_failure_while_stopping_is_a_note_on_the_first() -> None:
    async def fail_when_cancelled() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("cannot\n clean up")

    with pytest.raises(OSError, match="first") as caught:
        async with supervisor() as tasks:
            tasks.start("feed", fail_when_cancelled)
            await asyncio.sleep(0)
            tasks.start("journal", Work(OSError("first")).run)
    assert caught.value.__notes__ == [
        "while stopping, task feed failed too: ValueError: cannot clean up",
    ]


async def test_failure_of_the_block_itself_is_raised_as_itself() -> None:
    work = Work()
    with pytest.raises(KeyError):
        async with supervisor() as tasks:
            tasks.start("feed", work.run)
            await asyncio.sleep(0)
            raise KeyError("block")
    assert work.cancelled


async def test_end_of_the_last_critical_task_stops_the_restartable_ones() -> None:
    screen = Work()
    async with supervisor() as tasks:
        tasks.start("screen", screen.run, restarts=1)
        tasks.start("trading", lambda: asyncio.sleep(0.01))
    assert screen.cancelled


async def test_end_of_a_critical_task_inside_the_block_leaves_the_others_running() -> None:
    screen = Work()
    async with supervisor() as tasks:
        tasks.start("screen", screen.run, restarts=1)
        await tasks.start("setup", lambda: asyncio.sleep(0))
        await asyncio.sleep(0)
        assert not screen.cancelled
        tasks.start("trading", lambda: asyncio.sleep(0))
    assert screen.cancelled


async def test_restartable_task_comes_back_after_its_failures() -> None:
    screen, alerts = Work(OSError("one"), ValueError("two")), Alerts()
    async with supervisor(alerts) as tasks:
        tasks.start("screen", screen.run, restarts=2, backoff_s=0.001)
        await asyncio.wait_for(screen.waits.wait(), 5.0)
        tasks.stop()
    assert screen.starts == 3
    assert screen.cancelled
    assert alerts == []


async def test_restartable_task_is_given_up_with_one_alert_and_the_rest_goes_on() -> None:
    screen, trading, alerts = Work(*(OSError("tty gone") for _ in range(9))), Work(), Alerts()
    async with supervisor(alerts) as tasks:
        tasks.start("trading", trading.run)
        await tasks.start("screen", screen.run, restarts=2, backoff_s=0.001)
        assert not trading.cancelled
        tasks.stop()
    assert screen.starts == 3
    assert alerts == [("screen", "task screen failed 3 times in a row: OSError: tty gone")]


async def test_restartable_task_that_ran_steadily_starts_counting_anew() -> None:
    clock, alerts = ManualClock(), Alerts()

    class Steady(Work):
        async def run(self) -> None:
            clock.advance(STEADY_US)
            await super().run()

    screen = Steady(*(OSError("x") for _ in range(7)))
    async with supervisor(alerts, clock) as tasks:
        tasks.start("screen", screen.run, restarts=1, backoff_s=0.0001)
        await asyncio.wait_for(screen.waits.wait(), 5.0)
        tasks.stop()
    assert (screen.starts, alerts) == (8, [])


async def test_pauses_double_up_to_their_bound(caplog: pytest.LogCaptureFixture) -> None:
    screen = Work(*(OSError("x") for _ in range(9)))
    async with supervisor() as tasks:
        with caplog.at_level(logging.WARNING):
            await tasks.start("screen", screen.run, restarts=5, backoff_s=0.001, backoff_max_s=0.003)
    pauses = [record.__dict__["pause_s"] for record in caplog.records if hasattr(record, "pause_s")]
    assert pauses == [0.001, 0.002, 0.003, 0.003, 0.003]


async def test_restartable_task_that_ends_well_is_not_started_again() -> None:
    work = Work(None)
    async with supervisor() as tasks:
        await tasks.start("once", work.run, restarts=5)
    assert work.starts == 1


async def test_stop_cancels_all_and_raises_nothing() -> None:
    one, two = Work(), Work()
    async with supervisor() as tasks:
        tasks.start("one", one.run)
        tasks.start("two", two.run, restarts=1)
        await asyncio.sleep(0)
        tasks.stop()
        tasks.stop()
    assert one.cancelled
    assert two.cancelled


async def test_stop_does_not_cut_short_what_a_task_cleans_up() -> None:
    cleaned: list[str] = []

    async def trade() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            cleaned.append("trading")

    async with supervisor() as tasks:
        tasks.start("trading", trade)
        await asyncio.sleep(0)
        tasks.stop()
        await asyncio.sleep(0.001)
        tasks.stop()
    assert cleaned == ["trading"]


async def test_cancellation_from_outside_passes_through() -> None:
    work = Work()

    async def daemon() -> None:
        async with supervisor() as tasks:
            tasks.start("trading", work.run)

    running = asyncio.create_task(daemon())
    await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert work.cancelled


async def test_tasks_carry_their_names() -> None:
    async with supervisor() as tasks:
        assert tasks.start("trading", Work(None).run).get_name() == "trading"
        assert tasks.start("screen", Work(None).run, restarts=1).get_name() == "screen"


async def test_start_after_stop_is_a_broken_invariant() -> None:
    async with supervisor() as tasks:
        tasks.stop()
        with pytest.raises(InvariantBroken, match="late"):
            tasks.start("late", Work().run)


def test_describe_keeps_an_exception_on_one_line() -> None:
    assert describe(ValueError("a\n  b")) == "ValueError: a b"
    assert describe(TimeoutError()) == "TimeoutError"


async def test_task_that_fails_as_it_is_stopped_is_not_started_again() -> None:
    starts = 0

    async def stubborn() -> None:
        nonlocal starts
        starts += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise OSError("it fails in place of ending") from None

    async def work() -> None:
        await asyncio.sleep(0)

    async with asyncio.timeout(5):
        async with supervisor() as tasks:
            tasks.start("stubborn", stubborn, restarts=3, backoff_s=0.0)
            tasks.start("work", work)
    assert starts == 1
