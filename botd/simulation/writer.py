"""The writer without its thread: the journal is called on the loop, as late as a disk would let it be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from botd.failpoints import Point, failpoint
from botd.ports import Batch, Journal
from botd.simulation.chance import Stream
from botd.store.writer import QUEUE_MAX

T = TypeVar("T")

_Work = tuple[Callable[[], Any], "asyncio.Future[Any]"]

# Of a commit with full durability, as measured: half of them take 4 ms, one in a hundred 20 ms or more.
_COMMIT_S: Final = (0.002, 0.006)
_SLOW_COMMIT_S: Final = (0.02, 0.16)
_SLOW_ONE_IN: Final = 100


def commit_latency(draws: Stream) -> Callable[[], float]:
    """Return what draws how long a commit takes."""
    return lambda: draws.span(*(_COMMIT_S if draws.below(_SLOW_ONE_IN) else _SLOW_COMMIT_S))


class InlineWriter:
    """botd.store.writer.WriterThread for the simulation: the same calls, the same promises.

    It is a task of the process that makes it. A call happens in the middle of its latency, so that a process
    can die, and a caller be cancelled, before it and after it.
    """

    def __init__(
        self, journal: Journal, *, latency_s: Callable[[], float], queue_max: int = QUEUE_MAX
    ) -> None:
        self._journal = journal
        self._latency_s = latency_s
        self._queue: asyncio.Queue[_Work | None] = asyncio.Queue()
        self._slots = asyncio.Semaphore(queue_max)
        self._failure: BaseException | None = None
        self._closed: asyncio.Future[None] | None = None
        self._task = asyncio.create_task(self._run(), name="writer")

    @property
    def failure(self) -> BaseException | None:
        """The exception that stopped the writing, if any."""
        return self._failure

    async def commit(self, batch: Batch) -> None:
        """Write one transaction; return when it is on disk."""
        await self.call(self._journal.commit, batch)

    async def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a method of the journal after everything asked before it; return what it returns."""
        await self._slots.acquire()
        if self._failure is not None or self._closed is not None:
            self._slots.release()
            raise self._failure or RuntimeError("the writer is closed")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((lambda: function(*args, **kwargs), done))
        return await done

    async def close(self) -> None:
        """Write what was asked so far, close the journal and end the task. May be called again."""
        if self._closed is None:
            self._closed = asyncio.get_running_loop().create_future()
            self._queue.put_nowait((self._journal.close, self._closed))
            self._queue.put_nowait(None)
        await asyncio.shield(self._closed)
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while (work := await self._queue.get()) is not None:
            function, done = work
            latency_s = self._latency_s()
            await asyncio.sleep(latency_s / 2)
            failpoint(Point.WRITER_BEFORE)
            result: Any = None
            error = self._failure if done is not self._closed else None
            if error is None:
                try:
                    result = function()
                except Exception as raised:
                    self._failure = error = raised
            failpoint(Point.WRITER_AFTER)
            await asyncio.sleep(latency_s / 2)
            if done is not self._closed:
                self._slots.release()
            if done.cancelled():
                continue
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)
