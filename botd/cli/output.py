"""What a command prints: written at once, and a reader that is gone or a full disk are no faults of botd."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botd.errors import InputInvalid

if TYPE_CHECKING:
    from rich.console import Console

WIDTH_OF_FILES = 200


def write(text: str) -> None:
    """Write to standard output. Raises BrokenPipeError where nobody reads it, else InputInvalid."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        silence()
        raise InputInvalid(f"cannot write the output: {error.strerror or error}") from error


def silence() -> None:
    """Let what Python still holds for standard output go nowhere: it must not fail again at the exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


@contextmanager
def screen(*, soft_wrap: bool = False, file_width: int = WIDTH_OF_FILES) -> Iterator[Console]:
    """Collect what is printed on a console for standard output, and write it in one piece."""
    from rich.console import Console

    file = io.StringIO()  # rich ends the process where it meets a closed pipe
    console = Console(
        file=file, force_terminal=sys.stdout.isatty() or None, highlight=False, soft_wrap=soft_wrap
    )
    if not console.is_terminal:
        console.width = max(console.width, file_width)  # a file or a pipe wants the cells whole
    yield console
    write(file.getvalue())
