"""The simulated venue's own file: what a venue would still know after the daemon has died."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from botd.core.codec import answers_of, answers_text
from botd.core.instrument import InstrumentId
from botd.errors import InputInvalid, StateCorrupt
from botd.venues.floor import Due

ANSWERS_KEPT: Final = 10_000  # of those that a daemon has taken: for a state file restored alone
_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (account TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
    account TEXT NOT NULL, seq INTEGER NOT NULL, instrument TEXT NOT NULL,
    position INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (account, seq)
);
"""


class SqliteVenueBook:
    """One account's part of `venue.sqlite3`; every save is one durable transaction.

    Raises InputInvalid where the file cannot be written, StateCorrupt where it is damaged or not ours.
    """

    def __init__(self, path: Path, account: str) -> None:
        self._account = account
        self._path = path
        with self._refusing():
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
                # the journal is durable: a venue that forgot what the journal has could fill it again
                self._connection.execute("PRAGMA synchronous=FULL")
                self._connection.executescript(_SCHEMA)
            except BaseException:
                self.close()
                raise

    def save(self, state: Mapping[str, Any], answers: Sequence[Due], taken: int) -> None:
        """Write the state and the answers made since the last save.

        A daemon has taken every answer up to number `taken`: the older ones of them are forgotten.
        """
        with self._refusing():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._write(state, answers)
                if answers:
                    self._forget(taken)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _write(self, state: Mapping[str, Any], answers: Sequence[Due]) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO state VALUES (?, ?)", (self._account, json.dumps(state))
        )
        self._connection.executemany(
            "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?)",
            [
                (self._account, d.answer.seq, d.instrument, d.position, answers_text((d.answer,)))
                for d in answers
            ],
        )

    def _forget(self, taken: int) -> None:
        self._connection.execute(
            "DELETE FROM answers WHERE account = ? AND seq <= ?", (self._account, taken - ANSWERS_KEPT)
        )

    def load(self, after_seq: int) -> tuple[Mapping[str, Any], list[Due]] | None:
        """Return the state and the answers numbered above `after_seq`, None for a new account."""
        with self._refusing():
            row = self._connection.execute(
                "SELECT body FROM state WHERE account = ?", (self._account,)
            ).fetchone()
            answers = self._connection.execute(
                "SELECT instrument, position, body FROM answers WHERE account = ? AND seq > ? ORDER BY seq",
                (self._account, after_seq),
            ).fetchall()
        if row is None:
            return None
        try:
            state = json.loads(row[0])
            known = int(state["seq"])
            waiting = [
                Due(InstrumentId(name), position, answer)
                for name, position, body in answers
                for answer in answers_of(body)
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise StateCorrupt(f"{self._path} is damaged ({error}); restore a copy of it") from error
        if known < after_seq:
            raise StateCorrupt(
                f"{self._path} is older than the state file: it ends at answer {known} of {after_seq}; "
                "restore both from one backup"
            )
        if [due.answer.seq for due in waiting] != list(range(after_seq + 1, known + 1)):
            raise StateCorrupt(
                f"{self._path} lacks answers between {after_seq} and {known}; restore both from one backup"
            )
        with self._refusing():
            self._forget(after_seq)
        return state, waiting

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Translate what SQLite says into what a person can do about it."""
        try:
            yield
        except sqlite3.ProgrammingError:  # ours to mend, not the operator's
            raise
        except sqlite3.OperationalError as error:
            raise InputInvalid(
                f"{self._path}: the simulated venue's file cannot be written ({error})"
            ) from error
        except sqlite3.DatabaseError as error:
            if "not a database" in str(error):
                raise StateCorrupt(f"{self._path}: not a venue file of botd ({error})") from error
            raise StateCorrupt(f"{self._path} is damaged ({error}); restore a copy of it") from error
