"""Halted from outside, as processes: by file, signal and command; busy, locked out, killed, started again."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.cli.books import Books
from tests.cli.bots import Running, Warm, botd, make_bot, refused, write_pump
from tests.halting_scene import (
    DATA,
    changes,
    denials,
    halted_at,
    has,
    said,
    sent_entries,
    state,
    time_of,
)
from tests.test_daemon import loads, wait_until

SECOND_S = 1.0  # from asking to no new entry: FAULTS R3


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    folder = make_bot(tmp_path / "bot")
    write_pump(folder / DATA, bursts=12)
    return folder


# ---- three ways, and a loop that is busy --------------------------------------------------------


def ask(how: str, folder: Path, daemon: Running) -> str:
    """Halt a daemon; return the cause that it must name."""
    if how == "signal":
        daemon.signal(signal.SIGUSR1)
    elif how == "file":
        (folder / "state/HALT").write_text("odd prices\n")
    else:
        assert botd(folder, "halt", "--reason", "odd prices").code == 0
    return how


@pytest.mark.parametrize("how", ["signal", "file", "command"])
def test_R3_halts_within_a_second_while_the_loop_is_at_100_percent(  # noqa: N802 - the fault's id
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """As fast as it goes in plain Python: the interpreter itself is never free."""
    bot = make_bot(tmp_path / "bot")
    write_pump(bot / DATA, bursts=600)
    monkeypatch.setenv("BOTD_NO_NUMBA", "1")
    with Running(bot, "run", "--data", DATA, "--speed", "max") as daemon:
        daemon.wait_for(" trade rider ")
        cause = ask(how, bot, daemon)
        wait_until(lambda: len(denials(bot)) > 10)  # it goes on, and what was held was closed
        assert Books(state(bot)).open_positions(sessions(bot)[-1]) == []
        daemon.process.terminate()
        done = daemon.end()
    assert done.code == 0
    asked = (bot / "state/HALT").stat().st_mtime
    (heard,), (obeyed,) = said(daemon, "halt asked for"), said(daemon, "trading state: halt")
    assert time_of(heard) - asked < SECOND_S
    assert time_of(obeyed) - asked < SECOND_S
    assert changes(bot) == [("halt", cause)]
    entries = sent_entries(bot)
    assert 0 < len(entries) < 600
    assert max(one["ts_us"] for one in entries) <= halted_at(bot)
    assert set(denials(bot)) == {("trading_halted", cause)}


def test_R3_signal_while_it_loads_halts_what_starts(bot: Path) -> None:  # noqa: N802 - the fault's id
    with Running(bot, "run", "--data", DATA) as daemon:
        wait_until(loads(daemon, "_multiarray_umath"))
        daemon.signal(signal.SIGUSR1)
        assert daemon.end().code == 0
    assert (changes(bot), sent_entries(bot)) == ([("halt", "signal")], [])


def sessions(folder: Path) -> list[str]:
    return [str(one["id"]) for one in Books(state(folder)).sessions]


# ---- the database is locked ---------------------------------------------------------------------


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the write lock of the state file, as a person's tool does who forgot to commit."""
    with closing(sqlite3.connect(state(folder), isolation_level=None, timeout=30)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@pytest.mark.parametrize("how", ["signal", "file"])
def test_R3_halts_within_a_second_while_the_database_is_locked(bot: Path, how: str) -> None:  # noqa: N802
    with Warm(bot, "run", "--data", DATA, "--speed", "600") as daemon:
        daemon.wait_for(" trade rider ")
        with locked(bot):
            before = {one["client_order_id"] for one in sent_entries(bot)}
            cause = ask(how, bot, daemon)
            wait_until(lambda: bool(said(daemon, "halt asked for")) and (bot / "state/HALT").exists())
        asked = (bot / "state/HALT").stat().st_mtime
        assert time_of(said(daemon, "halt asked for")[0]) - asked < SECOND_S
        done = daemon.end()
    assert done.code == 0
    assert changes(bot) == [("halt", cause)]
    # one may have been on disk and unsent as the lock was taken: it was asked before the halt
    late = [one for one in sent_entries(bot) if one["client_order_id"] not in before]
    assert [one for one in late if one["ts_us"] > halted_at(bot)] == []
    assert set(denials(bot)) == {("trading_halted", cause)}


def test_R3_halt_outlives_a_daemon_that_the_lock_ends(bot: Path) -> None:  # noqa: N802 - the fault's id
    """Locked for longer than a daemon waits: it ends before it could write the halt down."""
    with Warm(bot, "run", "--data", DATA, "--speed", "600") as daemon:
        daemon.wait_for(" trade rider ")
        with locked(bot):
            daemon.signal(signal.SIGUSR1)
            done = daemon.end()
    assert done.code == 3
    assert changes(bot) == []
    before = len(sent_entries(bot))
    again = botd(bot, "run", "--data", DATA)
    assert again.code == 0
    assert changes(bot) == [("halt", "signal")]
    assert len(sent_entries(bot)) == before


# ---- no daemon, and the next one ----------------------------------------------------------------


def test_S8_halt_without_a_daemon_is_in_force_from_the_next_start_on(bot: Path) -> None:  # noqa: N802 - the id
    (bot / "state").mkdir()
    asked = botd(bot, "halt", "--reason", "before it is too late")
    assert (asked.code, asked.err) == (0, "")
    assert asked.out.startswith("halted: state/HALT is there. ")
    for _ in range(2):  # data that are finished begin a new session: the file halts that too
        assert botd(bot, "run", "--data", DATA).code == 0
        assert sent_entries(bot) == []
        assert changes(bot) == [("halt", "command")]
    status = botd(bot, "status").out
    assert "trading  halted since 2023-11-14 22:13:20 UTC, command, by " in status
    assert ": before it is too late; 'botd resume' lifts it\n" in status

    resumed = botd(bot, "resume")
    assert resumed.out.startswith("resume asked for: state/RESUME is there until it is done")
    assert not (bot / "state/HALT").exists()
    assert botd(bot, "run", "--data", DATA).code == 0
    assert not (bot / "state/RESUME").exists()
    assert len(sent_entries(bot)) == 12
    assert "trading  active\n" in botd(bot, "status").out


def test_S8_halt_survives_a_kill_and_ends_by_resume_only(bot: Path) -> None:  # noqa: N802 - the invariant's id
    run = ("run", "--data", DATA, "--speed", "600")
    with Warm(bot, *run) as daemon:
        daemon.wait_for(" trade rider ")
        (bot / "state/HALT").touch()
        wait_until(has(bot, ("halt", "file")))
        daemon.signal(signal.SIGKILL)
        daemon.process.wait(30)
    (bot / "state/HALT").unlink()  # that alone resumes nothing
    with Warm(bot, *run) as daemon:
        daemon.wait_for("denied rider NXS/BTC: trading_halted, file since 2023-")
        before = len(sent_entries(bot))
        assert botd(bot, "resume", "--reason", "all well").code == 0
        wait_until(has(bot, ("halt", "file"), ("resume", "file")))
        daemon.wait_for("alert medium trading_resumed: file, by ")
        wait_until(lambda: len(sent_entries(bot)) > before)
        wait_until(lambda: not (bot / "state/RESUME").exists())
        daemon.process.terminate()
        assert daemon.end().code == 0
    assert len(sessions(bot)) == 1


def test_J4_halt_and_sighup_while_no_rows_come_are_obeyed_and_said(bot: Path) -> None:  # noqa: N802 - the id
    with Warm(bot, "run", "--data", DATA, "--speed", "0.01") as daemon:  # a row in 100 s
        daemon.wait_for(" begins")
        (bot / "state/HALT").touch()
        wait_until(has(bot, ("halt", "file")))
        assert botd(bot, "resume").code == 0
        wait_until(has(bot, ("halt", "file"), ("resume", "file")))
        for _ in range(3):
            daemon.signal(signal.SIGHUP)
        daemon.wait_for("reload: nothing has changed")
        daemon.process.terminate()
        assert daemon.end().code == 0


def test_halt_and_resume_without_a_state_folder_say_so(tmp_path: Path) -> None:
    for command in ("halt", "resume"):
        refused(botd(tmp_path, command), 2, "no bot here: ", "--state")
        refused(botd(tmp_path, command, "--state", "gone/x.sqlite3"), 2, "there is no folder gone")
        assert list(tmp_path.iterdir()) == []


# ---- a crash loop -------------------------------------------------------------------------------


def started(folder: Path, count: int) -> None:
    """Leave what so many starts leave that came to no clean end."""
    (folder / "state").mkdir()
    (folder / "state/starts.json").write_text(json.dumps([time.time_ns() // 1000] * count))


def test_G12_fifth_start_in_a_crash_loop_is_safe_mode_until_resume(bot: Path) -> None:  # noqa: N802 - the id
    run = ("run", "--data", DATA, "--speed", "600")
    started(bot, 3)
    with Warm(bot, *run) as daemon:
        daemon.wait_for(" trade rider ")
        daemon.signal(signal.SIGKILL)
        assert "safe mode" not in daemon.text
        daemon.process.wait(30)
    before = len(sent_entries(bot))
    with Warm(bot, *run) as daemon:
        assert "5 starts within 10 minutes" in daemon.wait_for("safe mode: ")
        daemon.wait_for("alert critical trading_halted: crash_loop, by botd: 5 starts ")
        daemon.wait_for("denied rider NXS/BTC: trading_halted, crash_loop since ")
        assert len(sent_entries(bot)) == before
        assert botd(bot, "resume").code == 0
        daemon.wait_for("alert medium trading_resumed: crash_loop")
        wait_until(lambda: len(sent_entries(bot)) > before)
        daemon.process.terminate()
        assert daemon.end().code == 0
    assert not (bot / "state/starts.json").exists()  # the clean stop has ended the count


def test_G12_resume_before_the_start_begins_the_count_anew(bot: Path) -> None:  # noqa: N802 - the fault's id
    started(bot, 9)
    assert botd(bot, "resume").code == 0
    done = botd(bot, "run", "--data", DATA)
    assert done.code == 0
    assert "safe mode" not in done.out
    assert len(sent_entries(bot)) == 12


def test_G12_refusal_is_no_crash(bot: Path) -> None:  # noqa: N802 - the fault's id
    started(bot, 3)
    state(bot).write_text("this is no state file")
    assert botd(bot, "run", "--data", DATA).code == 6
    state(bot).unlink()
    done = botd(bot, "run", "--data", DATA)
    assert (done.code, "safe mode" in done.out) == (0, False)
