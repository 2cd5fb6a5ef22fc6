"""Alembic's entry: run the migrations on the connection that botd.store.migrate hands over."""

from __future__ import annotations

from alembic import context

from botd.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
# No transaction of its own: the caller's holds the views and the version number too.
context.run_migrations()
