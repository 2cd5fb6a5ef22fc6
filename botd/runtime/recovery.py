"""What a former run of a session has committed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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


def event_place(state: Mapping[str, Any]) -> tuple[int, int]:
    """Return (position, ordinal) of the last event that is in a loop's state; older states do not say."""
    position, ordinal = state.get("ordinal", (state["position"], -1))
    return position, ordinal
