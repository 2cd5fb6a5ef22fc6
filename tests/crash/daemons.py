"""Daemons that are started, killed and started again, and what must be true of the files that they leave."""

from __future__ import annotations

import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from botd.core.decisions import digest
from botd.failpoints import VARIABLE
from botd.runtime.starts import STARTS_NAME
from botd.store.fsck import examine
from tests.cli.bots import ROOT, environment
from tests.crash.market import DATA
from tests.parity.runs import state_lines

TICK = Decimal("0.00000001")  # of NXS/BTC, whose lot is 1
START_BTC = Decimal(1)
FROZEN_S = 60.0
FULL = os.environ.get("BOTD_CRASH") == "full"
only_full = pytest.mark.skipif(not FULL, reason="long; make crash runs it")


class Daemon:
    """One life of `botd run`, in a process that can be killed."""

    def __init__(self, nursery: Nursery, pid: int, out: Path, err: Path) -> None:
        self._nursery = nursery
        self.pid = pid
        self.born = time.monotonic()
        self._out, self._err = out, err
        self.code: int | None = None

    def alive(self) -> bool:
        return self.code is None and not self._nursery.ready(0)

    def signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # it may end, and be waited for, just now
            if self.alive():
                os.kill(self.pid, number)

    def kill(self) -> int:
        """Send SIGKILL and return how the process ended; it may have ended before."""
        self.signal(signal.SIGKILL)
        return self.wait()

    def wait(self, seconds: float = FROZEN_S, *, at: str = "") -> int:
        """Return the exit code, negative for a signal; fail where it does not end, `at` some point."""
        if self.code is None:
            assert self._nursery.ready(seconds), f"process {self.pid} lives on {at}:\n{self.text}"
            self.code = self._nursery.read()
        return self.code

    @property
    def text(self) -> str:
        return self._out.read_text() + "---- standard error\n" + self._err.read_text()


class Nursery:
    """A process that starts daemons, one at a time."""

    def __init__(self) -> None:
        self._place = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.crash.nursery"],
            cwd=ROOT,
            env=environment(PYTHONUNBUFFERED="1"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._pending = b""
        self._daemon: Daemon | None = None

    def start(
        self,
        bot: Path,
        *,
        speed: str = "max",
        failpoint: str = "",
        snapshot_us: int = 0,
        file_max: int = 0,
        zone: str = "",
    ) -> Daemon:
        """Start a daemon; one that was killed before is no crash loop.

        `file_max` is the size in bytes beyond which no file can grow, `zone` the machine's time zone.
        """
        self._end()
        (bot / "state" / STARTS_NAME).unlink(missing_ok=True)
        out, err = Path(self._place.name, "out"), Path(self._place.name, "err")
        order = {
            "folder": str(bot),
            "arguments": ["run", "--data", DATA, "--speed", speed],
            "environment": environment(
                **{name: text for name, text in ((VARIABLE, failpoint), ("TZ", zone)) if text}
            ),
            "snapshot_us": snapshot_us,
            "file_max": file_max,
            "user": None,
            "out": str(out),
            "err": str(err),
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        assert self.ready(FROZEN_S), "no daemon was born"
        self._daemon = Daemon(self, self.read(), out, err)
        return self._daemon

    def _end(self) -> None:
        """Kill what a failed test has left."""
        if self._daemon is not None and self._daemon.code is None:
            self._daemon.kill()

    def ready(self, seconds: float) -> bool:
        """Return whether there is a line to read, or comes within some seconds."""
        return b"\n" in self._pending or bool(select.select([self._process.stdout], [], [], seconds)[0])

    def read(self) -> int:
        assert self._process.stdout is not None
        while b"\n" not in self._pending:
            more = os.read(self._process.stdout.fileno(), 4096)
            assert more, "the nursery has died"
            self._pending += more
        line, _, self._pending = self._pending.partition(b"\n")
        return int(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._process.communicate()
        self._place.cleanup()


def finish(nursery: Nursery, bot: Path) -> str:
    """Run to the end of the data; return the sha256 of what was decided."""
    daemon = nursery.start(bot)
    assert daemon.wait(600) == 0, daemon.text
    return decided(bot)


def decided(bot: Path) -> str:
    """Return the sha256 of the decisions of a bot that had one session, whose files must be sound."""
    check_files(bot)
    assert len(rows(state(bot), "SELECT id FROM sessions")) == 1
    return digest(state_lines(bot))


# ---- what is on disk ----------------------------------------------------------------------------


def state(bot: Path) -> Path:
    return bot / "state/botd.sqlite3"


def rows(path: Path, query: str, *terms: object) -> list[Any]:
    """Return the rows of a query on a connection that cannot write."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
        return connection.execute(query, terms).fetchall()


def reached(bot: Path) -> int:
    """Return how many rows the books have come to; -1 where there are none yet."""
    try:
        return int(rows(state(bot), "SELECT max(position) FROM journal_cursor")[0][0])
    except (sqlite3.Error, TypeError):
        return -1


def wait_until(met: Callable[[], bool], daemon: Daemon, *, seconds: float = FROZEN_S) -> None:
    """Return once something is met; fail where the daemon dies before, or it never is."""
    end = time.monotonic() + seconds
    while not met():
        assert daemon.alive(), daemon.text
        assert time.monotonic() < end, daemon.text
        time.sleep(0.01)


def check_files(bot: Path) -> None:
    """Hold the books to their invariants and to the venue's own file, however the daemon has died."""
    check_books(bot)
    for (session,) in rows(state(bot), "SELECT session_id FROM journal_cursor"):
        check_venue(bot, session)


def check_books(bot: Path) -> None:
    """Hold the books to their invariants alone: what a lying disk has lost of them, the venue still has."""
    assert examine(state(bot)).findings == ()
    ids = Counter(one for (one,) in rows(state(bot), "SELECT client_order_id FROM orders"))
    assert not [one for one, count in ids.items() if count > 1]
    for table, last in (("intents", "leg"), ("orders", "leg"), ("signals", "row_number")):
        key = f"session_id, strategy, instrument, cycle, section, rule, {last}"
        assert rows(state(bot), f"SELECT {key} FROM {table} GROUP BY {key} HAVING count(*) > 1") == []
    twice = "SELECT intent_seq FROM orders WHERE intent_seq IS NOT NULL GROUP BY session_id, intent_seq"
    assert rows(state(bot), f"{twice} HAVING count(*) > 1") == []


def check_venue(bot: Path, session: str) -> None:
    """Compare the books of a session, with the answers that it has not taken yet, to what the venue holds."""
    venue = bot / "state/venue.sqlite3"
    kept = rows(venue, "SELECT body FROM state WHERE account = ?", session)
    sides = dict(rows(state(bot), "SELECT client_order_id, side FROM orders WHERE session_id = ?", session))
    booked = rows(
        state(bot),
        "SELECT client_order_id, qty, price, fee FROM fills WHERE session_id = ?",
        session,
    )
    if not kept:
        assert not booked, "the books have fills and the venue knows nothing"
        return
    body = json.loads(kept[0][0])
    ((taken,),) = rows(state(bot), "SELECT venue_seq FROM journal_cursor WHERE session_id = ?", session)
    assert taken <= body["seq"], "the books have answers that the venue has not given"
    answers = [
        (kind, answer)
        for (text,) in rows(venue, "SELECT body FROM answers WHERE account = ? ORDER BY seq", session)
        for kind, answer in json.loads(text)
    ]
    accepted = Counter(answer["client_order_id"] for kind, answer in answers if kind == "OrderAccepted")
    assert not [one for one, count in accepted.items() if count > 1], "the venue has an order twice"
    named = {answer["client_order_id"] for _, answer in answers}
    assert named <= sides.keys(), "the venue has an order that the books do not know"
    fills = [(one, Decimal(qty), Decimal(price), Decimal(fee)) for one, qty, price, fee in booked]
    fills += [
        (answer["client_order_id"], Decimal(answer["qty"]), answer["price"] * TICK, Decimal(answer["fee"]))
        for kind, answer in answers
        if kind == "OrderFilled" and answer["seq"] > taken
    ]
    signed = [(qty if sides[one] == "buy" else -qty, price, fee) for one, qty, price, fee in fills]
    ((lots, cost),) = body["account"]["nets"].values() or ((0, 0),)
    assert sum(qty for qty, _, _ in signed) == lots, "the books and the venue hold different positions"
    worth = Decimal(body["account"]["cash"]["BTC"]) - (cost if lots >= 0 else -cost) * TICK
    assert worth == START_BTC - sum(qty * price + fee for qty, price, fee in signed), "their cash differs"
