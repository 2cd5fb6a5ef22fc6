"""The brake: trading commands from any thread. What they forbid holds at once, before the bot obeys."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from botd.core.events import Answer, Command, OrderEnded, SubmitOrder
from botd.core.restraint import OF_ONE_THING, TradingCommand, Verb
from botd.ports import EventVenue

Numbered = tuple[int, Command]  # a command and its place among all of the session

NEVER_SENT: Final = "halted before it was sent"
_FORBIDS: Final = (Verb.HALT, Verb.HOLD)


class Brake:
    """Commands on their way to the bot, which obeys between two rows and writes down that it did.

    Until then the brake is on for a halt or a hold: whatever sends orders looks at `on` right before it
    sends one that adds risk. From then on the bot denies by itself. `asked` says that commands wait, and
    `urgent` that one of them may be obeyed between any two rows.
    """

    def __init__(self) -> None:
        self.on = False
        self.asked = False
        self.urgent = False
        self._lock = threading.Lock()
        self._waiting: list[tuple[TradingCommand, Callable[[], None] | None]] = []
        self._obeyed: list[Callable[[], None]] = []
        self._wake: Callable[[], object] | None = None

    def ask(self, command: TradingCommand, *, then: Callable[[], None] | None = None) -> None:
        """Take a command from any thread; `then` is called once it is obeyed and on disk."""
        with self._lock:
            self._waiting.append((command, then))
            self.on = self.on or command.verb in _FORBIDS
            self.asked = True
            self.urgent = self.urgent or command.verb not in OF_ONE_THING
            wake = self._wake
        if wake is not None:
            with suppress(RuntimeError):  # the event loop is closed: there is nobody to wake
                wake()

    def wake_by(self, wake: Callable[[], object] | None) -> None:
        """Have a function called, in the asking thread, whenever a command comes in."""
        with self._lock:
            self._wake = wake

    def take(self, *, ending: bool = True) -> list[TradingCommand]:
        """Hand over what waits, in the order it was asked for; the caller obeys before it sends anything.

        What ends an order or a position waits on, unless it is asked for.
        """
        with self._lock:
            taken = [one for one in self._waiting if ending or one[0].verb not in OF_ONE_THING]
            self._waiting = [one for one in self._waiting if one not in taken]
            self._obeyed += [then for _, then in taken if then is not None]
            self.on = self.urgent = False
            self.asked = bool(self._waiting)
        return [command for command, _ in taken]

    def settle(self) -> None:
        """Say that what was taken is obeyed and on disk."""
        with self._lock:
            obeyed, self._obeyed = self._obeyed, []
        for then in obeyed:
            then()


def withhold(
    numbered: Sequence[Numbered], venue: EventVenue, ts_us: int
) -> tuple[list[Answer], list[Numbered]]:
    """Return how entries that were never sent end, and what may be sent.

    An entry that the venue has, from a run before this one, is not ended here: its outcome is the venue's.
    """
    held: list[Answer] = []
    sent: list[Numbered] = []
    for number, command in numbered:
        adds_risk = isinstance(command, SubmitOrder) and not command.reduce_only
        if adds_risk and not venue.took(number):
            order = command.client_order_id
            held.append(
                OrderEnded(seq=0, client_order_id=order, canceled=False, reason=NEVER_SENT, ts_us=ts_us)
            )
        else:
            sent.append((number, command))
    return held, sent
