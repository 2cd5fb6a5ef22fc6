"""`botd check`: every fault of every file at once, with file, line and column."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from botd.cli.output import write

if TYPE_CHECKING:
    from botd.config.loader import Checked
    from botd.errors import Diagnostic

PathArgument = Annotated[
    Path,
    typer.Argument(
        help="config.yaml, its folder, a folder of strategies, or one file.",
        show_default=True,
        readable=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]

EXIT_FAULTS = 2


def check(path: PathArgument = Path("config.yaml"), as_json: JsonOption = False) -> int:
    """Check configuration and strategy files. Exit code 0: fine (perhaps with warnings); 2: errors."""
    from botd.config.inspect import inspect

    checked = inspect(path)
    _print_json(checked) if as_json else _print_text(checked)
    return 0 if checked.ok else EXIT_FAULTS


def _print_text(checked: Checked) -> None:
    lines = [*(diagnostic.render() for diagnostic in checked.diagnostics), summary(checked)]
    text = "".join(f"{line}\n" for line in lines)
    write(text) if checked.ok else sys.stderr.write(text)


def summary(checked: Checked) -> str:
    """Say in one line what was read and how it went."""
    parts = []
    if checked.strategies_count:
        parts.append(_count(checked.strategies_count, "strategy", "strategies"))
    if checked.settings_count:
        parts.append(_count(checked.settings_count, "configuration file", "configuration files"))
    errors = sum(d.severity.value == "error" for d in checked.diagnostics)
    others = len(checked.diagnostics) - errors
    verdict = _count(errors, "error", "errors") if errors else "ok"
    if others:
        verdict += f", {_count(others, 'remark', 'remarks')}"
    return f"{', '.join(parts) or 'nothing'}: {verdict}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _print_json(checked: Checked) -> None:
    plan = checked.plan
    report: dict[str, Any] = {
        "ok": checked.ok,
        "strategies_count": checked.strategies_count,
        "settings_count": checked.settings_count,
        "strategies": [] if plan is None else [s.id for s in plan.strategies],
        "config_hash": None if plan is None else plan.config_hash,
        "diagnostics": [_as_dict(d) for d in checked.diagnostics],
    }
    write(f"{json.dumps(report, indent=2, ensure_ascii=False)}\n")


def _as_dict(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "file": diagnostic.file,
        "line": diagnostic.line,
        "column": diagnostic.column,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        "excerpt": diagnostic.excerpt,
    }
