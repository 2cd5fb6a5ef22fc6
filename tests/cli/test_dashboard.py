"""`botd dashboard` before it becomes the dashboard: what it needs, and where it looks."""

from __future__ import annotations

import importlib.machinery
import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from botd.cli import dashboard
from botd.errors import InputInvalid
from tests.cli.bots import ROOT, botd, make_bot, refused


def test_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    folder = make_bot(tmp_path / "bot")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused(botd(folder, "dashboard", "--port", port), 2, f"port {port} of 127.0.0.1 is taken", "--port")


def test_folder_without_a_bot_is_one_clear_line(tmp_path: Path) -> None:
    refused(botd(tmp_path, "dashboard"), 2, "no bot here")


def test_missing_packages_are_named_with_what_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> importlib.machinery.ModuleSpec | None:
        return None if name == "plotly" else importlib.machinery.ModuleSpec(name, None)

    monkeypatch.setattr("importlib.util.find_spec", find)
    with pytest.raises(InputInvalid, match=r"needs plotly; install with: pip install 'botd\[ui\]'"):
        dashboard.dashboard(state=Path("state.sqlite3"))


def test_pages_are_found_in_the_source_tree() -> None:
    assert dashboard.find_app() == ROOT / "streamlit_app" / "main.py"


def test_wheel_carries_the_pages(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        packed.extractall(tmp_path / "there")
    pages = {path.relative_to(ROOT).as_posix() for path in (ROOT / "streamlit_app").rglob("*.py")}
    assert {f"botd/{page}" for page in pages} <= set(names)
    assert "botd/streamlit_app/screens/style.css" in names
    ask = "import botd.cli.dashboard as d; print(d.find_app())"
    found = subprocess.run(
        [sys.executable, "-c", ask], cwd=tmp_path / "there", check=True, capture_output=True, text=True
    )
    assert found.stdout.strip() == str(tmp_path / "there/botd/streamlit_app/main.py")


def test_dashboard_leaves_a_processor_and_goes_behind_the_daemon(tmp_path: Path) -> None:
    """What becomes the dashboard says in place of it where it runs."""
    told = "import os; print(sorted(os.sched_getaffinity(0)), os.nice(0))"
    ask = (
        "import os, sys; from pathlib import Path; import botd.cli.dashboard as d\n"
        f"os.execv = lambda path, words: exec({told!r})\n"
        "d.dashboard(state=Path('state.sqlite3'))"
    )
    there = sorted(os.sched_getaffinity(0))
    command = [sys.executable, "-c", ask]
    found = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert found.stdout.splitlines()[-1] == f"{there[1:] or there} {min(19, os.nice(0) + 10)}"
