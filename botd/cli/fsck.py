"""`botd fsck`: hold the books to their invariants, without changing anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from botd.cli.books import ConfigOption, StateOption, find_books
from botd.cli.output import write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botd.store.fsck import Report

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

FINDINGS = 1


def fsck(state: StateOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> int:
    """Check that the books agree with themselves; exit 0, or 1 with every row that does not."""
    from botd.store.fsck import examine  # here, so that other commands start without a database

    report = examine(find_books(state, config))
    lines = [json.dumps(_document(report), ensure_ascii=False, indent=2)] if as_json else _lines(report)
    for line in lines:
        write(f"{line}\n")
    return FINDINGS if report.findings else 0


def _lines(report: Report) -> Iterator[str]:
    from botd.store.fsck import ELSEWHERE

    for finding in report.findings:
        check = finding.check
        yield f"{check.id}  {check.statement}: {finding.count} of {check.table}"
        for row in finding.rows:
            cells = (f"{name}={'-' if value is None else value}" for name, value in row.items())
            yield f"    {' '.join(cells)}"
    broken, checked = len(report.findings), len(report.checks)
    verdict = f"{broken} of {checked} checks broken" if broken else f"all {checked} checks hold"
    sessions = f"{report.sessions_count} session{'' if report.sessions_count == 1 else 's'}"
    yield f"{report.path}: {sessions}, {verdict}"
    if report.refusals:
        yield "the daemon does not trade on these books; restore a copy of the file"
    yield "not in the state file, and decided elsewhere:"
    for one in ELSEWHERE:
        yield f"    {one.id:<4} {one.statement}: {one.decided_by}"


def _document(report: Report) -> dict[str, object]:
    from botd.store.fsck import ELSEWHERE

    found = {finding.check.id: finding for finding in report.findings}
    return {
        "state": str(report.path),
        "sessions_count": report.sessions_count,
        "clean": not report.findings,
        "trusted": not report.refusals,
        "checks": [
            {
                "id": check.id,
                "statement": check.statement,
                "table": check.table,
                "refuses": check.refuses,
                "rows": [dict(row) for row in found[check.id].rows] if check.id in found else [],
                "more": check.id in found and found[check.id].more,
            }
            for check in report.checks
        ],
        "decided_elsewhere": [
            {"id": one.id, "statement": one.statement, "decided_by": one.decided_by} for one in ELSEWHERE
        ],
    }
