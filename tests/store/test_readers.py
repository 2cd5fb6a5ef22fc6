"""The one that writes and those that read beside it: how each begins, and who folds the log in."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from botd.core.records import Record
from botd.ports import Batch
from botd.store.journal import SqliteJournal, open_state
from botd.store.queries import StateReader
from botd.store.schema import open_checked
from tests.store import samples
from tests.store.samples import decisions, journal_with

WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "botd.sqlite3"


def wal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def batch(number: int) -> Batch:
    records: tuple[Record, ...] = (samples.signal(number, row=number, reason="x" * 2_000),)
    return Batch(session_id="s1", records=records, cursor=samples.cursor(number, seq=number))


def test_H3_every_write_begins_as_a_writer(path: Path) -> None:  # noqa: N802 - the fault's id
    """A transaction that reads first fails at its first write, whatever the timeout, where another wrote."""
    journal = journal_with(path)
    said: list[str] = []
    journal._connection.set_trace_callback(said.append)
    journal.note_killed(samples.T0)
    journal.start_session(samples.started("s2"))
    journal.commit(batch(1))
    journal.save_snapshot("s1", samples.cursor(1, seq=1), b"state")
    journal.save_revision(config_hash="h", files={}, applied_us=samples.T0)
    with journal.together():
        journal.commit(batch(2))
        journal.end_session("s1", status="finished", ended_us=samples.T0)
    journal.close()
    inside, wrote = False, 0
    for statement in said:
        verb = statement.split()[0].upper()
        assert verb != "BEGIN" or statement == "BEGIN IMMEDIATE"
        inside = (inside or verb == "BEGIN") and verb not in ("COMMIT", "ROLLBACK")
        if verb in WRITES:
            assert inside, statement
            wrote += 1
    assert wrote >= 7


def test_H3_writer_goes_on_beside_a_reader_of_an_older_state(path: Path) -> None:  # noqa: N802
    journal = journal_with(path)
    journal.commit(batch(1))
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM signals").fetchone() == (1,)
        journal.commit(batch(2))
        assert reader.execute("SELECT count(*) FROM signals").fetchone() == (1,)
    journal.close()
    assert len(decisions(path)) == 2


def grow(journal: SqliteJournal, first: int, count: int) -> None:
    for number in range(first, first + count):
        journal.commit(batch(number))


def test_H7_log_that_a_parked_reader_kept_is_used_again_once_it_leaves(path: Path) -> None:  # noqa: N802
    journal = journal_with(path)
    journal._connection.execute("PRAGMA synchronous = OFF")  # hundreds of commits, and no power to lose
    grow(journal, 1, 300)
    usual = wal_of(path).stat().st_size
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM signals").fetchone()
        grow(journal, 301, 900)
        assert wal_of(path).stat().st_size > 2 * usual
    grow(journal, 1201, 10)  # folds in what was kept, and begins anew
    kept = wal_of(path).stat().st_size
    grow(journal, 1211, 300)
    assert wal_of(path).stat().st_size == kept
    assert journal._connection.execute("PRAGMA journal_size_limit").fetchone() == (64 * 1024 * 1024,)
    journal.close()
    assert len(decisions(path)) == 1510


def test_H8_reader_neither_writes_nor_folds_the_log_in(path: Path, tmp_path: Path) -> None:  # noqa: N802
    """SQLite before 3.51.3 can lose writes where two connections write or fold the log in at once."""
    journal = journal_with(path)
    grow(journal, 1, 20)
    killed = tmp_path / "killed"
    shutil.copytree(path.parent, killed)  # with a log that nobody has folded in
    journal.close()
    left = killed / path.name
    before = left.read_bytes(), wal_of(left).read_bytes()
    with StateReader(left) as reader:
        assert len(list(reader.decisions("s1"))) == 20
    assert (left.read_bytes(), wal_of(left).read_bytes()) == before


def test_H8_file_is_opened_for_writing_by_one_connection_at_a_time(path: Path) -> None:  # noqa: N802
    """Opening looks and migrates on connections of its own: each is closed before the next is opened."""
    open_state(path).close()
    assert not wal_of(path).exists()  # the last connection took it away, so there was no other
    connection = open_checked(path)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")
    connection.close()
    assert not wal_of(path).exists()
