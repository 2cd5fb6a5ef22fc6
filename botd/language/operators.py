"""Operators on checked expressions: what units they take, and what they make of them."""

from __future__ import annotations

from typing import Final

from botd.language.calls import PERIODS_MAX, broken, is_broken
from botd.language.catalogue import BY_OP
from botd.language.lexer import Token
from botd.language.source import Faults
from botd.language.typed import BOOL, NUMBER, SECONDS, Expr, Span
from botd.language.units import common, mismatch_advice, plain, product, unit_name
from botd.language.words import Reads

_COMPARISONS: Final = {
    "<": ("lt", False),
    "<=": ("le", False),
    ">": ("lt", True),
    ">=": ("le", True),
    "==": ("eq", False),
    "!=": ("ne", False),
    "crosses_above": ("crosses_above", False),
    "crosses_below": ("crosses_below", False),
}
_ARITHMETIC: Final = {"+": "add", "-": "sub", "*": "mul", "/": "div"}
# What an earlier bar's value can be computed from.
_OF_BARS: Final = frozenset(
    {"add", "sub", "mul", "div", "neg", "abs", "min", "max", "lt", "le", "eq", "ne", "and", "or", "not"}
)


def logic(word: str, left: Expr, right: Expr, faults: Faults) -> Expr:
    """Join two conditions by `and` or `or`."""
    span = _across(left, right)
    sides = [side for side in (left, right) if not is_broken(side) and side.unit != BOOL]
    for side in sides:
        faults.error(
            side.span, f"'{word}' joins conditions, this is {unit_name(side.unit)}; compare it with something"
        )
    if sides or is_broken(left, right):
        return broken(span)
    return Expr(op=word, args=(left, right), unit=BOOL, span=span)


def opposite(token: Token, value: Expr, faults: Faults) -> Expr:
    """Negate a condition."""
    span = Span(token.span.start, value.span.end)
    if is_broken(value):
        return broken(span)
    if value.unit != BOOL:
        faults.error(
            value.span, f"'not' needs a condition, this is {unit_name(value.unit)}; compare it with something"
        )
        return broken(span)
    return Expr(op="not", args=(value,), unit=BOOL, span=span)


def negate(token: Token, value: Expr, faults: Faults) -> Expr:
    """Change a value's sign; a constant stays one constant."""
    span = Span(token.span.start, value.span.end)
    if is_broken(value):
        return broken(span)
    if value.unit == BOOL:
        faults.error(token.span, "'-' cannot stand before a condition; write 'not'")
        return broken(span)
    if value.op == "const":
        return Expr(op="const", params=(-value.params[0],), unit=value.unit, span=span)
    return Expr(op="neg", args=(value,), unit=plain(value.unit), span=span)


def arithmetic(operator: Token, left: Expr, right: Expr, faults: Faults) -> Expr:
    """Add, subtract, multiply or divide two values."""
    span, symbol = _across(left, right), operator.text
    if is_broken(left, right):
        return broken(span)
    if BOOL in (left.unit, right.unit):
        faults.error(operator.span, f"'{symbol}' works on values, not on conditions; use and, or, not")
        return broken(span)
    if symbol in ("*", "/"):
        unit = product(left.unit, right.unit, divide=symbol == "/")
    else:
        shared = common(left.unit, right.unit)
        if shared is None:
            names = f"{unit_name(left.unit)} and {unit_name(right.unit)}"
            faults.error(operator.span, f"'{symbol}' mixes {names}{mismatch_advice(left.unit, right.unit)}")
            return broken(span)
        unit = shared
    if symbol == "/" and right.op == "const" and right.params[0] == 0:
        faults.error(operator.span, "this divides by zero; the result would never exist")
        return broken(span)
    return Expr(op=_ARITHMETIC[symbol], args=(left, right), unit=unit, span=span)


def compare(operator: Token, left: Expr, right: Expr, faults: Faults) -> Expr:
    """Compare two values of one unit; `>` and `>=` swap their sides."""
    span = _across(left, right)
    if is_broken(left, right):
        return broken(span)
    op, swapped = _COMPARISONS[operator.text]
    shown = operator.text.replace("_", " ")
    if BOOL in (left.unit, right.unit):
        faults.error(operator.span, f"'{shown}' compares values, not conditions; use and, or, not")
        return broken(span)
    if common(left.unit, right.unit) is None:
        names = f"{unit_name(left.unit)} with {unit_name(right.unit)}"
        faults.error(operator.span, f"'{shown}' compares {names}{mismatch_advice(left.unit, right.unit)}")
        return broken(span)
    args = (right, left) if swapped else (left, right)
    _warn_of_range(op, args, span, faults)
    for word, number in ((left, right), (right, left)):
        _warn_of_bare_number(word, number, faults)
    return Expr(op=op, args=args, unit=BOOL, span=span)


def _warn_of_range(op: str, args: tuple[Expr, Expr], span: Span, faults: Faults) -> None:
    """Warn where a word that stays within bounds is compared with a number outside of them."""
    left, right = (_bounds(arg) for arg in args)
    if left is None or right is None or "const" not in (args[0].op, args[1].op):
        return
    (least, most), (right_least, right_most) = left, right
    if op == "lt":
        always, never = most < right_least, least >= right_most
    elif op == "le":
        always, never = most <= right_least, least > right_most
    else:
        never = most < right_least or right_most < least
        always = op == "ne" and never
        never = op != "ne" and never
    if not (always or never):
        return
    truth = "always" if always else "never"
    words = [arg for arg in args if arg.op != "const"]
    if words:
        low, high = BY_OP[words[0].op].bounds or (0, 0)
        faults.warning(
            span, f"'{words[0].op}' runs from {low:g} to {high:g}, so this is {truth} true; check the number"
        )
    else:
        faults.warning(span, f"this compares two numbers and is {truth} true; write {truth}")


def _bounds(value: Expr) -> tuple[float, float] | None:
    if value.op == "const":
        return value.params[0], value.params[0]
    entry = BY_OP.get(value.op)
    return None if entry is None else entry.bounds


def _warn_of_bare_number(word: Expr, number: Expr, faults: Faults) -> None:
    if number.op != "const" or number.unit != NUMBER:
        return
    entry, value = BY_OP.get(word.op), number.params[0]
    if entry is not None and entry.percent and abs(value) >= 1:
        faults.warning(number.span, f"{value:g} means {value * 100:g}%; write {value:g}% if that is meant")
    elif word.unit == SECONDS and value != 0:
        faults.hint(number.span, f"{value:g} counts as seconds; write {value:g}s")


def look_back_bars(value: Expr, number: Token, span: Span, faults: Faults) -> Expr:
    """Return a bar value as it was some closed bars earlier."""
    if is_broken(value):
        return broken(span)
    periods = number.value
    if periods != int(periods) or not 1 <= periods <= PERIODS_MAX:
        faults.error(number.span, f"this needs a whole number of bars from 1 to {PERIODS_MAX}")
        return broken(span)
    if not _is_of_bars(value) or value.op == "const":
        faults.error(
            span, "only bar words have bars ago, such as close(1m)[3 bars ago]; for others write [5s ago]"
        )
        return broken(span)
    return Expr(op="bars_ago", args=(value,), params=(int(periods),), unit=plain(value.unit), span=span)


def _is_of_bars(value: Expr) -> bool:
    entry = BY_OP.get(value.op)
    if value.op == "const" or (entry is not None and entry.reads is Reads.BARS):
        return True
    return value.op in _OF_BARS and all(map(_is_of_bars, value.args))


def _across(left: Expr, right: Expr) -> Span:
    return Span(left.span.start, right.span.end)
