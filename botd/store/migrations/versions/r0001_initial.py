"""The first schema."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

WHO = ("strategy", "instrument")
KEY = ("session_id", "strategy", "instrument", "cycle", "section", "rule", "leg")
CURSOR = ("feed_position", "position", "ts_us", "seq", "venue_seq")


def upgrade() -> None:
    _sessions()
    _decisions()
    _orders()
    _fills()
    _books()
    _journal()


def _text(*names: str, null: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text(), nullable=null) for name in names]


def _int(*names: str, null: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.BigInteger(), nullable=null) for name in names]


def _small(name: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Integer(), nullable=False)]


def _flag(name: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Boolean(), nullable=False)]


def _of_session(name: str, *items: Any, key: tuple[str, ...], clustered: bool = True) -> None:
    options: dict[str, Any] = {"sqlite_with_rowid": False} if clustered else {}
    op.create_table(
        name,
        *_text("session_id"),
        *items,
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name=op.f(f"fk_{name}_session_id_sessions")),
        sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{name}")),
        **options,
    )


def _record(name: str, *items: Any) -> None:
    _of_session(name, *_int("seq"), *items, key=("session_id", "seq"))


def _unique(table: str, label: str, *names: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*names, name=op.f(f"uq_{table}_{label}"))


def _sessions() -> None:
    op.create_table(
        "sessions",
        *_text("id", "mode", "feed", "config_hash"),
        *_int("started_us"),
        *_int("ended_us", null=True),
        *_text("status", "account"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_mode_feed_started_us"), "sessions", ["mode", "feed", "started_us"])
    op.create_table(
        "config_revisions",
        *_int("applied_us"),
        *_text("config_hash", "files"),
        sa.PrimaryKeyConstraint("applied_us", "config_hash", name=op.f("pk_config_revisions")),
    )


def _decisions() -> None:
    _record(
        "signals",
        *_text(*WHO, "section", "rule"),
        *_int("cycle", "row_number", "ts_us"),
        *_text("side", "price"),
        *_text("confidence", null=True),
        *_text("indicator_values"),
        *_flag("acted"),
        *_text("reason"),
        _unique("signals", "decision_key", *KEY[:-1], "row_number"),
    )
    _record(
        "intents",
        *_text(*WHO, "section", "rule"),
        *_int("cycle"),
        *_small("leg"),
        *_int("row_number", "ts_us"),
        *_text("side", "qty", "price", "sizing"),
        _unique("intents", "decision_key", *KEY),
    )
    _record(
        "risk_decisions",
        *_int("intent_seq"),
        *_text(*WHO),
        *_int("row_number", "ts_us"),
        *_flag("approved"),
        *_text("reason", "limit_value", "actual_value", null=True),
        _unique("risk_decisions", "session_id_intent_seq", "session_id", "intent_seq"),
    )


def _orders() -> None:
    _record(
        "orders",
        *_text("client_order_id"),
        *_int("intent_seq", null=True),
        *_text(*WHO, "section", "rule"),
        *_int("cycle"),
        *_small("leg"),
        *_int("row_number", "ts_us"),
        *_text("side", "type", "tif", "qty"),
        *_text("limit_price", "stop_price", null=True),
        *_flag("reduce_only"),
        *_text("decision_price", "status"),
        *_flag("in_doubt"),
        *_text("working_qty", "filled_qty"),
        *_text("avg_price", null=True),
        *_text("fee", "status_reason"),
        *_int("updated_us", "updated_seq"),
        *_int("filled_us", null=True),
        _unique("orders", "session_id_client_order_id", "session_id", "client_order_id"),
        _unique("orders", "decision_key", *KEY),
    )
    op.create_index(op.f("ix_orders_session_id_intent_seq"), "orders", ["session_id", "intent_seq"])


def _fills() -> None:
    _record(
        "fills",
        *_text("client_order_id", "trade_id", *WHO, "section", "rule"),
        *_int("cycle"),
        *_small("leg"),
        *_int("ts_us"),
        *_text("side", "qty", "price", "fee"),
        *_flag("maker"),
        *_text("realized_pnl"),
        _unique("fills", "session_id_trade_id", "session_id", "trade_id"),
    )
    op.create_index(op.f("ix_fills_session_id_client_order_id"), "fills", ["session_id", "client_order_id"])
    _record(
        "trades",
        *_text(*WHO),
        *_int("cycle"),
        *_text("side", "qty", "entry_price", "exit_price"),
        *_int("opened_us", "closed_us"),
        *_text("realized_pnl", "fees", "exit_section", "exit_rule"),
        *_text("confidence", null=True),
        _unique("trades", "decision_key", "session_id", *WHO, "cycle"),
    )


def _books() -> None:
    _of_session(
        "positions",
        *_text(*WHO),
        *_int("cycle"),
        *_text("side", "qty", "entry_price", "realized_pnl", "fees"),
        *_int("opened_us", "updated_us"),
        *_int("closed_us", null=True),
        *_int("seq"),
        key=("session_id", *WHO, "cycle"),
    )
    _record(
        "portfolio_snapshots",
        *_int("ts_us"),
        *_text("currency", "balance", "unrealized_pnl", "equity"),
        *_text("exposure_gross", "peak_equity", "drawdown"),
        *_small("positions_count"),
    )
    _record(
        "alerts",
        *_int("ts_us"),
        *_text("severity", "type", "message"),
        *_text(*WHO, null=True),
    )


def _journal() -> None:
    _of_session("journal_cursor", *_int(*CURSOR), key=("session_id",), clustered=False)
    _of_session(
        "journal_events",
        *_int("position", "ordinal"),
        *_text("kind", "payload"),
        key=("session_id", "position", "ordinal"),
    )
    _of_session(
        "engine_snapshots",
        *_int(*CURSOR),
        *_text("sha256", "file_name"),
        *_int("size_bytes"),
        key=("session_id", "position"),
        clustered=False,
    )
