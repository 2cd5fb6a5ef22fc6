"""What a table is made of, and how a value goes into a column so that it comes back exactly as it was."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Any, Final

Values = tuple[tuple[str, float], ...]
Encode = Callable[[Any], Any]

_NOT_A_NUMBER: Final = None  # JSON has no NaN; a value that is not ready reads as null
_INFINITE: Final = {"inf": math.inf, "-inf": -math.inf}


class Kind(Enum):
    """What a column holds."""

    TEXT = auto()
    COUNT = auto()
    NUMBER = auto()  # of 64 bits
    FLAG = auto()
    DECIMAL = auto()  # its own text: SQLite would keep a NUMERIC as a float, and lose the exponent
    FLOAT = auto()  # its shortest exact text: SQLite turns NaN into NULL and -0.0 into 0
    VALUES = auto()  # named floats as one JSON object, in order: null is NaN, "inf" and "-inf" are text
    WORD = auto()  # a member of a closed set


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    kind: Kind
    null: bool = False
    words: type[StrEnum] | None = None  # the closed set that a WORD is of
    references: str = ""  # `table.column`


@dataclass(frozen=True, slots=True)
class Unique:
    """Columns that no two rows have alike; without a name the convention's."""

    columns: tuple[str, ...]
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Index:
    """Columns that rows are looked up by."""

    columns: tuple[str, ...]


class Table:
    """One table, as declared."""

    def __init__(
        self, name: str, key: Iterable[str], *parts: Column | Unique | Index, clustered: bool = False
    ) -> None:
        """A `clustered` table is kept in the order of its key."""
        self.name = name
        self.key = tuple(key)
        self.clustered = clustered
        self.columns = tuple(one for one in parts if isinstance(one, Column))
        self.uniques = tuple(one for one in parts if isinstance(one, Unique))
        self.indexes = tuple(one for one in parts if isinstance(one, Index))
        self.column_names = tuple(one.name for one in self.columns)


def encoder(column: Column) -> Encode | None:
    """Return the conversion of a value to what the driver binds, None where there is none."""
    return _ENCODERS.get(column.kind)


def decimal_text(value: Any) -> str | None:
    return None if value is None else str(value)


def float_text(value: float | None) -> str | None:
    return None if value is None else repr(float(value))


def values_text(value: Values | None) -> str | None:
    if value is None:
        return None
    return json.dumps({name: _jsonable(x) for name, x in value}, ensure_ascii=False)


def read_values(text: str) -> Values:
    """Return what `values_text` wrote."""
    return tuple((name, _float(x)) for name, x in json.loads(text).items())


def word_text(value: StrEnum | None) -> str | None:
    return None if value is None else value.value


_ENCODERS: Final[dict[Kind, Encode]] = {
    Kind.FLAG: int,
    Kind.DECIMAL: decimal_text,
    Kind.FLOAT: float_text,
    Kind.VALUES: values_text,
    Kind.WORD: word_text,
}


def _jsonable(value: float) -> float | str | None:
    if math.isfinite(value):
        return float(value)
    return _NOT_A_NUMBER if math.isnan(value) else repr(float(value))


def _float(value: float | str | None) -> float:
    if value is None:
        return math.nan
    return _INFINITE[value] if isinstance(value, str) else float(value)
