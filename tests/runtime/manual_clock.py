"""A clock that only the test moves."""

from __future__ import annotations

import asyncio


class ManualClock:
    """Stand still until `advance`; whoever sleeps wakes when the time they wait for is reached."""

    def __init__(self, now_us: int = 1_763_690_000_000_000) -> None:
        self._now_us = now_us
        self._sleepers: list[tuple[int, asyncio.Future[None]]] = []

    def now_us(self) -> int:
        return self._now_us

    async def sleep_until(self, ts_us: int) -> None:
        if ts_us <= self._now_us:
            await asyncio.sleep(0)
            return
        waiting = asyncio.get_running_loop().create_future()
        self._sleepers.append((ts_us, waiting))
        await waiting

    def advance(self, us: int) -> None:
        self._now_us += us
        due = [one for one in self._sleepers if one[0] <= self._now_us]
        self._sleepers = [one for one in self._sleepers if one[0] > self._now_us]
        for _, waiting in sorted(due, key=lambda one: one[0]):
            if not waiting.done():
                waiting.set_result(None)
