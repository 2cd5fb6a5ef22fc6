"""Simulated machines and the processes that live and die on them.

Everything that is started in a process belongs to it and ends with it, between two steps or in the middle of
one. What is to happen afterwards, such as the next start, is arranged by code outside of it.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVarTuple, Unpack

from botd.errors import InvariantBroken
from botd.failpoints import Point, watcher
from botd.simulation.chance import Chance, Site
from botd.simulation.clock import VirtualClock
from botd.simulation.disk import Disk
from botd.simulation.loop import VirtualLoop
from botd.simulation.remains import Stack
from botd.simulation.steps import OWNER, Step, Timer

DEATH: Final = Site("process.death", 0.5)

Ts = TypeVarTuple("Ts")

Main = Callable[["Process"], Coroutine[Any, Any, object]]


class EndCause(StrEnum):
    """How a process ended."""

    RETURNED = "returned"
    FAILED = "failed"
    KILLED = "killed"
    POWER_LOST = "power_lost"


@dataclass(frozen=True, slots=True)
class End:
    """How a process ended, and with what."""

    cause: EndCause
    result: object = None
    error: BaseException | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """When a process is to die: before its n-th step, or the n-th time it gets to a point, or to any."""

    step: int | None = None
    point: Point | None = None
    nth: int = 1
    power: bool = False  # the machine goes down with it

    def __post_init__(self) -> None:
        if self.step is not None and (self.point is not None or self.nth != 1):
            raise InvariantBroken("a process dies before a step or at a point, not both")


def draw_death(chance: Chance) -> Death | None:
    """Let chance decide whether and when a process that starts now is to die: mostly soon."""
    fault = chance.hit(DEATH.name)
    if fault is None:
        return None
    power = fault.below(4) == 0
    if fault.below(2):
        return Death(step=fault.magnitude(12), power=power)
    return Death(nth=fault.magnitude(6), power=power)


class Process:
    """One run of a program on a host, from its start to its end."""

    def __init__(self, host: Host, number: int, *, skew_us: int, death: Death | None) -> None:
        self.host = host
        self.number = number
        self.label = f"{host.name}.{number}"
        self.alive = True
        self.handlers: dict[int, tuple[Callable[..., object], tuple[Any, ...]]] = {}
        self.clock = VirtualClock(host.loop, skew_us=skew_us)
        self.steps = 0
        self.reached: Counter[Point] = Counter()
        self.died_at: Point | None = None
        self.ended: asyncio.Future[End] = host.loop.create_future()
        self._loop = host.loop
        self._death = death
        self._death_step = death.step if death is not None else None
        self._stack = Stack()
        host.loop.remains.keep_stack(self._stack)
        self._context = Context()  # a new process inherits nothing
        self._context.run(OWNER.set, self)
        self._context.run(watcher.set, self._reach)

    def start(self, main: Main) -> None:
        """Begin to run; the host does this."""
        self._loop.create_task(self._run_main(main), name="main", context=self._context)

    def run(self, step: Step | Timer) -> None:
        """Run a step of its own; the loop does this."""
        self.steps += 1
        if self.steps == self._death_step:
            self._loop.remains.keep(step)
            self._die()
        else:
            self._stack.run(step)

    def kill(self, *, power: bool = False) -> None:
        """End it here and now: nothing of it runs on. Does not return to where it is what runs."""
        if not self.alive:
            return
        standing = self._stack.runs_here
        self._end(End(EndCause.POWER_LOST if power else EndCause.KILLED))
        if standing:
            self._stack.leave()

    def doom(self, death: Death) -> None:
        """Let it die at a point that it has not come to yet, in place of what was drawn for it."""
        self._death, self._death_step = death, None

    def spare(self) -> None:
        """Let it live: the death that was drawn for it does not come."""
        self._death, self._death_step = None, None

    def signal(self, number: int) -> None:
        """Send it a signal: its handler is called in its next step; without one it dies."""
        if not self.alive:
            return
        handler = self.handlers.get(number)
        if handler is None or number == signal.SIGKILL:
            self.kill()
        else:
            callback, args = handler
            self.call(callback, *args)

    def call(self, callback: Callable[[Unpack[Ts]], object], *args: *Ts) -> None:
        """Call a function in a step of its own."""
        self._loop.call_soon(callback, *args, context=self._context)

    def _die(self) -> None:
        self.kill(power=self._death is not None and self._death.power)

    def _reach(self, point: Point) -> None:
        if not self.alive:
            return
        self.reached[point] += 1
        death = self._death
        if death is None or death.step is not None or death.point not in (None, point):
            return
        count = self.reached.total() if death.point is None else self.reached[point]
        if count == death.nth:
            self.died_at = point
            self._die()

    async def _run_main(self, main: Main) -> None:
        try:
            end = End(EndCause.RETURNED, result=await main(self))
        except BaseException as error:  # whatever it is, it ends this process and no other
            end = End(EndCause.FAILED, error=error)
        if self.alive:
            await self._end_rest()
            self._end(end)

    async def _end_rest(self) -> None:
        """Cancel what main has left running and close what it has left open, as asyncio.run does."""
        rest = [task for task in self._loop.tasks_of(self) if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        for task in rest:
            if not task.cancelled() and (error := task.exception()) is not None:
                message = f"{task.get_name()} failed while its process ended"
                self._loop.call_exception_handler({"message": message, "exception": error, "task": task})
        generators = self._loop.generators_of(self)
        await asyncio.gather(*(agen.aclose() for agen in generators), return_exceptions=True)

    def _end(self, end: End) -> None:
        self.alive = False
        self._loop.note(f"{self.label} {end.cause}")
        self._loop.drop(self)
        self.host.forget(power=end.cause is EndCause.POWER_LOST)
        self.ended.set_result(end)


class Host:
    """A machine: its disk, if it has one, and the process that runs on it."""

    def __init__(self, loop: VirtualLoop, name: str, *, disk: Disk | None = None) -> None:
        self.loop = loop
        self.name = name
        self.disk = disk
        self.process: Process | None = None
        self.starts = 0

    def boot(self, main: Main, *, skew_us: int = 0, death: Death | None = None) -> Process:
        """Start a program. Nothing of what ran before on this host can reach into it."""
        if OWNER.get() is not None:
            raise InvariantBroken(f"host {self.name} is started from inside a process: it would die with it")
        if self.process is not None:
            raise InvariantBroken(f"host {self.name} runs {self.process.label} already")
        self.starts += 1
        self.process = Process(self, self.starts, skew_us=skew_us, death=death)
        self.loop.note(f"{self.process.label} {skew_us}")
        self.process.start(main)
        return self.process

    def forget(self, *, power: bool) -> None:
        """Take note that its process has ended."""
        self.process = None
        if self.disk is not None:
            self.disk.survive(power=power)
