from __future__ import annotations

import asyncio
import time

import pytest

from botd.ports import Clock
from botd.runtime.clock import WallClock
from tests.runtime.manual_clock import ManualClock


class ShiftedClock(WallClock):
    """A wall clock that somebody sets while it runs."""

    shift_us = 0

    def now_us(self) -> int:
        return super().now_us() + self.shift_us


def test_now_us_is_the_machines_utc_time_in_microseconds() -> None:
    before = time.time()
    now_us = WallClock().now_us()
    after = time.time()
    assert isinstance(now_us, int)
    assert before - 1e-3 <= now_us / 1e6 <= after + 1e-3


def test_monotonic_never_falls() -> None:
    clock = WallClock()
    seen = [clock.monotonic() for _ in range(1000)]
    assert seen == sorted(seen)


async def test_sleep_until_returns_at_the_first_moment_that_is_not_early() -> None:
    clock: Clock = WallClock()
    until = clock.now_us() + 30_000
    await clock.sleep_until(until)
    assert until <= clock.now_us() < until + 500_000


async def test_sleep_until_a_past_time_gives_the_loop_one_turn() -> None:
    clock = WallClock()
    turns: list[str] = []
    other = asyncio.create_task(asyncio.sleep(0, turns.append("other")))
    await clock.sleep_until(0)
    await other
    assert turns == ["other"]


async def test_sleep_until_notices_a_clock_that_is_set_forward() -> None:
    clock = ShiftedClock()
    sleeping = asyncio.create_task(clock.sleep_until(clock.now_us() + 3_600_000_000))
    await asyncio.sleep(0.01)
    clock.shift_us = 3_600_000_000
    await asyncio.wait_for(sleeping, 3.0)


async def test_sleep_until_can_be_cancelled() -> None:
    clock = WallClock()
    sleeping = asyncio.create_task(clock.sleep_until(clock.now_us() + 3_600_000_000))
    await asyncio.sleep(0)
    sleeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeping


async def test_manual_clock_wakes_sleepers_when_their_time_has_come() -> None:
    clock = ManualClock(1_000)
    early = asyncio.create_task(clock.sleep_until(1_500))
    late = asyncio.create_task(clock.sleep_until(3_000))
    await asyncio.sleep(0)
    clock.advance(500)
    await early
    assert not late.done()
    clock.advance(1_500)
    await late
