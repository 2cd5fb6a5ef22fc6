"""What the venue rejects, and cancels and amendments in time, too late and of unknown orders."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from botd.core.settings import PaperSettings
from tests.venues.stand import (
    MS,
    PERP,
    SECOND,
    SPOT,
    Stand,
    amend,
    buy,
    cancel,
    fills,
    sell,
    told,
    trade,
)

D = Decimal
ROWS = [trade(0, 1000, bid=1000, ask=1000), trade(SECOND, 1000, bid=1000, ask=1000)]
SHORT = "insufficient balance"


def answer_to(*commands: object, **options: object) -> list[str]:
    stand = Stand(ROWS, **options)  # type: ignore[arg-type]
    stand.run(0)
    stand.send(*commands)  # type: ignore[arg-type]
    return told(stand.run())


def test_less_than_one_lot_is_rejected() -> None:
    assert answer_to(buy("a", 0)) == ["0 a rejected: quantity is below one lot"]


def test_notional_below_the_minimum_is_rejected() -> None:
    # 4 lots at 10.00 are 4 USDT, the minimum is 5
    assert answer_to(buy("a", 4)) == ["0 a rejected: notional 4.000 is below the minimum 5"]
    assert answer_to(buy("a", 5))[0] == "0 a accepted"


def test_limit_order_is_judged_at_its_own_price() -> None:
    assert "below the minimum" in answer_to(buy("a", 5, limit=999))[0]


@pytest.mark.parametrize(
    ("lots", "accepted"),
    [(999, True), (1000, False)],  # 999 USDT and 0.999 fee fit into 1000, 1000 and 1 do not
)
def test_spot_needs_cash_for_notional_and_fee(lots: int, accepted: bool) -> None:
    assert answer_to(buy("a", lots))[0] == ("0 a accepted" if accepted else f"0 a rejected: {SHORT}")


def test_spot_sells_only_what_is_held() -> None:
    answers = answer_to(buy("in", 20), sell("a", 21), sell("b", 20), sell("c", 5))
    assert [line for line in answers if " a " in line or " b " in line or " c " in line] == [
        f"0 a rejected: {SHORT}",
        "0 b accepted",
        "0 b 20 at 1000 taker fee 0.02",
        f"0 c rejected: {SHORT}",
    ]


@pytest.mark.parametrize(("lots", "accepted"), [(4000, True), (4001, False)])
def test_perpetual_needs_margin_at_its_leverage(lots: int, accepted: bool) -> None:
    # 4000 lots are 4000 USDT, a quarter of it is the whole balance of 1000
    expected = "0 a accepted" if accepted else f"0 a rejected: {SHORT}"
    assert answer_to(sell("a", lots, instrument=PERP), instrument=PERP)[0] == expected


def test_margin_of_what_is_held_is_bound() -> None:
    # 3000 USDT bind 750, their fee is 1.5: 248.5 are free, enough for 994 USDT
    for lots, expected in ((994, "0 b accepted"), (995, f"0 b rejected: {SHORT}")):
        told_ = answer_to(buy("a", 3000, instrument=PERP), buy("b", lots, instrument=PERP), instrument=PERP)
        assert told_[2] == expected


def test_closing_needs_no_margin_but_what_goes_beyond_does() -> None:
    held = buy("in", 3900, instrument=PERP)  # binds 975, leaves 23.05
    rest = {"instrument": PERP}
    assert answer_to(held, sell("a", 3900, instrument=PERP), **rest)[2] == "0 a accepted"
    # 93 lots beyond need 23.25
    assert answer_to(held, sell("a", 3993, instrument=PERP), **rest)[2] == f"0 a rejected: {SHORT}"
    assert answer_to(held, sell("a", 3992, instrument=PERP), **rest)[2] == "0 a accepted"


def test_another_currency_pays_nothing() -> None:
    assert answer_to(buy("a", 10), balances={"BTC": D(5)}) == [f"0 a rejected: {SHORT}"]


def test_market_order_without_a_price_is_rejected() -> None:
    stand = Stand([trade(0, 1000, ask=0), trade(SECOND, 1000)])
    stand.run(0)
    stand.send(buy("a", 10), buy("b", 10, limit=990))
    assert told(stand.run()) == ["0 a rejected: there is no price to trade at", "0 b accepted"]


def test_reduce_only_needs_something_to_reduce() -> None:
    reason = "reduce-only order would not reduce the position"
    assert answer_to(sell("a", 10, reduce=True)) == [f"0 a rejected: {reason}"]
    answers = answer_to(buy("in", 10), buy("a", 10, reduce=True))
    assert answers[2] == f"0 a rejected: {reason}"


def test_reduce_only_sells_no_more_than_is_held() -> None:
    answers = answer_to(buy("in", 20), sell("a", 15, reduce=True), sell("b", 15, reduce=True))
    assert answers[2:] == [
        "0 a accepted",
        "0 a 15 at 1000 taker fee 0.015",
        "0 b accepted",
        "0 b 5 at 1000 taker fee 0.005",
        "0 b expired: nothing left to reduce",
    ]


def test_reduce_only_is_judged_by_the_owner_of_the_position() -> None:
    answers = answer_to(
        buy("in", 20, strategy="long", instrument=PERP),
        sell("against", 20, strategy="short", instrument=PERP),
        sell("other", 20, strategy="third", reduce=True, instrument=PERP),
        sell("out", 20, strategy="long", reduce=True, instrument=PERP),
        buy("back", 20, strategy="short", reduce=True, instrument=PERP),
        instrument=PERP,
    )
    assert [line.split(" ", 1)[1].split(" taker")[0] for line in answers[4:]] == [
        "other rejected: reduce-only order would not reduce the position",
        "out accepted",
        "out 20 at 1000",
        "back accepted",
        "back 20 at 1000",
    ]


def test_cancel_in_time_ends_the_order() -> None:
    stand = Stand([trade(0, 1000), trade(SECOND, 1000), trade(2 * SECOND, 980)])
    stand.run(0)
    stand.send(buy("a", 10, limit=990))
    stand.run(0)
    stand.send(cancel("a", 0))
    assert told(stand.run()) == ["0 a accepted", "0 a canceled: canceled on request"]


def test_cancel_that_the_fill_was_faster_than_is_refused() -> None:
    settings = PaperSettings(latency_min_us=500 * MS, latency_max_us=500 * MS)
    stand = Stand(
        [trade(0, 1000), trade(SECOND, 1000), trade(1_200_000, 980), trade(2 * SECOND, 980)],
        settings=settings,
    )
    stand.run(0)
    stand.send(buy("a", 10, limit=990))
    stand.run(1)
    stand.send(cancel("a", SECOND))
    assert told(stand.run()) == [
        "1200000 a 10 at 990 maker fee 0.00792",
        "1500000 a refused: no such order",
    ]


def test_cancel_that_overtakes_its_order_is_refused_and_the_order_lives() -> None:
    stand = Stand([trade(0, 1000), trade(SECOND, 1000), trade(2 * SECOND, 980)])
    stand.run(0)
    stand.send(cancel("a", 0), buy("a", 10, limit=990, t=SECOND))
    assert told(stand.run()) == [
        "0 a refused: no such order",
        f"{SECOND} a accepted",
        f"{2 * SECOND} a 10 at 990 maker fee 0.00792",
    ]


def test_requests_for_an_unknown_order_are_refused() -> None:
    assert answer_to(cancel("ghost", 0), amend("ghost", 5, 0)) == [
        "0 ghost refused: no such order",
        "0 ghost refused: no such order",
    ]


def test_amended_limit_fills_its_new_quantity() -> None:
    stand = Stand([trade(0, 1000), trade(SECOND, 980)])
    stand.run(0)
    stand.send(buy("a", 10, limit=990), amend("a", 25, 0))
    assert told(stand.run()) == [
        "0 a accepted",
        "0 a amended to 25",
        f"{SECOND} a 25 at 990 maker fee 0.0198",
    ]


def test_amendment_to_what_has_filled_already_is_refused() -> None:
    stand = Stand([trade(0, 1000, ask=990, asz=15), trade(SECOND, 985)])
    stand.run(0)
    stand.send(buy("a", 20, limit=990), amend("a", 15, 0))
    assert told(stand.run())[1:] == [
        "0 a 15 at 990 taker fee 0.01485",
        "0 a refused: as much has filled already",
        f"{SECOND} a 5 at 990 maker fee 0.00396",
    ]


def test_request_number_seen_before_is_ignored() -> None:
    stand = Stand(ROWS)
    stand.run(0)
    stand.venue.send(1, buy("a", 10))
    stand.venue.send(1, buy("a", 10))
    stand.venue.send(2, buy("b", 10))
    stand.venue.send(1, buy("c", 10))
    assert fills(stand.run()) == [(0, 1000, 10), (0, 1000, 10)]
    assert stand.venue.positions() == {SPOT.id: 20}


def test_answers_are_numbered_without_gaps() -> None:
    stand = Stand(ROWS)
    stand.run(0)
    stand.send(buy("a", 10), cancel("b", 0), sell("c", 99), sell("d", 10, reduce=True))
    assert [answer.seq for answer in stand.run()] == [1, 2, 3, 4, 5, 6]


def test_long_and_short_results_in_cash() -> None:
    cheap = replace(PERP, taker_fee=D(0))
    rows = [
        trade(0, 1000, bid=1000, ask=1000),
        trade(SECOND, 1200, bid=1200, ask=1200),
        trade(2 * SECOND, 1200),
    ]
    stand = Stand(rows, instrument=cheap)
    stand.run(0)
    stand.send(buy("a", 30, instrument=PERP))
    stand.run(1)
    stand.send(sell("b", 40, t=SECOND, instrument=PERP))
    stand.run()
    # 30 lots gained 2.00 each at 0.1 X: 6 USDT; 10 lots short are left at 12.00
    assert stand.venue.positions() == {PERP.id: -10}
    assert Decimal(stand.venue.state()["account"]["cash"]["USDT"]) == D(1006)
