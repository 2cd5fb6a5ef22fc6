"""Commands and answers as text and back: the closed unions, each tagged with its type's name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final, get_args

from botd.core.events import Answer, Command, DecisionKey, OrderType, Section, Side, TimeInForce
from botd.core.instrument import InstrumentId
from botd.errors import StateCorrupt


def _key_parts(key: DecisionKey) -> dict[str, object]:
    return {name: getattr(key, name) for name in DecisionKey.__slots__}


def _key(parts: Mapping[str, Any]) -> DecisionKey:
    strategy, instrument, cycle, section, rule, leg = (parts[name] for name in DecisionKey.__slots__)
    return DecisionKey(strategy, InstrumentId(instrument), cycle, Section(section), rule, leg)


# Fields that are no JSON values as they are: ids, times, ticks, lots and flags are, enums are text.
_WRITE: Final[Mapping[str, Callable[[Any], object]]] = {"fee": str, "key": _key_parts}
_READ: Final[Mapping[str, Callable[[Any], object]]] = {
    "fee": Decimal,
    "key": _key,
    "side": Side,
    "type": OrderType,
    "tif": TimeInForce,
}
_KINDS: Final = {kind.__name__: kind for kind in (*get_args(Command), *get_args(Answer))}
_COMMANDS: Final = frozenset(get_args(Command))
# by type: its name, its fields' names, a getter of all of them, and the fields to convert
_FORMS: Final = {
    kind: (
        kind.__name__,
        names := tuple(field.name for field in fields(kind)),
        attrgetter(*names),
        tuple((name, _WRITE[name]) for name in names if name in _WRITE),
    )
    for kind in _KINDS.values()
}
_encode: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def command_text(command: Command) -> str:
    """Return a command as one line of JSON."""
    return _text(command)


def command_of(text: str) -> Command:
    """Return the command that `command_text` wrote; raise StateCorrupt for anything else."""
    command: Command = _value(text, commands=True)
    return command


def answer_text(answer: Answer) -> str:
    """Return an answer as one line of JSON."""
    return _text(answer)


def answer_of(text: str) -> Answer:
    """Return the answer that `answer_text` wrote; raise StateCorrupt for anything else."""
    answer: Answer = _value(text, commands=False)
    return answer


def _text(value: Command | Answer) -> str:
    name, names, values, converted = _FORMS[type(value)]
    body = dict(zip(names, values(value), strict=True))
    for field, write in converted:
        body[field] = write(body[field])
    return _encode((name, body))


def _value(text: str, *, commands: bool) -> Any:
    try:
        name, body = json.loads(text)
        kind = _KINDS[name]
        for field, read in _READ.items():
            if field in body:
                body[field] = read(body[field])
        value = kind(**body)
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        raise StateCorrupt(f"not a line that botd wrote: {text[:80]}") from error
    if (kind in _COMMANDS) is not commands:
        raise StateCorrupt(f"{name} stands where a {'command' if commands else 'answer'} belongs")
    return value
