"""Reading the text of files, with a clear word about each one that cannot be read."""

from __future__ import annotations

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
        with path.open("rb") as stream:
            data = stream.read(FILE_BYTES_MAX + 1)  # the document reader refuses what is longer
    except FileNotFoundError:
        return _whole_file(shown, "no such file")
    except OSError as error:
        return _whole_file(shown, f"cannot be read: {error.strerror or error}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(data) > FILE_BYTES_MAX:
            return _whole_file(shown, "the file is over 256 KiB; split it")
        return _whole_file(shown, f"byte {error.start} is not UTF-8; save the file as UTF-8")


def strategy_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the strategy files of a folder by name, and files that only look like some.

    Raises InputInvalid when the folder cannot be listed. Hidden files are an editor's or a sync
    tool's own.
    """
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputInvalid(f"{folder}: cannot be listed: {error.strerror or error}") from error
    return (
        [path for path in found if path.suffix == ".yaml" and not path.is_dir()],
        [path for path in found if path.suffix.lower() in (".yml", ".yaml") and path.suffix != ".yaml"],
    )


def _whole_file(shown: str, message: str) -> Diagnostic:
    return Diagnostic(file=shown, line=0, column=0, message=message)
