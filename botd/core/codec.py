"""Commands and answers as text and back: the closed unions, each tagged with its type's name."""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic import TypeAdapter

from botd.core.events import (
    AmendOrder,
    Answer,
    CancelOrder,
    Command,
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    OrderFilled,
    OrderRejected,
    RequestRefused,
    SubmitOrder,
)

_COMMANDS: Final[dict[str, TypeAdapter[Any]]] = {
    c.__name__: TypeAdapter(c) for c in (SubmitOrder, CancelOrder, AmendOrder)
}
_ANSWERS: Final[dict[str, TypeAdapter[Any]]] = {
    c.__name__: TypeAdapter(c)
    for c in (OrderAccepted, OrderRejected, OrderFilled, OrderEnded, OrderAmended, RequestRefused)
}


def command_text(command: Command) -> str:
    """Return a command as one line of JSON."""
    return _text(_COMMANDS, command)


def command_of(text: str) -> Command:
    """Return the command that `command_text` wrote."""
    command: Command = _value(_COMMANDS, text)
    return command


def answer_text(answer: Answer) -> str:
    """Return an answer as one line of JSON."""
    return _text(_ANSWERS, answer)


def answer_of(text: str) -> Answer:
    """Return the answer that `answer_text` wrote."""
    answer: Answer = _value(_ANSWERS, text)
    return answer


def _text(adapters: dict[str, TypeAdapter[Any]], value: object) -> str:
    name = type(value).__name__
    return f'["{name}",{adapters[name].dump_json(value).decode()}]'


def _value(adapters: dict[str, TypeAdapter[Any]], text: str) -> Any:
    name, body = json.loads(text)
    return adapters[name].validate_python(body)
