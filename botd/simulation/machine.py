"""The machine that a simulated daemon runs on: the same parts as the real one, with chance in their place.

Not as in production: no thread watches (a task of the process looks at the control files), no screen is
drawn, jobs come due by the host's clock, and the state folder is not locked, since a host runs one process.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from botd.config.plan import Plan
from botd.core.bot import Bot
from botd.core.records import Record
from botd.core.restraint import Cause, TradingCommand, Verb
from botd.errors import InvariantBroken
from botd.machine import Machine
from botd.ports import Clock
from botd.reception import ApiNeeds, MachineClock, NoApi
from botd.runtime.brake import Brake
from botd.runtime.control import ControlFiles
from botd.runtime.listener import Listener
from botd.runtime.schedule import Alert, JobDue, JobSpec, read_trigger
from botd.runtime.shutdown import SIGNALS, StopRequest
from botd.runtime.view import look
from botd.runtime.watchdog import WHO
from botd.simulation.chance import Chance
from botd.simulation.folder import Files, SimulatedFolder
from botd.simulation.host import Process
from botd.simulation.writer import InlineWriter, commit_latency
from botd.store.fsck import Report, examine

LOOK_S: Final = 30.0  # how often the control files are looked at
BLOCKS_PER_LOOK: Final = 64  # blocks of rows from one look of the screen to the next


def make_machine(
    process: Process,
    chance: Chance,
    *,
    files: Files,
    snapshot_every_s: float,
    meet: Callable[[ApiNeeds], None] = lambda needs: None,
) -> Machine:
    """Return the machine of a process on a host that has a disk; `meet` is given what an API would act by."""
    disk = process.host.disk
    if disk is None:
        raise InvariantBroken(f"host {process.host.name} has no disk")
    latency_s = commit_latency(chance.stream("commit"))
    tokens, looks = chance.stream("tokens"), chance.stream("fsck")

    def open_api(plan: Plan, needs: ApiNeeds) -> NoApi:
        meet(needs)
        return NoApi()

    def examine_now_and_then(path: Path, **options: Any) -> Report:
        """Examine one start in four: what is wrong stays in the books, and the judges read all of them."""
        return Report(path, 0, (), ()) if looks.below(4) else examine(path, **options)

    return Machine(
        clock=process.clock,
        lock=lambda _: nullcontext(),
        open_journal=lambda path: disk.open_journal(str(path.relative_to(disk.folder))),
        open_book=disk.open_book,
        start_writer=lambda journal: InlineWriter(journal, latency_s=latency_s),
        watch=LoopWatch,
        stop_on_signals=stop_on_signals,
        schedule=lambda jobs, alert: Timetable(jobs, alert, process.clock),
        read_plan=files.read,
        open_folder=lambda path, _: SimulatedFolder(path, files),
        examine=examine_now_and_then,
        snapshot_every_us=round(snapshot_every_s * 1e6),
        open_api=open_api,
        new_token=lambda: f"{tokens.below(1 << 24):06x}",
    )


class LoopWatch:
    """The part of the watchdog that looks at files and asks the brake, on the loop in place of a thread."""

    def __init__(self, brake: Brake, files: ControlFiles, clock: MachineClock) -> None:
        self.hold_on_stall = False  # a simulated loop stalls only where a test makes it
        self._brake = brake
        self._listener = Listener(brake, files)

    def __enter__(self) -> Self:
        self._brake.ask(TradingCommand(verb=Verb.RELEASE, cause=Cause.LOOP_STALLED, who=WHO, reason=""))
        self._listener.look()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def on_reload(self, ask: Callable[[str], object] | None) -> None: ...

    def leave(self) -> None: ...

    def lag_s(self) -> float:
        """Return 0: nobody asks."""
        return 0.0

    @contextmanager
    def follow(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Look at the control files now and then."""
        next_look: list[asyncio.Handle] = []

        def look() -> None:
            self._listener.look()
            next_look[:] = [loop.call_later(LOOK_S, look)]

        next_look.append(loop.call_later(LOOK_S, look))
        try:
            yield
        finally:
            next_look[0].cancel()


@contextmanager
def stop_on_signals(request: StopRequest) -> Iterator[None]:
    """Do what `runtime.shutdown.stop_on_signals` does, with a process whose signals are simulated."""
    loop = asyncio.get_running_loop()

    def asked(number: signal.Signals) -> None:
        request.ask(number.name)
        if request.at_once:  # the third one finds no handler, and kills
            for one in SIGNALS:
                loop.remove_signal_handler(one)

    for number in SIGNALS:
        loop.add_signal_handler(number, asked, number)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


class Timetable:
    """`runtime.schedule.Schedule` by a clock that is given: the scheduler there reads the real one."""

    def __init__(self, jobs: Iterable[JobSpec], alert: Alert, clock: Clock) -> None:
        self.due: asyncio.Queue[JobDue] = asyncio.Queue(64)
        self._triggers = {job.name: read_trigger(job) for job in jobs}
        self._alert = alert
        self._clock = clock

    def go_by(self, jobs: Iterable[JobSpec]) -> None:
        """Keep the times of other jobs, once the next that was known is over."""
        self._triggers = {job.name: read_trigger(job) for job in jobs}

    async def run(self) -> None:
        """Keep time until cancelled."""
        last_us = self._clock.now_us()
        while self._triggers:
            after = datetime.fromtimestamp(last_us / 1e6, UTC) + timedelta(microseconds=1)
            times = {name: one.get_next_fire_time(None, after) for name, one in self._triggers.items()}
            due_us = {name: round(at.timestamp() * 1e6) for name, at in times.items() if at is not None}
            if not due_us:
                return
            last_us = min(due_us.values())
            await self._clock.sleep_until(last_us)
            for name, at_us in due_us.items():
                if at_us == last_us:
                    self._put(JobDue(name, at_us))

    def _put(self, job: JobDue) -> None:
        try:
            self.due.put_nowait(job)
        except asyncio.QueueFull:
            self._alert(job.name, f"job {job.name} came due and too many others still wait: it is dropped")


class QuietScreen:
    """A screen that nobody looks at: what the daemon says goes to whoever keeps it.

    It reads the books as the real one does, if not as often.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._blocks = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def begin(self, *, session: str, feed: str) -> None: ...

    def say(self, line: str) -> None:
        self._say(line)

    def update(self, records: Sequence[Record], *, announce: bool = True) -> None: ...

    def after_lines(self, then: Callable[[], None]) -> None:
        then()

    def observe(self, bot: Bot, ts_us: int) -> None:
        if self._blocks % BLOCKS_PER_LOOK == 0:
            look(bot, ts_us)
        self._blocks += 1

    def summary(self) -> str:
        return "stopped"
