"""Instrument names as ccxt writes them, and what they say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from botd.core.instrument import InstrumentKind

_NAME: Final = re.compile(r"([A-Z0-9]{1,20})/([A-Z0-9]{1,20})(?::([A-Z0-9]{1,20}))?")
_UNDERSCORED: Final = re.compile(r"([A-Z0-9]{1,20})_([A-Z0-9]{1,20})")
_LONGEST: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """What the name of an instrument says about it."""

    id: str
    kind: InstrumentKind
    base: str
    quote: str


def parse_symbol(text: str) -> Symbol:
    """Read `BTC/USDT` (spot) or `BTC/USDT:USDT` (linear perpetual).

    Raises ValueError saying what to write instead.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"an instrument's name has at most {_LONGEST} characters")
    match = _NAME.fullmatch(text)
    if match is None:
        raise ValueError(_advice(text))
    base, quote, settle = match.groups()
    if settle is None:
        return Symbol(id=text, kind=InstrumentKind.SPOT, base=base, quote=quote)
    if settle != quote:
        raise ValueError(
            f"'{text}' settles in {settle}; only perpetuals that settle in their quote currency are traded, "
            f"such as {base}/{quote}:{quote}"
        )
    return Symbol(id=text, kind=InstrumentKind.PERPETUAL, base=base, quote=quote)


def underscored(text: str) -> str | None:
    """Return the spot name that `BTC_USDT` stands for, or None where it is no such name."""
    match = _UNDERSCORED.fullmatch(text)
    return f"{match[1]}/{match[2]}" if match else None


def resolve_symbol(text: str, listed: frozenset[str]) -> str | None:
    """Return the listed instrument that `text` names, also as `BTC_USDT`; None when it is none or two."""
    if text in listed:
        return text
    spot = underscored(text)
    if spot is None:
        return None
    perpetual = f"{spot}:{spot.partition('/')[2]}"
    found = [name for name in (spot, perpetual) if name in listed]
    return found[0] if len(found) == 1 else None


def _advice(text: str) -> str:
    spot = underscored(text)
    if spot is not None:
        quote = spot.partition("/")[2]
        return f"write '{text}' as ccxt does: {spot} for spot or {spot}:{quote} for the perpetual"
    if text != text.upper():
        return f"'{text}' is not an instrument; write it in capitals, such as {_example(text)}"
    return f"'{text}' is not an instrument; write BASE/QUOTE or BASE/QUOTE:QUOTE, such as BTC/USDT:USDT"


def _example(text: str) -> str:
    upper = text.upper()
    return upper if _NAME.fullmatch(upper) else "BTC/USDT:USDT"
