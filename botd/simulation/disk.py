"""The disk of a simulated host: real files that survive their process, and SQLite with a disk's errors."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol, cast

from botd.simulation.chance import Chance, Site
from botd.simulation.wal import committed_ends, cut
from botd.store.journal import SqliteJournal, open_state
from botd.store.schema import open_checked
from botd.venues.book import SqliteVenueBook

BEGIN: Final = Site("disk.begin", 0.002)
WRITE: Final = Site("disk.write", 0.002)
COMMIT: Final = Site("disk.commit", 0.002)
COMMITTED: Final = Site("disk.committed", 0.002)  # done, and reported as failed
READ: Final = Site("disk.read", 0.001)
SITES: Final = (BEGIN, WRITE, COMMIT, COMMITTED, READ)

_FULL: Final = ("database or disk is full", "SQLITE_FULL")
_LOCKED: Final = ("database is locked", "SQLITE_BUSY")
_READ_ONLY: Final = ("attempt to write a readonly database", "SQLITE_READONLY")
_BROKEN: Final = ("disk I/O error", "SQLITE_IOERR")
_ERRORS: Final = {
    BEGIN: (_LOCKED, _READ_ONLY, _BROKEN),
    WRITE: (_FULL, _BROKEN),
    COMMIT: (_FULL, _LOCKED, _BROKEN),
    COMMITTED: (_BROKEN,),
    READ: (_BROKEN,),
}


class _Closable(Protocol):
    def close(self) -> None: ...


class Disk:
    """One host's folder. What its process wrote stays when it dies; a power loss takes what no sync secured.

    Whoever dies leaves its connections open, and SQLite's locks are held by the process that all of this is.
    So the folder is moved aside with everything that is open in it, and a copy takes its place.
    """

    def __init__(self, folder: Path, chance: Chance) -> None:
        self.folder = folder
        self._chance = chance
        self._graves: list[Path] = []
        self._open: list[_Closable] = []
        folder.mkdir(parents=True, exist_ok=True)

    def open_journal(self, name: str = "state/botd.sqlite3") -> SqliteJournal:
        """Open a state file, made or upgraded where that is due, as botd.store.journal.open_state does."""
        path = self.folder / name
        connection = open_checked(path)
        self._open.append(connection)
        # What a power loss takes is decided here, not by the machine that this runs on.
        connection.execute("PRAGMA synchronous = OFF")
        return SqliteJournal(cast(sqlite3.Connection, FaultyConnection(connection, self._chance)), path)

    def open_book(self, path: Path, account: str) -> SqliteVenueBook:
        """Open the simulated venue's file, which makes no errors: it is the venue's and not the host's."""
        book = SqliteVenueBook(path, account)
        self._open.append(book)
        return book

    def survive(self, *, power: bool) -> None:
        """Put the files where the next process finds them as this one left them."""
        grave = self.folder.with_name(f"{self.folder.name}.{len(self._graves) + 1}")
        self.folder.rename(grave)
        self._graves.append(grave)
        shutil.copytree(grave, self.folder)
        if power:
            for wal in sorted(self.folder.rglob("*-wal")):
                self._lose_tail(wal)

    def _lose_tail(self, wal: Path) -> None:
        """Cut a log at a random byte behind its last commit, which was synced before it was reported."""
        safe = committed_ends(wal)[-1:] or [0]
        size = wal.stat().st_size
        cut(wal, safe[0] + self._chance.stream("disk.cut").below(size - safe[0] + 1))

    def close(self) -> None:
        """Close what dead processes left open and delete what they left behind; the loop must have ended."""
        for one in self._open:
            one.close()
        for grave in self._graves:
            shutil.rmtree(grave)
        self._open.clear()
        self._graves.clear()


class FaultyConnection:
    """As much of a sqlite3.Connection as the journal uses, with the errors that a disk makes.

    An error comes instead of a statement, or after a COMMIT that took place all the same.
    """

    def __init__(self, connection: sqlite3.Connection, chance: Chance) -> None:
        self._connection = connection
        self._chance = chance

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, sql: str, parameters: Iterable[Any] = (), /) -> sqlite3.Cursor:
        verb = sql.split(maxsplit=1)[0]
        if verb == "BEGIN":
            self._strike(BEGIN)
        elif verb == "COMMIT":
            self._strike(COMMIT)
        elif verb == "SELECT":
            self._strike(READ)
        elif verb != "ROLLBACK":
            self._strike(WRITE)
        cursor = self._connection.execute(sql, tuple(parameters))
        if verb == "COMMIT":
            self._strike(COMMITTED)
        return cursor

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        self._strike(WRITE)
        return self._connection.executemany(sql, parameters)

    def close(self) -> None:
        self._connection.close()

    def _strike(self, site: Site) -> None:
        fault = self._chance.hit(site.name)
        if fault is None:
            return
        text, name = fault.one_of(_ERRORS[site])
        # Out of room or unable to write, SQLite may have rolled the transaction back already.
        if self._connection.in_transaction and name in ("SQLITE_FULL", "SQLITE_IOERR") and fault.below(2):
            self._connection.execute("ROLLBACK")
        error = sqlite3.OperationalError(text)
        error.sqlite_errorname, error.sqlite_errorcode = name, getattr(sqlite3, name)
        raise error


@lru_cache(maxsize=1)
def empty_state() -> bytes:
    """Return a state file of this version with nothing in it: making one takes Alembic a second."""
    with tempfile.TemporaryDirectory(prefix="botd-") as folder:
        path = Path(folder, "botd.sqlite3")
        open_state(path).close()
        return path.read_bytes()
