"""Run a command as the terminal's foreground job, so that Ctrl-C reaches it and not the make above it.

Without this, make is interrupted together with the daemon and reports a failure after a clean stop.
Signals sent to make itself are passed on; without a terminal the command simply replaces this process.
"""

import contextlib
import os
import signal
import sys
from types import FrameType


def wait_for(child: int, terminal: int) -> int:
    """Wait until `child` ends and return its wait status; stop and continue with it on Ctrl-Z."""
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return status
        os.tcsetpgrp(terminal, os.getpgrp())
        os.kill(0, signal.SIGSTOP)  # the whole of make's group, so that the shell sees its job stopped
        os.tcsetpgrp(terminal, child)
        os.killpg(child, signal.SIGCONT)


def main(command: list[str]) -> int:
    """Run `command` in a group of its own that owns the terminal, and return its exit code."""
    terminal = 0
    if not os.isatty(terminal) or os.tcgetpgrp(terminal) != os.getpgrp():
        os.execv(command[0], command)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(terminal, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execv(command[0], command)

    def pass_on(number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, pass_on)
    status = wait_for(child, terminal)
    os.tcsetpgrp(terminal, os.getpgrp())
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
