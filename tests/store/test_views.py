"""The views that the design documents name."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from botd.core.events import Section
from botd.core.outcomes import DenyReason
from botd.store.journal import open_state
from botd.store.views import VIEWS
from tests.store import samples
from tests.store.samples import journal_with


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "botd.sqlite3"


def test_view_columns_are_those_of_the_design_documents(path: Path) -> None:
    # The lists are DEFAULTS, "Tables and views", word for word.
    expected = {
        "signal_history": "signal_id signal_type symbol side quantity price confidence strategy_name "
        "indicator_values risk_score approved rejection_reason order_id created_at",
        "live_orders": "order_id exchange_order_id symbol side order_type quantity requested_price "
        "filled_quantity average_fill_price status error_message slippage commission created_at updated_at "
        "filled_at",
        "live_positions": "symbol side quantity entry_price current_price liquidation_price unrealized_pnl "
        "unrealized_pnl_pct margin leverage margin_ratio opened_at updated_at closed_at status",
    }
    open_state(path).close()
    connection = sqlite3.connect(path)
    for view, columns in expected.items():
        found = [column[0] for column in connection.execute(f"SELECT * FROM {view}").description]
        assert found == columns.split()
    connection.close()


def test_views_tell_the_story_of_an_entry(path: Path) -> None:
    denied = (
        samples.signal(10, cycle=2, row=200),
        samples.intent(11, cycle=2, section=Section.S1, row=200),
        samples.risk(
            12, 11, approved=False, reason=DenyReason.POSITIONS_MAX, limit=Decimal(5), actual=Decimal(6)
        ),
        samples.signal(13, cycle=3, row=300, acted=False),
        samples.alert(14),
    )
    journal_with(path, *samples.entry(), *denied).close()
    connection = sqlite3.connect(path)
    signals = connection.execute(
        "SELECT signal_id, signal_type, quantity, confidence, approved, order_id FROM signal_history "
        "ORDER BY created_at, signal_id"
    ).fetchall()
    assert sorted(signals) == [
        ("s1:1", "S1", "0.050", 0.75, 1, "b-1"),
        ("s1:10", "S1", "0.050", 0.75, 0, None),
        ("s1:13", "S1", None, 0.75, None, None),
        ("s1:2", "Z1", "0.050", None, 1, "b-1"),
    ]
    (order,) = connection.execute(
        "SELECT status, filled_quantity, average_fill_price, slippage, requested_price FROM live_orders"
    ).fetchall()
    # 10 on 20000, worse for us
    assert order == ("filled", "0.050", "20010.00", pytest.approx(5.0), None)
    (position,) = connection.execute("SELECT status, quantity, current_price FROM live_positions").fetchall()
    assert position == ("open", "0.050", None)
    (event,) = connection.execute("SELECT event_id, severity, event_type FROM risk_events").fetchall()
    assert event == ("s1:14", "WARNING", "daily_loss")
    connection.close()


@pytest.mark.parametrize("view", VIEWS)
def test_view_looks_rows_up_by_more_than_their_session(path: Path, view: str) -> None:
    # A session has 10^5 rows: a join that finds them by session alone takes a minute.
    open_state(path).close()
    connection = sqlite3.connect(path)
    plan = [row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN SELECT * FROM {view}")]
    connection.close()
    assert not [step for step in plan if "(session_id=?)" in step]
