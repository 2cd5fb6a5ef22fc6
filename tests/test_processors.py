"""Which processors are left to the daemon."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ASK = "import os; from botd.processors import leave_one; leave_one(); print(sorted(os.sched_getaffinity(0)))"
THERE = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []


def left(allowed: list[int]) -> str:
    """Return the processors that a process keeps which may run on some."""
    ask = f"import os; os.sched_setaffinity(0, {allowed}); {ASK}"
    return subprocess.run([sys.executable, "-c", ask], check=True, capture_output=True, text=True).stdout


@pytest.mark.skipif(len(THERE) < 2, reason="takes two processors")
def test_first_of_many_is_left() -> None:
    assert left(THERE) == f"{THERE[1:]}\n"


@pytest.mark.skipif(not THERE, reason="takes a system that places processes")
def test_only_one_is_shared() -> None:
    assert left(THERE[-1:]) == f"{THERE[-1:]}\n"
