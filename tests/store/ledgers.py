"""State files to damage: one that daemons wrote, and one of any size."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from botd import sessions
from botd.core.events import Section, Side
from botd.core.outcomes import OrderStatus
from botd.core.records import Record
from botd.ports import Batch, Cursor
from botd.sessions import Session
from botd.store.journal import SqliteJournal, open_state
from tests.session_scene import HOLDER, MINUTE_US, Bench
from tests.store import samples

# enters on the same bursts as the holder, and leaves again in two steps
QUICK = """strategy: quick
instruments: [ETH/USDT:USDT, SOL/USDT:USDT]
side: long
let:
  rise: price / high(from 15s to 2s) - 1
S1: { when: rise > 0.1%, cooldown: 15s }
Z1: { when: always, order: { type: market, slippage_max: 100bps }, size: { percent: 2% of equity } }
ZE1:
  - { name: half, when: held > 3s, close: 50% }
  - { name: out, when: held > 8s, close: 100% }
protect: { stop_loss: 20% }
on_stop: keep
"""


Row = Mapping[str, Any]


class Keeper(Bench):
    """Daemons that record the account where they begin and where they die."""

    def open(self) -> tuple[Session, SqliteJournal]:
        session, journal = super().open()
        if session.loop.recovery is None:
            self._record(session, journal)
        return session, journal

    def die(self, session: Session, journal: SqliteJournal) -> None:
        if session.loop.recovery is None:
            self._record(session, journal)
        super().die(session, journal)

    def _record(self, session: Session, journal: SqliteJournal) -> None:
        group = session.loop.record_books()
        journal.commit(
            Batch(session_id=session.id, records=group.records, events=group.events, cursor=group.cursor)
        )


def write_ledger(folder: Path) -> Path:
    """Let daemons write a state file: a warm-up, its session, and one that takes over with all it holds."""
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sessions, "WARM_UP_US", 10 * MINUTE_US)  # a day takes seconds
        keeper = Keeper(folder)
        keeper.write(QUICK, "quick.yaml")
        keeper.trade(*keeper.open(), minutes=3)
        keeper.write(HOLDER.replace("held > 1h", "held > 2h"))
        keeper.judge_otherwise()
        keeper.trade(*keeper.open(), minutes=2)
    return folder / "state" / "botd.sqlite3"


def round_trips(count: int) -> Iterator[Record]:
    """Yield the records of round trips, 13 each: in for 0.05 at 20010, out at 20030."""
    fee, gain = Decimal("1.00050000"), Decimal("1.000")
    for k in range(count):
        seq, ts_us = 13 * k, samples.T0 + 1_000_000 * k
        bought, sold = f"b-{2 * k}", f"b-{2 * k + 1}"
        times = {"cycle": k + 1, "ts_us": ts_us}
        place = {**times, "row": 100 + k}
        out = {"section": Section.ZE1, "rule": "out", "side": Side.SELL}
        filled = {"filled_lots": 50, "cost": 50 * 2_001_000, "fee": fee, "ts_us": ts_us}
        yield samples.signal(seq + 1, **place)
        yield samples.intent(seq + 2, **place)
        yield samples.risk(seq + 3, seq + 2, row=100 + k, ts_us=ts_us)
        yield samples.order(seq + 4, intent_seq=seq + 2, client_order_id=bought, **place)
        yield samples.update(seq + 5, OrderStatus.FILLED, client_order_id=bought, **filled)
        yield samples.fill(seq + 6, trade_id=f"v-{2 * k}", client_order_id=bought, **times)
        yield samples.intent(seq + 7, **out, **place)
        yield samples.risk(seq + 8, seq + 7, row=100 + k, ts_us=ts_us)
        yield samples.order(
            seq + 9, intent_seq=seq + 7, client_order_id=sold, reduce_only=True, **out, **place
        )
        yield samples.update(seq + 10, OrderStatus.FILLED, client_order_id=sold, **filled)
        price = {"price": Decimal(20030), "realized_pnl": gain}
        yield samples.fill(seq + 11, trade_id=f"v-{2 * k + 1}", client_order_id=sold, **price, **out, **times)
        yield samples.position(seq + 12, lots=0, realized=100_000, fees=2 * fee, opened_us=ts_us, **times)
        yield samples.trade(seq + 13, cycle=k + 1, realized_pnl=gain, fees=2 * fee)


def write_round_trips(path: Path, count: int) -> None:
    """Write a session of that many round trips."""
    journal = open_state(path)
    journal.start_session(samples.started())
    batch: list[Record] = []
    for record in round_trips(count):
        batch.append(record)
        if len(batch) == 13_000 or record.seq == 13 * count:
            cursor = Cursor(feed_position=1, position=1, ts_us=samples.T0, seq=record.seq, venue_seq=0)
            journal.commit(Batch(session_id="s1", records=tuple(batch), cursor=cursor))
            batch = []
    journal.close()


# ---- past botd ----------------------------------------------------------------------------------


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a state file past botd, to damage it; constraints are those of the tables alone."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.row_factory = sqlite3.Row
    try:
        yield connection
    finally:
        connection.close()


def first(connection: sqlite3.Connection, query: str, *parameters: Any) -> dict[str, Any]:
    """Return the first row of a query; there must be one."""
    row = connection.execute(query, parameters).fetchone()
    assert row is not None, query
    return dict(row)


def change(connection: sqlite3.Connection, table: str, row: Row, **values: Any) -> None:
    """Set columns of one row of a table of records."""
    names = ", ".join(f"{name} = ?" for name in values)
    key = (row["session_id"], row["seq"])
    done = connection.execute(
        f"UPDATE {table} SET {names} WHERE session_id = ? AND seq = ?", (*values.values(), *key)
    )
    assert done.rowcount == 1


def drop(connection: sqlite3.Connection, table: str, row: Row) -> None:
    key = (row["session_id"], row["seq"])
    assert connection.execute(f"DELETE FROM {table} WHERE session_id = ? AND seq = ?", key).rowcount == 1


def copy(connection: sqlite3.Connection, table: str, row: Row, **values: Any) -> None:
    """Insert a row again with other values in some columns."""
    new = {**row, **values}
    marks = ", ".join("?" for _ in new)
    connection.execute(f"INSERT INTO {table} ({', '.join(new)}) VALUES ({marks})", tuple(new.values()))


def only(row: Row, *names: str) -> Row:
    return {name: row[name] for name in names}


ENTRY = "SELECT * FROM orders WHERE section = 'Z1' AND status = 'filled' ORDER BY seq DESC"
EXIT = "SELECT * FROM orders WHERE section = 'ZE1' AND status = 'filled' ORDER BY seq DESC"
STOP = "SELECT * FROM orders WHERE type = 'stop_market' AND status = 'canceled' ORDER BY seq DESC"
LIVE_STOP = "SELECT * FROM orders WHERE type = 'stop_market' AND status = 'accepted'"
NEWEST = "SELECT * FROM sessions ORDER BY rowid DESC"
FILL = "SELECT * FROM fills WHERE section = 'Z1' ORDER BY seq DESC"
SOLD = "SELECT * FROM fills WHERE section = 'ZE1' AND rule = 'out' ORDER BY seq DESC"
HELD = "SELECT * FROM positions WHERE strategy = 'breakout' AND closed_us IS NULL ORDER BY seq DESC"
CLOSED = "SELECT * FROM positions WHERE closed_us IS NOT NULL ORDER BY seq DESC"
