"""`botd decisions`: what a session decided, one canonical line each."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

StateOption = Annotated[Path, typer.Option("--state", help="The state file.", show_default=True)]
SessionOption = Annotated[
    str | None, typer.Option("--session", help="The session's id; by default the newest but warm-ups.")
]

STATE_FILE = Path("state/botd.sqlite3")


def decisions(state: StateOption = STATE_FILE, session: SessionOption = None) -> None:
    """Print a session's decisions as canonical lines; two sessions decided the same if these are equal."""
    from botd.core.decisions import canonical_line
    from botd.store.queries import StateReader  # here, so that other commands start without a database

    with (
        StateReader(state) as reader,
        closing(reader.decision_records(reader.session(session).id)) as records,
    ):
        for record in records:
            line = canonical_line(record)
            if line is not None:
                sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
