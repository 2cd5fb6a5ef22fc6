"""The books, held to their invariants every hour while the daemon trades on them."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from botd.errors import BotdError, StateCorrupt
from botd.ports import Clock
from botd.runtime.supervisor import Alert

log = logging.getLogger(__name__)

EVERY_US: Final = 3_600_000_000


class Verdict(Protocol):
    """What an examination of the books came to."""

    @property
    def warnings(self) -> Sequence[str]:
        """What a person has to know of, a line each."""
        ...

    @property
    def refusal(self) -> BotdError | None:
        """Why nothing may trade on these books, None where they can be trusted."""
        ...


Examine = Callable[[Callable[[], bool]], Verdict]


class Audit:
    """Examines the books in a thread; asks for a stop in order once they cannot be trusted."""

    def __init__(self, examine: Examine, clock: Clock, alert: Alert, stop: Callable[[str], None]) -> None:
        """`examine` is called in a thread and gives up once what it is given returns true."""
        self._examine = examine
        self._clock = clock
        self._alert = alert
        self._stop = stop
        self.refusal: BotdError | None = None

    async def run(self) -> None:
        """Examine at every interval until cancelled, or until the books cannot be trusted."""
        while self.refusal is None:
            await self._clock.sleep_until(self._clock.now_us() + EVERY_US)
            await self.check()

    async def check(self) -> None:
        """Examine now."""
        given_up = threading.Event()
        try:
            verdict = await asyncio.to_thread(self._examine, given_up.is_set)
        except asyncio.CancelledError:
            given_up.set()  # the thread ends at its next look, and with it the process can
            raise
        except StateCorrupt as error:
            self._refuse(error)
            return
        for warning in verdict.warnings:
            self._alert("fsck", warning)
        if verdict.refusal is not None:
            self._refuse(verdict.refusal)

    def _refuse(self, error: BotdError) -> None:
        self.refusal = error
        log.error("books not to be trusted", extra={"error": str(error)})
        self._alert("fsck", str(error))
        self._stop("fsck")
