"""The journal of a running session in its writer's thread: commits, snapshots, swaps of plans, the end."""

from __future__ import annotations

from collections.abc import Sequence

from botd.config.plan import Plan
from botd.core.records import Record
from botd.core.reload import ReloadOutcome
from botd.machine import JournalWriter
from botd.ports import Batch, Cursor
from botd.runtime.snapshot import encode
from botd.store.journal import SqliteJournal


class SessionWriter:
    """The journal behind its writer, with snapshots encoded there too."""

    def __init__(self, journal: SqliteJournal, plan_hash: str, writer: JournalWriter) -> None:
        self._journal = journal
        self._plan_hash = plan_hash
        self._writer = writer

    async def commit(self, batch: Batch) -> None:
        """Write one transaction; return when it is on disk."""
        await self._writer.commit(batch)

    async def snapshot(self, session_id: str, cursor: Cursor, state: dict[str, object]) -> None:
        """Keep a state; the copy was made by the caller, the rest is the writer's."""
        await self._writer.call(self._save, session_id, cursor, state)

    def _save(self, session_id: str, cursor: Cursor, state: dict[str, object]) -> None:
        self._journal.save_snapshot(session_id, cursor, encode(state, plan=self._plan_hash))

    async def swapped(
        self,
        outcome: ReloadOutcome,
        plan: Plan,
        records: Sequence[Record],
        cursor: Cursor,
        state: dict[str, object],
    ) -> None:
        """Write a swap of plans: the files, what it recorded and the state that goes on, all or nothing."""
        self._plan_hash = plan.config_hash
        await self._writer.call(self._swap, outcome, plan, records, cursor, state)

    def _swap(
        self,
        outcome: ReloadOutcome,
        plan: Plan,
        records: Sequence[Record],
        cursor: Cursor,
        state: dict[str, object],
    ) -> None:
        journal, session_id = self._journal, outcome.session_id
        payload = encode(state, plan=plan.config_hash)
        with journal.together():
            journal.save_revision(config_hash=plan.config_hash, files=plan.files, applied_us=outcome.ts_us)
            journal.follow_plan(session_id, plan.config_hash)
            journal.commit(Batch(session_id=session_id, records=tuple(records), cursor=cursor))
            journal.save_snapshot(session_id, cursor, payload)
            journal.save_reload(outcome)

    async def note(self, outcome: ReloadOutcome) -> None:
        """Write what came of a reload that swapped nothing."""
        await self._writer.call(self._journal.save_reload, outcome)

    async def end(self, session_id: str, status: str, ended_us: int) -> None:
        """Write how the session ended."""
        await self._writer.call(self._journal.end_session, session_id, status=status, ended_us=ended_us)

    async def close(self) -> None:
        await self._writer.close()
