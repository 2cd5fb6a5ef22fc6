"""The watchdog: a thread that halts, and ends, a daemon whose event loop no longer could.

Every tenth of a second it looks at the control files, at signals and at the event loop's lag. It waits for
nothing that the rest of the daemon waits for: what it says goes through the brake and the log, and neither
of them blocks.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Protocol, Self

from botd.core.restraint import Cause, TradingCommand, Verb
from botd.errors import InvariantBroken, UnresolvedOrders
from botd.runtime.brake import Brake
from botd.runtime.control import ControlFiles
from botd.runtime.lag import Finding, LagLimits, LagWatch
from botd.runtime.listener import Listener

log = logging.getLogger(__name__)

TICK_S: Final = 0.1
EXIT_S: Final = 20.0  # what a process gets to end once there is nothing left to do
EXIT_STUCK: Final = 8
WHO: Final = "watchdog"

_FRAMES_SHOWN: Final = 16  # the innermost


class Stopwatch(Protocol):
    def monotonic(self) -> float: ...


class Watchdog:
    """Watches between entering and leaving `with`; `follow` lends it an event loop."""

    def __init__(
        self,
        brake: Brake,
        files: ControlFiles,
        clock: Stopwatch,
        *,
        limits: LagLimits | None = None,
        exit_s: float | None = None,
        end: Callable[[int], None] = os._exit,
    ) -> None:
        """With `exit_s` it outlives the `with` and ends a process that is still there after that long.

        `end` ends the process with an exit code, whatever state it is in.
        """
        self.lag = LagWatch(limits or LagLimits())
        self.hold_on_stall = False  # set where rows are of the wall clock's time: late ones are stale
        self._brake = brake
        self._listener = Listener(brake, files)
        self._clock = clock
        self._exit_s = exit_s
        self._end = end
        self._main_thread = threading.get_ident()
        self._thread: threading.Thread | None = None
        self._done = threading.Event()
        self._left_s: float | None = None

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise InvariantBroken("the watchdog watches already")
        self._ask(Verb.RELEASE)  # a run before this one may have died in a stall
        self._listener.look()  # before anything trades
        self._thread = threading.Thread(target=self._run, name="botd-watchdog", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
        if self._exit_s is None and self._thread is not None:
            self._done.set()
            self._thread.join(5.0)
            self._thread = None

    def on_reload(self, ask: Callable[[str], object] | None) -> None:
        """Have SIGHUP ask for a reload, by whoever sent it; None has nobody hear it."""
        self._listener.on_reload = ask

    def leave(self) -> None:
        """Say that there is nothing left to do but to end the process."""
        if self._left_s is None:
            self._left_s = self._clock.monotonic()

    @contextmanager
    def follow(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Watch the event loop, which runs in the thread that made the watchdog."""
        pulse: list[asyncio.Handle] = []

        def beat() -> None:
            self.lag.beat(self._clock.monotonic())
            pulse[:] = [loop.call_later(self.lag.limits.beat_s, beat)]

        pulse.append(loop.call_soon(beat))
        try:
            yield
        finally:
            pulse[0].cancel()
            self.lag.rest()

    # ---- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._done.is_set():
            try:
                self._listener.wait(TICK_S)
                self._listener.look()
                self._look()
            except Exception:  # a watchdog that dies unseen is worse than one that stumbles
                log.exception("the watchdog stumbled and goes on")
                self._done.wait(TICK_S)

    def _look(self) -> None:
        now_s = self._clock.monotonic()
        if self._left_s is not None and self._exit_s is not None and now_s - self._left_s > self._exit_s:
            self._finish("the process does not end by itself: ending it", UnresolvedOrders.exit_code)
        found, lag_s = self.lag.look(now_s)
        for finding in found:
            self._act(finding, round(lag_s, 2))

    def _act(self, finding: Finding, lag_s: float) -> None:
        if finding is Finding.LATE:
            log.warning("the event loop stands still", extra={"lag_s": lag_s, "stack": self._stack()})
        elif finding is Finding.STUCK:
            self._finish("the event loop is stuck: ending the process", EXIT_STUCK)
        elif self.hold_on_stall and finding is Finding.STALLED:
            self._ask(Verb.HOLD, f"the event loop stood still for more than {self.lag.limits.hold_s:g} s")
            log.error("held: no new entry is sent until the event loop is well", extra={"lag_s": lag_s})
        elif finding is Finding.WELL_AGAIN:
            self._ask(Verb.RELEASE)
            log.warning("the event loop is well again", extra={"lag_max_s": round(self.lag.lag_max_s, 2)})

    def _ask(self, verb: Verb, reason: str = "") -> None:
        self._brake.ask(TradingCommand(verb=verb, cause=Cause.LOOP_STALLED, who=WHO, reason=reason))

    def _stack(self) -> str:
        """Return where the event loop's thread is."""
        frame = sys._current_frames().get(self._main_thread)
        return "".join(traceback.format_stack(frame, _FRAMES_SHOWN))

    def _finish(self, what: str, code: int) -> None:
        log.critical(what, extra={"exit_code": code, "stack": self._stack()})
        for handler in logging.getLogger().handlers:
            handler.flush()
        self._end(code)
