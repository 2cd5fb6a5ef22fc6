"""A real server on a loopback socket, over a real state file, with a desk that a test looks at."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from botd.api.answers import Answers
from botd.api.facts import ConfigFacts, Durations, Facts, Mark, Snapshot, Wire
from botd.api.gate import Gate
from botd.api.library import Library
from botd.api.listening import listen
from botd.api.routes import Context
from botd.api.server import Server
from botd.api.settings import ApiSettings, Bounds
from botd.api.tally import Tally
from botd.api.thread import Serve, ServingThread
from botd.api.tokens import Role, Tokens
from botd.core.events import OrderType, Section
from botd.core.outcomes import OrderStatus
from botd.core.records import Record
from botd.core.reload import ReloadOutcome
from botd.core.restraint import TradingCommand
from botd.ports import Batch
from botd.runtime.clock import WallClock
from botd.store.journal import SqliteJournal, open_state
from tests.store import samples

TRADER = "trader-token-of-32-bytes-or-more-0123456789"
VIEWER = "viewer-token-of-32-bytes-or-more-0123456789"
CANARY = "canary-9f1c7b-must-not-be-seen"
SESSION = "s1"
MARK = Mark(price=samples.TRADED.price(2_010_000), unrealized_pnl=None)
POSITION = "dip-btc-usdt-1"


class HandClock(WallClock):
    """A clock that a test moves: wall time and the time that only grows."""

    def __init__(self) -> None:
        self.at_us = samples.T0 + 10_000_000

    def now_us(self) -> int:
        return self.at_us

    def monotonic(self) -> float:
        return self.at_us / 1e6

    def pass_s(self, seconds: float) -> None:
        self.at_us += round(seconds * 1e6)


@dataclass
class Desk:
    """Does what is asked: `obeys` says whether at once, `then_do` what it does to the books."""

    obeys: bool = True
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # what, who, reason
    commands: list[TradingCommand] = field(default_factory=list)
    then_do: Callable[[TradingCommand], None] = lambda _: None
    breaks: bool = False

    def halt(self, who: str, reason: str, then: Callable[[], None]) -> None:
        self._take("halt", who, reason, then)

    def resume(self, who: str, reason: str, then: Callable[[], None]) -> None:
        self._take("resume", who, reason, then)

    def ask(self, command: TradingCommand, then: Callable[[], None]) -> None:
        self.commands.append(command)
        self.then_do(command)
        self._take(str(command.verb), command.who, command.reason, then)

    def _take(self, what: str, who: str, reason: str, then: Callable[[], None]) -> None:
        if self.breaks:
            raise RuntimeError(f"password={CANARY} at /secret/place")
        self.asked.append((what, who, reason))
        if self.obeys:
            then()


class Reloads:
    """A desk for reloads that has an outcome ready."""

    def __init__(self, outcome: ReloadOutcome | None) -> None:
        self.outcome = outcome
        self.stops = False
        self.asked: list[str] = []
        self.found: list[Future[ReloadOutcome]] = []

    def request(self, who: str) -> Future[ReloadOutcome]:
        self.asked.append(who)
        found: Future[ReloadOutcome] = Future()
        self.found.append(found)
        if self.outcome is not None:
            found.set_result(self.outcome)
        elif self.stops:
            found.cancel()
        return found

    def last(self) -> ReloadOutcome | None:
        return self.outcome

    def swapped_us(self) -> int | None:
        return None


@dataclass(frozen=True)
class Got:
    """What a request came to."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def book(journal: SqliteJournal, *records: Record, position: int = 300) -> None:
    last = max((one.seq for one in records), default=0)
    cursor = samples.cursor(position, seq=last)
    journal.commit(Batch(session_id=SESSION, records=records, cursor=cursor))


def first_books() -> tuple[Record, ...]:
    """A position held, an entry that rests, a trade of before, an alert."""
    resting = samples.order(
        21, client_order_id="b-2", cycle=2, type=OrderType.LIMIT, limit_price=samples.TRADED.price(1_900_000),
        intent_seq=None,
    )  # fmt: skip
    return (
        *samples.entry(),
        samples.trade(10, cycle=0),
        samples.alert(11),
        resting,
        samples.update(22, OrderStatus.ACCEPTED, client_order_id="b-2"),
        samples.order(
            23, client_order_id="b-3", section=Section.PROTECT, rule="stop_loss", leg=0, reduce_only=True,
            intent_seq=None,
        ),
        samples.update(24, OrderStatus.ACCEPTED, client_order_id="b-3"),
    )  # fmt: skip


@cache
def made_once() -> bytes:
    """Return the state file that every stand begins with."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "botd.sqlite3")
        journal = open_state(path)
        journal.start_session(samples.started(SESSION))
        journal.start_session(samples.started("old", started_us=samples.T0 - 5))
        book(journal, *first_books())
        journal.close()
        return path.read_bytes()


class Stand:
    """A served daemon that never trades."""

    def __init__(self, folder: Path, *, bounds: Bounds | None = None, **settings: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.clock = HandClock()
        self.desk = Desk()
        self.reloads: Reloads | None = None
        self.wire = Wire()
        self.tally = Tally()
        self.lag = 0.0
        self.settings = ApiSettings(port=0, bounds=bounds or Bounds(), **settings)
        self.listening = listen("127.0.0.1", 0)
        self.port = int(self.listening.getsockname()[1])
        (folder / "botd.sqlite3").write_bytes(made_once())
        self.journal = open_state(folder / "botd.sqlite3")
        self.facts = Facts(
            mode="paper",
            version="9.9",
            started_us=samples.T0,
            pid=os.getpid(),
            config=self._config,
            lag_s=lambda: self.lag,
            session_id=SESSION,
            trades=True,
            row_us=samples.T0 + 300,
            row_at_us=self.clock.now_us() - 1_500_000,
            snapshot=Snapshot(
                trading_state="active",
                rows=300,
                marks={
                    ("dip", samples.BTC): Mark(price=samples.TRADED.price(2_010_000), unrealized_pnl=None)
                },
                accounts=(),
            ),
            commits=Durations(),
        )
        self.thread = ServingThread(
            self.listening, self.make, monotonic=self.clock.monotonic, backoff_s=(0.01,)
        )

    def make(self) -> Serve:
        library = self.library = Library(self.folder / "botd.sqlite3", self.clock)
        library.open()
        context = Context(
            settings=self.settings,
            clock=self.clock,
            facts=self.facts,
            wire=self.wire,
            tally=self.tally,
            library=library,
            controls=self.desk,
            reload=lambda: self.reloads,
        )
        tokens = Tokens({Role.TRADER: TRADER, Role.VIEWER: VIEWER})
        gate = Gate(self.settings, tokens, self.clock)
        server = Server(context, gate, Answers(self.folder / "api-answers.jsonl", self.clock))

        async def serve(listening: socket.socket, started: Callable[[], None]) -> None:
            try:
                await server.serve(listening, started)
            finally:
                library.close()

        return serve

    def _config(self) -> ConfigFacts:
        return ConfigFacts(
            config_hash="c0ffee",
            applied_us=samples.T0,
            files={"config.yaml": f"mode: paper\n# api_key: {CANARY}\n"},
            warning_us=100,
            automatic_timeout=True,
            holding_max_us={"dip": 200},
            positions_tracked_max=100,
        )

    def __enter__(self) -> Self:
        self.thread.start()
        assert self.thread.serving.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.stop()
        self.journal.close()

    # ---- requests -------------------------------------------------------------------------------

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, token: str | None = None, **headers: str
    ) -> Got:
        """Send a request on a connection of its own; header names have _ for -."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if body and "Content-Type" not in sent:
            sent["Content-Type"] = "application/json"
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Got(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def get(self, path: str, *, token: str | None = None, **headers: str) -> Got:
        return self.ask("GET", path, token=token, **headers)

    def post(self, path: str, body: Any = None, *, token: str | None = TRADER, **headers: str) -> Got:
        sent = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", path, sent, token=token, **headers)

    @contextmanager
    def socket(self) -> Any:
        """Open a raw connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as raw:
            yield raw


def ended(raw: socket.socket) -> bool:
    """Wait for the other side to close; return whether it said nothing before."""
    said = b""
    with suppress(ConnectionError):
        while part := raw.recv(65536):
            said += part
    return not said
