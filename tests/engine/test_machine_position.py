"""Protect and position words of an open position, long and short."""

from __future__ import annotations

import pytest

from tests.engine.cases import SECOND
from tests.engine.play import BOTH_SIDES, after_entry, enter, hold, idle, judged, opened, release

# ---- protect --------------------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("side", BOTH_SIDES)


def tops(side: str, prices: list[int]) -> dict[str, list[int]]:
    """Prices of the side that an exit meets; for a short they are mirrored at 1000."""
    if side == "long":
        return {"bid": prices, "ask": [p + 50 for p in prices]}
    mirrored = [2000 - p for p in prices]
    return {"bid": [p - 50 for p in mirrored], "ask": mirrored}


@BOTH
def test_take_profit_compares_the_exit_side_top_with_the_entry(side: str) -> None:
    play = opened({}, side=side, protect="stop_loss: 90%, take_profit: 2%", **tops(side, [1000, 1019, 1020]))
    assert after_entry(play) == [(2, "take_profit")]


@BOTH
def test_trailing_stop_is_the_drawdown_from_the_best_top(side: str) -> None:
    # long: best 1100 falls by 5 % at 1045; short: best 900 rises by 5 % at 945, mirrored 1055
    prices = [1000, 1050, 1100, 1056 if side == "short" else 1046, 1055 if side == "short" else 1045]
    play = opened({}, side=side, protect="stop_loss: 90%, trailing_stop: 5%", **tops(side, prices))
    assert after_entry(play) == [(4, "trailing_stop")]


@BOTH
def test_trailing_stop_counts_from_the_first_row_in_position(side: str) -> None:
    prices = [1200, 1200, 1000, 960, 950]
    play = opened({}, at=2, side=side, protect="stop_loss: 90%, trailing_stop: 5%", **tops(side, prices))
    assert after_entry(play) == [(4, "trailing_stop")]


def test_holding_max_is_judged_at_the_first_row_from_its_time_on() -> None:
    times = [0, SECOND, 3_499_999, 3_500_000]
    play = opened({}, protect="stop_loss: 90%, holding_max: 3s", times=times).at(1, enter(t=SECOND // 2))
    assert after_entry(play) == [(3, "holding_max")]


def test_take_profit_comes_before_trailing_stop_and_that_before_holding_max() -> None:
    protect = "stop_loss: 90%, take_profit: 2%, trailing_stop: 1%, holding_max: 2s"
    play = opened({}, protect=protect, bid=[1000, 1100])
    assert after_entry(play) == [(1, "take_profit")]
    play = opened({}, protect=protect, bid=[1000, 1019, 1000, 1000]).at(1, enter(t=0))
    assert after_entry(play) == [(2, "trailing_stop")]


def test_protect_uses_the_mark_where_the_feed_has_one() -> None:
    protect = "stop_loss: 90%, take_profit: 2%, trailing_stop: 5%"
    play = opened({}, protect=protect, bid=[1000, 1100, 1000], mark=[1000, 1000, 1020])
    assert after_entry(play) == [(2, "take_profit")]
    play = opened({}, protect=protect, bid=[1000, 800, 1000, 1000], mark=[1000, 1010, 1010, 959])
    assert after_entry(play) == [(3, "trailing_stop")]


def test_pnl_is_of_the_top_though_the_feed_has_a_mark() -> None:
    play = opened({}, exits="{ name: out, when: pnl >= 2% }", bid=[1000, 1000, 1020], mark=[1100])
    assert after_entry(play) == [(2, "ZE1.0")]


@BOTH
def test_unknown_top_decides_nothing(side: str) -> None:
    protect = "stop_loss: 90%, take_profit: 2%, trailing_stop: 1%"
    rules = {"exits": "{ name: up, when: pnl > 1% }", "emergencies": "{ name: down, when: pnl < -1% }"}
    blank = {"bid": [1000, 1000, 0, 1000], "ask": [1000, 1000, 0, 1000]}
    play = opened({}, side=side, protect=protect, **blank, **rules)
    assert after_entry(play) == []


@BOTH
def test_unknown_top_leaves_the_best_as_it_was(side: str) -> None:
    prices = tops(side, [1000, 1100, 1100, 1045 if side == "long" else 1055])
    for column in prices.values():
        column[2] = 0
    rules = {"exits": "{ name: fell, when: pnl_max - pnl > 4% }"}
    play = opened({}, side=side, protect="stop_loss: 90%, trailing_stop: 5%", **prices)
    assert after_entry(play) == [(3, "trailing_stop")]
    play = opened({}, side=side, **prices, **rules)
    assert after_entry(play) == [(3, "ZE1.0")]


# ---- position words -------------------------------------------------------------------------------


def spoke(when: str, side: str = "long", prices: list[int] | None = None, **rest: object) -> list[int]:
    """Return the rows at which a ZE1 rule, released after each time, was true."""
    prices = [1000, 1000, 1005, 1010, 1015, 1010, 1000, 990] if prices is None else prices
    play = opened({}, side=side, exits=f"{{ name: out, when: '{when}' }}", **tops(side, prices), **rest)
    play.on_event = lambda play, machine, row, name: play.at(row + 1, release())
    return [row for row, _ in after_entry(play)]


@BOTH
@pytest.mark.parametrize(
    ("when", "rows"),
    [
        ("pnl >= 1%", [3, 4, 5]),
        ("pnl == 0.5%", [2]),
        ("pnl < 0", [7]),
        ("pnl_max >= 1.5%", [4, 5, 6, 7]),
        ("pnl_max - pnl > 1%", [6, 7]),
        ("held >= 4s", [5, 6, 7]),  # the first fill was before row 1
        ("held == 0s", [1]),
        ("entry_price == 10", [1, 2, 3, 4, 5, 6, 7]),  # 1000 ticks of 0.01
        ("position_size == 0.01", [1, 2, 3, 4, 5, 6, 7]),  # 10 lots of 0.001
        ("pnl > 0 for 2s", [4, 5]),
        ("pnl > 0 and held > 2s or pnl < 0", [4, 5, 7]),
        ("not (pnl > 0)", [1, 6, 7]),
        ("pnl crosses below 0.5%", [6]),
        ("pnl crosses above 0.7%", [3]),
        ("max(pnl, 1%) > 1%", [4]),
        ("clamp(pnl, -0.5%, 0.5%) == pnl", [1, 2, 6]),
        ("if(held > 3s, pnl, -pnl) > 0.9%", [5]),
        ("pnl / (held - 2s) > 0 / 1s", [4, 5]),  # undefined at 2 s
        ("abs(pnl) >= 1%", [3, 4, 5, 7]),
    ],
)
def test_position_words(side: str, when: str, rows: list[int]) -> None:
    assert spoke(when, side) == rows


def test_words_follow_what_is_still_held() -> None:
    play = opened({}, exits="{ name: out, when: position_size < 0.01 and entry_price > 10.5 }", rows=5)
    play.at(3, hold(6, 6 * 1060))
    assert after_entry(play) == [(3, "ZE1.0")]


def test_for_with_position_words_restarts_at_the_first_fill() -> None:
    rule = "{ name: out, when: pnl >= 0 for 2s }"
    play = opened({"S1": "1..1", "Z1": "1..1"}, exits=rule, rows=9).at(3, idle()).at(4, enter())
    play.on_event = None
    assert [e for e in judged(play) if e[1] == "ZE1.0"] == [(6, "ZE1.0")]


def test_undefined_resets_for_with_position_words() -> None:
    rule = "{ name: out, when: (pnl >= 0 and price > 0) for 2s }"
    play = opened({}, exits=rule, bid=[1000, 1000, 1000, 0, 1000, 1000, 1000])
    # true at 1 and 2, unknown at 3, true again from 4
    assert after_entry(play) == [(6, "ZE1.0")]


def test_pnl_max_starts_anew_with_each_position() -> None:
    rule = "{ name: out, when: pnl_max > 2% }"
    play = opened({"S1": "1..1", "Z1": "1..1"}, exits=rule, bid=[1000, 1020, 1000, 1000, 1000, 1030])
    play.at(3, idle()).at(4, enter())
    assert [e for e in judged(play) if e[1] == "ZE1.0"] == [(5, "ZE1.0")]
