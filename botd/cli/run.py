"""`botd run`: the daemon."""

from __future__ import annotations

import logging
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[Path, typer.Option("--config", help="config.yaml or its folder.", readable=False)]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Run on this data file instead of the configured feed.")
]
SpeedOption = Annotated[
    str | None, typer.Option("--speed", help="Of --data: times real time, or max (default).")
]
PointsOption = Annotated[
    bool, typer.Option("--list-failpoints", help="Print where BOTD_FAILPOINT can end the process, and leave.")
]


def run(
    config: ConfigOption = Path(),
    data: DataOption = None,
    speed: SpeedOption = None,
    list_failpoints: PointsOption = False,
) -> int:
    """Run the daemon until Ctrl-C, SIGTERM or the end of the data."""
    if list_failpoints:
        return _list_failpoints()
    # What the watchdog will hear must not end what is still loading: numpy alone takes a while.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGHUP})

    # Until the daemon listens there is nothing to stop in order, and Ctrl-C ends the process as SIGTERM does:
    # what it would raise into a library that loads may be dropped there, and the signal with it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from botd.config.loader import load_plan
    from botd.errors import InputInvalid
    from botd.failpoints import VARIABLE, arm
    from botd.hardening import harden

    if speed is not None and data is None:
        raise InputInvalid("--speed goes with --data; the configured feed has its own in config.yaml")
    harden(os.environ)
    times = _speed(speed)
    arm(os.environ.get(VARIABLE))
    plan = load_plan(config)

    # The engine takes seconds to load: only for a bot that can run.
    from rich.console import Console

    from botd.daemon import Daemon
    from botd.machine import Machine
    from botd.runtime.terminal import Screen
    from botd.runtime.watchdog import EXIT_S, Watchdog
    from botd.telemetry import configure_logging

    machine = Machine(watch=partial(Watchdog, exit_s=EXIT_S))
    screen = Screen(Console(), machine.clock, mode=plan.mode)
    for warning in plan.warnings:
        screen.say(warning.render())
    stream = screen.log_stream() if screen.live else sys.stderr
    configure_logging(level=plan.logging.level, form=plan.logging.format, stream=stream)
    code = Daemon(plan, data=data, speed=times, screen=screen, machine=machine, config=config).run()
    if screen.stuck:  # Python would wait for its thread, and then abort
        logging.shutdown()
        os._exit(code)
    return code


def _list_failpoints() -> int:
    from botd.cli.output import write
    from botd.failpoints import MEANING

    width = max(map(len, MEANING))
    write("".join(f"{point:<{width}}  {meaning}\n" for point, meaning in MEANING.items()))
    return 0


def _speed(text: str | None) -> float | None:
    from botd.errors import InputInvalid

    if text is None or text == "max":
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise InputInvalid(f"--speed {text or repr(text)}: write max or a number above 0, such as 10")
    return value
