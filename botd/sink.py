"""Groups of a session that is not live yet, committed many at a time or at once."""

from __future__ import annotations

from typing import Final

from botd.core.records import Record
from botd.machine import Display
from botd.ports import Batch
from botd.runtime.bars import BarRecorder
from botd.runtime.loop import Group, TradingLoop
from botd.store.journal import SqliteJournal

WARM_UP_GROUPS: Final = 1_000  # per transaction: nothing depends on a warm-up's being durable at once


class Sink:
    """Commits groups of a session that is not live yet, many at a time or at once."""

    def __init__(
        self,
        journal: SqliteJournal,
        session_id: str,
        loop: TradingLoop,
        screen: Display,
        *,
        announce: bool = True,
        bars: BarRecorder | None = None,
    ) -> None:
        """With `announce`, what is committed is told line by line; with it go the `bars` that changed."""
        self._journal = journal
        self._session_id = session_id
        self._loop = loop
        self._screen = screen
        self._announce = announce
        self._bars = bars
        self._pending: list[Group] = []
        self.written = 0

    def take(self, group: Group, *, at_once: bool = False) -> None:
        self._pending.append(group)
        if at_once or len(self._pending) >= WARM_UP_GROUPS:
            self.write()

    def write(self) -> None:
        """Commit what is pending."""
        records: tuple[Record, ...] = tuple(r for group in self._pending for r in group.records)
        events = tuple(event for group in self._pending for event in group.events)
        self._pending.clear()
        cursor, bars = self._loop.cursor(), self._bars.take() if self._bars else ()
        batch = Batch(session_id=self._session_id, records=records, events=events, cursor=cursor, bars=bars)
        self._journal.commit(batch)
        self._screen.update(records, announce=self._announce)
        self.written += len(records)
