"""The daemon's tasks: named, in one group, none of which can die unseen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self

from botd.errors import InvariantBroken
from botd.ports import Clock

log = logging.getLogger(__name__)

TaskFactory = Callable[[], Coroutine[Any, Any, object]]
Alert = Callable[[str, str], None]  # (task name, message)

STEADY_US: Final = 60_000_000  # a task that ran this long has recovered from its earlier failures


class Supervisor:
    """Run tasks inside `async with`; leaving it waits for them.

    A task is critical unless it may be restarted: its failure stops every other task and is raised, as
    itself, where the block ends. Restartable tasks come back after a growing pause; one that fails more
    often than allowed is given up and `alert` is told. Once the block has been left and the last
    critical task has ended, the restartable ones are stopped.
    """

    def __init__(self, clock: Clock, alert: Alert) -> None:
        self._clock = clock
        self._alert = alert
        self._group = asyncio.TaskGroup()
        self._critical: set[asyncio.Task[None]] = set()
        self._restartable: set[asyncio.Task[None]] = set()
        self._failure: Exception | None = None
        self._left = False
        self._stopping = False

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left = True
        self._end_if_done()
        failure: BaseException | None = None
        try:
            await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            failure = self._failure or error or group
        if failure is not None and failure is not error:
            raise failure  # outside of the handler: the group adds nothing to it

    def start(
        self,
        name: str,
        factory: TaskFactory,
        *,
        restarts: int = 0,
        backoff_s: float = 0.5,
        backoff_max_s: float = 30.0,
    ) -> asyncio.Task[None]:
        """Start a task; with `restarts` it may fail that often in a row, pausing twice as long each time."""
        if self._stopping:
            raise InvariantBroken(f"task {name} is started while everything stops")
        if restarts:
            work = self._run_again(name, factory, restarts, backoff_s, backoff_max_s)
        else:
            work = self._run(name, factory)
        task = self._group.create_task(work, name=name)
        tasks = self._restartable if restarts else self._critical
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(lambda _: self._end_if_done())
        return task

    def stop(self) -> None:
        """Cancel every task; leaving the block waits until they have ended."""
        self._stopping = True
        for task in [*self._critical, *self._restartable]:
            if not task.cancelling():  # a second time would cut its cleaning up short
                task.cancel()

    def _end_if_done(self) -> None:
        if self._left and not self._critical and not self._stopping:
            self.stop()

    async def _run(self, name: str, factory: TaskFactory) -> None:
        try:
            await factory()
        except Exception as error:
            if self._failure is None:
                self._failure = error
                log.error("task failed, everything stops", extra={"task": name, "error": describe(error)})
            else:
                self._failure.add_note(f"while stopping, task {name} failed too: {describe(error)}")
            raise

    async def _run_again(
        self, name: str, factory: TaskFactory, restarts: int, backoff_s: float, backoff_max_s: float
    ) -> None:
        failures = 0
        while True:
            started_us = self._clock.now_us()
            try:
                await factory()
                return
            except Exception as error:  # whatever it is, this task may not take the others with it
                if self._stopping:  # it was cancelled, and failed in place of ending
                    log.warning("task failed while everything stops", exc_info=error, extra={"task": name})
                    return
                if self._clock.now_us() - started_us >= STEADY_US:
                    failures = 0
                failures += 1
                if failures > restarts:
                    log.error("task given up", exc_info=error, extra={"task": name})
                    self._alert(name, f"task {name} failed {failures} times in a row: {describe(error)}")
                    return
                pause_s = min(backoff_s * 2 ** (failures - 1), backoff_max_s)
                log.warning(
                    "task failed, starting it again", exc_info=error, extra={"task": name, "pause_s": pause_s}
                )
            await asyncio.sleep(pause_s)


def describe(error: BaseException) -> str:
    """Return an exception's type and text on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
