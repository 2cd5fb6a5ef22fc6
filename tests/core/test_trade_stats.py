"""What round trips came to, by a hand calculation and in groups."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import pytest

from botd.core.periods import HOUR_US
from botd.core.trade_stats import GROUPS, grouped, measure_trades

D = Decimal
SECOND = 1_000_000


class Trade(NamedTuple):
    realized_pnl: Decimal
    fees: Decimal = D(1)
    opened_us: int = 0
    closed_us: int = SECOND
    strategy: str = "s"
    instrument: str = "BTC/USDT"
    cycle: int = 0
    side: str = "long"
    exit_section: str = "E1"
    exit_rule: str = ""
    revision: str | None = None


def trades(*gross: int) -> list[Trade]:
    return [Trade(D(one)) for one in gross]


def test_figures_are_those_of_a_hand_calculation() -> None:
    """Nets after fees of 1: +9, -4, -6, 0, +2, +1; the peak 9 falls to -1."""
    made = trades(10, -3, -5, 1, 3, 2)
    held = [one._replace(opened_us=0, closed_us=(k + 1) ** 2 * SECOND) for k, one in enumerate(made)]
    found = measure_trades(held)
    assert (found.trades_count, found.wins_count, found.losses_count) == (6, 3, 2)
    assert (found.win_rate, found.profit_factor) == (0.5, 1.2)
    assert (found.pnl_total, found.pnl_gross, found.fees) == (2, 8, 6)
    assert (found.expectancy, found.win_avg, found.loss_avg) == (D("0.33333333"), 4, -5)
    assert (found.trade_best, found.trade_worst, found.fall_max) == (9, -6, 10)
    assert (found.wins_in_a_row, found.losses_in_a_row) == (2, 2)
    assert (found.holding_min_us, found.holding_max_us) == (SECOND, 36 * SECOND)
    assert (found.holding_median_us, found.holding_avg_us) == (9 * SECOND, 91 * SECOND // 6)


def test_nothing_comes_to_nothing_and_not_to_zero() -> None:
    found = measure_trades([])
    assert (found.trades_count, found.pnl_total, found.fall_max) == (0, 0, 0)
    undefined = (
        found.win_rate,
        found.profit_factor,
        found.expectancy,
        found.trade_best,
        found.holding_avg_us,
    )
    assert set(undefined) == {None}
    assert measure_trades(trades(5)).profit_factor is None
    assert measure_trades(trades(-5)).profit_factor == 0


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("strategy", ["a", "s"]),
        ("symbol", ["BTC/USDT", "ETH/USDT"]),
        ("side", ["long", "short"]),
        ("exit", ["E1", "ZE1 half"]),
        ("hour", ["00", "23"]),
        ("revision", ["-", "abc"]),
    ],
)
def test_groups_have_their_names_and_keep_the_order_within(by: str, names: list[str]) -> None:
    first = Trade(D(1))
    other = Trade(
        D(2),
        strategy="a",
        instrument="ETH/USDT",
        side="short",
        exit_section="ZE1",
        exit_rule="half",
        closed_us=47 * HOUR_US,
        revision="abc",
    )
    found = grouped([first, other, first._replace(realized_pnl=D(3))], by)
    assert list(found) == names
    assert sorted(len(one) for one in found.values()) == [1, 2]
    (two,) = [one for one in found.values() if len(one) == 2]
    assert [one.realized_pnl for one in two] == [1, 3]


def test_unknown_group_is_none() -> None:
    assert set(GROUPS) == {"strategy", "symbol", "side", "exit", "hour", "revision"}
    with pytest.raises(KeyError):
        grouped(trades(1), "weather")
