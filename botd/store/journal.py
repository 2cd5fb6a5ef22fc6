"""The only writer of the state file: synchronous, one connection, one transaction per batch."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from decimal import Decimal
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from botd.core.instrument import Instrument
from botd.core.records import MarketBar
from botd.core.reload import ReloadOutcome, diagnostics_text
from botd.core.updates import Untold, UntoldAlert, UntoldTrade
from botd.errors import InputInvalid, InvariantBroken
from botd.failpoints import Point, failpoint
from botd.ports import Batch, Cursor, JournalEvent, SessionInfo
from botd.store import tables
from botd.store.rows import BAR_COLUMNS, UPSERT_BAR, bar_values, insert_sql, statements, upsert_sql
from botd.store.schema import DEFAULT_STATE, open_checked, refusal
from botd.store.snapshots import SnapshotFolder

SNAPSHOTS_KEPT: Final = 2
BARS_KEPT_US: Final = 90 * 86_400_000_000

_EVENTS_PAGE: Final = 1000
_HOUR_US: Final = 3_600_000_000

_CURSOR_NAMES: Final = tuple(field.name for field in fields(Cursor))
_SESSION_NAMES: Final = tuple(field.name for field in fields(SessionInfo))

_INSERT_EVENT: Final = insert_sql(
    tables.journal_events, ("session_id", "position", "ordinal", "kind", "payload")
)
_INSERT_RELOAD: Final = insert_sql(
    tables.reloads,
    (
        "ts_us",
        "who",
        "ok",
        "config_hash",
        "running_hash",
        "session_id",
        "position",
        "changes",
        "errors",
    ),
)
# A session resumed from a snapshot passes old positions again; what it had reached stays true.
_UPSERT_CURSOR: Final = upsert_sql(
    tables.journal_cursor,
    ("session_id", *_CURSOR_NAMES),
    where="(excluded.position, excluded.seq) >= (journal_cursor.position, journal_cursor.seq)",
)
_UPSERT_SESSION: Final = upsert_sql(
    tables.sessions, _SESSION_NAMES, keep=("mode", "feed", "started_us", "account")
)
_UPSERT_SNAPSHOT: Final = upsert_sql(
    tables.engine_snapshots, ("session_id", *_CURSOR_NAMES, "sha256", "file_name", "size_bytes")
)
_cursor_values: Final = attrgetter(*_CURSOR_NAMES)
_session_values: Final = attrgetter(*_SESSION_NAMES)
_SELECT_CURSOR: Final = f"SELECT {', '.join(_CURSOR_NAMES)}"
_SELECT_SESSION: Final = f"SELECT {', '.join(_SESSION_NAMES)} FROM sessions"


def open_state(path: Path | str = DEFAULT_STATE) -> SqliteJournal:
    """Open the state file, made or upgraded where that is due.

    Raises InputInvalid where it cannot be written, StateCorrupt where it is damaged or not ours,
    NewerSchema where a newer botd wrote it, SecondDaemon where another process holds it.
    """
    path = Path(path)
    return SqliteJournal(open_checked(path), path)


class SqliteJournal:
    """botd.ports.Journal on SQLite. Any thread may call it, one at a time."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self._connection = connection
        self._snapshots = SnapshotFolder(path)
        self._open = False  # inside `together`
        self.bars_kept_us = BARS_KEPT_US

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make one transaction of all that is written inside: a kill leaves all of it or nothing."""
        with self._transaction():
            self._open = True
            try:
                yield
            finally:
                self._open = False

    def start_session(self, info: SessionInfo) -> None:
        """Begin a session, or go on with it: then it keeps when it started, and what it is."""
        with self._transaction() as connection:
            connection.execute(_UPSERT_SESSION, _session_values(info))

    def end_session(self, session_id: str, *, status: str, ended_us: int) -> None:
        with self._transaction() as connection:
            done = connection.execute(
                "UPDATE sessions SET status = ?, ended_us = ? WHERE id = ?", (status, ended_us, session_id)
            )
            if done.rowcount != 1:
                raise InvariantBroken(f"session {session_id} ends but never started")

    def follow_plan(self, session_id: str, config_hash: str) -> None:
        """Say that a session goes on by another configuration from here on."""
        with self._transaction() as connection:
            connection.execute("UPDATE sessions SET config_hash = ? WHERE id = ?", (config_hash, session_id))

    def note_killed(self, ended_us: int) -> None:
        """Mark the sessions that a former daemon left running; only the holder of the state's lock may."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE sessions SET status = 'killed', ended_us = ? WHERE status = 'running'", (ended_us,)
            )

    def accounts(self) -> tuple[str, ...]:
        """Return the accounts whose sessions are in the file."""
        return tuple(name for (name,) in self._select("SELECT DISTINCT account FROM sessions", ()))

    def find_session(self, *, mode: str, feed: str) -> SessionInfo | None:
        found = self._select(
            f"{_SELECT_SESSION} WHERE mode = ? AND feed = ? AND status <> 'finished' "
            "ORDER BY started_us DESC, id DESC LIMIT 1",
            (mode, feed),
        )
        return SessionInfo(**dict(zip(_SESSION_NAMES, found[0], strict=True))) if found else None

    def newest_session(self, *, mode: str, feed_kind: str) -> SessionInfo | None:
        """Return the newest session of a mode on any feed of a kind that has not finished, if any."""
        found = self._select(
            f"{_SELECT_SESSION} WHERE mode = ? AND feed LIKE ? || ':%' AND status <> 'finished' "
            "ORDER BY started_us DESC, id DESC LIMIT 1",
            (mode, feed_kind),
        )
        return SessionInfo(**dict(zip(_SESSION_NAMES, found[0], strict=True))) if found else None

    def commit(self, batch: Batch) -> None:
        """Write one transaction; it is on disk when this returns, and nothing of it is when it raises."""
        session_id = batch.session_id
        grouped = statements(session_id, batch.records)
        with self._transaction() as connection:
            for sql, parameters in grouped:
                connection.executemany(sql, parameters)
            if batch.bars:
                self._write_bars(connection, batch.bars)
            failpoint(Point.TX_MID)
            if batch.events:
                connection.executemany(
                    _INSERT_EVENT,
                    [(session_id, e.position, e.ordinal, e.kind, e.payload) for e in batch.events],
                )
            if batch.cursor is not None:
                connection.execute(_UPSERT_CURSOR, (session_id, *_cursor_values(batch.cursor)))

    def _write_bars(self, connection: sqlite3.Connection, bars: Sequence[MarketBar]) -> None:
        connection.executemany(UPSERT_BAR, [bar_values(bar) for bar in bars])
        for bar in bars:
            if bar.open_us % _HOUR_US == 0:  # now and then
                connection.execute(
                    "DELETE FROM ohlcv_history WHERE instrument = ? AND open_us < ?",
                    (bar.traded.id, bar.open_us - self.bars_kept_us),
                )

    def newest_bars(self, instruments: Sequence[Instrument]) -> tuple[MarketBar, ...]:
        """Return the newest bar of each instrument that has one, in its own ticks and lots."""
        found = []
        for one in instruments:
            rows = self._select(
                f"SELECT {', '.join(BAR_COLUMNS[1:])} FROM ohlcv_history WHERE instrument = ? "
                "ORDER BY open_us DESC LIMIT 1",
                (one.id,),
            )
            for open_us, opened, high, low, close, volume, tick, lot, position in rows:
                traded = replace(one, tick_size=Decimal(tick), lot_size=Decimal(lot))
                found.append(MarketBar(traded, open_us, opened, high, low, close, volume, position))
        return tuple(found)

    def cursor(self, session_id: str) -> Cursor | None:
        found = self._select(f"{_SELECT_CURSOR} FROM journal_cursor WHERE session_id = ?", (session_id,))
        return _cursor(found[0]) if found else None

    def events(self, session_id: str, *, from_position: int) -> Iterator[JournalEvent]:
        """Yield the events at or after a position, by (position, ordinal), a page at a time."""
        after = (from_position, -1)
        while True:
            rows = self._select(
                "SELECT position, ordinal, kind, payload FROM journal_events WHERE session_id = ? "
                "AND (position, ordinal) > (?, ?) ORDER BY position, ordinal LIMIT ?",
                (session_id, *after, _EVENTS_PAGE),
            )
            for position, ordinal, kind, payload in rows:
                yield JournalEvent(position=position, ordinal=ordinal, kind=kind, payload=payload)
            if len(rows) < _EVENTS_PAGE:
                return
            after = rows[-1][:2]

    def save_snapshot(self, session_id: str, cursor: Cursor, payload: bytes) -> None:
        """Keep the engine's state at a cursor: the file first, then the row that makes it count."""
        try:
            name, sha256 = self._snapshots.write(session_id, cursor.position, payload)
        except OSError as error:
            raise InputInvalid(
                f"cannot write a snapshot into {self._snapshots.path}: {error.strerror}; make room for it"
            ) from error
        failpoint(Point.SNAPSHOT_FILE)
        with self._transaction() as connection:
            values = (session_id, *_cursor_values(cursor), sha256, name, len(payload))
            connection.execute(_UPSERT_SNAPSHOT, values)
            connection.execute(
                "DELETE FROM engine_snapshots WHERE session_id = ? AND position NOT IN (SELECT position "
                "FROM engine_snapshots WHERE session_id = ? ORDER BY position DESC LIMIT ?)",
                (session_id, session_id, SNAPSHOTS_KEPT),
            )
            kept = connection.execute(
                "SELECT file_name FROM engine_snapshots WHERE session_id = ?", (session_id,)
            ).fetchall()
        failpoint(Point.SNAPSHOT_ROW)
        if not self._open:  # what is not committed must not lose the file it would go back to
            self._snapshots.sweep(session_id, frozenset(name for (name,) in kept))

    def load_snapshot(self, session_id: str) -> tuple[Cursor, bytes] | None:
        rows = self._select(
            f"{_SELECT_CURSOR}, file_name, sha256 FROM engine_snapshots WHERE session_id = ? "
            "ORDER BY position DESC",
            (session_id,),
        )
        for *values, name, sha256 in rows:
            payload = self._snapshots.read(name, sha256)
            if payload is not None:
                return _cursor(values), payload
        return None

    def fills_since(self, ts_us: int) -> list[tuple[str, str, str]]:
        """Return the fills booked at or after a time, in any session: instrument, order id, trade id."""
        rows = self._select(
            "SELECT instrument, client_order_id, trade_id FROM fills WHERE ts_us >= ?", (ts_us,)
        )
        return [(instrument, order, trade) for instrument, order, trade in rows]

    def untold(self, session_id: str, seq: int) -> list[Untold]:
        """Return the trades and alerts after a record of a session, and all of the sessions after it."""
        where = (
            "JOIN sessions s ON s.id = t.session_id WHERE s.mode <> 'warmup' AND "
            "(t.session_id = ? AND t.seq > ? OR t.session_id <> ? AND s.started_us >= "
            "(SELECT started_us FROM sessions WHERE id = ?)) "
            "ORDER BY s.started_us, t.seq"
        )
        asked = (session_id, seq, session_id, session_id)
        trades = self._select(
            "SELECT s.started_us, t.seq, closed_us, strategy, instrument, realized_pnl, fees, exit_section, "
            f"exit_rule FROM trades t {where}",
            asked,
        )
        alerts = self._select(
            f"SELECT s.started_us, t.seq, ts_us, severity, type, message FROM alerts t {where}", asked
        )
        found: list[tuple[int, Untold]] = [
            (
                began_us,
                UntoldTrade(number, at_us, who, what, Decimal(pnl) - Decimal(fees), f"{section} {rule}"),
            )
            for began_us, number, at_us, who, what, pnl, fees, section, rule in trades
        ]
        found += [(began_us, UntoldAlert(*alert)) for began_us, *alert in alerts]
        return [one for _, one in sorted(found, key=lambda pair: (pair[0], pair[1].seq))]

    def save_revision(self, *, config_hash: str, files: Mapping[str, str], applied_us: int) -> None:
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO config_revisions (applied_us, config_hash, files) VALUES (?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                (applied_us, config_hash, json.dumps(dict(files), ensure_ascii=False)),
            )

    def save_reload(self, outcome: ReloadOutcome) -> None:
        """Write what came of a reload, with the other statements of `together`."""
        values = (
            outcome.ts_us,
            outcome.who,
            outcome.ok,
            outcome.config_hash,
            outcome.running_hash,
            outcome.session_id,
            outcome.position,
            json.dumps(outcome.changes, ensure_ascii=False),
            diagnostics_text(outcome.errors),
        )
        with self._transaction() as connection:
            connection.execute(_INSERT_RELOAD, values)

    def has_swapped(self, session_id: str) -> bool:
        """Say whether a session went from one plan to another: none of them judged all of its rows."""
        sql = "SELECT 1 FROM reloads WHERE session_id = ? AND ok AND position >= 0 LIMIT 1"
        return bool(self._select(sql, (session_id,)))

    def revision(self, config_hash: str) -> Mapping[str, str] | None:
        """Return the files of a configuration that was in use once, by name; None when it never was."""
        found = self._select("SELECT files FROM config_revisions WHERE config_hash = ?", (config_hash,))
        return json.loads(found[0][0]) if found else None

    def close(self) -> None:
        self._connection.close()

    def _select(self, sql: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.DatabaseError as error:
            raise refusal(self.path, error) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        if self._open:
            yield connection
            return
        try:
            connection.execute("BEGIN IMMEDIATE")  # a deferred one can fail at once, whatever the timeout
            try:
                yield connection
                failpoint(Point.TX_BEFORE_COMMIT)
                connection.execute("COMMIT")
                failpoint(Point.TX_AFTER_COMMIT)
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.IntegrityError as error:
            raise InvariantBroken(f"the journal refused a row: {error}") from error
        except sqlite3.ProgrammingError:  # ours to mend, not the operator's
            raise
        except sqlite3.DatabaseError as error:
            raise refusal(self.path, error) from error


def _cursor(row: Sequence[int]) -> Cursor:
    return Cursor(**dict(zip(_CURSOR_NAMES, row, strict=True)))
