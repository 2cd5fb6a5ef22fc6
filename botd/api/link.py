"""What a daemon and the process of its API say to each other, over one pair of sockets.

The daemon's messages are pickled: the process trusts it. What the process says is JSON, and checked: it
talks to whoever connects, and the daemon holds the keys.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from botd.api.facts import ConfigFacts, Durations, Snapshot
from botd.api.settings import ApiSettings
from botd.api.tokens import Tokens
from botd.core.records import Record
from botd.core.reload import ReloadOutcome
from botd.core.restraint import ACCOUNT, Cause, TradingCommand, Verb

LATE_S: Final = 1.0  # without a word from the daemon: it stands still

# ---- the daemon's ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadNews:
    """What the daemon's reloads have come to."""

    last: ReloadOutcome | None
    swapped_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """How the daemon stands, and what it has committed since the news before."""

    session_id: str
    trades: bool
    books: bool  # may be read
    trading_state: str
    row_us: int
    row_at_us: int
    lag_s: float
    open_files: int | None
    snapshot: Snapshot | None
    commits: Durations
    config: ConfigFacts | None  # None: as before
    reloads: ReloadNews | None  # None: it cannot reload
    groups: Sequence[Sequence[Record]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """The first message: what is to be served, and how."""

    settings: ApiSettings
    state_path: Path
    answers_path: Path
    tokens: Tokens
    mode: str
    version: str
    started_us: int
    pid: int
    news: News


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was asked is obeyed and on disk; of a reload, its outcome, None where it is given up or broke."""

    number: int
    outcome: ReloadOutcome | None = None
    broke: str = ""  # how; the daemon's log has more


@dataclass(frozen=True, slots=True)
class End:
    """The last message: say farewell to whoever is connected."""


Told = Begin | News | Answer | End

# ---- the process's --------------------------------------------------------------------------------


class Said(BaseModel):
    """Anything the process says."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


What = Literal["halt", "resume", "close", "cancel", "reload"]


class Asked(Said):
    """Somebody wants something done; `Answer` has the same number."""

    type: Literal["asked"] = "asked"
    number: int
    what: What
    who: str
    reason: str = ""
    scope: str = ACCOUNT
    strategy: str = ""

    def command(self) -> TradingCommand:
        """Return what it asks of the trading loop."""
        return TradingCommand(
            verb=Verb(self.what),
            cause=Cause.COMMAND,
            who=self.who,
            reason=self.reason,
            scope=self.scope,
            strategy=self.strategy,
        )


class Shut(Said):
    """The books are open no more."""

    type: Literal["shut"] = "shut"


class Logged(Said):
    """A line for the daemon's log."""

    type: Literal["logged"] = "logged"
    name: str
    level: int
    message: str
    fields: dict[str, Any] = {}


_SAID: Final[TypeAdapter[Asked | Shut | Logged]] = TypeAdapter(
    Annotated[Asked | Shut | Logged, Field(discriminator="type")]
)


def packed(said: Asked | Shut | Logged) -> bytes:
    """Return what goes over the link."""
    return orjson.dumps(said.model_dump(), default=str)


def unpacked(message: bytes) -> Asked | Shut | Logged:
    """Return what was said. Raises ValueError where it is nothing that may be."""
    return _SAID.validate_json(message)


def log_line(line: Logged) -> None:
    """Have the daemon's log take a line of the process, as far as it takes such lines."""
    log = logging.getLogger(line.name)
    if log.isEnabledFor(line.level):
        record = log.makeRecord(line.name, line.level, "(api)", 0, "%s", (line.message,), None)
        vars(record).update({name: given for name, given in line.fields.items() if name not in vars(record)})
        log.handle(record)
