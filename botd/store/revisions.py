"""The configurations that a state file has seen, and what came of every reload."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, select

from botd.core.reload import ReloadOutcome, diagnostics_of
from botd.store.tables import config_revisions, orders, reloads, trades


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionView:
    """A configuration in use from a time on; the same one may have come back later."""

    applied_us: int
    config_hash: str
    files: Mapping[str, str]  # name -> text


def newest_revisions(connection: Connection, limit: int) -> tuple[RevisionView, ...]:
    """Return the configurations applied last, newest first.

    One applied again, by a restart or for a strategy that was pinned, is in use since the first time.
    """
    times = (config_revisions.c.applied_us, config_revisions.c.config_hash)
    before = func.lag(config_revisions.c.config_hash).over(order_by=times)
    began = select(*times, before.label("before")).subquery()
    query = (
        select(config_revisions)
        .join(began, and_(*(column == began.c[column.name] for column in times)))
        .where(began.c.config_hash.is_distinct_from(began.c.before))
        .order_by(*(column.desc() for column in times))
        .limit(limit)
    )
    return tuple(
        RevisionView(applied_us=row.applied_us, config_hash=row.config_hash, files=json.loads(row.files))
        for row in connection.execute(query)
    )


def decided_by_revision(connection: Connection) -> dict[str, tuple[int, int]]:
    """Return the number of orders and of trades by the revision that they name."""
    found: dict[str, list[int]] = {}
    for place, table in enumerate((orders, trades)):
        query = select(table.c.revision, func.count()).where(table.c.revision.is_not(None))
        for revision, count in connection.execute(query.group_by(table.c.revision)):
            found.setdefault(revision, [0, 0])[place] = count
    return {revision: (counts[0], counts[1]) for revision, counts in found.items()}


def newest_reloads(connection: Connection, limit: int) -> tuple[ReloadOutcome, ...]:
    """Return what came of the last reloads of all sessions, newest first."""
    query = select(reloads).order_by(reloads.c.number.desc()).limit(limit)
    return tuple(
        ReloadOutcome(
            ts_us=row.ts_us,
            who=row.who,
            ok=row.ok,
            config_hash=row.config_hash,
            running_hash=row.running_hash,
            session_id=row.session_id,
            position=row.position,
            changes=tuple(json.loads(row.changes)),
            errors=diagnostics_of(row.errors),
        )
        for row in connection.execute(query)
    )
