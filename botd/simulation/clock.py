"""The clock of one simulated process: it shows the loop's time, wrong by as much as its machine's is."""

from __future__ import annotations

import asyncio
from typing import Final

from botd.simulation.loop import VirtualLoop

EPOCH_US: Final = 1_767_225_600_000_000  # 2026-01-01 00:00:00 UTC, at virtual time zero


class VirtualClock:
    """ports.Clock on virtual time, with a wall clock that can be wrong and can be set."""

    def __init__(self, loop: VirtualLoop, *, skew_us: int = 0) -> None:
        self._loop = loop
        self._started_s = loop.now_s
        self._skew_us = skew_us
        self._sleepers: list[asyncio.Future[None]] = []

    def now_us(self) -> int:
        """Return microseconds since 1970 UTC; it may be set back."""
        return EPOCH_US + self._skew_us + round(self._loop.now_s * 1e6)

    def monotonic(self) -> float:
        """Return seconds since the process began; they only ever grow."""
        return self._loop.now_s - self._started_s

    def step(self, by_us: int) -> None:
        """Set the wall clock; whoever sleeps until a time looks at it anew."""
        self._skew_us += by_us
        for sleeper in self._sleepers:
            if not sleeper.done():
                sleeper.set_result(None)

    async def sleep_until(self, ts_us: int) -> None:
        """Return once `now_us` has reached a time; the event loop gets its turn in any case."""
        await asyncio.sleep(0)
        while ts_us > self.now_us():
            sleeper: asyncio.Future[None] = self._loop.create_future()
            due_s = (ts_us - EPOCH_US - self._skew_us) / 1e6
            timer = self._loop.call_at(due_s, _wake, sleeper)
            self._sleepers.append(sleeper)
            try:
                await sleeper
            finally:
                timer.cancel()
                self._sleepers.remove(sleeper)


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
