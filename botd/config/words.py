"""Values that are one of a closed set of words."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeVar

from botd.language.source import did_you_mean
from botd.language.typed import OnStop

W = TypeVar("W", bound=StrEnum)


class Mode(StrEnum):
    PAPER = "paper"


class FeedKind(StrEnum):
    SYNTHETIC = "synthetic"
    RECORDED = "recorded"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    JSON = "json"
    TEXT = "text"


def _word(words: type[W], value: Any) -> W:
    known = [word.value for word in words]
    if not isinstance(value, str) or value not in known:
        shown = f"'{value[:40]}'" if isinstance(value, str) else "this"
        raise ValueError(f"needs {' or '.join(known)}, not {shown}{did_you_mean(str(value), known)}")
    return words(value)


def read_mode(value: Any) -> Mode:
    if value in ("live", "backtest", "replay", "collect"):
        raise ValueError(f"'{value}' is not built into this version; write paper")
    return _word(Mode, value)


def read_feed_kind(value: Any) -> FeedKind:
    return _word(FeedKind, value)


def read_level(value: Any) -> LogLevel:
    return _word(LogLevel, value)


def read_format(value: Any) -> LogFormat:
    return _word(LogFormat, value)


def read_on_stop(value: Any) -> OnStop:
    return _word(OnStop, value)
