"""What a person gets whose state folder is wrong: one clear line, its exit code, nothing lost."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.bots import Done, Warm, botd, edit, make_bot, refused, write_pump

NOBODY = 65534
ENTRY = "{instrument: NXS/BTC, rows: trades}"

Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bot that a SIGTERM stopped in the middle of its data."""
    folder = make_bot(tmp_path_factory.mktemp("stopped") / "bot")
    write_pump(folder / "data/nxs.parquet", bursts=6)
    with Warm(folder, "run", "--data", "data/nxs.parquet", "--speed", "600") as daemon:
        daemon.wait_for(" trade rider ")
        daemon.process.terminate()
        assert daemon.end().code == 0
    return folder


@pytest.fixture
def again(stopped: Path, tmp_path: Path) -> Path:
    """Return a copy of the stopped bot, to be damaged."""
    return Path(shutil.copytree(stopped, tmp_path / "bot"))


def run(folder: Path, *more: object) -> Done:
    return botd(folder, "run", "--data", "data/nxs.parquet", *more)


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of every file of the books; the lock only names the process that had it."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != "botd.lock" and not file.name.endswith(("-shm", "-wal"))
    }


# ---- the state folder -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "advice"),
    [
        ("file.txt/botd.sqlite3", "a file stands where the folder should be); move the file away"),
        ("/proc/botd/botd.sqlite3", "make the folder writable"),
    ],
)
def test_state_that_cannot_be_written_is_one_line(tmp_path: Path, place: str, advice: str) -> None:
    bot = make_bot(tmp_path / "bot")
    (bot / "file.txt").write_text("mine\n")
    edit(bot / "config.yaml", "path: state/botd.sqlite3", f"path: {place}")
    write_pump(bot / "data/nxs.parquet", bursts=1)
    refused(run(bot), 2, "the state cannot be written here", advice, "state.path")
    assert (bot / "file.txt").read_text() == "mine\n"


def test_folder_in_place_of_the_state_file_says_what_to_do(tmp_path: Path) -> None:
    bot = make_bot(tmp_path / "bot")
    (bot / "state").mkdir()
    edit(bot / "config.yaml", "path: state/botd.sqlite3", "path: state")
    write_pump(bot / "data/nxs.parquet", bursts=1)
    for done in (run(bot), botd(bot, "status"), botd(bot, "decisions")):
        refused(done, 2, "state is a folder; the state is a file, such as ", "state/botd.sqlite3")


def nobody(folder: Path) -> int | None:
    """Return a user whom the folder's permissions hold back, None for the one we are."""
    if os.geteuid() != 0:
        return None
    for one in (folder, *folder.parents):  # root's own test folders are closed to others
        if "pytest" in one.as_posix():
            one.chmod(0o755)
    return NOBODY


def test_H5_read_only_state_folder_is_one_line_and_loses_nothing(again: Path) -> None:  # noqa: N802
    user = nobody(again)
    (again / "state").chmod(0o555)
    before = digests(again / "state")
    try:
        refused(botd(again, "run", user=user), 2, "the folder is read-only", "make the folder writable")
        for command in ("status", "decisions"):
            shown = botd(again, command, user=user)
            assert (shown.code, shown.err) == (0, "")
    finally:
        (again / "state").chmod(0o755)
    assert digests(again / "state") == before


@pytest.mark.parametrize("content", [b"hello\n", b"\x00" * 5000, b"SQLite format 3\x00 and no more"])
def test_state_that_is_not_sqlite_exits_6_and_stays(again: Path, content: bytes) -> None:
    state = again / "state/botd.sqlite3"
    state.write_bytes(content)
    for command in (run(again), botd(again, "status"), botd(again, "decisions")):
        refused(command, 6, "state/botd.sqlite3")
    assert state.read_bytes() == content


def test_somebody_elses_database_exits_6_and_stays(again: Path) -> None:
    state = again / "state/botd.sqlite3"
    state.unlink()
    with sqlite3.connect(state) as connection:
        connection.execute("CREATE TABLE photos (name TEXT)")
    connection.close()
    before = state.read_bytes()
    for command in (run(again), botd(again, "status"), botd(again, "decisions")):
        refused(command, 6, "is a SQLite file but not a botd state file")
    assert state.read_bytes() == before


def test_H10_state_of_a_newer_botd_exits_7_and_stays(again: Path) -> None:  # noqa: N802
    state = again / "state/botd.sqlite3"
    with sqlite3.connect(state) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = state.read_bytes()
    for command in (run(again), botd(again, "status"), botd(again, "decisions")):
        refused(command, 7, "was written by a newer botd", "9999", "upgrade botd")
    assert state.read_bytes() == before


def test_damaged_page_exits_6_and_stays(again: Path) -> None:
    state = again / "state/botd.sqlite3"
    content = bytearray(state.read_bytes())
    for page in range(3, len(content) // 4096, 2):
        content[page * 4096 : (page + 1) * 4096] = b"\xde\xad\xbe\xef" * 1024
    state.write_bytes(content)
    refused(run(again), 6, "is damaged", "restore a copy")
    assert botd(again, "decisions").code in (0, 6)  # 0: every page that it reads is whole
    assert state.read_bytes() == bytes(content)


def test_B13_second_daemon_exits_3_and_the_first_goes_on(again: Path) -> None:  # noqa: N802
    with Warm(again, "run", "--data", "data/nxs.parquet", "--speed", "1") as first:
        first.wait_for(" goes on at ")
        refused(run(again), 3, f"(process {first.process.pid} since ", "stop it first")
        assert botd(again, "status").code == 0
        assert first.process.poll() is None
        first.process.terminate()
        assert first.end().code == 0


def test_state_of_another_account_exits_5(again: Path) -> None:
    before = botd(again, "decisions").out, botd(again, "status").out
    edit(again / "config.yaml", "name: paper", "name: second")
    refused(run(again), 5, "holds the account paper, config.yaml names second")
    assert (botd(again, "decisions").out, botd(again, "status").out) == before


# ---- the venue's file and the snapshots ---------------------------------------------------------


def venue_gone(state: Path) -> None:
    (state / "venue.sqlite3").unlink()


def venue_empty(state: Path) -> None:
    (state / "venue.sqlite3").write_bytes(b"")


def venue_garbage(state: Path) -> None:
    (state / "venue.sqlite3").write_text("garbage\n")


def venue_broken_text(state: Path) -> None:
    change_venue(state, "UPDATE state SET body = '{broken'")


def venue_other_shape(state: Path) -> None:
    change_venue(state, "UPDATE state SET body = '{}'")


def change_venue(state: Path, sql: str) -> None:
    with sqlite3.connect(state / "venue.sqlite3") as connection:
        connection.execute(sql)
    connection.close()


@pytest.mark.parametrize(
    "damage", [venue_gone, venue_empty, venue_garbage, venue_broken_text, venue_other_shape]
)
def test_damaged_venue_file_exits_6_and_the_books_stay(again: Path, damage: Damage) -> None:
    decided = botd(again, "decisions").out
    damage(again / "state")
    refused(run(again), 6, "venue")
    assert botd(again, "decisions").out == decided


def snapshots_gone(state: Path) -> None:
    shutil.rmtree(state / "snapshots")


def snapshots_garbage(state: Path) -> None:
    for file in (state / "snapshots").iterdir():
        file.write_text("garbage\n")


def snapshots_are_a_file(state: Path) -> None:
    shutil.rmtree(state / "snapshots")
    (state / "snapshots").write_text("mine\n")


def snapshots_cut(state: Path) -> None:
    for file in (state / "snapshots").iterdir():
        file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize("damage", [snapshots_gone, snapshots_garbage, snapshots_cut])
def test_damaged_snapshots_mean_reading_the_data_again(stopped: Path, again: Path, damage: Damage) -> None:
    whole = Path(shutil.copytree(stopped, again.parent / "whole"))
    damage(again / "state")
    assert run(whole).code == 0
    assert run(again).code == 0
    decided = botd(whole, "decisions").out
    assert decided.count('"kind":"trade"') == 6
    assert botd(again, "decisions").out == decided


def test_damaged_snapshots_of_a_session_with_two_plans_are_said(again: Path) -> None:
    edit(again / "strategies/rider.yaml", "stop_loss: 5%", "stop_loss: 4%")
    with Warm(again, "run", "--data", "data/nxs.parquet", "--speed", "600") as daemon:
        daemon.wait_for("reloaded: strategies/rider.yaml: changed")
        daemon.process.terminate()
        assert daemon.end().code == 0
    whole = Path(shutil.copytree(again, again.parent / "whole"))
    snapshots_cut(again / "state")
    refused(run(again), 6, "has no usable snapshot in", "restore that folder")
    assert run(whole).code == 0


def test_changed_data_file_begins_a_new_session_and_keeps_the_old(again: Path) -> None:
    before = botd(again, "decisions").out
    (session,) = re.findall(r"^session  (\S+)", botd(again, "status").out, re.M)
    write_pump(again / "data/nxs.parquet", bursts=2, seed=8)
    (again / "data/instruments.yaml").write_text(f"nxs.parquet: {ENTRY}\n")
    done = run(again)
    assert done.code == 0
    assert " begins" in done.out
    assert botd(again, "decisions").out.count('"kind":"trade"') == 2
    assert botd(again, "decisions", "--session", session).out == before
