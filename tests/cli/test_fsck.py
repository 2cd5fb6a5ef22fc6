"""`botd fsck` as a person calls it, and the daemon that will not trade on broken books."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from botd.store.fsck import CHECKS, ELSEWHERE
from tests.cli.books import Books
from tests.cli.bots import Done, Warm, botd, environment, make_bot, refused, write_pump

DATA = "data/nxs.parquet"
STATE = "state/botd.sqlite3"

Damage = Callable[[sqlite3.Connection], object]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bot that a SIGTERM stopped in the middle of its data."""
    folder = make_bot(tmp_path_factory.mktemp("stopped") / "bot")
    write_pump(folder / DATA, bursts=6)
    with Warm(folder, "run", "--data", DATA, "--speed", "600") as daemon:
        daemon.wait_for(" trade rider ")
        daemon.process.terminate()
        assert daemon.end().code == 0
    return folder


@pytest.fixture
def bot(stopped: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stopped, tmp_path / "bot"))


def run(folder: Path) -> Done:
    return botd(folder, "run", "--data", DATA)


def harm(folder: Path, sql: str) -> None:
    """Change a state file past botd."""
    connection = sqlite3.connect(folder / STATE)
    with connection:
        assert connection.execute(sql).rowcount > 0
    connection.close()


LOST_FILL = "DELETE FROM fills WHERE seq = (SELECT min(seq) FROM fills)"
SPOKE_TWICE = (
    "INSERT INTO signals SELECT session_id, 0, strategy, instrument, section, rule, 9000, row_number, ts_us, "
    "side, price, confidence, indicator_values, acted, reason, revision FROM signals ORDER BY seq LIMIT 1"
)


# ---- the command --------------------------------------------------------------------------------


def test_sound_books_exit_0_and_name_what_is_decided_elsewhere(bot: Path) -> None:
    done = botd(bot, "fsck")
    assert (done.code, done.err) == (0, "")
    first, *others = done.out.splitlines()
    assert first == f"{STATE}: 1 session, all {len(CHECKS)} checks hold"
    assert others[0] == "not in the state file, and decided elsewhere:"
    assert [line.split()[0] for line in others[1:]] == [one.id for one in ELSEWHERE]


def test_broken_books_exit_1_and_show_statement_and_rows(bot: Path) -> None:
    harm(bot, LOST_FILL)
    done = botd(bot, "fsck", "--state", STATE)
    assert (done.code, done.err) == (1, "")
    lines = done.out.splitlines()
    shown = lines.index(
        "S6.filled  what an order has filled and paid in fees is the sum of its fills: 1 row of orders"
    )
    row = dict(cell.split("=") for cell in lines[shown + 1].split())
    assert row["client_order_id"].startswith(row["session_id"])
    assert row["status"] == "filled"
    assert 0 <= int(row["fills_qty"]) < int(row["filled_qty"])
    assert any(line.startswith(f"{STATE}: 1 session, ") and line.endswith(" checks broken") for line in lines)
    assert "the daemon does not trade on these books; restore a copy of the file" in lines


def test_json_holds_every_check_and_its_rows(bot: Path) -> None:
    sound = json.loads(botd(bot, "fsck", "--json").out)
    assert (sound["clean"], sound["trusted"], sound["sessions_count"]) == (True, True, 1)
    assert all(check["rows"] == [] and check["statement"] and check["table"] for check in sound["checks"])
    assert {one["id"] for one in sound["decided_elsewhere"]} >= {"S4", "S18", "S19"}
    harm(bot, SPOKE_TWICE)
    done = botd(bot, "fsck", "--json")
    assert done.code == 1
    broken = json.loads(done.out)
    assert (broken["clean"], broken["trusted"]) == (False, True)
    (found,) = [check for check in broken["checks"] if check["rows"]]
    assert (found["id"], found["refuses"], found["rows"][0]["signals_count"]) == ("S16.once", False, 2)


def test_looking_at_a_running_daemon_holds_neither_up(bot: Path) -> None:
    with Warm(bot, "run", "--data", DATA, "--speed", "60") as daemon:
        daemon.wait_for(" goes on at ")
        assert botd(bot, "fsck").code == 0
        daemon.process.terminate()
        assert daemon.end().code == 0


@pytest.mark.parametrize("content", [b"hello\n", b"SQLite format 3\x00 and no more"])
def test_file_that_is_not_sqlite_exits_6(bot: Path, content: bytes) -> None:
    (bot / STATE).write_bytes(content)
    refused(botd(bot, "fsck"), 6, STATE)


def test_missing_file_exits_2_and_a_newer_botds_7(bot: Path) -> None:
    refused(botd(bot, "fsck", "--state", "none"), 2, "no state file at none")
    harm(bot, "UPDATE alembic_version SET version_num = '9999'")
    refused(botd(bot, "fsck"), 7, "was written by a newer botd")


def test_damaged_pages_exit_6(bot: Path) -> None:
    content = bytearray((bot / STATE).read_bytes())
    for page in range(3, len(content) // 4096, 2):
        content[page * 4096 : (page + 1) * 4096] = b"\xde\xad\xbe\xef" * 1024
    (bot / STATE).write_bytes(content)
    refused(botd(bot, "fsck"), 6, "is damaged", "restore a copy")


# ---- the daemon ---------------------------------------------------------------------------------


def test_H4_start_on_books_that_cannot_be_trusted_is_refused(bot: Path) -> None:  # noqa: N802 - the fault's id
    harm(bot, LOST_FILL)
    before = (bot / STATE).read_bytes()
    refused(run(bot), 6, "cannot be trusted: S5.position (1 row)", "S6.filled (1 row)", "restore a copy")
    assert (bot / STATE).read_bytes() == before
    assert (
        not (bot / "state/botd.sqlite3-wal").exists() or not (bot / "state/botd.sqlite3-wal").stat().st_size
    )


def test_start_tells_of_what_stops_nothing_and_trades(bot: Path) -> None:
    harm(bot, SPOKE_TWICE)
    done = run(bot)
    assert done.code == 0
    assert (
        "fsck: S16.once: 1 row against 'a rule speaks at most once at one row'; see 'botd fsck'" in done.out
    )
    assert " trade rider " in done.out


HOURLY = """
import sys
import botd.runtime.audit
botd.runtime.audit.EVERY_US = 200_000
from botd.cli.main import main
sys.exit(main())
"""


def test_books_that_break_while_it_trades_stop_the_daemon_in_order(bot: Path) -> None:
    """The hour is made short; the damage is done past the daemon while it runs."""
    command = [sys.executable, "-W", "error", "-c", HOURLY, "run", "--data", DATA, "--speed", "30"]
    with subprocess.Popen(
        command, cwd=bot, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as daemon:
        assert daemon.stdout is not None
        watchdog = threading.Timer(60, daemon.kill)
        watchdog.start()
        while " goes on at " not in daemon.stdout.readline():
            assert daemon.poll() is None
        harm(bot, LOST_FILL)
        out, err = daemon.communicate()
        watchdog.cancel()
    assert daemon.returncode == 6, (out, err)
    assert "fsck: the books in " in out
    assert out.endswith("stopped in order\n")
    (refusal,) = [line for line in err.splitlines() if line.startswith("botd: ")]
    assert "state/botd.sqlite3 cannot be trusted: S5.position (1 row), " in refusal
    assert [one["status"] for one in Books(bot / STATE).sessions] == ["stopped"]
    refused(run(bot), 6, "cannot be trusted")
