"""Find the data files of a path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from botd.core.instrument import Instrument, InstrumentId
from botd.core.settings import PaperSettings
from botd.errors import InputInvalid
from botd.feeds.recorded import RecordedFeed, find_entry
from botd.feeds.sidecar import NO_INSTRUMENTS, SIDECAR_NAME, FileEntry, read_sidecar
from botd.feeds.tables import SUFFIXES, guess_kind, suggest_entry
from botd.ports import Clock


def find_data(path: Path) -> list[tuple[Path, FileEntry]]:
    """Return the data files of a file or folder with their entries, sorted by name.

    With a sidecar only the files it lists are data, so a list of events may lie beside them; entries
    of files that are not there are passed over, so one sidecar serves a copy of some of its files.
    """
    if path.is_file():
        return [(path, find_entry(path))]
    if not path.is_dir():
        raise InputInvalid(f"{path}: there is no such file or folder")
    sidecar = path / SIDECAR_NAME
    if not sidecar.is_file():
        raise InputInvalid(_missing_sidecar(path))
    entries = read_sidecar(sidecar)
    found = [(path / name, entries[name]) for name in sorted(entries) if (path / name).is_file()]
    if not found:
        raise InputInvalid(f"{path}: none of the {len(entries)} files that {SIDECAR_NAME} lists is there")
    return found


def open_data(
    path: Path,
    *,
    known: Mapping[InstrumentId, Instrument] = NO_INSTRUMENTS,
    paper: PaperSettings | None = None,
    clock: Clock | None = None,
    speed: float | None = None,
) -> list[RecordedFeed]:
    """Open every data file of a file or folder as a feed of its own."""
    return [
        RecordedFeed(file, entry=entry, known=known, paper=paper, clock=clock, speed=speed)
        for file, entry in find_data(path)
    ]


def _missing_sidecar(path: Path) -> str:
    """Say that a folder has no data, or which lines its sidecar must have."""
    files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    for file in files:
        kind = guess_kind(file)
        if kind is not None:
            line = suggest_entry(file, kind)
            return f"{path / SIDECAR_NAME} is missing; write one line per data file into it, such as {line}"
    return f"{path}: holds no data files; they end in {' or '.join(SUFFIXES)} beside an {SIDECAR_NAME}"
