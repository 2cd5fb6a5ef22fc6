"""The tables as SQLAlchemy knows them, for queries and migrations. The daemon writes without it."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Dialect, MetaData, Text, TypeDecorator

from botd.errors import InvariantBroken
from botd.store import tables
from botd.store.columns import (
    Column,
    Kind,
    Table,
    Values,
    decimal_text,
    float_text,
    read_values,
    values_text,
    word_text,
)


class DecimalText(TypeDecorator[Decimal]):
    """A Decimal as its own text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        return decimal_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


class FloatText(TypeDecorator[float]):
    """A float as its shortest exact text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> str | None:
        return float_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> float | None:
        return None if value is None else float(value)


class ValuesJson(TypeDecorator[Values]):
    """Named floats as one JSON object, in order."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Values | None, dialect: Dialect) -> str | None:
        return values_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Values | None:
        return None if value is None else read_values(value)


class Word(TypeDecorator[StrEnum]):
    """A member of a closed set, as its word."""

    impl = Text
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:
        return word_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> StrEnum | None:
        return None if value is None else self.words(value)


metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_TYPES: Final[dict[Kind, Any]] = {
    Kind.TEXT: sa.Text,
    Kind.COUNT: sa.Integer,
    Kind.NUMBER: sa.BigInteger,
    Kind.FLAG: sa.Boolean,
    Kind.DECIMAL: DecimalText,
    Kind.FLOAT: FloatText,
    Kind.VALUES: ValuesJson,
}


def _type(column: Column) -> Any:
    if column.kind is not Kind.WORD:
        return _TYPES[column.kind]
    if column.words is None:
        raise InvariantBroken(f"column {column.name} is a word of no set")
    return Word(column.words)


def _column(column: Column) -> sa.Column[Any]:
    references = [sa.ForeignKey(column.references)] if column.references else []
    return sa.Column(column.name, _type(column), *references, nullable=column.null)


def _table(declared: Table) -> sa.Table:
    return sa.Table(
        declared.name,
        metadata,
        *map(_column, declared.columns),
        sa.PrimaryKeyConstraint(*declared.key),
        *(sa.UniqueConstraint(*one.columns, name=one.name) for one in declared.uniques),
        *(sa.Index(None, *one.columns) for one in declared.indexes),
        sqlite_with_rowid=not declared.clustered,
    )


_MADE: Final = {declared: _table(declared) for declared in tables.ALL}


def relation(declared: Table) -> sa.Table:
    """Return SQLAlchemy's form of a table."""
    return _MADE[declared]


sessions: Final = relation(tables.sessions)
signals: Final = relation(tables.signals)
intents: Final = relation(tables.intents)
risk_decisions: Final = relation(tables.risk_decisions)
orders: Final = relation(tables.orders)
trades: Final = relation(tables.trades)
positions: Final = relation(tables.positions)
portfolio_snapshots: Final = relation(tables.portfolio_snapshots)
journal_cursor: Final = relation(tables.journal_cursor)
