"""The `botd` command. Loads only the module of the command that is called, and nothing slow before `main`.

What is loaded at the top can be interrupted before anybody catches it: Ctrl-C would print a traceback.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botd.cli.output import silence, write
from botd.errors import BotdError, ConfigInvalid

if TYPE_CHECKING:
    import typer

EXIT_INTERRUPTED: Final = 130
EXIT_USAGE: Final = 2


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command lives. Its function has the command's name."""

    module: str
    summary: str
    passes_on: bool = False  # what it is not asked for itself, options too


COMMANDS: Final[dict[str, Command]] = {
    "run": Command("botd.cli.run", "Run the daemon."),
    "serve": Command("botd.cli.serve", "Run the daemon with the dashboard beside it.", passes_on=True),
    "container": Command("botd.cli.container", "Run in a container, as its image does.", passes_on=True),
    "check": Command("botd.cli.check", "Check configuration and strategy files; exit 0 or 2."),
    "config": Command("botd.cli.config", "Show and compare the files that have run; write older ones back."),
    "words": Command("botd.cli.words", "Explain the words and keys of the strategy language."),
    "schema": Command("botd.cli.schema", "Print the JSON Schema of a kind of file."),
    "backtest": Command("botd.cli.backtest", "Run strategies over recorded data and report."),
    "halt": Command("botd.cli.halt", "Take no new entries, from now on and after every restart."),
    "resume": Command("botd.cli.halt", "Lift every halt."),
    "resolve": Command("botd.cli.resolve", "End an order that needs a person."),
    "decisions": Command("botd.cli.decisions", "Print a session's decisions, one canonical line each."),
    "status": Command("botd.cli.status", "Show what the state file knows."),
    "report": Command("botd.cli.report", "Judge the trades of a day, a month or any span."),
    "dashboard": Command("botd.cli.dashboard", "Show the bot in a browser."),
    "sim": Command("botd.cli.sim", "Run the daemon through simulated days of crashes and faults."),
    "fsck": Command("botd.cli.fsck", "Check that the books agree with themselves; exit 0, 1, 6 or 7."),
}

_PASSING_ON: Final = {"ignore_unknown_options": True, "allow_interspersed_args": False}


def build_app(called: str | None) -> typer.Typer:
    """Make the command line with the function of the command that is called, and names for the rest."""
    import typer

    from botd.cli.root import root

    app = typer.Typer(
        name="botd",
        help="A trading daemon whose bots are folders of YAML. Paper by default.",
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(root)
    for name, command in COMMANDS.items():
        function = getattr(importlib.import_module(command.module), name) if name == called else _not_called
        settings = _PASSING_ON if command.passes_on else None
        app.command(name, short_help=command.summary, context_settings=settings)(function)
    return app


def _not_called() -> None:
    """Stand in help for a command whose module was not loaded."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code. Whatever goes wrong is one clear line, never a traceback."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    called = next((word for word in given if not word.startswith("-")), None)
    try:
        code = _as_exit_code(_invoke(called, given))
        return code if _flush() else code or EXIT_USAGE
    except ConfigInvalid as error:
        _complain(str(error))
        count = len(error.diagnostics)
        _complain(f"botd: {count} {'error' if count == 1 else 'errors'}; nothing was started")
        return error.exit_code
    except BotdError as error:
        _complain(f"botd: {_one_line(error)}")
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        silence()  # who read our output has seen enough
        return 0
    except Exception as error:
        _complain(f"botd: unexpected {type(error).__name__}: {_one_line(error)}; {_keep_traceback()}")
        return 1


def _invoke(called: str | None, given: list[str]) -> Any:
    import typer

    app = build_app(called if called in COMMANDS else None)
    run: Callable[..., Any] = typer.main.get_command(app)
    try:
        return run(args=given, prog_name="botd", standalone_mode=False)
    except SystemExit as error:  # what the parser and rich make of a closed pipe
        if isinstance(error.__context__, BrokenPipeError):
            raise error.__context__ from None
        raise
    except typer.Abort as error:  # what the command line parser makes of Ctrl-C
        raise KeyboardInterrupt from error
    except Exception as error:
        show = getattr(error, "format_message", None)  # a usage error of the command line parser
        if show is None:
            raise
        words = " ".join(str(show()).split()).rstrip(".")
        _complain(f"botd: {words} (see 'botd {f'{called} ' if called in COMMANDS else ''}--help')")
        return EXIT_USAGE


def _flush() -> bool:
    """Write what is still held for standard output; say why and return False where that cannot be."""
    try:
        write("")
    except BrokenPipeError:
        silence()
    except BotdError as error:
        _complain(f"botd: {error}")
        return False
    return True


def _as_exit_code(result: Any) -> int:
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


def _one_line(error: BaseException) -> str:
    from botd.telemetry import redact

    return redact(" ".join(str(error).split())) or type(error).__name__


def _keep_traceback() -> str:
    """Write the traceback being handled to a file and say where it is."""
    import tempfile
    import traceback

    from botd.telemetry import redact

    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="botd-error-", suffix=".txt", delete=False, encoding="utf-8"
        ) as stream:
            stream.write(redact(traceback.format_exc()))
    except OSError as error:
        return f"its traceback could not be written: {error}"
    return f"traceback in {stream.name}"


def _complain(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
