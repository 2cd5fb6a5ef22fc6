"""Durations, ratios, money and whole numbers as a person writes them in YAML."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from botd.errors import InputInvalid

DURATION_UNITS_US: Final = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
}
RATIO_UNITS: Final = {"%": Decimal("0.01"), "bps": Decimal("0.0001")}
DIGITS_MAX: Final = 30
DURATION_US_MAX: Final = 366 * DURATION_UNITS_US["d"]

# What people write for a unit, and the unit they mean.
UNIT_ALIASES: Final = {
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "min": "m",
    "mins": "m",
    "minute": "m",
    "minutes": "m",
    "hr": "h",
    "hrs": "h",
    "hour": "h",
    "hours": "h",
    "day": "d",
    "days": "d",
    "pct": "%",
    "percent": "%",
    "bp": "bps",
    "msec": "ms",
    "millis": "ms",
}

_NUMBER = r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
_DURATION = re.compile(rf"(?:{_NUMBER}(?:us|ms|s|m|h|d))+", re.ASCII)
_DURATION_PART = re.compile(rf"({_NUMBER})(us|ms|s|m|h|d)", re.ASCII)
_RATIO = re.compile(rf"(-?{_NUMBER})(%|bps)", re.ASCII)
_PLAIN = re.compile(rf"-?{_NUMBER}", re.ASCII)
_MONEY = re.compile(rf"({_NUMBER}) +([A-Z0-9]*[A-Z][A-Z0-9]*)", re.ASCII)
_OF_EQUITY = re.compile(r"(.*?\S) +of +equity", re.ASCII)
_SPACED_UNIT = re.compile(r"(-?[0-9.]+) +(%|bps|[a-z]+)", re.ASCII)
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?", re.ASCII)
_LEADING_ZERO = re.compile(r"-?0[0-9]", re.ASCII)


def parse_duration(text: str) -> int:
    """Parse `10s`, `500ms`, `1h30m` into whole microseconds."""
    if _DURATION.fullmatch(text) and len(text) <= DIGITS_MAX:
        return _duration_us(text)
    clock = _CLOCK.fullmatch(text)
    if clock:
        first, second = int(clock[1]), int(clock[2])
        raise InputInvalid(
            f"needs a duration, and '{text}' could be two: write {first}m{second}s or {first}h{second}m"
        )
    raise InputInvalid(_say("a duration such as 10s, 5m or 1h30m", text, "s"))


def format_duration(us: int) -> str:
    """Write whole microseconds as a person would: 90 s is `1m30s`."""
    parts = []
    for unit, scale in sorted(DURATION_UNITS_US.items(), key=lambda item: -item[1]):
        whole, us = divmod(us, scale)
        if whole:
            parts.append(f"{whole}{unit}")
    return "".join(parts) or "0s"


def _duration_us(text: str) -> int:
    total, last = Decimal(0), 0
    for amount, unit in _DURATION_PART.findall(text):
        scale = DURATION_UNITS_US[unit]
        if last and scale >= last:
            raise InputInvalid("needs a duration with the larger unit first, such as 1h30m")
        last = scale
        total += Decimal(amount) * scale
    if total != int(total):
        raise InputInvalid("needs a duration in whole microseconds, such as 1500us")
    if total > DURATION_US_MAX:
        raise InputInvalid("needs a duration of at most 366d")
    return int(total)


def parse_ratio(text: str) -> Decimal:
    """Parse `2%` or `50bps` into 0.02 or 0.0050."""
    match = _RATIO.fullmatch(text)
    if match and len(text) <= DIGITS_MAX:
        return Decimal(match[1]) * RATIO_UNITS[match[2]]
    example = "2%"
    if _PLAIN.fullmatch(text) and len(text) <= DIGITS_MAX and Decimal(text) > 0:
        number = Decimal(text)
        percent = number * 100 if number < 1 else number
        example = f"{percent.normalize():f}%"
    raise InputInvalid(_say(f"a ratio such as {example}", text, "%"))


def parse_share(text: str) -> Decimal:
    """Parse a number in [0, 1], written as `0.7` or `70%`."""
    if _PLAIN.fullmatch(text) and len(text) <= DIGITS_MAX:
        share = Decimal(text)
    elif _RATIO.fullmatch(text):
        share = parse_ratio(text)
    else:
        raise InputInvalid(_say("a number from 0 to 1, such as 0.7", text, "%"))
    if not 0 <= share <= 1:
        raise InputInvalid("needs a number from 0 to 1, such as 0.7")
    return share


def parse_equity_share(text: str) -> Decimal:
    """Parse `10% of equity` or `10%` into 0.10."""
    match = _OF_EQUITY.fullmatch(text)
    return parse_ratio(match[1] if match else text)


def parse_money(text: str) -> tuple[Decimal, str]:
    """Parse `0.01 BTC` into the amount and the currency."""
    match = _MONEY.fullmatch(text)
    if match and len(text) <= DIGITS_MAX:
        return Decimal(match[1]), match[2]
    if len(text) > DIGITS_MAX:
        raise InputInvalid(_say("an amount with its currency, such as 500 USDT", text, ""))
    glued = re.fullmatch(rf"({_NUMBER})([A-Za-z]+)", text)
    if glued:
        raise InputInvalid(f"needs a space before the currency: {glued[1]} {glued[2].upper()}")
    lower = re.fullmatch(rf"({_NUMBER}) +([A-Za-z0-9]*[A-Za-z])", text)
    if lower:
        raise InputInvalid(f"needs the currency in capitals: {lower[1]} {lower[2].upper()}")
    if _PLAIN.fullmatch(text) and len(text) <= DIGITS_MAX:
        raise InputInvalid(f"needs a currency, such as {text.lstrip('-')} USDT")
    raise InputInvalid(_say("an amount with its currency, such as 500 USDT", text, ""))


def parse_decimal(text: str) -> Decimal:
    """Parse a plain number."""
    if _PLAIN.fullmatch(text) and len(text) <= DIGITS_MAX:
        return Decimal(text)
    raise InputInvalid(_say("a plain number such as 5", text, ""))


def parse_whole(text: str) -> int:
    """Parse a whole number."""
    number = parse_decimal(text)
    if number != int(number):
        raise InputInvalid(f"needs a whole number, such as {int(number)}")
    return int(number)


def parse_switch(text: str) -> bool:
    """Parse `true` or `false`, and nothing that YAML would take for them."""
    if text in ("true", "false"):
        return text == "true"
    lower = text.lower()
    if lower in ("yes", "on", "no", "off", "true", "false"):
        meant = "true" if lower in ("yes", "on", "true") else "false"
        raise InputInvalid(f"needs true or false; '{text}' is text here, write {meant}")
    raise InputInvalid(_say("true or false", text, ""))


def _say(needed: str, text: str, unit: str) -> str:
    """Word the refusal of a text, with the reason when it is a common slip."""
    if not text:
        return f"is empty; it needs {needed}"
    shown = text if len(text) <= DIGITS_MAX else text[:DIGITS_MAX] + "…"
    spaced = _SPACED_UNIT.fullmatch(text)
    if spaced and unit:
        meant = UNIT_ALIASES.get(spaced[2], spaced[2])
        return f"needs {needed}; leave out the space: {spaced[1]}{meant}"
    if _LEADING_ZERO.match(text):
        return f"needs {needed}; '{shown}' starts with a zero, write it without"
    if text.startswith("-"):
        return f"needs {needed}; it cannot be negative"
    glued = re.fullmatch(r"([0-9.]+)([A-Za-z]+)", text)
    if glued and glued[2].lower() in UNIT_ALIASES and unit:
        return f"needs {needed}; write {glued[1]}{UNIT_ALIASES[glued[2].lower()]}"
    if "," in text:
        return f"needs {needed}; '{shown}' has a comma, write the number without"
    return f"needs {needed}, not '{shown}'"
