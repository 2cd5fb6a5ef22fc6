"""Differences with the venue: each found once, none of them ever an order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from botd.core.events import ClientOrderId, DecisionKey, OrderType, Section, Side, SubmitOrder, TimeInForce
from botd.core.instrument import InstrumentId
from botd.core.orders import Order
from botd.core.outcomes import OrderStatus
from botd.core.reconcile import (
    OrderDiffers,
    OrderMissingAtVenue,
    OrderUnknownToUs,
    PositionDiffers,
    VenueOrder,
    VenueView,
    confirmed,
    diff,
)

# ruff: noqa: N802 - tests of a catalogued fault carry its id
BTC = InstrumentId("BTC/USDT")
ETH = InstrumentId("ETH/USDT")
GRACE_US = 30_000_000
NOW_US = 100_000_000


def ours(
    name: str = "a", *, status: OrderStatus = OrderStatus.ACCEPTED, filled: int = 0, ts_us: int = 0
) -> Order:
    command = SubmitOrder(
        client_order_id=ClientOrderId(name),
        key=DecisionKey("s", BTC, 1, Section.Z1, ""),
        instrument=BTC,
        side=Side.BUY,
        type=OrderType.LIMIT,
        tif=TimeInForce.GTC,
        qty=10,
        limit=100,
        ts_us=ts_us,
    )
    one = Order(command, 0, 100)
    one.status, one.accepted, one.filled = status, status is not OrderStatus.SUBMITTED, filled
    return one


def theirs(name: str = "a", *, filled: int = 0) -> VenueOrder:
    return VenueOrder(
        client_order_id=ClientOrderId(name),
        instrument=BTC,
        side=Side.BUY,
        qty=10,
        filled=filled,
        reduce_only=False,
        limit=100,
    )


def venue(*orders: VenueOrder, positions: dict[InstrumentId, int] | None = None) -> VenueView:
    return VenueView(ts_us=NOW_US, orders=orders, positions=positions or {})


def test_equal_books_differ_in_nothing() -> None:
    view = venue(theirs("a", filled=3), theirs("b"), positions={BTC: 5, ETH: 0})
    assert diff([ours("a", filled=3), ours("b")], {BTC: 5}, view, grace_us=GRACE_US) == ()
    assert diff([], {}, venue(), grace_us=GRACE_US) == ()
    assert diff([], {BTC: 0}, venue(), grace_us=GRACE_US) == ()


def test_order_that_the_venue_does_not_list_is_missing() -> None:
    lost = ours("b", status=OrderStatus.SUBMITTED)
    lost.in_doubt = True
    assert diff([ours("a"), lost], {}, venue(), grace_us=GRACE_US) == (
        OrderMissingAtVenue(ClientOrderId("a"), BTC, False),
        OrderMissingAtVenue(ClientOrderId("b"), BTC, True),
    )


@pytest.mark.parametrize(("age_us", "missing"), [(GRACE_US - 1, 0), (GRACE_US, 1), (GRACE_US + 1, 1)])
def test_B18_order_on_its_way_is_missing_only_after_the_grace(age_us: int, missing: int) -> None:
    one = ours(status=OrderStatus.SUBMITTED, ts_us=NOW_US - age_us)
    assert len(diff([one], {}, venue(), grace_us=GRACE_US)) == missing


def test_order_sighted_once_has_no_grace() -> None:
    assert len(diff([ours(ts_us=NOW_US)], {}, venue(), grace_us=GRACE_US)) == 1


def test_intent_that_was_never_sent_is_missing_nowhere() -> None:
    assert diff([ours(status=OrderStatus.INTENT)], {}, venue(), grace_us=GRACE_US) == ()


def test_order_that_we_do_not_know_is_reported() -> None:
    found = diff([ours("a")], {}, venue(theirs("a"), theirs("x", filled=4)), grace_us=GRACE_US)
    assert found == (OrderUnknownToUs(ClientOrderId("x"), BTC, Side.BUY, 6),)


def test_C7_fill_that_we_missed_is_reported_and_not_booked() -> None:
    one = ours(filled=3)
    found = diff([one], {}, venue(theirs(filled=5)), grace_us=GRACE_US)
    assert found == (OrderDiffers(ClientOrderId("a"), BTC, "filled", "3", "5"),)
    assert one.filled == 3


def test_E11_fill_that_the_venue_takes_back_is_disputed() -> None:
    found = diff([ours(filled=5)], {}, venue(theirs(filled=3)), grace_us=GRACE_US)
    assert found == (OrderDiffers(ClientOrderId("a"), BTC, "filled", "5", "3"),)


def test_B14_order_accepted_with_other_terms() -> None:
    other = replace(theirs(), side=Side.SELL, qty=9, limit=101, stop=90, reduce_only=True)
    found = diff([ours()], {}, venue(other), grace_us=GRACE_US)
    assert found == tuple(
        OrderDiffers(ClientOrderId("a"), BTC, term, wanted, got)
        for term, wanted, got in [
            ("side", "buy", "sell"),
            ("qty", "10", "9"),
            ("limit", "100", "101"),
            ("stop", "None", "90"),
            ("reduce_only", "False", "True"),
        ]
    )


def test_E4_empty_answer_while_holding_is_a_finding_and_no_trade() -> None:
    found = diff([], {BTC: 5}, venue(), grace_us=GRACE_US)
    assert found == (PositionDiffers(BTC, 5, 0),)


def test_E3_position_that_we_do_not_have() -> None:
    found = diff([], {}, venue(positions={ETH: 2, BTC: 1}), grace_us=GRACE_US)
    assert found == (PositionDiffers(BTC, 0, 1), PositionDiffers(ETH, 0, 2))


def test_findings_come_in_a_fixed_order() -> None:
    orders = [ours("d", filled=1), ours("c"), ours("b")]
    view = venue(theirs("z"), theirs("d"), replace(theirs("c"), qty=9), theirs("y"), positions={ETH: 1})
    expected = (
        OrderMissingAtVenue(ClientOrderId("b"), BTC, False),
        OrderUnknownToUs(ClientOrderId("y"), BTC, Side.BUY, 10),
        OrderUnknownToUs(ClientOrderId("z"), BTC, Side.BUY, 10),
        OrderDiffers(ClientOrderId("c"), BTC, "qty", "10", "9"),
        OrderDiffers(ClientOrderId("d"), BTC, "filled", "1", "0"),
        PositionDiffers(ETH, 0, 1),
    )
    assert diff(orders, {}, view, grace_us=GRACE_US) == expected
    assert diff(orders[::-1], {}, view, grace_us=GRACE_US) == expected


def test_finding_counts_once_a_second_read_shows_it_too() -> None:
    first = diff([ours("a"), ours("b")], {BTC: 5}, venue(positions={BTC: 4}), grace_us=GRACE_US)
    second = diff([ours("b")], {BTC: 5}, venue(positions={BTC: 3}), grace_us=GRACE_US)
    assert confirmed(first, second) == (OrderMissingAtVenue(ClientOrderId("b"), BTC, False),)
    assert confirmed((), second) == ()
    assert confirmed(second, second) == second
