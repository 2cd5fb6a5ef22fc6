"""What the simulated venue keeps per instrument, and its form on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botd.core.codec import command_of, command_text
from botd.core.events import Answer, Command, SubmitOrder
from botd.core.instrument import InstrumentId
from botd.engine.fills import NEVER


@dataclass(slots=True, eq=False)
class Working:
    """An order at the venue."""

    command: SubmitOrder
    qty: int  # lots, the whole order
    filled: int = 0
    checked: int = -1  # absolute row up to which (inclusive) it was compared with prices

    @property
    def leaves(self) -> int:
        return self.qty - self.filled


@dataclass(slots=True, eq=False)
class Request:
    """A command on its way; `number` is its place among all commands of the session."""

    number: int
    arrives_us: int
    command: Command


@dataclass(slots=True, eq=False)
class Floor:
    """One instrument's part of the venue: what is on its way and what rests."""

    requests: list[Request] = field(default_factory=list)
    working: dict[str, Working] = field(default_factory=dict)

    def deadline_us(self) -> int:
        """Return the earliest time at which a request arrives or an order expires, NEVER for none."""
        deadline = NEVER
        for request in self.requests:
            if request.arrives_us < deadline:
                deadline = request.arrives_us
        for order in self.working.values():
            expire_us = order.command.expire_us
            if expire_us is not None and expire_us < deadline:
                deadline = expire_us
        return deadline

    def state(self) -> dict[str, Any]:
        """Return the floor as JSON values."""
        return {
            "requests": [[r.number, r.arrives_us, command_text(r.command)] for r in self.requests],
            "working": [[command_text(w.command), w.qty, w.filled, w.checked] for w in self.working.values()],
        }

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Floor:
        """Make the floor that `state` described."""
        floor = cls([Request(number, at, command_of(text)) for number, at, text in state["requests"]])
        for text, qty, filled, checked in state["working"]:
            command = command_of(text)
            if isinstance(command, SubmitOrder):
                floor.working[command.client_order_id] = Working(command, qty, filled, checked)
        return floor


@dataclass(frozen=True, slots=True)
class Due:
    """An answer and the merged position before which the bot has to hear of it."""

    instrument: InstrumentId
    position: int
    answer: Answer
