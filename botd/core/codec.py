"""Commands and answers as text and back: the closed unions, each tagged with its type's name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final, get_args

from botd.core.events import Answer, Command, DecisionKey, OrderType, Section, Side, TimeInForce
from botd.errors import StateCorrupt

# Times, quantities, prices, ids and flags are JSON values as they are; these are not.
_WRITE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "fee": str,
    "key": lambda key: [key.strategy, key.instrument, key.cycle, key.section, key.rule, key.leg],
}
_READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    "fee": Decimal,
    "key": lambda parts: DecisionKey(*parts[:3], Section(parts[3]), *parts[4:]),
    "side": Side,
    "type": OrderType,
    "tif": TimeInForce,
}


class _Form:
    """How one type is written: its fields in their order, and those that need converting."""

    __slots__ = ("kind", "name", "read", "values", "write")

    def __init__(self, kind: type[Any]) -> None:
        names = [field.name for field in fields(kind)]
        self.kind = kind
        self.name = kind.__name__
        self.values = attrgetter(*names)
        self.write = [(place, _WRITE[name]) for place, name in enumerate(names) if name in _WRITE]
        self.read = [_READ.get(name) for name in names]

    def text(self, value: Any) -> str:
        parts = list(self.values(value))
        for place, convert in self.write:
            parts[place] = convert(parts[place])
        return json.dumps([self.name, *parts], separators=(",", ":"))

    def value(self, parts: list[Any]) -> Any:
        terms = [
            part if convert is None else convert(part) for part, convert in zip(parts, self.read, strict=True)
        ]
        return self.kind(**dict(zip((f.name for f in fields(self.kind)), terms, strict=True)))


_COMMANDS: Final = {kind.__name__: _Form(kind) for kind in get_args(Command)}
_ANSWERS: Final = {kind.__name__: _Form(kind) for kind in get_args(Answer)}


def command_text(command: Command) -> str:
    """Return a command as one line of JSON."""
    return _COMMANDS[type(command).__name__].text(command)


def command_of(text: str) -> Command:
    """Return the command that `command_text` wrote; raise StateCorrupt for anything else."""
    command: Command = _read(_COMMANDS, text)
    return command


def answer_text(answer: Answer) -> str:
    """Return an answer as one line of JSON."""
    return _ANSWERS[type(answer).__name__].text(answer)


def answer_of(text: str) -> Answer:
    """Return the answer that `answer_text` wrote; raise StateCorrupt for anything else."""
    answer: Answer = _read(_ANSWERS, text)
    return answer


def _read(forms: Mapping[str, _Form], text: str) -> Any:
    try:
        name, *parts = json.loads(text)
        return forms[name].value(parts)
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        raise StateCorrupt(f"not a line that botd wrote: {text[:80]}") from error
