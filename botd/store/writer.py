"""The journal in a thread of its own: the event loop waits for the disk without standing still."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from botd.failpoints import Point, failpoint
from botd.ports import Batch, Journal

T = TypeVar("T")

QUEUE_MAX: Final = 1024

_Work = tuple[Callable[[], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class WriterThread:
    """Runs one journal, which it owns from here on, in call order.

    After the first failure nothing more is written: every later call raises that failure, because
    what follows a lost transaction must not look as if it had not been lost. A caller that is
    cancelled while it waits learns nothing: its batch may be on disk, and has to be read again.
    """

    def __init__(self, journal: Journal, *, queue_max: int = QUEUE_MAX) -> None:
        self._journal = journal
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._slots = asyncio.Semaphore(queue_max)
        self._failure: BaseException | None = None
        self._closed: asyncio.Future[None] | None = None
        # A daemon thread: a process that does not close must still be able to exit, as in a crash.
        self._thread = threading.Thread(target=self._run, name="botd-writer", daemon=True)
        self._thread.start()

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
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._queue.put((lambda: function(*args, **kwargs), done, loop))
        return await done

    async def close(self) -> None:
        """Write what was asked so far, close the journal and end the thread. May be called again."""
        if self._closed is None:
            loop = asyncio.get_running_loop()
            self._closed = loop.create_future()
            self._queue.put((self._journal.close, self._closed, loop))
            self._queue.put(None)
        await asyncio.shield(self._closed)
        self._thread.join()

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            function, done, loop = work
            failpoint(Point.WRITER_BEFORE)
            result: Any = None
            error = self._failure if done is not self._closed else None
            if error is None:
                try:
                    result = function()
                except BaseException as raised:  # whatever it is, the caller must hear of it
                    self._failure = error = raised
            failpoint(Point.WRITER_AFTER)
            try:
                loop.call_soon_threadsafe(self._deliver, done, result, error)
            except RuntimeError:  # the loop is closed, nobody waits any more
                continue

    def _deliver(self, done: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        if done is not self._closed:
            self._slots.release()
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)
