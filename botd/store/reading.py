"""How a state file is opened by somebody who only reads it."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from botd.errors import InputInvalid


def reading_uri(path: Path) -> str:
    """Return what SQLite opens a state file by to read it; raise InputInvalid where there is no such file.

    The file is looked at and never opened here: closing it again would take away the locks of a connection
    that this process writes it by, and another process would delete the WAL under it
    (https://sqlite.org/howtocorrupt.html, "Posix advisory locks canceled").
    """
    if not path.exists():
        raise InputInvalid(f"no state file at {path}; start botd first, or name one with --state")
    if path.is_dir():
        raise InputInvalid(f"{path} is a folder; the state is a file, such as {path / 'botd.sqlite3'}")
    if not os.access(path, os.R_OK):
        raise InputInvalid(f"cannot read {path}: permission denied; name another state file")
    # SQLite reads a WAL file by the help of files that it makes beside it: where the folder cannot be
    # written, the file has to stand still (https://sqlite.org/wal.html#readonly).
    left = path.with_name(f"{path.name}-wal").exists()
    how = "mode=ro" if left or os.access(path.parent, os.W_OK) else "mode=ro&immutable=1"
    return f"file:{quote(str(path.absolute()))}?{how}"
