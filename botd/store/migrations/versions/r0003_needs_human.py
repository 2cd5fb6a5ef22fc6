"""Orders that the venue had once and shows no more: what became of them a person has to find out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    with op.batch_alter_table("orders", table_kwargs={"sqlite_with_rowid": False}) as orders:
        orders.add_column(sa.Column("needs_human", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("orders", table_kwargs={"sqlite_with_rowid": False}) as orders:
        orders.alter_column("needs_human", server_default=None)
