"""What a killed process leaves: code that stands where it died, and must never run on.

A process that dies runs no `finally` and no `except`. Python would run them: it throws GeneratorExit into a
coroutine that nobody holds any more. So whatever a killed process left is held until the loop ends and closed
then without running a line of it: at the recursion limit no frame can be entered, so that closing a coroutine
ends it where it stands.

A process can also die in the middle of a synchronous call, which no coroutine can leave. Its steps therefore
run on a stack of their own (a greenlet), which is left standing. Such a stack cannot be closed without
unwinding it: that happens when the loop has ended, and nothing listens to what its handlers do.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings
from collections.abc import Iterable, Sequence
from types import AsyncGeneratorType, CoroutineType, GeneratorType, MethodType
from typing import Any, Final, Protocol

import greenlet

from botd.errors import InvariantBroken

_SUSPENDED: Final = (CoroutineType, GeneratorType, AsyncGeneratorType)
# What stands between a frame and the generator it waits for, by the interpreter's names for them.
_BETWEEN: Final = frozenset({"async_generator_asend", "async_generator_athrow", "anext_awaitable"})
_LEVELS_MAX: Final = 2  # frames below the limit that still cannot enter another


class Runs(Protocol):
    """A handle of the loop."""

    def _run(self) -> None: ...


class Stack:
    """A stack that steps run on, and that can be left standing in the middle of one."""

    def __init__(self) -> None:
        self._worker: greenlet.greenlet | None = None
        self.task: asyncio.Task[Any] | None = None  # whose step it was left in, if it was a task's

    def run(self, step: Runs) -> None:
        """Run a step, to its end or to where it is left standing, and this stack with it."""
        if self._worker is None or self._worker.dead:  # KeyboardInterrupt ends it
            self._worker = greenlet.greenlet(_serve)
        self._worker.switch(step)
        if self.task is not None:  # the loop would hold that task to be running still
            asyncio.tasks._leave_task(self.task.get_loop(), self.task)

    @property
    def runs_here(self) -> bool:
        """Whether the caller stands on this stack."""
        return self._worker is not None and greenlet.getcurrent() is self._worker

    def leave(self) -> None:
        """Leave the step that runs here where it stands, for ever. Never returns."""
        if self._worker is None or self._worker.parent is None:
            raise InvariantBroken("a step can be left standing on its own stack only")
        self.task = asyncio.current_task()
        self._worker.parent.switch()
        raise InvariantBroken("a killed process runs on")

    def unwind(self, loop: asyncio.AbstractEventLoop) -> None:
        """End it by force: what stands on it is thrown out, handlers included."""
        worker, self._worker = self._worker, None
        if worker is None:
            return
        if self.task is not None:
            asyncio.tasks._enter_task(loop, self.task)  # the step's own end will leave it
        while not worker.dead:  # once out of the step, once out of waiting for the next
            worker.throw(greenlet.GreenletExit)


def _serve(step: Runs) -> None:
    home = greenlet.getcurrent().parent
    while True:
        step._run()
        step = home.switch()


class Remains:
    """Holds what killed processes left, until it can be disposed of."""

    def __init__(self) -> None:
        self._things: list[object] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._stacks: list[Stack] = []

    def keep(self, *things: object) -> None:
        """Hold things that would run code if they were let go."""
        self._things.extend(things)

    def keep_tasks(self, tasks: Sequence[asyncio.Task[Any]]) -> None:
        """Hold tasks that will never be run again; no list of the loop's tasks has them any more."""
        for task in tasks:
            asyncio.tasks._unregister_task(task)
        self._tasks.extend(tasks)

    def keep_stack(self, stack: Stack) -> None:
        """Hold a stack of steps, left standing or not: nothing else sees what is on it and frees it."""
        self._stacks.append(stack)

    def dispose(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let everything go, with every task of the loop that has not ended."""
        while self._stacks:
            self._stacks.pop().unwind(loop)
        tasks = [*self._tasks, *asyncio.all_tasks(loop)]
        close_unrun(task.get_coro() for task in tasks)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a coroutine that a dead process never awaited
            self._things.clear()
            self._tasks.clear()
            tasks.clear()


def close_unrun(roots: Iterable[object]) -> None:
    """Close coroutines, and the generators that stand inside them, without running a line of theirs."""
    coroutines: list[CoroutineType[Any, Any, Any]] = []
    generators: list[GeneratorType[Any, Any, Any]] = []
    held: list[object] = list(roots)
    seen: set[int] = set()
    for thing in held:  # grows while it is walked
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, CoroutineType):
            coroutines.append(thing)
        elif isinstance(thing, GeneratorType):
            generators.append(thing)
        held.extend(_inside(thing))
    _close_at_the_limit(coroutines, generators, [_LEVELS_MAX])
    held.clear()  # not before, or destructors would find no room to run in


def _inside(thing: object) -> list[Any]:
    """Return what a suspended frame holds, and what stands between it and another one."""
    if isinstance(thing, _SUSPENDED) or type(thing).__name__ in _BETWEEN:
        return gc.get_referents(thing)
    if isinstance(thing, MethodType):  # a frame inside `with` holds the bound __exit__
        return [thing.__self__]
    if isinstance(thing, contextlib._GeneratorContextManagerBase):
        return [thing.gen]
    return []


def _close_at_the_limit(
    coroutines: list[CoroutineType[Any, Any, Any]],
    generators: list[GeneratorType[Any, Any, Any]],
    levels: list[int],
) -> None:
    """Recurse to the limit, and close everything there; what cannot be closed stays as it is.

    Which of the last frames has just enough room to call `close`, and too little for `close` to enter a
    frame, differs between versions of Python, so the last two try. Nothing else is called: nothing could be.
    """
    try:
        _close_at_the_limit(coroutines, generators, levels)
    except RecursionError:
        left = False
        for coroutine in coroutines:
            try:  # noqa: SIM105 - no function can be called here
                coroutine.close()
            except (RecursionError, ValueError):
                pass
            left = left or coroutine.cr_frame is not None
        for generator in generators:
            try:  # noqa: SIM105
                generator.close()
            except (RecursionError, ValueError):
                pass
            left = left or generator.gi_frame is not None
        levels[0] -= 1
        if left and levels[0]:
            raise
