"""What people ask of a daemon past its event loop: control files and signals, turned into commands."""

from __future__ import annotations

import logging
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

from botd.core.restraint import Cause, TradingCommand, Verb
from botd.errors import InputInvalid
from botd.runtime.brake import Brake
from botd.runtime.control import ControlFiles, Note

log = logging.getLogger(__name__)

HEARD: Final = frozenset({signal.SIGUSR1, signal.SIGHUP})


# What reached a thread that does not block it, such as one that was there before: it is heard a little later.
_strays: Final[deque[int]] = deque(maxlen=16)


@contextmanager
def keep_for_listener() -> Iterator[None]:
    """Block SIGUSR1 and SIGHUP in the main thread and those it starts: they wait until somebody listens."""
    handlers = {number: signal.signal(number, _note) for number in HEARD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        _strays.clear()


def _note(number: int, _frame: FrameType | None) -> None:
    _strays.append(number)


class Listener:
    """Asks the brake for what files and signals say; one thread at a time calls it."""

    def __init__(self, brake: Brake, files: ControlFiles) -> None:
        self._brake = brake
        self._files = files
        self.on_reload: Callable[[str], object] | None = None  # hears of SIGHUP, and from whom
        self._halt: tuple[int, int] | None = None  # the HALT that was asked for
        self._resume: tuple[int, int] | None = None  # the RESUME that was asked for
        self._obeyed: tuple[int, int] | None = None  # the RESUME that is obeyed
        self._resolve: tuple[int, int] | None = None  # the RESOLVE that was asked for
        self._resolved: tuple[int, int] | None = None  # the RESOLVE that is obeyed

    def wait(self, seconds: float) -> None:
        """Wait for a signal, no longer than that, and act on it; inside of `keep_for_listener`."""
        time.sleep(seconds)
        # Python's sigtimedwait returns rubbish where a stop of the process outlasts it: it must never wait.
        while (heard := signal.sigtimedwait(HEARD, 0)) is not None:
            self._hear(heard.si_signo, f"process {heard.si_pid} of user {heard.si_uid}")
        while _strays:
            self._hear(_strays.popleft(), "somebody")

    def _hear(self, number: int, who: str) -> None:
        if number == signal.SIGHUP:
            if self.on_reload is None:
                log.warning("SIGHUP: nothing trades yet, or this daemon has no files to read again")
            else:
                self.on_reload(f"SIGHUP by {who}")
            return
        self._ask_halt(Cause.SIGNAL, who, "SIGUSR1")
        try:
            self._files.ask_halt(Cause.SIGNAL, who, "SIGUSR1")  # the process may end before it is obeyed
            noted = self._files.halt()
            self._halt = noted.mark if noted else None
        except InputInvalid as error:
            log.error("the halt is in force and will not survive a restart", extra={"error": str(error)})

    def look(self) -> None:
        """Ask for what the files say, once for each time they are written."""
        self._look_for_resolve()
        halt = self._files.halt()
        if halt is None:
            self._halt = None
            self._look_for_resume()
        elif halt.mark != self._halt:
            self._halt = halt.mark
            self._files.drop_resume()
            self._ask_halt(halt.cause, halt.who, halt.reason)

    def _look_for_resume(self) -> None:
        resume = self._files.resume()
        if resume is None:
            self._resume = self._obeyed = None
        elif resume.mark == self._obeyed:
            self._files.drop_resume()
        elif resume.mark != self._resume:
            self._ask_resume(resume)

    def _look_for_resolve(self) -> None:
        note = self._files.resolve()
        if note is None:
            self._resolve = self._resolved = None
        elif note.mark == self._resolved:
            self._files.drop_resolve()
        elif note.mark != self._resolve:
            self._ask_resolve(note)

    def _ask_resolve(self, note: Note) -> None:
        def obeyed() -> None:
            self._resolved = note.mark  # and dropped at the next look: it does nothing twice

        self._resolve = note.mark
        command = TradingCommand(
            verb=Verb.RESOLVE, cause=Cause.COMMAND, who=note.who, reason=note.reason, scope=note.order
        )
        self._brake.ask(command, then=obeyed)
        log.warning(
            "an order is to be resolved", extra={"who": note.who, "order": note.order, "reason": note.reason}
        )

    def _ask_halt(self, cause: Cause, who: str, reason: str) -> None:
        self._brake.ask(TradingCommand(verb=Verb.HALT, cause=cause, who=who, reason=reason))
        log.critical(
            "halt asked for: no new entry is sent",
            extra={"cause": str(cause), "who": who, "reason": reason},
        )

    def _ask_resume(self, note: Note) -> None:
        def obeyed() -> None:
            self._obeyed = note.mark
            with suppress(OSError):  # gone at once, or a start after a later halt would obey it too
                noted = self._files.resume()
                if noted is not None and noted.mark == note.mark:
                    self._files.drop_resume()

        self._resume = note.mark
        command = TradingCommand(verb=Verb.RESUME, cause=note.cause, who=note.who, reason=note.reason)
        self._brake.ask(command, then=obeyed)
        log.warning("resume asked for", extra={"who": note.who, "reason": note.reason})
