"""`botd container`: what the image runs. It prepares what is mounted and becomes what was asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from botd.cli.output import write

if TYPE_CHECKING:
    from collections.abc import Mapping

WordsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[run|dashboard|COMMAND] [OPTIONS]",
        help="run: the daemon alone; dashboard: that alone; nothing: both; else any other botd command.",
        show_default=False,
    ),
]


def container(words: WordsArgument = None) -> None:
    """Run in a container: fill empty mounts, make a token, then the daemon, the dashboard or both."""
    from botd.hosting.init import become_init

    become_init()
    given = list(words or ())
    what = given[0] if given and not given[0].startswith("-") else ""
    folder = Path(os.environ.get("BOTD_CONFIG", "/etc/botd"))
    if what in ("", "run"):
        prepare(folder, os.environ)
    if what in ("", "run", "dashboard"):
        given = _placed(what, given, folder)
    _become(what, given)


def prepare(folder: Path, environment: Mapping[str, str]) -> None:
    """Make a bot's folder and its state ready to run. Raises InputInvalid, MountUnusable."""
    from botd.config.place import state_path
    from botd.hosting.mounts import check_writable, empty_drafts, keep_kernels, seed

    shipped = Path(environment.get("BOTD_SHIPPED", "/usr/share/botd"))
    for one in seed(shipped, folder):
        write(f"{one} was empty: it has the shipped files now\n")
    state = state_path(folder).parent.resolve()
    check_writable(state)
    drafts = environment.get("TMPDIR")
    if drafts is not None and Path(drafts).is_relative_to(state):
        empty_drafts(Path(drafts))
    cache = environment.get("BOTD_CACHE_DIR")
    if cache is not None:
        keep_kernels(shipped / "kernels", Path(cache, "botd"))
    if environment.get("BOTD_API_ENABLED") != "false":
        _make_token(state, environment)
    write(f"state: {state}\n")


def _make_token(state: Path, environment: Mapping[str, str]) -> None:
    """Give the API the tokens that nobody gave it, and show the trader's once."""
    from botd.api.tokens import Role, find_tokens, token_file

    own = token_file(state, Role.TRADER)
    was_there = own.exists()
    find_tokens(state, environment, makes=True)
    if own.exists() and not was_there:
        write(f"API token, made now and kept in {own}: {own.read_text(encoding='utf-8').strip()}\n")


def _placed(what: str, given: list[str], folder: Path) -> list[str]:
    """Return the words with the bot that is meant, where they name none."""
    from botd.hosting.beside import dashboard_words

    rest = given[1:] if what else given
    named = any(one.split("=")[0] in ("--config", "--state") for one in rest)
    place = [] if named else ["--config", str(folder)]
    if what == "dashboard":
        return [*dashboard_words(place, os.environ)[0], *rest]
    return [*([what] if what else []), *place, *rest]


def _become(what: str, given: list[str]) -> NoReturn:
    from botd.cli.serve import serve
    from botd.hosting.beside import command

    if not what:
        serve(given)
    argv = command(*given)
    os.execv(argv[0], argv)
