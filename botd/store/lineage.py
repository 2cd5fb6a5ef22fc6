"""Which session took over from which, and the tables that the invariants read beside the file's own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from botd.errors import InputInvalid
from botd.store import rows
from botd.store.invariants import PREPARATION

_ALL: Final = -(2**63)  # every record is newer

RECORD_TABLES: Final = tuple(
    kind.table.name for kind in (*rows.DECISIONS, rows.PORTFOLIO_SNAPSHOTS, rows.ALERTS, rows.TRADING_STATES)
)


@dataclass(slots=True)
class _Session:
    """A session and its place among those that hand one account on."""

    id: str
    mode: str
    market: str  # what its feed is of: another list of instruments leaves it the same market
    account: str
    cursor_seq: int | None
    first_seq: int
    root: str
    place: int = 0
    successor: str | None = None


def prepare(connection: sqlite3.Connection, session_id: str | None, newest: int | None) -> int:
    """Make the tables that the checks read; return the number of sessions that are judged."""
    sessions = _follow(_read(connection))
    if session_id is not None:
        sessions = _up_to(session_id, sessions)
    ends: dict[str, int] = {}
    for one in sessions:
        ends[one.root] = max(ends.get(one.root, 0), one.cursor_seq or 0)
    connection.execute(
        "CREATE TEMP TABLE lineage (session_id TEXT PRIMARY KEY, root TEXT, place INTEGER, "
        "first_seq INTEGER, successor TEXT, since INTEGER)"
    )
    for one in sessions:
        since = _ALL if newest is None else ends[one.root] - newest
        connection.execute(
            "INSERT INTO lineage VALUES (?, ?, ?, ?, ?, ?)",
            (one.id, one.root, one.place, one.first_seq, one.successor, since),
        )
    # Told nothing, SQLite takes our tables for big ones, and first reads all of those it joins them to.
    connection.execute("ANALYZE temp")
    for sql in PREPARATION:
        connection.execute(sql)
    connection.execute("ANALYZE temp")
    return len(sessions)


def line_of(connection: sqlite3.Connection, session_id: str) -> tuple[str, ...]:
    """Return a session and those whose account it has taken over, oldest first."""
    return tuple(one.id for one in _up_to(session_id, _follow(_read(connection))))


def _read(connection: sqlite3.Connection) -> Iterator[_Session]:
    """Yield every session, in the order they were begun."""
    firsts = " UNION ALL ".join(
        f"SELECT min(seq) AS seq FROM {name} WHERE session_id = s.id" for name in RECORD_TABLES
    )
    for name, mode, feed, account, cursor_seq, first in connection.execute(
        f"SELECT s.id, s.mode, s.feed, s.account, c.seq, (SELECT min(seq) FROM ({firsts})) "
        "FROM sessions s LEFT JOIN journal_cursor c ON c.session_id = s.id ORDER BY s.rowid"
    ):
        yield _Session(
            id=name,
            mode=mode,
            market="synthetic" if feed.startswith("synthetic:") else feed,
            account=account,
            cursor_seq=cursor_seq,
            first_seq=(cursor_seq or 0) + 1 if first is None else first,
            root=name,
        )


def _follow(begun: Iterable[_Session]) -> list[_Session]:
    """Find for each session the one it took over from: its records count on from where that one ends."""
    sessions: list[_Session] = []
    for session in begun:
        if session.first_seq > 1:
            before = next((one for one in reversed(sessions) if _can_follow(one, session)), None)
            if before is not None:
                session.root, session.place, before.successor = before.root, before.place + 1, session.id
        sessions.append(session)
    return sessions


def _can_follow(before: _Session, session: _Session) -> bool:
    return (
        before.mode in (session.mode, "warmup")
        and (before.market, before.account) == (session.market, session.account)
        and before.cursor_seq is not None
        and before.cursor_seq < session.first_seq
    )


def _up_to(session_id: str, sessions: Iterable[_Session]) -> list[_Session]:
    """Return a session and those it took over from."""
    known = {one.id: one for one in sessions}
    last = known.get(session_id)
    if last is None:
        raise InputInvalid(f"there is no session {session_id}")
    last.successor = None
    return [one for one in known.values() if one.root == last.root and one.place <= last.place]
