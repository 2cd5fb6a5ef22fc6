"""The way of a request to the venue and of its answer back, in virtual time.

A request goes on whoever made it: the steps of its way belong to no process. Everything that may happen to
it on the way is drawn when it is made, so that what happens to one moves no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from botd.core.events import SubmitOrder
from botd.ports import VenueError, VenueRules
from botd.simulation.chance import Chance, Stream
from botd.simulation.exchange.gate import AHEAD_MAX_US, Gate, draw_unclear, invalid_nonce
from botd.simulation.exchange.matching import Matching
from botd.simulation.exchange.sites import ACK_LATE, BANNED, PATHS, SLOW, Kind
from botd.simulation.exchange.truth import ACCEPTED, UNPROCESSED, Arrival
from botd.simulation.host import Process
from botd.simulation.loop import VirtualLoop

LATENCY_S: Final = (0.01, 0.12)  # one way
PROCESSING_S: Final = (0.001, 0.02)
HELD_S: Final = (0.5, 12.0)
ACK_LATE_S: Final = (0.3, 6.0)
RESET_S: Final = (0.05, 4.0)  # until a caller is told that the connection broke

_PATH_NAMES: Final = {kind: tuple(site.name for site in path) for kind, path in PATHS.items()}


class Request:
    """One request under way, and what is to happen to it."""

    __slots__ = (
        "answer_s",
        "args",
        "arrived_us",
        "banned",
        "error",
        "handler",
        "kind",
        "limited",
        "process",
        "reply",
        "sent_us",
        "slow",
        "stamp_us",
    )

    def __init__(
        self,
        process: Process,
        kind: Kind,
        handler: Callable[..., object],
        args: tuple[Any, ...],
        reply: asyncio.Future[Any],
    ) -> None:
        self.process = process
        self.kind = kind
        self.handler = handler
        self.args = args
        self.reply = reply
        self.stamp_us: int | None = None
        self.sent_us = 0  # venue time
        self.arrived_us = 0
        self.answer_s: float | None = None  # when the answer is back, None where it never is
        self.error: Stream | None = None
        self.limited: Stream | None = None
        self.banned: Stream | None = None
        self.slow: Stream | None = None


class Network:
    """Carries requests to the handlers of the venue and answers to those who wait for them."""

    def __init__(
        self, loop: VirtualLoop, chance: Chance, rules: VenueRules, matching: Matching, gate: Gate
    ) -> None:
        self._loop = loop
        self._chance = chance
        self._rules = rules
        self._matching = matching
        self._gate = gate
        self._latency = chance.stream("venue.latency")

    def latency_s(self) -> float:
        """Draw how long a message takes one way."""
        return self._latency.span(*LATENCY_S)

    def send(
        self,
        process: Process,
        kind: Kind,
        handler: Callable[..., object],
        *args: Any,
        stamp_us: int | None,
    ) -> asyncio.Future[Any]:
        """Start a request on its way. What comes back is a value, or the exception to raise.

        `stamp_us` is the time that the caller signed it with, None for one that is valid for ever.
        """
        request = Request(process, kind, handler, args, self._loop.create_future())
        hit = self._chance.hit
        lost, held, unanswered, request.error, request.limited = map(hit, _PATH_NAMES[kind])
        request.banned = hit(BANNED.name)
        request.sent_us = self._matching.now_us()
        request.stamp_us = stamp_us

        arrived_s = self._loop.now_s + self.latency_s()
        if held is not None:
            arrived_s += held.span(*HELD_S)
        request.arrived_us = request.sent_us + round((arrived_s - self._loop.now_s) * 1e6)
        done_s = arrived_s + self._latency.span(*PROCESSING_S)
        answer_s = self.latency_s()
        if kind is Kind.SUBMIT:
            request.slow = hit(SLOW.name)
            if request.slow is not None:
                done_s = arrived_s + request.slow.span(0.1, 1.0) * self._rules.processing_us / 1e6
            late = hit(ACK_LATE.name)
            if late is not None:
                answer_s += late.span(*ACK_LATE_S)
        answer_s += done_s
        deadline_s = self._loop.now_s + self._rules.request_timeout_us / 1e6
        broken = lost or unanswered or (held if held is not None and held.below(2) else None)
        if broken is None and answer_s < deadline_s:
            request.answer_s = answer_s
        else:
            self._give_up(request, broken, deadline_s)
        if lost is None:
            self._at(done_s, self._process, request)
        return request.reply

    def _at(self, when_s: float, callback: Callable[..., None], *args: object) -> None:
        self._loop.call_at(when_s, callback, *args, context=self._matching.outside)

    def _give_up(self, request: Request, broken: Stream | None, deadline_s: float) -> None:
        """Let the caller see a timeout, or sooner that the connection broke."""
        if broken is not None and broken.below(2):
            at_s = min(deadline_s, self._loop.now_s + broken.span(*RESET_S))
            self._at(at_s, self._deliver, request, VenueError("NetworkError", "connection reset by peer"))
        else:
            self._at(deadline_s, self._deliver, request, VenueError("RequestTimeout", "no answer"))

    def _process(self, request: Request) -> None:
        result = self._decide(request)
        if request.answer_s is not None:
            self._at(request.answer_s, self._deliver, request, result)

    def _decide(self, request: Request) -> object:
        """Carry a request out, or do not; return what is answered."""
        refusal = self._refusal(request)
        error = request.error
        outcome = ACCEPTED
        result: object
        if refusal is not None:
            result, outcome = refusal, refusal.name
        elif error is not None and not error.below(3):
            result, outcome = draw_unclear(error), UNPROCESSED
        else:
            try:
                result = request.handler(*request.args)
            except VenueError as refused:
                result, outcome = refused, refused.name
            if error is not None:
                result = draw_unclear(error)
        if request.kind is Kind.SUBMIT:
            self._record(request, outcome)
        return result

    def _record(self, request: Request, outcome: str) -> None:
        order = request.args[0]
        if isinstance(order, SubmitOrder):
            arrival = Arrival(
                order=order,
                process=request.process.label,
                sent_us=request.sent_us,
                arrived_us=request.arrived_us,
                decided_us=self._matching.now_us(),
                outcome=outcome,
            )
            self._matching.truth.arrivals.append(arrival)

    def _refusal(self, request: Request) -> VenueError | None:
        refusal = self._gate.refusal(request.process.label, request.sent_us)
        if refusal is not None:
            return refusal
        if request.banned is not None and not self._chance.healed:
            return self._gate.ban(request.banned)
        if request.limited is not None and not self._chance.healed:
            return self._gate.limit(request.limited)
        return invalid_nonce() if self._stale(request) else None

    def _stale(self, request: Request) -> bool:
        """Whether a request is outside of its validity, by the venue's clock."""
        stamp_us = request.stamp_us
        if stamp_us is None:
            return False
        validity_us = self._rules.validity_us
        if request.arrived_us - stamp_us > validity_us or stamp_us - request.arrived_us > AHEAD_MAX_US:
            return True
        now_us = self._matching.now_us()
        if now_us - request.sent_us > validity_us + self._rules.processing_us:  # a clock ahead gains nothing
            return True
        looks_again = request.slow is not None and request.slow.below(2)  # right before it matches
        return bool(looks_again) and now_us - stamp_us > validity_us

    def _deliver(self, request: Request, result: object) -> None:
        """Hand an answer to whoever waits for it; the dead and those who gave up hear nothing."""
        process = request.process
        if not process.alive or request.reply.done():
            return
        if isinstance(result, VenueError) and result.http == 418:
            self._gate.told(process.label)
        request.reply.set_result(result)
