"""Bring a state file to the newest schema, in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, exc, text
from sqlalchemy.pool import NullPool

from botd.store.schema import Lineage, connect
from botd.store.tables import metadata
from botd.store.views import VIEWS

# A big session, as the query planner should think of it: values of a column within those before it.
_ROWS = 100_000
_DISTINCT = {"session_id": 4, "strategy": 3, "instrument": 3, "cycle": 2000, "section": 2, "rule": 1}


def configuration(lineage: Lineage) -> Config:
    """Return what Alembic needs to find our migrations; there is no ini file."""
    config = Config()
    config.set_main_option("script_location", str(lineage.migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(path: Path, lineage: Lineage) -> None:
    """Upgrade the file at `path`; raises sqlite3.Error, and leaves the file as it was, on a failure."""
    engine = _engine(path)
    config = configuration(lineage)
    try:
        with engine.begin() as connection:
            for view in VIEWS:  # a view would hinder a migration that alters its table
                connection.execute(text(f"DROP VIEW IF EXISTS {view}"))
            config.attributes["connection"] = connection
            command.upgrade(config, lineage.head)
            for view, query in VIEWS.items():
                connection.execute(text(f"CREATE VIEW {view} AS {query}"))
            _tell_planner(connection)
            _mark(connection, lineage.head)
    except exc.DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise error.orig from error
        raise
    finally:
        engine.dispose()


def _tell_planner(connection: Connection) -> None:
    """Write how selective our keys are; unaided, SQLite takes a session for ten rows and scans it.

    https://www.sqlite.org/fileformat2.html#stat1tab allows an application to do so.
    """
    connection.exec_driver_sql("ANALYZE sqlite_schema")  # makes the table
    connection.exec_driver_sql("DELETE FROM sqlite_stat1")
    for table in metadata.tables:
        for _, index, unique, *_ in connection.exec_driver_sql(f"PRAGMA index_list({table})").all():
            columns = connection.exec_driver_sql(f"PRAGMA index_info({index})").all()
            rows = [_ROWS]
            for _, _, column in columns:
                rows.append(max(1, rows[-1] // _DISTINCT.get(column, _ROWS)))
            rows[-1] = 1 if unique else rows[-1]
            # The clustered key goes by its table's name; a plain one's shadow index keeps its own.
            name = table if _is_clustered(table, columns) else index
            shape = " ".join(str(count) for count in rows)
            connection.exec_driver_sql("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", (table, name, shape))


def _is_clustered(table: str, columns: Sequence[Any]) -> bool:
    declared = metadata.tables[table]
    key = [column.name for column in declared.primary_key]
    return declared.dialect_options["sqlite"]["with_rowid"] is False and [c for _, _, c in columns] == key


def _mark(connection: Connection, revision: str) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise sqlite3.IntegrityError(f"the migration to {revision} broke a reference in {broken[0]}")
    connection.exec_driver_sql(f"PRAGMA user_version = {int(revision)}")


def _engine(path: Path) -> Engine:
    engine = create_engine("sqlite://", creator=lambda: connect(path), poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def without_references(raw: Any, _record: Any) -> None:
        raw.execute("PRAGMA foreign_keys = OFF")  # batch migrations replace tables

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
