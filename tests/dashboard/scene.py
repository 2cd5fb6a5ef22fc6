"""A bot whose daemon has run, the dashboard on its books, and an API that keeps what it hears."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from botd.core.reload import ReloadOutcome
from botd.core.updates import AlertRecord
from botd.errors import Diagnostic
from botd.ports import Batch, Cursor
from botd.store.journal import SqliteJournal, open_state
from botd.store.queries import ScreenReader
from tests.cli.bots import ROOT, botd, environment, make_bot, write_pump

CHROMIUM = Path("/usr/bin/chromium")
CANARY = "canary-7f3a-of-a-token-that-nobody-may-see"
INSTRUMENT = "NXS/BTC"
WAIT_S = 15

RIDER = """\
strategy: rider
instruments: [NXS/BTC]
side: long
let:
  speed: change(10s)
S1: { when: speed > 1%, confidence: "clamp(0.6 + speed, 0, 1)", cooldown: 30s }
Z1: { when: spread < 200bps, order: { type: market, slippage_max: 200bps }, size: { percent: 5% of equity } }
ZE1:
  - { name: half, when: pnl > 0.5%, close: 50% }
E1:
  - { name: fade, when: speed < 0 }
protect: { stop_loss: 5%, holding_max: 2m }
on_stop: cancel
"""
HOLDER = """\
strategy: holder
instruments: [NXS/BTC]
side: long
S1: { when: change(10s) > 1%, cooldown: 1h }
Z1: { when: always, order: { type: market, slippage_max: 200bps }, size: { percent: 5% of equity } }
protect: { stop_loss: 20%, holding_max: 24h }
on_stop: keep
"""
RESTER = HOLDER.replace("holder", "rester", 1).replace(
    "{ type: market, slippage_max: 200bps }", "{ type: limit, price: best_bid * 0.9, ttl: 24h }"
)
GREEDY = HOLDER.replace("holder", "greedy", 1).replace("5% of equity", "90% of equity")

FAULT = Diagnostic(
    file="strategies/rider.yaml",
    line=6,
    column=13,
    message="there is no word 'sped'; did you mean speed?",
    excerpt="S1: { when: sped > 1%, cooldown: 30s }",
    width=4,
)


class Books:
    """The state file of a run, held by a hand that stands for the daemon."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state" / "botd.sqlite3"
        make_bot(folder, rider=RIDER, holder=HOLDER, rester=RESTER, greedy=GREEDY)
        write_pump(folder / "data/nxs.parquet", bursts=3)
        done = botd(folder, "run", "--data", "data/nxs.parquet")
        assert done.code == 0, done
        token = self.path.parent / "api-token-trader"
        token.write_text(f"{CANARY}\n")
        token.chmod(0o600)
        self.journal: SqliteJournal = open_state(self.path)
        with self.read() as reader:
            self.info = reader.session()
            cursor = reader.cursor(self.info.id)
        assert cursor is not None
        self.cursor: Cursor = cursor
        self._tell()

    def read(self) -> ScreenReader:
        return ScreenReader(self.path)

    def look(self, read: Callable[[ScreenReader], Any]) -> Any:
        with self.read() as reader:
            return read(reader)

    @property
    def line(self) -> tuple[str, ...]:
        return (self.info.id,)

    def _tell(self) -> None:
        """Add what this run did not bring: alerts, and a reload that was refused."""
        first = self.cursor.seq + 1
        alerts = tuple(
            AlertRecord(
                seq=first + n,
                ts_us=self.cursor.ts_us + n,
                severity=severity,
                type="test",
                message=f"{severity} thing <b>{n}</b>",
            )
            for n, severity in enumerate(("critical", "high", "medium", "high"))
        )
        self.cursor = replace(self.cursor, seq=first + len(alerts) - 1)
        self.journal.commit(Batch(session_id=self.info.id, records=alerts))
        outcome = ReloadOutcome(
            ts_us=self.cursor.ts_us,
            who="ann",
            ok=False,
            config_hash="badbadbadbad",
            running_hash=self.info.config_hash,
            session_id=self.info.id,
            position=-1,
            errors=(FAULT,),
        )
        self.journal.save_reload(outcome)
        self.beat()

    def beat(self) -> None:
        """Write as a daemon that runs does every second; SQLite writes nothing where nothing is new."""
        self.cursor = replace(self.cursor, position=self.cursor.position + 1)
        self.journal.start_session(replace(self.info, status="running", ended_us=None))
        self.journal.commit(Batch(session_id=self.info.id, cursor=self.cursor))


def fall_silent(state: Path, seconds: float) -> None:
    """Make the last write as old as that of a daemon that died so long ago."""
    then = time.time() - seconds
    for path in (state, state.with_name("botd.sqlite3-wal")):
        os.utime(path, (then, then))


@dataclass(frozen=True, slots=True)
class Heard:
    """One request that reached the API."""

    path: str
    body: dict[str, Any]
    token: str
    key: str


class LoopbackApi:
    """An HTTP server on this machine that answers as it is told and keeps what it heard."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.status, self.answer = 200, b'{"done": true}'
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                token = self.headers["Authorization"].removeprefix("Bearer ")
                api.heard.append(Heard(self.path, json.loads(body), token, self.headers["Idempotency-Key"]))
                self.send_response(api.status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(api.answer)

            def do_GET(self) -> None:
                self.send_response(404)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def refuse(self, status: int, error: str, message: str) -> None:
        self.status = status
        self.answer = json.dumps({"error": error, "message": message, "incident": None}).encode()

    def accept(self) -> None:
        self.heard.clear()
        self.status, self.answer = 200, b'{"done": true}'

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Dashboard:
    """`botd dashboard` as a process."""

    def __init__(self, state: Path, api: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [
            sys.executable,
            "-m",
            "botd.cli.main",
            "dashboard",
            "--state",
            str(state),
            "--port",
            str(port),
        ]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(BOTD_API=api, BOTD_CANARY=CANARY),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        end = time.monotonic() + 60
        while not self._is_up():
            assert self._process.poll() is None, self._process.communicate()[0]
            assert time.monotonic() < end, "the dashboard does not answer"
            time.sleep(0.05)

    def _is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def close(self) -> str:
        """End it; return what it has printed."""
        self._process.terminate()
        return self._process.communicate(timeout=30)[0]


def cells(page: Page, table: str) -> list[list[str]]:
    """Return the text of a table's rows."""
    page.wait_for_selector(f'[data-table="{table}"] tr')
    found: list[list[str]] = page.eval_on_selector_all(
        f'[data-table="{table}"] tbody tr', "rows => rows.map(row => [...row.cells].map(c => c.textContent))"
    )
    return found


def headings(page: Page, table: str) -> list[str]:
    found: list[str] = page.eval_on_selector_all(
        f'[data-table="{table}"] th', "heads => heads.map(head => head.textContent)"
    )
    return found


def column(page: Page, table: str, name: str) -> list[str]:
    """Return the text of one column."""
    page.wait_for_selector(f'[data-table="{table}"] th')
    place = headings(page, table).index(name)
    return [row[place] for row in cells(page, table)]
