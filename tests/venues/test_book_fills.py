"""What orders pay on trades and tops of book, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from botd.core.settings import PaperSettings
from tests.venues.stand import (
    MS,
    PERP,
    SECOND,
    SPOT,
    D,
    Stand,
    amend,
    book,
    buy,
    cancel,
    fills,
    sell,
    told,
    trade,
)


def test_market_order_walks_one_tick_for_each_multiple_of_the_top() -> None:
    stand = Stand([trade(0, 1000, ask=1001, asz=30), trade(SECOND, 1000)])
    stand.run(0)
    stand.send(buy("a", 70))
    # 30 at 10.01, 30 at 10.02, 10 at 10.03; fees are 0.1 % of 30.03, 30.06 and 10.03
    assert told(stand.run()) == [
        "0 a accepted",
        "0 a 30 at 1001 taker fee 0.03003",
        "0 a 30 at 1002 taker fee 0.03006",
        "0 a 10 at 1003 taker fee 0.01003",
    ]


def test_sale_walks_down() -> None:
    stand = Stand([trade(0, 1000, bid=999, bsz=30), trade(SECOND, 1000)], instrument=PERP)
    stand.run(0)
    stand.send(sell("a", 45, instrument=PERP))
    assert fills(stand.run()) == [(0, 999, 30), (0, 998, 15)]


def test_walk_stops_at_the_slippage_limit_and_the_rest_expires() -> None:
    stand = Stand([trade(0, 1000, ask=1001, asz=30), trade(SECOND, 1000)])
    stand.run(0)
    stand.send(buy("a", 100, limit=1002, market=True))
    assert told(stand.run())[1:] == [
        "0 a 30 at 1001 taker fee 0.03003",
        "0 a 30 at 1002 taker fee 0.03006",
        "0 a expired: the book within the limit is used up",
    ]


def test_top_beyond_the_limit_fills_nothing() -> None:
    stand = Stand([trade(0, 1000, ask=1003), trade(SECOND, 1000)])
    stand.run(0)
    stand.send(buy("a", 10, limit=1002, market=True))
    assert told(stand.run()) == ["0 a accepted", "0 a expired: the book within the limit is used up"]


def test_walk_stops_after_its_last_level() -> None:
    settings = PaperSettings(latency_min_us=0, latency_max_us=0, walk_levels_max=3)
    stand = Stand([trade(0, 1000, ask=1001, asz=10), trade(SECOND, 1000)], settings=settings)
    stand.run(0)
    stand.send(buy("a", 31))
    assert fills(stand.run()) == [(0, 1001, 10), (0, 1002, 10), (0, 1003, 10)]


def test_sale_does_not_walk_below_one_tick() -> None:
    stand = Stand([trade(0, 3, bid=2, bsz=100), trade(SECOND, 3)], instrument=PERP)
    stand.run(0)
    stand.send(sell("a", 350, instrument=PERP))
    assert fills(stand.run()) == [(0, 2, 100), (0, 1, 100)]


def test_unknown_size_fills_everything_at_the_top() -> None:
    stand = Stand([trade(0, 1000, ask=1001), trade(SECOND, 1000)])
    stand.run(0)
    stand.send(buy("a", 90))
    assert fills(stand.run()) == [(0, 1001, 90)]


def test_limit_fills_only_when_traded_through() -> None:
    stand = Stand(
        [
            trade(0, 1000),
            trade(SECOND, 990),  # at the limit: others stand before us
            book(2 * SECOND, 990, 980, 985),  # the top alone fills nothing
            trade(3 * SECOND, 989),
        ]
    )
    stand.run(0)
    stand.send(buy("a", 50, limit=990))
    assert told(stand.run(2)) == ["0 a accepted"]
    # 50 lots at 9.90 are 49.50 USDT, 0.08 % of them 0.0396
    assert told(stand.run()) == [f"{3 * SECOND} a 50 at 990 maker fee 0.0396"]


def test_sell_limit_fills_only_above_its_price() -> None:
    stand = Stand([trade(0, 1000), trade(SECOND, 1010), trade(2 * SECOND, 1011)], instrument=PERP)
    stand.run(0)
    stand.send(sell("a", 5, limit=1010, instrument=PERP))
    assert fills(stand.run(1)) == []
    assert fills(stand.run()) == [(2 * SECOND, 1010, 5)]


def test_marketable_limit_takes_up_to_its_price_and_rests() -> None:
    stand = Stand([trade(0, 1000, ask=1001, asz=20), trade(SECOND, 1003), trade(2 * SECOND, 1001)])
    stand.run(0)
    stand.send(buy("a", 60, limit=1002))
    assert told(stand.run()) == [
        "0 a accepted",
        "0 a 20 at 1001 taker fee 0.02002",
        "0 a 20 at 1002 taker fee 0.02004",
        f"{2 * SECOND} a 20 at 1002 maker fee 0.016032",
    ]


def test_print_of_the_time_of_arrival_may_already_fill() -> None:
    settings = PaperSettings(latency_min_us=SECOND, latency_max_us=SECOND)
    stand = Stand([trade(0, 1000), trade(SECOND, 980)], settings=settings)
    stand.run(0)
    stand.send(buy("a", 10, limit=990))
    assert fills(stand.run()) == [(SECOND, 990, 10)]


def test_order_expires_exactly_at_its_time() -> None:
    rows = [trade(0, 1000), trade(5 * SECOND - 1, 995), trade(5 * SECOND, 980), trade(6 * SECOND, 980)]
    stand = Stand(rows)
    stand.run(0)
    stand.send(buy("a", 10, limit=990, expire=5 * SECOND))
    assert stand.venue.deadline_us(stand.instrument.id) == 0
    assert told(stand.run(1)) == ["0 a accepted"]
    assert stand.venue.deadline_us(stand.instrument.id) == 5 * SECOND
    # the print of that very time comes too late
    assert told(stand.run(2)) == [f"{5 * SECOND} a expired: time to live is over"]
    assert told(stand.run()) == []


def test_orders_expire_in_the_order_of_their_times() -> None:
    stand = Stand([trade(0, 1000), trade(9 * SECOND, 1000)])
    stand.run(0)
    stand.send(
        buy("a", 10, limit=980, expire=4 * SECOND),
        buy("b", 10, limit=980, expire=2 * SECOND),
        buy("c", 10, limit=980, expire=4 * SECOND),
    )
    assert told(stand.run())[3:] == [
        f"{2 * SECOND} b expired: time to live is over",
        f"{4 * SECOND} a expired: time to live is over",
        f"{4 * SECOND} c expired: time to live is over",
    ]


def test_requests_and_expiries_between_two_rows_keep_the_order_of_their_times() -> None:
    settings = PaperSettings(latency_min_us=100 * MS, latency_max_us=100 * MS)
    stand = Stand([trade(0, 1000), trade(SECOND, 1000), trade(9 * SECOND, 1000)], settings=settings)
    stand.run(0)
    stand.send(buy("a", 10, limit=980, expire=4 * SECOND), buy("b", 10, limit=980, expire=2 * SECOND))
    stand.run(1)
    stand.send(cancel("a", 4 * SECOND - 100 * MS), buy("c", 10, limit=970, t=2 * SECOND))
    assert told(stand.run()) == [
        f"{2 * SECOND} b expired: time to live is over",
        f"{2 * SECOND + 100 * MS} c accepted",
        f"{4 * SECOND} a expired: time to live is over",  # its own time comes before the cancel
        f"{4 * SECOND} a refused: no such order",
    ]


def test_order_that_arrives_after_its_time_is_over_does_not_trade() -> None:
    settings = PaperSettings(latency_min_us=300 * MS, latency_max_us=300 * MS)
    stand = Stand([trade(0, 1000, ask=1001), trade(SECOND, 900)], settings=settings)
    stand.run(0)
    stand.send(buy("a", 10, limit=1001, expire=200 * MS))
    assert told(stand.run()) == [
        f"{300 * MS} a accepted",
        f"{300 * MS} a expired: time to live is over",
    ]


def test_sell_stop_triggers_at_its_price_and_pays_the_bid_after() -> None:
    stand = Stand(
        [
            trade(0, 1000, ask=1001),
            trade(SECOND, 951),
            trade(2 * SECOND, 950, bid=940, bsz=15),
            trade(3 * SECOND, 900),
        ]
    )
    stand.run(0)
    stand.send(buy("in", 20))
    stand.run(1)
    stand.send(sell("stop", 20, stop=950, reduce=True, t=SECOND))
    assert told(stand.run()) == [
        f"{SECOND} stop accepted",
        f"{2 * SECOND} stop 15 at 940 taker fee 0.0141",
        f"{2 * SECOND} stop 5 at 939 taker fee 0.004695",
    ]


def test_buy_stop_triggers_at_its_price_and_pays_the_ask_after() -> None:
    stand = Stand(
        [trade(0, 1000, bid=1000), trade(SECOND, 1049), trade(2 * SECOND, 1050, ask=1055)], instrument=PERP
    )
    stand.run(0)
    stand.send(sell("in", 20, instrument=PERP))
    stand.run(0)
    stand.send(buy("stop", 20, stop=1050, reduce=True, instrument=PERP))
    assert fills(stand.run()) == [(0, 1000, 20), (2 * SECOND, 1055, 20)]


def test_stop_is_blind_to_the_book() -> None:
    stand = Stand([trade(0, 1000), book(SECOND, 1000, 900, 901), book(2 * SECOND, 1000, 900, 901)])
    stand.run(0)
    stand.send(buy("in", 20))
    stand.run(1)
    stand.send(sell("stop", 20, stop=950, reduce=True, t=SECOND))
    assert told(stand.run()) == [f"{SECOND} stop accepted"]


def test_stop_without_a_known_bid_pays_the_print() -> None:
    stand = Stand([trade(0, 1000), trade(SECOND, 1000), trade(2 * SECOND, 945, bid=0)])
    stand.run(0)
    stand.send(buy("in", 20))
    stand.run(1)
    stand.send(sell("stop", 20, stop=950, reduce=True, t=SECOND))
    assert fills(stand.run()) == [(2 * SECOND, 945, 20)]


def test_stop_that_was_enlarged_sells_all_of_its_new_quantity() -> None:
    stand = Stand([trade(0, 1000, ask=1001), trade(SECOND, 1000), trade(2 * SECOND, 940, bid=940)])
    stand.run(0)
    stand.send(buy("in", 30))
    stand.run(1)
    stand.send(sell("stop", 10, stop=950, reduce=True, t=SECOND), amend("stop", 30, SECOND))
    assert told(stand.run()) == [
        f"{SECOND} stop accepted",
        f"{SECOND} stop amended to 30",
        f"{2 * SECOND} stop 30 at 940 taker fee 0.0282",
    ]


def test_stop_that_was_moved_is_hit_at_its_new_price() -> None:
    rows = [trade(0, 1000, ask=1001), trade(SECOND, 1000), trade(2 * SECOND, 940, bid=940)]
    stand = Stand([*rows, trade(3 * SECOND, 920, bid=920)])
    stand.run(0)
    stand.send(buy("in", 30))
    stand.run(1)
    stand.send(sell("stop", 30, stop=950, reduce=True, t=SECOND), amend("stop", 30, SECOND, stop=930))
    assert fills(stand.run()) == [(3 * SECOND, 920, 30)]


def test_stops_come_before_limits_at_one_print() -> None:
    stand = Stand([trade(0, 1000, ask=1000), trade(SECOND, 1000), trade(2 * SECOND, 940, bid=940)])
    stand.run(0)
    stand.send(buy("in", 10))
    stand.run(1)
    stand.send(buy("again", 10, limit=960, t=SECOND), sell("stop", 10, stop=950, reduce=True, t=SECOND))
    assert fills(stand.run()) == [(2 * SECOND, 940, 10), (2 * SECOND, 960, 10)]


@pytest.mark.parametrize(
    ("lots", "fee"),
    [
        (50, "0"),  # 0.000005 BTC: 0.1 % is half of 1e-8, to the even 0
        (150, "0.00000002"),  # 1.5e-8
        (250, "0.00000002"),  # 2.5e-8
        (251, "0.00000003"),
    ],
)
def test_fees_are_rounded_half_even_to_8_places(lots: int, fee: str) -> None:
    fine = replace(SPOT, quote="BTC", tick_size=D("0.00000001"), lot_size=D("0.001"), min_notional=D(0))
    # 10,000 ticks are 0.0001 BTC, a lot of them 1e-7 BTC
    stand = Stand(
        [trade(0, 10_000, ask=10_000), trade(SECOND, 10_000)], instrument=fine, balances={"BTC": D(1)}
    )
    stand.run(0)
    stand.send(buy("a", lots))
    assert told(stand.run())[1] == f"0 a {lots} at 10000 taker fee {fee}"


def test_perpetual_pays_its_own_rates() -> None:
    stand = Stand([trade(0, 1000, ask=1000), trade(SECOND, 989)], instrument=PERP)
    stand.run(0)
    stand.send(buy("a", 10, instrument=PERP), buy("b", 10, limit=990, instrument=PERP))
    # 10 USDT at 5 bps, 9.9 USDT at 2 bps
    assert [line.split("fee ")[1] for line in told(stand.run()) if "fee" in line] == ["0.005", "0.00198"]


def test_drain_carries_out_what_is_in_flight_at_the_last_top() -> None:
    settings = PaperSettings(latency_min_us=300 * MS, latency_max_us=300 * MS)
    stand = Stand([trade(0, 1000), trade(SECOND, 1000, bid=998, ask=1002)], settings=settings)
    stand.run(0)
    stand.send(buy("a", 10, t=0))
    stand.run()
    stand.send(sell("b", 10, t=SECOND, reduce=True), buy("c", 10, t=SECOND, limit=990))
    assert told(stand.drain()) == [
        "1300000 b accepted",
        "1300000 b 10 at 998 taker fee 0.00998",
        "1300000 c accepted",
    ]
    assert stand.drain() == []
