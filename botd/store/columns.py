"""Column types that bring a value back exactly as it was written, on any database."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import Dialect, Text, TypeDecorator

from botd.core.outcomes import DenyReason
from botd.core.risk import Check

Values = tuple[tuple[str, float], ...]

_NOT_A_NUMBER = None  # JSON has no NaN; a value that is not ready reads as null
_INFINITE = {"inf": math.inf, "-inf": -math.inf}


class DecimalText(TypeDecorator[Decimal]):
    """A Decimal as its own text: SQLite would keep a NUMERIC as a float, and lose the exponent."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


class FloatText(TypeDecorator[float]):
    """A float as its shortest exact text: SQLite turns NaN into NULL and -0.0 into 0."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> str | None:
        return None if value is None else repr(float(value))

    def process_result_value(self, value: Any, dialect: Dialect) -> float | None:
        return None if value is None else float(value)


class ValuesJson(TypeDecorator[Values]):
    """Named floats as one JSON object, in order: null is NaN, "inf" and "-inf" are text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Values | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return json.dumps({name: _jsonable(x) for name, x in value}, ensure_ascii=False)

    def process_result_value(self, value: Any, dialect: Dialect) -> Values | None:
        if value is None:
            return None
        return tuple((name, _float(x)) for name, x in json.loads(value).items())


class ChecksJson(TypeDecorator[tuple[Check, ...]]):
    """What every limit said, in order: JSON lists of reason, limit, actual and whether it passed."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[Check, ...] | None, dialect: Dialect) -> str | None:
        if not value:
            return None
        rows = [[one.reason, str(one.limit), str(one.actual), one.passed] for one in value]
        return json.dumps(rows, separators=(",", ":"))

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[Check, ...]:
        rows = json.loads(value) if value is not None else ()
        return tuple(
            Check(DenyReason(reason), Decimal(limit), Decimal(actual), passed)
            for reason, limit, actual, passed in rows
        )


class Word(TypeDecorator[StrEnum]):
    """A member of a closed set, as its word."""

    impl = Text
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:
        return None if value is None else value.value

    def process_result_value(self, value: Any, dialect: Dialect) -> StrEnum | None:
        return None if value is None else self.words(value)


def _jsonable(value: float) -> float | str | None:
    if math.isfinite(value):
        return float(value)
    return _NOT_A_NUMBER if math.isnan(value) else repr(float(value))


def _float(value: float | str | None) -> float:
    if value is None:
        return math.nan
    return _INFINITE[value] if isinstance(value, str) else float(value)
