"""SQLite's write-ahead log as bytes: where its transactions end, and what a power loss leaves of it.

The layout is in https://www.sqlite.org/fileformat2.html#the_write_ahead_log.
"""

from __future__ import annotations

import os
from pathlib import Path
from struct import Struct
from typing import Final

_HEADER: Final = Struct(">8I")  # magic, version, page size, checkpoint, salt, salt, checksum, checksum
_FRAME: Final = Struct(">6I")  # page, pages after commit or 0, salt, salt, checksum, checksum
_MAGICS: Final = (0x377F0682, 0x377F0683)


def committed_ends(wal: Path) -> list[int]:
    """Return the offset behind each transaction that the log holds, oldest first.

    Frames behind the last one are of a transaction that was not committed, or of the log's former use.
    """
    ends: list[int] = []
    with wal.open("rb") as file:
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            return ends
        magic, _, page_size, _, *salts, _, _ = _HEADER.unpack(head)
        if magic not in _MAGICS:
            return ends
        size = os.fstat(file.fileno()).st_size
        frame = _FRAME.size + page_size
        for start in range(_HEADER.size, size - frame + 1, frame):
            file.seek(start)
            _, pages, *own, _, _ = _FRAME.unpack(file.read(_FRAME.size))
            if own != salts:
                return ends
            if pages:
                ends.append(start + frame)
    return ends


def cut(wal: Path, size: int) -> None:
    """Lose everything of a log behind its first `size` bytes."""
    os.truncate(wal, size)
