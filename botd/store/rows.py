"""Which table a record lives in, and the way there and back.

Writing goes past SQLAlchemy to the driver, so the column types' own conversions are taken from the
table once and applied here: what is read through the table is what was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Boolean, Column, Table
from sqlalchemy.dialects import sqlite

from botd.core.outcomes import OrderStatus
from botd.core.records import (
    FillRecord,
    IntentRecord,
    MarketBar,
    OrderRecord,
    Record,
    RiskRecord,
    SignalRecord,
    TradeRecord,
)
from botd.core.updates import AlertRecord, OrderUpdate, PortfolioSnapshot, PositionUpdate, TradingStateRecord
from botd.store import tables

Row = tuple[Any, ...]
Encode = Callable[[Any], Any] | None

# Fields whose name is a reserved word of SQL get another one in the table.
COLUMN_OF: Final = {
    "row": "row_number",
    "values": "indicator_values",
    "limit": "limit_value",
    "actual": "actual_value",
}
_NAME_OF: Final = {column: name for name, column in COLUMN_OF.items()}

_DIALECT: Final = sqlite.dialect()


def encoder(column: Column[Any]) -> Encode:
    """Return the conversion of a value to what the driver binds, None where there is none."""
    if isinstance(column.type, Boolean):
        return int
    bind: Encode = column.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
    return bind


def insert_sql(table: Table, names: Sequence[str]) -> str:
    """Return the INSERT that leaves a row alone whose key is already there."""
    marks = ", ".join("?" for _ in names)
    return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks}) ON CONFLICT DO NOTHING"


def upsert_sql(table: Table, names: Sequence[str], *, keep: Sequence[str] = (), where: str = "") -> str:
    """Return the INSERT that otherwise sets all columns of the row but its key and those to keep."""
    key = [column.name for column in table.primary_key]
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name not in {*key, *keep})
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join('?' for _ in names)}) "
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}{f' WHERE {where}' if where else ''}"
    )


class RecordTable:
    """One record type and the table that holds it: every column that a record has a value for."""

    def __init__(self, record: type[Any], table: Table) -> None:
        self.record = record
        self.table = table
        found = [(column, _NAME_OF.get(column.name, column.name)) for column in table.columns]
        kept = [(column, name) for column, name in found if hasattr(record, name)]
        self.field_names = tuple(name for _, name in kept)
        self.columns = tuple(column.label(name) for column, name in kept)
        self.column_names = ("session_id", *(column.name for column, _ in kept))
        self._values = attrgetter(*self.field_names)
        encoders = [encoder(column) for column, _ in kept]
        self._encoders = tuple((i, e) for i, e in enumerate(encoders) if e is not None)

    def encode(self, session_id: str, record: Any) -> list[Any]:
        """Return a record as the driver's values, in the order of `column_names`."""
        row = [session_id, *self._values(record)]
        for index, encode in self._encoders:
            row[index + 1] = encode(row[index + 1])
        return row

    def decode(self, row: Sequence[Any]) -> Any:
        """Return the record of a row read through `columns`, for a record that is made of what it says."""
        terms = dict(zip(self.field_names, row, strict=True))
        return self.record(**{field.name: terms[field.name] for field in fields(self.record)})


SIGNALS: Final = RecordTable(SignalRecord, tables.signals)
INTENTS: Final = RecordTable(IntentRecord, tables.intents)
RISK_DECISIONS: Final = RecordTable(RiskRecord, tables.risk_decisions)
ORDERS: Final = RecordTable(OrderRecord, tables.orders)
FILLS: Final = RecordTable(FillRecord, tables.fills)
TRADES: Final = RecordTable(TradeRecord, tables.trades)
PORTFOLIO_SNAPSHOTS: Final = RecordTable(PortfolioSnapshot, tables.portfolio_snapshots)
ALERTS: Final = RecordTable(AlertRecord, tables.alerts)
TRADING_STATES: Final = RecordTable(TradingStateRecord, tables.trading_states)

DECISIONS: Final = (SIGNALS, INTENTS, RISK_DECISIONS, ORDERS, FILLS, TRADES)

# A record of these is one row, written once.
_PLAIN: Final = (SIGNALS, INTENTS, FILLS, TRADES, PORTFOLIO_SNAPSHOTS, ALERTS, TRADING_STATES)


class Statement:
    """One prepared statement, and how a record becomes its parameters."""

    def __init__(self, sql: str, encode: Callable[[str, Any], Row | list[Any]]) -> None:
        self.sql = sql
        self.encode = encode


def _insert(kind: RecordTable) -> Statement:
    return Statement(insert_sql(kind.table, kind.column_names), kind.encode)


def _insert_risk() -> Statement:
    """An intent met again keeps its first answer: a second one, to a row not written, is dropped."""
    names = RISK_DECISIONS.column_names
    sql = (
        f"INSERT INTO risk_decisions ({', '.join(names)}) SELECT {', '.join('?' for _ in names)} "
        "WHERE EXISTS (SELECT 1 FROM intents WHERE session_id = ? AND seq = ?) ON CONFLICT DO NOTHING"
    )

    def encode(session_id: str, record: RiskRecord) -> list[Any]:
        return [*RISK_DECISIONS.encode(session_id, record), session_id, record.intent_seq]

    return Statement(sql, encode)


def _insert_order() -> Statement:
    names = (
        *ORDERS.column_names,
        *(
            "status",
            "in_doubt",
            "needs_human",
            "working_qty",
            "filled_qty",
            "fee",
            "status_reason",
            "updated_us",
            "updated_seq",
        ),
    )

    def encode(session_id: str, record: OrderRecord) -> list[Any]:
        state = (OrderStatus.SUBMITTED.value, 0, 0, str(record.qty), "0", "0", "", record.ts_us, record.seq)
        return [*ORDERS.encode(session_id, record), *state]

    return Statement(insert_sql(tables.orders, names), encode)


def _update_order() -> Statement:
    # After a crash the same updates come again: an older one must not undo a newer one.
    sql = (
        "UPDATE orders SET status = ?, in_doubt = ?, needs_human = ?, working_qty = ?, filled_qty = ?, "
        "avg_price = ?, fee = ?, status_reason = ?, updated_us = ?, updated_seq = ?, "
        "filled_us = COALESCE(filled_us, ?) "
        "WHERE session_id = ? AND client_order_id = ? AND updated_seq <= ?"
    )

    def encode(session_id: str, u: OrderUpdate) -> Row:
        avg_price = None if u.avg_price is None else str(u.avg_price)
        filled_us = u.ts_us if u.status is OrderStatus.FILLED else None
        return (
            *(u.status.value, int(u.in_doubt), int(u.needs_human), str(u.qty), str(u.filled_qty)),
            *(
                avg_price,
                str(u.fee),
                u.reason,
                u.ts_us,
                u.seq,
                filled_us,
                session_id,
                u.client_order_id,
                u.seq,
            ),
        )

    return Statement(sql, encode)


def _upsert_position() -> Statement:
    names = tuple(column.name for column in tables.positions.columns)
    sql = upsert_sql(tables.positions, names, where="excluded.seq >= positions.seq")

    def encode(session_id: str, u: PositionUpdate) -> Row:
        return (
            *(session_id, u.strategy, u.instrument, u.cycle, u.side, str(u.qty), str(u.entry_price)),
            *(str(u.realized_pnl), str(u.fees), u.opened_us, u.ts_us, None if u.qty else u.ts_us, u.seq),
        )

    return Statement(sql, encode)


BAR_COLUMNS: Final = tuple(column.name for column in tables.ohlcv_history.columns)
UPSERT_BAR: Final = upsert_sql(tables.ohlcv_history, BAR_COLUMNS)


def bar_values(bar: MarketBar) -> Row:
    """Return a bar as the driver's values, in the order of `BAR_COLUMNS`."""
    traded = bar.traded
    steps = (str(traded.tick_size), str(traded.lot_size))
    ohlcv = (bar.open, bar.high, bar.low, bar.close, bar.volume)
    return (traded.id, bar.open_us, *ohlcv, *steps, bar.feed_position)


# In the order they are carried out: an intent before its risk decision, an order before its updates.
STATEMENTS: Final[dict[type[Any], Statement]] = {
    **{kind.record: _insert(kind) for kind in _PLAIN},
    RiskRecord: _insert_risk(),
    OrderRecord: _insert_order(),
    OrderUpdate: _update_order(),
    PositionUpdate: _upsert_position(),
}


def statements(session_id: str, records: Iterable[Record]) -> list[tuple[str, list[Any]]]:
    """Return what to execute for these records: each statement once, with all its parameters."""
    grouped: dict[type[Any], list[Any]] = {}
    for record in records:
        kind = type(record)
        parameters = grouped.get(kind)
        if parameters is None:
            parameters = grouped[kind] = []
        parameters.append(STATEMENTS[kind].encode(session_id, record))
    return [(STATEMENTS[kind].sql, grouped[kind]) for kind in STATEMENTS if kind in grouped]
