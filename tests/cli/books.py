"""The books of a state file, added up again from their fills with nothing of botd's; fsck follows."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from botd.store.fsck import examine

ZERO = Decimal(0)
Rows = list[dict[str, Any]]


class Books:
    """What a state file says, read once."""

    def __init__(self, state: Path) -> None:
        self.path = state
        connection = sqlite3.connect(f"file:{state}?mode=ro", uri=True)
        connection.row_factory = sqlite3.Row
        try:
            self.sessions = self._rows(connection, "sessions ORDER BY started_us, id")
            self.orders = self._rows(connection, "orders")
            self.fills = self._rows(connection, "fills ORDER BY session_id, seq")
            self.trades = self._rows(connection, "trades")
            self.positions = self._rows(connection, "positions")
            self.cursors = {
                str(row["session_id"]): int(row["position"])
                for row in self._rows(connection, "journal_cursor")
            }
            self.snapshots = self._rows(connection, "portfolio_snapshots ORDER BY session_id, seq")
        finally:
            connection.close()

    @staticmethod
    def _rows(connection: sqlite3.Connection, table: str) -> Rows:
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]

    def of(self, rows: Rows, session_id: str) -> Rows:
        return [row for row in rows if row["session_id"] == session_id]

    def open_positions(self, session_id: str) -> Rows:
        return [row for row in self.of(self.positions, session_id) if row["closed_us"] is None]

    def live_orders(self, session_id: str) -> Rows:
        live = ("submitted", "accepted", "partially_filled", "pending_cancel")
        return [row for row in self.of(self.orders, session_id) if row["status"] in live]

    def check(self, start: Mapping[str, Decimal]) -> None:
        """Hold the books of one account, over all of its sessions, to their fills and to their invariants."""
        self._check_orders()
        self._check_trades()
        self._check_positions()
        self._check_equity(start)
        assert examine(self.path).findings == ()

    def _check_orders(self) -> None:
        ids = Counter((fill["session_id"], fill["trade_id"]) for fill in self.fills)
        assert not [one for one, count in ids.items() if count > 1]
        filled: dict[Any, Decimal] = defaultdict(Decimal)
        fees: dict[Any, Decimal] = defaultdict(Decimal)
        for fill in self.fills:
            key = fill["session_id"], fill["client_order_id"]
            filled[key] += Decimal(fill["qty"])
            fees[key] += Decimal(fill["fee"])
        carried = Counter(order["client_order_id"] for order in self.orders)
        for order in self.orders:
            if carried[order["client_order_id"]] > 1:
                continue  # handed from a session to the next: each has its own part of the fills
            key = order["session_id"], order["client_order_id"]
            assert Decimal(order["filled_qty"]) == filled[key] <= Decimal(order["qty"]), order
            assert Decimal(order["fee"]) == fees[key], order

    def _check_trades(self) -> None:
        realized: dict[Any, Decimal] = defaultdict(Decimal)
        fees: dict[Any, Decimal] = defaultdict(Decimal)
        for fill in self.fills:
            key = fill["strategy"], fill["instrument"], fill["cycle"]
            realized[key] += Decimal(fill["realized_pnl"])
            fees[key] += Decimal(fill["fee"])
        for trade in self.trades:
            key = trade["strategy"], trade["instrument"], trade["cycle"]
            assert Decimal(trade["realized_pnl"]) == realized[key], trade
            assert Decimal(trade["fees"]) == fees[key], trade

    def _check_positions(self) -> None:
        held: dict[Any, Decimal] = defaultdict(Decimal)
        for fill in self.fills:
            sign = 1 if fill["side"] == "buy" else -1
            held[fill["strategy"], fill["instrument"]] += sign * Decimal(fill["qty"])
        newest = self.sessions[-1]["id"]
        stated = {(p["strategy"], p["instrument"]): Decimal(p["qty"]) for p in self.open_positions(newest)}
        assert {key: qty for key, qty in held.items() if qty} == stated

    def _check_equity(self, start: Mapping[str, Decimal]) -> None:
        order = {session["id"]: number for number, session in enumerate(self.sessions)}
        balances = dict(start)
        for row in sorted(
            [*self.fills, *self.snapshots], key=lambda row: (order[row["session_id"]], row["seq"])
        ):
            if "trade_id" in row:
                quote = row["instrument"].partition("/")[2].partition(":")[0]
                balances[quote] += Decimal(row["realized_pnl"]) - Decimal(row["fee"])
                continue
            balance = balances[row["currency"]]
            assert Decimal(row["balance"]) == balance, row
            assert Decimal(row["equity"]) == balance + Decimal(row["unrealized_pnl"]), row
