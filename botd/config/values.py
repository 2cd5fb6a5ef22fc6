"""The types of scalar values in configuration files, read from text as it was written.

Every reader takes the text of one scalar and raises ValueError with "what, and what to do". Numbers
become Decimal or int from their text, never by way of a float; durations become whole microseconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from botd.config.frozen import FrozenMapping
from botd.errors import InputInvalid
from botd.language.quantities import (
    parse_decimal,
    parse_duration,
    parse_money,
    parse_ratio,
    parse_share,
    parse_switch,
    parse_whole,
)

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

WHOLE_MAX: Final = 10**15
DURATION_PATTERN: Final = r"^([0-9]+(\.[0-9]+)?(us|ms|s|m|h|d))+$"
RATIO_PATTERN: Final = r"^[0-9]+(\.[0-9]+)?(%|bps)$"
MONEY_PATTERN: Final = r"^[0-9]+(\.[0-9]+)? [A-Z0-9]+$"
CURRENCY: Final = re.compile(r"[A-Z0-9]{2,15}")


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of one currency."""

    amount: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


def _text(value: Any, example: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be one value, such as {example}")
    return value.strip()


def _parse(parser: Callable[[str], T], value: Any, example: str) -> T:
    """Call a parser of the language; pydantic collects ValueError, not our own exceptions."""
    try:
        return parser(_text(value, example))
    except InputInvalid as error:
        raise ValueError(str(error)) from None


def read_name(value: Any) -> str:
    text = _text(value, "a name")
    if not text:
        raise ValueError("is empty; write a name")
    return text


def read_number(value: Any) -> Decimal:
    """Read a plain number exactly."""
    return _parse(parse_decimal, value, "5")


def read_positive(value: Any) -> Decimal:
    number = read_number(value)
    if number <= 0:
        raise ValueError(f"must be more than 0, not {value}")
    return number


def read_not_negative(value: Any) -> Decimal:
    number = read_number(value)
    if number < 0:
        raise ValueError(f"must not be negative, is {value}")
    return number


def read_whole(value: Any) -> int:
    number = _parse(parse_whole, value, "5")
    if not 0 <= number <= WHOLE_MAX:
        raise ValueError(f"must be from 0 to {WHOLE_MAX}, is {value}")
    return number


def read_count(value: Any) -> int:
    number = read_whole(value)
    if number < 1:
        raise ValueError(f"must be at least 1, is {value}")
    return number


def read_flag(value: Any) -> bool:
    return _parse(parse_switch, value, "true")


def read_duration(value: Any) -> int:
    """Read `30s`, `5m`, `1h30m` as microseconds."""
    duration = _parse(parse_duration, value, "30s")
    if duration <= 0:
        raise ValueError("must be longer than 0")
    return duration


def read_ratio(value: Any) -> Decimal:
    """Read `5%` or `50bps` as a ratio of 0 or more."""
    ratio = _parse(parse_ratio, value, "5%")
    if ratio < 0:
        raise ValueError(f"must not be negative, is {value}")
    return ratio


def read_share(value: Any) -> Decimal:
    """Read a ratio above 0 % and up to 100 %."""
    ratio = read_ratio(value)
    if not 0 < ratio <= 1:
        raise ValueError(f"must be above 0% and at most 100%, is {value}")
    return ratio


def read_money(value: Any) -> Money:
    return Money(*_parse(parse_money, value, "1000 USD"))


def read_money_or_off(value: Any) -> Money | None:
    return None if value == "off" else read_money(value)


def read_confidence(value: Any) -> Decimal:
    return _parse(parse_share, value, "0.5")


def read_speed(value: Any) -> Decimal | None:
    """Read how many times faster than time a feed runs; `max` is None."""
    return None if value == "max" else read_positive(value)


def read_currency(value: Any) -> str:
    text = _text(value, "USDT")
    if not CURRENCY.fullmatch(text):
        raise ValueError(f"'{text}' is not a currency; write it in capitals, such as USDT or BTC")
    return text


def read_sequence(value: Any) -> tuple[Any, ...]:
    """Take a sequence as it comes from the file; strict models accept no list for a tuple."""
    if not isinstance(value, list):
        raise ValueError("must be a list, such as [a, b]")
    return tuple(value)


def read_cron(value: Any) -> str:
    """Read five crontab fields, UTC. Days of the week go by name: libraries count them differently."""
    text = _text(value, '"5 0 * * *"')
    fields = text.split()
    if len(fields) != 5:
        raise ValueError(
            f"'{text}' has {len(fields)} of the five fields 'minute hour day month weekday'; "
            "write them in UTC, such as 5 0 * * *"
        )
    for field, (name, low, high) in zip(fields, _CRON_FIELDS, strict=True):
        for part in field.split(","):
            _check_cron_part(part, name, low, high)
    return text


_CRON_FIELDS: Final = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day", 1, 31),
    ("month", 1, 12),
    ("weekday", 0, 6),
)
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CRON_PART: Final = re.compile(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/(\d{1,2}))?")


def _check_cron_part(part: str, name: str, low: int, high: int) -> None:
    if name == "weekday" and part != "*":
        days = [_WEEKDAYS.index(day) for day in part.split("-") if day in _WEEKDAYS]
        if len(days) != part.count("-") + 1 or len(days) > 2 or days != sorted(days):
            raise ValueError(
                f"weekday '{part}' must be a name or a range of names from mon to sun, such as mon or mon-fri"
            )
        return
    match = _CRON_PART.fullmatch(part)
    if match is None:
        raise ValueError(f"{name} '{part}' is not *, a number, a range a-b or a step */n")
    first, last, step = (None if group is None else int(group) for group in match.groups())
    begin = low if first is None else first
    end = high if first is None or (last is None and step is not None) else first if last is None else last
    if not low <= begin <= end <= high:
        raise ValueError(f"{name} '{part}' is outside {low}-{high}")
    if step is not None and not 0 < step <= end - begin:
        raise ValueError(f"{name} '{part}' has a step that fits no second time; write 1 to {end - begin}")


def freeze(value: FrozenMapping[K, V] | dict[K, V]) -> FrozenMapping[K, V]:
    return FrozenMapping(value)


def _plain(kind: str, **more: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": kind, **more})


Number = Annotated[Decimal, BeforeValidator(read_number), _plain("number")]
Positive = Annotated[Decimal, BeforeValidator(read_positive), _plain("number", exclusiveMinimum=0)]
NotNegative = Annotated[Decimal, BeforeValidator(read_not_negative), _plain("number", minimum=0)]
Whole = Annotated[int, BeforeValidator(read_whole), _plain("integer", minimum=0)]
Count = Annotated[int, BeforeValidator(read_count), _plain("integer", minimum=1)]
Flag = Annotated[bool, BeforeValidator(read_flag), _plain("boolean")]
Name = Annotated[str, BeforeValidator(read_name), _plain("string", minLength=1)]
Confidence = Annotated[Decimal, BeforeValidator(read_confidence), _plain("number", minimum=0, maximum=1)]
Duration = Annotated[
    int,
    BeforeValidator(read_duration),
    _plain("string", pattern=DURATION_PATTERN, examples=["500ms", "30s", "5m", "1h"]),
]
Ratio = Annotated[
    Decimal, BeforeValidator(read_ratio), _plain("string", pattern=RATIO_PATTERN, examples=["5%", "50bps"])
]
Share = Annotated[
    Decimal, BeforeValidator(read_share), _plain("string", pattern=RATIO_PATTERN, examples=["50%"])
]
Amount = Annotated[
    Money, BeforeValidator(read_money), _plain("string", pattern=MONEY_PATTERN, examples=["1000 USD"])
]
AmountOrOff = Annotated[
    Money | None,
    BeforeValidator(read_money_or_off),
    _plain("string", pattern=f"{MONEY_PATTERN}|^off$", examples=["1000 USD", "off"]),
]
Speed = Annotated[
    Decimal | None,
    BeforeValidator(read_speed),
    WithJsonSchema({"oneOf": [{"type": "number", "exclusiveMinimum": 0}, {"const": "max"}]}),
]
Currency = Annotated[
    str, BeforeValidator(read_currency), _plain("string", pattern=r"^[A-Z0-9]{2,15}$", examples=["USDT"])
]
Cron = Annotated[str, BeforeValidator(read_cron), _plain("string", examples=["5 0 * * *", "0 9 * * mon-fri"])]
Names = Annotated[tuple[Name, ...], BeforeValidator(read_sequence)]
Frozen = AfterValidator(freeze)
