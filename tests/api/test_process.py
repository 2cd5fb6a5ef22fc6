"""The process of the API: what ends it does not end trading, and what ends its daemon ends it."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

# ruff: noqa: N802 - the faults' ids
from botd.api import keeper
from botd.api.keeper import environment_of
from botd.api.settings import ApiSettings
from botd.config.loader import load_plan
from botd.core.reload import ReloadOutcome
from botd.core.restraint import Cause, Verb
from botd.reception import ApiNeeds
from botd.runtime.brake import Brake
from botd.runtime.clock import WallClock
from botd.runtime.control import ControlFiles
from botd.serving import DaemonApi
from tests.api.stand import POSITION, made_once
from tests.cli.bots import Warm, make_bot, write_pump
from tests.store import samples
from tests.test_daemon import DATA, wait_until

KEY = "the-key-of-the-venue-0123456789"
LOOPBACK = "127.0.0.1"


class Served:
    """The API of a daemon that does nothing, in its own process."""

    def __init__(self, folder: Path) -> None:
        bot = make_bot(folder / "bot")
        (bot / "state").mkdir()
        self.reloads: Failing | None = None
        plan = load_plan(bot)
        plan.state_path.write_bytes(made_once())
        self.brake = Brake()
        self.state = plan.state_path.parent
        needs = ApiNeeds(
            brake=self.brake,
            files=ControlFiles(self.state),
            clock=WallClock(),
            lag_s=float,
            plan=lambda: plan,
            reload=lambda: self.reloads,
        )
        self.api = DaemonApi(ApiSettings(port=0), needs, {**os.environ, "BINANCE_API_SECRET": KEY})

    def ask(self, path: str, *, act: bool = False) -> tuple[int, Any]:
        request = urllib.request.Request(f"{self.api.address}{path}", method="POST" if act else "GET")
        if act:
            token = (self.state / "api-token-trader").read_text().strip()
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def pid(self) -> int:
        """Return the number of the process that serves."""
        assert self.ask("/health")[0] == 200
        pid = self.api.process.pid
        assert pid is not None
        return pid


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    with made.api:
        yield made


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with suppress(OSError):  # it is over, and nobody has asked for its exit code yet
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def test_process_that_is_killed_is_begun_anew_at_the_same_address(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = served.pid()
    served.api.begin("s1")
    served.api.trades(True)
    wait_until(lambda: bool(served.ask("/health/ready")[1]["ready"]))
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: served.api.process.pid not in (None, first))
    assert served.ask("/health/ready")[1]["ready"] is True  # it is told everything again
    assert served.pid() != first
    (said,) = [one for one in caplog.records if one.levelno == logging.CRITICAL]
    assert said.message == "the API's process ended and begins anew; trading goes on"
    assert vars(said)["code"] == -signal.SIGKILL


def test_process_leaves_a_processor_to_its_daemon(served: Served) -> None:
    there = sorted(os.sched_getaffinity(0))
    assert sorted(os.sched_getaffinity(served.pid())) == (there[1:] or there)


def test_process_leaves_signals_to_its_daemon_and_ends_in_order(tmp_path: Path) -> None:
    served = Served(tmp_path)
    with served.api:
        pid = served.pid()
        for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            os.kill(pid, one)
        time.sleep(0.2)
        assert served.pid() == pid
    assert is_gone(pid)
    with pytest.raises(ConnectionRefusedError):
        where = urlsplit(served.api.address)
        socket.create_connection((where.hostname, where.port), timeout=5)


def test_process_that_stands_still_makes_nobody_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeper, "SHUT_S", 0.3)
    monkeypatch.setattr(keeper, "STOP_S", 0.3)
    monkeypatch.setattr(keeper, "END_S", 0.3)
    served = Served(tmp_path)
    with served.api:
        served.api.books(open=True)
        pid = served.pid()
        wait_until(lambda: served.ask("/api/trading/trades?session_id=s1")[0] == 200)
        os.kill(pid, signal.SIGSTOP)
        for _ in range(2_000):  # more than fits into the sockets between them
            served.api.heard([samples.alert(k, message="x" * 100) for k in range(10)])
        served.api.books(open=False)
        assert "still reads the books" in caplog.text
    assert is_gone(pid)


def test_books_are_left_before_their_writer_closes_them(served: Served) -> None:
    served.api.books(open=True)
    wait_until(lambda: served.ask("/api/trading/trades?session_id=s1")[0] == 200)
    pid = served.pid()
    files = [str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir()]
    assert any(one.endswith("botd.sqlite3") for one in files)
    served.api.books(open=False)
    files = [str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir()]
    assert not any("botd.sqlite3" in one for one in files)
    assert served.ask("/api/trading/trades")[0] == 503


def test_N3_process_is_given_no_key_of_a_venue(served: Served) -> None:
    pid = served.pid()
    environment = Path(f"/proc/{pid}/environ").read_bytes().decode()
    assert KEY not in environment
    assert {one.partition("=")[0] for one in environment.split("\0") if one} <= set(
        environment_of(os.environ)
    )
    assert KEY not in Path(f"/proc/{pid}/cmdline").read_text()


def test_what_is_asked_holds_at_once_and_is_answered_once_it_is_obeyed(served: Served) -> None:
    served.pid()
    status, said = served.ask("/api/trading/halt", act=True)  # nobody obeys
    assert (status, said["done"]) == (202, False)
    assert served.brake.on
    commands = served.brake.take()
    assert {(one.verb, one.cause) for one in commands} == {(Verb.HALT, Cause.COMMAND)}
    assert commands[0].who.endswith("from 127.0.0.1 (api)")
    assert served.ask("/api/reload", act=True)[0] == 503


class Failing:
    """Reloads that break in place of coming to an outcome."""

    def request(self, who: str) -> Future[ReloadOutcome]:
        found: Future[ReloadOutcome] = Future()
        found.set_exception(RuntimeError("broken"))
        return found

    def last(self) -> ReloadOutcome | None:
        return None

    def swapped_us(self) -> int | None:
        return None


def test_reload_that_breaks_is_a_failure_of_ours_that_the_log_knows(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    served.reloads = Failing()
    served.pid()
    wait_until(lambda: served.ask("/api/reload", act=True)[0] == 500)  # once it is told of them
    wait_until(
        lambda: any("the reload broke: broken" in vars(one).get("exception", "") for one in caplog.records)
    )


def test_line_of_the_process_is_in_the_daemons_log(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    served.api.begin("s1")
    served.api.books(open=True)
    path = f"/api/trading/positions/{POSITION}/close"
    wait_until(lambda: served.ask(path, act=True)[0] == 202)
    assert served.brake.take()[0].verb is Verb.CLOSE
    wait_until(lambda: "a close is asked for" in caplog.text)
    said = next(one for one in caplog.records if one.message == "a close is asked for")
    assert (said.name, vars(said)["strategy"], vars(said)["instrument"]) == (
        "botd.api.acts",
        "dip",
        samples.BTC,
    )


def test_daemon_that_stands_still_is_not_ready_and_one_that_is_killed_leaves_its_port_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOTD_API_ENABLED", "true")
    monkeypatch.setenv("BOTD_API_PORT", "0")
    bot = make_bot(tmp_path / "bot")
    write_pump(bot / DATA, bursts=12)
    with Warm(bot, "run", "--data", DATA, "--speed", "300") as daemon:
        wait_until((bot / "state/api-address").exists)
        port = urlsplit((bot / "state/api-address").read_text().strip()).port
        assert port is not None

        def ready() -> int:
            url = f"http://{LOOPBACK}:{port}/health/ready"
            with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
                return int(answer.status)
            return 503

        wait_until(lambda: ready() == 200)
        daemon.signal(signal.SIGSTOP)
        wait_until(lambda: ready() == 503)  # it answers for a daemon that stands still
        daemon.signal(signal.SIGCONT)
        wait_until(lambda: ready() == 200)
        daemon.signal(signal.SIGKILL)
        daemon.process.wait(30)

        def is_free() -> bool:
            with suppress(OSError), socket.socket() as mine:
                mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                mine.bind((LOOPBACK, port))
                mine.listen()
                return True
            return False

        wait_until(is_free, seconds=5)
