"""The way to a venue: every request goes through here, once, and waits while it would not be heard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import Final, TypeVar

from botd.core.verdicts import Verdict, verdict
from botd.ports import Clock, RemoteVenue, VenueError

T = TypeVar("T")

GRACE_S: Final = 2.0  # after the venue's own time limit: an adapter that hangs is as good as no answer
RETRY_AFTER_US: Final = 1_000_000  # where a venue limits and does not say for how long
BAN_US: Final = 120_000_000  # where a venue bans and does not say for how long
OFFSET_WARN_US: Final = 500_000
WRONG_CLOCK: Final = "InvalidNonce"


class Kind(IntEnum):
    """What a request is for: the smaller, the sooner it goes."""

    CANCEL = 0  # never waits for a limit, only for a ban
    EXIT = 1
    READ = 2
    ENTRY = 3  # never waits: what is decided later is another decision


class Closed(Exception):
    """The venue wants to hear nothing now, and this request does not wait."""


class Link:
    """Makes requests. Knows how far our clock is off, and until when the venue is not to be asked."""

    def __init__(
        self,
        venue: RemoteVenue,
        clock: Clock,
        monotonic: Callable[[], float],
        on_ban: Callable[[int, str], None],
    ) -> None:
        """`on_ban` hears of a ban: for how long, in microseconds, and why."""
        self.venue = venue
        self.rules = venue.rules
        self.now_s = monotonic
        self._clock = clock
        self._on_ban = on_ban
        self._limited_until_s = 0.0
        self._banned_until_s = 0.0
        self.offset_us = 0  # what the venue's clock is ahead of ours
        self.wrong_clock = asyncio.Event()  # the venue refused our time

    def now_us(self) -> int:
        """Return the venue's time, as far as we know it."""
        return self._clock.now_us() + self.offset_us

    def stay_away(self, for_us: int) -> None:
        """Ask nothing for a while, counted by a clock that nobody sets."""
        self._banned_until_s = max(self._banned_until_s, self.now_s() + for_us / 1e6)

    @property
    def banned(self) -> bool:
        return self.now_s() < self._banned_until_s

    def closed_to(self, kind: Kind) -> bool:
        """Say whether a request of this kind would have to wait."""
        return self.banned or (kind is not Kind.CANCEL and self.now_s() < self._limited_until_s)

    async def ask(self, kind: Kind, call: Callable[[], Awaitable[T]]) -> T:
        """Make a request, once it may be made; raise VenueError for whatever goes wrong with it.

        Raises Closed for an entry that would have to wait.
        """
        if kind is Kind.ENTRY and self.closed_to(kind):
            raise Closed
        await self.opened(kind)
        try:
            async with asyncio.timeout(self.rules.request_timeout_us / 1e6 + GRACE_S):
                return await call()
        except VenueError as error:
            self.learn(error)
            raise
        except TimeoutError as error:
            raise VenueError("RequestTimeout", "the request did not return") from error
        except Exception as error:  # an answer that cannot be read says as little as none
            raise VenueError(type(error).__name__, f"{type(error).__name__}: {error}") from error

    async def opened(self, kind: Kind) -> None:
        """Wait until a request of this kind may be made."""
        while self.closed_to(kind):
            ban_s = self._banned_until_s - self.now_s()
            limit_s = 0.0 if kind is Kind.CANCEL else self._limited_until_s - self.now_s()
            await asyncio.sleep(max(0.05, ban_s, limit_s))

    def verdict(self, error: VenueError) -> Verdict:
        """Return what an error says about the request."""
        return verdict(self.rules.name, error.name, http=error.http, code=error.code)

    def learn(self, error: VenueError) -> None:
        """Take from an error what it says about the requests to come."""
        found = self.verdict(error)
        if error.name == WRONG_CLOCK:
            self.wrong_clock.set()
        if found is Verdict.BANNED:
            for_us = error.retry_after_us or BAN_US
            if not self.banned:
                self._on_ban(for_us, str(error))
            self.stay_away(for_us)
        elif found is Verdict.RATE_LIMITED:
            wait_s = (error.retry_after_us or RETRY_AFTER_US) / 1e6
            self._limited_until_s = max(self._limited_until_s, self.now_s() + wait_s)

    async def measure_offset(self) -> None:
        """Compare clocks: the venue's time against the middle of the request, good to half of what it took.

        A request too slow to tell whether the offset has changed leaves it as it is.
        """
        ahead_us, took_us = await self.ask(Kind.READ, self._compare_clocks)
        if abs(ahead_us - self.offset_us) > took_us / 2:
            self.offset_us = ahead_us
        self.venue.correct_clock(self.offset_us)

    async def _compare_clocks(self) -> tuple[int, float]:
        """Return what the venue's clock is ahead of ours, and what asking took, in microseconds."""
        before_us, before_s = self._clock.now_us(), self.now_s()
        theirs_us = await self.venue.fetch_time_us()
        took_us = (self.now_s() - before_s) * 1e6
        return theirs_us - (before_us + round(took_us / 2)), took_us
