"""The wall clock. Nothing else in botd reads one: everywhere else time is an argument."""

from __future__ import annotations

import asyncio
import time
from typing import Final

_SLICE_S: Final = 1.0  # a wall clock that is set meanwhile is noticed this soon


class WallClock:
    """The machine's clock, as `ports.Clock` asks for it."""

    def now_us(self) -> int:
        """Return microseconds since 1970 UTC; it may be set back."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Return seconds since some moment; they only ever grow. For measuring how long things take."""
        return time.perf_counter()

    async def sleep_until(self, ts_us: int) -> None:
        """Return once `now_us` has reached a time; the event loop gets its turn in any case."""
        await asyncio.sleep(0)
        while (left_us := ts_us - self.now_us()) > 0:  # noqa: ASYNC110 - nobody announces the time
            await asyncio.sleep(min(left_us / 1_000_000, _SLICE_S))
