"""Fees in another currency than the quote, as the venue took them; fills that take others back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for name in ("fee_paid", "fee_currency", "reverses"):
        op.add_column("fills", sa.Column(name, sa.Text(), nullable=True))
