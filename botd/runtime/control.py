"""The files by which a person halts and resumes trading, whether a daemon runs or not.

`HALT` in the state folder halts: anybody may put it there, by hand too, and its text is the reason.
Taking it away resumes nothing. `RESUME` asks for that; it is written by `botd resume`, which takes HALT
away first, and removed once the bot has obeyed. Where both are there, HALT wins and RESUME is dropped.
`RESOLVE` names an order that needs a person and is over; `botd resolve` writes it, and it is removed as well.
"""

from __future__ import annotations

import getpass
import json
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from botd.core.restraint import Cause
from botd.errors import InputInvalid

HALT_NAME: Final = "HALT"
RESUME_NAME: Final = "RESUME"
RESOLVE_NAME: Final = "RESOLVE"

_TEXT_MAX: Final = 4096
_REASON_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Note:
    """What a file asks for. `mark` tells one writing of the file from the next."""

    cause: Cause
    who: str
    reason: str
    mark: tuple[int, int]
    order: str = ""  # RESOLVE: which one


class ControlFiles:
    """The files of one state folder."""

    def __init__(self, folder: Path) -> None:
        self.halt_path = folder / HALT_NAME
        self.resume_path = folder / RESUME_NAME
        self.resolve_path = folder / RESOLVE_NAME

    def halt(self) -> Note | None:
        """Return what HALT says, None where there is none."""
        return _read(self.halt_path)

    def resume(self) -> Note | None:
        """Return what RESUME says, None where there is none or HALT stands against it."""
        return None if self.halt_path.exists() else _read(self.resume_path)

    def ask_halt(self, cause: Cause, who: str, reason: str) -> None:
        """Put HALT there, on disk when this returns; raise InputInvalid where that cannot be."""
        try:
            _write(self.halt_path, cause, who, reason)
        except InputInvalid:
            _touch(self.halt_path)  # a full disk still takes an empty file
        self.drop_resume()

    def drop_halt(self) -> None:
        """Take HALT away: a person resumes, and sees that it is done; raise InputInvalid where it stays."""
        try:
            self.halt_path.unlink(missing_ok=True)
        except OSError as error:
            raise InputInvalid(f"cannot remove {self.halt_path}: {error.strerror}") from error

    def ask_resume(self, who: str, reason: str) -> bool:
        """Take HALT away and put RESUME there; return whether there was a HALT.

        Raises InputInvalid where that cannot be.
        """
        there = self.halt_path.exists()
        self.drop_halt()
        _write(self.resume_path, Cause.COMMAND, who, reason)
        return there

    def resolve(self) -> Note | None:
        """Return what RESOLVE says, None where there is none."""
        return _read(self.resolve_path)

    def ask_resolve(self, who: str, reason: str, order: str) -> None:
        """Put RESOLVE there; raise InputInvalid where that cannot be, or another order waits."""
        waiting = self.resolve()
        if waiting is not None and waiting.order != order:
            raise InputInvalid(f"{self.resolve_path} waits for {waiting.order}; try again once it is gone")
        _write(self.resolve_path, Cause.COMMAND, who, reason, order)

    def drop_resolve(self) -> None:
        """Take RESOLVE away: it is obeyed."""
        with suppress(FileNotFoundError):
            self.resolve_path.unlink()

    def drop_resume(self) -> None:
        """Take RESUME away: it is obeyed, or there is a HALT by now."""
        with suppress(FileNotFoundError):
            self.resume_path.unlink()


def user() -> str:
    """Return the name of whoever runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        return f"user {os.getuid()}"


def _read(path: Path) -> Note | None:
    try:
        status = path.stat()
        mark = (status.st_ino, status.st_mtime_ns)
        if not stat.S_ISREG(status.st_mode):
            return Note(Cause.FILE, str(path), "it is no regular file", mark)
        with path.open("rb") as file:
            text = file.read(_TEXT_MAX).decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:  # whatever hinders us to read it, it is there
        return Note(Cause.FILE, str(path), f"it cannot be read: {error.strerror}", (0, 0))
    with suppress(ValueError, KeyError, TypeError):
        body = json.loads(text)
        cause = Cause(body["cause"])  # which nothing but an object has
        return Note(cause, str(body["who"]), str(body["reason"]), mark, str(body.get("order", "")))
    reason = " ".join(text.split())[:_REASON_MAX]
    return Note(Cause.FILE, str(path), reason, mark)


def _touch(path: Path) -> None:
    try:
        path.touch()
    except OSError as error:
        raise InputInvalid(f"cannot write {path}: {error.strerror}") from error


def _write(path: Path, cause: Cause, who: str, reason: str, order: str = "") -> None:
    fields = {"cause": cause, "who": who, "reason": " ".join(reason.split())[:_REASON_MAX]}
    body = json.dumps(fields | ({"order": order} if order else {}))
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(f"{body}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise InputInvalid(f"cannot write {path}: {error.strerror}") from error
