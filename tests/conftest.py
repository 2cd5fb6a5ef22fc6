"""Fixtures of the tests that stand beside the package's root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from botd import sessions
from tests.session_scene import MINUTE_US, Bench
from tests.simulation.fresh import first_seed

# daemons of tests run side by side, and have one port: those whose API is tested say so
os.environ["BOTD_API_ENABLED"] = "false"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Return a bot folder whose warm-up takes minutes of the market instead of a day."""
    monkeypatch.setattr(sessions, "WARM_UP_US", 10 * MINUTE_US)
    (tmp_path / "bot").mkdir()
    return Bench(tmp_path / "bot")


def pytest_report_header() -> str:
    """Say which seeds are simulated, so that a run can be repeated on another commit."""
    return f"simulation: fresh seeds from {first_seed()}"
