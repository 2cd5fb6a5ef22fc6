"""A dashboard beside a daemon, with processes that do nothing but live."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from botd.hosting.beside import dashboard_words, place_of
from tests.cli.bots import environment

LIVES = "import os, signal, sys; open(sys.argv[1], 'w').write(f'{os.getpid()}\\n'); signal.pause()"


class Pair:
    """A process that becomes the daemon, and the process numbers that both write once they live."""

    def __init__(self, folder: Path, daemon: str = LIVES) -> None:
        self.said: dict[str, int] = {}
        words = []
        for name in ("daemon", "dashboard"):
            os.mkfifo(folder / name)
            self.said[name] = os.open(folder / name, os.O_RDONLY | os.O_NONBLOCK)
            os.set_blocking(self.said[name], True)
            code = daemon if name == "daemon" else LIVES
            words.append([sys.executable, "-S", "-c", code, str(folder / name)])
        begin = (
            "import botd.hosting.beside as b; b.FIRST_WAIT_S = 0.01; "
            f"b.become_daemon({words[0]!r}, {words[1]!r}, quiet=True)"
        )
        self.process = subprocess.Popen([sys.executable, "-c", begin], env=environment())

    def pid_of(self, name: str) -> int:
        """Return the number that is written next."""
        said = b""
        while not said.endswith(b"\n"):
            said += os.read(self.said[name], 64)
        return int(said)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(30)
        for one in self.said.values():
            os.close(one)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    one = Pair(tmp_path)
    yield one
    one.close()


def await_end(pid: int) -> None:
    while Path(f"/proc/{pid}").exists():
        os.sched_yield()


def test_daemon_is_the_process_that_was_started(pair: Pair) -> None:
    assert pair.pid_of("daemon") == pair.process.pid
    pair.process.send_signal(signal.SIGTERM)
    assert pair.process.wait(30) == -signal.SIGTERM


def test_dashboard_ends_with_a_daemon_that_is_killed(pair: Pair) -> None:
    dashboard = pair.pid_of("dashboard")
    pair.pid_of("daemon")
    pair.process.kill()
    pair.process.wait(30)
    await_end(dashboard)


def test_dashboard_that_ends_is_begun_anew_and_stops_nothing(pair: Pair) -> None:
    pair.pid_of("daemon")
    first = pair.pid_of("dashboard")
    os.kill(first, signal.SIGKILL)
    assert pair.pid_of("dashboard") != first
    assert pair.process.poll() is None


def test_dashboard_hears_no_ctrl_c_of_the_terminal(pair: Pair) -> None:
    pair.pid_of("daemon")
    assert os.getsid(pair.pid_of("dashboard")) != os.getsid(0)


def test_exit_code_is_the_daemons(tmp_path: Path) -> None:
    pair = Pair(tmp_path, daemon="raise SystemExit(5)")
    assert pair.process.wait(30) == 5
    pair.close()


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ([], []),
        (["--speed", "max"], []),
        (["--config", "bot", "--speed", "max"], ["--config", "bot"]),
        (["--data", "x", "--config=bot"], ["--config=bot"]),
    ],
)
def test_dashboard_is_that_of_the_daemons_bot(words: list[str], place: list[str]) -> None:
    assert place_of(words) == place


@pytest.mark.parametrize(
    ("given", "host", "port", "address"),
    [
        ({}, "127.0.0.1", "8501", "http://127.0.0.1:8501"),
        ({"BOTD_DASHBOARD_HOST": "0.0.0.0"}, "0.0.0.0", "8501", "http://127.0.0.1:8501"),
        ({"BOTD_DASHBOARD_HOST": "::1", "BOTD_DASHBOARD_PORT": "9"}, "::1", "9", "http://[::1]:9"),
    ],
)
def test_dashboard_listens_where_the_environment_says(
    given: dict[str, str], host: str, port: str, address: str
) -> None:
    words = ["dashboard", "--config", "bot", "--host", host, "--port", port]
    assert dashboard_words(["--config", "bot"], given) == (words, address)
