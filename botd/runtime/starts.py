"""The daemon's starts that came to no clean end, kept beside the state file: a crash loop is seen by them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from botd.errors import InputInvalid

STARTS_NAME: Final = "starts.json"
STARTS_MAX: Final = 5  # so many within the window are a crash loop
WINDOW_US: Final = 600_000_000

_KEPT: Final = 20


class StartLog:
    """Times of starts since the last clean stop. It outlives a state file that cannot be opened."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / STARTS_NAME

    def begin(self, now_us: int) -> int:
        """Note a start, on disk when this returns; return how many there were within the window.

        Raises InputInvalid where it cannot be noted.
        """
        # a clock that was set back leaves starts in the future: they count too
        times = [one for one in self._read() if abs(now_us - one) <= WINDOW_US]
        times = [*times, now_us][-_KEPT:]
        self._write(times)
        return len(times)

    def settle(self) -> None:
        """Say that the daemon came to a clean end."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> list[int]:
        try:
            times = json.loads(self._path.read_text(encoding="utf-8"))
            return [int(one) for one in times]
        except (OSError, ValueError, TypeError):  # missing, or cut short by what made it crash
            return []

    def _write(self, times: list[int]) -> None:
        draft = self._path.with_name(f"{self._path.name}.tmp")
        try:
            with draft.open("w", encoding="utf-8") as file:
                file.write(json.dumps(times))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as error:
            raise InputInvalid(f"cannot write {self._path}: {error.strerror}; make room for it") from error
