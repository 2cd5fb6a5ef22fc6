"""`botd serve`: the daemon with its dashboard beside it, as `make run` and the container have it."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from botd.cli.output import write

WordsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[OPTIONS OF RUN]", help="Go to botd run.", show_default=False)
]


def serve(words: WordsArgument = None) -> None:
    """Run the daemon with the dashboard beside it, which ends with it; one that fails stops nothing."""
    from botd.hosting.beside import PORT, become_daemon, command, dashboard_words, is_taken, place_of

    given = list(words or ())
    dashboard, address = dashboard_words(place_of(given), os.environ)
    if is_taken(address):
        write(f"dashboard: {address} is taken and not this bot; name a free port in {PORT}\n")
    else:
        write(f"dashboard: {address}\n")
    become_daemon(command("run", *given), command(*dashboard), quiet=os.isatty(1))
