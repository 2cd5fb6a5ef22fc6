"""The control files: what HALT and RESUME ask for, together, alone, damaged, and on a full disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from botd.core.restraint import Cause, Verb
from botd.errors import InputInvalid
from botd.runtime.brake import Brake
from botd.runtime.control import ControlFiles, user
from botd.runtime.listener import Listener


@pytest.fixture
def files(tmp_path: Path) -> ControlFiles:
    return ControlFiles(tmp_path)


def test_R3_halt_is_read_as_it_was_asked(files: ControlFiles) -> None:  # noqa: N802 - the fault's id
    assert files.halt() is None
    files.ask_halt(Cause.COMMAND, "ann", "odd\nprices, ü")
    note = files.halt()
    assert note is not None
    assert (note.cause, note.who, note.reason) == (Cause.COMMAND, "ann", "odd prices, ü")
    files.ask_halt(Cause.SIGNAL, "bob", "")
    again = files.halt()
    assert again is not None
    assert (again.cause, again.mark != note.mark) == (Cause.SIGNAL, True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", ""),
        (b"venue looks odd\n  to me\n", "venue looks odd to me"),
        (b'{"cause": "whim", "who": "x", "reason": "y"}', '{"cause": "whim", "who": "x", "reason": "y"}'),
        (b'{"cause": "file"', '{"cause": "file"'),
        (b"[]", "[]"),
        (b"\xff\x00\xfe", "\ufffd\x00\ufffd"),
        (b"x" * 10_000, "x" * 200),
    ],
)
def test_R3_whatever_a_person_puts_there_halts(files: ControlFiles, text: bytes, reason: str) -> None:  # noqa: N802
    files.halt_path.write_bytes(text)
    note = files.halt()
    assert note is not None
    assert (note.cause, note.who, note.reason) == (Cause.FILE, str(files.halt_path), reason)


def test_R3_halt_that_cannot_be_read_halts(files: ControlFiles) -> None:  # noqa: N802 - the fault's id
    files.halt_path.mkdir()
    note = files.halt()
    assert note is not None
    assert note.reason == "it is no regular file"
    files.halt_path.rmdir()
    files.halt_path.symlink_to(files.halt_path)
    looped = files.halt()
    assert looped is not None
    assert looped.reason.startswith("it cannot be read: ")


def test_pipe_in_place_of_halt_is_not_waited_for(files: ControlFiles) -> None:
    os.mkfifo(files.halt_path)
    assert stat.S_ISFIFO(files.halt_path.stat().st_mode)
    assert files.halt() is not None


def test_resume_takes_halt_away_and_halt_takes_resume_away(files: ControlFiles) -> None:
    files.ask_halt(Cause.COMMAND, "ann", "")
    assert files.resume() is None
    files.ask_resume("bob", "all well")
    note = files.resume()
    assert files.halt() is None
    assert note is not None
    assert (note.cause, note.who, note.reason) == (Cause.COMMAND, "bob", "all well")
    files.ask_halt(Cause.COMMAND, "ann", "")
    assert not files.resume_path.exists()
    assert files.halt() is not None


def test_halt_wins_where_both_are_there(files: ControlFiles) -> None:
    files.ask_resume("bob", "")
    files.halt_path.touch()
    assert files.resume() is None
    assert files.halt() is not None


def test_dropping_a_resume_that_is_not_there_is_nothing(files: ControlFiles) -> None:
    files.drop_resume()
    files.ask_resume("bob", "")
    files.drop_resume()
    assert files.resume() is None


def test_R3_full_disk_still_takes_a_halt(files: ControlFiles, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: N802
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    files.ask_halt(Cause.COMMAND, "ann", "odd prices")
    assert files.halt() is not None
    with pytest.raises(InputInvalid, match=r"cannot write .*RESUME: No space left on device"):
        files.ask_resume("ann", "")


def test_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    files = ControlFiles(tmp_path / "none")
    assert (files.halt(), files.resume()) == (None, None)
    with pytest.raises(InputInvalid, match=r"cannot write .*HALT: No such file or directory"):
        files.ask_halt(Cause.COMMAND, "ann", "")


def test_halt_that_cannot_be_removed_is_said(files: ControlFiles) -> None:
    files.halt_path.mkdir()
    with pytest.raises(InputInvalid, match=r"cannot remove .*HALT: Is a directory"):
        files.ask_resume("ann", "")
    assert not files.resume_path.exists()


def test_user_is_named_even_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("USER", "ann")
    assert user() == "ann"
    monkeypatch.delenv("USER")
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    assert user() == "user 4000000000"


def test_resolve_names_one_order_at_a_time(files: ControlFiles) -> None:
    assert files.resolve() is None
    files.ask_resolve("ann", "looked at it", "x-1")
    note = files.resolve()
    assert note is not None
    assert (note.who, note.reason, note.order) == ("ann", "looked at it", "x-1")
    files.ask_resolve("bob", "so did I", "x-1")
    with pytest.raises(InputInvalid, match=r"RESOLVE waits for x-1; try again once it is gone"):
        files.ask_resolve("ann", "", "x-2")
    files.drop_resolve()
    files.drop_resolve()
    assert files.resolve() is None


def test_resolve_is_asked_of_the_brake_once_and_removed_when_it_is_obeyed(files: ControlFiles) -> None:
    brake = Brake()
    listener = Listener(brake, files)
    files.ask_resolve("ann", "looked at it", "x-1")
    listener.look()
    listener.look()
    (command,) = brake.take()
    assert (command.verb, command.scope, command.who) == (Verb.RESOLVE, "x-1", "ann")
    listener.look()
    assert files.resolve() is not None  # it is not on disk yet
    brake.settle()
    listener.look()
    assert files.resolve() is None
    listener.look()
    assert not brake.asked
