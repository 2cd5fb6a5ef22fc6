"""What orders pay on bars: opens with slippage, stops before limits, gaps."""

from __future__ import annotations

from decimal import Decimal

import pytest

from botd.core.settings import PaperSettings
from tests.venues.stand import MINUTE, PERP, SECOND, Stand, bar, buy, cancel, fills, sell, told

D = Decimal
SETTINGS = PaperSettings(latency_min_us=300_000, latency_max_us=300_000)  # slippage 0.1 %
LATE = 300_000


def first(*rest: tuple[int, int, int, int], settings: PaperSettings = SETTINGS) -> Stand:
    """Stand after a first bar that closed at one minute, with the bars given to come."""
    bars = [bar(MINUTE, 10_000, 10_100, 9_900, 10_050)]
    bars += [bar((2 + n) * MINUTE, *prices) for n, prices in enumerate(rest)]
    stand = Stand(bars, instrument=PERP, settings=settings)
    stand.run(0)
    return stand


def test_purchase_pays_the_next_open_and_slippage_to_the_worse_tick() -> None:
    stand = first((10_055, 10_200, 10_000, 10_100))
    stand.send(buy("a", 10, t=MINUTE, instrument=PERP))
    # 10,055 + 0.1 % = 10,065.055, a buyer's worse tick is 10,066; 100.66 USDT at 5 bps
    assert told(stand.run()) == [
        f"{MINUTE + LATE} a accepted",
        f"{MINUTE + LATE} a 10 at 10066 taker fee 0.05033",
    ]


def test_sale_pays_the_next_open_less_slippage() -> None:
    stand = first((10_055, 10_200, 10_000, 10_100))
    stand.send(sell("a", 10, t=MINUTE, instrument=PERP))
    # 10,044.945 becomes 10,044
    assert fills(stand.run()) == [(MINUTE + LATE, 10_044, 10)]


def test_open_beyond_the_slippage_limit_fills_nothing() -> None:
    stand = first((10_200, 10_200, 10_000, 10_100))
    stand.send(buy("a", 10, t=MINUTE, limit=10_100, market=True, instrument=PERP))
    assert told(stand.run())[1] == f"{MINUTE + LATE} a expired: the book within the limit is used up"


def test_nothing_happens_before_a_bar_of_the_time_of_arrival() -> None:
    slow = PaperSettings(latency_min_us=70 * SECOND, latency_max_us=70 * SECOND, bar_slippage=D(0))
    stand = first((10_055, 10_200, 10_000, 10_100), (10_110, 10_200, 10_000, 10_100), settings=slow)
    stand.send(buy("a", 10, t=MINUTE, instrument=PERP))
    assert fills(stand.run(1)) == []
    assert fills(stand.run()) == [(MINUTE + 70 * SECOND, 10_110, 10)]


@pytest.mark.parametrize(
    ("low", "expected"),
    [(9_900, []), (9_899, [(2 * MINUTE, 9_900, 10)])],  # strictly through
)
def test_limit_needs_a_bar_that_passes_it(low: int, expected: list[tuple[int, int, int]]) -> None:
    stand = first((10_050, 10_100, low, 10_000))
    stand.send(buy("a", 10, t=MINUTE, limit=9_900, instrument=PERP))
    assert fills(stand.run()) == expected


def test_marketable_limit_takes_the_open() -> None:
    stand = first((10_050, 10_100, 10_000, 10_000))
    stand.send(buy("a", 10, t=MINUTE, limit=10_070, instrument=PERP))
    assert told(stand.run())[1] == f"{MINUTE + LATE} a 10 at 10061 taker fee 0.050305"


def test_stop_inside_a_bar_pays_its_price_less_slippage() -> None:
    stand = first((10_050, 10_100, 10_000, 10_000), (10_000, 10_050, 9_700, 9_800))
    stand.send(buy("in", 10, t=MINUTE, instrument=PERP))
    stand.run(1)
    stand.send(sell("stop", 10, t=MINUTE + LATE, stop=9_800, reduce=True, instrument=PERP))
    # 9,800 - 0.1 % = 9,790.2
    assert fills(stand.run()) == [(3 * MINUTE, 9_790, 10)]


def test_gap_through_a_stop_pays_the_open() -> None:
    stand = first((10_050, 10_100, 10_000, 10_000), (9_500, 9_600, 9_400, 9_500))
    stand.send(buy("in", 10, t=MINUTE, instrument=PERP))
    stand.run(1)
    stand.send(sell("stop", 10, t=MINUTE + LATE, stop=9_800, reduce=True, instrument=PERP))
    # 9,500 - 0.1 % = 9,490.5
    assert fills(stand.run()) == [(3 * MINUTE, 9_490, 10)]


def test_gap_through_a_buy_stop_pays_the_open() -> None:
    stand = first((10_050, 10_100, 10_000, 10_000), (10_500, 10_600, 10_450, 10_500))
    stand.send(sell("in", 10, t=MINUTE, instrument=PERP))
    stand.run(1)
    stand.send(buy("stop", 10, t=MINUTE + LATE, stop=10_200, reduce=True, instrument=PERP))
    assert fills(stand.run()) == [(3 * MINUTE, 10_511, 10)]  # 10,510.5 for a buyer


def test_stop_comes_before_a_limit_inside_one_bar() -> None:
    stand = first((10_050, 10_100, 10_000, 10_000), (10_000, 10_400, 9_700, 10_000))
    stand.send(buy("in", 10, t=MINUTE, instrument=PERP))
    stand.run(1)
    stand.send(
        sell("target", 10, t=MINUTE + LATE, limit=10_300, instrument=PERP),
        sell("stop", 10, t=MINUTE + LATE, stop=9_800, reduce=True, instrument=PERP),
    )
    assert fills(stand.run()) == [(3 * MINUTE, 9_790, 10), (3 * MINUTE, 10_300, 10)]


def test_stop_may_fill_in_the_bar_of_its_entry() -> None:
    stand = first((10_050, 10_100, 9_700, 9_900), (9_900, 9_900, 9_900, 9_900))
    stand.send(buy("in", 10, t=MINUTE, instrument=PERP))
    name = stand.instrument.id
    entered = stand.venue.execute(name, stand.ring, 0, 1, 2 * MINUTE, 1, own=True)
    assert fills(entered) == [(MINUTE + LATE, 10_061, 10)]
    # the bot answers the fill before the bar is judged, and the stop arrives inside the bar
    stand.send(sell("stop", 10, t=MINUTE + LATE, stop=9_800, reduce=True, instrument=PERP))
    assert stand.venue.first_touch(name, stand.ring, 0, 1, 3) == 1
    assert fills(stand.run()) == [(2 * MINUTE, 9_790, 10)]


def test_order_expires_at_its_time_when_the_next_bar_comes() -> None:
    stand = first((10_050, 10_100, 10_000, 10_000), (9_800, 9_800, 9_700, 9_700))
    stand.send(buy("a", 10, t=MINUTE, limit=9_900, expire=2 * MINUTE + 5, instrument=PERP))
    assert told(stand.run()) == [
        f"{MINUTE + LATE} a accepted",
        f"{2 * MINUTE + 5} a expired: time to live is over",
    ]


def test_cancel_is_carried_out_at_the_open_of_the_next_bar() -> None:
    stand = first((10_050, 10_100, 10_000, 10_000), (9_800, 9_800, 9_700, 9_700))
    stand.send(buy("a", 10, t=MINUTE, limit=9_900, instrument=PERP))
    stand.run(1)
    stand.send(cancel("a", 2 * MINUTE, PERP))
    assert told(stand.run()) == [f"{2 * MINUTE + LATE} a canceled: canceled on request"]


def test_drain_pays_the_last_close_and_slippage() -> None:
    stand = first()
    stand.send(buy("a", 10, t=MINUTE, instrument=PERP))
    # 10,050 + 0.1 % = 10,060.05
    assert fills(stand.drain()) == [(MINUTE + LATE, 10_061, 10)]


def test_sale_at_one_tick_is_not_worth_nothing() -> None:
    stand = Stand([bar(MINUTE, 1, 1, 1, 1), bar(2 * MINUTE, 1, 1, 1, 1)], instrument=PERP, settings=SETTINGS)
    stand.run(0)
    stand.send(sell("a", 5_000, t=MINUTE, instrument=PERP))
    assert fills(stand.run()) == [(MINUTE + LATE, 1, 5_000)]
