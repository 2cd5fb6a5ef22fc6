"""What a route is: the one table of them makes the router, the checks at the door and /openapi.json."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

from pydantic import BaseModel

from botd.api import asked
from botd.api.facts import Facts, Wire
from botd.api.settings import ApiSettings
from botd.core.reload import ReloadOutcome
from botd.core.restraint import TradingCommand

if TYPE_CHECKING:
    from botd.api.library import Library
    from botd.api.tally import Tally

ID: Final = "[A-Za-z0-9_-]{1,128}"
SYMBOL: Final = "[A-Za-z0-9]{1,20}/[A-Za-z0-9]{1,20}(:[A-Za-z0-9]{1,20})?"


class Clock(Protocol):
    """Wall time, and seconds that only ever grow."""

    def now_us(self) -> int: ...

    def monotonic(self) -> float: ...


class Controls(Protocol):
    """What the daemon does for people; from any thread. `then` is called once it is obeyed and on disk."""

    def halt(self, who: str, reason: str, then: Callable[[], None]) -> None: ...

    def resume(self, who: str, reason: str, then: Callable[[], None]) -> None: ...

    def ask(self, command: TradingCommand, then: Callable[[], None]) -> None: ...


class ReloadDesk(Protocol):
    """Brings the running plan to what the files say; from any thread."""

    def request(self, who: str) -> Future[ReloadOutcome]: ...

    def last(self) -> ReloadOutcome | None: ...

    def swapped_us(self) -> int | None:
        """Return when the running plan was swapped in; None where the process began with it."""
        ...


class Access(StrEnum):
    """Whom a route is for."""

    ANYBODY = "anybody"  # says nothing of the books
    VIEWER = "viewer"  # no token where reading is open
    TRADER = "trader"  # always a token


@dataclass(slots=True, kw_only=True)
class Context:
    """What every handler may use."""

    settings: ApiSettings
    clock: Clock
    facts: Facts
    wire: Wire
    tally: Tally
    library: Library
    controls: Controls
    reload: Callable[[], ReloadDesk | None]
    metrics: Callable[[], bytes] = bytes
    description: Callable[[], bytes] = bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, checked against its route."""

    who: str  # for the books: whose token, and from where
    path: Mapping[str, str] = field(default_factory=dict)
    query: Any = None  # an instance of the route's `query`
    body: Any = None  # an instance of the route's `body`


Reads = Callable[[Context, Call], BaseModel]
Does = Callable[[Context, Call], Awaitable["tuple[int, BaseModel]"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path. `reads` runs in a thread of the library, `does` on the API's event loop."""

    method: str
    path: str
    name: str
    about: str
    access: Access
    answer: type[BaseModel] | None = None  # None: text
    reads: Reads | None = None
    does: Does | None = None
    text: Callable[[Context], bytes] | None = None
    content_type: str = "application/json"
    query: type[BaseModel] = asked.NoQuery
    body: type[BaseModel] | None = None
    patterns: Mapping[str, str] = field(default_factory=dict)  # of the variables in the path
    fresh_s: float = 1.0  # how old an answer may be that is given again, where nothing was committed since
    statuses: Mapping[int, type[BaseModel]] = field(default_factory=dict)  # beside 200 and what all have
    counted: bool = True  # against the rate of commands
    sheds: bool = True  # refused where the trading loop is behind: it needs the machine more
