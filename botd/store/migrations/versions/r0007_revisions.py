"""Signals, orders and trades name the plan under whose rules they were decided; older ones do not."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    for table in ("signals", "orders", "trades"):
        op.add_column(table, sa.Column("revision", sa.Text(), nullable=True))
