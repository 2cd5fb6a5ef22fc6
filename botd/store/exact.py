"""Exact arithmetic over amounts kept as text, for SQL: SQLite's own would go through floats.

What cannot be read as a finite number makes its sum `NaN`, and `NaN` differs from everything and is above
everything: a query that asks whether an amount is as it should be hears that it is not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Any, Final

from botd.core.money import plain_text

NAN: Final = "NaN"

# Wider than any sum of amounts; one that is wider still is no amount of ours.
_WIDE: Final = Context(prec=400, traps=[Inexact, InvalidOperation, Overflow])
_ZERO: Final = Decimal(0)
_FAULTS: Final = (ArithmeticError, TypeError, ValueError)


def register(connection: sqlite3.Connection) -> None:
    """Give a connection the functions `decimal_...` that the invariants are written with."""
    connection.create_window_function("decimal_sum", 1, _Sum)
    connection.create_function("decimal_total", 1, _total, deterministic=True)
    scalars: dict[str, Callable[..., Any]] = {
        "decimal_minus": _minus,
        "decimal_differs": _differs,
        "decimal_above": _above,
    }
    for name, function in scalars.items():
        connection.create_function(name, 2, function, deterministic=True)


def _read(amount: Any) -> Decimal:
    """Return an amount; raise one of `_FAULTS` for what is none."""
    if not isinstance(amount, str):  # a number was a float on its way here
        raise TypeError
    value = Decimal(amount)
    if not value.is_finite():
        raise InvalidOperation
    return value


class _Sum:
    """The running sum of a column, over a window; NULLs are left out."""

    def __init__(self) -> None:
        self._total = _ZERO
        self._unreadable = 0

    def step(self, amount: Any) -> None:
        if amount is None:
            return
        try:
            self._total = _WIDE.add(self._total, _read(amount))
        except _FAULTS:
            self._unreadable += 1

    def inverse(self, amount: Any) -> None:
        if amount is None:
            return
        try:
            self._total = _WIDE.subtract(self._total, _read(amount))
        except _FAULTS:
            self._unreadable -= 1

    def value(self) -> str:
        return NAN if self._unreadable else plain_text(self._total)

    def finalize(self) -> str:
        return self.value()


def _total(terms: str | None) -> str:
    """Return the sum of terms with spaces between them, each an amount or a product such as `-1*0.5`."""
    total = _ZERO
    try:
        for term in terms.split(" ") if terms else ():
            if "*" in term:
                one, _, other = term.partition("*")
                total = _WIDE.add(total, _WIDE.multiply(_read(one), _read(other)))
            else:
                total = _WIDE.add(total, _read(term))
    except _FAULTS:
        return NAN
    return plain_text(total)


def _minus(one: Any, other: Any) -> str | None:
    if one is None or other is None:
        return None
    try:
        return plain_text(_WIDE.subtract(_read(one), _read(other)))
    except _FAULTS:
        return NAN


def _differs(one: Any, other: Any) -> bool | None:
    if one is None or other is None:
        return None
    try:
        return _read(one) != _read(other)
    except _FAULTS:
        return True


def _above(one: Any, other: Any) -> bool | None:
    if one is None or other is None:
        return None
    try:
        return _read(one) > _read(other)
    except _FAULTS:
        return True
