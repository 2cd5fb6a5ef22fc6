"""What came of a reload: the plan was swapped, or the old one trades on and says why."""

from __future__ import annotations

import json
from typing import Any, Final

from botd.core.values import value
from botd.errors import Diagnostic, Severity

REVISION_LENGTH: Final = 12  # characters of a plan's hash, which tell it from all others


def revision_name(config_hash: str) -> str:
    """Return what a plan is called in records, in its history and on screens."""
    return config_hash[:REVISION_LENGTH]


@value(frozen=True, slots=True, kw_only=True)
class ReloadOutcome:
    """One attempt to bring the running plan to what the files say."""

    ts_us: int  # wall clock, when it was decided
    who: str  # `files`, `signal`, or who asked for it
    ok: bool
    config_hash: str  # of the files that were tried; empty where they could not be read
    running_hash: str  # of the plan that trades from here on
    session_id: str
    position: int  # the merged row before which the plan was swapped; -1 where it was not
    changes: tuple[str, ...] = ()  # what is different, a line each
    errors: tuple[Diagnostic, ...] = ()


def diagnostics_text(errors: tuple[Diagnostic, ...]) -> str:
    """Return faults as JSON, each with its place and how a terminal shows it."""
    return json.dumps(
        [
            {
                "file": one.file,
                "line": one.line,
                "column": one.column,
                "message": one.message,
                "excerpt": one.excerpt,
                "width": one.width,
                "severity": str(one.severity),
                "text": one.render(),
            }
            for one in errors
        ],
        ensure_ascii=False,
    )


def diagnostics_of(text: str) -> tuple[Diagnostic, ...]:
    """Return the faults that `diagnostics_text` was given."""
    found: list[dict[str, Any]] = json.loads(text)
    return tuple(
        Diagnostic(
            file=one["file"],
            line=one["line"],
            column=one["column"],
            message=one["message"],
            excerpt=one["excerpt"],
            width=one["width"],
            severity=Severity(one["severity"]),
        )
        for one in found
    )
