"""The API of a real daemon: what is asked through it changes the books."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from botd.store.fsck import examine
from tests.cli.books import Books
from tests.cli.bots import Warm, make_bot, write_pump
from tests.test_daemon import DATA, FAR_LIMIT, HOLDER, MARKET, START, wait_until

ON = {"BOTD_API_ENABLED": "true", "BOTD_API_PORT": "0"}


@pytest.fixture(autouse=True)
def served(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in ON.items():
        monkeypatch.setenv(name, text)


class Caller:
    """Calls the API of the daemon of a folder, by what the state folder says of it."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"

    def ask(self, method: str, path: str, body: Any = None, *, token: bool = False) -> tuple[int, Any]:
        address = (self.state / "api-address").read_text().strip()
        request = urllib.request.Request(f"{address}{path}", method=method)
        if token:
            request.add_header(
                "Authorization", f"Bearer {(self.state / 'api-token-trader').read_text().strip()}"
            )
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def get(self, path: str) -> Any:
        return self.ask("GET", path)[1]

    def do(self, path: str, reason: str = "") -> tuple[int, Any]:
        return self.ask("POST", path, {"reason": reason}, token=True)

    def ready(self) -> bool:
        with suppress(OSError):
            return self.ask("GET", "/health/ready")[0] == 200
        return False

    def position(self) -> dict[str, Any] | None:
        with suppress(OSError, KeyError):
            found: list[dict[str, Any]] = self.get("/api/trading/positions")["positions"]
            return found[0] if found else None
        return None


def first(found: Any) -> Any:
    return found[0] if found else None


def test_what_is_asked_through_the_api_changes_the_books_and_a_halt_outlives_a_kill(tmp_path: Path) -> None:
    holder = HOLDER.replace("POLICY", "keep")
    waiter = holder.replace("strategy: holder", "strategy: waiter").replace("ORDER", FAR_LIMIT)
    bot = make_bot(tmp_path / "bot", holder=holder.replace("ORDER", MARKET), waiter=waiter)
    write_pump(bot / DATA, bursts=12)
    api = Caller(bot)
    with Warm(bot, "run", "--data", DATA, "--speed", "300") as daemon:
        wait_until(api.ready)
        cancel_what_waits(api)
        reload(api, bot)
        wait_until(lambda: (api.position() or {}).get("current_price") is not None)
        status, halted = api.do("/api/trading/halt", "odd prices")
        assert (status, halted["done"], halted["trading_state"]) == (200, True, "halted")
        order = close_what_is_held(api)
        daemon.signal(signal.SIGKILL)
        daemon.process.wait(30)
    with Warm(bot, "run", "--data", DATA, "--speed", "300") as daemon:
        wait_until(api.ready)
        wait_until(lambda: api.get("/health")["trading_state"] == "halted")
        assert (bot / "state/HALT").exists()
        status, resumed = api.do("/api/trading/resume")
        assert (status, resumed["trading_state"], resumed["restraints"]) == (200, "active", [])
        assert not (bot / "state/HALT").exists()
        daemon.process.terminate()
        done = daemon.end()
    assert done.code == 0, done
    assert not (bot / "state/botd.sqlite3-wal").exists()  # the writer was the last to close it
    books = Books(bot / "state/botd.sqlite3")
    books.check(START)
    (made,) = [one for one in books.orders if one["section"] == "manual"]
    assert (made["client_order_id"], made["status"]) == (order, "filled")
    assert examine(bot / "state/botd.sqlite3").findings == ()
    for role in ("trader", "viewer"):
        token = (bot / f"state/api-token-{role}").read_text().strip()
        assert token not in daemon.text
        assert (bot / f"state/api-token-{role}").stat().st_mode & 0o777 == 0o600


def reload(api: Caller, bot: Path) -> None:
    """Have an edit refused, with its place, and another taken up."""
    file = bot / "strategies/waiter.yaml"
    good = file.read_text()
    file.write_text(good.replace("stop_loss: 20%", "stop_loss: 20 %%"))
    status, refused = api.do("/api/reload")
    assert (status, refused["ok"]) == (409, False)
    (fault,) = refused["errors"]
    assert (fault["file"], fault["line"]) == ("strategies/waiter.yaml", 6)
    assert api.get("/health")["config_state"] == "stale"
    file.write_text(good.replace("stop_loss: 20%", "stop_loss: 15%"))
    status, taken = api.do("/api/reload")
    assert (status, taken["ok"]) == (200, True), taken
    found = api.get("/api/config")
    assert found["config_hash"] == found["last_reload"]["running_hash"] == taken["running_hash"]
    assert "15%" in found["files"]["strategies/waiter.yaml"]
    assert api.get("/health")["config_state"] == "ok"
    running = file.read_text()
    for text, answer in ((good.replace("stop_loss: 20%", "stop_loss: 20 %%"), 409), (running, 200)):
        file.write_text(text)
        assert api.do("/api/reload")[0] == answer
        assert api.get("/api/config")["applied_at"] == found["applied_at"]  # it runs since then


def cancel_what_waits(api: Caller) -> None:
    def entry() -> Any:
        with suppress(OSError, KeyError):
            return first([one for one in api.get("/api/trading/orders")["orders"] if one["cancelable"]])
        return None

    wait_until(lambda: entry() is not None and entry()["status"] == "accepted")
    path = f"/api/trading/orders/{entry()['order_id']}/cancel"
    status, done = api.do(path)
    assert (status, done["orders"][0]["status"] in ("pending_cancel", "canceled")) == (200, True)
    wait_until(lambda: entry() is None)
    assert api.do(path)[1]["error"] == "order_over"


def close_what_is_held(api: Caller) -> str:
    """Close the one position, see that it is closed once, and return the order that did it."""
    position = api.position()
    assert position is not None
    path = f"/api/trading/positions/{position['position_id']}/close"
    status, closed = api.do(path, "enough")
    assert (status, closed["done"]) == (200, True)
    (order,) = closed["orders"]
    wait_until(lambda: api.position() is None)
    assert api.do(path)[0] == 404
    (trade,) = api.get("/api/trading/trades")["trades"]
    assert (trade["exit_section"], trade["exit_rule"]) == ("manual", "close")
    alerts = api.get("/api/alerts")["alerts"]
    (said,) = [one for one in alerts if one["type"] == "position_closed_by_hand"]
    assert said["message"].endswith("from 127.0.0.1 (api): enough")
    return str(order["order_id"])
