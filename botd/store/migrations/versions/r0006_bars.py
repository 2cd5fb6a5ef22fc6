"""Minute bars of every market for the charts, and signals by instrument and time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "ohlcv_history",
        sa.Column("instrument", sa.Text(), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("open_us", "open", "high", "low", "close", "volume")
        ),
        sa.Column("tick_size", sa.Text(), nullable=False),
        sa.Column("lot_size", sa.Text(), nullable=False),
        sa.Column("feed_position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("instrument", "open_us", name=op.f("pk_ohlcv_history")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_signals_session_id_instrument_ts_us"), "signals", ["session_id", "instrument", "ts_us"]
    )
