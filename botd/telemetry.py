"""What the operator reads: one JSON object or one line per log record, without secrets."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import select
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TextIO

HIDDEN: Final = "***"
LINES_MAX: Final = 5_000  # of the log, waiting to be written
FLUSH_S: Final = 1.0
_CHATTY: Final = ("apscheduler", "watchfiles")  # what they do in passing is no news to an operator
# else a first start begins with their inner life, each statement that makes a table
_SILENT: Final = ("alembic", "sqlalchemy")
# at `debug` these write headers and bodies of requests
_TALKS_OF_SECRETS: Final = ("aiohttp", "asyncio", "ccxt", "urllib3")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DEPTH_MAX: Final = 8
_LOST: Final = "{} log lines were lost: the log could not be written fast enough, or at all"

HIDDEN_MIN: Final = 8  # characters of a value that is hidden wherever it stands; less is in other words too
SECRET_WORDS: Final = (
    r"secret|password|passwd|passphrase|token|credential|authorization|cookie|signature|"
    r"api[_-]?key|private[_-]?key|access[_-]?key|client[_-]?key|bearer|x-[\w-]*(?:key|sign)"
)
# A field is secret by its whole name's words: `api_key`, `apiSecret`, `x-auth-token`; `tokens_count` is too,
# which costs a figure and never a secret.
_SECRET_NAME: Final = re.compile(SECRET_WORDS, re.IGNORECASE)
_ASSIGNED: Final = re.compile(
    rf"""(?P<name>["']?[\w-]*(?:{SECRET_WORDS})[\w-]*["']?\s*[:=]\s*)"""
    r"""(?:(?P<scheme>Bearer|Basic|Token)\s+)?(?P<value>"[^"]*"|'[^']*'|[^\s,;&"'}}\])]+)""",
    re.IGNORECASE,
)
_SCHEME: Final = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_BOT_PATH: Final = re.compile(r"/bot\d+:[\w-]+")  # Telegram has the token in the path
_URL_PASSWORD: Final = re.compile(r"(?P<start>[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)", re.IGNORECASE)

# What every LogRecord has; anything else on it was given as `extra`.
_PLAIN_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


_values: set[str] = set()  # secrets that this process has been given


def hide(value: str) -> None:
    """Have a secret hidden wherever it stands, whatever stands beside it."""
    if len(value) >= HIDDEN_MIN:
        _values.add(value)


def is_secret_name(name: str) -> bool:
    """Say whether what has this name is a secret."""
    return _SECRET_NAME.search(name) is not None


def redact(text: str) -> str:
    """Return a text with the values of secrets hidden."""
    for value in tuple(_values):
        text = text.replace(value, HIDDEN)
    text = _BOT_PATH.sub(f"/bot{HIDDEN}", text)
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
    return HIDDEN if is_secret_name(name) else redact_value(value, depth)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was given as `extra`, fit for JSON, with secrets hidden."""
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
        for name, value in fields_of(record).items():
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
        parts += [f"{name}={value}" for name, value in fields_of(record).items()]
        line = " ".join(parts)
        if record.exc_info:
            line = f"{line}\n{redact(self.formatException(record.exc_info))}"
        if record.stack_info:
            line = f"{line}\n{redact(self.formatStack(record.stack_info))}"
        return line


def _own(text: str) -> logging.LogRecord:
    """Return a record of the log's own."""
    fields = {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING", "msg": text}
    return logging.makeLogRecord(fields)


class PatientHandler(logging.Handler):
    """Writes to a file descriptor in a thread of its own: whoever logs never waits for a disk or a reader.

    What does not fit into the queue, or cannot be written, is dropped and counted, and said once there is
    room again.
    """

    def __init__(self, descriptor: int, *, lines_max: int = LINES_MAX) -> None:
        super().__init__()
        self.lost = 0  # lines, since that was last said
        self._descriptor = descriptor
        self._lines_max = lines_max
        self._lines: deque[bytes] = deque()
        self._writing = False
        self._news = threading.Condition()
        self._closed = False
        # past Python's own buffers: a thread that hangs in one would hang the end of the process too
        self._thread = threading.Thread(target=self._run, name="botd-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record; never wait."""
        try:
            line = self._line(record)
        except Exception as error:  # a bad call of the logger must not end who logs, nor wait for stderr
            line = self._line(
                _own(f"a log line of {record.name} cannot be made: {type(error).__name__}: {error}")
            )
        with self._news:
            if self._closed or len(self._lines) >= self._lines_max:
                self.lost += 1
            else:
                self._lines.append(line)
                self._news.notify_all()

    def flush(self) -> None:
        """Wait until everything is written, or for a moment."""
        with self._news:
            self._news.wait_for(lambda: not self._lines and not self._writing, FLUSH_S)

    def close(self) -> None:
        """Write what can be written in a moment, and end."""
        self.flush()
        with self._news:
            self._closed = True
            self._news.notify_all()
        self._thread.join(FLUSH_S)
        self._descriptor = -1  # it may be another file's from here on
        super().close()

    def _line(self, record: logging.LogRecord) -> bytes:
        return f"{self.format(record)}\n".encode("utf-8", "backslashreplace")

    def _run(self) -> None:
        going_on = True
        while going_on:
            with self._news:
                self._writing = False
                self._news.notify_all()
                self._news.wait_for(lambda: self._lines or self._closed)
                line = self._lines.popleft() if self._lines else None
                self._writing = going_on = line is not None
            written = line is None or self._write(line)
            with self._news:
                self.lost += not written
                lost = self.lost if not self._lines else 0  # they came after what is waiting
            if written and lost and self._write(self._line(_own(_LOST.format(lost)))):
                with self._news:
                    self.lost -= lost

    def _write(self, data: bytes) -> bool:
        """Write all of it, however long the reader takes; return False where it cannot be written."""
        while data:
            try:
                data = self._write_some(data)
            except (OSError, ValueError):  # ValueError: select's, of a descriptor that is closed by now
                return False
        return True

    def _write_some(self, data: bytes) -> bytes:
        """Write what there is room for; return the rest."""
        try:
            return data[os.write(self._descriptor, data) :]
        except BlockingIOError:  # somebody made it non-blocking
            select.select([], [self._descriptor], [], FLUSH_S)
            return data


def configure_logging(*, level: str = "info", form: str = "json", stream: TextIO | None = None) -> None:
    """Send everything logged to one stream, standard error by default, in place of what was set before."""
    handler = _handler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    set_level(level)
    logging.captureWarnings(True)


def set_level(level: str) -> None:
    """Say from which level on anything is logged; also while it is."""
    logging.getLogger().setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.NOTSET if level == "debug" else logging.WARNING)
    for name in _SILENT:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    for name in _TALKS_OF_SECRETS:
        logging.getLogger(name).setLevel(max(logging.INFO, logging.getLogger().level))


def _handler(stream: TextIO) -> logging.Handler:
    """Return what writes to a stream; one without a file descriptor takes lines without waiting itself."""
    try:
        return PatientHandler(stream.fileno())
    except (OSError, ValueError):
        return logging.StreamHandler(stream)
