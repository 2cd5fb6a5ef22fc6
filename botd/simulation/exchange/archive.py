"""What is long over at the venue, in a file: a run of days must not hold all that ever happened."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

from botd.simulation.exchange.truth import Chapter


class Archive:
    """Parts of the venue's record, one after the other in a file of their own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, chapter: Chapter) -> None:
        """Add a part."""
        with self._path.open("ab") as file:
            pickle.dump(chapter, file)

    def chapters(self) -> Iterator[Chapter]:
        """Yield the parts, oldest first."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            while file.peek(1):
                yield pickle.load(file)
