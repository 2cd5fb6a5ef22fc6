"""The tracker: orders in doubt and their fills, in any order and twice, become answers the books can take."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

from decimal import Decimal

import pytest

from botd.core.changes import Change
from botd.core.events import (
    ExternalFill,
    FeeTaken,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderInDoubt,
    OrderNeedsHuman,
    OrderNeverArrived,
    Side,
    TradeBusted,
)
from botd.core.outcomes import OrderStatus
from botd.ports import OrderState
from botd.runtime.tickets import Phase
from botd.runtime.tracking import ABSENT_S, MISSING_S
from tests.runtime.tracked import OVER_S, STOP, TS, Books, execution, report

D = Decimal

# ---- fees ------------------------------------------------------------------------------------------


def test_C6_fee_in_another_currency_is_told_as_it_was_taken_and_as_what_it_is_worth() -> None:
    cases = [
        ({"fee": D("0.5")}, D("0.5"), None),
        ({"fee": D("0.002"), "fee_currency": "BTC"}, D(0), FeeTaken(D("0.002"), "BTC")),
        (
            {"fee": D("0.01"), "fee_currency": "BNB", "fee_value": D("3.5")},
            D("3.5"),
            FeeTaken(D("0.01"), "BNB"),
        ),
    ]
    for terms, fee, taken in cases:
        for name in ("botd-1", ""):
            books = Books()
            books.track()
            books.tracker.fill(execution(name, 3, **terms))
            told = books.told[-1]
            assert isinstance(told, OrderFilled | ExternalFill)
            assert (told.fee, told.taken) == (fee, taken)


# ---- trades that are taken back --------------------------------------------------------------------


def test_C11_bust_is_told_once_with_the_terms_of_the_fill_and_whether_it_was_told() -> None:
    books = Books()
    books.track()
    books.tracker.fill(execution("botd-1", 3))
    for _ in range(2):
        books.tracker.fill(execution("botd-1", 3, busted=True, ts_us=TS + 5))
    (told,) = [one for one in books.told if isinstance(one, TradeBusted)]
    assert (told.client_order_id, told.trade_id, told.side, told.price, told.qty) == (
        *("botd-1", "t1", Side.BUY, 100, 3),
    )
    assert (told.fee, told.booked, told.ts_us) == (D("0.1"), True, TS + 5)
    books.tracker.fill(execution("", 3, "x", busted=True))
    assert [one.booked for one in books.told if isinstance(one, TradeBusted)] == [True, False]
    assert ExternalFill not in books.kinds


def test_C11_fill_after_its_bust_is_not_told_and_its_order_ends_with_a_remainder() -> None:
    books = Books()
    ticket = books.rest()
    books.tracker.fill(execution("botd-1", 4, busted=True))
    books.tracker.fill(execution("botd-1", 4))
    assert OrderFilled not in books.kinds
    books.tracker.fill(execution("botd-1", 6, "t2"))
    assert books.kinds[-2:] == [OrderFilled, OrderEnded]
    assert (ticket.phase, books.order().status, books.order().filled) == (Phase.OVER, OrderStatus.EXPIRED, 6)


def test_C11_both_sides_of_a_trade_may_be_ours_and_each_is_taken_back() -> None:
    books = Books()
    books.track()
    books.track("botd-2", side=Side.SELL)
    for name in ("botd-1", "botd-2"):
        books.tracker.fill(execution(name, 3))
        books.tracker.fill(execution(name, 3, busted=True))
    told = [(one.client_order_id, one.booked) for one in books.told if isinstance(one, TradeBusted)]
    assert told == [("botd-1", True), ("botd-2", True)]


# ---- in doubt --------------------------------------------------------------------------------------


def test_B2_order_without_an_answer_is_in_doubt_and_looked_up_a_second_later() -> None:
    books = Books()
    ticket = books.track()
    books.tracker.doubt(ticket, "no answer", 10.0)
    assert (ticket.phase, ticket.look_s) == (Phase.DOUBT, 11.0)
    assert books.kinds == [OrderInDoubt]
    assert books.order().in_doubt
    books.tracker.doubt(ticket, "no answer", 10.5)
    assert (books.kinds, ticket.look_s) == ([OrderInDoubt], 11.0)  # told once, and no later than it was due


def test_B1_lookups_come_after_1_2_4_and_then_every_5_seconds() -> None:
    books = Books()
    ticket = books.track()
    books.tracker.doubt(ticket, "no answer", 0.0)
    times = []
    while ticket.look_s < OVER_S:
        times.append(ticket.look_s)
        books.tracker.absent(ticket, ticket.look_s)
    assert times == [1.0, 3.0, 7.0, 12.0, 17.0]
    assert ticket.look_s == OVER_S  # right when it can no longer come, not a turn later


def test_B1_B3_order_never_arrived_only_after_the_deadline_and_two_absences() -> None:
    books = Books()
    ticket = books.track()
    books.tracker.doubt(ticket, "no answer", 0.0)
    for second in (1.0, 10.0, 20.0, OVER_S - 0.001):
        books.tracker.absent(ticket, second)
    books.tracker.absent(ticket, OVER_S)
    assert OrderNeverArrived not in books.kinds
    assert ticket.look_s == OVER_S + ABSENT_S
    books.tracker.absent(ticket, ticket.look_s)
    assert books.kinds == [OrderInDoubt, OrderNeverArrived]
    assert books.order().status is OrderStatus.NEVER_ARRIVED
    assert books.order().reason == "6 lookups found nothing, the last 23 s after it was sent"
    assert not books.tracker.tickets


@pytest.mark.parametrize("sight", ["report", "fill"])
def test_B3_sighting_between_the_two_absences_is_what_counts(sight: str) -> None:
    books = Books()
    ticket = books.track()
    books.tracker.doubt(ticket, "no answer", 0.0)
    books.tracker.absent(ticket, OVER_S)
    if sight == "report":
        books.tracker.report(report(ticket), OVER_S)
    else:
        books.tracker.fill(execution("botd-1", 4))
    books.tracker.absent(ticket, OVER_S + 2)
    books.tracker.absent(ticket, OVER_S + 4)
    assert OrderNeverArrived not in books.kinds
    assert ticket.phase is Phase.SIGHTED
    assert not books.order().in_doubt


def test_B2_sighting_adopts_the_order_and_its_doubt_is_over() -> None:
    books = Books()
    ticket = books.track()
    books.tracker.doubt(ticket, "no answer", 0.0)
    books.tracker.report(report(ticket), 1.0)
    assert books.kinds == [OrderInDoubt, OrderAccepted]
    assert (books.order().status, books.order().in_doubt) == (OrderStatus.ACCEPTED, False)


def test_B18_order_that_was_seen_is_never_called_absent_and_goes_to_a_person_after_a_minute() -> None:
    books = Books()
    ticket = books.rest()
    for second in (10.0, 40.0, 10.0 + MISSING_S - 0.1):
        books.tracker.absent(ticket, second)
    assert books.told == []
    books.tracker.absent(ticket, 10.0 + MISSING_S)
    assert books.kinds == [OrderNeedsHuman]
    assert ticket.id in books.tracker.tickets
    books.tracker.report(report(ticket, OrderState.CANCELED), 80.0)
    assert books.order().status is OrderStatus.CANCELED


def test_B18_order_that_is_shown_again_as_it_was_is_told_of_once_and_needs_nobody() -> None:
    books = Books()
    ticket = books.rest()
    for second in (10.0, 10.0 + MISSING_S, 10.0 + 2 * MISSING_S):
        books.tracker.absent(ticket, second)
    assert books.order().needs_human
    for second in (140.0, 145.0):
        books.tracker.report(report(ticket), second)
    assert books.kinds == [OrderNeedsHuman, OrderNeedsHuman, OrderAccepted]
    assert not books.order().needs_human


def test_B18_fill_of_an_order_that_needs_a_person_is_word_enough() -> None:
    books = Books()
    ticket = books.rest()
    for second in (10.0, 10.0 + MISSING_S):
        books.tracker.absent(ticket, second)
    books.tracker.fill(execution("botd-1", 4))
    books.tracker.report(report(ticket, filled=4), 80.0)
    assert books.kinds == [OrderNeedsHuman, OrderFilled]
    assert not books.order().needs_human


def test_absence_that_a_sighting_interrupts_begins_anew() -> None:
    books = Books()
    ticket = books.rest()
    books.tracker.absent(ticket, 10.0)
    books.tracker.report(report(ticket), 30.0)
    books.tracker.absent(ticket, 71.0)
    assert books.told == []


def test_refusal_ends_the_order_and_so_does_never_being_sent() -> None:
    books = Books()
    books.tracker.rejected(books.track("botd-1"), "no money")
    books.tracker.never_sent(books.track("botd-2"), "halted")
    assert [books.order(name).status for name in ("botd-1", "botd-2")] == [
        OrderStatus.REJECTED,
        OrderStatus.EXPIRED,
    ]
    assert not books.tracker.tickets


# ---- fills -----------------------------------------------------------------------------------------


def test_C1_fill_that_comes_twice_is_told_once() -> None:
    books = Books()
    books.rest()
    for _ in range(2):
        books.tracker.fill(execution("botd-1", 4))
    assert books.kinds == [OrderFilled]
    assert books.order().filled == 4


def test_C1_fill_that_the_books_have_is_not_told_after_a_restart() -> None:
    before = Books()
    before.rest()
    before.tracker.fill(execution("botd-1", 4))
    books = before.restarted()
    books.tracker.resume(books.table.live(), (), 0.0)
    books.tracker.fill(execution("botd-1", 4))
    assert books.told == []
    books.tracker.fill(execution("botd-1", 6, "t2"))
    assert books.order().status is OrderStatus.FILLED


def test_C1_trade_id_that_two_orders_of_ours_share_is_two_fills() -> None:
    books = Books()
    books.rest("botd-1")
    books.rest("botd-2")
    books.tracker.fill(execution("botd-1", 4))
    books.tracker.fill(execution("botd-2", 4))
    assert [books.order(name).filled for name in ("botd-1", "botd-2")] == [4, 4]


def test_C2_fill_before_the_acceptance_is_a_sighting() -> None:
    books = Books()
    ticket = books.track()
    books.tracker.fill(execution("botd-1", 4))
    books.tracker.report(report(ticket, filled=4), 1.0)
    assert books.kinds == [OrderFilled]
    assert (books.order().status, books.order().accepted) == (OrderStatus.PARTIALLY_FILLED, True)


def test_C2_B14_terms_are_compared_though_a_fill_came_before_the_report() -> None:
    books = Books()
    ticket = books.track(**STOP)
    books.tracker.fill(execution("botd-1", 4, side=Side.SELL))
    books.tracker.report(report(ticket, filled=4, reduce_only=False), 1.0)
    assert books.notices() == [("critical", "order_differs")]
    assert ticket.cancel_wanted


@pytest.mark.parametrize("state", [OrderState.CANCELED, OrderState.EXPIRED])
def test_C4_end_waits_for_the_fills_it_speaks_of(state: OrderState) -> None:
    books = Books()
    ticket = books.rest()
    books.tracker.report(report(ticket, state, filled=4), 1.0)
    assert books.told == []
    assert books.tracker.news.is_set()
    books.tracker.fill(execution("botd-1", 3, "t1"))
    assert books.kinds == [OrderFilled]
    books.tracker.fill(execution("botd-1", 1, "t2"))
    assert books.kinds == [OrderFilled, OrderFilled, OrderEnded]
    assert (books.order().status, books.order().filled) == (OrderStatus(str(state)), 4)


def test_whole_fill_ends_the_order_and_its_report_says_nothing_new() -> None:
    books = Books()
    ticket = books.rest()
    books.tracker.fill(execution("botd-1", 10))
    books.tracker.report(report(ticket, OrderState.FILLED, filled=10), 1.0)
    assert books.kinds == [OrderFilled]
    assert books.order().status is OrderStatus.FILLED


def test_C5_fill_beyond_the_order_is_told_as_it_is() -> None:
    books = Books()
    books.rest()
    books.tracker.fill(execution("botd-1", 11))
    books.tracker.fill(execution("botd-1", 2, "t2"))
    assert books.changes[-2:] == [Change.FILLED, Change.LATE_FILL]
    assert books.order().filled == 13


def test_late_fill_of_an_order_that_is_over_is_told() -> None:
    books = Books()
    ticket = books.rest()
    books.tracker.report(report(ticket, OrderState.CANCELED), 1.0)
    books.tracker.fill(execution("botd-1", 4))
    assert books.changes[-1] is Change.LATE_FILL


def test_C9_fill_of_nobody_of_ours_is_external_and_told_once() -> None:
    books = Books()
    for _ in range(2):
        books.tracker.fill(execution("", 7, "t9", liquidation=True))
        books.tracker.fill(execution("web-1", 7, "t9", liquidation=True))  # the same trade of the instrument
    (one,) = books.told
    assert isinstance(one, ExternalFill)
    assert (one.qty, one.trade_id, one.liquidation) == (7, "t9", True)


def test_C9_fill_of_an_order_of_our_family_that_no_books_know_is_external() -> None:
    books = Books()
    books.tracker.fill(execution("botd-old-1", 7))
    (one,) = books.told
    assert isinstance(one, ExternalFill)
    assert one.client_order_id == "botd-old-1"


def test_fills_that_no_read_shows_any_more_are_forgotten() -> None:
    tracker = Books().tracker
    tracker.seen = {("a", "1"): 10, ("a", "2"): 20}
    tracker.forget_fills(20)
    assert tracker.seen == {("a", "2"): 20}


def test_read_from_before_the_end_says_nothing_of_the_fills_after_it() -> None:
    books = Books()
    ticket = books.rest()
    books.tracker.report(report(ticket, OrderState.FILLED, 10), 100.0)
    books.tracker.after_read(100.0 - MISSING_S)  # it took a minute, and the order ended meanwhile
    books.tracker.after_read(101.0)
    assert books.kinds == []
    books.tracker.after_read(100.0 + MISSING_S)
    assert books.kinds == [OrderNeedsHuman]
    books.tracker.fill(execution("botd-1", 10))
    assert (books.order().status, books.order().needs_human) == (OrderStatus.FILLED, False)


def test_lookup_from_before_an_order_was_shown_says_nothing_of_it() -> None:
    books = Books()
    ticket = books.track()
    books.tracker.report(report(ticket), 100.0)
    books.told.clear()
    books.tracker.absent(ticket, 100.0 - MISSING_S)
    books.tracker.absent(ticket, 101.0)
    assert books.kinds == []
    books.tracker.absent(ticket, 101.0 + MISSING_S)
    assert books.kinds == [OrderNeedsHuman]
