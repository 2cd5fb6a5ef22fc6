"""Engine snapshots as files beside the state file: whole, or not there."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import quote


class SnapshotFolder:
    """The folder `snapshots`; the rows that say which file counts are the journal's."""

    def __init__(self, state_file: Path) -> None:
        self.path = state_file.parent / "snapshots"

    def file_name(self, session_id: str, position: int, payload: bytes) -> str:
        """Return a name of these bytes alone: an older state of the same place keeps its file."""
        return f"{quote(session_id, safe='')}-{position}-{hashlib.sha256(payload).hexdigest()[:12]}.snap"

    def write(self, name: str, payload: bytes) -> str:
        """Put the payload on disk under `name` and return its sha256; a crash leaves the old file."""
        self.path.mkdir(parents=True, exist_ok=True)
        draft = self.path / f"{name}.tmp"
        with draft.open("wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path / name)
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return hashlib.sha256(payload).hexdigest()

    def read(self, name: str, sha256: str) -> bytes | None:
        """Return the payload of `name`, None where it cannot be read or is not what was written."""
        try:
            payload = (self.path / name).read_bytes()
        except OSError:
            return None
        return payload if hashlib.sha256(payload).hexdigest() == sha256 else None

    def sweep(self, session_id: str, keep: frozenset[str]) -> None:
        """Delete this session's files that no row names, also what a crash left."""
        ours = re.compile(rf"{re.escape(quote(session_id, safe=''))}-\d+(-[0-9a-f]{{12}})?\.snap(\.tmp)?")
        for file in self.path.iterdir():
            if file.name not in keep and ours.fullmatch(file.name):
                file.unlink(missing_ok=True)
