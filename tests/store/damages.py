"""Damages to a state file's rows, orders, fills and positions; each returns what its finding must say."""

from __future__ import annotations

import sqlite3

from tests.store.ledgers import (
    ENTRY,
    EXIT,
    FILL,
    HELD,
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


def row_of_no_session(c: sqlite3.Connection) -> Row:
    copy(c, "alerts", first(c, "SELECT * FROM alerts"), session_id="nobody")
    return {"table_name": "alerts", "parent": "sessions", "rows_count": 1}


def amount_that_is_no_number(c: sqlite3.Connection) -> Row:
    row = first(c, STOP)
    change(c, "orders", row, decision_price="1,5")
    key = f"{row['session_id']}|{row['seq']}"
    return {"table_name": "orders", "key": key, "column_name": "decision_price", "value": "1,5"}


def amount_as_a_float(c: sqlite3.Connection) -> Row:
    c.executescript(  # the column's affinity would make text of it
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'decision_price TEXT', "
        "'decision_price BLOB') WHERE name = 'orders'; PRAGMA writable_schema = RESET;"
    )
    change(c, "orders", first(c, STOP), decision_price=1.5)
    return {"table_name": "orders", "column_name": "decision_price", "value": 1.5}


def word_that_nobody_knows(c: sqlite3.Connection) -> Row:
    row = first(c, "SELECT * FROM signals")
    change(c, "signals", row, section="S9")
    return {"table_name": "signals", "column_name": "section", "value": "S9"}


def time_that_is_no_number(c: sqlite3.Connection) -> Row:
    c.execute("UPDATE sessions SET started_us = 'noon' WHERE mode = 'warmup'")
    return {"table_name": "sessions", "column_name": "started_us", "value": "noon"}


def flag_that_is_neither(c: sqlite3.Connection) -> Row:
    change(c, "fills", first(c, FILL), maker=7)
    return {"table_name": "fills", "column_name": "maker", "value": 7}


def values_that_are_no_json(c: sqlite3.Connection) -> Row:
    change(c, "signals", first(c, "SELECT * FROM signals"), indicator_values="{")
    return {"table_name": "signals", "column_name": "indicator_values", "value": "{"}


def cursor_behind_the_records(c: sqlite3.Connection) -> Row:
    session = first(c, NEWEST)["id"]
    c.execute("UPDATE journal_cursor SET seq = seq - 1 WHERE session_id = ?", (session,))
    return {"session_id": session}


def two_orders_of_an_intent(c: sqlite3.Connection) -> Row:
    row = first(c, EXIT)
    other = {"seq": 9_000, "client_order_id": "again", "leg": 7, "filled_qty": "0", "fee": "0"}
    copy(c, "orders", row, **other, status="expired", filled_us=None, updated_seq=9_000)
    c.execute("UPDATE journal_cursor SET seq = 9000 WHERE session_id = ?", (row["session_id"],))
    return {**only(row, "session_id", "intent_seq"), "orders_count": 2}


def client_order_id_of_another_session(c: sqlite3.Connection) -> Row:
    old = first(c, "SELECT * FROM orders WHERE session_id LIKE 'warmup-%' AND status = 'canceled'")
    new = first(c, STOP)
    change(c, "orders", new, client_order_id=old["client_order_id"])
    return {"client_order_id": old["client_order_id"], "orders_count": 2}


def order_without_its_intent(c: sqlite3.Connection) -> Row:
    row = first(c, ENTRY)
    drop(c, "intents", {"session_id": row["session_id"], "seq": row["intent_seq"]})
    return only(row, "session_id", "seq", "client_order_id", "strategy", "intent_seq")


def exit_that_names_no_intent(c: sqlite3.Connection) -> Row:
    row = first(c, EXIT)
    change(c, "orders", row, intent_seq=None)
    return only(row, "session_id", "seq", "client_order_id")


def order_of_another_size_than_asked(c: sqlite3.Connection) -> Row:
    row = first(c, ENTRY)
    asked = {"session_id": row["session_id"], "seq": row["intent_seq"]}
    change(c, "intents", asked, qty="0.0690000000000000000000000001")
    return {**only(row, "client_order_id", "qty"), "asked_qty": "0.0690000000000000000000000001"}


def stop_of_another_cycle(c: sqlite3.Connection) -> Row:
    row = first(c, STOP)
    change(c, "orders", row, cycle=9_000)
    return {**only(row, "session_id", "seq", "client_order_id"), "cycle": 9_000}


def entry_that_nobody_judged(c: sqlite3.Connection) -> Row:
    row = first(c, "SELECT * FROM risk_decisions ORDER BY seq DESC")
    drop(c, "risk_decisions", row)
    return {"session_id": row["session_id"], "seq": row["intent_seq"], "decisions_count": 0}


def order_that_was_denied(c: sqlite3.Connection) -> Row:
    row = first(c, "SELECT * FROM risk_decisions")
    change(c, "risk_decisions", row, approved=0, reason="positions_max")
    return {**only(row, "session_id", "intent_seq"), "decision_seq": row["seq"], "reason": "positions_max"}


def approval_with_a_reason(c: sqlite3.Connection) -> Row:
    row = first(c, "SELECT * FROM risk_decisions")
    change(c, "risk_decisions", row, reason="positions_max")
    return {**only(row, "session_id", "seq", "intent_seq"), "reason": "positions_max"}


def position_of_another_size(c: sqlite3.Connection) -> Row:
    row = first(c, HELD)
    c.execute(
        "UPDATE positions SET qty = '0.0350000000000000000000000001' WHERE session_id = ? AND strategy = ? "
        "AND instrument = ? AND cycle = ?",
        (row["session_id"], row["strategy"], row["instrument"], row["cycle"]),
    )
    return {
        **only(row, "session_id", "strategy", "instrument"),
        "position_qty": "0.0350000000000000000000000001",
        "fills_qty": row["qty"].rstrip("0"),
    }


def position_that_was_not_taken_over(c: sqlite3.Connection) -> Row:
    row = first(c, HELD)
    c.execute(
        "DELETE FROM positions WHERE session_id = ? AND strategy = ? AND instrument = ?",
        (row["session_id"], row["strategy"], row["instrument"]),
    )
    return {**only(row, "session_id", "strategy", "instrument"), "position_qty": "0"}


def dust_that_never_left_a_position(c: sqlite3.Connection) -> Row:
    row = first(c, FILL)
    change(c, "fills", row, section="external", rule="dust")
    return {**only(row, "instrument"), "dust": f"-{row['qty']}"}


def position_on_the_other_side(c: sqlite3.Connection) -> Row:
    row = first(c, HELD)
    c.execute(
        "UPDATE positions SET side = 'short' WHERE session_id = ? AND instrument = ? AND cycle = ? "
        "AND strategy = ?",
        (row["session_id"], row["instrument"], row["cycle"], row["strategy"]),
    )
    return {**only(row, "session_id", "strategy", "instrument", "cycle", "qty"), "side": "short"}


def position_opened_twice(c: sqlite3.Connection) -> Row:
    row = first(c, HELD)
    copy(c, "positions", row, cycle=9_000, realized_pnl="0", fees="0", qty="0.001")
    return {**only(row, "session_id", "strategy", "instrument"), "open_count": 2, "other_cycle": 9_000}


def session_whose_predecessor_is_gone(c: sqlite3.Connection) -> Row:
    c.execute("UPDATE sessions SET account = 'other' WHERE mode = 'warmup'")
    row = first(c, "SELECT * FROM sessions WHERE mode = 'paper' ORDER BY rowid")
    return {"session_id": row["id"], "mode": "paper"}


def fill_booked_in_two_sessions(c: sqlite3.Connection) -> Row:
    row = first(c, "SELECT * FROM fills WHERE session_id LIKE 'warmup-%' ORDER BY seq DESC")
    session = first(c, NEWEST)["id"]
    copy(c, "fills", row, session_id=session, seq=9_000)
    c.execute("UPDATE journal_cursor SET seq = 9000 WHERE session_id = ?", (session,))
    return {**only(row, "session_id", "trade_id", "client_order_id", "seq"), "other_seq": 9_000}


def fill_of_no_order(c: sqlite3.Connection) -> Row:
    row = first(c, FILL)
    change(c, "fills", row, client_order_id="stranger")
    return {**only(row, "session_id", "seq", "trade_id"), "client_order_id": "stranger"}


def reversal_of_a_fill_that_nobody_knows(c: sqlite3.Connection) -> Row:
    row = first(c, SOLD)
    change(c, "fills", row, reverses="x-1")
    return {**only(row, "session_id", "seq", "trade_id"), "reverses": "x-1"}


def fill_of_less_than_nothing(c: sqlite3.Connection) -> Row:
    row = first(c, FILL)
    change(c, "fills", row, qty="-0.001")
    return {**only(row, "session_id", "seq", "trade_id"), "qty": "-0.001"}


def fee_of_another_amount(c: sqlite3.Connection) -> Row:
    row = first(c, ENTRY)
    change(c, "orders", row, fee=f"{row['fee']}0000000000000001")
    return {**only(row, "session_id", "seq", "client_order_id"), "fills_fee": row["fee"]}


def order_of_a_revision_that_never_ran(c: sqlite3.Connection) -> Row:
    row = first(c, STOP)
    change(c, "orders", row, revision="000000000000")
    return {"table_name": "orders", **only(row, "session_id", "seq"), "revision": "000000000000"}


def trade_of_another_revision_than_its_entry(c: sqlite3.Connection) -> Row:
    row = first(c, "SELECT * FROM trades WHERE session_id LIKE 'warmup-%' ORDER BY seq DESC")
    change(c, "trades", row, revision=None)
    return {**only(row, "session_id", "seq", "cycle"), "revision": None, "order_revision": row["revision"]}


def order_filled_beyond_its_size(c: sqlite3.Connection) -> Row:
    row = first(c, ENTRY)
    change(c, "orders", row, working_qty="0.001")
    return {**only(row, "session_id", "seq", "client_order_id", "filled_qty"), "working_qty": "0.001"}
