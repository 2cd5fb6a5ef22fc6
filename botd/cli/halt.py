"""`botd halt` and `botd resume`: the kill switch, whether a daemon runs or not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from botd.cli.books import ConfigOption, StateOption, place_of_books
from botd.cli.output import write

if TYPE_CHECKING:
    from botd.runtime.control import ControlFiles

ReasonOption = Annotated[str, typer.Option("--reason", help="Kept with it, for whoever asks why.")]


def halt(state: StateOption = None, config: ConfigOption = None, reason: ReasonOption = "") -> None:
    """Take no new entries: at once where a daemon runs, from its start where none does. Exits go on."""
    from botd.core.restraint import Cause
    from botd.runtime.control import user

    files = _files(state, config)
    files.ask_halt(Cause.COMMAND, f"{user()} (botd halt)", reason)
    write(
        f"halted: {files.halt_path} is there. A daemon sends no new entry from now on, the next start begins "
        "halted; exits and stops go on. 'botd resume' lifts it\n"
    )


def resume(state: StateOption = None, config: ConfigOption = None, reason: ReasonOption = "") -> None:
    """Lift every halt: at once where a daemon runs, at its start where none does."""
    from botd.runtime.control import user

    files = _files(state, config)
    files.ask_resume(f"{user()} (botd resume)", reason)
    write(
        f"resume asked for: {files.resume_path} is there until it is done, by the daemon at once or at its "
        "next start. 'botd status' shows the trading state\n"
    )


def _files(state: Path | None, config: Path | None) -> ControlFiles:
    from botd.errors import InputInvalid
    from botd.runtime.control import ControlFiles

    folder = place_of_books(state, config).parent
    if not folder.is_dir():
        raise InputInvalid(f"there is no folder {folder}; name the bot's state file with --state")
    return ControlFiles(folder)
