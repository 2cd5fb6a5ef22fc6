"""What must be true of a state file's rows before anything can be said about the books in them."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Integer, Table

from botd.core.events import Section
from botd.core.reload import REVISION_LENGTH
from botd.store import tables
from botd.store.columns import DecimalText, ValuesJson, Word
from botd.store.invariants import Check, words
from botd.store.lineage import RECORD_TABLES


def _fault(column: Column[Any]) -> str | None:
    """Return the condition under which a column's value cannot be read, None where any can."""
    kind, name = column.type, f't."{column.name}"'
    if isinstance(kind, DecimalText):
        return f"typeof({name}) <> 'text' OR {name} NOT GLOB '[-0-9]*' OR {name} GLOB '*[^-+.0-9E]*'"
    if isinstance(kind, Word):
        return f"{name} NOT IN {words(kind.words)}"
    if isinstance(kind, Boolean):
        return f"{name} NOT IN (0, 1)"
    if isinstance(kind, BigInteger | Integer):
        return f"typeof({name}) <> 'integer'"
    return f"NOT json_valid({name})" if isinstance(kind, ValuesJson) else None


def _unreadable(table: Table) -> str:
    """Return the query of a table's values that nothing can read."""
    faults = {column.name: fault for column in table.columns if (fault := _fault(column)) is not None}
    where = " ".join(
        f"WHEN t.\"{name}\" IS NOT NULL AND ({fault}) THEN '{name}'" for name, fault in faults.items()
    )
    values = " ".join(f"WHEN '{name}' THEN t.\"{name}\"" for name in faults)
    key = " || '|' || ".join(f't."{column.name}"' for column in table.primary_key)
    owner = "id" if table is tables.sessions else "session_id"
    newer = " AND t.seq > l.since" if "seq" in table.c else ""
    return (
        f"SELECT '{table.name}' AS table_name, {key} AS key, CASE {where} END AS column_name, "
        f"CASE CASE {where} END {values} END AS value FROM lineage l "
        f"CROSS JOIN {table.name} t ON t.{owner} = l.session_id{newer} WHERE column_name IS NOT NULL"
    )


REVISION: Final = f"substr(config_hash, 1, {REVISION_LENGTH})"  # as records name it

_NEWEST: Final = ", ".join(
    f"coalesce((SELECT max(seq) FROM {name} WHERE session_id = l.session_id), 0)" for name in RECORD_TABLES
)

FILE: Final = (
    Check(
        id="file.references",
        statement="every row belongs to a session that exists",
        table="all tables",
        whole=True,
        sql=(
            'SELECT "table" AS table_name, parent, count(*) AS rows_count FROM pragma_foreign_key_check '
            'GROUP BY "table", parent'
        ),
    ),
    Check(
        id="file.values",
        statement="every value can be read: amounts are decimals, words are of their set",
        table="all tables",
        sql=" UNION ALL ".join(
            _unreadable(table)
            for table in tables.metadata.sorted_tables
            if table is tables.sessions or "session_id" in table.c
        ),
    ),
    Check(
        id="file.revisions",
        statement="every revision that a record names is among those in use once",
        table="signals, orders, trades",
        sql=" UNION ALL ".join(
            f"SELECT '{name}' AS table_name, t.session_id, t.seq, t.revision FROM lineage l "
            f"CROSS JOIN {name} t ON t.session_id = l.session_id AND t.seq > l.since "
            f"WHERE t.revision IS NOT NULL AND t.revision NOT IN (SELECT {REVISION} FROM config_revisions)"
            for name in ("signals", "orders", "trades")
        ),
    ),
    Check(
        id="S11.revision",
        statement="a round trip is of the revision that its entry order was decided under",
        table="trades",
        refuses=False,
        sql=f"""
SELECT t.session_id, t.seq, t.strategy, t.instrument, t.cycle, t.revision, o.client_order_id,
    o.revision AS order_revision
FROM lineage l CROSS JOIN trades t ON t.session_id = l.session_id AND t.seq > l.since
JOIN orders o ON o.session_id = t.session_id AND o.strategy = t.strategy AND o.instrument = t.instrument
    AND o.cycle = t.cycle AND o.section = '{Section.Z1}' AND o.leg = 0
WHERE o.revision IS NOT t.revision""",
    ),
    Check(
        id="file.cursor",
        statement="no record is newer than its session's cursor",
        table="journal_cursor",
        sql=f"""
SELECT l.session_id, c.seq AS cursor_seq, max({_NEWEST}) AS newest_seq
FROM lineage l LEFT JOIN journal_cursor c ON c.session_id = l.session_id
WHERE newest_seq > coalesce(c.seq, 0)""",
    ),
)
