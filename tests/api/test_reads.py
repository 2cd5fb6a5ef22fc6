"""What the API says of the books, and how it says it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from botd.api import models as m
from botd.api.asked import AnalyticsQuery
from botd.core.outcomes import OrderStatus
from botd.core.periods import PERIODS
from botd.core.reload import ReloadOutcome
from botd.core.trade_stats import GROUPS
from botd.errors import Diagnostic
from tests.api.stand import CANARY, POSITION, SESSION, VIEWER, Reloads, Stand, book
from tests.store import samples

FAILED = ReloadOutcome(
    ts_us=samples.T0 + 7,
    who="files",
    ok=False,
    config_hash="bad",
    running_hash="c0ffee",
    session_id=SESSION,
    position=-1,
    errors=(Diagnostic(file="strategies/a.yaml", line=3, column=5, message="no such word", excerpt="S1: x"),),
)


def test_orders_are_the_newest_first_with_amounts_as_text_and_times_twice(stand: Stand) -> None:
    found = stand.get("/api/trading/orders").json["orders"]
    assert [one["order_id"] for one in found] == ["b-3", "b-2", "b-1"]
    filled = found[-1]
    assert (filled["symbol"], filled["side"], filled["status"]) == ("BTC/USDT", "buy", "filled")
    assert (filled["quantity"], filled["filled_quantity"]) == ("0.050", "0.050")
    assert (filled["average_fill_price"], filled["decision_price"]) == ("20010.00", "20000.00")
    assert filled["slippage_bps"] == 5.0  # 20010 for 20000
    assert (filled["created_at"], filled["created_us"]) == (
        "2023-11-14T22:13:20.000001Z",
        samples.T0 + 1,
    )
    assert [one["cancelable"] for one in found] == [False, True, False]


def test_orders_come_by_the_page_and_by_symbol(stand: Stand) -> None:
    first = stand.get("/api/trading/orders?limit=2").json
    assert [one["order_id"] for one in first["orders"]] == ["b-3", "b-2"]
    rest = stand.get(f"/api/trading/orders?limit=2&cursor={first['next_cursor']}").json
    assert ([one["order_id"] for one in rest["orders"]], rest["next_cursor"]) == (["b-1"], None)
    assert stand.get("/api/trading/orders?symbol=ETH/USDT").json == {"orders": [], "next_cursor": None}


def test_signals_and_trades_come_by_the_page(stand: Stand) -> None:
    first = stand.get("/api/trading/signals?limit=1").json
    assert [one["section"] for one in first["signals"]] == ["Z1"]
    rest = stand.get(f"/api/trading/signals?cursor={first['next_cursor']}").json
    (signal,) = rest["signals"]
    assert (signal["section"], signal["approved"], signal["order_id"]) == ("S1", True, "b-1")
    assert signal["indicator_values"] == {"speed": 0.1, "busy": 3.0}
    assert signal["checks"] == [
        {"name": "position_max", "limit": "1000.0", "actual": "1000.010", "passed": True},
        {"name": "drawdown_max", "limit": "100", "actual": "-0.50", "passed": False},
    ]
    (trade,) = stand.get("/api/trading/trades").json["trades"]
    assert (trade["strategy"], trade["cycle"]) == ("dip", 0)
    assert stand.get(f"/api/trading/trades?cursor={10}").json["trades"] == []


def test_positions_of_the_running_session_have_the_price_of_now(stand: Stand) -> None:
    (position,) = stand.get("/api/trading/positions").json["positions"]
    assert (position["position_id"], position["side"]) == (POSITION, "long")
    assert (position["current_price"], position["unrealized_pnl"]) == ("20100.00", None)
    assert stand.get("/api/trading/positions?symbol=ETH/USDT").json == {"positions": []}
    assert stand.get("/api/trading/positions?session_id=old").json == {"positions": []}


def test_session_that_is_not_there_is_not_found(stand: Stand) -> None:
    for path in ("trading/orders?session_id=x", "sessions/x/results", "trading/performance/x"):
        got = stand.get(f"/api/{path}")
        assert (got.status, got.json["error"]) == (404, "no_session")


def test_performance_and_results_judge_what_closed(stand: Stand) -> None:
    (usdt,) = stand.get(f"/api/trading/performance/{SESSION}").json["currencies"]
    assert (usdt["currency"], usdt["trades_count"]) == ("USDT", 1)
    trade = samples.trade(10)
    assert usdt["pnl_total"] == format(trade.realized_pnl - trade.fees, "f")
    results = stand.get(f"/api/sessions/{SESSION}/results").json
    assert (results["session"]["session_id"], results["counts"]["orders"]) == (SESSION, 3)
    assert results["currencies"] == [usdt]


@pytest.mark.parametrize(("period", "count"), [(one, 1) for one in PERIODS])
def test_analytics_take_a_period(stand: Stand, period: str, count: int) -> None:
    found = stand.get(f"/api/analytics/performance?period={period}").json
    assert (found["period"], found["currencies"][0]["trades_count"]) == (period, count)


@pytest.mark.parametrize("query", ["from_us=0", f"until_us={samples.T0 + 31}", f"from_us={samples.T0 + 30}"])
def test_analytics_take_a_span_that_the_trade_closed_in(stand: Stand, query: str) -> None:
    (usdt,) = stand.get(f"/api/analytics/performance?{query}").json["currencies"]
    assert usdt["trades_count"] == 1


@pytest.mark.parametrize("query", [f"until_us={samples.T0 + 30}", f"from_us={samples.T0 + 31}"])
def test_analytics_leave_out_what_closed_outside_the_span(stand: Stand, query: str) -> None:
    found = stand.get(f"/api/analytics/performance?{query}").json["currencies"]
    assert [one["trades_count"] for one in found] in ([], [0])


def test_analytics_know_every_period_and_group_there_is() -> None:
    known = AnalyticsQuery.model_json_schema()["properties"]
    assert known["period"]["enum"] == list(PERIODS)
    assert known["by"]["anyOf"][0]["enum"] == list(GROUPS)


@pytest.mark.parametrize(
    ("by", "group"),
    [("strategy", "dip"), ("symbol", "BTC/USDT"), ("exit", "ZE1 out"), ("side", "long"), ("revision", "-")],
)
def test_analytics_are_put_together_by_what_is_asked(stand: Stand, by: str, group: str) -> None:
    found = stand.get(f"/api/analytics/performance?by={by}").json
    (whole,), (one,) = found["currencies"], found["groups"]
    assert (one["group"], one["currency"]) == (group, "USDT")
    assert one.keys() - {"group"} <= whole.keys()
    assert all(whole[name] == one[name] for name in one.keys() - {"group"})
    assert stand.get("/api/analytics/performance").json["groups"] == []


def test_sessions_alerts_and_the_lifecycle_are_shown(stand: Stand) -> None:
    assert [one["session_id"] for one in stand.get("/api/sessions").json["sessions"]] == [SESSION, "old"]
    (alert,) = stand.get("/api/alerts").json["alerts"]
    assert alert["alert_id"] == f"{SESSION}-11"
    found = stand.get("/api/lifecycle/timeouts").json
    opened = stand.get("/api/trading/positions").json["positions"][0]["opened_us"]
    (timeout,) = found["timeouts"]
    age = samples.T0 + 300 - opened
    assert (timeout["age_us"], timeout["state"]) == (age, "overdue" if age >= 200 else "warning")
    tracked = stand.get("/api/lifecycle/tracked-positions").json
    assert (tracked["count"], tracked["limit"]) == (1, 100)


def test_N3_config_hides_secrets_and_shows_the_last_reload(stand: Stand) -> None:  # noqa: N802
    stand.reloads = Reloads(FAILED)
    try:
        found = stand.get("/api/config")
        assert CANARY not in found.body.decode()
        assert "api_key: ***" in found.json["files"]["config.yaml"]
        (fault,) = found.json["last_reload"]["errors"]
        assert (fault["file"], fault["line"], fault["column"]) == ("strategies/a.yaml", 3, 5)
        assert fault["text"].splitlines()[-1].strip() == "^"
        assert stand.get("/health").json["config_state"] == "stale"
        assert "botd_config_last_reload_successful 0.0" in stand.get("/metrics").body.decode()
    finally:
        stand.reloads = None


def test_health_says_that_it_lives_and_nothing_of_money(stand: Stand) -> None:
    found = stand.get("/health").json
    m.Health.model_validate(found)
    assert (found["status"], found["version"], found["session_id"]) == ("alive", "9.9", SESSION)
    assert (found["uptime_s"], found["last_row_age_s"]) == (10.0, 1.5)


def test_ready_is_503_with_what_is_missing_until_it_trades(stand: Stand) -> None:
    assert stand.get("/health/ready").json["ready"]
    stand.facts.trades = False
    try:
        got = stand.get("/health/ready")
        assert (got.status, got.json["checks"]["trading"]["ok"]) == (503, False)
        assert got.json["checks"]["session"]["ok"]
    finally:
        stand.facts.trades = True


def test_deep_health_looks_at_what_it_stands_on(stand: Stand) -> None:
    checks = stand.get("/health/deep").json["checks"]
    assert set(checks) == {"books", "loop", "disk", "memory", "feed"}
    assert (checks["books"]["ok"], checks["feed"]["ok"]) == (True, True)
    stand.clock.pass_s(120)
    assert not stand.get("/health/deep").json["checks"]["feed"]["ok"]
    stand.facts.row_at_us = stand.clock.now_us()


def test_reads_make_way_where_the_trading_loop_is_behind(stand: Stand) -> None:
    stand.lag = 0.3
    try:
        got = stand.get("/api/trading/orders?limit=7")
        assert (got.status, got.headers["Retry-After"]) == (503, "1")
        assert [stand.get(path).status for path in ("/health", "/health/deep", "/metrics")] == [200] * 3
    finally:
        stand.lag = 0.0


def test_answer_is_given_again_until_something_is_committed(tmp_path: Path) -> None:
    with Stand(tmp_path) as stand:
        before = stand.get("/api/alerts").body
        book(stand.journal, samples.alert(40))
        assert stand.get("/api/alerts").body == before  # nobody was told
        stand.wire.publish((samples.alert(40),))
        assert stand.get("/api/alerts").body == before  # it is too young
        stand.clock.pass_s(0.2)
        assert len(stand.get("/api/alerts").json["alerts"]) == 2
        book(stand.journal, samples.alert(41))
        stand.clock.pass_s(1.0)
        assert len(stand.get("/api/alerts").json["alerts"]) == 3
        book(stand.journal, samples.alert(42))
        assert stand.post("/api/trading/halt").status == 200
        assert len(stand.get("/api/alerts").json["alerts"]) == 4  # who acts sees what came of it


def test_before_there_are_books_only_health_answers(tmp_path: Path) -> None:
    stand = Stand(tmp_path / "bot")
    stand.facts = replace(stand.facts, session_id="", trades=False)
    stand.folder = tmp_path / "nowhere"
    with stand:
        assert stand.get("/health").json["session_id"] is None
        got = stand.get("/api/trading/orders")
        assert (got.status, got.json["error"]) == (503, "no_books")


def test_metrics_count_what_was_committed_and_name_no_amount(stand: Stand) -> None:
    stand.wire.publish((*samples.entry(), samples.update(50, OrderStatus.REJECTED), samples.trade(51)))
    stand.facts.commits.add(0.003)
    lines = stand.get("/metrics").body.decode().splitlines()
    for line in (
        'botd_orders_submitted_total{order_type="market",side="buy",symbol="BTC/USDT"} 1.0',
        'botd_orders_filled_total{symbol="BTC/USDT"} 1.0',
        'botd_orders_failed_total{reason="rejected",symbol="BTC/USDT"} 1.0',
        'botd_orders_fills_total{side="buy",symbol="BTC/USDT"} 1.0',
        'botd_trades_closed_total{strategy="dip",symbol="BTC/USDT"} 1.0',
        'botd_store_commit_seconds_bucket{le="0.002"} 0.0',
        'botd_store_commit_seconds_bucket{le="0.005"} 1.0',
        "botd_store_commit_seconds_count 1.0",
        'botd_trading_state{state="active"} 1.0',
        'botd_config_info{hash="c0ffee",version="9.9"} 1.0',
        "botd_positions_open 1.0",
    ):
        assert line in lines, line


def test_viewer_reads_where_reading_is_not_open(tmp_path: Path) -> None:
    with Stand(tmp_path, read_open=False) as stand:
        assert stand.get("/api/alerts").status == 401
        assert stand.get("/api/alerts", token=VIEWER).status == 200
        assert stand.get("/health").status == 200
