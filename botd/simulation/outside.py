"""The edge of a simulated loop: threads and signals it stands in for, and an outside that it has not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import Context
from typing import Any, Final, NoReturn, TypeVar, TypeVarTuple, Unpack

from botd.errors import InvariantBroken
from botd.simulation.steps import OWNER

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

EXECUTOR_DELAY_S: Final = (0.0001, 0.005)
UNIT: Final = 1.0 / (1 << 53)  # of 53 random bits


class NotSimulated(InvariantBroken):
    """Something was asked of the loop that a simulation cannot repeat."""


def refuse(what: str) -> NoReturn:
    """Raise NotSimulated: whatever it is would make every run another one."""
    raise NotSimulated(f"the simulated loop cannot use {what}: no run with it could be repeated")


class InsideLoop(asyncio.BaseEventLoop):
    """An event loop without threads, sockets, pipes, names, processes and tasks of another kind."""

    _thread_id: int | None

    def draw(self) -> int:
        """Return 64 random bits; the loop that is built on this one says where they come from."""
        raise NotImplementedError

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Call a function inline after a virtual delay; one that was asked for runs, awaited or not."""
        if executor is not None:
            refuse("an executor of its own")
        done: asyncio.Future[T] = self.create_future()

        def call() -> None:
            try:
                result = func(*args)
            except Exception as error:
                if not done.cancelled():
                    done.set_exception(error)
            else:
                if not done.cancelled():
                    done.set_result(result)

        low, high = EXECUTOR_DELAY_S
        self.call_later(low + (high - low) * (self.draw() >> 11) * UNIT, call)
        return done

    def add_signal_handler(self, sig: int, callback: Callable[[Unpack[Ts]], object], *args: *Ts) -> None:
        owner = OWNER.get()
        if owner is None:
            refuse("a real signal")
        owner.handlers[sig] = (callback, args)

    def remove_signal_handler(self, sig: int) -> bool:
        owner = OWNER.get()
        return owner is not None and owner.handlers.pop(sig, None) is not None

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        if self._thread_id not in (None, threading.get_ident()):
            self.call_exception_handler({"message": "a real thread called the simulated loop"})
            refuse("a thread")
        return self.call_soon(callback, *args, context=context)

    def set_task_factory(self, factory: object) -> None:
        if factory is not None:
            refuse("another kind of task")

    async def create_connection(self, *args: Any, **options: Any) -> NoReturn:
        refuse("sockets")

    async def create_server(self, *args: Any, **options: Any) -> NoReturn:
        refuse("sockets")

    async def create_datagram_endpoint(self, *args: Any, **options: Any) -> NoReturn:
        refuse("sockets")

    async def getaddrinfo(self, *args: Any, **options: Any) -> NoReturn:
        refuse("name resolution")

    async def getnameinfo(self, *args: Any, **options: Any) -> NoReturn:
        refuse("name resolution")

    async def subprocess_exec(self, *args: Any, **options: Any) -> NoReturn:
        refuse("other processes")

    async def subprocess_shell(self, *args: Any, **options: Any) -> NoReturn:
        refuse("other processes")

    async def connect_read_pipe(self, *args: Any, **options: Any) -> NoReturn:
        refuse("pipes")

    async def connect_write_pipe(self, *args: Any, **options: Any) -> NoReturn:
        refuse("pipes")
