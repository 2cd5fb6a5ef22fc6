"""The stream of what happens to orders, with everything that a stream does wrong."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from botd.ports import VenueError, VenueEvent
from botd.simulation.chance import Chance
from botd.simulation.exchange import sites
from botd.simulation.exchange.matching import Matching
from botd.simulation.host import Process
from botd.simulation.loop import VirtualLoop

HEARTBEAT_S: Final = 5.0
STALLED_S: Final = (5.0, 180.0)
LATE_S: Final = (0.3, 20.0)


class Subscription:
    """One connection to the stream, from both ends of it."""

    def __init__(self, process: Process, loop: VirtualLoop) -> None:
        self.process = process
        self.ended = False  # nothing goes in any more
        self.stalled_until_s = 0.0
        self.silent = False  # the stall takes the heartbeats with it
        self.under_way: deque[VenueEvent] = deque()  # in order
        self._loop = loop
        self._events: deque[VenueEvent | VenueError | None] = deque()
        self._waiter: asyncio.Future[None] | None = None

    def push(self, event: VenueEvent | VenueError | None) -> None:
        """Hand over an event, a heartbeat, or the error that ends it."""
        if self.ended or not self.process.alive:
            return
        self.ended = isinstance(event, VenueError)
        self._events.append(event)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def arrive(self) -> None:
        """Hand over the first of the events that are under way in order."""
        self.push(self.under_way.popleft())

    async def next(self) -> VenueEvent | None:
        """Return the next event, None for a heartbeat. Raises VenueError where the connection is lost."""
        while not self._events:
            self._waiter = self._loop.create_future()
            await self._waiter
        event = self._events.popleft()
        if isinstance(event, VenueError):
            raise event
        return event


class Streams:
    """All connections to the stream."""

    def __init__(
        self, loop: VirtualLoop, chance: Chance, matching: Matching, latency_s: Callable[[], float]
    ) -> None:
        self._loop = loop
        self._chance = chance
        self._outside = matching.outside
        self._latency_s = latency_s
        self._subscriptions: list[Subscription] = []

    def add(self, subscription: Subscription) -> None:
        """Begin to feed a connection."""
        self._subscriptions.append(subscription)
        self._at(self._loop.now_s + HEARTBEAT_S, self._beat, subscription)

    def tell(self, event: VenueEvent) -> None:
        """Send an event to everyone who is connected."""
        for subscription in self._subscriptions:
            self._send(subscription, event)

    def disconnect(self) -> None:
        """Break every connection."""
        for subscription in self._subscriptions:
            subscription.push(VenueError("NetworkError", "the stream was closed"))
        self._subscriptions.clear()

    def _send(self, subscription: Subscription, event: VenueEvent) -> None:
        doubled = self._chance.hit(sites.DOUBLED.name)
        dropped = self._chance.hit(sites.DROPPED.name)
        late = self._chance.hit(sites.LATE.name)
        if dropped is not None or self._stalled(subscription):
            return
        due_s = self._loop.now_s + self._latency_s()
        if late is not None:
            self._at(due_s + late.span(*LATE_S), subscription.push, event)
        else:
            subscription.under_way.append(event)  # the next timer takes the oldest, whichever it was made for
            self._at(due_s, subscription.arrive)
        if doubled is not None:
            self._at(due_s + doubled.span(*LATE_S), subscription.push, event)

    def _stalled(self, subscription: Subscription) -> bool:
        return self._loop.now_s < subscription.stalled_until_s and not self._chance.healed

    def _beat(self, subscription: Subscription) -> None:
        """Send a heartbeat, unless the connection stalls or breaks; then wait for the next."""
        if subscription.ended or not subscription.process.alive:
            subscription.ended = True
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)
            return
        stall = self._chance.hit(sites.STALL.name)
        if stall is not None:
            subscription.stalled_until_s = self._loop.now_s + stall.span(*STALLED_S)
            subscription.silent = not stall.below(2)
        if self._chance.hit(sites.DISCONNECT.name) is not None:
            subscription.push(VenueError("NetworkError", "connection reset by peer"))
        elif not (subscription.silent and self._stalled(subscription)):
            subscription.push(None)
        self._at(self._loop.now_s + HEARTBEAT_S, self._beat, subscription)

    def _at(self, when_s: float, callback: Callable[..., None], *args: object) -> None:
        self._loop.call_at(when_s, callback, *args, context=self._outside)
