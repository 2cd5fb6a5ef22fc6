"""Opening a state file: new, old, newer, foreign, damaged, read-only."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from botd.core.outcomes import DenyReason
from botd.core.records import RiskRecord
from botd.errors import BotdError, InputInvalid, NewerSchema, SecondDaemon, StateCorrupt
from botd.ports import Batch
from botd.store import migrate
from botd.store.fsck import examine
from botd.store.journal import open_state
from botd.store.queries import StateReader
from botd.store.schema import LINEAGE, Lineage, open_checked
from botd.store.tables import metadata
from tests.store import samples

LAST = LINEAGE.revisions[-1]
AFTER = f"{int(LAST) + 1:04}"
NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "{after}"
down_revision = "{last}"


def upgrade() -> None:
    with op.batch_alter_table("orders") as batch:
        batch.add_column(sa.Column("note", sa.Text(), nullable=True))
    op.execute("UPDATE orders SET note = 'upgraded'")
    {failure}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "botd.sqlite3"
    journal = open_state(path)
    journal.start_session(samples.started())
    journal.commit(Batch(session_id="s1", records=samples.entry(), cursor=samples.cursor(4)))
    journal.close()
    return path


def lineage_with_next(tmp_path: Path, failure: str = "") -> Lineage:
    folder = tmp_path / "migrations"
    shutil.copytree(LINEAGE.migrations, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.pyc"))
    (folder / "versions" / f"r{AFTER}_next.py").write_text(
        NEXT.format(after=AFTER, last=LAST, failure=failure or "pass")
    )
    return Lineage(revisions=(*LINEAGE.revisions, AFTER), migrations=folder)


def dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def one_line(error: BotdError) -> bool:
    return "\n" not in str(error) and len(str(error)) > 20


def test_migrations_make_exactly_the_declared_tables(path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_declared_revisions_are_those_of_the_folder() -> None:
    script = ScriptDirectory.from_config(migrate.configuration(LINEAGE))
    assert tuple(revision.revision for revision in script.walk_revisions())[::-1] == LINEAGE.revisions


def test_second_open_does_not_import_the_migration_tool(path: Path) -> None:
    code = (
        "import sys; from botd.store.journal import open_state; open_state(sys.argv[1]).close(); "
        "sys.exit('alembic' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code, str(path)], cwd=root, check=True)


def test_upgrade_keeps_the_rows_and_copies_the_file_first(path: Path, tmp_path: Path) -> None:
    before = dump(path)
    connection = open_checked(path, lineage_with_next(tmp_path))
    assert connection.execute("SELECT status, note FROM orders").fetchall() == [("filled", "upgraded")]
    assert connection.execute("SELECT order_id FROM live_orders").fetchall() == [("b-1",)]
    assert connection.execute("PRAGMA user_version").fetchone() == (int(AFTER),)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    assert dump(tmp_path / f"botd.sqlite3.before-{AFTER}") == before
    with StateReader(tmp_path / f"botd.sqlite3.before-{AFTER}") as reader:
        assert reader.cursor("s1") == samples.cursor(4)


def test_upgrade_from_the_first_schema_keeps_its_denials_and_fills(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite3"
    first = Lineage(revisions=("0001",), migrations=LINEAGE.migrations)
    old = open_checked(path, first)
    old.execute("INSERT INTO sessions VALUES ('s1', 'paper', 'f', 'h', 1, NULL, 'running', 'paper')")
    old.execute(
        "INSERT INTO risk_decisions (session_id, seq, intent_seq, strategy, instrument, row_number, ts_us, "
        "approved, reason) VALUES ('s1', 2, 1, 'dip', 'BTC/USDT', 7, 8, 0, 'rejects_in_a_row')"
    )
    old.execute(
        "INSERT INTO fills VALUES ('s1', 3, 'b-1', 'v-1', 'dip', 'BTC/USDT', 'Z1', '', 1, 0, 9, 'buy', "
        "'0.05', '20010', '1', 0, '0')"
    )
    old.close()
    open_state(path).close()
    with StateReader(path) as reader:
        (kind, risk), (_, fill) = reader.decisions("s1")
        assert kind is RiskRecord
        assert (fill.trade_id, fill.qty, fill.maker) == ("v-1", Decimal("0.05"), False)
        assert (risk.reason, risk.cause, risk.since_us) == (DenyReason.REJECTS_IN_A_ROW, None, None)
        assert reader.trading_states("s1") == ()


def test_upgrade_happens_once(path: Path, tmp_path: Path) -> None:
    lineage = lineage_with_next(tmp_path)
    open_checked(path, lineage).close()
    (tmp_path / f"botd.sqlite3.before-{AFTER}").unlink()
    open_checked(path, lineage).close()
    assert not (tmp_path / f"botd.sqlite3.before-{AFTER}").exists()


def test_H10_upgrade_copies_what_a_killed_daemon_left_in_the_wal(path: Path, tmp_path: Path) -> None:  # noqa: N802
    journal = open_state(path)
    journal.commit(Batch(session_id="s1", cursor=samples.cursor(5)))
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in ("botd.sqlite3", "botd.sqlite3-wal"):
        shutil.copy(tmp_path / name, killed / name)
    journal.close()
    open_checked(killed / "botd.sqlite3", lineage_with_next(tmp_path)).close()
    with StateReader(killed / f"botd.sqlite3.before-{AFTER}") as reader:
        assert reader.cursor("s1") == samples.cursor(5)


def test_failed_upgrade_leaves_the_file_as_it_was(path: Path, tmp_path: Path) -> None:
    before = dump(path)
    with pytest.raises(ZeroDivisionError):
        open_checked(path, lineage_with_next(tmp_path, "1 / 0"))
    assert dump(path) == before
    with pytest.raises(InputInvalid, match="no such table") as refused:
        open_checked(path, lineage_with_next(tmp_path, "op.execute('DELETE FROM nowhere')"))
    assert one_line(refused.value)
    assert dump(path) == before
    open_state(path).close()


def test_G10_death_in_an_upgrade_leaves_the_file_as_it_was_and_the_next_start_upgrades(  # noqa: N802
    path: Path, tmp_path: Path
) -> None:
    before = dump(path)
    dying = lineage_with_next(tmp_path, "import os; os.kill(os.getpid(), 9)")
    code = (
        "import sys; from pathlib import Path; from botd.store.schema import LINEAGE, Lineage, open_checked; "
        "open_checked(Path(sys.argv[1]), "
        f"Lineage(revisions=(*LINEAGE.revisions, '{AFTER}'), migrations=Path(sys.argv[2])))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code, str(path), str(dying.migrations)], cwd=root)
    assert done.returncode == -signal.SIGKILL
    assert dump(path) == before
    open_checked(path, lineage_with_next(tmp_path)).close()
    with StateReader(tmp_path / f"botd.sqlite3.before-{AFTER}") as reader:
        assert reader.cursor("s1") == samples.cursor(4)


def test_upgrade_that_breaks_a_reference_is_refused(path: Path, tmp_path: Path) -> None:
    before = dump(path)
    with pytest.raises(InputInvalid, match="broke a reference"):
        open_checked(path, lineage_with_next(tmp_path, "op.execute('DELETE FROM sessions')"))
    assert dump(path) == before


def test_H10_newer_schema_is_refused_and_untouched(path: Path, tmp_path: Path) -> None:  # noqa: N802
    open_checked(path, lineage_with_next(tmp_path)).close()
    before = path.read_bytes()
    for opening in (open_state, StateReader):
        with pytest.raises(NewerSchema, match=f"schema {AFTER}, this one knows {LAST}") as refused:
            opening(path)
        assert one_line(refused.value)
        assert refused.value.exit_code == 7
    assert path.read_bytes() == before


def test_newer_user_version_alone_is_refused(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(NewerSchema, match="schema 0099"):
        open_state(path)


def test_file_without_a_version_row_is_corrupt(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM alembic_version")
    connection.commit()
    connection.close()
    with pytest.raises(StateCorrupt, match="no single schema version"):
        open_state(path)


@pytest.mark.parametrize(
    "content", [b"strategy: pump_rider\n", b"\x00" * 4096, b"SQLite format 3\x00" + b"x" * 600]
)
def test_file_that_is_not_sqlite_is_refused_and_untouched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    for opening in (open_state, StateReader):
        with pytest.raises(StateCorrupt, match=r"not a botd state file|damaged") as refused:
            opening(path)
        assert one_line(refused.value)
        assert refused.value.exit_code == 6
    assert path.read_bytes() == content


def test_sqlite_file_of_another_program_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    before = path.read_bytes()
    for opening in (open_state, StateReader):
        with pytest.raises(StateCorrupt, match="not a botd state file"):
            opening(path)
    assert path.read_bytes() == before


def test_empty_file_is_a_new_state_file(tmp_path: Path) -> None:
    path = tmp_path / "botd.sqlite3"
    path.touch()
    with pytest.raises(InputInvalid, match="is empty"):
        StateReader(path)
    open_state(path).close()
    with StateReader(path) as reader:
        assert reader.sessions() == ()


def test_cut_file_is_corrupt(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 4096 * 3])
    with pytest.raises(StateCorrupt) as refused:
        open_state(path)
    assert one_line(refused.value)


def test_path_under_a_file_is_input_invalid(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InputInvalid, match="cannot make the folder") as refused:
        open_state(tmp_path / "file" / "botd.sqlite3")
    assert one_line(refused.value)
    assert refused.value.exit_code == 2


def test_folder_in_place_of_the_file_is_input_invalid(tmp_path: Path) -> None:
    for opening in (open_state, StateReader):
        with pytest.raises(InputInvalid, match="is a folder; the state is a file"):
            opening(tmp_path)


def test_missing_file_is_input_invalid_for_a_reader(tmp_path: Path) -> None:
    with pytest.raises(InputInvalid, match="no state file at"):
        StateReader(tmp_path / "botd.sqlite3")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def readonly_folder() -> Iterator[Path]:
    """A folder that this process cannot write; root gives up its rights meanwhile."""
    folder = Path(tempfile.mkdtemp())
    journal = open_state(folder / "botd.sqlite3")
    journal.close()
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["botd.sqlite3", "new.sqlite3", "folder/new.sqlite3"])
def test_readonly_folder_is_input_invalid(readonly_folder: Path, name: str) -> None:
    with pytest.raises(InputInvalid, match=r"cannot (write|make)") as refused:
        open_state(readonly_folder / name)
    assert one_line(refused.value)


def test_reader_in_a_readonly_folder_says_what_it_needs(readonly_folder: Path) -> None:
    # The last writer took the WAL's index with it, and a reader has to make a new one.
    with pytest.raises(InputInvalid, match="its folder writable") as refused:
        StateReader(readonly_folder / "botd.sqlite3")
    assert one_line(refused.value)


def test_H2_file_held_by_another_process_is_second_daemon(  # noqa: N802
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botd.store.schema._BUSY_TIMEOUT_S", 0.05)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(SecondDaemon, match="in use") as refused:
        open_state(path)
    assert one_line(refused.value)
    holder.close()
    open_state(path).close()


def read_state(path: Path) -> None:
    StateReader(path).close()


@pytest.mark.parametrize("look", [examine, read_state])
def test_H9_look_of_the_writing_process_keeps_its_locks(  # noqa: N802 - the fault's id
    path: Path, look: Callable[[Path], object]
) -> None:
    """Whoever closes a file takes away the locks that its process holds on it.

    Another process would believe that it is the last one, and delete the WAL that the journal writes on.
    """
    journal = open_state(path)
    journal.commit(Batch(session_id="s1", cursor=samples.cursor(5, seq=8)))
    wal = path.with_name(f"{path.name}-wal")
    before = wal.stat().st_ino
    look(path)
    visit = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA schema_version')"
    subprocess.run([sys.executable, "-c", visit, str(path)], check=True)
    assert wal.stat().st_ino == before
    journal.commit(Batch(session_id="s1", cursor=samples.cursor(6, seq=8)))
    with StateReader(path) as reader:
        assert reader.cursor("s1") == samples.cursor(6, seq=8)
    journal.close()
