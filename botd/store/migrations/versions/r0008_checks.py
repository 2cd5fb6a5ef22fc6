"""Risk decisions keep what every limit said; older ones have the one that denied."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("risk_decisions", sa.Column("checks", sa.Text(), nullable=True))
