"""Units of values: how they are called, and what arithmetic and comparison make of them."""

from __future__ import annotations

from typing import Final

from botd.language.typed import BOOL, COUNT, NUMBER, PRICE, QTY, QUOTE, RATIO, SECONDS, Unit, UnitKind

_NAMES: Final = {
    PRICE: "price",
    QTY: "quantity",
    QUOTE: "quote money",
    RATIO: "ratio",
    SECONDS: "seconds",
    BOOL: "bool",
    NUMBER: "number",
    COUNT: "count",
    Unit(UnitKind.QUANTITY, price=1, seconds=-1): "price per second",
    Unit(UnitKind.QUANTITY, qty=1, seconds=-1): "quantity per second",
    Unit(UnitKind.QUANTITY, seconds=-1): "ratio per second",
}


def unit_name(unit: Unit) -> str:
    """Return what a person calls the unit."""
    unit = plain(unit)
    if unit in _NAMES:
        return _NAMES[unit]
    powers = (("price", unit.price), ("quantity", unit.qty), ("seconds", unit.seconds))
    return "·".join(f"{name}^{power}" if power != 1 else name for name, power in powers if power)


def plain(unit: Unit) -> Unit:
    """Return the unit of one value; a bar series read as a value is its last closed bar's."""
    if unit.kind is UnitKind.SERIES:
        return Unit(UnitKind.QUANTITY, unit.price, unit.qty, unit.seconds)
    return unit


def is_series(unit: Unit) -> bool:
    """Say whether bar words that need a series take it."""
    return unit.kind is UnitKind.SERIES


def common(left: Unit, right: Unit) -> Unit | None:
    """Return the unit in which both sides can be compared or added, or None."""
    left, right = plain(left), plain(right)
    if BOOL in (left, right):
        return None
    if left == NUMBER:
        return right
    return left if right in (NUMBER, left) else None


def product(left: Unit, right: Unit, *, divide: bool) -> Unit:
    """Return the unit of a product or quotient of two values, neither of them bool."""
    left, right = plain(left), plain(right)
    if left == right == NUMBER:
        return NUMBER
    sign = -1 if divide else 1
    unit = Unit(
        UnitKind.QUANTITY,
        left.price + sign * right.price,
        left.qty + sign * right.qty,
        left.seconds + sign * right.seconds,
    )
    if unit != RATIO or UnitKind.QUANTITY in (left.kind, right.kind):
        return unit
    return RATIO if divide and left == right else COUNT


def mismatch_advice(left: Unit, right: Unit) -> str:
    """Return what to do about two units that do not go together, as `; ...`."""
    pair = {plain(left), plain(right)}
    if pair == {PRICE, RATIO}:
        return "; divide the price by another price to get a ratio, such as price / twpa(5m) - 1"
    if pair == {QTY, RATIO}:
        return "; divide the quantity by another one, such as volume(10s) / volume(10m)"
    if pair == {COUNT, RATIO}:
        return "; write a bare number, such as 70 instead of 70%"
    if pair == {PRICE, QTY}:
        return "; multiply both sides into quote money, or compare like with like"
    if SECONDS in pair:
        return "; a duration goes with held, time_of_day or another duration"
    return "; both sides need the same unit"
