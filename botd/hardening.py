"""What keeps secrets in the process: no core dumps, no debugger of another process, no bare tracebacks."""

from __future__ import annotations

import ctypes
import logging
import resource
import sys
import threading
from collections.abc import Mapping
from typing import Final

from botd.telemetry import hide, is_secret_name

_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h

log = logging.getLogger(__name__)


def harden(environment: Mapping[str, str]) -> None:
    """Keep memory out of core dumps and debuggers, and what the environment calls secret out of every log."""
    for name, value in environment.items():
        if is_secret_name(name) and not name.endswith("_FILE"):  # that is where it is
            hide(value)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux" and ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        log.warning("other processes of this user can read botd's memory: the kernel refused to bar them")
    threading.excepthook = _report


def _report(failed: threading.ExceptHookArgs) -> None:
    """Log what ended a thread: Python's own report would go past the log, and what that hides."""
    if failed.exc_value is not None and failed.exc_type is not SystemExit:
        name = failed.thread.name if failed.thread is not None else "unknown"
        trace = (failed.exc_type, failed.exc_value, failed.exc_traceback)
        log.critical("a thread has failed", extra={"thread_name": name}, exc_info=trace)
