"""The simulated venue's own file: what a venue would still know after the daemon has died."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from botd.core.codec import answer_of, answer_text
from botd.core.instrument import InstrumentId
from botd.errors import InputInvalid, StateCorrupt
from botd.venues.floor import Due

_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (account TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
    account TEXT NOT NULL, seq INTEGER NOT NULL, instrument TEXT NOT NULL,
    position INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (account, seq)
);
"""


class SqliteVenueBook:
    """One account's part of `venue.sqlite3`; every save is one transaction."""

    def __init__(self, path: Path, account: str) -> None:
        self._account = account
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(_SCHEMA)
        except sqlite3.OperationalError as error:
            raise InputInvalid(f"{path}: the simulated venue's file cannot be written ({error})") from error
        except sqlite3.DatabaseError as error:
            raise StateCorrupt(f"{path}: not a venue file of botd ({error})") from error

    def save(self, state: Mapping[str, Any], answers: Sequence[Due]) -> None:
        """Write the state and the answers made since the last save."""
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (self._account, json.dumps(state)))
        self._connection.executemany(
            "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?)",
            [(self._account, d.answer.seq, d.instrument, d.position, answer_text(d.answer)) for d in answers],
        )
        execute("COMMIT")

    def load(self, after_seq: int) -> tuple[Mapping[str, Any], list[Due]] | None:
        """Return the state and the answers numbered above `after_seq`, None for a new account."""
        row = self._connection.execute(
            "SELECT body FROM state WHERE account = ?", (self._account,)
        ).fetchone()
        if row is None:
            return None
        answers = self._connection.execute(
            "SELECT instrument, position, body FROM answers WHERE account = ? AND seq > ? ORDER BY seq",
            (self._account, after_seq),
        )
        return json.loads(row[0]), [Due(InstrumentId(i), r, answer_of(body)) for i, r, body in answers]

    def close(self) -> None:
        self._connection.close()
