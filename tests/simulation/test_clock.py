"""The simulated wall clock: skewed, set back and forth, and exact for whoever waits for a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from botd.simulation.clock import EPOCH_US, VirtualClock
from botd.simulation.loop import VirtualLoop, run_virtual

if TYPE_CHECKING:
    from botd.ports import Clock

HOUR_US = 3_600_000_000


def test_clock_shows_virtual_time_and_its_skew() -> None:
    async def main(loop: VirtualLoop) -> list[int]:
        right: Clock = VirtualClock(loop)
        wrong = VirtualClock(loop, skew_us=-250_000)
        await asyncio.sleep(1.5)
        return [right.now_us() - EPOCH_US, wrong.now_us() - EPOCH_US]

    assert run_virtual(main, seed=1).result == [1_500_000, 1_250_000]


def test_sleep_until_wakes_at_that_time_to_the_microsecond() -> None:
    async def main(loop: VirtualLoop) -> list[int]:
        clock = VirtualClock(loop, skew_us=123_456_789)
        late = []
        for ahead_us in (134_279_396_705, 1, 3, 999_999, 86_400_000_000, 7, 31_536_000_000_001):
            due = clock.now_us() + ahead_us
            await clock.sleep_until(due)
            late.append(clock.now_us() - due)
        await clock.sleep_until(0)  # long ago
        return late

    assert run_virtual(main, seed=1, steps_max=1000).result == [0] * 7


def test_P1_clock_set_forward_wakes_and_set_back_waits_longer() -> None:  # noqa: N802
    async def main(loop: VirtualLoop) -> list[float]:
        clock = VirtualClock(loop)
        woken = []
        sleeping = asyncio.create_task(clock.sleep_until(clock.now_us() + HOUR_US))
        await asyncio.sleep(10)
        clock.step(HOUR_US)
        await sleeping
        woken.append(loop.now_s)

        sleeping = asyncio.create_task(clock.sleep_until(clock.now_us() + 10_000_000))
        await asyncio.sleep(5)
        clock.step(-HOUR_US)
        await sleeping
        woken.append(loop.now_s)
        assert clock.monotonic() == loop.now_s
        return woken

    assert run_virtual(main, seed=1).result == [10.0, 10.0 + 10 + 3600]


def test_sleeper_that_is_cancelled_leaves_nothing_behind() -> None:
    async def main(loop: VirtualLoop) -> int:
        clock = VirtualClock(loop)
        sleeping = asyncio.create_task(clock.sleep_until(clock.now_us() + HOUR_US))
        await asyncio.sleep(1)
        sleeping.cancel()
        clock.step(HOUR_US)
        await asyncio.wait([sleeping])
        assert sleeping.cancelled()
        return len(clock._sleepers)

    assert run_virtual(main, seed=1).result == 0
