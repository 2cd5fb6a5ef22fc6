"""Commands and answers as text and back: the closed unions, each tagged with its type's name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from json.encoder import encode_basestring_ascii
from operator import attrgetter
from typing import Any, Final, cast, get_args

from botd.core.events import Answer, Command, DecisionKey, FeeTaken, OrderType, Section, Side, TimeInForce
from botd.core.instrument import InstrumentId
from botd.errors import StateCorrupt


def _key(parts: Mapping[str, Any]) -> DecisionKey:
    strategy, instrument, cycle, section, rule, leg = (parts[name] for name in DecisionKey.__slots__)
    return DecisionKey(strategy, InstrumentId(instrument), cycle, Section(section), rule, leg)


def _taken(parts: Mapping[str, Any] | None) -> FeeTaken | None:
    return None if parts is None else FeeTaken(Decimal(parts["amount"]), parts["currency"])


# Fields that are read as more than the JSON value they are written as.
_READ: Final[Mapping[str, Callable[[Any], object]]] = {
    "fee": Decimal,
    "key": _key,
    "taken": _taken,
    "side": Side,
    "type": OrderType,
    "tif": TimeInForce,
}
_KINDS: Final = {kind.__name__: kind for kind in (*get_args(Command), *get_args(Answer))}
_COMMANDS: Final = frozenset(get_args(Command))


def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


# by type: a getter of all fields, and the text before each
_FORMS: Final = {
    kind: (attrgetter(*_names(kind)), tuple(f'"{name}":' for name in _names(kind)))
    for kind in (*_KINDS.values(), DecisionKey, FeeTaken)
}
# by type: how a field's value is written; enums are text
_WRITE: Final[dict[type[Any], Callable[[Any], str]]] = {
    int: int.__repr__,
    bool: {False: "false", True: "true"}.__getitem__,
    type(None): lambda _: "null",
    Decimal: lambda amount: f'"{amount}"',
    DecisionKey: lambda key: _body(key),
    FeeTaken: lambda taken: _body(taken),
    **dict.fromkeys((str, Section, Side, OrderType, TimeInForce), encode_basestring_ascii),
}


def command_text(command: Command) -> str:
    """Return a command as one line of JSON."""
    return _text(command)


def command_of(text: str) -> Command:
    """Return the command that `command_text` wrote; raise StateCorrupt for anything else."""
    (command,) = _values(f"[{text}]", commands=True)
    return cast(Command, command)


def answers_text(answers: Sequence[Answer]) -> str:
    """Return answers as one line of JSON."""
    return f"[{','.join(map(_text, answers))}]"


def answers_of(text: str) -> list[Answer]:
    """Return the answers that `answers_text` wrote; raise StateCorrupt for anything else."""
    return _values(text, commands=False)


def _text(value: Command | Answer) -> str:
    return f'["{type(value).__name__}",{_body(value)}]'


def _body(value: Command | Answer | DecisionKey | FeeTaken) -> str:
    values, heads = _FORMS[type(value)]
    parts = [head + _WRITE[type(one)](one) for head, one in zip(heads, values(value), strict=True)]
    return f"{{{','.join(parts)}}}"


def _values(text: str, *, commands: bool) -> list[Any]:
    try:
        return [_value(name, body, commands=commands) for name, body in json.loads(text)]
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        raise StateCorrupt(f"not a line that botd wrote: {text[:80]}") from error


def _value(name: str, body: dict[str, Any], *, commands: bool) -> Any:
    kind = _KINDS[name]
    if (kind in _COMMANDS) is not commands:
        raise StateCorrupt(f"{name} stands where a {'command' if commands else 'answer'} belongs")
    for field, read in _READ.items():
        if field in body:
            body[field] = read(body[field])
    return kind(**body)
