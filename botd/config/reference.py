"""What the language has: its words, keys, grammar and limits, read from the tables that decide about them.

Nothing is described here that a table knows; only the grammar's examples are written out, and a test
parses every one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from botd.config.strategy_schema import strategy_schema
from botd.language import calls, parser, sections, strategy, whole
from botd.language.catalogue import CONSTRUCTS, POSITION_WORDS, WORDS
from botd.language.parser import parse_expression
from botd.language.quantities import DURATION_UNITS_US
from botd.language.source import Faults, Source
from botd.language.typed import BOOL, UnitKind
from botd.language.units import unit_name
from botd.language.words import Entry, ParameterKind, Reads, UnitFrom


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word, or one of two forms of a word, as a person reads about it."""

    name: str
    written: str
    gives: str
    reads: Reads
    warmup: str
    meaning: str
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of a strategy file and what may stand there."""

    name: str
    mandatory: bool
    value: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A mapping of a strategy file; the file itself has no name."""

    name: str
    meaning: str
    keys: tuple[Key, ...]


# ---- words --------------------------------------------------------------------------------------

# How what is no call is written; the catalogue knows what it takes.
_WRITTEN: Final[Mapping[str, str]] = {
    "crosses": "x crosses above y, x crosses below y",
    "for": "condition for back",
    "bars_ago": "x[periods bars ago]",
}
_CALLED: Final[Mapping[str, str]] = {"bars_ago": "bars ago"}


def words() -> tuple[Word, ...]:
    """Return every word and construct, in the catalogue's order."""
    entries = [entry for forms in WORDS.values() for entry in forms]
    return tuple(_word(entry) for entry in (*entries, *CONSTRUCTS))


def _word(entry: Entry) -> Word:
    parameters = ", ".join(parameter.name for parameter in entry.parameters)
    more = ", …" if entry.more else ""
    call = f"{entry.name}({parameters}{more})" if entry.parameters else entry.name
    return Word(
        name=_CALLED.get(entry.op, entry.name),
        written=_WRITTEN.get(entry.op, call),
        gives=_gives(entry),
        reads=entry.reads,
        warmup=entry.warmup.value,
        meaning=entry.doc,
        example=entry.example,
    )


def _gives(entry: Entry) -> str:
    if isinstance(entry.unit, UnitFrom):
        name = str(entry.unit.value)
    elif entry.unit == BOOL:
        name = "condition"
    elif entry.unit.kind is UnitKind.SERIES:
        name = f"series of {unit_name(entry.unit)}"
    else:
        name = unit_name(entry.unit)
    if entry.bounds is None:
        return name
    low, high = entry.bounds
    return f"{name}, {low:g} to {high:g}"


def parameters() -> tuple[tuple[str, str], ...]:
    """Return every name that stands for an argument, and what may stand there."""
    kinds: dict[str, list[ParameterKind]] = {}
    for entry in (*(entry for forms in WORDS.values() for entry in forms), *CONSTRUCTS):
        for parameter in entry.parameters:
            known = kinds.setdefault(parameter.name, [])
            if parameter.kind not in known:
                known.append(parameter.kind)
    return tuple((name, "; or ".join(kind.value for kind in found)) for name, found in kinds.items())


# ---- grammar ------------------------------------------------------------------------------------

# From what binds most loosely to what binds most tightly; (operator, example, meaning).
OPERATORS: Final = (
    ("or", "spread < 10bps or count(10s) > 20", "at least one is true"),
    ("and", "spread < 10bps and count(10s) > 20", "both are true"),
    ("not", "not spread > 10bps", "the opposite; of what is undefined it is undefined"),
    ("for", "spread < 10bps for 3s", "a condition held without a break"),
    ("< <= > >= == !=", "price >= twpa(1m)", "a comparison; both sides in one unit, and no chains"),
    ("crosses", "price crosses above vwap(5m)", "crosses above, crosses below"),
    ("+ -", "twpa(10s) + 2 * spread_price", "both sides in one unit"),
    ("* /", "twpa(10s) / twpa(5m) - 1", "units multiply and divide"),
    ("-", "-velocity(10s, 5m) > 1%", "the other sign"),
    ("[…]", "price / price[5s ago] > 1.01", "a value of the past: [5s ago]; of bars: [3 bars ago]"),
    ("( )", "(best_bid + best_ask) / 2 > price", "what belongs together"),
)
LITERALS: Final = (
    ("number", "rsi(close(1m), 14) < 30", "takes the unit of what it is compared with"),
    ("ratio", "spread < 0.5% and spread < 50bps", "1% is 0.01, 1bps is 0.0001"),
    ("duration", "time_of_day > 1h30m", f"in {' '.join(DURATION_UNITS_US)}; the larger unit first"),
    ("window", "volume(10s) > 0", "the last 10 seconds"),
    ("earlier window", "volume(from 5m to 1m) > 0", "from 5 minutes ago to 1 minute ago"),
    ("bar length", "close(5m) > open(5m)", "bars are stamped at their close and exist once they have closed"),
)
# Expressions whose unit shows the rules of units.
UNIT_EXAMPLES: Final = (
    "price",
    "volume(10s)",
    "price * volume(10s)",
    "price / twpa(5m)",
    "price / twpa(5m) - 1",
    "price - twpa(5m)",
    "volume(10s) / volume(10m)",
    "slope(1m)",
    "count(10s)",
    "count(10s) / count(1m)",
    "rsi(close(1m), 14)",
    "close(1m)",
    "sma(close(1m), 10)",
    "held",
    "2 * 3",
    "price > 100",
)


def unit_of(example: str) -> str:
    """Return the unit of an expression, as the checker sees it in a rule of ZE1."""
    faults = Faults(Source("example", example))
    expr = parse_expression(faults, 0, len(example), {}, position_words=True)
    if expr is None:
        return ""
    return "condition" if expr.unit == BOOL else unit_name(expr.unit)


# ---- keys ---------------------------------------------------------------------------------------


def file_sections() -> tuple[Section, ...]:
    """Return the file's own keys, then those of every mapping in it, each once."""
    found: dict[str, Section] = {}
    waiting: list[tuple[str, Mapping[str, Any]]] = [("", strategy_schema())]
    for name, shape in waiting:  # which grows: a mapping's own mappings come after its siblings
        properties, required = _properties(shape.get("items", shape))
        if properties and name not in found:
            keys = tuple(_key(key, one, key in required) for key, one in properties.items())
            found[name] = Section(name=name, meaning=shape.get("description", ""), keys=keys)
            waiting += properties.items()
    return tuple(found.values())


def _properties(shape: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what may stand in a mapping and what must; one of several kinds has all their keys."""
    properties: dict[str, Any] = dict(shape.get("properties", {}))
    for kind in shape.get("oneOf", ()):
        properties = {**kind.get("properties", {}), **properties}
    return properties, tuple(shape.get("required", ()))


def _key(name: str, shape: Mapping[str, Any], mandatory: bool) -> Key:
    meaning = str(shape.get("description", ""))
    return Key(name=name, mandatory=mandatory, value=_value(shape), meaning=meaning)


def _value(shape: Mapping[str, Any]) -> str:
    """Say what may stand as the value of a key."""
    kind = shape.get("type", "")
    if "enum" in shape:
        return " or ".join(map(str, shape["enum"]))
    if "maxLength" in shape:
        return "condition" if "boolean" in kind else "expression"
    if "examples" in shape:
        return "such as " + ", ".join(map(str, shape["examples"][:2]))
    if "oneOf" in shape:
        mapping = any("properties" in one for one in shape["oneOf"])
        return "mapping, see below" if mapping else "list, or a name"
    if "properties" in shape:
        return "mapping, see below"
    if kind == "array":
        return "list of rules, see below"
    if kind == "object":
        return "name: expression"
    return {"boolean": "true or false", "integer": "whole number", "string": "text"}.get(str(kind), "number")


# ---- limits -------------------------------------------------------------------------------------


def limits() -> tuple[tuple[str, str], ...]:
    """Return how large things may grow."""
    return tuple(_limits())


def _limits() -> Iterator[tuple[str, str]]:
    yield "characters of one expression", f"{parser.CHARACTERS_MAX}"
    yield "terms of one expression", f"{parser.NODES_MAX}"
    yield "depth of one expression", f"{parser.DEPTH_MAX} levels"
    inlined = f"{whole.INLINED_NODES_MAX} terms, {whole.INLINED_DEPTH_MAX} levels"
    yield "one expression with its `let` names written out", inlined
    yield "names under `let`", f"{strategy.LETS_MAX}"
    yield "rules in ZE1, and in E1", f"{sections.RULES_MAX}"
    yield "instruments of one strategy", f"{strategy.INSTRUMENTS_MAX}"
    yield "window, look-back and `for`", f"{calls.WINDOW_US_MAX // calls.DAY_US}d"
    yield "window that `zscore` samples", f"{calls.SAMPLED_US_MAX // calls.DAY_US}d"
    yield "samples of a `zscore`", f"{calls.SAMPLES_MIN} to {calls.SAMPLES_MAX}"
    yield "bar length", f"{calls.LENGTH_US_MIN // DURATION_UNITS_US['s']}s to 1d"
    yield "periods, and bars ago", f"{calls.PERIODS_MAX}"


def position_words() -> tuple[str, ...]:
    """Return the words that exist only where there is a position, in the catalogue's order."""
    return tuple(name for name in WORDS if name in POSITION_WORDS)
