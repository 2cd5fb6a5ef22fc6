"""What the daemon has of the machine that it runs on, in one place: a simulation gives it another one."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from botd.config.folder import BotFolder
from botd.config.loader import load_plan
from botd.config.plan import Plan
from botd.core.bot import Bot
from botd.core.records import Record
from botd.ports import Batch, Journal
from botd.reception import Api, ApiNeeds, MachineClock, NoApi
from botd.runtime.brake import Brake
from botd.runtime.clock import WallClock
from botd.runtime.control import ControlFiles
from botd.runtime.lock import StateLock
from botd.runtime.schedule import Alert, JobDue, JobSpec, build_schedule
from botd.runtime.shutdown import StopRequest, stop_on_signals
from botd.runtime.watchdog import Watchdog
from botd.store.fsck import Report, examine
from botd.store.journal import SqliteJournal, open_state
from botd.store.writer import WriterThread
from botd.venues.book import SqliteVenueBook

T = TypeVar("T")


class JournalWriter(Protocol):
    """Owns a journal and calls it in the order it is asked; `store.writer` says what is promised."""

    async def commit(self, batch: Batch) -> None: ...

    async def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T: ...

    async def close(self) -> None: ...


class Watch(Protocol):
    """What watches over the daemon between entering and leaving `with`; see `runtime.watchdog`."""

    hold_on_stall: bool

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def on_reload(self, ask: Callable[[str], object] | None) -> None: ...

    def leave(self) -> None: ...

    def lag_s(self) -> float:
        """Return how late the event loop is now; from any thread."""
        ...

    def follow(self, loop: asyncio.AbstractEventLoop) -> AbstractContextManager[None]: ...


class Timetable(Protocol):
    """Puts a JobDue into `due` whenever a job comes due; see `runtime.schedule`."""

    due: asyncio.Queue[JobDue]

    def run(self) -> Coroutine[Any, Any, None]: ...

    def go_by(self, jobs: Iterable[JobSpec]) -> None:
        """Keep the times of other jobs from here on."""
        ...


def open_api(plan: Plan, needs: ApiNeeds) -> Api:
    """Take the address that a plan names, which may be none; raise InputInvalid where it cannot be had."""
    from botd.serving import DaemonApi, settings_of

    settings = settings_of(plan.api, os.environ)
    return NoApi() if settings is None else DaemonApi(settings, needs, os.environ)


class Display(Protocol):
    """What people see of the daemon; see `runtime.terminal`."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def begin(self, *, session: str, feed: str) -> None: ...

    def say(self, line: str) -> None: ...

    def update(self, records: Sequence[Record], *, announce: bool = True) -> None: ...

    def after_lines(self, then: Callable[[], None]) -> None:
        """Call a function once all that was said before is written."""
        ...

    def observe(self, bot: Bot, ts_us: int) -> None: ...

    def summary(self) -> str: ...


def read_plan(files: Mapping[str, str]) -> Plan:
    """Build the plan that a bot's files say, given as texts by name. Raises ConfigInvalid."""
    with tempfile.TemporaryDirectory(prefix="botd-") as folder:
        for name, text in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
        return load_plan(Path(folder), kept=True)


def new_token() -> str:
    """Return what tells one session's id from that of another begun in the same second."""
    return secrets.token_hex(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The real one, where nothing else is said."""

    clock: MachineClock = field(default_factory=WallClock)
    lock: Callable[[Path], AbstractContextManager[object]] = StateLock
    open_journal: Callable[[Path], SqliteJournal] = open_state
    open_book: Callable[[Path, str], SqliteVenueBook] = SqliteVenueBook
    start_writer: Callable[[Journal], JournalWriter] = WriterThread
    watch: Callable[[Brake, ControlFiles, MachineClock], Watch] = Watchdog
    stop_on_signals: Callable[[StopRequest], AbstractContextManager[None]] = stop_on_signals
    schedule: Callable[[Iterable[JobSpec], Alert], Timetable] = build_schedule
    open_api: Callable[[Plan, ApiNeeds], Api] = open_api
    read_plan: Callable[[Mapping[str, str]], Plan] = read_plan
    examine: Callable[..., Report] = examine  # the books, at a start
    new_token: Callable[[], str] = new_token
    open_folder: Callable[[Path, Iterable[str]], BotFolder] = BotFolder
    snapshot_every_us: int = 60_000_000
