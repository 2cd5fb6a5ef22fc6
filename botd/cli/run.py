"""`botd run`: the daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from botd.config.loader import load_plan
from botd.daemon import Daemon
from botd.errors import InputInvalid
from botd.runtime.clock import WallClock
from botd.runtime.terminal import Screen
from botd.telemetry import configure_logging


def run(
    config: Annotated[Path, typer.Option("--config", help="config.yaml or its folder.")] = Path(),
    data: Annotated[
        Path | None, typer.Option("--data", help="Run on this data file instead of the configured feed.")
    ] = None,
    speed: Annotated[
        str | None, typer.Option("--speed", help="Of --data: times real time, or max (default).")
    ] = None,
) -> int:
    """Run the daemon until Ctrl-C, SIGTERM or the end of the data."""
    if speed is not None and data is None:
        raise InputInvalid("--speed goes with --data; the configured feed has its own in config.yaml")
    console = Console()
    plan = load_plan(config)
    for warning in plan.warnings:
        console.print(warning.render(), markup=False, highlight=False)
    clock = WallClock()
    screen = Screen(console, clock, mode=plan.mode)
    # on a terminal people read the log, lines of JSON would drown the table
    form = "text" if console.is_terminal else plan.logging.format
    configure_logging(level=plan.logging.level, form=form, stream=screen.log_stream())
    return Daemon(plan, data=data, speed=_speed(speed), clock=clock, screen=screen).run()


def _speed(text: str | None) -> float | None:
    if text is None or text == "max":
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise InputInvalid(f"--speed {text}: write max or a number above 0, such as 10")
    return value
