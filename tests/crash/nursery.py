"""Gives birth to daemons: `botd run` in processes of their own, forked from one that has loaded it.

A fresh interpreter takes seconds to load, which hundreds of kills cannot wait for; what the kernel does
with a killed process is the same. Reads one JSON object per line: folder, arguments, files for both
outputs, the environment, how often to snapshot and how large a file may grow. Answers
with the process id, and at its end with the exit code.
"""

from __future__ import annotations

import json
import os
import resource
import time
from typing import Any

import botd.daemon
from botd.machine import Machine
from tests.cli import forker


def live(order: dict[str, Any]) -> int:
    """Become the daemon; return its exit code."""
    os.environ.update(order["environment"])
    time.tzset()
    if order["file_max"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_max"], resource.RLIM_INFINITY))
    if order["snapshot_us"]:
        Machine.__init__.__kwdefaults__["snapshot_every_us"] = order["snapshot_us"]  # its default
    mode = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    out, err = (os.open(order[name], mode, 0o644) for name in ("out", "err"))
    return forker.run(order, out, err)


def serve() -> None:
    """Answer until standard input ends; one daemon at a time."""
    botd.engine.warm.main()
    while line := os.read(0, 65536):
        child = os.fork()
        if child == 0:
            os._exit(live(json.loads(line)))
        os.write(1, f"{child}\n".encode())
        _, status = os.waitpid(child, 0)
        os.write(1, f"{os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    serve()
