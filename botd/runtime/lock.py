"""One daemon per state folder: a lock that the kernel drops with the process, however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from botd.errors import InputInvalid, InvariantBroken, SecondDaemon

LOCK_NAME: Final = "botd.lock"
_LOOKS_MAX: Final = 50  # others may be looking whether it is held; each look is over in microseconds
_LOOK_S: Final = 0.01


def is_held(folder: Path) -> bool | None:
    """Say whether a daemon runs on a state folder; None where that cannot be known."""
    try:
        fd = os.open(folder / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        return not _flock(fd, fcntl.LOCK_SH)
    except OSError:
        return None
    finally:
        os.close(fd)


class StateLock:
    """Hold the state folder for this process; made where it does not exist yet.

    The file stays when the lock is freed: whoever removes a lock file removes it under the next one.
    Raises SecondDaemon when it is held and InputInvalid when nothing can be written there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / LOCK_NAME
        self._fd: int | None = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the folder, or raise at once."""
        if self._fd is not None:
            raise InvariantBroken(f"{self.path} is held by this process already")
        fd = self._open()
        try:
            if not _take(fd):
                message = self._describe_holder(fd)
                os.close(fd)
                raise SecondDaemon(message)
        except OSError as error:
            os.close(fd)
            raise InputInvalid(
                f"{self.path}: this file system cannot lock files ({error.strerror}); "
                "put the state on a local disk (state.path)"
            ) from error
        text = f"{os.getpid()}\n".encode()
        os.pwrite(fd, text, 0)
        os.ftruncate(fd, len(text))
        self._fd = fd

    def release(self) -> None:
        """Free the folder; nothing happens when it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> int:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise PermissionError(None, "the folder is read-only")
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            if isinstance(error, FileExistsError | NotADirectoryError):
                what, do = "a file stands where the folder should be", "move the file away"
            else:
                what, do = error.strerror or str(error), "make the folder writable for this user"
            raise InputInvalid(
                f"{self.folder}: the state cannot be written here ({what}); "
                f"{do}, or name another one (state.path)"
            ) from error

    def _describe_holder(self, fd: int) -> str:
        pid, since = "", ""
        with suppress(OSError):
            pid = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            moment = datetime.fromtimestamp(int(os.fstat(fd).st_mtime), UTC)
            since = f" since {moment:%Y-%m-%d %H:%M:%S} UTC"
        who = f"process {pid}" if pid.isdigit() else "another process"
        return (
            f"{self.folder}: a botd already runs on this state folder ({who}{since}); "
            "stop it first, or give this one another state.path"
        )


def _take(fd: int) -> bool:
    """Take the lock; False where another daemon holds it, which a mere look does not."""
    for _ in range(_LOOKS_MAX):
        if _flock(fd, fcntl.LOCK_EX):
            return True
        if not _flock(fd, fcntl.LOCK_SH):
            return False
        fcntl.flock(fd, fcntl.LOCK_UN)
        time.sleep(_LOOK_S)
    return False


def _flock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
