"""Reading the text of files, with a clear word about each one that cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from botd.errors import Diagnostic, InputInvalid
from botd.language.document import FILE_BYTES_MAX


def read_text(path: Path, shown: str) -> str | Diagnostic:
    """Return the text of a file, or why there is none.

    Line ends are kept as they are, so that the plan's hash is over the file's bytes.
    """
    try:
        if path.is_dir():
            return _whole_file(shown, "is a folder, not a file")
        if path.exists() and not path.is_file():  # reading a pipe may wait for ever
            return _whole_file(shown, "is a pipe, a socket or a device; only regular files are read")
        with path.open("rb") as stream:
            data = stream.read(FILE_BYTES_MAX + 1)  # the document reader refuses what is longer
    except FileNotFoundError:
        return _whole_file(shown, "no such file")
    except OSError as error:
        return _whole_file(shown, why_unread(error))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(data) > FILE_BYTES_MAX:
            return _whole_file(shown, "the file is over 256 KiB; split it")
        return _whole_file(shown, f"byte {error.start} is not UTF-8; save the file as UTF-8")


def why_unread(error: OSError) -> str:
    """Say why something cannot be read, and what to do about it."""
    if isinstance(error, PermissionError):
        return "this user may not read it; change its permissions, or run botd as the user who owns it"
    return f"cannot be read: {error.strerror or error}"


@contextmanager
def looking_at(path: Path) -> Iterator[None]:
    """Turn the system's refusal to look at a path into InputInvalid."""
    try:
        yield
    except OSError as error:
        raise InputInvalid(f"{path}: {why_unread(error)}") from error


def strategy_files(folder: Path) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Return the strategy files of a folder by name, and what only looks like some, with why it is not read.

    Raises InputInvalid when the folder cannot be listed. Hidden files are an editor's or a sync
    tool's own.
    """
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputInvalid(f"{folder}: {why_unread(error)}") from error
    files: list[Path] = []
    lookalikes: list[tuple[Path, str]] = []
    for path in found:
        if path.suffix.lower() not in (".yml", ".yaml"):
            continue
        if path.is_dir():
            lookalikes.append((path, "is a folder and is not read; put strategy files beside it"))
        elif path.suffix == ".yaml":
            files.append(path)
        else:
            lookalikes.append((path, "is not read; strategy files end in .yaml, in small letters"))
    return files, lookalikes


def _whole_file(shown: str, message: str) -> Diagnostic:
    return Diagnostic(file=shown, line=0, column=0, message=message)
