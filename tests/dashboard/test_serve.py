"""What `make run` starts: a daemon and a dashboard, each at its address, that end together."""

from __future__ import annotations

import signal
import socket
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from tests.api.test_daemon_api import ON, Caller
from tests.cli.bots import RIDER, Running, make_bot, write_pump
from tests.dashboard.scene import free_port
from tests.test_daemon import wait_until


def answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
        return bool(answer.status == 200)
    return False


@pytest.fixture
def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, setting in ON.items():
        monkeypatch.setenv(name, setting)
    folder = make_bot(tmp_path / "bot", rider=RIDER)
    write_pump(folder / "pump.parquet", bursts=12)
    return folder


def test_serve_prints_both_addresses_answers_at_both_and_ends_both_in_order(
    bot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("BOTD_DASHBOARD_PORT", str(port))
    with Running(bot, "serve", "--data", "pump.parquet", "--speed", "60") as both:
        assert both.wait_for("dashboard: ") == f"dashboard: http://127.0.0.1:{port}"
        both.wait_for("API: http://127.0.0.1:")
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/_stcore/health"))
        assert Caller(bot).ask("GET", "/health")[0] == 200
        both.wait_for(" trade rider ")
        both.signal(signal.SIGTERM)
        assert both.end().code == 0
    wait_until(lambda: not answers(f"http://127.0.0.1:{port}/_stcore/health"))


def test_serve_says_whose_the_dashboards_port_is(bot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("BOTD_DASHBOARD_PORT", str(port))
        with Running(bot, "serve", "--data", "pump.parquet", "--speed", "60") as both:
            line = both.wait_for("dashboard: ")
            assert line.endswith("not this bot; name a free port in BOTD_DASHBOARD_PORT")
            both.signal(signal.SIGKILL)
