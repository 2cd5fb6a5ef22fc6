"""A gateway that repeats itself: whoever tells the core of an answer may do so twice."""

from __future__ import annotations

from typing import Any, Final

from botd.core.events import Answer, RequestRefused
from botd.daemon import Daemon
from botd.errors import InvariantBroken
from botd.runtime.brake import Brake
from botd.runtime.gateway import Gateway
from botd.simulation.chance import Chance, Site

COPIED: Final = Site("answer.copied", 0.2)  # of each answer that the core is told


class EchoingGateway(Gateway):
    """Tells some answers twice, one right after the other; nothing may come of the second."""

    chance: Chance

    def take_waiting(self, position: int) -> list[Answer]:
        told: list[Answer] = []
        for answer in super().take_waiting(position):
            told.append(answer)
            # a refusal names no request: told twice it answers the cancel that the first one has made
            if not isinstance(answer, RequestRefused) and self.chance.hit(COPIED.name) is not None:
                told.append(answer)
        return told


class EchoingDaemon(Daemon):
    """A daemon behind such a gateway."""

    def __init__(self, chance: Chance, *terms: Any, **named: Any) -> None:
        super().__init__(*terms, **named)
        self._chance = chance

    def _connect(self, brake: Brake) -> Gateway:
        if self._venue is None:
            raise InvariantBroken("there is no venue to connect to")
        gateway = EchoingGateway(self._venue, self._clock, self._machine.clock.monotonic, brake)
        gateway.chance = self._chance
        return gateway
