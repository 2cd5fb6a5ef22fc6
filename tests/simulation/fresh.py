"""Which seeds the suite runs: those that once failed, and fresh ones for each commit."""

from __future__ import annotations

import hashlib
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KNOWN = Path(__file__).with_name("seeds.txt")
FRESH = 100


@cache
def first_seed() -> int:
    """Return the first fresh seed: made of the commit, or of the project file where there is no git."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=10
        )
        name = done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        name = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    return int(name[:8], 16)


def known_seeds() -> list[tuple[int, float]]:
    """Return (seed, hours) of every run that has failed before."""
    lines = (line.partition("#")[0].split() for line in KNOWN.read_text(encoding="utf-8").splitlines())
    return [(int(words[0]), float(words[1])) for words in lines if words]
