"""The thread of the API: an event loop of its own, begun anew whenever it breaks. No trade waits for it."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

log = logging.getLogger(__name__)

BACKOFF_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
STOP_S: Final = 3.0  # what it gets to close its connections
WELL_S: Final = 60.0  # one that has served so long begins with the shortest wait again

Serve = Callable[[socket.socket, Callable[[], None]], Coroutine[Any, Any, None]]


class ServingThread:
    """Runs `make()` on a socket for as long as it is not stopped; the socket outlives what breaks."""

    def __init__(
        self,
        listening: socket.socket,
        make: Callable[[], Serve],
        *,
        monotonic: Callable[[], float],
        backoff_s: tuple[float, ...] = BACKOFF_S,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        """`pause` waits between two beginnings, and no longer than until it is stopped."""
        self.serving = threading.Event()
        self._listening = listening
        self._make = make
        self._monotonic = monotonic
        self._backoff_s = backoff_s
        self._stopping = threading.Event()
        self._pause = pause or self._stopping.wait
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="botd-api", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End it, and wait for a moment; what does not end by then ends with the process."""
        self._stopping.set()
        loop, task = self._loop, self._task
        if loop is not None and task is not None:
            with suppress(RuntimeError):  # it ends by itself
                loop.call_soon_threadsafe(task.cancel)
        if self._thread.is_alive():
            self._thread.join(STOP_S)
        self._listening.close()

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            began_s = self._monotonic()
            try:
                asyncio.run(self._serve())
            except asyncio.CancelledError:
                continue
            except Exception:
                failures = 0 if self._monotonic() - began_s > WELL_S else failures
                wait_s = self._backoff_s[min(failures, len(self._backoff_s) - 1)]
                failures += 1
                fields = {"wait_s": wait_s}
                log.critical("the API broke and begins anew; trading goes on", exc_info=True, extra=fields)
                self._pause(wait_s)
            finally:
                self.serving.clear()

    async def _serve(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        if not self._stopping.is_set():
            serve = self._make()
            with self._listening.dup() as listening:
                await serve(listening, self.serving.set)
