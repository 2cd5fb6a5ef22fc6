"""Expression text to tokens, each with its place in the file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from botd.errors import InputInvalid
from botd.language.quantities import DURATION_UNITS_US, RATIO_UNITS, UNIT_ALIASES, parse_duration
from botd.language.source import Faults
from botd.language.typed import NUMBER, RATIO, SECONDS, Span, Unit

KEYWORDS: Final = frozenset(
    {"and", "or", "not", "crosses", "above", "below", "for", "bar", "bars", "from", "to", "every"}
)
UNITS: Final = tuple(DURATION_UNITS_US) + tuple(RATIO_UNITS)


class TokenKind(StrEnum):
    NUMBER = "number"
    NAME = "name"
    KEYWORD = "keyword"
    SYMBOL = "symbol"
    END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One word of an expression. Numbers carry their value and unit; durations are in seconds."""

    kind: TokenKind
    text: str
    span: Span
    value: float = 0.0
    duration_us: int = 0
    unit: Unit = NUMBER


class SyntaxFault(Exception):
    """The expression cannot be read further; the fault is already reported."""


_TOKEN = re.compile(
    r"""(?P<duration>(?:[0-9]+(?:\.[0-9]+)?(?:us|ms|s|m|h|d))+)(?![A-Za-z0-9_.%])
      | (?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(?P<ratio>%|bps)?(?![A-Za-z0-9_.%])
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<symbol><=|>=|==|!=|[-+*/()<>,\[\]])
    """,
    re.VERBOSE | re.ASCII,
)
_SPACE = re.compile(r"[ \t\r\n]+")
_NUMBER_LIKE = re.compile(r"(?=\.?[0-9])[A-Za-z0-9_.]+%?", re.ASCII)

# What people type in other languages, and what it is here.
_FOREIGN: Final = {
    "&&": "write 'and'",
    "&": "write 'and'",
    "||": "write 'or'",
    "|": "write 'or'",
    "!": "write 'not'",
    "=": "write '==' to compare",
    "^": "there are no powers; multiply",
    "%": "a percent sign belongs to a number without a space, such as 1%",
    "≥": "write '>='",
    "≤": "write '<='",
    "≠": "write '!='",
    "×": "write '*'",
    "÷": "write '/'",
    "−": "write '-'",
    ".": "names have no dots; a number starts with a digit, such as 0.5",
    "?": "write if(condition, then, else)",
    ":": "write if(condition, then, else)",
    "{": "use round brackets",
    "}": "use round brackets",
    ";": "one expression per rule; join them with 'and' or 'or'",
    "#": "a comment needs a space before the '#'",
    "\\": "leave the backslash out; a long expression may simply go on in the next line",
    "'": "leave quotes out of expressions",
    '"': "leave quotes out of expressions",
    "$": "leave it out",
    "@": "leave it out",
}


def tokenize(start: int, end: int, faults: Faults) -> list[Token]:
    """Split a range of the source's text into tokens, ending with one END token."""
    text = faults.source.text
    tokens: list[Token] = []
    at = start
    while at < end:
        space = _SPACE.match(text, at, end)
        if space:
            at = space.end()
            continue
        match = _TOKEN.match(text, at, end)
        if match is None:
            raise _unreadable(text, at, end, tokens[-1] if tokens else None, faults)
        tokens.append(_token(match, faults))
        at = match.end()
    tokens.append(Token(kind=TokenKind.END, text="end of the expression", span=Span(end, end + 1)))
    return tokens


def _token(match: re.Match[str], faults: Faults) -> Token:
    span, text = Span(match.start(), match.end()), match.group()
    if match["name"] is not None:
        kind = TokenKind.KEYWORD if text in KEYWORDS else TokenKind.NAME
        return Token(kind=kind, text=text, span=span)
    if match["symbol"] is not None:
        return Token(kind=TokenKind.SYMBOL, text=text, span=span)
    if re.match(r"0[0-9]", text):
        if re.search(r"[0-9],$", faults.source.text[: span.start]):
            raise _stop(faults, span, "a comma does not group digits; write the number without, such as 1000")
        raise _stop(faults, span, f"'{text}' starts with a zero; write it without")
    if match["duration"] is not None:
        try:
            duration_us = parse_duration(text)
        except InputInvalid as fault:
            raise _stop(faults, span, f"'{text}' {fault}") from fault
        return Token(
            kind=TokenKind.NUMBER,
            text=text,
            span=span,
            value=duration_us / 1_000_000,
            duration_us=duration_us,
            unit=SECONDS,
        )
    return _number(match, span, faults)


def _number(match: re.Match[str], span: Span, faults: Faults) -> Token:
    number, suffix = match["number"], match["ratio"]
    exponent = re.search(r"[eE][+-]?0*([0-9]*)$", number)
    if len(number) > 40 or (exponent and len(exponent[1]) > 2):
        raise _stop(faults, span, "this number is too long; write at most 40 digits")
    scale = RATIO_UNITS[suffix] if suffix else Decimal(1)
    value = float(Decimal(number) * scale)
    unit = RATIO if suffix else NUMBER
    return Token(kind=TokenKind.NUMBER, text=match.group(), span=span, value=value, unit=unit)


def _unreadable(text: str, at: int, end: int, before: Token | None, faults: Faults) -> SyntaxFault:
    like = _NUMBER_LIKE.match(text, at, end)
    if like:
        return _stop(faults, Span(at, like.end()), _bad_number(like.group()))
    if before is not None and before.kind is TokenKind.NUMBER:
        if text[at] == "%":
            return _stop(faults, Span(before.span.start, at + 1), f"leave out the space: {before.text}%")
        if text[at] == ":":
            return _stop(faults, Span(at, at + 1), "a time is written like 1h30m or 1m30s, without ':'")
    two = text[at : min(at + 2, end)]
    symbol = two if two in _FOREIGN else text[at]
    advice = _FOREIGN.get(symbol, "only letters, digits and + - * / ( ) [ ] < > = , can stand here")
    return _stop(faults, Span(at, at + len(symbol)), f"'{symbol}' means nothing here; {advice}")


def _bad_number(word: str) -> str:
    if word.startswith("."):
        return f"'{word}' needs a digit before the dot: 0{word}"
    match = re.fullmatch(r"([0-9.]*[0-9])([A-Za-z_]+)", word)
    if match:
        meant = UNIT_ALIASES.get(match[2].lower())
        if match[2].lower() in UNITS:
            meant = match[2].lower()
        if meant:
            return f"unknown unit '{match[2]}'; write {match[1]}{meant}"
        return f"unknown unit '{match[2]}'; use one of {' '.join(UNITS)}"
    return f"'{word}' is not a number; write it like 10, 0.5, 10s, 1h30m, 1% or 50bps"


def _stop(faults: Faults, span: Span, message: str) -> SyntaxFault:
    faults.error(span, message)
    return SyntaxFault(message)
