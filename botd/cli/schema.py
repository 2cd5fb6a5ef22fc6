"""`botd schema`: the JSON Schemas that the shipped files name for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from botd.cli.output import write

KINDS = ("strategy", "config", "risk", "lifecycle", "execution", "shutdown")

KindArgument = Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.", show_default=True)]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Write all schemas into this folder instead.", show_default=False)
]


def schema(kind: KindArgument = "strategy", out: OutOption = None) -> int:
    """Print the JSON Schema of a kind of file."""
    from botd.config.schema import SCHEMAS, schema_text
    from botd.errors import InputInvalid
    from botd.language.source import did_you_mean

    if kind not in SCHEMAS:
        raise InputInvalid(
            f"no schema '{kind}'{did_you_mean(kind, SCHEMAS) or '; there is ' + ', '.join(SCHEMAS)}"
        )
    if out is None:
        write(schema_text(kind))
        return 0
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in SCHEMAS:
            (out / f"{name}.json").write_text(schema_text(name), encoding="utf-8")
    except OSError as error:
        raise InputInvalid(f"{out}: cannot be written: {error.strerror or error}") from error
    return 0
