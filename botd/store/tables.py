"""The tables of the state file. A new column here needs a migration beside it.

Times are int microseconds UTC, money is Decimal as text. `seq` rises by one over all records of a
session, whichever table they land in. What the decision key of a record is, is a UNIQUE constraint.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.sql.schema import SchemaItem

from botd.core.events import OrderType, Section, Side, TimeInForce
from botd.core.outcomes import DenyReason, OrderStatus
from botd.core.restraint import Cause, TradingState, Verb
from botd.store.columns import ChecksJson, DecimalText, FloatText, ValuesJson, Word

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

DECISION_KEY = ("session_id", "strategy", "instrument", "cycle", "section", "rule", "leg")


def _text(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, Text, nullable=null)


def _int(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, BigInteger, nullable=null)


def _money(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, DecimalText, nullable=null)


def _flag(name: str) -> Column[Any]:
    return Column(name, Boolean, nullable=False)


def _word(name: str, words: Any, *, null: bool = False) -> Column[Any]:
    return Column(name, Word(words), nullable=null)


def _session() -> Column[Any]:
    return Column("session_id", Text, ForeignKey("sessions.id"), nullable=False)


def _revision() -> Column[Any]:
    """Declare the beginning of the hash of the plan whose rules decided; NULL where nobody's did."""
    return _text("revision", null=True)


def _who() -> list[Column[Any]]:
    return [_text("strategy"), _text("instrument")]


def _record(name: str, *items: SchemaItem) -> Table:
    """Declare a table of records, clustered in the order they happened."""
    return Table(
        name,
        metadata,
        _session(),
        _int("seq"),
        *items,
        PrimaryKeyConstraint("session_id", "seq"),
        sqlite_with_rowid=False,
    )


sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True, nullable=False),
    _text("mode"),
    _text("feed"),
    _text("config_hash"),
    _int("started_us"),
    _int("ended_us", null=True),
    _text("status"),
    _text("account"),
    Index(None, "mode", "feed", "started_us"),
)

config_revisions = Table(
    "config_revisions",
    metadata,
    _int("applied_us"),
    _text("config_hash"),
    _text("files"),  # JSON: name -> text
    PrimaryKeyConstraint("applied_us", "config_hash"),
)

reloads = Table(
    "reloads",
    metadata,
    Column("number", Integer, primary_key=True, nullable=False),
    _int("ts_us"),
    _text("who"),
    _flag("ok"),
    _text("config_hash"),  # of the files that were tried
    _text("running_hash"),
    _session(),
    _int("position"),
    _text("changes"),  # JSON: lines
    _text("errors"),  # JSON: faults with their places
)

signals = _record(
    "signals",
    *_who(),
    _word("section", Section),
    _text("rule"),
    _int("cycle"),
    _int("row_number"),
    _int("ts_us"),
    _word("side", Side),
    _money("price"),
    Column("confidence", FloatText, nullable=True),
    Column("indicator_values", ValuesJson, nullable=False),
    _flag("acted"),
    _text("reason"),
    # A signal has no leg, and one that is recorded only does not use up its cycle: the row tells.
    UniqueConstraint(*DECISION_KEY[:-1], "row_number", name="uq_signals_decision_key"),
    Index(None, "session_id", "instrument", "ts_us"),  # what a chart shows
    _revision(),
)

intents = _record(
    "intents",
    *_who(),
    _word("section", Section),
    _text("rule"),
    _int("cycle"),
    Column("leg", Integer, nullable=False),
    _int("row_number"),
    _int("ts_us"),
    _word("side", Side),
    _money("qty"),
    _money("price"),
    _text("sizing"),
    UniqueConstraint(*DECISION_KEY, name="uq_intents_decision_key"),
)

risk_decisions = _record(
    "risk_decisions",
    _int("intent_seq"),
    *_who(),
    _int("row_number"),
    _int("ts_us"),
    _flag("approved"),
    _word("reason", DenyReason, null=True),
    _money("limit_value", null=True),
    _money("actual_value", null=True),
    _word("cause", Cause, null=True),
    _int("since_us", null=True),
    UniqueConstraint("session_id", "intent_seq"),
    Column("checks", ChecksJson, nullable=True),
)

orders = _record(
    "orders",
    _text("client_order_id"),
    _int("intent_seq", null=True),
    *_who(),
    _word("section", Section),
    _text("rule"),
    _int("cycle"),
    Column("leg", Integer, nullable=False),
    _int("row_number"),
    _int("ts_us"),
    _word("side", Side),
    _word("type", OrderType),
    _word("tif", TimeInForce),
    _money("qty"),  # as submitted
    _money("limit_price", null=True),
    _money("stop_price", null=True),
    _flag("reduce_only"),
    _money("decision_price"),
    # From here on: the order's latest state.
    _word("status", OrderStatus),
    _flag("in_doubt"),
    _money("working_qty"),  # as amended
    _money("filled_qty"),
    _money("avg_price", null=True),
    _money("fee"),
    _text("status_reason"),
    _int("updated_us"),
    _int("updated_seq"),
    _int("filled_us", null=True),
    UniqueConstraint("session_id", "client_order_id"),
    UniqueConstraint(*DECISION_KEY, name="uq_orders_decision_key"),
    _flag("needs_human"),
    Index(None, "session_id", "intent_seq"),
    _revision(),
)

fills = _record(
    "fills",
    _text("client_order_id"),
    _text("trade_id"),
    *_who(),
    _word("section", Section),
    _text("rule"),
    _int("cycle"),
    Column("leg", Integer, nullable=False),
    _int("ts_us"),
    _word("side", Side),
    _money("qty"),
    _money("price"),
    _money("fee"),
    _flag("maker"),
    _money("realized_pnl"),
    # unique at a venue per instrument, and both sides of a trade may be ours
    UniqueConstraint("session_id", "instrument", "client_order_id", "trade_id"),
    _money("fee_paid", null=True),  # as the venue took it, where that was not in the quote currency
    _text("fee_currency", null=True),
    _text("reverses", null=True),  # trade id of the fill that the venue took back
    Index(None, "session_id", "client_order_id"),
)

trades = _record(
    "trades",
    *_who(),
    _int("cycle"),
    _text("side"),
    _money("qty"),
    _money("entry_price"),
    _money("exit_price"),
    _int("opened_us"),
    _int("closed_us"),
    _money("realized_pnl"),
    _money("fees"),
    _word("exit_section", Section),
    _text("exit_rule"),
    Column("confidence", FloatText, nullable=True),
    UniqueConstraint("session_id", "strategy", "instrument", "cycle", name="uq_trades_decision_key"),
    _revision(),  # of the entry order
)

positions = Table(
    "positions",
    metadata,
    _session(),
    *_who(),
    _int("cycle"),
    _text("side"),
    _money("qty"),  # signed; 0 is flat
    _money("entry_price"),
    _money("realized_pnl"),
    _money("fees"),
    _int("opened_us"),
    _int("updated_us"),
    _int("closed_us", null=True),
    _int("seq"),  # of the latest change
    PrimaryKeyConstraint("session_id", "strategy", "instrument", "cycle"),
    sqlite_with_rowid=False,
)

portfolio_snapshots = _record(
    "portfolio_snapshots",
    _int("ts_us"),
    _text("currency"),
    _money("balance"),
    _money("unrealized_pnl"),
    _money("equity"),
    _money("exposure_gross"),
    _money("peak_equity"),
    _money("drawdown"),
    Column("positions_count", Integer, nullable=False),
)

alerts = _record(
    "alerts",
    _int("ts_us"),
    _text("severity"),
    _text("type"),
    _text("message"),
    _text("strategy", null=True),
    _text("instrument", null=True),
)

# Every halt and hold that began or was lifted; what stands began and was not lifted.
trading_states = _record(
    "trading_states",
    _int("ts_us"),
    _text("scope"),  # account
    _word("verb", Verb),
    _word("state", TradingState),  # of the scope, after it
    _word("cause", Cause),
    _text("who"),
    _text("reason"),
    _int("since_us"),
)

# Minutes of every market, the newest as it stands; in whole ticks and lots, whose sizes stand beside them.
ohlcv_history = Table(
    "ohlcv_history",
    metadata,
    _text("instrument"),
    *(_int(name) for name in ("open_us", "open", "high", "low", "close", "volume")),
    _money("tick_size"),
    _money("lot_size"),
    _int("feed_position"),  # every row of the feed before it is in the bar
    PrimaryKeyConstraint("instrument", "open_us"),
    sqlite_with_rowid=False,
)

_CURSOR = ("feed_position", "position", "ts_us", "seq", "venue_seq")

journal_cursor = Table(
    "journal_cursor",
    metadata,
    _session(),
    *(_int(name) for name in _CURSOR),
    PrimaryKeyConstraint("session_id"),
)

journal_events = Table(
    "journal_events",
    metadata,
    _session(),
    _int("position"),
    _int("ordinal"),
    _text("kind"),
    _text("payload"),  # JSON
    PrimaryKeyConstraint("session_id", "position", "ordinal"),
    sqlite_with_rowid=False,
)

engine_snapshots = Table(
    "engine_snapshots",
    metadata,
    _session(),
    *(_int(name) for name in _CURSOR),
    _text("sha256"),
    _text("file_name"),  # in the folder `snapshots` beside the state file
    _int("size_bytes"),
    PrimaryKeyConstraint("session_id", "position"),
)
