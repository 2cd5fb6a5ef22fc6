"""The venue's front: bans, rate limits and maintenance, which turn requests away before anything is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from botd.ports import VenueError
from botd.simulation.chance import Chance, Stream
from botd.simulation.exchange.matching import Matching
from botd.simulation.exchange.truth import BannedCall

BANNED_S: Final = (30.0, 300.0)
LIMITED_S: Final = (1.0, 20.0)
AHEAD_MAX_US: Final = 1_000_000  # a time stamp further ahead of the venue's clock is refused, as Binance does

# Answers that say nothing about the request.
_UNCLEAR: Final[tuple[Callable[[], Exception], ...]] = (
    lambda: VenueError("ExchangeNotAvailable", "502 Bad Gateway", http=502),
    lambda: VenueError("ExchangeNotAvailable", "execution status unknown", http=503, code="-1007"),
    lambda: VenueError("ExchangeError", "internal error", http=200),
    lambda: VenueError("BadResponse", "<html><body>It works!</body></html>", http=200),
    lambda: VenueError("NullResponse", "empty body", http=200),
    lambda: KeyError("orderId"),  # what a parser raises over an answer it does not know
)


def draw_unclear(fault: Stream) -> Exception:
    """Draw an error that leaves it open whether the request was processed."""
    return fault.one_of(_UNCLEAR)()


def invalid_nonce() -> VenueError:
    """Return the refusal of a request that came too late after its time stamp, or too early before it."""
    return VenueError("InvalidNonce", "timestamp is outside of the recvWindow", http=400, code="-1021")


class Gate:
    """Says which requests come through."""

    def __init__(self, chance: Chance, matching: Matching) -> None:
        self._chance = chance
        self._matching = matching
        self._truth = matching.truth
        self._banned_until_us = 0
        self._limited_until_us = 0
        self._told: dict[str, int] = {}  # by process: when it first heard of the ban that stands
        self._first_told_us: int | None = None

    def refusal(self, process: str, sent_us: int) -> VenueError | None:
        """Return why a request that arrives now is turned away, or None."""
        if self._chance.healed:
            return None
        now_us = self._matching.now_us()
        if now_us < self._banned_until_us:
            call = BannedCall(
                process=process,
                sent_us=sent_us,
                told_us=self._told.get(process),
                first_told_us=self._first_told_us,
            )
            self._truth.banned_calls.append(call)
            return self._ban_error(now_us)
        if now_us < self._matching.paused_until_us:
            return VenueError("ExchangeNotAvailable", "system maintenance", http=503)
        if now_us < self._limited_until_us:
            self._truth.limited_calls += 1
            return self._limit_error(now_us)
        return None

    def ban(self, fault: Stream) -> VenueError:
        """Want no request for a while."""
        now_us = self._matching.now_us()
        self._banned_until_us = now_us + int(fault.span(*BANNED_S) * 1e6)
        self._told.clear()
        self._first_told_us = None
        return self._ban_error(now_us)

    def limit(self, fault: Stream) -> VenueError:
        """Refuse this request and those of the next seconds."""
        now_us = self._matching.now_us()
        self._limited_until_us = now_us + int(fault.span(*LIMITED_S) * 1e6)
        return self._limit_error(now_us)

    def told(self, process: str) -> None:
        """Take note that a process has the answer that tells of the ban."""
        now_us = self._matching.now_us()
        self._told.setdefault(process, now_us)
        if self._first_told_us is None:
            self._first_told_us = now_us

    def _ban_error(self, now_us: int) -> VenueError:
        rest_us = self._banned_until_us - now_us
        text = "way too many requests: banned"
        return VenueError("DDoSProtection", text, http=418, code="-1003", retry_after_us=rest_us)

    def _limit_error(self, now_us: int) -> VenueError:
        rest_us = self._limited_until_us - now_us
        return VenueError(
            "RateLimitExceeded", "too many requests", http=429, code="-1003", retry_after_us=rest_us
        )
