"""What every limit said of an entry, whether it denied or not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from botd.core.events import Side
from botd.core.restraint import Cause, Restraint, TradingState
from botd.core.risk import Denial, EntryIntent, judge_entry
from botd.core.settings import Limits
from tests.core.test_risk import PERP, SPOT, D, R, check, view


def checks(lots: int = 100, **changes: Any) -> list[tuple[str, str, str, bool]]:
    intent = EntryIntent(Side.BUY, lots, changes.pop("price", 10_000))
    instrument, limits = changes.pop("instrument", PERP), changes.pop("limits", Limits())
    verdict = judge_entry(intent, view(**changes), limits, instrument)
    return [(one.reason, f"{one.limit:f}", f"{one.actual:f}", one.passed) for one in verdict.checks]


def test_every_limit_says_what_it_compared_and_what_it_found() -> None:
    assert checks(80, equity=D(990), position_notional=D(10)) == [
        ("orders_per_minute", "30", "0", True),
        ("equity_min", "200.00", "990", True),
        ("drawdown_max", "150.00", "10", True),
        ("daily_loss_max", "50.00", "10", True),
        ("losing_streak_max", "6", "0", True),
        ("positions_max", "5", "0", True),
        ("position_max", "99.00", "90.0000", True),
        ("position_max", "1000", "90.0000", True),
        ("leverage_max", "1", "1", True),
        ("symbol_exposure_max", "198.00", "80.0000", True),
        ("total_exposure_max", "495.00", "80.0000", True),
        ("concentration_max", "247.5000", "80.0000", True),
        ("leverage_max", "990", "80.0000", True),
        ("balance", "1000000", "80.0800000", True),
        ("margin_use_max", "792.00", "80.0000", True),
    ]


def test_limits_behind_the_one_that_denies_are_told_of_too() -> None:
    found = checks(300, equity=D(700), orders_last_minute=30)
    assert [name for name, *_, passed in found if not passed] == [
        *("orders_per_minute", "drawdown_max", "daily_loss_max", "position_max", "symbol_exposure_max"),
        "concentration_max",
    ]
    assert check(300, equity=D(700), orders_last_minute=30, limits=Limits()) == Denial(
        R.ORDERS_PER_MINUTE, D(30), D(30)
    )


def test_spot_binds_no_margin_and_an_amount_only_dollars() -> None:
    names = [name for name, *_ in checks(instrument=replace(SPOT, quote="BTC"))]
    assert "margin_use_max" not in names
    assert names.count("position_max") == 1


@pytest.mark.parametrize(
    "changes",
    [{"price": None}, {"equity": None}, {"lots": 0}, {"unexplained": True}, {"opposed": True}],
)
def test_entry_that_cannot_be_measured_has_the_rate_alone(changes: dict[str, Any]) -> None:
    assert [name for name, *_ in checks(**changes)] == ["orders_per_minute"]


def test_halted_entry_is_measured_by_nothing() -> None:
    halt = Restraint(state=TradingState.HALTED, cause=Cause.COMMAND, who="ann", reason="", since_us=7)
    assert checks(restraint=halt) == []
