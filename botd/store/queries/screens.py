"""What a page of the dashboard shows, read in one short look at one state of the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from sqlalchemy import Connection, Row, select

from botd.core.events import Section
from botd.core.instrument import InstrumentId
from botd.core.outcomes import OrderStatus
from botd.core.restraint import Restraint, TradingState, gravest
from botd.core.updates import AlertRecord, PortfolioSnapshot
from botd.errors import InvariantBroken
from botd.store import rows
from botd.store.lineage import line_of
from botd.store.queries import bars, results
from botd.store.queries.bars import BarView
from botd.store.queries.reader import OrderView, PositionView, SignalView, StateReader
from botd.store.queries.results import EquityPoint, ResultView
from botd.store.signal_outcomes import signals_with_outcome
from botd.store.tables import alerts, orders, risk_decisions, signals

T = TypeVar("T")

BUSY_TIMEOUT_S: Final = 1.0
HELD_MAX: Final = 200  # positions and live orders on one page
_LIVE: Final = (
    OrderStatus.INTENT,
    OrderStatus.SUBMITTED,
    OrderStatus.ACCEPTED,
    OrderStatus.PARTIALLY_FILLED,
    OrderStatus.PENDING_CANCEL,
)
_OUTCOME: Final = ("qty", "approved", "deny_reason", "client_order_id", "order_status", "checks")
_MORE: Final = ("limit", "actual", "filled_qty", "avg_price")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalStory(SignalView):
    """A signal and everything that came of it; None where it asked for nothing, or not yet."""

    limit: Decimal | None  # what risk compared
    actual: Decimal | None
    filled_qty: Decimal | None
    avg_price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingView:
    """Whether new risk is taken, and what keeps it out."""

    state: TradingState
    cause: Restraint | None  # the one that names the state
    restraints: tuple[Restraint, ...]


class ScreenReader(StateReader):
    """A state file at one moment: everything read inside `with` is of one state of it.

    Sessions are told newest first: one, or all whose account it goes on with.
    """

    def __init__(self, path: Path | str) -> None:
        self._stack = ExitStack()
        self._look: Connection | None = None
        super().__init__(path, busy_timeout_s=BUSY_TIMEOUT_S)

    def __enter__(self) -> Self:
        try:
            self._look = self._stack.enter_context(super()._connect())
            self._look.exec_driver_sql("PRAGMA query_only = 1")
            self._look.exec_driver_sql("BEGIN")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._look = None
        try:
            self._stack.__exit__(kind, error, trace)
        finally:
            self.close()

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        if self._look is None:
            with super()._connect() as connection:
                yield connection
        else:
            yield self._look

    def line(self, session_id: str) -> tuple[str, ...]:
        """Return a session and those whose account it goes on with, newest first."""
        return line_of(self._raw(), session_id)[::-1]

    def written_us(self) -> int:
        """Return when the file, or the log beside it, was written last: by a daemon every second."""
        times = []
        for path in (self.path, self.path.with_name(f"{self.path.name}-wal")):
            try:
                status = path.stat()
            except FileNotFoundError:  # folded into the file, as the last writer left
                continue
            if status.st_size:  # an empty log is what a reader makes
                times.append(status.st_mtime_ns // 1000)
        return max(times, default=0)

    def trading(self, session_id: str) -> TradingView:
        """Return the trading state of the account."""
        standing = self.restraints(session_id)
        cause = gravest(standing)
        state = TradingState.ACTIVE if cause is None else cause.state
        return TradingView(state=state, cause=cause, restraints=standing)

    def books(self, sessions: Sequence[str]) -> tuple[PortfolioSnapshot, ...]:
        """Return the newest snapshot of each currency's account."""
        found: dict[str, PortfolioSnapshot] = {}
        for session in sessions:
            for one in self.equity(session):
                found.setdefault(one.currency, one)
        return tuple(found[currency] for currency in sorted(found))

    def curve(
        self, sessions: Sequence[str], currency: str, *, since_us: int, step_us: int
    ) -> tuple[EquityPoint, ...]:
        """Return the equity as it was last noted in each span of `step_us`, oldest first."""
        return results.curve(self._raw(), sessions[::-1], currency, since_us=since_us, step_us=step_us)

    def results(self, sessions: Sequence[str], since_us: int = 0) -> tuple[ResultView, ...]:
        """Return what the round trips closed from a time on came to, by strategy and instrument."""
        return results.results(self._raw(), sessions, since_us)

    def held(self, session_id: str) -> tuple[PositionView, ...]:
        """Return the open positions, oldest first."""
        return self.positions(session_id)[:HELD_MAX]

    def live_orders(self, session_id: str) -> tuple[OrderView, ...]:
        """Return the orders that may still fill, newest first."""
        return self._orders(session_id, HELD_MAX, orders.c.status.in_(_LIVE))

    def newest_orders(self, sessions: Sequence[str], limit: int) -> tuple[OrderView, ...]:
        """Return the newest orders, newest first."""
        return self._newest_of(sessions, limit, lambda session, left: self._orders(session, left))

    def stories(
        self,
        sessions: Sequence[str],
        limit: int,
        *,
        instrument: str | None = None,
        section: str | None = None,
        strategy: str | None = None,
    ) -> tuple[SignalStory, ...]:
        """Return the newest signals with what came of them, newest first."""
        where = [
            column == wanted
            for column, wanted in (
                (signals.c.instrument, instrument),
                (signals.c.section, None if section is None else Section(section)),
                (signals.c.strategy, strategy),
            )
            if wanted is not None
        ]
        by_time = instrument is not None  # where the index by instrument and time serves
        return self._newest_of(
            sessions, limit, lambda session, left: self._stories(session, left, where, by_time)
        )

    def marks(
        self, sessions: Sequence[str], instrument: str, *, since_us: int, until_us: int, limit: int
    ) -> tuple[SignalStory, ...]:
        """Return the newest signals of an instrument in a span of time, newest first."""
        s = signals.c
        where = [s.instrument == instrument, s.ts_us >= since_us, s.ts_us < until_us]
        return self._newest_of(
            sessions, limit, lambda session, left: self._stories(session, left, where, True)
        )

    def newest_trades(self, sessions: Sequence[str], limit: int | None) -> tuple[Row[Any], ...]:
        """Return the newest round trips, newest first; each has what a `TradeRecord` has."""
        if limit is None:
            return tuple(row for session in sessions for row in reversed(self.trades(session)))
        return self._newest_of(
            sessions, limit, lambda session, left: tuple(reversed(self.trades(session, limit=left)))
        )

    def newest_alerts(
        self, sessions: Sequence[str], limit: int, *, severities: Sequence[str] = ()
    ) -> tuple[AlertRecord, ...]:
        """Return the newest alerts, newest first; of some severities alone where any are named."""

        def read(session: str, left: int) -> tuple[AlertRecord, ...]:
            a = alerts.c
            query = select(*rows.ALERTS.columns).where(a.session_id == session)
            if severities:
                query = query.where(a.severity.in_(severities))
            with self._connect() as connection:
                found = connection.execute(query.order_by(a.seq.desc()).limit(left)).all()
            return tuple(map(rows.ALERTS.decode, found))

        return self._newest_of(sessions, limit, read)

    def instruments(self) -> tuple[InstrumentId, ...]:
        """Return the instruments that have bars, by name."""
        return bars.instruments(self._raw())

    def last_bars(self, instruments: Sequence[str]) -> Mapping[str, BarView]:
        """Return the newest minute of each instrument that has one."""
        return bars.newest(self._raw(), instruments)

    def bars(self, instrument: str, length_us: int, *, since_us: int, until_us: int) -> tuple[BarView, ...]:
        """Return the bars that open in a span, oldest first; the span is taken as whole bars."""
        return bars.bars(self._raw(), instrument, length_us, since_us=since_us, until_us=until_us)

    def _orders(self, session: str, limit: int, *where: Any) -> tuple[OrderView, ...]:
        o = orders.c
        names = OrderView.__dataclass_fields__
        query = select(*(o[name] for name in names)).where(o.session_id == session, *where)
        with self._connect() as connection:
            found = connection.execute(query.order_by(o.seq.desc()).limit(limit)).mappings()
            return tuple(OrderView(**row) for row in found)

    def _stories(
        self, session: str, limit: int, where: Sequence[Any], by_time: bool
    ) -> tuple[SignalStory, ...]:
        r, o = risk_decisions.c, orders.c
        more = (r.limit_value, r.actual_value, o.filled_qty, o.avg_price)
        query = signals_with_outcome(session, limit, where=where, by_time=by_time, more=more)
        width = len(rows.SIGNALS.field_names)
        with self._connect() as connection:
            found = connection.execute(query).all()
        return tuple(
            SignalStory(
                signal=rows.SIGNALS.decode(row[:width]),
                **dict(zip((*_OUTCOME, *_MORE), row[width:], strict=True)),
            )
            for row in found
        )

    def _newest_of(
        self, sessions: Sequence[str], limit: int, read: Callable[[str, int], tuple[T, ...]]
    ) -> tuple[T, ...]:
        found: list[T] = []
        for session in sessions:
            if len(found) == limit:
                break
            found += read(session, limit - len(found))
        return tuple(found)

    def _raw(self) -> sqlite3.Connection:
        if self._look is None:
            raise InvariantBroken("a screen is read inside `with`")
        raw: Any = self._look.connection.driver_connection
        return raw  # type: ignore[no-any-return]
