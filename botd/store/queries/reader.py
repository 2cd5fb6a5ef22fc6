"""Read models over the state file. They cannot write: the file is opened read-only."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sqlalchemy import Connection, Row, create_engine, exc, func, select

from botd.core.events import OrderType, Section, Side
from botd.core.instrument import InstrumentId
from botd.core.outcomes import DenyReason, OrderStatus
from botd.core.records import Record, SignalRecord
from botd.core.reload import ReloadOutcome
from botd.core.restraint import Restraint
from botd.core.risk import Check
from botd.core.updates import AlertRecord, PortfolioSnapshot, TradingStateRecord, standing
from botd.errors import InputInvalid
from botd.ports import Cursor, SessionInfo
from botd.store import exact, rows
from botd.store.invariants import DUST, total
from botd.store.lineage import line_of
from botd.store.queries.results import FOR_EVER, CurrencyResult, judge
from botd.store.reading import reading_uri
from botd.store.revisions import RevisionView, decided_by_revision, newest_reloads, newest_revisions
from botd.store.rows import RecordTable
from botd.store.schema import LINEAGE, read_revision, refusal
from botd.store.signal_outcomes import signals_with_outcome
from botd.store.tables import (
    journal_cursor,
    orders,
    portfolio_snapshots,
    positions,
    sessions,
    trades,
)

_BUSY_TIMEOUT_S: Final = 5.0
_COUNTED: Final = (*rows.DECISIONS, rows.PORTFOLIO_SNAPSHOTS, rows.ALERTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionView:
    """A strategy's position as of its latest change."""

    strategy: str
    instrument: InstrumentId
    cycle: int
    side: str
    qty: Decimal  # signed; 0 is flat
    entry_price: Decimal
    realized_pnl: Decimal
    fees: Decimal
    opened_us: int
    updated_us: int
    closed_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    """An order and its latest state."""

    client_order_id: str
    strategy: str
    instrument: InstrumentId
    section: Section
    rule: str
    cycle: int
    leg: int
    ts_us: int
    side: Side
    type: OrderType
    working_qty: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    decision_price: Decimal
    status: OrderStatus
    in_doubt: bool
    needs_human: bool
    filled_qty: Decimal
    avg_price: Decimal | None
    fee: Decimal
    status_reason: str
    updated_us: int
    filled_us: int | None
    revision: str | None  # of the rules that decided it; None where nobody's did


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfitView:
    """The closed round trips of one instrument, in its quote currency."""

    instrument: InstrumentId
    trades_count: int
    won_count: int  # after fees
    realized_pnl: Decimal  # without fees
    fees: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalView:
    """A signal and what came of it; None where it asked for nothing, or not yet."""

    signal: SignalRecord
    qty: Decimal | None  # asked for
    approved: bool | None
    deny_reason: DenyReason | None
    client_order_id: str | None
    order_status: OrderStatus | None
    checks: tuple[Check, ...]  # what every limit said; none of an exit, nor before schema 0008


def signal_view(row: Sequence[Any]) -> SignalView:
    """Make the view of a row of `signals_with_outcome`."""
    return SignalView(
        signal=rows.SIGNALS.decode(row[:-6]),
        qty=row[-6],
        approved=row[-5],
        deny_reason=row[-4],
        client_order_id=row[-3],
        order_status=row[-2],
        checks=row[-1],
    )


class StateReader:
    """Reads one state file, also while a daemon writes it. Every call is one short look."""

    def __init__(self, path: Path | str, *, busy_timeout_s: float = _BUSY_TIMEOUT_S) -> None:
        """Open the file; raise InputInvalid, StateCorrupt or NewerSchema where that cannot be."""
        self.path = Path(path)
        uri = reading_uri(self.path)
        self._engine = create_engine(
            "sqlite://",
            creator=lambda: sqlite3.connect(
                uri, uri=True, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
            ),
        )
        try:
            self._check_revision()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def sessions(self) -> tuple[SessionInfo, ...]:
        """Return all sessions: the one that runs, then the others, the last active first."""
        query = select(sessions).order_by(sessions.c.started_us.desc(), sessions.c.id.desc())
        with self._connect() as connection:
            found = [SessionInfo(**row) for row in connection.execute(query).mappings()]
        return tuple(sorted(found, key=_last_active, reverse=True))

    def session(self, session_id: str | None = None) -> SessionInfo:
        """Return a session by its id, or the first of `sessions()` but warm-ups; raise InputInvalid if none.

        A session that goes on keeps when it started: the start says nothing about who is active.
        """
        found = self.sessions()
        if session_id is None:
            first = next((info for info in found if info.mode != "warmup"), None)
            if first is None:
                advice = f", only {found[0].id}, which --session shows" if found else "; start botd first"
                raise InputInvalid(f"{self.path} has no session yet{advice}")
            return first
        for info in found:
            if info.id == session_id:
                return info
        known = ", ".join(info.id for info in found[:5]) or "none"
        raise InputInvalid(f"no session {session_id} in {self.path}; the last active are: {known}")

    def cursor(self, session_id: str) -> Cursor | None:
        columns = [journal_cursor.c[field.name] for field in fields(Cursor)]
        with self._connect() as connection:
            row = (
                connection.execute(select(*columns).where(journal_cursor.c.session_id == session_id))
                .mappings()
                .first()
            )
        return None if row is None else Cursor(**row)

    def counts(self, session_id: str) -> Mapping[str, int]:
        """Return the number of rows of each record table."""
        with self._connect() as connection:
            return {
                kind.table.name: connection.execute(
                    select(func.count()).select_from(kind.table).where(kind.table.c.session_id == session_id)
                ).scalar_one()
                for kind in _COUNTED
            }

    def positions(self, session_id: str, *, open_only: bool = True) -> tuple[PositionView, ...]:
        """Return the positions, open ones by default, oldest first."""
        query = (
            select(*(positions.c[field.name] for field in fields(PositionView)))
            .where(positions.c.session_id == session_id)
            .order_by(positions.c.opened_us, positions.c.strategy, positions.c.instrument)
        )
        if open_only:
            query = query.where(positions.c.closed_us.is_(None))
        with self._connect() as connection:
            return tuple(PositionView(**row) for row in connection.execute(query).mappings())

    def dust(self, session_id: str) -> Mapping[str, Decimal]:
        """Return what is held of spots' base currencies beside the positions, by instrument; < 0 is owed."""
        with self._connect() as connection:
            raw: Any = connection.connection.driver_connection
            exact.register(raw)
            line = line_of(raw, session_id)
            found = raw.execute(
                f"SELECT f.instrument, {total(DUST)} FROM fills f "
                f"WHERE f.session_id IN ({', '.join('?' * len(line))}) GROUP BY f.instrument",
                line,
            ).fetchall()
        return {instrument: Decimal(amount) for instrument, amount in found if Decimal(amount)}

    def recent_orders(
        self, session_id: str, *, limit: int = 50, instrument: str | None = None, name: str | None = None
    ) -> tuple[OrderView, ...]:
        """Return the newest orders, newest first; `name` is a client order id."""
        query = (
            select(*(orders.c[field.name] for field in fields(OrderView)))
            .where(orders.c.session_id == session_id)
            .order_by(orders.c.seq.desc())
            .limit(limit)
        )
        if instrument is not None:
            query = query.where(orders.c.instrument == instrument)
        if name is not None:
            query = query.where(orders.c.client_order_id == name)
        with self._connect() as connection:
            return tuple(OrderView(**row) for row in connection.execute(query).mappings())

    def recent_signals(self, session_id: str, *, limit: int = 50) -> tuple[SignalView, ...]:
        """Return the newest signals with their outcome, newest first."""
        with self._connect() as connection:
            found = connection.execute(signals_with_outcome(session_id, limit)).all()
        return tuple(map(signal_view, found))

    def trades(self, session_id: str, *, limit: int | None = None) -> tuple[Row[Any], ...]:
        """Return the closed round trips, oldest first; with a limit, the newest of them.

        Each has what a `TradeRecord` has, by the same names.
        """
        return self._newest(rows.TRADES, session_id, limit)

    def performance(
        self, sessions: Sequence[str], *, since_us: int = 0, until_us: int = FOR_EVER
    ) -> tuple[CurrencyResult, ...]:
        """Return what came of a span of time, by currency; sessions newest first, times of the bot's rows."""
        cursor = self.cursor(sessions[0])
        with self._connect() as connection:
            raw, now_us = connection.connection.driver_connection, cursor.ts_us if cursor else 0
            return judge(raw, sessions, since_us=since_us, until_us=until_us, now_us=now_us)

    def profits(self, session_id: str) -> tuple[ProfitView, ...]:
        """Return what the closed round trips came to, by instrument."""
        query = select(trades.c.instrument, trades.c.realized_pnl, trades.c.fees).where(
            trades.c.session_id == session_id
        )
        found: dict[InstrumentId, list[tuple[Decimal, Decimal]]] = {}
        with self._connect() as connection:
            for instrument, realized, fees in connection.execute(query):
                found.setdefault(instrument, []).append((realized, fees))
        return tuple(
            ProfitView(
                instrument=instrument,
                trades_count=len(pairs),
                won_count=sum(realized > fees for realized, fees in pairs),
                realized_pnl=sum((realized for realized, _ in pairs), Decimal(0)),
                fees=sum((fees for _, fees in pairs), Decimal(0)),
            )
            for instrument, pairs in sorted(found.items())
        )

    def warm_up_of(self, info: SessionInfo) -> SessionInfo | None:
        """Return the finished warm-up that a session began from, None where it took another session over."""
        before = [
            one for one in self.sessions() if one.started_us < info.started_us and one.feed == info.feed
        ]
        last = max(before, key=lambda one: one.started_us, default=None)
        return last if last is not None and (last.mode, last.status) == ("warmup", "finished") else None

    def equity_curve(self, session_id: str, *, limit: int | None = None) -> tuple[PortfolioSnapshot, ...]:
        """Return the account's snapshots, oldest first; with a limit, the newest of them."""
        found = self._newest(rows.PORTFOLIO_SNAPSHOTS, session_id, limit)
        return tuple(map(rows.PORTFOLIO_SNAPSHOTS.decode, found))

    def equity(self, session_id: str) -> tuple[PortfolioSnapshot, ...]:
        """Return the latest snapshot of each currency's account, by currency."""
        s = portfolio_snapshots.c
        latest = select(func.max(s.seq)).where(s.session_id == session_id).group_by(s.currency)
        query = (
            select(*rows.PORTFOLIO_SNAPSHOTS.columns)
            .where(s.session_id == session_id, s.seq.in_(latest))
            .order_by(s.currency)
        )
        with self._connect() as connection:
            return tuple(rows.PORTFOLIO_SNAPSHOTS.decode(row) for row in connection.execute(query))

    def recent_alerts(self, session_id: str, *, limit: int = 50) -> tuple[AlertRecord, ...]:
        """Return the newest alerts, oldest first."""
        return tuple(map(rows.ALERTS.decode, self._newest(rows.ALERTS, session_id, limit)))

    def decided_by_revision(self) -> Mapping[str, tuple[int, int]]:
        """Return how many orders and trades each revision's rules decided, in all sessions."""
        with self._connect() as connection:
            return decided_by_revision(connection)

    def reloads(self, *, limit: int = 20) -> tuple[ReloadOutcome, ...]:
        """Return what came of the newest reloads, newest first, of all sessions."""
        with self._connect() as connection:
            return newest_reloads(connection, limit)

    def revisions(self, *, limit: int = 20) -> tuple[RevisionView, ...]:
        """Return the configurations applied last, newest first."""
        with self._connect() as connection:
            return newest_revisions(connection, limit)

    def trading_states(self, session_id: str, *, limit: int | None = None) -> tuple[TradingStateRecord, ...]:
        """Return every halt and hold that began or was lifted, oldest first; with a limit, the newest."""
        found = self._newest(rows.TRADING_STATES, session_id, limit)
        return tuple(map(rows.TRADING_STATES.decode, found))

    def restraints(self, session_id: str) -> tuple[Restraint, ...]:
        """Return what keeps new risk out now, oldest first."""
        return standing(self.trading_states(session_id))

    def decisions(self, session_id: str) -> Generator[tuple[type[Record], Row[Any]], None, None]:
        """Yield every signal, intent, risk decision, order, fill and trade as recorded, by `seq`.

        Each is the type of the record, and a row that has the record's values by the same names.
        """
        with self._connect() as connection:
            connection.exec_driver_sql("BEGIN")  # one state of the file for all six tables
            try:
                streams = [_stream(connection, kind, session_id) for kind in rows.DECISIONS]
                yield from heapq.merge(*streams, key=lambda found: found[1].seq)
            finally:
                connection.exec_driver_sql("ROLLBACK")

    def _newest(self, kind: RecordTable, session_id: str, limit: int | None) -> tuple[Row[Any], ...]:
        query = (
            select(*kind.columns)
            .where(kind.table.c.session_id == session_id)
            .order_by(kind.table.c.seq.desc())
            .limit(limit)
        )
        with self._connect() as connection:
            return tuple(reversed(connection.execute(query).all()))

    def _check_revision(self) -> None:
        with self._connect() as connection:
            raw = connection.connection.driver_connection
            revision = read_revision(raw, self.path) if raw is not None else None
        if revision is None:
            raise InputInvalid(f"{self.path} is empty; start botd first, or name another file with --state")
        if revision != LINEAGE.head:
            raise InputInvalid(
                f"{self.path} was written by an older botd; start the daemon once to upgrade it"
            )

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except exc.DBAPIError as error:
            if isinstance(error.orig, sqlite3.Error):
                raise refusal(self.path, error.orig) from error
            raise
        except sqlite3.DatabaseError as error:
            raise refusal(self.path, error) from error


def _last_active(info: SessionInfo) -> tuple[bool, int]:
    """Return what sessions are ordered by. One is `running` at most: every start ends those left behind."""
    return info.status == "running", info.started_us if info.ended_us is None else info.ended_us


def _stream(connection: Connection, kind: RecordTable, session_id: str) -> Iterator[tuple[Any, Any]]:
    query = select(*kind.columns).where(kind.table.c.session_id == session_id).order_by(kind.table.c.seq)
    for row in connection.execute(query):
        yield kind.record, row
