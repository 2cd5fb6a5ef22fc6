"""Damages to money, to orders' states and to times; each returns what its finding must say."""

from __future__ import annotations

import sqlite3
from decimal import Decimal

from tests.store.ledgers import (
    ENTRY,
    EXIT,
    LIVE_STOP,
    NEWEST,
    SOLD,
    STOP,
    Row,
    change,
    copy,
    drop,
    first,
    only,
)


def balance_off_by_a_digit(c: sqlite3.Connection) -> Row:
    row = first(c, "SELECT * FROM portfolio_snapshots WHERE currency = 'USDT' ORDER BY seq DESC")
    balance, equity = Decimal(row["balance"]) + Decimal("1e-20"), Decimal(row["equity"]) + Decimal("1e-20")
    change(c, "portfolio_snapshots", row, balance=str(balance), equity=str(equity))
    return {**only(row, "session_id", "seq", "currency"), "balance": str(balance)}


def equity_that_does_not_add_up(c: sqlite3.Connection) -> Row:
    row = first(c, "SELECT * FROM portfolio_snapshots WHERE currency = 'USDT'")
    change(c, "portfolio_snapshots", row, unrealized_pnl="1")
    return {**only(row, "session_id", "seq", "currency", "equity"), "unrealized_pnl": "1"}


def equity_above_its_peak(c: sqlite3.Connection) -> Row:
    row = first(c, "SELECT * FROM portfolio_snapshots WHERE currency = 'USDT'")
    change(c, "portfolio_snapshots", row, peak_equity="1")
    return {**only(row, "session_id", "seq", "currency", "equity"), "peak_equity": "1"}


def result_of_a_fill_changed(c: sqlite3.Connection) -> Row:
    row = first(c, SOLD)
    change(c, "fills", row, realized_pnl="1000000")
    return only(row, "strategy", "instrument")


def entry_approved_under_a_halt(c: sqlite3.Connection) -> Row:
    row = first(
        c,
        "SELECT r.* FROM risk_decisions r JOIN intents i "
        "ON i.session_id = r.session_id AND i.seq = r.intent_seq "
        "WHERE r.approved AND i.section = 'Z1' ORDER BY r.ts_us DESC",
    )
    # halted right before it, and resumed right after
    for seq, verb, state in ((row["seq"] - 1, "halt", "halted"), (row["seq"], "resume", "active")):
        c.execute(
            "INSERT INTO trading_states VALUES (?, ?, 1, 'account', ?, ?, 'file', 'ann', 'odd prices', 1)",
            (row["session_id"], seq, verb, state),
        )
    return {**only(row, "session_id", "seq", "intent_seq"), "trading": "halted"}


def round_trip_lost(c: sqlite3.Connection) -> Row:
    row = first(c, "SELECT * FROM trades ORDER BY seq DESC")
    drop(c, "trades", row)
    return {**only(row, "session_id", "strategy", "instrument", "cycle"), "seq": None}


def round_trip_without_its_position(c: sqlite3.Connection) -> Row:
    row = first(c, "SELECT * FROM trades ORDER BY seq DESC")
    copy(c, "trades", row, cycle=9_000, seq=9_000)
    c.execute("UPDATE journal_cursor SET seq = 9000 WHERE session_id = ?", (row["session_id"],))
    return {**only(row, "session_id", "strategy", "instrument"), "cycle": 9_000, "seq": 9_000}


def price_of_a_fill_changed(c: sqlite3.Connection) -> Row:
    row = first(c, SOLD)
    change(c, "fills", row, price="1")
    trade = first(
        c,
        "SELECT * FROM trades WHERE strategy = ? AND instrument = ? AND cycle = ?",
        *(row["strategy"], row["instrument"], row["cycle"]),
    )
    return only(trade, "session_id", "seq", "strategy", "instrument", "cycle", "realized_pnl")


def order_that_nobody_answered(c: sqlite3.Connection) -> Row:
    session = first(c, NEWEST)["id"]
    row = first(c, "SELECT * FROM orders WHERE session_id = ? AND status = 'submitted'", session)
    change(c, "orders", row, updated_us=row["updated_us"] - 100_000_000)
    return only(row, "session_id", "seq", "client_order_id", "status")


def approved_intent_whose_order_is_lost(c: sqlite3.Connection) -> Row:
    intent = first(c, "SELECT * FROM risk_decisions ORDER BY seq DESC")
    row = first(c, "SELECT * FROM orders WHERE intent_seq = ?", intent["intent_seq"])
    drop(c, "orders", row)
    return {"session_id": row["session_id"], "seq": row["intent_seq"], "decision_seq": intent["seq"]}


def live_order_that_was_not_taken_over(c: sqlite3.Connection) -> Row:
    session = first(c, NEWEST)["id"]
    row = first(c, f"{LIVE_STOP} AND strategy = 'breakout' AND session_id = ?", session)
    drop(c, "orders", row)
    return {"session_id": session, "client_order_id": row["client_order_id"], "seq": None}


def session_ended_with_a_position(c: sqlite3.Connection) -> Row:
    session = first(c, NEWEST)["id"]
    c.execute("UPDATE sessions SET status = 'finished' WHERE id = ?", (session,))
    return {"session_id": session, "mode": "paper", "open_positions": 3}


def filled_order_that_has_not_filled(c: sqlite3.Connection) -> Row:
    row = first(c, STOP)
    change(c, "orders", row, status="filled", filled_us=row["updated_us"])
    return {**only(row, "session_id", "seq", "client_order_id", "filled_qty"), "status": "filled"}


def accepted_order_that_has_filled(c: sqlite3.Connection) -> Row:
    row = first(c, EXIT)
    change(c, "orders", row, status="accepted", filled_us=None, tif="gtc")
    return {**only(row, "session_id", "seq", "client_order_id", "filled_qty"), "status": "accepted"}


def partially_filled_order_that_has_filled(c: sqlite3.Connection) -> Row:
    row = first(c, EXIT)
    change(c, "orders", row, status="partially_filled", filled_us=None, tif="gtc")
    return {**only(row, "session_id", "seq", "filled_qty"), "status": "partially_filled"}


def order_over_and_in_doubt(c: sqlite3.Connection) -> Row:
    row = first(c, STOP)
    change(c, "orders", row, in_doubt=1)
    return {**only(row, "session_id", "seq", "client_order_id", "status"), "in_doubt": 1}


def order_canceled_by_nobody(c: sqlite3.Connection) -> Row:
    session = first(c, NEWEST)["id"]
    row = first(c, f"{LIVE_STOP} AND strategy = 'quick' AND session_id = ?", session)
    change(c, "orders", row, status="canceled")
    return {**only(row, "session_id", "seq", "client_order_id"), "status": "canceled"}


def stop_gone_and_nothing_in_its_place(c: sqlite3.Connection) -> Row:
    session = first(c, NEWEST)["id"]
    row = first(c, f"{LIVE_STOP} AND strategy = 'breakout' AND session_id = ?", session)
    change(c, "orders", row, status="expired")
    return {**only(row, "session_id", "strategy", "cycle"), "last_stop": row["client_order_id"]}


def stop_that_covers_too_little(c: sqlite3.Connection) -> Row:
    session = first(c, NEWEST)["id"]
    row = first(c, f"{LIVE_STOP} AND strategy = 'breakout' AND session_id = ?", session)
    change(c, "orders", row, working_qty="0.001")
    return {**only(row, "session_id", "strategy", "cycle"), "last_stop": row["client_order_id"]}


def exit_that_turned_the_position(c: sqlite3.Connection) -> Row:
    """Let a round trip begin with its exit."""
    row = first(c, SOLD)
    entry = first(
        c,
        "SELECT min(seq) AS seq FROM fills WHERE strategy = ? AND instrument = ? AND cycle = ?",
        *(row["strategy"], row["instrument"], row["cycle"]),
    )
    change(c, "fills", row, seq=entry["seq"] - 1)
    return {**only(row, "session_id", "trade_id", "side"), "held_after": f"-{row['qty'].rstrip('0')}"}


def exit_that_may_open(c: sqlite3.Connection) -> Row:
    row = first(c, EXIT)
    change(c, "orders", row, reduce_only=0)
    return {**only(row, "session_id", "seq", "client_order_id"), "reduce_only": 0}


def rule_that_spoke_twice(c: sqlite3.Connection) -> Row:
    row = first(c, "SELECT * FROM signals WHERE section = 'S1' ORDER BY seq DESC")
    copy(c, "signals", row, seq=9_000, cycle=9_000)
    c.execute("UPDATE journal_cursor SET seq = 9000 WHERE session_id = ?", (row["session_id"],))
    return {**only(row, "session_id", "strategy", "row_number", "seq"), "other_seq": 9_000}


def order_sent_late(c: sqlite3.Connection) -> Row:
    row = first(c, ENTRY)
    change(c, "orders", row, ts_us=row["ts_us"] + 6_000_000)
    return {**only(row, "session_id", "seq", "client_order_id"), "intent_us": row["ts_us"]}


def too_many_orders_in_a_minute(c: sqlite3.Connection) -> Row:
    c.execute(
        "UPDATE config_revisions SET files = "
        "replace(files, 'orders_per_minute_max: 30', 'orders_per_minute_max: 2')"
    )
    return {"orders_per_minute_max": 2, "orders_in_60_s": 3}


def two_sessions_that_go_on(c: sqlite3.Connection) -> Row:
    c.execute("UPDATE sessions SET status = 'running' WHERE mode = 'paper'")
    return {"mode": "paper", "sessions_count": 2}
