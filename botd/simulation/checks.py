"""What has to be true of a simulated day: safety after every process, liveness and equality at the end."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

from botd.app import build_loop
from botd.config.plan import Plan
from botd.core.decisions import canonical_line
from botd.core.instrument import Instrument
from botd.core.money import ZERO
from botd.core.records import Record
from botd.core.restraint import Cause
from botd.errors import BotdError, InputInvalid, SecondDaemon
from botd.ports import SessionInfo
from botd.runtime.batch import read_before, run_batch
from botd.sessions import VENUE_FILE
from botd.simulation.host import End, EndCause
from botd.simulation.market import MarketFeed
from botd.store.fsck import examine
from botd.store.invariants import words
from botd.store.queries import StateReader

WRITTEN_BY_TRADING: Final = ("signals", "intents", "risk_decisions", "orders", "fills", "trades", "alerts")
# halts of the bot's own, over what it decided
OWN: Final = (Cause.REJECTS_IN_A_ROW, Cause.RATE_CAP, Cause.DAILY_LOSS, Cause.DRAWDOWN)
TOLD_AGAIN: Final = ("external_order", "balance_differs", "clock_skew")


class CheckFailed(Exception):
    """Something that has to be true is not; `check` is its name, which shrinking keeps."""

    def __init__(self, check: str, detail: str) -> None:
        super().__init__(f"{check}: {detail}")
        self.check = check
        self.detail = detail


class VenueTruth(Protocol):
    """What a venue itself knows of an account: the oracle that the books are compared with."""

    def order_ids(self) -> frozenset[str]:
        """Return the client id of every order that has ever arrived."""
        ...

    def doubled(self) -> tuple[str, ...]:
        """Return what happened twice that must happen once, in words."""
        ...

    def holdings(self) -> Mapping[str, Decimal]:
        """Return the signed quantities held to the last digit, without what is flat."""
        ...

    def worth(self) -> Mapping[str, Decimal]:
        """Return by currency the cash less the signed cost of what is held: equity at a price of zero."""
        ...


class PaperTruth:
    """The simulated venue's file in a state folder, as its session's account."""

    def __init__(self, folder: Path, instruments: Iterable[Instrument]) -> None:
        self._instruments = {str(one.id): one for one in instruments}
        self._answers: list[tuple[str, str, dict[str, Any]]] = []
        self._states: list[tuple[str, dict[str, Any]]] = []
        path = folder / VENUE_FILE
        if path.exists():
            with closing(sqlite3.connect(path)) as connection:
                self._states = [
                    (account, json.loads(body))
                    for account, body in connection.execute("SELECT account, body FROM state ORDER BY rowid")
                ]
                self._answers = [
                    (account, name, one)
                    for account, body in connection.execute("SELECT account, body FROM answers")
                    for name, one in json.loads(body)
                ]

    def order_ids(self) -> frozenset[str]:
        asked = (
            json.loads(entry)
            for _, state in self._states
            for floor in state["floors"].values()
            for entry in [*(one[2] for one in floor["requests"]), *(one[0] for one in floor["working"])]
        )
        own = {body["client_order_id"] for name, body in asked if name == "SubmitOrder"}
        told = {one["client_order_id"] for _, name, one in self._answers if name != "RequestRefused"}
        return frozenset(own | told)

    def doubled(self) -> tuple[str, ...]:
        once = ("OrderAccepted", "OrderRejected", "OrderEnded")
        seen = Counter((a, name, one["client_order_id"]) for a, name, one in self._answers if name in once)
        fills = Counter(
            (one["client_order_id"], one["trade_id"])
            for _, name, one in self._answers
            if name == "OrderFilled"
        )
        many = [f"{name} of {order}: {n} times" for (_, name, order), n in seen.items() if n > 1]
        return (
            *many,
            *(f"fill {trade} of {order}: {n} times" for (order, trade), n in fills.items() if n > 1),
        )

    def holdings(self) -> Mapping[str, Decimal]:
        nets = self._nets().items()
        return {name: self._instruments[name].qty(lots) for name, (lots, _) in nets if lots}

    def worth(self) -> Mapping[str, Decimal]:
        account = self._states[-1][1]["account"] if self._states else {"cash": {}}
        worth = {currency: Decimal(amount) for currency, amount in account["cash"].items()}
        for name, (lots, cost) in self._nets().items():
            instrument = self._instruments[name]
            worth[instrument.quote] -= instrument.money(cost if lots > 0 else -cost)
        return worth

    def _nets(self) -> Mapping[str, tuple[int, int]]:
        nets: Mapping[str, tuple[int, int]] = self._states[-1][1]["account"]["nets"] if self._states else {}
        return nets


def check_books(state: Path, excused: Container[str] = ()) -> None:
    """Check every invariant of the books over the whole file, but for some by their ids."""
    for found in examine(state).findings:
        if found.check.id in excused:
            continue
        raise CheckFailed(f"fsck.{found.check.id}", f"{found.check.statement}: {dict(found.rows[0])}")


def check_venue(state: Path, truth: VenueTruth) -> None:
    """Check that the venue got everything once, and nothing that was not committed before."""
    for what in truth.doubled():
        raise CheckFailed("venue.doubled", what)
    with closing(_reading(state)) as connection:
        known = {name for (name,) in connection.execute("SELECT client_order_id FROM orders")}
    unknown = sorted(truth.order_ids() - known)
    if unknown:
        raise CheckFailed(
            "venue.unknown_order", f"the venue has {unknown[0]}, and no committed row asked for it"
        )


def check_equal_books(state: Path, truth: VenueTruth, instruments: Iterable[Instrument]) -> None:
    """Check after a stop in order that the books say what the venue says."""
    by_name = {str(one.id): one for one in instruments}
    session = newest_session(state)
    with StateReader(state) as reader:
        held = reader.positions(session.id)
        amounts = dict(reader.dust(session.id))
        worth = {one.currency: one.balance for one in reader.equity(session.id)}
    if session.status != "stopped":
        raise CheckFailed("stop.status", f"session {session.id} was stopped and is {session.status}")
    for one in held:
        instrument = by_name[str(one.instrument)]
        amounts[str(instrument.id)] = amounts.get(str(instrument.id), ZERO) + one.qty
        worth[instrument.quote] -= one.qty * one.entry_price
    booked = {name: amount for name, amount in amounts.items() if amount}
    if booked != dict(truth.holdings()):
        raise CheckFailed("books.positions", f"booked {booked}, the venue holds {dict(truth.holdings())}")
    for currency, at_venue in truth.worth().items():
        # an average entry price is rounded to 1e-12, and a share of a cost to a tick-lot
        step = max(one.money(1) for one in by_name.values() if one.quote == currency)
        own = worth.get(currency)
        if own is None and not count_rows(state)["orders"]:
            continue  # stopped before its first row: the account was not recorded yet
        if own is None or abs(own - at_venue) > 2 * step:
            raise CheckFailed("books.cash", f"{currency}: booked {own}, the venue has {at_venue}")


def check_alive(
    state: Path, now_us: int, behind_max_us: int, *, excused_us: int = 0, excused: Container[Cause] = ()
) -> None:
    """Check that a healthy daemon in a healthy world has caught up and is held by nothing.

    What has stood for less than `excused_us` nobody has looked at yet, and nobody will at `excused` causes.
    """
    session = newest_session(state)
    with StateReader(state) as reader:
        cursor = reader.cursor(session.id)
        restraints = reader.restraints(session.id)
    behind_us = now_us - cursor.ts_us if cursor is not None else now_us
    if session.status != "running" or behind_us > behind_max_us:
        raise CheckFailed(
            "alive.behind", f"session {session.id} is {session.status} and {behind_us} us behind"
        )
    for one in restraints:
        if one.since_us <= now_us - excused_us and one.cause not in excused:
            raise CheckFailed("alive.held", f"still held by {one.cause}: {one.reason}")


def count_rows(state: Path) -> dict[str, int]:
    """Count what trading writes, of all sessions; what is told again every hour is no news of a start."""
    again = f"WHERE type NOT IN {words(TOLD_AGAIN)}"
    with closing(_reading(state)) as connection:
        return {
            table: connection.execute(
                f"SELECT count(*) FROM {table} {again if table == 'alerts' else ''}"
            ).fetchone()[0]
            for table in WRITTEN_BY_TRADING
        }


def check_idempotent(before: Mapping[str, int], after: Mapping[str, int]) -> None:
    """Check S14: starts with nothing new from the venue have written nothing."""
    if before != after:
        changed = {table: (n, after[table]) for table, n in before.items() if after[table] != n}
        raise CheckFailed("S14.idempotent", f"a start without news wrote rows: {changed}")


def check_parity(state: Path, plan: Plan, feed: MarketFeed) -> int:
    """Check that the session decided what a run without a crash decides over its rows; return how much."""
    session = newest_session(state)
    with StateReader(state) as reader:
        sessions = reader.sessions()
        cursor = reader.cursor(session.id)
        rows = list(reader.decisions(session.id))
    if len(sessions) != 1 or cursor is None:
        raise CheckFailed("parity.session", f"one session was expected, there are {len(sessions)}")
    decided = [line for kind, row in rows if (line := canonical_line(row, kind)) is not None]
    loop = build_loop(plan, feed, session_id="uncrashed")
    records: list[Record] = []
    run_batch(loop, read_before(feed, 0, cursor.feed_position), lambda group: records.extend(group.records))
    expected = [line for record in records if (line := canonical_line(record)) is not None]
    for number, (own, other) in enumerate(zip(decided, expected, strict=False)):
        if own != other:
            raise CheckFailed("parity.decision", f"decision {number} is {own}, without a crash {other}")
    if len(decided) != len(expected):
        raise CheckFailed("parity.count", f"{len(decided)} decisions, without a crash {len(expected)}")
    return len(decided)


def newest_session(state: Path) -> SessionInfo:
    """Return the session that was begun last, whatever the clocks said."""
    with closing(_reading(state)) as connection:
        (last,) = connection.execute("SELECT id FROM sessions ORDER BY rowid DESC LIMIT 1").fetchone()
    with StateReader(state) as reader:
        return reader.session(last)


def was_restrained(state: Path) -> bool:
    """Say whether anything has ever halted or held trading."""
    with closing(_reading(state)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM trading_states").fetchone()
        return bool(count)


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


def check_end(said: str, end: End, *, asked: int, allowed: Collection[int], excused: bool) -> None:
    """Check how a process ended that was `asked` so often to stop.

    It may leave with `allowed` codes beside those of a stop; `excused`, where its disk failed as well.
    """
    codes = {0, *allowed} | ({4} if asked > 1 else set())
    if excused:  # a disk that fails while the daemon stops is a stage that failed
        codes |= {InputInvalid.exit_code, SecondDaemon.exit_code}
    if end.cause is EndCause.RETURNED and (not asked or end.result not in codes):
        raise CheckFailed("exit_code", f"it was asked {asked} times: {said}")
    if end.cause is EndCause.FAILED:
        error = end.error
        known = isinstance(error, BotdError) and error.exit_code in (
            InputInvalid.exit_code,
            SecondDaemon.exit_code,
        )
        if not excused or not known:
            raise CheckFailed("failed", said) from error
