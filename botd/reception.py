"""What a daemon and its HTTP API are to each other; neither needs the other's insides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from botd.api.routes import ReloadDesk
from botd.config.plan import Plan
from botd.core.bot import Bot
from botd.core.records import Record
from botd.ports import Clock
from botd.runtime.brake import Brake
from botd.runtime.control import ControlFiles


class MachineClock(Clock, Protocol):
    """Wall time, and a time that only ever grows."""

    def monotonic(self) -> float: ...


class Api(Protocol):
    """What other programs see of the daemon, between entering and leaving `with`; see `serving`.

    It is told what happens, in the trading thread, and never makes that wait.
    """

    address: str  # where it listens, empty for nowhere

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def books(self, *, open: bool) -> None:
        """The state file can be read from here on, or no more: its writer has to close it last."""
        ...

    def begin(self, session_id: str) -> None:
        """A session is open, and can be asked about."""
        ...

    def trades(self, on: bool) -> None:
        """Rows are judged as they come, from here on or no more."""
        ...

    def heard(self, records: Sequence[Record]) -> None:
        """These are on disk."""
        ...

    def observe(self, bot: Bot, ts_us: int) -> None:
        """Rows up to an event time are judged; the bot stands between two blocks."""
        ...

    def committed(self, seconds: float) -> None:
        """A group took so long to be on disk."""
        ...


class NoApi:
    """An API that nobody can call."""

    address = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def books(self, *, open: bool) -> None: ...

    def begin(self, session_id: str) -> None: ...

    def trades(self, on: bool) -> None: ...

    def heard(self, records: Sequence[Record]) -> None: ...

    def observe(self, bot: Bot, ts_us: int) -> None: ...

    def committed(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiNeeds:
    """What an API needs of its daemon; functions are called from any thread."""

    brake: Brake
    files: ControlFiles
    clock: MachineClock
    lag_s: Callable[[], float]
    plan: Callable[[], Plan]  # that trades
    reload: Callable[[], ReloadDesk | None]
