"""Reads of the state file by the page, newest first, for whoever goes on where a page ended."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, Select, Table, func, select

from botd.store import rows
from botd.store.queries import OrderView, SignalView, StateReader
from botd.store.queries.reader import signal_view
from botd.store.signal_outcomes import signals_with_outcome
from botd.store.tables import orders, sessions, signals, trades


class PageReader(StateReader):
    """A `StateReader` that reads by the page; a page's last number is where the next begins."""

    def known(self, session_id: str) -> bool:
        """Say whether there is a session of that id."""
        with self._connect() as connection:
            query = select(func.count()).select_from(sessions).where(sessions.c.id == session_id)
            return bool(connection.execute(query).scalar_one())

    def orders_page(
        self, session_id: str, *, limit: int, before: int | None = None, instrument: str | None = None
    ) -> tuple[tuple[int, OrderView], ...]:
        """Return the newest orders submitted before a record, each with the number of its own."""
        columns = [orders.c.seq, *(orders.c[field.name] for field in fields(OrderView))]
        query = _page(select(*columns), orders, session_id, limit, before, instrument)
        with self._connect() as connection:
            found = [dict(row) for row in connection.execute(query).mappings()]
        return tuple((row.pop("seq"), OrderView(**row)) for row in found)

    def signals_page(
        self, session_id: str, *, limit: int, before: int | None = None, instrument: str | None = None
    ) -> tuple[SignalView, ...]:
        """Return the newest signals before a record, with their outcome."""
        where = [signals.c.seq < before] if before is not None else []
        if instrument is not None:
            where.append(signals.c.instrument == instrument)
        query = signals_with_outcome(session_id, limit, where=where)
        with self._connect() as connection:
            found = connection.execute(query).all()
        return tuple(map(signal_view, found))

    def trades_page(
        self,
        session_id: str,
        *,
        limit: int | None,
        before: int | None = None,
        instrument: str | None = None,
    ) -> tuple[Row[Any], ...]:
        """Return the newest round trips before a record; each has what a `TradeRecord` has."""
        query = _page(select(*rows.TRADES.columns), trades, session_id, limit, before, instrument)
        with self._connect() as connection:
            return tuple(connection.execute(query).all())

    def equity_of(self, session_id: str) -> dict[str, Decimal]:
        """Return the equity of the last snapshot, by currency."""
        return {one.currency: one.equity for one in self.equity(session_id)}


def _page(
    query: Select[Any],
    table: Table,
    session_id: str,
    limit: int | None,
    before: int | None,
    instrument: str | None,
) -> Select[Any]:
    query = query.where(table.c.session_id == session_id).order_by(table.c.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.seq < before)
    if instrument is not None:
        query = query.where(table.c.instrument == instrument)
    return query
