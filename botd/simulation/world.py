"""A whole daemon through a simulated day of crashes, stops, full disks and wrong clocks, and then its judges.

A run has chaos for some time, then everything heals and 300 quiet seconds pass; then the daemon is stopped in
order, and started twice more with nothing new from the market.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Container, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Final

from botd.config.plan import Plan
from botd.core.restraint import Cause
from botd.daemon import Daemon
from botd.failpoints import Point
from botd.ports import RemoteVenue
from botd.runtime.control import ControlFiles
from botd.runtime.shutdown import StopRequest
from botd.runtime.starts import STARTS_MAX, WINDOW_US
from botd.simulation import disk as disks
from botd.simulation.chance import Chance
from botd.simulation.checks import (
    OWN,
    CheckFailed,
    PaperTruth,
    VenueTruth,
    check_alive,
    check_books,
    check_end,
    check_equal_books,
    check_idempotent,
    check_parity,
    check_venue,
    count_rows,
    newest_session,
    was_restrained,
)
from botd.simulation.clock import EPOCH_US
from botd.simulation.disk import Disk, empty_state
from botd.simulation.folder import Files
from botd.simulation.host import DEATH, Death, End, EndCause, Host, Process
from botd.simulation.incidents import (
    AGAIN,
    BUSY,
    CLOCK,
    HALT,
    KILL,
    LOOK,
    POWER,
    SKEW,
    STOP,
    STOP_DEATH,
)
from botd.simulation.loop import VirtualLoop
from botd.simulation.machine import QuietScreen, make_machine
from botd.simulation.market import Market, MarketFeed
from botd.simulation.person import Person
from botd.simulation.tally import Tally, said
from botd.store.queries import StateReader

SETTLE_S: Final = 90.0  # what was under way when everything healed may still end
QUIET_S: Final = 300.0
LOOK_S: Final = 30  # how often a person looks and resumes, once everything has healed
CALM_S: Final = 35.0  # a daemon has looked at its control files by then
CEILING_S: Final = 60.0  # of the bots' shutdown.yaml
STARTS_PER_WINDOW: Final = STARTS_MAX - 1  # more than these are a crash loop

STATE: Final = "state/botd.sqlite3"
_STOP_POINTS: Final = tuple(point for point in Point if point.startswith(("stop.", "stage.", "snapshot.")))
_NEVER_SAID: Final = ("reconcile", "fsck")  # by a daemon whose venue tells the truth
_DISK_SITES: Final = frozenset(one.name for one in disks.SITES)
_BEHIND_MAX_US: Final = 90_000_000
_PAUSES_S: Final = (8.0, 20.0, 45.0)  # between two deliveries of rows
_SNAPSHOTS_S: Final = (60.0, 240.0, 900.0)  # from one to the next; what came since is met again by a start
_SKEWS_S: Final = (0.004, 0.3, 5.0, 90.0, 3_700.0)


class World:
    """One host, one daemon, its market and its venue, and what befalls them."""

    def __init__(
        self, loop: VirtualLoop, chance: Chance, folder: Path, *, chaos_s: float, tally: Tally
    ) -> None:
        """`folder` is empty, and nobody else's."""
        self._loop = loop
        self._chance = chance
        self._chaos_s = chaos_s
        self._tally = tally
        draws = chance.stream("world")
        # Equal to a run without a crash can only be who never was halted, edited, or made to act by a stop.
        self._compared = bool(draws.below(2))
        self._pause_s = draws.one_of(_PAUSES_S)
        self._snapshot_every_s = draws.one_of(_SNAPSHOTS_S)
        self._disk = Disk(folder / "host", chance)
        self._host = Host(loop, "bot", disk=self._disk)
        state = self._disk.folder / STATE
        self._files = Files(chance.seed, "keep" if self._compared else None, state)
        self._person = Person(chance, self._files, state, self._note)
        self._instruments = self._files.plan().instruments
        self._market = Market(self._instruments, seed=chance.seed)
        self._life: Counter[int] = Counter()  # signals that a process was sent, by its number
        self._disk_faults_before = 0  # that had happened when the running process began
        self._starts_us: list[int] = []
        self._failure: CheckFailed | None = None  # found where nothing can be raised
        state.parent.mkdir()
        state.write_bytes(empty_state())

    # ---- the day --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Live through all of it. Raises CheckFailed."""
        meddler = asyncio.create_task(self._meddle(), name="meddler")
        await self._live_until(self._chaos_s)
        meddler.cancel()
        self._heal()
        await self._live_until(self._chaos_s + SETTLE_S)
        process = self._host.process or self._boot()
        person = asyncio.create_task(self._rest(), name="person")
        ended = await self._wait(process, QUIET_S)
        person.cancel()
        if ended:
            raise CheckFailed("quiet.ended", f"{process.label} ended in a healthy world: {said(process)}")
        self._check_alive()
        await self._calm()
        await self._stop_in_order(process)
        self._check_settled(self._state)
        if self._compared and not was_restrained(self._state):
            feed = MarketFeed(self._market, self._loop, pause_s=0)
            self._tally.decisions_compared = check_parity(self._state, self._files.plan(), feed)
        await self._start_without_news()

    async def _live_until(self, until_s: float) -> None:
        while self._loop.now_s < until_s:
            process = self._host.process or self._boot(draw=True)
            if await self._wait(process, until_s - self._loop.now_s):
                await asyncio.sleep(self._chance.stream("down").span(0.5, 40.0))

    async def _wait(self, process: Process, seconds: float) -> bool:
        """Wait for the end of a process, no longer than that; judge it and say whether it came."""
        await asyncio.wait({process.ended}, timeout=max(0.0, seconds))
        if process.ended.done():
            self._judge(process)
        if self._failure is not None:
            raise self._failure
        return process.ended.done()

    def _heal(self) -> None:
        self._chance.healed = True
        self._note("everything heals")
        self._files.save(told=True)
        if self._host.process is not None:
            self._host.process.spare()
        self._resume()

    async def _stop_in_order(self, process: Process) -> None:
        self._signal(process, signal.SIGTERM)
        if not await self._wait(process, CEILING_S + 5.0):
            raise CheckFailed("stop.ceiling", f"{process.label} was asked to stop and goes on")
        end = process.ended.result()
        if (end.cause, end.result) != (EndCause.RETURNED, 0):
            raise CheckFailed("stop.exit_code", f"a stop in a healthy world: {said(process)}")

    async def _start_without_news(self) -> None:
        """Start twice on a market that is silent, and once be killed: nothing may be written."""
        with StateReader(self._state) as reader:
            cursor = reader.cursor(newest_session(self._state).id)
        self._market.closed_us = cursor.ts_us + 1 if cursor else 0
        self._starts_us.clear()  # as the daemon's own count is by a stop in order: nobody has to resume
        before = count_rows(self._state)
        self._tally.orders = before["orders"]
        process = self._boot()
        await self._wait(process, 20.0)
        process.kill()
        await self._wait(process, 0.0)
        process = self._boot()
        await self._wait(process, 20.0)
        await self._stop_in_order(process)
        check_idempotent(before, count_rows(self._state))
        check_equal_books(self._state, self._truth(), self._instruments)
        self._loop.note(str(before))

    def _connect(self, process: Process) -> RemoteVenue | None:
        """Return the venue behind a network, None on paper."""
        return None

    async def _rest(self) -> None:
        """Look at what was halted, now that everything is well, and resume: a runaway halts by itself."""
        while not self._compared:
            await asyncio.sleep(LOOK_S)
            self._resume()

    async def _calm(self) -> None:
        """Let what was asked for last be heard before the last stop."""
        if not self._compared:
            await asyncio.sleep(CALM_S)

    def _check_settled(self, state: Path) -> None:
        """Check what has to be true after a quiet time and a stop in order."""

    def _check_stopped(self, state: Path, truth: VenueTruth) -> None:
        """Check what has to be true after any stop in order."""
        check_equal_books(state, truth, self._instruments)

    def _allowed_exit(self, process: Process) -> set[int]:
        """Return the codes that a stop may end with beside 0."""
        return set()

    # ---- what befalls it ------------------------------------------------------------------------

    async def _meddle(self) -> None:
        """Do to whatever runs what people, machines and power stations do."""
        draws = self._chance.stream("meddler")
        while True:
            await asyncio.sleep(draws.span(20.0, 40.0))
            process = self._host.process
            if process is None:
                continue
            if self._chance.hit(KILL.name):
                process.kill()
            elif self._chance.hit(POWER.name):
                process.kill(power=True)
            elif fault := self._chance.hit(STOP.name):
                await self._stop(process, fault.one_of((signal.SIGTERM, signal.SIGINT)))
            elif fault := self._chance.hit(CLOCK.name):
                self._step_clock(process, fault.span(-1.0, 1.0) * fault.one_of(_SKEWS_S))
            elif not self._compared and self._chance.hit(HALT.name):
                self._note("somebody halts")
                self._control.ask_halt(Cause.FILE, "somebody", "a look around")
                await asyncio.sleep(draws.span(5.0, 200.0))
                self._resume()
            elif not self._compared and self._chance.hit(LOOK.name):
                self._resume()
            elif not self._compared:
                await self._person.visit()

    async def _stop(self, process: Process, number: signal.Signals) -> None:
        if dies := self._chance.hit(STOP_DEATH.name):
            process.doom(Death(point=dies.one_of(_STOP_POINTS), power=dies.below(4) == 0))
        self._signal(process, number)
        again = self._chance.hit(AGAIN.name)
        if again is not None:
            await asyncio.sleep(again.span(0.0, 0.02) if again.below(2) else again.span(0.0, 2.0))
            self._signal(process, number)
        await asyncio.wait({process.ended}, timeout=CEILING_S + 5.0)
        if process.alive:
            self._failure = CheckFailed("stop.ceiling", f"{process.label} was asked to stop and goes on")
            process.kill()

    def _signal(self, process: Process, number: signal.Signals) -> None:
        if process.alive:
            self._life[process.number] += 1
            self._note(f"{process.label} gets {number.name}")
            process.signal(number)

    def _step_clock(self, process: Process, seconds: float) -> None:
        self._note(f"{process.label}'s clock is set by {seconds:+.6f} s")
        process.clock.step(round(seconds * 1e6))

    def _resume(self) -> None:
        self._note("somebody resumes")
        self._control.ask_resume("somebody", "looked at it")

    # ---- processes ------------------------------------------------------------------------------

    def _boot(self, *, draw: bool = False) -> Process:
        death = self._draw_death() if draw else None
        skew = self._chance.hit(SKEW.name)
        skew_us = round(skew.span(-1.0, 1.0) * skew.one_of(_SKEWS_S) * 1e6) if skew else 0
        if not self._compared:
            self._person.edit()
        self._files.save(told=False)
        self._look_at_starts()
        self._disk_faults_before = self._disk_faults()
        process = self._host.boot(self._program(self._files.plan()), skew_us=skew_us, death=death)
        self._note(
            f"{process.label} starts, files {self._files.edition}, clock {skew_us / 1e6:+.6f} s, {death}"
        )
        self._tally.starts += 1
        return process

    def _draw_death(self) -> Death | None:
        """Draw where a process that starts now is to die: every second one at a point by name."""
        fault = self._chance.hit(DEATH.name)
        if fault is None:
            return None
        power = fault.below(4) == 0
        if fault.below(2):
            return Death(point=fault.one_of(tuple(Point)), nth=fault.magnitude(4), power=power)
        if fault.below(2):
            return Death(nth=fault.magnitude(9), power=power)
        return Death(step=fault.magnitude(13), power=power)

    def _look_at_starts(self) -> None:
        """Look at what goes wrong before there are so many starts that the daemon halts by itself."""
        now_us = round(self._loop.now_s * 1e6)
        self._starts_us = [one for one in self._starts_us if now_us - one < 2 * WINDOW_US]
        if len(self._starts_us) >= STARTS_PER_WINDOW and self._compared:
            self._resume()
            self._starts_us.clear()
        self._starts_us.append(now_us)

    def _program(self, plan: Plan) -> Any:
        def main(process: Process) -> Coroutine[Any, Any, int]:
            machine = make_machine(
                process,
                self._chance,
                files=self._files,
                snapshot_every_s=self._snapshot_every_s,
                meet=partial(self._person.meet, process),
            )
            busy = self._chance.hit(BUSY.name)
            stall_s = busy.span(0.2, 2.0) if busy else 0.0
            feed = MarketFeed(self._market, self._loop, pause_s=self._pause_s, stall_s=stall_s)
            screen, venue = QuietScreen(self._hear), self._connect(process)
            parts = {"screen": screen, "machine": machine, "feed": feed, "venue": venue}
            return self._start(self._daemon(plan, data=None, speed=None, config=Path("config.yaml"), **parts))

        return main

    def _daemon(self, plan: Plan, **parts: Any) -> Daemon:
        return Daemon(plan, **parts)

    async def _start(self, daemon: Daemon) -> int:
        await asyncio.sleep(self._chance.stream("start").span(0.3, 1.5))  # what loading takes
        return await daemon.serve(StopRequest())

    def _hear(self, line: str) -> None:
        self._note(f"  {line}")
        check = line.partition(": ")[0]
        if check in _NEVER_SAID and self._failure is None:
            self._failure = CheckFailed(f"said.{check}", line)

    def _judge(self, process: Process) -> None:
        """Check how a process ended, and what it left."""
        end: End = process.ended.result()
        self._tally.ends[end.cause] += 1
        if process.died_at is not None:
            self._tally.died_at[process.died_at] += 1
        where = f" at {process.died_at}" if process.died_at is not None else ""
        what = f"{process.label} ended: {said(process)}{where}"
        self._note(what)
        asked, allowed = self._life[process.number], self._allowed_exit(process)
        excused = self._disk_faults() > self._disk_faults_before
        if self._person.puts_back(end.error):
            return
        check_end(what, end, asked=asked, allowed=allowed, excused=excused)
        if self._loop.unhandled:
            first = self._loop.unhandled[0]
            raise CheckFailed("unhandled", f"{first.owner}: {first.message} ({first.error!r})")
        truth = self._truth()
        check_venue(self._state, truth)
        if end.cause is EndCause.RETURNED and end.result == 0 and self._market.closed_us is None:
            check_books(self._state, self._excused_now())
            self._check_stopped(self._state, truth)

    def _excused_now(self) -> Container[str]:
        """Return what the books may show at this stop in order."""
        return ()

    def _disk_faults(self) -> int:
        return sum(fault.site in _DISK_SITES for fault in self._chance.fired)

    # ---- small parts ----------------------------------------------------------------------------

    @property
    def _state(self) -> Path:
        return self._disk.folder / STATE

    @property
    def _control(self) -> ControlFiles:
        return ControlFiles(self._state.parent)

    def _truth(self) -> VenueTruth:
        return PaperTruth(self._state.parent, self._instruments)

    def _check_alive(self) -> None:
        if newest_session(self._state).config_hash != self._files.plan().config_hash:
            raise CheckFailed("reload.behind", f"files {self._files.edition} are not what is traded by")
        now_us = EPOCH_US + round(self._loop.now_s * 1e6)
        # how long a halt may have stood, by the time of the rows, which come late
        looked_s = 0.0 if self._compared else 2 * LOOK_S + max(_PAUSES_S)
        excused = OWN if self._compared else ()
        excused_us = round(looked_s * 1e6)
        check_alive(self._state, now_us, _BEHIND_MAX_US, excused_us=excused_us, excused=excused)

    def _note(self, text: str) -> None:
        self._tally.history.append(f"{self._loop.now_s:12.6f}  {text}")

    def count_orders(self) -> int:
        """Return how many orders the books have."""
        return count_rows(self._state)["orders"]

    def close(self) -> None:
        """Free what dead processes hold open; the loop must have ended."""
        self._disk.close()
