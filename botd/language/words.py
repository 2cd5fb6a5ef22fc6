"""What the catalogue says of a word: its parameters, unit, warm-up, rows and meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from botd.language.typed import Unit


class ParameterKind(StrEnum):
    """What may stand in one place of a call."""

    WINDOW = "a window such as 10s, or from 5m to 1m"
    DURATION = "a duration such as 10s"
    EVERY = "a sampling step such as every 25s"
    LENGTH = "a bar length such as 1m"
    PERIODS = "a whole number of bars such as 14"
    FACTOR = "a number such as 2"
    SERIES = "a bar series such as close(1m)"
    VALUE = "a value"
    CONDITION = "a condition such as price > 100"


class UnitFrom(StrEnum):
    """Where the unit of a result comes from when the word does not fix it."""

    VALUES = "the values' common unit"
    SERIES = "the series' unit"


class Warmup(StrEnum):
    """How much history a word needs before its value is what it would be after any longer history."""

    NONE = "none"
    WINDOW = "the window"
    LONGEST = "the longest window"
    LOOK_BACK = "the distance looked back"
    SAMPLES = "the sampled window and one step"
    BAR = "two bars, as the first one seen may be partial"
    PERIODS = "the bars it covers"
    AVERAGE = "20 times its periods, when an exponential average has forgotten its start"
    WILDER = "40 times its periods, when a Wilder average has forgotten its start"
    ONE_BAR = "one more bar"


class Reads(StrEnum):
    """Which rows a word needs."""

    NOTHING = "nothing"
    TRADES = "trades"
    BOOK = "the book"
    MARK = "mark prices"
    FUNDING = "funding rates"
    BARS = "bars"
    CLOCK = "the row's time"
    POSITION = "the open position"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One place of a call."""

    name: str
    kind: ParameterKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One word of the language, or one of two forms of a word."""

    name: str
    op: str  # Expr.op
    parameters: tuple[Parameter, ...] = ()
    more: bool = False  # the last parameter may repeat
    unit: Unit | UnitFrom
    reads: Reads
    warmup: Warmup
    causal: str
    bounds: tuple[float, float] | None = None  # the value never leaves this range
    percent: bool = False  # a ratio that people think of in percent
    doc: str
    example: str


# Words of other tools and of plain habit, and the word they mean here.
FOREIGN_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ask": "best_ask",
        "bid": "best_bid",
        "last": "price",
        "qty": "volume",
        "trades": "count",
        "twap": "twpa",
        "std": "stddev",
        "stdev": "stddev",
        "funding": "funding_rate",
        "mark": "mark_price",
        "bb_upper": "bollinger_upper",
        "bb_lower": "bollinger_lower",
        "profit": "pnl",
        "true": "always",
        "false": "never",
        "yes": "always",
        "no": "never",
        "on": "always",
        "off": "never",
        "AND": "and",
        "OR": "or",
        "NOT": "not",
        "hour": "time_of_day",
        "now": "time_of_day",
        "weekday": "day_of_week",
        "crossover": "crosses above",
        "crossunder": "crosses below",
        "cross": "crosses above",
        "roc": "change",
    }
)
