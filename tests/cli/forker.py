"""Runs the command again and again, each time in a process of its own forked from one that has loaded it.

Standard input is a socket. One message each: a JSON object with the folder, the arguments, the environment
and a user id or null; with it come the command's two outputs, and a pipe that is told its process id and, at
its end, its exit code. What a fresh interpreter does differently, `bots.Running` shows.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import traceback
from contextlib import suppress
from typing import Any, Final, NoReturn

import pyarrow.dataset  # noqa: F401 - a second of every start, since it loads pandas

import botd.cli.backtest
import botd.cli.decisions
import botd.cli.fsck
import botd.cli.halt
import botd.cli.run
import botd.cli.status
import botd.daemon
import botd.engine.warm
import botd.hardening
import botd.research.report_text
import botd.store.fsck
import botd.store.migrate
import botd.store.queries
from botd.cli.main import main

ORDER_MAX: Final = 1 << 17


def run(order: dict[str, Any], out: int, err: int) -> int:
    """Become the command; return its exit code as a fresh interpreter would."""
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    os.dup2(out, 1)
    os.dup2(err, 2)
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


def keep(order: dict[str, Any], out: int, err: int, told: int) -> None:
    """Run the command in a child, and tell of it."""
    child = os.fork()
    if child == 0:
        os.close(told)
        os._exit(run(order, out, err))
    for descriptor in (0, out, err):
        os.close(descriptor)
    os.write(told, b"%d\n" % child)
    _, status = os.waitpid(child, 0)
    os.write(told, b"%d\n" % os.waitstatus_to_exitcode(status))


def end_with(order: dict[str, Any], out: int, err: int, told: int) -> NoReturn:
    """Keep one command, whatever becomes of it."""
    try:
        keep(order, out, err, told)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def serve() -> None:
    """Answer until the other end is closed."""
    botd.engine.warm.main()
    orders = socket.socket(fileno=os.dup(0))
    while True:
        text, descriptors, _, _ = socket.recv_fds(orders, ORDER_MAX, 3)
        with suppress(ChildProcessError):  # those that kept a command before
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not text:
            return
        out, err, told = descriptors
        if os.fork() == 0:
            orders.close()
            end_with(json.loads(text), out, err, told)
        for descriptor in descriptors:
            os.close(descriptor)


if __name__ == "__main__":
    serve()
