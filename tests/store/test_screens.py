"""What the dashboard reads, on real files."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from botd.core.events import ClientOrderId, Section
from botd.core.instrument import InstrumentId
from botd.core.outcomes import DenyReason, OrderStatus
from botd.core.records import MarketBar, Record
from botd.core.restraint import Cause, TradingState, Verb
from botd.core.updates import PortfolioSnapshot
from botd.errors import InvariantBroken
from botd.ports import Batch
from botd.store.journal import SqliteJournal, open_state
from botd.store.queries import ScreenReader, nets_by_currency
from tests.store import samples
from tests.store.samples import BTC, T0, TRADED, journal_with

HOUR_US = 3_600_000_000
MINUTE_US = 60_000_000
ETH = InstrumentId("ETH/USDT")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "botd.sqlite3"


def bar(minute: int, close: int = 2_000_000, **changes: Any) -> MarketBar:
    values: dict[str, Any] = {
        "traded": TRADED,
        "open_us": minute * MINUTE_US,
        "open": 1_999_000,
        "high": 2_001_000,
        "low": 1_998_000,
        "close": close,
        "volume": 12,
        "feed_position": minute,
    }
    return MarketBar(**(values | changes))


def snapshot(seq: int, ts_us: int, equity: str, **changes: Any) -> PortfolioSnapshot:
    values: dict[str, Any] = {
        "seq": seq,
        "ts_us": ts_us,
        "currency": "USDT",
        "balance": Decimal(equity),
        "equity": Decimal(equity),
        "exposure_gross": Decimal(0),
        "peak_equity": Decimal(10_000),
        "positions_count": 0,
    }
    return PortfolioSnapshot(**(values | changes))


def two_sessions(path: Path, first: tuple[Record, ...], second: tuple[Record, ...]) -> SqliteJournal:
    """Write a warm-up and the session that took its account over."""
    journal = open_state(path)
    journal.start_session(samples.started("w", mode="warmup", status="finished", started_us=T0 - 1))
    journal.commit(Batch(session_id="w", records=first, cursor=samples.cursor(1, seq=first[-1].seq)))
    journal.start_session(samples.started("s1"))
    journal.commit(Batch(session_id="s1", records=second, cursor=samples.cursor(9, seq=second[-1].seq)))
    return journal


# ---- bars ---------------------------------------------------------------------------------------


def test_bars_are_written_again_as_they_grow_and_the_newest_is_found(path: Path) -> None:
    journal = journal_with(path)
    journal.commit(Batch(session_id="s1", bars=(bar(1), bar(2))))
    journal.commit(Batch(session_id="s1", bars=(bar(2, 2_000_500, volume=15),)))
    other = replace(TRADED, id=ETH)
    assert journal.newest_bars((TRADED, other)) == (bar(2, 2_000_500, volume=15),)
    journal.close()


def test_bars_older_than_they_are_kept_go_with_the_next_full_hour(path: Path) -> None:
    journal = journal_with(path)
    journal.bars_kept_us = HOUR_US
    other = replace(TRADED, id=ETH)
    journal.commit(Batch(session_id="s1", bars=(bar(59), bar(60), bar(59, traded=other))))
    for minute in (119, 120):
        journal.commit(Batch(session_id="s1", bars=(bar(minute),)))
    journal.close()
    with ScreenReader(path) as screen:
        assert screen.instruments() == (BTC, ETH)
        kept = screen.bars(BTC, MINUTE_US, since_us=0, until_us=HOUR_US * 3)
        assert [one.open_us // MINUTE_US for one in kept] == [60, 119, 120]
        assert len(screen.bars(ETH, MINUTE_US, since_us=0, until_us=HOUR_US * 3)) == 1


def test_longer_bars_are_made_of_the_minutes_in_them(path: Path) -> None:
    journal = journal_with(path)
    minutes = (
        bar(4, 2_000_100, open=1_999_900, high=2_000_200, low=1_999_800, volume=1),
        bar(5, 2_000_300, open=2_000_000, high=2_000_900, low=1_990_000, volume=20),
        bar(8, 2_000_200, open=2_000_400, high=2_001_000, low=1_999_000, volume=300),
    )
    journal.commit(Batch(session_id="s1", bars=minutes))
    journal.close()
    with ScreenReader(path) as screen:
        first, second = screen.bars(BTC, 5 * MINUTE_US, since_us=4 * MINUTE_US, until_us=9 * MINUTE_US)
        last = screen.last_bars((BTC, ETH))
    assert (first.open_us, first.open, first.close) == (0, Decimal("19999.00"), Decimal("20001.00"))
    assert (second.open_us, second.open, second.close) == (
        5 * MINUTE_US,
        Decimal("20000.00"),
        Decimal("20002.00"),
    )
    assert (second.high, second.low, second.volume) == (
        Decimal("20010.00"),
        Decimal("19900.00"),
        Decimal("0.320"),
    )
    assert {name: one.close for name, one in last.items()} == {BTC: Decimal("20002.00")}


# ---- one state of the file ----------------------------------------------------------------------


def test_L1_L5_screen_sees_one_state_of_the_file_and_cannot_write_it(path: Path) -> None:  # noqa: N802
    journal = journal_with(path, samples.signal(1))
    with ScreenReader(path) as screen:
        assert len(screen.stories(("s1",), 10)) == 1
        journal.commit(Batch(session_id="s1", records=(samples.signal(2, cycle=2),)))
        assert len(screen.stories(("s1",), 10)) == 1
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            screen._raw().execute("DELETE FROM signals")
    with ScreenReader(path) as screen:
        assert len(screen.stories(("s1",), 10)) == 2
    journal.close()


def test_L3_file_in_a_folder_that_cannot_be_written_is_read_beside_its_writer() -> None:  # noqa: N802
    """As a volume that is mounted read-only: the writer's files are there, and the reader makes none."""
    folder = Path(tempfile.mkdtemp())
    path = folder / "botd.sqlite3"
    journal = journal_with(path, samples.signal(1))
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        with ScreenReader(path) as screen:
            assert len(screen.stories(("s1",), 10)) == 1
        if root:
            os.seteuid(0)
        journal.commit(Batch(session_id="s1", records=(samples.signal(2, cycle=2),)))
        if root:
            os.seteuid(65534)
        with ScreenReader(path) as screen:
            assert len(screen.stories(("s1",), 10)) == 2
    finally:
        if root:
            os.seteuid(0)
        journal.close()
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_screen_outside_its_look_reads_nothing(path: Path) -> None:
    journal_with(path).close()
    screen = ScreenReader(path)
    with pytest.raises(InvariantBroken, match="inside"):
        screen.instruments()
    screen.close()


def test_file_counts_as_written_when_it_is_and_not_when_it_is_read(path: Path) -> None:
    journal = journal_with(path)
    with ScreenReader(path) as screen:
        assert screen.written_us() == path.with_name("botd.sqlite3-wal").stat().st_mtime_ns // 1000
    journal.close()
    with ScreenReader(path) as screen:  # makes an empty log
        assert screen.written_us() == path.stat().st_mtime_ns // 1000


# ---- what came of things ------------------------------------------------------------------------


def test_story_of_a_signal_tells_what_risk_compared_and_what_was_filled(path: Path) -> None:
    denied = (
        samples.signal(9, cycle=2, ts_us=T0 + 10),
        samples.signal(10, section=Section.Z1, cycle=2, ts_us=T0 + 10),
        samples.intent(11, cycle=2),
        samples.risk(
            12,
            11,
            approved=False,
            reason=DenyReason.POSITION_MAX,
            limit=Decimal("1000"),
            actual=Decimal("1000.01"),
        ),
        samples.signal(13, cycle=3, acted=False, ts_us=T0 + 20, instrument=ETH),
    )
    journal_with(path, *samples.entry(), *denied).close()
    with ScreenReader(path) as screen:
        told = screen.stories(("s1",), 10)
        only = screen.stories(("s1",), 10, instrument=BTC, section="S1")
        some = screen.marks(("s1",), BTC, since_us=T0 + 5, until_us=T0 + 15, limit=9)
    assert [one.signal.seq for one in told] == [13, 10, 9, 2, 1]
    ignored, _, refused, _, entered = told
    assert (ignored.signal.acted, ignored.approved, ignored.client_order_id) == (False, None, None)
    assert (refused.deny_reason, refused.limit, refused.actual) == (
        DenyReason.POSITION_MAX,
        Decimal("1000"),
        Decimal("1000.01"),
    )
    assert (entered.order_status, entered.filled_qty, entered.avg_price) == (
        OrderStatus.FILLED,
        Decimal("0.050"),
        Decimal("20010.00"),
    )
    assert [one.signal.seq for one in only] == [9, 1]
    assert sorted(one.signal.seq for one in some) == [9, 10]


def test_newest_rows_go_on_into_the_sessions_before(path: Path) -> None:
    first = (samples.signal(1), samples.trade(2), samples.alert(3), samples.alert(4, severity="critical"))
    second = (samples.signal(5, cycle=2), samples.trade(6, cycle=2, closed_us=T0 + 60), samples.alert(7))
    two_sessions(path, first, second).close()
    with ScreenReader(path) as screen:
        line = screen.line("s1")
        assert line == ("s1", "w")
        assert [one.signal.seq for one in screen.stories(line, 10)] == [5, 1]
        assert [one.seq for one in screen.newest_trades(line, None)] == [6, 2]
        assert [one.seq for one in screen.newest_trades(line, 1)] == [6]
        assert [one.seq for one in screen.newest_alerts(line, 2)] == [7, 4]
        assert [one.seq for one in screen.newest_alerts(line, 2, severities=("critical",))] == [4]
        assert [one.seq for one in screen.newest_alerts(("s1",), 5)] == [7]


def test_live_orders_are_those_that_may_still_fill(path: Path) -> None:
    resting = samples.order(9, client_order_id=ClientOrderId("b-2"), cycle=2, intent_seq=None)
    journal_with(path, *samples.entry(), resting).close()
    with ScreenReader(path) as screen:
        assert [one.client_order_id for one in screen.live_orders("s1")] == ["b-2"]
        assert [one.client_order_id for one in screen.newest_orders(("s1",), 5)] == ["b-2", "b-1"]
        assert [one.qty for one in screen.held("s1")] == [Decimal("0.050")]


def test_trading_state_names_its_cause(path: Path) -> None:
    hold = samples.trading_state(
        1, verb=Verb.HOLD, state=TradingState.REDUCING, cause=Cause.LOOP_STALLED, who="botd"
    )
    halt = samples.trading_state(2)
    journal = journal_with(path)
    with ScreenReader(path) as screen:
        assert screen.trading("s1").state is TradingState.ACTIVE
    journal.commit(Batch(session_id="s1", records=(hold, halt)))
    journal.close()
    with ScreenReader(path) as screen:
        view = screen.trading("s1")
    assert view.state is TradingState.HALTED
    assert view.cause is not None
    assert (view.cause.cause, view.cause.who, len(view.restraints)) == (Cause.FILE, "ann", 2)


# ---- results ------------------------------------------------------------------------------------


def test_results_of_round_trips_are_those_of_a_hand_calculation(path: Path) -> None:
    """Nets after fees of 1: +9, -4, -6, +2, in this order; the peak 9 falls to -1."""
    day = 24 * HOUR_US
    trades = [
        samples.trade(
            n + 1,
            cycle=n,
            realized_pnl=Decimal(gross),
            fees=Decimal(1),
            opened_us=T0 + n * day - 10,
            closed_us=T0 + n * day,
        )
        for n, gross in enumerate((10, -3, -5, 3))
    ]
    journal_with(path, *trades).close()
    with ScreenReader(path) as screen:
        (one,) = screen.results(("s1",))
        (late,) = screen.results(("s1",), since_us=T0 + 2 * day)
        assert screen.results(("s1",), since_us=T0 + 4 * day) == ()
    stats = one.stats
    assert (stats.trades_count, stats.wins_count, stats.pnl_total, stats.fees) == (4, 2, 1, 4)
    assert (stats.win_rate, stats.profit_factor, stats.expectancy) == (0.5, 1.1, Decimal("0.25"))
    assert (stats.trade_best, stats.trade_worst, stats.fall_max, stats.holding_avg_us) == (9, -6, 10, 10)
    assert (late.stats.trades_count, late.stats.pnl_total) == (2, -4)
    assert nets_by_currency((one, late)) == {"USDT": (-3, 6)}


def test_equity_curve_keeps_the_last_word_of_each_span(path: Path) -> None:
    first = (snapshot(1, T0, "10000"), snapshot(2, T0 + 10, "9900"), snapshot(3, T0 + HOUR_US, "9000"))
    second = (
        snapshot(4, T0 + HOUR_US + 10, "9500"),
        snapshot(5, T0 + HOUR_US + 10, "1", currency="BTC"),
        snapshot(6, T0 + 2 * HOUR_US, "8000"),
        snapshot(7, T0 + 3 * HOUR_US, "8000"),
    )
    two_sessions(path, first, second).close()
    with ScreenReader(path) as screen:
        line = screen.line("s1")
        points = screen.curve(line, "USDT", since_us=0, step_us=HOUR_US)
        late = screen.curve(line, "USDT", since_us=T0 + 2 * HOUR_US, step_us=HOUR_US)
        told = {one.currency: one.performance for one in screen.performance(line)}
        early = screen.performance(line, until_us=T0 + HOUR_US)
        assert {one.currency: one.equity for one in screen.books(line)} == {"USDT": 8000, "BTC": 1}
        assert {one.currency: one.equity for one in screen.books(("w",))} == {"USDT": 9000}
    assert [one.equity for one in points] == [9900, 9500, 8000, 8000]
    assert points[-1].drawdown == Decimal("0.2")
    assert [one.equity for one in late] == [8000, 8000]
    assert [(one.currency, one.equity) for one in early] == [("BTC", None), ("USDT", 9900)]
    assert told["BTC"].sharpe is None
    assert told["USDT"].max_drawdown == 0.2


def test_time_in_the_market_is_of_the_span_and_counts_what_is_still_held(path: Path) -> None:
    """Held from before the span until its first quarter, and again in its last one."""
    trade = samples.trade(1, cycle=1, opened_us=T0 - HOUR_US, closed_us=T0 + HOUR_US)
    held = samples.position(2, cycle=2, opened_us=T0 + 3 * HOUR_US, ts_us=T0 + 3 * HOUR_US)
    noted = (snapshot(3, T0 - 2 * HOUR_US, "10000"), snapshot(4, T0 + HOUR_US, "10000"))
    cursor = replace(samples.cursor(1, seq=4), ts_us=T0 + 4 * HOUR_US)
    journal = journal_with(path, trade, held, *noted)
    journal.commit(Batch(session_id="s1", records=(), cursor=cursor))
    journal.close()
    with ScreenReader(path) as screen:
        (whole,) = screen.performance(("s1",))
        (late,) = screen.performance(("s1",), since_us=T0)
        (early,) = screen.performance(("s1",), until_us=T0 + 2 * HOUR_US)
    assert whole.performance.exposure_time == pytest.approx(3 / 6)  # since the books began
    assert late.performance.exposure_time == pytest.approx(2 / 4)
    assert early.performance.exposure_time == pytest.approx(2 / 4)


def test_currency_of_the_account_is_judged_in_a_span_without_anything_too(path: Path) -> None:
    journal_with(path, snapshot(1, T0, "10000"), snapshot(2, T0, "1", currency="BTC")).close()
    with ScreenReader(path) as screen:
        found = screen.performance(("s1",), since_us=T0 + 1)
    assert [(one.currency, one.equity, one.trips) for one in found] == [("BTC", None, ()), ("USDT", None, ())]
    assert {one.performance.exposure_time for one in found} == {None}
