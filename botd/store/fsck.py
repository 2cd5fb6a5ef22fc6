"""`botd fsck`: the invariants of the books, decided over one moment of the state file and nothing written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from botd.errors import InputInvalid, StateCorrupt
from botd.store import exact
from botd.store.invariants import ORDERS_AND_FILLS, Check
from botd.store.invariants_books import BOOKS
from botd.store.invariants_file import FILE
from botd.store.lineage import prepare
from botd.store.reading import reading_uri
from botd.store.schema import LINEAGE, read_revision, refusal

ROWS_MAX: Final = 100  # of one check; whether there are more is said, how many is not

_NAMED_MAX: Final = 4
_BUSY_TIMEOUT_S: Final = 5.0
_STEPS_PER_LOOK: Final = 50_000  # of SQLite's machine, between two looks at whether to go on


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An invariant, or a part of one, that no query over the state file decides, and what decides it."""

    id: str
    statement: str
    decided_by: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A check and the rows that break it, as columns by name; `more` where there are others still."""

    check: Check
    rows: tuple[Mapping[str, Any], ...]
    more: bool

    @property
    def count(self) -> str:
        """Say how many rows there are."""
        if self.more:
            return f"over {len(self.rows)} rows"
        return f"{len(self.rows)} row{'' if len(self.rows) == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Report:
    """What an examination found."""

    path: Path
    sessions_count: int
    checks: tuple[Check, ...]
    findings: tuple[Finding, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return a line for each finding that a person has to know of and that stops nothing."""
        return tuple(
            f"{finding.check.id}: {finding.count} against '{finding.check.statement}'; see 'botd fsck'"
            for finding in self.findings
            if not finding.check.refuses
        )

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """Return the findings for which nothing may trade on these books."""
        return tuple(finding for finding in self.findings if finding.check.refuses)

    @property
    def refusal(self) -> StateCorrupt | None:
        """Return the error that keeps the daemon from trading, None where the books can be trusted."""
        if not self.refusals:
            return None
        broken = ", ".join(f"{one.check.id} ({one.count})" for one in self.refusals[:_NAMED_MAX])
        others = len(self.refusals) - _NAMED_MAX
        more = f" and {others} more" if others > 0 else ""
        return StateCorrupt(
            f"the books in {self.path} cannot be trusted: {broken}{more}; 'botd fsck' shows the rows; "
            "restore a copy of the file"
        )


CHECKS: Final = (*FILE, *ORDERS_AND_FILLS, *BOOKS)

ELSEWHERE: Final = (
    Elsewhere(
        "S4",
        "the worst-case exposure stays within the limits",
        "core/risk.py at every entry: limits and marks are not in the state file",
    ),
    Elsewhere(
        "S8",
        "nothing adds risk on data that are stale or an account that is not reconciled",
        "core/risk.py at every entry: the age of data at a past moment is not in the state file",
    ),
    Elsewhere(
        "S9",
        "a limit order ends at its time to live",
        "the venue, and core/reconcile.py: an order's expiry is not in the state file",
    ),
    Elsewhere(
        "S11",
        "a reload never changes the exits of an open position unseen",
        "core/swap.py and core/carry.py, with an alert exits_adopted: which exits rule is not in the file",
    ),
    Elsewhere(
        "S14",
        "a start without news from the venue writes no order, fill or adjustment",
        "the tests of starting again, by counting rows",
    ),
    Elsewhere(
        "S15",
        "no destructive conclusion from one negative answer",
        "core/reconcile.py: two reads that agree become an alert, and nothing is adjusted",
    ),
    Elsewhere(
        "S17",
        "rejects in a row, orders per instrument and notional per hour are bounded",
        "core/risk.py at every entry: limits are not in the state file",
    ),
    Elsewhere("S18", "no secret leaves the process", "telemetry.py, which redacts; the tests of it"),
    Elsewhere("S19", "the event loop never stands still for 250 ms", "the running daemon"),
    Elsewhere("S20", "one process writes", "runtime/lock.py: the lock on the state folder"),
)


def examine(
    path: Path | str,
    *,
    session_id: str | None = None,
    newest: int | None = None,
    sound: bool = False,
    cancelled: Callable[[], bool] = lambda: False,
) -> Report:
    """Decide every check over a state file as it is at one moment, also while a daemon writes it.

    With a session's id only that session and those it took over from are judged, and with `newest` only so
    many of their last records one by one: sums are always over all. `sound` says that SQLite's own check of
    the pages has just been made. `cancelled` is asked now and then, in this thread; once it is true the
    examination ends with InputInvalid. Raises what `StateReader` raises for a file that is missing, foreign,
    older or newer, and StateCorrupt where it is damaged.
    """
    path = Path(path)
    uri = reading_uri(path)
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
        with closing(connection):
            connection.set_progress_handler(cancelled, _STEPS_PER_LOOK)
            connection.execute("BEGIN")  # one moment for everything that follows
            _check_file(connection, path, sound=sound)
            exact.register(connection)
            sessions_count = prepare(connection, session_id, newest)
            checks = tuple(check for check in CHECKS if newest is None or not check.whole)
            findings = tuple(_find(connection, check) for check in checks)
    except sqlite3.Error as error:
        raise refusal(path, error) from error
    return Report(path, sessions_count, checks, tuple(finding for finding in findings if finding.rows))


def _check_file(connection: sqlite3.Connection, path: Path, *, sound: bool) -> None:
    revision = read_revision(connection, path)
    if revision is None:
        raise InputInvalid(f"{path} is empty; start botd first, or name another file with --state")
    if revision != LINEAGE.head:
        raise InputInvalid(f"{path} was written by an older botd; start the daemon once to upgrade it")
    if sound:
        return
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StateCorrupt(f"{path} is damaged ({' '.join(verdict.split())}); restore a copy of it")


def _find(connection: sqlite3.Connection, check: Check) -> Finding:
    cursor = connection.execute(check.sql)
    found = cursor.fetchmany(ROWS_MAX + 1)
    names = [name for name, *_ in cursor.description]
    rows = tuple(dict(zip(names, row, strict=True)) for row in found[:ROWS_MAX])
    return Finding(check, rows, more=len(found) > ROWS_MAX)
