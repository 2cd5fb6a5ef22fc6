"""What a daemon that may be halted says in its log and its books."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from botd.runtime.brake import NEVER_SENT
from botd.store.queries import StateReader
from tests.cli.books import Books
from tests.cli.bots import Running

DATA = "data/nxs.parquet"


def state(folder: Path) -> Path:
    return folder / "state/botd.sqlite3"


def said(daemon: Running, message: str) -> list[dict[str, Any]]:
    """Return the log lines of a daemon with a message."""
    lines = [json.loads(line) for line in list(daemon.errors) if line.startswith("{")]
    return [line for line in lines if line["message"].startswith(message)]


def time_of(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["time"]).timestamp()


def changes(folder: Path) -> list[tuple[str, str]]:
    """Return every change of the trading state in the newest session."""
    with StateReader(state(folder)) as reader:
        found = reader.trading_states(reader.session().id)
        return [(one.verb, one.cause) for one in found]


def has(folder: Path, *wanted: tuple[str, str]) -> Callable[[], bool]:
    def check() -> bool:
        with suppress(Exception):  # being made, or locked
            return changes(folder)[-len(wanted) :] == list(wanted)
        return False

    return check


def sent_entries(folder: Path) -> list[dict[str, Any]]:
    """Return every entry of the books that was not ended before it was sent."""
    orders = Books(state(folder)).orders
    return [one for one in orders if one["section"] == "Z1" and one["status_reason"] != NEVER_SENT]


def halted_at(folder: Path) -> int:
    """Return the event time of the last halt."""
    with StateReader(state(folder)) as reader:
        found = reader.trading_states(reader.session().id)
        return [one for one in found if one.verb == "halt"][-1].ts_us


def denials(folder: Path) -> list[tuple[str, str | None]]:
    with closing(sqlite3.connect(f"file:{state(folder)}?mode=ro", uri=True)) as connection:
        query = "SELECT reason, cause FROM risk_decisions WHERE approved = 0 ORDER BY seq"
        return list(connection.execute(query))
