"""The tracker: reports that lag, other terms than were asked for, changes, orders of no books, restarts."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

from typing import Any

import pytest

from botd.core.events import (
    AmendOrder,
    ClientOrderId,
    OrderAmended,
    OrderEnded,
    OrderFilled,
    OrderInDoubt,
    OrderType,
    RequestRefused,
    Side,
    TimeInForce,
)
from botd.core.outcomes import OrderStatus
from botd.ports import OrderReport, OrderState
from botd.runtime.tickets import Phase, Ticket
from botd.runtime.tracking import ABSENT_S
from tests.runtime.tracked import BTC, OVER_S, STOP, TS, Books, execution, report

# ---- reports that lag ------------------------------------------------------------------------------


def test_B18_report_older_than_one_that_was_shown_changes_nothing() -> None:
    books = Books()
    ticket = books.track(**STOP)
    books.tracker.report(report(ticket, at_us=TS + 5, qty=8), 1.0)
    books.told.clear()
    books.tracker.report(report(ticket, at_us=TS + 4, qty=10), 2.0)
    books.tracker.report(report(ticket, OrderState.CANCELED, at_us=TS + 3), 2.0)
    assert books.told == []
    assert ticket.id in books.tracker.tickets


def test_report_after_the_final_one_changes_nothing() -> None:
    books = Books()
    ticket = books.rest()
    books.tracker.report(report(ticket, OrderState.CANCELED, filled=4, at_us=TS + 1), 1.0)
    books.tracker.report(report(ticket, filled=2, at_us=TS + 2), 2.0)
    books.tracker.fill(execution("botd-1", 4))
    assert books.kinds == [OrderFilled, OrderEnded]


def test_B10_rejection_after_the_acceptance_is_told() -> None:
    books = Books()
    ticket = books.rest()
    books.tracker.report(report(ticket, OrderState.REJECTED, reason="margin"), 1.0)
    assert (books.order().status, books.order().reason) == (OrderStatus.REJECTED, "margin")


def test_B10_rejection_of_what_had_filled_in_part_ends_the_order() -> None:
    books = Books()
    ticket = books.rest()
    books.tracker.fill(execution("botd-1", 4))
    books.tracker.report(report(ticket, OrderState.REJECTED, filled=4, reason="margin"), 1.0)
    assert (books.order().status, books.order().reason) == (OrderStatus.EXPIRED, "margin")


def test_B9_refusal_of_an_order_that_the_venue_has_shown_is_not_believed() -> None:
    books = Books()
    ticket = books.track()
    books.tracker.fill(execution("botd-1", 4))  # a box on the way sent it twice: the copy is refused
    books.tracker.rejected(ticket, "no money")
    assert books.order().status is OrderStatus.PARTIALLY_FILLED
    assert ticket.id in books.tracker.tickets


# ---- other terms -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong", [{"side": Side.BUY}, {"qty": 9}, {"stop": 91}, {"reduce_only": False}, {"stop": None}]
)
def test_B14_order_taken_with_other_terms_is_cried_out_and_cancelled(wrong: dict[str, Any]) -> None:
    books = Books()
    ticket = books.track(**STOP)
    books.tracker.report(report(ticket, **wrong), 1.0)
    assert books.notices() == [("critical", "order_differs")]
    assert ticket.cancel_wanted


def test_B14_limit_order_taken_at_another_price_is_cried_out_and_cancelled() -> None:
    books = Books()
    ticket = books.track()
    books.tracker.report(report(ticket, limit=101), 1.0)
    assert books.notices() == [("critical", "order_differs")]
    assert ticket.cancel_wanted


def test_B14_bound_of_a_market_order_need_not_come_back() -> None:
    books = Books()
    ticket = books.track(type=OrderType.MARKET, tif=TimeInForce.IOC)
    books.tracker.report(report(ticket, limit=None), 1.0)
    assert books.notices() == []


def test_B14_order_taken_for_less_and_filled_is_over() -> None:
    books = Books()
    ticket = books.track(type=OrderType.MARKET, tif=TimeInForce.IOC)
    books.tracker.report(report(ticket, OrderState.FILLED, qty=9, filled=9), 1.0)
    books.tracker.fill(execution("botd-1", 9))
    assert (books.order().status, books.order().filled) == (OrderStatus.EXPIRED, 9)
    assert not books.tracker.tickets


def test_B14_other_terms_are_found_again_after_a_restart() -> None:
    before = Books()
    before.track(**STOP)
    before.tracker.report(report(before.tracker.tickets["botd-1"], reduce_only=False), 1.0)
    books = before.restarted()  # before the cancel was made
    books.tracker.resume(books.table.live(), (), 5.0)
    ticket = books.tracker.tickets["botd-1"]
    books.tracker.report(report(ticket, reduce_only=False), 6.0)
    assert ticket.cancel_wanted


# ---- amendments ------------------------------------------------------------------------------------


def amending(books: Books, *, at_s: float = 0.0) -> Ticket:
    """Return a stop that rests, of which half the quantity was asked for."""
    ticket = books.rest(**STOP)
    ticket.amend, ticket.amend_s = AmendOrder(ticket.id, BTC, 5, TS, 90), at_s
    return ticket


def test_amendment_is_told_when_the_venue_shows_it() -> None:
    books = Books()
    ticket = amending(books)
    books.tracker.report(report(ticket, qty=5, at_us=TS + 1), 1.0)
    assert books.kinds == [OrderAmended]
    assert (books.order().qty, ticket.amend) == (5, None)
    books.tracker.report(report(ticket, qty=5, at_us=TS + 1), 2.0)
    assert books.kinds == [OrderAmended]


def test_D4_amendment_that_did_not_come_is_refused_after_the_deadline_and_not_before() -> None:
    books = Books()
    ticket = amending(books)
    for second in (OVER_S - 0.1, OVER_S):
        assert books.told == []
        books.tracker.report(report(ticket), second)
        books.tracker.after_read(second)
    assert books.kinds == [RequestRefused]


def test_D4_amendment_of_a_stop_that_no_read_shows_is_refused_after_the_deadline() -> None:
    books = Books()
    amending(books)
    books.tracker.after_read(OVER_S - 0.1)
    assert books.told == []
    books.tracker.after_read(OVER_S)
    assert books.kinds == [RequestRefused]


def test_refused_amendment_of_what_is_being_cancelled_is_no_news() -> None:
    books = Books()
    ticket = amending(books)
    ticket.cancel_wanted = True
    books.tracker.amend_refused(ticket, "too late")
    assert (books.told, ticket.amend) == ([], None)


def test_G8_amendment_of_a_process_before_that_never_came_is_refused_in_the_end() -> None:
    before = Books()
    amending(before)
    books = before.restarted()
    books.tracker.resume(books.table.live(), [ClientOrderId("botd-1")], 100.0)
    ticket = books.tracker.tickets["botd-1"]
    books.tracker.report(report(ticket), 101.0)
    books.tracker.after_read(101.0)
    assert books.told == []  # it may still come
    books.tracker.after_read(100.0 + OVER_S)
    assert books.kinds == [RequestRefused]


def test_G8_amendment_of_a_process_before_that_came_is_told_and_over() -> None:
    before = Books()
    amending(before)
    books = before.restarted()
    books.tracker.resume(books.table.live(), [ClientOrderId("botd-1")], 100.0)
    ticket = books.tracker.tickets["botd-1"]
    for second in (101.0, 100.0 + OVER_S):
        books.tracker.report(report(ticket, qty=5), second)
    assert books.kinds == [OrderAmended]
    assert ticket.amend is None


# ---- what is not in the books ----------------------------------------------------------------------


def alien(name: str, state: OrderState = OrderState.OPEN) -> OrderReport:
    return OrderReport(
        client_order_id=name,
        instrument=BTC,
        state=state,
        side=Side.SELL,
        qty=3,
        filled=0,
        reduce_only=False,
        ts_us=TS,
        limit=120,
    )


def test_G14_order_of_our_family_that_no_books_know_is_an_orphan_once_no_read_can_lag_any_more() -> None:
    books = Books()
    for second in (0.0, 3.0, 6.0):
        books.tracker.report(alien("botd-old-1"), second)
    assert books.tracker.orphans == {}
    books.tracker.report(alien("botd-old-1"), 6.1)
    assert list(books.tracker.orphans) == ["botd-old-1"]


def test_order_that_a_read_still_shows_after_its_end_is_no_orphan() -> None:
    books = Books()
    ticket = books.rest()
    resting = report(ticket)
    books.tracker.report(report(ticket, OrderState.CANCELED, at_us=TS + 1), 1.0)
    books.tracker.report(resting, 2.0)
    books.tracker.report(report(ticket, OrderState.CANCELED, at_us=TS + 1), 8.0)
    books.tracker.report(resting, 9.0)
    assert books.tracker.orphans == {}


def test_E3_order_of_somebody_else_is_told_of_once() -> None:
    books = Books()
    for second in (0.0, 5.0, 60.0):
        books.tracker.report(alien("web-1"), second)
    assert books.notices() == [("medium", "external_order")]
    assert books.tracker.orphans == {}


# ---- alerts ----------------------------------------------------------------------------------------


def test_B2_order_long_in_doubt_is_cried_out_twice() -> None:
    books = Books()
    ticket = books.track()
    books.tracker.doubt(ticket, "no answer", 0.0)
    for second in (9.9, 10.0, 11.0, OVER_S + 29.9, OVER_S + 30.0, 500.0):
        books.tracker.cry(second)
    assert books.notices() == [("high", "order_in_doubt"), ("critical", "order_in_doubt")]


def test_B11_stop_long_in_doubt_is_critical_at_once() -> None:
    books = Books()
    ticket = books.track(stop=95)
    books.tracker.doubt(ticket, "no answer", 0.0)
    books.tracker.cry(10.0)
    assert books.notices() == [("critical", "order_in_doubt")]


def test_order_that_rests_is_not_cried_out() -> None:
    books = Books()
    books.rest()
    books.tracker.cry(1_000.0)
    assert books.told == []


# ---- a restart -------------------------------------------------------------------------------------


def test_G3_order_that_may_have_been_sent_is_in_doubt_after_a_restart() -> None:
    before = Books()
    before.track()
    books = before.restarted()
    books.tracker.resume(books.table.live(), (), 50.0)
    ticket = books.tracker.tickets["botd-1"]
    assert (ticket.phase, ticket.sent_s, ticket.look_s) == (Phase.DOUBT, 50.0, 51.0)
    assert books.kinds == [OrderInDoubt]
    books.tracker.absent(ticket, 50.0 + OVER_S)
    books.tracker.absent(ticket, 50.0 + OVER_S + ABSENT_S)
    assert books.order().status is OrderStatus.NEVER_ARRIVED


def test_E5_restart_over_an_order_known_to_be_in_doubt_tells_nothing() -> None:
    before = Books()
    before.tracker.doubt(before.track(), "no answer", 0.0)
    books = before.restarted()
    books.tracker.resume(books.table.live(), (), 50.0)
    assert books.told == []
    assert books.tracker.tickets["botd-1"].look_s == 51.0


def test_G8_cancel_that_a_process_before_asked_for_is_asked_for_again() -> None:
    before = Books()
    before.rest()
    before.order().to(OrderStatus.PENDING_CANCEL)
    books = before.restarted()
    books.tracker.resume(books.table.live(), (), 50.0)
    assert books.tracker.tickets["botd-1"].cancel_wanted


def test_resumed_order_counts_on_from_what_had_filled() -> None:
    before = Books()
    before.rest()
    before.tracker.fill(execution("botd-1", 4))
    books = before.restarted()
    books.tracker.resume(books.table.live(), (), 0.0)
    books.tracker.report(report(books.tracker.tickets["botd-1"], OrderState.CANCELED, filled=4), 1.0)
    assert books.kinds == [OrderEnded]
    assert books.order().status is OrderStatus.CANCELED
