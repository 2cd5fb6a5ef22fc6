"""A complete small bot to read and to damage."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

GOOD = Path(__file__).parent / "good" / "bot"


@pytest.fixture
def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the good bot, which is also the working folder."""
    folder = tmp_path / "bot"
    shutil.copytree(GOOD, folder)
    monkeypatch.chdir(folder)
    return folder
