"""What the simulated loop runs: handles, tasks and futures that depend on the run's history and nothing else.

A stock task or future hashes by its address, so the order of a set of them is the allocator's; these hash by
a serial number. A stock task is named by a count of the interpreter; these are named by what they run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar
from typing import Any, Final, Protocol, TypeVar, cast

from botd.feeds.chance import pick

T = TypeVar("T")


class Owner(Protocol):
    """A simulated process, as the loop sees it: it runs its own steps, or does not any more."""

    label: str
    alive: bool
    handlers: dict[int, tuple[Callable[..., object], tuple[Any, ...]]]  # by the number of a signal

    def run(self, step: Step | Timer) -> None:
        """Run a step that belongs to it."""
        ...


# Whoever runs: set in the context that a process starts with, and carried on by everything started in it.
OWNER: Final[ContextVar[Owner | None]] = ContextVar("owner", default=None)


class VirtualFuture(asyncio.Future[T]):
    """A stock future with a hash that is the same in every run."""

    def __init__(self, *, loop: asyncio.AbstractEventLoop, serial: int) -> None:
        self.serial = serial
        self.owner = OWNER.get()
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self.serial


class VirtualTask(asyncio.Task[T]):
    """A stock task with a hash, a name and a stream of draws that are the same in every run."""

    def __init__(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        loop: asyncio.AbstractEventLoop,
        title: str,
        make_tag: Callable[[str], tuple[str, int]],
        context: Context | None,
        owner: Owner | None,
        serial: int,
    ) -> None:
        """`make_tag` returns for a title a tag, as unique as it is repeatable, and the key of its draws."""
        self.serial = serial  # first of all: a task puts itself into a set
        self.owner = owner
        self._make_tag = make_tag
        self.tag, self._key = make_tag(self._title(title))
        self._drawn = 0
        task = cast("Coroutine[Any, Any, T]", coro)  # of a generator Python 3.11 makes a task as well
        super().__init__(task, loop=loop, name=title, context=context)

    def __hash__(self) -> int:
        return self.serial

    def set_name(self, value: object) -> None:
        super().set_name(value)
        self.tag, self._key = self._make_tag(self._title(str(value)))

    def _title(self, name: str) -> str:
        return f"{self.owner.label}:{name}" if self.owner else name

    def draw(self) -> int:
        """Return the next 64 bits of this task's own stream: what others draw never shifts it."""
        self._drawn += 1
        return pick(self._key, self._drawn)

    def place(self) -> str:
        """Say where the task stands, as file:line in function: outside of asyncio, where that can be."""
        found = "nowhere"
        waiting: Any = self.get_coro()
        while waiting is not None:
            frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
            if frame is not None and (found == "nowhere" or "/asyncio/" not in frame.f_code.co_filename):
                file = frame.f_code.co_filename.rpartition("/")[2]
                found = f"{file}:{frame.f_lineno} in {frame.f_code.co_qualname}"
            waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)
        return found


class Step(asyncio.Handle):
    """One callback in the run queue, with whose it is and how many task steps may still overtake it."""

    __slots__ = ("owner", "rank", "task")
    _context: Context
    _callback: Callable[..., object]
    _cancelled: bool
    _run: Callable[[], None]

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: Context | None,
    ) -> None:
        super().__init__(callback, args, loop, context)
        self.owner: Owner | None = self._context.get(OWNER)
        self.task = stepped(callback)
        self.rank = 0


class Timer(asyncio.TimerHandle):
    """One callback at a time, with whose it is. It is never a task's own step, and nothing overtakes it."""

    __slots__ = ("owner", "rank", "task")
    _context: Context
    _callback: Callable[..., object]
    _cancelled: bool
    _run: Callable[[], None]
    _when: float
    _scheduled: bool

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: Context | None,
    ) -> None:
        super().__init__(when, callback, args, loop, context)
        self.owner: Owner | None = self._context.get(OWNER)
        self.task: VirtualTask[Any] | None = None
        self.rank = 0


def stepped(callback: Callable[..., object]) -> VirtualTask[Any] | None:
    """Return the task that a callback moves on by a step, None for any other callback."""
    task = getattr(callback, "__self__", None)
    if type(task) is not VirtualTask:
        return None
    # A task hands the loop two private callbacks; `call_soon(task.cancel)` is a callback like any other.
    return None if hasattr(asyncio.Task, getattr(callback, "__name__", "")) else task


def tag_of(step: Step | Timer) -> str:
    """Name what a step runs, the same in every run."""
    if step.task is not None:
        return step.task.tag
    name = getattr(step._callback, "__qualname__", type(step._callback).__name__)
    return f"{step.owner.label}:{name}" if step.owner else name
