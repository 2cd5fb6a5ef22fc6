from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from botd.errors import InputInvalid, InvariantBroken, SecondDaemon
from botd.runtime.lock import LOCK_NAME, StateLock, is_held

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys, time
from pathlib import Path
from botd.runtime.lock import StateLock
with StateLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
TRY_AS_NOBODY = """
import os, sys
from pathlib import Path
from botd.errors import BotdError
from botd.runtime.lock import StateLock
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    StateLock(Path(sys.argv[1])).acquire()
except BotdError as error:
    print(error)
    raise SystemExit(error.exit_code)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of `tmp_path`."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_lock_writes_the_process_id_and_frees_the_folder(tmp_path: Path) -> None:
    with StateLock(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text() == f"{os.getpid()}\n"
    with StateLock(tmp_path):
        pass


def test_lock_makes_a_missing_folder(tmp_path: Path) -> None:
    with StateLock(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b" / LOCK_NAME).exists()


def test_B13_lock_held_by_another_process_names_it(holder: subprocess.Popen[str], tmp_path: Path) -> None:  # noqa: N802
    with pytest.raises(SecondDaemon) as caught:
        StateLock(tmp_path).acquire()
    message = str(caught.value)
    assert caught.value.exit_code == 3
    assert re.fullmatch(
        rf"{re.escape(str(tmp_path))}: a botd already runs on this state folder "
        rf"\(process {holder.pid} since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC\); "
        r"stop it first, or give this one another state\.path",
        message,
    )


def test_lock_refused_leaves_the_holders_process_id(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    with pytest.raises(SecondDaemon):
        StateLock(tmp_path).acquire()
    assert (tmp_path / LOCK_NAME).read_text() == f"{holder.pid}\n"


def test_lock_is_free_after_kill_9(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait(10)
    with StateLock(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text() == f"{os.getpid()}\n"


def test_is_held_tells_a_running_daemon_from_a_killed_one(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert is_held(tmp_path) is True
    holder.send_signal(signal.SIGKILL)
    holder.wait(10)
    assert is_held(tmp_path) is False
    assert is_held(tmp_path / "nowhere") is False


def test_looking_whether_it_is_held_never_keeps_a_daemon_from_starting(tmp_path: Path) -> None:
    with StateLock(tmp_path):
        pass
    look = os.open(tmp_path / LOCK_NAME, os.O_RDONLY)
    fcntl.flock(look, fcntl.LOCK_SH)
    looked = threading.Timer(0.05, os.close, [look])
    looked.start()
    with StateLock(tmp_path):
        looked.join(10)


def test_lock_file_with_rubbish_and_no_holder_is_taken(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_bytes(b"\xff" * 100)
    with StateLock(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text() == f"{os.getpid()}\n"


def test_lock_held_with_rubbish_in_it_still_refuses_in_one_line(tmp_path: Path) -> None:
    with StateLock(tmp_path):
        (tmp_path / LOCK_NAME).write_bytes(b"\xff\n")
        with pytest.raises(SecondDaemon, match=r"\(another process since .*\)") as caught:
            StateLock(tmp_path).acquire()
    assert "\n" not in str(caught.value)


def test_lock_is_freed_when_the_block_raises(tmp_path: Path) -> None:
    with pytest.raises(KeyError), StateLock(tmp_path):
        raise KeyError
    with StateLock(tmp_path):
        pass


def test_lock_taken_twice_by_one_object_is_a_broken_invariant(tmp_path: Path) -> None:
    with StateLock(tmp_path) as lock, pytest.raises(InvariantBroken):
        lock.acquire()


def test_release_without_acquire_does_nothing(tmp_path: Path) -> None:
    StateLock(tmp_path).release()


def test_lock_is_not_inherited_by_programs_started_meanwhile(tmp_path: Path) -> None:
    with StateLock(tmp_path):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with StateLock(tmp_path):
            pass
    finally:
        child.kill()
        child.wait(10)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may look into, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("with_lock_file", [False, True])
def test_read_only_folder_says_what_to_do(open_folder: Path, with_lock_file: bool) -> None:
    folder = open_folder / "state"
    folder.mkdir()
    if with_lock_file:  # writable itself, but SQLite could not write beside it
        (folder / LOCK_NAME).touch()
        (folder / LOCK_NAME).chmod(0o666)
    folder.chmod(0o555)
    command = [sys.executable, "-c", TRY_AS_NOBODY, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    folder.chmod(0o755)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout == (
        f"{folder}: the state cannot be written here (the folder is read-only); "
        "make the folder writable for this user, or name another one (state.path)\n"
    )


@pytest.mark.parametrize("place", ["state", "state/deeper"])
def test_file_in_place_of_the_folder_says_what_to_do(tmp_path: Path, place: str) -> None:
    (tmp_path / "state").write_text("")
    said = r"cannot be written here \(a file stands where the folder should be\); move the file away"
    with pytest.raises(InputInvalid, match=said) as caught:
        StateLock(tmp_path / place).acquire()
    assert caught.value.exit_code == 2
