"""The version of a state file: what it is, whether it is ours, and how it is brought up to date."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from botd.errors import BotdError, InputInvalid, NewerSchema, SecondDaemon, StateCorrupt

DEFAULT_STATE: Final = Path("state/botd.sqlite3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """The schemas that were, and the folder of migrations that leads from each to the next."""

    revisions: tuple[str, ...]  # oldest first; numbers, as the file's user_version is the newest
    migrations: Path

    @property
    def head(self) -> str:
        return self.revisions[-1]


LINEAGE: Final = Lineage(
    revisions=("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008"),
    migrations=Path(__file__).parent / "migrations",
)

_MAGIC: Final = b"SQLite format 3\x00"
_BUSY_TIMEOUT_S: Final = 5.0


def refusal(path: Path, error: sqlite3.Error) -> BotdError:
    """Translate what SQLite says into what a person can do about it."""
    text = str(error)
    if "not a database" in text:
        return StateCorrupt(f"{path} is not a botd state file; name another one or move it away")
    if "malformed" in text or "database corruption" in text:
        return StateCorrupt(f"{path} is damaged ({text}); restore a copy of it")
    if "locked" in text or "busy" in text:
        return SecondDaemon(f"{path} is in use by another process; stop that one first")
    if "readonly" in text or "read-only" in text or "unable to open" in text:
        return InputInvalid(f"cannot write {path} ({text}); make the file and its folder writable")
    if "full" in text:
        return InputInvalid(f"cannot write {path} ({text}); make room and start again, nothing is lost")
    return InputInvalid(f"cannot use {path}: {text}")


def check_header(path: Path) -> None:
    """Raise unless the path is a file that could be SQLite's; an empty one is a new file."""
    try:
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
    except IsADirectoryError as error:
        raise InputInvalid(
            f"{path} is a folder; the state is a file, such as {path / 'botd.sqlite3'}"
        ) from error
    except OSError as error:
        raise InputInvalid(f"cannot read {path}: {error.strerror}; name another state file") from error
    if head and head != _MAGIC:
        raise StateCorrupt(f"{path} is not a botd state file; name another one or move it away")


def read_revision(connection: sqlite3.Connection, path: Path, lineage: Lineage = LINEAGE) -> str | None:
    """Return the revision of a file, None where it is empty; raise if it is foreign or newer."""
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not names:
        return None
    if "alembic_version" not in names or "sessions" not in names:
        raise StateCorrupt(f"{path} is a SQLite file but not a botd state file; name another one")
    versions = [version for (version,) in connection.execute("SELECT version_num FROM alembic_version")]
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    if number > int(lineage.head) or any(version not in lineage.revisions for version in versions):
        found = max([*versions, f"{number:04d}"])
        known = f"schema {found}, this one knows {lineage.head}"
        raise NewerSchema(f"{path} was written by a newer botd ({known}); upgrade botd")
    if len(versions) != 1:
        raise StateCorrupt(f"{path} has no single schema version; restore a copy of it")
    return str(versions[0])


def connect(path: Path) -> sqlite3.Connection:
    """Open for writing: no implicit transactions, WAL, every commit on disk before it returns."""
    connection = _open(path)
    try:
        _make_durable(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def open_checked(path: Path, lineage: Lineage = LINEAGE) -> sqlite3.Connection:
    """Open a state file for writing, made or upgraded where that is due; every refusal is one line."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputInvalid(
            f"cannot make the folder {path.parent}: {error.strerror}; name another one"
        ) from error
    if path.exists():
        check_header(path)
    try:
        connection = _open(path)
        try:
            revision = _probe(connection, path, lineage)
            if revision == lineage.head:
                _make_durable(connection)
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()  # SQLite before 3.51.3 is safe with one writing connection only
        if revision is not None:
            copy_before(path, lineage.head)
        _migrate(path, lineage)
        return connect(path)
    except sqlite3.Error as error:
        raise refusal(path, error) from error


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)


def _make_durable(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")  # changes the file: only once it is known to be ours
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_size_limit = 67108864")


def copy_before(path: Path, revision: str) -> Path:
    """Copy the whole file, with what its WAL holds, to `<name>.before-<revision>`."""
    target = path.with_name(f"{path.name}.before-{revision}")
    draft = target.with_name(f"{target.name}.tmp")
    draft.unlink(missing_ok=True)
    connection = connect(path)
    try:
        connection.execute("VACUUM INTO ?", (str(draft),))
    finally:
        connection.close()
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(target)
    return target


def _probe(connection: sqlite3.Connection, path: Path, lineage: Lineage) -> str | None:
    """Check that the file is sound and can be written; return its revision."""
    revision = read_revision(connection, path, lineage)
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StateCorrupt(f"{path} is damaged ({verdict.splitlines()[0]}); restore a copy of it")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")
    return revision


def _migrate(path: Path, lineage: Lineage) -> None:
    from botd.store.migrate import upgrade  # Alembic takes a second to import: only when it is due

    upgrade(path, lineage)
