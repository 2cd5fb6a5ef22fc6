"""The first process of a container, where the kernel leaves to it what a system's init does elsewhere."""

from __future__ import annotations

import os
import signal
from typing import Final

PASSED_ON: Final = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)
STOPS: Final = (signal.SIGTERM, signal.SIGINT)
REST_S: Final = 5.0  # that what is left may take to end, after each of it that ends


def become_init() -> None:
    """Go on in a child where this is the first process of a container; elsewhere do nothing.

    The first process hears no signal that it does not ask for, and inherits every orphan. So it does nothing
    else: it passes signals on, reaps, and ends with the child's exit code.
    """
    if os.getpid() == 1:
        go_on_in_child()


def go_on_in_child() -> None:
    """Return in a child; the parent looks after it and does not return."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*PASSED_ON, signal.SIGCHLD})
    child = os.fork()
    if child:
        os._exit(look_after(child))
    os.setpgid(0, 0)  # else a terminal's Ctrl-C comes twice: to the whole group, and passed on
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def look_after(child: int) -> int:
    """Pass signals on to a child and reap until it ends; return its exit code as a shell has it.

    Stopped before it could hear of it, a child is stopped in order: it had nothing to end yet.
    """
    asked: list[int] = []
    while True:
        number = signal.sigwait({*PASSED_ON, signal.SIGCHLD})
        if number != signal.SIGCHLD:
            asked += [number] if number in STOPS else []
            os.kill(child, number)  # not reaped yet, so the number is its own
            continue
        status = _reap(child)
        if status is not None:
            _await_rest()
            code = os.waitstatus_to_exitcode(status)
            if [-code] == asked:
                return 0
            return code if code >= 0 else 128 - code


def _reap(child: int) -> int | None:
    """Reap whatever has ended; return the wait status of the child once it is among it."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            found = status


def _await_rest() -> None:
    """Let what the child left behind end; the kernel ends what takes longer."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return
        if signal.sigtimedwait({signal.SIGCHLD}, REST_S) is None:
            return
