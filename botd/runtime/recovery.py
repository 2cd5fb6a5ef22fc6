"""What a former run of a session has committed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botd.core.bot import Bot
from botd.core.events import Command
from botd.core.restraint import trading_of
from botd.errors import InvariantBroken
from botd.ports import Cursor, JournalEvent


class Recovery:
    """What a former run of the session has committed: met again, it is not committed or sent twice."""

    def __init__(self, cursor: Cursor, events: Sequence[JournalEvent]) -> None:
        self.cursor = cursor
        self._events = list(events)
        self._next = 0

    def events_at(self, position: int) -> list[JournalEvent]:
        """Hand over the events that were applied before a merged position."""
        start = self._next
        while self._next < len(self._events) and self._events[self._next].position <= position:
            self._next += 1
        return self._events[start : self._next]

    def next_position(self) -> int:
        """Return the merged position of the next event, or the end of what was committed."""
        if self._next < len(self._events):
            return self._events[self._next].position
        return self.cursor.position


def replay(bot: Bot, event: JournalEvent) -> Sequence[Command]:
    """Have a bot meet again what was neither a row nor an answer; return what it then asks for."""
    kind, payload = event.kind, event.payload
    if kind == "command":
        return bot.obey(*trading_of(payload))
    if kind == "stop":
        return bot.stop(int(payload))
    if kind == "abandon":
        at_us, _, reason = payload.partition("|")
        return bot.flatten(int(at_us), reason)
    if kind == "epoch":
        prefix, _, venue_us = payload.partition("|")
        bot.begin_epoch(prefix, int(venue_us))
    elif kind == "job":  # of an older botd
        bot.close_books(int(payload.rpartition("|")[2]))
    elif kind == "books":
        bot.note_books(int(payload))
    else:
        raise InvariantBroken(f"the journal holds an event of kind {kind}, which nothing replays")
    return ()


def event_place(state: Mapping[str, Any]) -> tuple[int, int]:
    """Return (position, ordinal) of the last event that is in a loop's state; older states do not say."""
    position, ordinal = state.get("ordinal", (state["position"], -1))
    return position, ordinal
