"""Arguments of a word against its catalogue entry: which form is meant, and what it becomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from typing import Final

from botd.language.catalogue import BY_OP, WORDS
from botd.language.quantities import DURATION_UNITS_US
from botd.language.source import Faults
from botd.language.typed import BOOL, COUNT, NUMBER, RATIO, SECONDS, Expr, Span, Unit
from botd.language.units import common, is_series, mismatch_advice, plain, unit_name
from botd.language.words import Entry, Parameter, ParameterKind, Reads, UnitFrom

DAY_US: Final = DURATION_UNITS_US["d"]
WINDOW_US_MAX: Final = 7 * DAY_US
SAMPLED_US_MAX: Final = 30 * DAY_US
SAMPLES_MIN: Final = 4
SAMPLES_MAX: Final = 100_000
LENGTH_US_MIN: Final = DURATION_UNITS_US["s"]
LENGTH_US_MAX: Final = DAY_US
PERIODS_MAX: Final = 5_000
FACTOR_MAX: Final = 100.0

_TWO_PERIODS: Final = frozenset(
    {
        "rsi",
        "stddev_bars",
        "zscore_bars",
        "bollinger_upper",
        "bollinger_lower",
        "macd",
        "macd_signal",
    }
)


class Form(StrEnum):
    """How one argument is written."""

    VALUE = "value"
    FROM_TO = "from … to …"
    EVERY = "every …"


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument as parsed, before it is known what it is for."""

    form: Form
    values: tuple[Expr, ...]
    span: Span


class CallFault(Exception):
    """The call cannot be bound; the fault is already reported."""


def broken(span: Span) -> Expr:
    """Return the stand-in for what could not be understood; it fits everywhere and spoils the result."""
    return Expr(op="broken", unit=NUMBER, span=span)


def is_broken(*exprs: Expr) -> bool:
    """Say whether one of them is a stand-in."""
    return any(expr.op == "broken" for expr in exprs)


def reads_position(expr: Expr) -> bool:
    """Say whether a position word stands anywhere in it."""
    entry = BY_OP.get(expr.op)
    return (entry is not None and entry.reads is Reads.POSITION) or any(map(reads_position, expr.args))


def bind_call(word: str, arguments: Sequence[Argument], span: Span, faults: Faults) -> Expr:
    """Return the expression of a call of a catalogue word; broken when a fault was reported."""
    if is_broken(*(value for argument in arguments for value in argument.values)):
        return broken(span)
    entry = _pick(WORDS[word], arguments)
    binder = _Binder(entry, span, faults)
    try:
        return binder.bind(arguments)
    except CallFault:
        return broken(span)


def _pick(entries: Sequence[Entry], arguments: Sequence[Argument]) -> Entry:
    """Choose between the bar form and the row form of a word that has two."""
    if len(entries) == 1:
        return entries[0]
    on_bars, on_rows = sorted(entries, key=lambda e: e.reads is not Reads.BARS)
    values = [value for argument in arguments for value in argument.values]
    durations = any(value.unit == SECONDS for value in values)
    return on_bars if values and is_series(values[0].unit) and not durations else on_rows


class _Binder:
    """Binds the arguments of one call."""

    def __init__(self, entry: Entry, span: Span, faults: Faults) -> None:
        self._entry = entry
        self._span = span
        self._faults = faults
        self._args: list[Expr] = []
        self._params: list[int | float] = []

    def bind(self, arguments: Sequence[Argument]) -> Expr:
        entry = self._entry
        self._check_count(arguments)
        parameters = list(entry.parameters)
        parameters += [parameters[-1]] * (len(arguments) - len(parameters)) if parameters else []
        for parameter, argument in zip(parameters, arguments, strict=True):
            self._bind_one(parameter, argument)
        self._check_order()
        unit = self._unit()
        if entry.more:
            return reduce(self._pair(unit), self._args)
        return Expr(
            op=entry.op, args=tuple(self._args), params=tuple(self._params), unit=unit, span=self._span
        )

    def _pair(self, unit: Unit) -> Callable[[Expr, Expr], Expr]:
        return lambda a, b: Expr(op=self._entry.op, args=(a, b), unit=unit, span=self._span)

    def _fail(self, span: Span, message: str) -> CallFault:
        self._faults.error(span, message)
        return CallFault(message)

    def _check_count(self, arguments: Sequence[Argument]) -> None:
        entry, given, wanted = self._entry, len(arguments), len(self._entry.parameters)
        if given == wanted or (entry.more and given > wanted):
            return
        if wanted == 1 and given == 2 and entry.parameters[0].kind is ParameterKind.WINDOW:
            texts = [self._written(a.span) for a in arguments]
            raise self._fail(
                self._span,
                f"{entry.name}() takes one window; one that ended earlier is written "
                f"{entry.name}(from {texts[0]} to {texts[1]})",
            )
        needs = ", then ".join(p.kind.value for p in entry.parameters)
        raise self._fail(self._span, f"{entry.name}() needs {needs}: {entry.example}")

    def _written(self, span: Span) -> str:
        return self._faults.source.text[span.start : span.end]

    def _bind_one(self, parameter: Parameter, argument: Argument) -> None:
        kind = parameter.kind
        if kind is ParameterKind.WINDOW:
            self._bind_window(argument)
            return
        if kind is ParameterKind.EVERY:
            if argument.form is not Form.EVERY:
                written = self._written(argument.span)
                raise self._fail(argument.span, f"write 'every {written}' to say how often it is sampled")
            self._params.append(self._duration_us(argument.values[0], parameter, SAMPLED_US_MAX))
            return
        if argument.form is not Form.VALUE:
            raise self._fail(
                argument.span,
                f"'{argument.form}' does not go here; {self._entry.name}() needs {kind.value}: "
                f"{self._entry.example}",
            )
        self._bind_value(parameter, argument.values[0])

    def _bind_value(self, parameter: Parameter, value: Expr) -> None:
        kind = parameter.kind
        if kind is ParameterKind.DURATION:
            longest = SAMPLED_US_MAX if parameter.name == "over" else WINDOW_US_MAX
            self._params.append(self._duration_us(value, parameter, longest))
        elif kind is ParameterKind.LENGTH:
            self._params.append(self._length_us(value, parameter))
        elif kind is ParameterKind.PERIODS:
            self._params.append(self._periods(value, parameter))
        elif kind is ParameterKind.FACTOR:
            self._params.append(self._factor(value, parameter))
        elif kind is ParameterKind.SERIES:
            self._args.append(self._series(value))
        elif kind is ParameterKind.CONDITION:
            if value.unit != BOOL:
                raise self._wrong(parameter, value)
            self._args.append(value)
        else:
            self._args.append(self._value(parameter, value))

    def _wrong(self, parameter: Parameter, value: Expr, why: str = "") -> CallFault:
        entry = self._entry
        why = why or f"this is {_describe(value)}"
        return self._fail(
            value.span, f"{entry.name}() needs {parameter.kind.value} here, {why}: {entry.example}"
        )

    def _bind_window(self, argument: Argument) -> None:
        parameter = self._entry.parameters[0]
        if argument.form is Form.EVERY:
            raise self._fail(
                argument.span, f"{self._entry.name}() needs {parameter.kind.value}; 'every' is for zscore"
            )
        if argument.form is Form.VALUE:
            self._params += [self._duration_us(argument.values[0], parameter, WINDOW_US_MAX), 0]
            return
        start, end = argument.values
        from_us = self._duration_us(start, parameter, WINDOW_US_MAX)
        to_us = self._duration_us(end, parameter, WINDOW_US_MAX, least=0)
        if from_us <= to_us:
            raise self._fail(
                argument.span,
                f"the window starts at 'from' and ends at 'to', counted back from now; "
                f"write from {self._written(end.span)} to {self._written(start.span)}"
                if from_us < to_us
                else "the window is empty; 'from' must lie further back than 'to'",
            )
        self._params += [from_us, to_us]

    def _duration_us(self, value: Expr, parameter: Parameter, longest: int, least: int = 1) -> int:
        if value.op != "const" or value.unit != SECONDS:
            bare = value.op == "const" and value.unit == NUMBER
            raise self._wrong(parameter, value, f"{value.params[0]:g} has no unit" if bare else "")
        duration_us = round(value.params[0] * 1_000_000)
        if duration_us < least:
            raise self._fail(value.span, "this duration must be more than 0")
        if duration_us > longest:
            raise self._fail(value.span, f"this reaches back too far; at most {longest // DAY_US}d")
        return duration_us

    def _length_us(self, value: Expr, parameter: Parameter) -> int:
        length_us = self._duration_us(value, parameter, LENGTH_US_MAX)
        if length_us % LENGTH_US_MIN:
            raise self._fail(value.span, "a bar lasts whole seconds, such as 1m or 90s")
        return length_us

    def _periods(self, value: Expr, parameter: Parameter) -> int:
        least = 2 if self._entry.op in _TWO_PERIODS else 1
        if value.op != "const" or value.unit != NUMBER or value.params[0] != int(value.params[0]):
            raise self._wrong(parameter, value)
        periods = int(value.params[0])
        if not least <= periods <= PERIODS_MAX:
            raise self._fail(value.span, f"{self._entry.name}() takes {least} to {PERIODS_MAX} bars here")
        return periods

    def _factor(self, value: Expr, parameter: Parameter) -> float:
        if value.op != "const" or value.unit != NUMBER:
            raise self._wrong(parameter, value)
        factor = float(value.params[0])
        if not 0 < factor <= FACTOR_MAX:
            raise self._fail(value.span, f"this factor must be more than 0 and at most {FACTOR_MAX:g}")
        return factor

    def _series(self, value: Expr) -> Expr:
        if not is_series(value.unit):
            entry = BY_OP.get(value.op)
            why = "; arithmetic and averages of bars are single values" if _on_bars(value, entry) else ""
            raise self._fail(
                value.span,
                f"{self._entry.name}() needs {ParameterKind.SERIES.value} first, this is "
                f"{_describe(value)}{why}: {self._entry.example}",
            )
        return value

    def _value(self, parameter: Parameter, value: Expr) -> Expr:
        if value.unit == BOOL:
            raise self._wrong(parameter, value)
        if self._entry.op == "zscore" and reads_position(value):
            raise self._fail(value.span, "zscore() cannot sample the open position; use words of the market")
        return value

    def _check_order(self) -> None:
        entry, params = self._entry, self._params
        if entry.op in ("velocity", "volume_surge", "macd", "macd_signal") and params[0] >= params[1]:
            raise self._fail(self._span, f"{entry.name}() takes the shorter one first: {entry.example}")
        if entry.op == "zscore":
            samples = params[0] / params[1]
            if not SAMPLES_MIN <= samples <= SAMPLES_MAX:
                steps = f"{SAMPLES_MIN} to {SAMPLES_MAX} steps"
                raise self._fail(self._span, f"this takes {samples:g} samples; choose a window of {steps}")

    def _unit(self) -> Unit:
        unit = self._entry.unit
        if isinstance(unit, Unit):
            return unit
        if unit is UnitFrom.SERIES:
            return plain(self._args[0].unit)
        values = [value for value in self._args if value.unit != BOOL]
        found = plain(values[0].unit)
        for value in values[1:]:
            both = common(found, value.unit)
            if both is None:
                raise self._fail(
                    value.span,
                    f"{self._entry.name}() mixes {unit_name(found)} and {unit_name(value.unit)}"
                    f"{mismatch_advice(found, value.unit)}",
                )
            found = both
        return found


def _describe(value: Expr) -> str:
    if value.unit == NUMBER and value.op == "const":
        return f"the number {value.params[0]:g}"
    if value.unit == SECONDS and value.op == "const":
        return "a duration"
    if value.unit == BOOL:
        return "a condition"
    return {RATIO: "a ratio", COUNT: "a count"}.get(plain(value.unit), unit_name(value.unit))


def _on_bars(value: Expr, entry: Entry | None) -> bool:
    return (entry is not None and entry.reads is Reads.BARS) or any(
        _on_bars(arg, BY_OP.get(arg.op)) for arg in value.args
    )
