"""What the operator reads: one JSON object or one line per log record, without secrets."""

from __future__ import annotations

import json
import logging
import math
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TextIO

HIDDEN: Final = "***"
_CHATTY: Final = ("alembic", "apscheduler")  # what they do in passing is no news to an operator
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DEPTH_MAX: Final = 8

_SECRET_WORDS: Final = (
    r"secret|password|passwd|passphrase|token|credential|authorization|cookie|signature|"
    r"api[_-]?key|private[_-]?key|access[_-]?key|client[_-]?key|bearer"
)
# A field is secret by its whole name's words: `api_key`, `apiSecret`, `x-auth-token`; `tokens_count` is too,
# which costs a figure and never a secret.
_SECRET_NAME: Final = re.compile(_SECRET_WORDS, re.IGNORECASE)
_ASSIGNED: Final = re.compile(
    rf"""(?P<name>["']?[\w-]*(?:{_SECRET_WORDS})[\w-]*["']?\s*[:=]\s*)"""
    r"""(?:(?P<scheme>Bearer|Basic|Token)\s+)?(?P<value>"[^"]*"|'[^']*'|[^\s,;&"'}}\])]+)""",
    re.IGNORECASE,
)
_SCHEME: Final = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_URL_PASSWORD: Final = re.compile(r"(?P<start>[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)", re.IGNORECASE)

# What every LogRecord has; anything else on it was given as `extra`.
_PLAIN_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def redact(text: str) -> str:
    """Return a text with the values of secrets hidden."""
    text = _URL_PASSWORD.sub(rf"\g<start>{HIDDEN}", text)
    text = _ASSIGNED.sub(_hide_value, text)
    return _SCHEME.sub(rf"\1 {HIDDEN}", text)


def _hide_value(match: re.Match[str]) -> str:
    scheme = f"{match['scheme']} " if match["scheme"] else ""
    quote = match["value"][0] if match["value"][0] in "\"'" else ""
    return f"{match['name']}{scheme}{quote}{HIDDEN}{quote}"


def redact_value(value: Any, depth: int = 0) -> Any:
    """Return a value fit for JSON with secrets hidden, also by the names of its keys."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no NaN
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= _DEPTH_MAX:
        return "…"
    if isinstance(value, Mapping):
        return {str(key): redact_field(str(key), item, depth + 1) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [redact_value(item, depth + 1) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(str(redact_value(item, depth + 1)) for item in value)
    return redact(str(value))


def redact_field(name: str, value: Any, depth: int = 0) -> Any:
    """Return a named value as `redact_value` does; a secret by its name is hidden whole."""
    return HIDDEN if _SECRET_NAME.search(name) else redact_value(value, depth)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {
        name: redact_field(name, value) for name, value in vars(record).items() if name not in _PLAIN_FIELDS
    }


def _time(record: logging.LogRecord) -> str:
    moment = _EPOCH + timedelta(microseconds=round(record.created * 1_000_000))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JsonFormatter(logging.Formatter):
    """Write a record as one JSON object: time, level, logger, message, then its fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        for name, value in _fields(record).items():
            line[name if name not in line else f"{name}_"] = value
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = redact(self.formatStack(record.stack_info))
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """Write a record as a line for people: time, level, message, fields."""

    def format(self, record: logging.LogRecord) -> str:
        parts = [_time(record), f"{record.levelname.lower():<8}", redact(record.getMessage())]
        parts += [f"{name}={value}" for name, value in _fields(record).items()]
        line = " ".join(parts)
        if record.exc_info:
            line = f"{line}\n{redact(self.formatException(record.exc_info))}"
        if record.stack_info:
            line = f"{line}\n{redact(self.formatStack(record.stack_info))}"
        return line


def configure_logging(*, level: str = "info", form: str = "json", stream: TextIO | None = None) -> None:
    """Send everything logged to one stream, standard error by default, in place of what was set before."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.NOTSET if level == "debug" else logging.WARNING)
    logging.captureWarnings(True)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # else a first start begins with its inner life
