"""Halts and holds, and on a denial what halted or held it; trade ids are unique per instrument and order."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "trading_states",
        *_column(sa.Text(), "session_id"),
        *_column(sa.BigInteger(), "seq", "ts_us"),
        *_column(sa.Text(), "scope", "verb", "state", "cause", "who", "reason"),
        *_column(sa.BigInteger(), "since_us"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_trading_states_session_id_sessions")
        ),
        sa.PrimaryKeyConstraint("session_id", "seq", name=op.f("pk_trading_states")),
        sqlite_with_rowid=False,
    )
    op.add_column("risk_decisions", sa.Column("cause", sa.Text(), nullable=True))
    op.add_column("risk_decisions", sa.Column("since_us", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("fills", table_kwargs={"sqlite_with_rowid": False}) as fills:
        fills.drop_constraint("uq_fills_session_id_trade_id", type_="unique")
        fills.create_unique_constraint(
            op.f("uq_fills_session_id_instrument_client_order_id_trade_id"),
            ["session_id", "instrument", "client_order_id", "trade_id"],
        )


def _column(kind: sa.types.TypeEngine[Any], *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=False) for name in names]
