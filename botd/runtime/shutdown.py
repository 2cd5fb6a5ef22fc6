"""Stopping: what the signals ask for, and the stages that the daemon ends in, each with its limit."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

from botd.errors import BotdError, UnresolvedOrders
from botd.failpoints import Point, failpoint
from botd.runtime.supervisor import describe

log = logging.getLogger(__name__)

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
CANCEL_GRACE_S: Final = 0.5  # what a late stage gets to clean up


class StopRequest:
    """Whether to stop. Asked once: in order; asked again: at once, without waiting for the outside."""

    def __init__(self) -> None:
        self._orderly = asyncio.Event()
        self._at_once = asyncio.Event()
        self.cause = ""  # of the first request

    @property
    def requested(self) -> bool:
        return self._orderly.is_set()

    @property
    def at_once(self) -> bool:
        return self._at_once.is_set()

    def ask(self, cause: str) -> None:
        """Ask for a stop; the second time it becomes urgent."""
        if self._orderly.is_set():
            log.warning("asked again to stop: waiting for nothing more", extra={"cause": cause})
            self._at_once.set()
            return
        self.cause = cause
        log.info("stop requested", extra={"cause": cause})
        self._orderly.set()

    def check(self) -> None:
        """Raise KeyboardInterrupt if a stop is asked for: where there is nothing yet to stop in order."""
        if self.requested:
            raise KeyboardInterrupt(self.cause)

    async def wait(self) -> None:
        """Return when a stop is asked for."""
        await self._orderly.wait()

    async def wait_at_once(self) -> None:
        """Return when a stop is asked for a second time."""
        await self._at_once.wait()


@contextmanager
def note_signals(request: StopRequest) -> Iterator[None]:
    """Turn SIGINT and SIGTERM into stop requests while no event loop listens yet, or none any more.

    They raise nothing: Python drops what is raised into a destructor or a callback, and prints it. What takes
    long asks `request.check()` now and then. The third signal ends the process.
    """

    def asked(number: int, _frame: FrameType | None) -> None:
        request.ask(signal.Signals(number).name)
        if request.at_once:
            for one in SIGNALS:
                signal.signal(one, signal.SIG_DFL)

    before = {number: signal.signal(number, asked) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: it was set by something other than Python
                signal.signal(number, handler)


@contextmanager
def stop_on_signals(request: StopRequest) -> Iterator[None]:
    """Turn SIGINT and SIGTERM into stop requests, in the running loop of the main thread.

    The third signal finds the system's own handling, so that it ends the process even where the loop is
    stuck. What handled the signals before does so again afterwards.
    """
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def asked(number: signal.Signals) -> None:
        request.ask(number.name)
        if request.at_once:
            for one in SIGNALS:
                loop.remove_signal_handler(one)
                signal.signal(one, signal.SIG_DFL)

    for number in SIGNALS:
        loop.add_signal_handler(number, asked, number)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            if handler is not None:  # None: it was set by something other than Python
                signal.signal(number, handler)


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of stopping. An `essential` one also runs when a second request cuts the others short."""

    name: str
    action: Callable[[], Coroutine[Any, Any, object]]
    limit_s: float
    essential: bool = False


@dataclass(frozen=True, slots=True)
class StopReport:
    """How the stages ended."""

    done: tuple[str, ...]
    late: tuple[str, ...]
    skipped: tuple[str, ...]  # after a second request, or once the ceiling was reached
    failed: tuple[tuple[str, Exception], ...]

    @property
    def exit_code(self) -> int:
        """Return 0 when every stage ended in time and well."""
        if self.failed:
            error = self.failed[0][1]
            return error.exit_code if isinstance(error, BotdError) else 1
        return UnresolvedOrders.exit_code if self.late or self.skipped else 0

    def describe(self) -> str:
        """Return one line for people."""
        parts = [f"{name} failed ({describe(error)})" for name, error in self.failed]
        if self.late:
            parts.append(f"too late: {', '.join(self.late)}")
        if self.skipped:
            parts.append(f"skipped: {', '.join(self.skipped)}")
        return "; ".join(parts) or "stopped in order"


class Stages:
    """Steps of stopping, one after the other. A late or failed one never keeps the next from running."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = tuple(stages)

    async def run(self, *, ceiling_s: float, request: StopRequest | None = None) -> StopReport:
        """Run every stage within its limit and all of them within the ceiling."""
        ceiling = asyncio.create_task(asyncio.sleep(ceiling_s), name="stop ceiling")
        hurry = asyncio.create_task((request or StopRequest()).wait_at_once(), name="stop at once")
        done: list[str] = []
        late: list[str] = []
        skipped: list[str] = []
        failed: list[tuple[str, Exception]] = []
        try:
            for stage in self._stages:
                urgent = request is not None and request.at_once
                if ceiling.done() or (urgent and not stage.essential):
                    skipped.append(stage.name)
                    log.warning("stop stage skipped", extra={"stage": stage.name})
                    continue
                failpoint(Point.STAGE_BEFORE)
                log.info("stop stage", extra={"stage": stage.name, "limit_s": stage.limit_s})
                try:
                    in_time = await _run_stage(stage, {ceiling} if stage.essential else {ceiling, hurry})
                except Exception as error:  # the stages after it still have to run
                    log.error("stop stage failed", exc_info=error, extra={"stage": stage.name})
                    failed.append((stage.name, error))
                    continue
                failpoint(Point.STAGE_AFTER)
                (done if in_time else late).append(stage.name)
                if not in_time:
                    log.error("stop stage late", extra={"stage": stage.name, "limit_s": stage.limit_s})
        finally:
            ceiling.cancel()
            hurry.cancel()
        return StopReport(tuple(done), tuple(late), tuple(skipped), tuple(failed))


async def _run_stage(stage: Stage, ends: set[asyncio.Task[None]]) -> bool:
    """Run a stage until it, its limit or one of `ends` is over; say whether it ended by itself."""
    task: asyncio.Task[object] = asyncio.create_task(stage.action(), name=f"stop: {stage.name}")
    try:
        await asyncio.wait({task, *ends}, timeout=stage.limit_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        in_time = task.done() and not task.cancelled()
        if not in_time:
            task.cancel()
            task.add_done_callback(_retrieve)
    if in_time:
        task.result()
        return True
    await asyncio.wait({task}, timeout=CANCEL_GRACE_S)  # one that does not end even now is left behind
    return False


def _retrieve(task: asyncio.Task[object]) -> None:
    """Look at the outcome of a stage that nobody waits for any more, or asyncio complains about it."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("late stop stage failed", extra={"stage": task.get_name(), "error": describe(error)})
