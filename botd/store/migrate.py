"""Bring a state file to the newest schema, in one transaction."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, exc, text
from sqlalchemy.pool import NullPool

from botd.store.schema import Lineage, connect
from botd.store.views import VIEWS


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
            _mark(connection, lineage.head)
    except exc.DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise error.orig from error
        raise
    finally:
        engine.dispose()


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
