"""Which books a command reads: the options that name them, and what to do where there are none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from botd.store.queries import StateReader

StateOption = Annotated[
    Path | None,
    typer.Option("--state", help="The state file; by default the one config.yaml names.", readable=False),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="config.yaml or its folder; by default the one here.", readable=False),
]
SessionOption = Annotated[
    str | None, typer.Option("--session", help="The session's id; by default the one last active.")
]

_HERE = Path("config.yaml")
_USUAL = Path("state/botd.sqlite3")


def open_books(state: Path | None, config: Path | None) -> StateReader:
    """Open the state file that is named, else that of the config.yaml named, else of the one here."""
    from botd.store.queries import StateReader  # here, so that other commands start without a database

    return StateReader(find_books(state, config))


def find_books(state: Path | None, config: Path | None) -> Path:
    """Return the path of that state file; raise InputInvalid where there is none."""
    from botd.errors import InputInvalid

    path = place_of_books(state, config)
    if not path.exists():
        start = f"botd run --config {config}" if config is not None else "botd run"
        advice = (
            "look at its path"
            if state is not None
            else f"'{start}' makes it; another one is named by --state"
        )
        raise InputInvalid(f"no state file at {path}; {advice}")
    return path


def place_of_books(state: Path | None, config: Path | None) -> Path:
    """Return the path of that state file, be it there yet or not."""
    from botd.errors import InputInvalid

    if state is not None and config is not None:
        raise InputInvalid("--state and --config both name the books; give one of them")
    return _find(config) if state is None else state


def _find(config: Path | None) -> Path:
    from botd.config.place import state_path
    from botd.errors import InputInvalid

    if config is not None or _HERE.exists():
        return state_path(config or _HERE)
    if _USUAL.exists():
        return _USUAL
    raise InputInvalid(
        f"no bot here: there is neither {_HERE} nor {_USUAL}; name its config.yaml with --config, "
        "or its state file with --state"
    )
