"""Which processors a process runs on: one is left to the daemon."""

from __future__ import annotations

import os
import sys


def leave_one() -> None:
    """Keep this process, and what it starts, off the first processor that it may run on.

    So a daemon beside it always finds one. Nothing changes where there is only one, or where the system
    does not place processes.
    """
    if sys.platform != "linux":
        return
    allowed = os.sched_getaffinity(0)
    if len(allowed) > 1:
        os.sched_setaffinity(0, allowed - {min(allowed)})
