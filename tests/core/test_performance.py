"""Statistics against numbers worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest

from botd.core.events import Section
from botd.core.instrument import InstrumentId
from botd.core.performance import (
    ActedSignal,
    Drawdown,
    EquitySample,
    hourly,
    hourly_returns,
    measure_drawdown,
    sharpe,
    sortino,
    summarize,
)
from botd.core.periods import HOUR_US
from botd.core.records import TradeRecord
from tests.core.amounts import trade_of
from tests.core.scene import PERP

D = Decimal
BTC = InstrumentId("BTC/USDT")


def trade(pnl: str, fees: str = "0", *, opened: int = 0, closed: int = 10, cycle: int = 1) -> TradeRecord:
    return trade_of(
        replace(PERP, id=BTC, lot_size=D("0.0001")),
        seq=1,
        strategy="s",
        cycle=cycle,
        side="long",
        qty=D(1),
        entry_price=D(1),
        exit_price=D(1),
        opened_us=opened,
        closed_us=closed,
        realized_pnl=D(pnl),
        fees=D(fees),
        exit_section=Section.ZE1,
        exit_rule="",
        confidence=None,
    )


def samples(*points: tuple[int, str]) -> list[EquitySample]:
    return [EquitySample(ts_us, D(equity)) for ts_us, equity in points]


def signal(cycle: int) -> ActedSignal:
    return ActedSignal("s", BTC, cycle)


def test_run_of_five_trades_by_hand() -> None:
    trades = [
        trade("10", "1", opened=0, closed=100, cycle=1),  # +9
        trade("-4", "1", opened=200, closed=260, cycle=2),  # -5
        trade("1", "1", opened=300, closed=310, cycle=3),  # 0: neither won nor lost
        trade("0.5", "1", opened=400, closed=440, cycle=4),  # -0.5: the fee made it a loss
        trade("3", "0", opened=500, closed=590, cycle=6),  # +3
    ]
    report = summarize(
        trades,
        samples=samples((0, "100"), (500, "80"), (1000, "110")),
        signals=[signal(n) for n in range(1, 9)],  # 5, 7 and 8 never closed a trade: denied, or no fill
        forgotten=[signal(5), signal(9)],
        start_us=0,
        end_us=1000,
    )
    assert (report.trades_count, report.wins_count, report.losses_count) == (5, 2, 2)
    assert report.win_rate == 0.4
    assert report.profit_factor == pytest.approx(12 / 5.5, rel=1e-15)
    assert report.expectancy == D("1.3")  # 6.5 / 5
    assert (report.pnl_total, report.pnl_gross, report.fees) == (D("6.5"), D("10.5"), D(4))
    assert (report.trade_best, report.trade_worst) == (D(9), D(-5))
    assert report.holding_avg_us == 60  # (100 + 60 + 10 + 40 + 90) / 5
    assert report.exposure_time == 0.3  # 300 of 1,000
    assert report.max_drawdown == 0.2
    assert report.max_drawdown_length_us == 1000  # below 100 until the sample at 1,000
    assert (report.signals_acted_count, report.signals_judged_count) == (8, 6)
    assert report.signal_accuracy == 2 / 6  # cycles 1 and 6 of 1 to 6
    assert (report.sharpe, report.sortino) == (None, None)  # not two hours long


def test_run_without_trades_leaves_undefined_what_is_undefined() -> None:
    report = summarize([], samples=[], start_us=0, end_us=0)
    assert (report.trades_count, report.pnl_total, report.fees) == (0, D(0), D(0))
    undefined = (
        report.win_rate,
        report.profit_factor,
        report.expectancy,
        report.trade_best,
        report.trade_worst,
        report.holding_avg_us,
        report.exposure_time,
        report.max_drawdown,
        report.max_drawdown_length_us,
        report.sharpe,
        report.sortino,
        report.signal_accuracy,
    )
    assert undefined == (None,) * len(undefined)


def test_profit_factor_without_a_loss_is_undefined_and_not_infinite() -> None:
    assert summarize([trade("5")], samples=[], start_us=0, end_us=10).profit_factor is None


def test_profit_factor_without_a_win_is_zero() -> None:
    assert summarize([trade("-5")], samples=[], start_us=0, end_us=10).profit_factor == 0.0


def test_expectancy_is_rounded_half_even_to_1e_8() -> None:
    report = summarize([trade("1"), trade("0"), trade("0")], samples=[], start_us=0, end_us=10)
    assert report.expectancy == D("0.33333333")


@pytest.mark.parametrize(
    ("spans", "still_open", "share"),
    [
        ([(10, 30), (20, 40)], [], 0.3),  # overlapping: 10 to 40
        ([(10, 40), (20, 30)], [], 0.3),  # one inside the other
        ([(10, 90), (20, 30), (40, 60)], [], 0.8),  # two inside one
        ([(50, 60), (10, 20)], [], 0.2),  # apart and unsorted
        ([(10, 20)], [90], 0.2),  # and one open to the end
        ([(-50, 10)], [], 0.1),  # opened before the run
        ([(90, 500)], [], 0.1),  # closed after it
        ([], [], 0.0),
    ],
)
def test_exposure_time_counts_each_moment_once(
    spans: list[tuple[int, int]], still_open: list[int], share: float
) -> None:
    trades = [trade("0", opened=opened, closed=closed) for opened, closed in spans]
    report = summarize(trades, samples=[], start_us=0, end_us=100, open_since_us=still_open)
    assert report.exposure_time == pytest.approx(share)


def test_hourly_takes_the_equity_standing_at_each_whole_hour() -> None:
    points = samples(
        (HOUR_US // 2, "100"),
        (HOUR_US - 1, "101"),
        (HOUR_US, "102"),
        (HOUR_US + 1, "103"),
        (3 * HOUR_US + 5, "104"),  # nothing at 2 h and 3 h: 103 still stands
        (4 * HOUR_US, "105"),
    )
    assert hourly(points) == [D(102), D(103), D(103), D(105)]
    assert hourly([]) == []
    assert hourly(samples((HOUR_US, "7"))) == [D(7)]
    assert hourly(samples((5, "7"))) == []


def test_hourly_returns_of_an_equity_that_is_not_positive_are_undefined() -> None:
    assert hourly_returns(samples((0, "100"), (HOUR_US, "0"), (2 * HOUR_US, "5"))) is None
    assert hourly_returns(samples((0, "100"), (HOUR_US, "150"), (2 * HOUR_US, "75"))) == [0.5, -0.5]


def test_sharpe_and_sortino_by_hand() -> None:
    # returns 0.02 -0.01 0.03 0: mean 0.01, squared deviations 0.0001 0.0004 0.0004 0.0001 = 0.001
    returns = [0.02, -0.01, 0.03, 0.0]
    assert sharpe(returns) == pytest.approx(0.01 / math.sqrt(0.001 / 3) * math.sqrt(8760), rel=1e-12)
    # below 0: 0.01^2 over 4 returns: the root is 0.005
    assert sortino(returns) == pytest.approx(0.01 / 0.005 * math.sqrt(8760), rel=1e-12)


def test_sharpe_and_sortino_reach_the_report_from_samples() -> None:
    equity = samples((0, "100"), (HOUR_US, "110"), (2 * HOUR_US, "99"), (3 * HOUR_US, "99"))
    report = summarize([], samples=equity, start_us=0, end_us=3 * HOUR_US)
    # returns 0.1 -0.1 0: mean 0, and a mean of 0 is 0 times anything
    assert report.sharpe == pytest.approx(0.0, abs=1e-12)
    assert report.sortino == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("returns", [None, [], [0.1]])
def test_ratios_of_under_two_returns_are_undefined(returns: list[float] | None) -> None:
    assert (sharpe(returns), sortino(returns)) == (None, None)


def test_ratios_without_variation_or_losses_are_undefined() -> None:
    assert sharpe([0.0, 0.0, 0.0]) is None
    assert sortino([0.1, 0.2, 0.0]) is None


def test_drawdown_by_hand() -> None:
    # 120 -> 90 is 25 % and lasts from 1 to 5; 130 -> 104 is 20 % and lasts from 5 to the end at 12
    points = samples((0, "100"), (1, "120"), (2, "90"), (3, "110"), (5, "130"), (6, "104"), (12, "129"))
    assert measure_drawdown(points) == Drawdown(0.25, 7)


def test_drawdown_without_a_fall_is_zero() -> None:
    assert measure_drawdown(samples((0, "100"), (1, "100"), (2, "101"))) == Drawdown(0.0, 0)


def test_drawdown_of_nothing_is_undefined() -> None:
    assert measure_drawdown([]) is None
    assert measure_drawdown(samples((0, "0"), (1, "5"))) is None
