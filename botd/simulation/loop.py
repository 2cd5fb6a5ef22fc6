"""An event loop in which nothing is left to chance but what a seed decides.

* Time is virtual: when nothing is ready it jumps to the next timer. It never runs backwards.
* asyncio promises that callbacks run in the order in which they were scheduled, and that is kept. It says
  nothing about which of several runnable tasks goes on first: where task steps follow each other with no
  callback between them, a seed decides. It also orders timers less than a microsecond apart.
* Tasks, futures, timeouts, groups and queues are asyncio's own.
* What runs in the context of a simulated process belongs to it (`OWNER`), and vanishes with it.
* `run_in_executor` and `asyncio.to_thread` call the function inline, after a virtual delay. Real threads,
  sockets, pipes and processes are refused: nothing about them could be repeated.
* `digest` sums up every step, its virtual time and what ran: equal digests, equal runs.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import hashlib
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextvars import Context
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from struct import Struct
from typing import Any, Final, Generic, TypeVar, TypeVarTuple, Unpack
from weakref import WeakKeyDictionary

from botd.errors import InvariantBroken
from botd.feeds.chance import make_key, pick
from botd.simulation.outside import UNIT, InsideLoop, refuse
from botd.simulation.remains import Remains
from botd.simulation.steps import OWNER, Owner, Step, Timer, VirtualFuture, VirtualTask, tag_of

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

STEPS_MAX: Final = 20_000_000
OVERTAKEN_MAX: Final = 8  # task steps that one held back can be overtaken by
COLLECT_EVERY: Final = 1 << 18  # steps; the interpreter's own moments for it depend on more than the run

_JITTER_S: Final = 1e-6
_TIMERS_DEAD_MAX: Final = 100
_SHOWN_MAX: Final = 20
NAMES_MAX: Final = 4_096  # of tasks, and how many had each; many a task bears its order's id
_pack_time: Final = Struct("<d").pack


class Deadlock(InvariantBroken):
    """Nothing is ready and nothing is scheduled, and the main task has not ended."""


class StepsSpent(InvariantBroken):
    """The run took more steps than it was given."""


@dataclass(frozen=True, slots=True)
class Unhandled:
    """What asyncio would have logged, and a simulation must not overlook."""

    message: str
    error: BaseException | None
    owner: str  # the process it belongs to, empty outside of any


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """A run that came to its end."""

    result: T
    digest: str
    steps: int
    ended_s: float


class VirtualLoop(InsideLoop):
    """asyncio's own loop with another queue, another clock and nothing outside."""

    _stopping: bool

    def __init__(self, seed: int, *, chaos: float = 0.5, steps_max: int = STEPS_MAX) -> None:
        """`chaos` is the share of task steps that others may overtake; 0 is asyncio's plain order."""
        super().__init__()
        self.seed = seed
        self.steps = 0
        self.unhandled: list[Unhandled] = []
        self.on_step: Callable[[int, float, str], None] | None = None  # for traces
        self.remains = Remains()
        self._steps_max = steps_max
        self._chaos = round(chaos * 256)
        self._now = 0.0
        self._queue: deque[Step | Timer] = deque()
        self._timers: list[tuple[float, int, Timer]] = []  # by (time and jitter, serial)
        self._timers_dead = 0
        self._task: VirtualTask[Any] | None = None  # whose step is running
        self._serial = 0
        self._key = make_key(seed, "loop")
        self._drawn = 0
        self._named: dict[str, int] = {}
        self._hash = hashlib.blake2b(digest_size=16)
        # In the order in which they were begun, where the stock loop's set is in that of their addresses.
        self._asyncgens: WeakKeyDictionary[AsyncGenerator[Any, Any], Owner | None] = WeakKeyDictionary()
        self._begun: dict[int, Context] = {}  # by address: to its own finalizer a generator is dead already

    # ---- time and order -------------------------------------------------------------------------

    def time(self) -> float:
        """Return virtual seconds since the run began."""
        return self._now

    @property
    def now_s(self) -> float:
        """Virtual seconds since the run began."""
        return self._now

    @property
    def digest(self) -> str:
        """Sum up everything that has run so far."""
        return self._hash.hexdigest()

    def note(self, text: str) -> None:
        """Take something into the digest that is not a step."""
        self._hash.update(text.encode())

    def stall(self, seconds: float) -> None:
        """Let time pass inside the running step, as a call that blocks the loop would."""
        self._now += max(0.0, seconds)

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        self._check_open()
        step = Step(callback, args, self, context)
        if step.owner is not None and not step.owner.alive:
            self.remains.keep(step)
            return step
        if step.task is not None and self._chaos:
            bits = step.task.draw()
            if bits & 0xFF < self._chaos:
                step.rank = 1 + (bits >> 8) % OVERTAKEN_MAX
        self._queue.append(step)
        return step

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        self._check_open()
        if math.isnan(when):
            raise ValueError("a timer has no time: it is NaN")
        timer = Timer(when, callback, args, self, context)
        if timer.owner is not None and not timer.owner.alive:
            self.remains.keep(timer)
            return timer
        timer._scheduled = True
        heappush(self._timers, (when + (self.draw() >> 11) * UNIT * _JITTER_S, self._next_serial(), timer))
        return timer

    def _timer_handle_cancelled(self, handle: Timer) -> None:
        self._timers_dead += handle._scheduled
        if self._timers_dead > _TIMERS_DEAD_MAX and self._timers_dead * 2 > len(self._timers):
            self._timers = [entry for entry in self._timers if not entry[2]._cancelled]
            heapify(self._timers)
            self._timers_dead = 1  # the one being cancelled

    def draw(self) -> int:
        """Return 64 bits from the stream of the running task, from the loop's own outside of any."""
        if self._task is not None:
            return self._task.draw()
        self._drawn += 1
        return pick(self._key, self._drawn)

    def _check_open(self) -> None:
        if self.is_closed():
            raise RuntimeError("Event loop is closed")

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial

    # ---- running --------------------------------------------------------------------------------

    def run_forever(self) -> None:
        enabled = gc.isenabled()
        gc.disable()  # destructors and weak references must not depend on when it would have run
        try:
            super().run_forever()
        finally:
            if enabled:
                gc.enable()

    def _run_once(self) -> None:
        self._take_due()
        if not self._queue:
            if self._stopping:
                return
            self._jump()
        for _ in range(len(self._queue)):
            if not self._queue:  # a process was killed, and its steps went with it
                return
            self._perform(self._next_step())

    def _take_due(self) -> None:
        timers = self._timers
        while timers and timers[0][2]._when <= self._now:
            self._take_timer()

    def _take_timer(self) -> None:
        timer = heappop(self._timers)[2]
        timer._scheduled = False
        if timer._cancelled:
            self._timers_dead -= 1
        else:
            self._queue.append(timer)

    def _jump(self) -> None:
        """Let time pass until something is ready."""
        while not self._queue:
            if not self._timers or self._timers[0][2]._when == math.inf:
                raise Deadlock(self._describe_deadlock())
            if not self._timers[0][2]._cancelled:
                self._now = self._timers[0][2]._when  # later than now: what was due has been taken
            self._take_timer()
            self._take_due()

    def _next_step(self) -> Step | Timer:
        """Take the first step, or another task's among the task steps that follow it directly."""
        queue = self._queue
        head = queue[0]
        if not head.rank:
            return queue.popleft()
        chosen = 0
        for i in range(1, min(len(queue), OVERTAKEN_MAX + 1)):
            other = queue[i]
            if other.task is None:  # a callback keeps its place: nothing overtakes it
                break
            if other.rank < queue[chosen].rank:
                chosen = i
        if not chosen:
            return queue.popleft()
        head.rank -= 1
        step = queue[chosen]
        del queue[chosen]
        return step

    def _perform(self, step: Step | Timer) -> None:
        if step._cancelled:
            return
        self.steps += 1
        if self.steps > self._steps_max:
            raise StepsSpent(
                f"{self._steps_max} steps are spent at {self._now:.6f} s; a task may be spinning: "
                f"{tag_of(step)} is next"
            )
        tag = tag_of(step)
        self._hash.update(_pack_time(self._now) + tag.encode())
        if self.on_step is not None:
            self.on_step(self.steps, self._now, tag)
        self._task = step.task
        try:
            if step.owner is None:
                step._run()
            else:
                step.owner.run(step)
        finally:
            self._task = None
            del step  # or an exception, whose traceback may hold this frame, would hold its own task
        if not self.steps % COLLECT_EVERY:
            gc.collect()

    def _describe_deadlock(self) -> str:
        tasks = sorted(self.tasks_of(), key=hash)
        lines = [f"{task.tag} waits at {task.place()}" for task in tasks[:_SHOWN_MAX]]
        if len(tasks) > _SHOWN_MAX:
            lines.append(f"and {len(tasks) - _SHOWN_MAX} more")
        return (
            f"deadlock at {self._now:.6f} s, nothing will ever happen: {'; '.join(lines) or 'no task waits'}"
        )

    # ---- tasks and futures ----------------------------------------------------------------------

    def create_future(self) -> asyncio.Future[Any]:
        return VirtualFuture(loop=self, serial=self._next_serial())

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: object = None,
        context: Context | None = None,
        **options: Any,
    ) -> asyncio.Task[T]:
        self._check_open()
        if options.get("eager_start"):
            refuse("a task that starts inside its creator")
        owner = OWNER.get() if context is None else context.get(OWNER)
        title = getattr(coro, "__qualname__", type(coro).__name__) if name is None else str(name)
        return VirtualTask(
            coro,
            loop=self,
            title=title,
            make_tag=self._make_tag,
            context=context,
            owner=owner,
            serial=self._next_serial(),
        )

    def _make_tag(self, title: str) -> tuple[str, int]:
        number = self._named[title] = self._named.pop(title, 0) + 1  # the newest last
        if len(self._named) > NAMES_MAX:
            del self._named[next(iter(self._named))]
        tag = f"{title}#{number}"
        return tag, make_key(self.seed, tag)

    def tasks_of(self, owner: Owner | None = None) -> list[VirtualTask[Any]]:
        """Return the tasks that have not ended, of one process or of everyone; oldest first."""
        found = [task for task in asyncio.all_tasks(self) if isinstance(task, VirtualTask)]
        return sorted((task for task in found if owner is None or task.owner is owner), key=hash)

    # ---- processes ------------------------------------------------------------------------------

    def drop(self, owner: Owner) -> None:
        """Take out everything that a dead process has scheduled, and hold whatever it left."""
        self.remains.keep_tasks(self.tasks_of(owner))
        for agen in self.generators_of(owner):
            self._begun.pop(id(agen), None)  # and so nothing will close it
        self.remains.keep(*(step for step in self._queue if step.owner is owner))
        self._queue = deque(step for step in self._queue if step.owner is not owner)
        timers = [entry for entry in self._timers if entry[2].owner is owner]
        self.remains.keep(*(timer for _, _, timer in timers))
        self._timers_dead -= sum(timer._cancelled for _, _, timer in timers)
        self._timers = [entry for entry in self._timers if entry[2].owner is not owner]
        heapify(self._timers)

    def generators_of(self, owner: Owner) -> list[AsyncGenerator[Any, Any]]:
        """Return the asynchronous generators that a process has begun and not ended; oldest first."""
        return [agen for agen, its_owner in self._asyncgens.items() if its_owner is owner]

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.is_running():  # what is let go at the end complains of it
            return
        culprit = context.get("task") or context.get("future") or context.get("handle")
        owner: Owner | None = getattr(culprit, "owner", None)
        self.unhandled.append(
            Unhandled(str(context["message"]), context.get("exception"), owner.label if owner else "")
        )

    def close(self) -> None:
        """End the run: what still waits is let go without running, also outside of any process."""
        if not self.is_closed():
            if self.is_running():
                raise RuntimeError("cannot close a running event loop")
            self.remains.dispose(self)
        super().close()

    # ---- asynchronous generators ----------------------------------------------------------------

    def _asyncgen_firstiter_hook(self, agen: AsyncGenerator[Any, Any]) -> None:
        self._asyncgens[agen] = OWNER.get()
        self._begun[id(agen)] = contextvars.copy_context()

    def _asyncgen_finalizer_hook(self, agen: AsyncGenerator[Any, Any]) -> None:
        """Close a generator that nobody holds any more, in the process that began it."""
        context = self._begun.pop(id(agen), None)
        if context is not None and not self.is_closed():
            self.call_soon(self.create_task, agen.aclose(), context=context)


def run_virtual(
    main: Callable[[VirtualLoop], Coroutine[Any, Any, T]],
    *,
    seed: int,
    chaos: float = 0.5,
    steps_max: int = STEPS_MAX,
) -> Outcome[T]:
    """Run a coroutine to its end on a loop of its own. What asyncio would only have logged is raised."""
    loop = VirtualLoop(seed, chaos=chaos, steps_max=steps_max)
    try:
        result = loop.run_until_complete(main(loop))
        if loop.unhandled:
            first = loop.unhandled[0]
            raise InvariantBroken(f"{first.owner or 'the world'}: {first.message}") from first.error
        return Outcome(result, loop.digest, loop.steps, loop.now_s)
    finally:
        loop.close()
