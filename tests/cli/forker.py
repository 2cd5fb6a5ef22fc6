"""Runs the command again and again, each time in a process of its own forked from one that has loaded it.

Reads one JSON object per line: the folder, the arguments, files for both outputs, a user id or null.
Answers with the exit code. What a fresh interpreter does differently, `bots.Running` shows.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import botd.cli.backtest
import botd.cli.decisions
import botd.cli.fsck
import botd.cli.halt
import botd.cli.run
import botd.cli.status
import botd.daemon
import botd.engine.warm
import botd.research.report_text
import botd.store.fsck
import botd.store.migrate
import botd.store.queries
from botd.cli.main import main


def run(order: dict[str, Any]) -> int:
    """Become the command; return its exit code as a fresh interpreter would."""
    os.chdir(order["folder"])
    mode = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(order[name], mode, 0o644), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if order["user"] is not None:
        os.setgroups([])
        os.setgid(order["user"])
        os.setuid(order["user"])
    try:
        code = main(order["arguments"])
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def serve() -> None:
    """Answer until standard input ends."""
    botd.engine.warm.main()
    while line := os.read(0, 65536):
        child = os.fork()
        if child == 0:
            os._exit(run(json.loads(line)))
        _, status = os.waitpid(child, 0)
        os.write(1, f"{os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    serve()
