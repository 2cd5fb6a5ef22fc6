"""Expressions: a Pratt parser that builds unit-checked trees with the place of every node.

It reads the file's own text between the marks of a YAML value, so plain, quoted and folded values all
give exact positions. Unit faults do not stop it: one expression can report several.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from botd.language.calls import (
    WINDOW_US_MAX,
    Argument,
    Form,
    bind_call,
    broken,
    is_broken,
    reads_position,
)
from botd.language.catalogue import WORDS
from botd.language.lexer import KEYWORDS, UNITS, SyntaxFault, Token, TokenKind, tokenize
from botd.language.operators import arithmetic, compare, logic, look_back_bars, negate, opposite
from botd.language.quantities import UNIT_ALIASES
from botd.language.source import Faults, did_you_mean
from botd.language.typed import BOOL, NUMBER, SECONDS, Expr, Span, Unit
from botd.language.units import unit_name
from botd.language.whole import fits
from botd.language.words import FOREIGN_WORDS, Entry, Reads

CHARACTERS_MAX: Final = 512
NODES_MAX: Final = 128
DEPTH_MAX: Final = 32

_OR, _AND, _NOT, _FOR, _COMPARISON, _SUM, _PRODUCT, _SIGN = range(1, 9)
_BINARY: Final = {
    "or": _OR,
    "and": _AND,
    "<": _COMPARISON,
    "<=": _COMPARISON,
    ">": _COMPARISON,
    ">=": _COMPARISON,
    "==": _COMPARISON,
    "!=": _COMPARISON,
    "crosses": _COMPARISON,
    "+": _SUM,
    "-": _SUM,
    "*": _PRODUCT,
    "/": _PRODUCT,
}


def parse_expression(
    faults: Faults,
    start: int,
    end: int,
    names: Mapping[str, Expr],
    *,
    position_words: bool,
    want: Unit | None = None,
    clause: str = "this",
    later: frozenset[str] = frozenset(),
) -> Expr | None:
    """Parse a range of the source's text; None when it has errors, which are then in `faults`.

    `names` are the values of `let` so far (a broken one stands for a name with a fault of its own),
    `later` the names defined further down. `want` is BOOL for conditions, a unit for values, None for
    either; `clause` is what messages call the expression.
    """
    text = faults.source.text
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    if end - start > CHARACTERS_MAX:
        length = f"{end - start:,} characters long, more than {CHARACTERS_MAX}"
        faults.error(Span(start, start + 1), f"{clause} is {length}; name parts of it under let")
        return None
    parser = _Parser(faults, names, position_words=position_words, later=later)
    try:
        expr = parser.parse(start, end)
        if is_broken(expr) or not fits(expr, want, clause, faults):
            return None
    except SyntaxFault:
        return None
    return expr


class _Parser:
    """One expression's tokens and how far they are read."""

    def __init__(
        self, faults: Faults, names: Mapping[str, Expr], *, position_words: bool, later: frozenset[str]
    ) -> None:
        self._faults = faults
        self._names = names
        self._position_words = position_words
        self._later = later
        self._tokens: list[Token] = []
        self._at = 0
        self._depth = 0
        self._nodes = 0

    def parse(self, start: int, end: int) -> Expr:
        """Parse the whole range into one expression."""
        self._tokens = tokenize(start, end, self._faults)
        expr = self._expression(0)
        if self._token.kind is not TokenKind.END:
            raise self._unexpected()
        return expr

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._token
        self._at += 1
        return token

    def _is(self, text: str) -> bool:
        return self._token.text == text and self._token.kind in (TokenKind.SYMBOL, TokenKind.KEYWORD)

    def _stop(self, span: Span, message: str) -> SyntaxFault:
        self._faults.error(span, message)
        return SyntaxFault(message)

    def _count(self, span: Span) -> None:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise self._stop(span, f"more than {NODES_MAX} terms; name parts of it under let")

    def _expression(self, least: int) -> Expr:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise self._stop(
                self._token.span, f"nested deeper than {DEPTH_MAX} levels; name the inner parts under let"
            )
        left = self._prefix()
        while True:
            if self._is("for") and least < _FOR:
                left = self._for(left)
                continue
            power = _BINARY.get(self._token.text, 0) if self._token.kind is not TokenKind.NAME else 0
            if power <= least:
                break
            left = self._infix(left, power)
        self._depth -= 1
        return left

    def _infix(self, left: Expr, power: int) -> Expr:
        operator = self._next()
        self._count(operator.span)
        if operator.text == "crosses":
            return self._crosses(left, operator)
        if operator.text == "*" and self._is("*"):
            raise self._stop(operator.span, "there are no powers; multiply")
        right = self._expression(power)
        if power in (_OR, _AND):
            return logic(operator.text, left, right, self._faults)
        if power == _COMPARISON:
            self._refuse_chain()
            return compare(operator, left, right, self._faults)
        return arithmetic(operator, left, right, self._faults)

    def _refuse_chain(self) -> None:
        if self._token.kind is not TokenKind.NAME and _BINARY.get(self._token.text) == _COMPARISON:
            raise self._stop(self._token.span, "comparisons cannot be chained; write a < b and b < c")

    def _crosses(self, left: Expr, operator: Token) -> Expr:
        if not (self._is("above") or self._is("below")):
            raise self._stop(operator.span, "write 'crosses above' or 'crosses below'")
        word = self._next()
        right = self._expression(_COMPARISON)
        self._refuse_chain()
        crossing = replace(
            operator, text=f"crosses_{word.text}", span=Span(operator.span.start, word.span.end)
        )
        return compare(crossing, left, right, self._faults)

    def _for(self, condition: Expr) -> Expr:
        keyword = self._next()
        self._count(keyword.span)
        duration, span = self._duration("for", "speed < 0 for 3s")
        whole = Span(condition.span.start, span.end)
        if is_broken(condition) or not duration:
            return broken(whole)
        if condition.unit != BOOL:
            self._faults.error(
                keyword.span,
                f"'for' needs a condition before it, this is {unit_name(condition.unit)}; "
                "write it like speed < 0 for 3s",
            )
            return broken(whole)
        return Expr(op="for", args=(condition,), params=(duration,), unit=BOOL, span=whole)

    def _duration(self, after: str, example: str) -> tuple[int, Span]:
        """Read a duration, or a name that stands for one; 0 for a name with a fault of its own."""
        token = self._next()
        value = token.duration_us if token.unit == SECONDS else 0
        if token.kind is TokenKind.NAME and token.text in self._names:
            named = self._names[token.text]
            if is_broken(named):
                return 0, token.span
            if named.op == "const" and named.unit == SECONDS:
                value = round(named.params[0] * 1_000_000)
        if not 0 < value <= WINDOW_US_MAX:
            raise self._stop(token.span, f"'{after}' needs a duration of at most 7d, such as {example}")
        return value, token.span

    def _prefix(self) -> Expr:
        token = self._next()
        self._count(token.span)
        if token.kind is TokenKind.NUMBER:
            return self._postfix(Expr(op="const", params=(token.value,), unit=token.unit, span=token.span))
        if token.kind is TokenKind.NAME:
            return self._postfix(self._name(token))
        if token.kind is TokenKind.SYMBOL and token.text == "(":
            inner = self._expression(0)
            closing = self._expect(")", token)
            return self._postfix(replace(inner, span=Span(token.span.start, closing.span.end)))
        if token.kind is TokenKind.SYMBOL and token.text == "-":
            return negate(token, self._expression(_SIGN), self._faults)
        if token.kind is TokenKind.KEYWORD and token.text == "not":
            return opposite(token, self._expression(_NOT), self._faults)
        self._at -= 1
        if token.text == "+":
            raise self._stop(token.span, "leave out the '+'")
        found = token.text if token.kind is TokenKind.END else f"'{token.text}'"
        raise self._stop(token.span, f"expected a value here, found {found}")

    def _expect(self, text: str, opened: Token) -> Token:
        if self._is(text):
            return self._next()
        if self._token.kind is TokenKind.END:
            raise self._stop(opened.span, f"this '{opened.text}' is never closed; add '{text}'")
        if text == "]":
            raise self._stop(self._token.span, "expected ']' here, which closes the '['")
        raise self._unexpected(f"'{text}' or ")

    def _unexpected(self, closing: str = "") -> SyntaxFault:
        """Say why the current token cannot stand where an operator was due."""
        token, before = self._token, self._tokens[self._at - 1] if self._at else None
        text = token.text
        if before is not None and before.kind is TokenKind.NUMBER and token.kind is not TokenKind.SYMBOL:
            unit = UNIT_ALIASES.get(text.lower(), text)
            if unit in UNITS:
                where = Span(before.span.start, token.span.end)
                return self._stop(where, f"leave out the space: {before.text}{unit}")
        if text in (")", "]"):
            return self._stop(token.span, f"this '{text}' closes nothing; remove it")
        if text == "," and not closing:
            return self._stop(
                token.span, "a comma stands between arguments only; digits are not grouped: 1000"
            )
        meant = FOREIGN_WORDS.get(text, text.lower())
        if meant in KEYWORDS and token.kind is TokenKind.NAME:
            return self._stop(token.span, f"write '{meant}' instead of '{text}'")
        return self._stop(
            token.span, f"'{text}' cannot follow here; {closing}an operator such as and, or, <, + is missing"
        )

    def _postfix(self, value: Expr) -> Expr:
        while self._is("["):
            value = self._look_back(value)
        return value

    def _look_back(self, value: Expr) -> Expr:
        bracket = self._next()
        self._count(bracket.span)
        number = self._token
        if number.kind is TokenKind.NUMBER and number.unit == NUMBER:
            return self._bars_back(value, bracket)
        duration, _ = self._duration("[", "price[5s ago]")
        if self._token.text != "ago":
            raise self._stop(
                bracket.span, "say that it is in the past: price[5s ago] or close(1m)[3 bars ago]"
            )
        self._next()
        closing = self._expect("]", bracket)
        span = Span(value.span.start, closing.span.end)
        if is_broken(value) or not duration:
            return broken(span)
        if reads_position(value):
            self._faults.error(span, "the position's words have no past; compare with pnl_max or use 'for'")
            return broken(span)
        return Expr(op="ago", args=(value,), params=(duration,), unit=value.unit, span=span)

    def _bars_back(self, value: Expr, bracket: Token) -> Expr:
        number = self._next()
        if not (self._is("bars") or self._is("bar")):
            raise self._stop(bracket.span, "say how far back: price[5s ago] or close(1m)[3 bars ago]")
        self._next()
        if self._token.text != "ago":
            raise self._stop(bracket.span, "say that it is in the past: close(1m)[3 bars ago]")
        self._next()
        closing = self._expect("]", bracket)
        return look_back_bars(value, number, Span(value.span.start, closing.span.end), self._faults)

    def _name(self, token: Token) -> Expr:
        word, called = token.text, self._is("(")
        if word in self._names:
            if called:
                raise self._stop(token.span, f"'{word}' is a value named under let and takes no arguments")
            return replace(self._names[word], span=token.span)
        entries = WORDS.get(word)
        if entries is None:
            return self._unknown(token, called)
        if entries[0].reads is Reads.POSITION and not self._position_words:
            self._faults.error(
                token.span,
                f"'{word}' exists only in ZE1 and E1, where there is a position; use it in a rule there",
            )
            return broken(token.span)
        return self._word(token, entries, called)

    def _word(self, token: Token, entries: tuple[Entry, ...], called: bool) -> Expr:
        word, takes = token.text, entries[0].parameters
        if not called:
            if takes:
                self._faults.error(token.span, f"'{word}' needs its arguments, such as {entries[-1].example}")
                return broken(token.span)
            return bind_call(word, (), token.span, self._faults)
        arguments, end = self._arguments()
        span = Span(token.span.start, end)
        if not takes:
            self._faults.error(span, f"'{word}' takes no arguments; write {word}")
            return broken(span)
        bound = bind_call(word, arguments, span, self._faults)
        if bound.op == "ago" and reads_position(bound):
            self._faults.error(span, "the position's words have no past; compare with pnl_max or use 'for'")
            return broken(span)
        return bound

    def _unknown(self, token: Token, called: bool) -> Expr:
        word, end = token.text, token.span.end
        if called:
            _, end = self._arguments()
        if word in self._later:
            message = f"'{word}' is defined further down; a let may use only those above it"
        elif word in FOREIGN_WORDS:
            message = f"unknown name '{word}'; did you mean '{FOREIGN_WORDS[word]}'?"
        else:
            advice = did_you_mean(word, [*self._names, *WORDS])
            message = (
                f"unknown name '{word}'{advice or '; name it under let, or use a word that botd words lists'}"
            )
        self._faults.error(token.span, message)
        return broken(Span(token.span.start, end))

    def _arguments(self) -> tuple[list[Argument], int]:
        opened = self._next()
        arguments: list[Argument] = []
        if self._is(")"):
            return arguments, self._next().span.end
        while True:
            arguments.append(self._argument())
            if not self._is(","):
                break
            self._next()
        return arguments, self._expect(")", opened).span.end

    def _argument(self) -> Argument:
        first = self._token
        if self._is("every"):
            self._next()
            value = self._expression(0)
            return Argument(form=Form.EVERY, values=(value,), span=Span(first.span.start, value.span.end))
        if not self._is("from"):
            value = self._expression(0)
            return Argument(form=Form.VALUE, values=(value,), span=value.span)
        self._next()
        start = self._expression(0)
        if not self._is("to"):
            raise self._stop(first.span, "a window is written from 5m to 1m; its 'to' is missing")
        self._next()
        end = self._expression(0)
        return Argument(form=Form.FROM_TO, values=(start, end), span=Span(first.span.start, end.span.end))
