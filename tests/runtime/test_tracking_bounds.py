"""The tracker lets go of what is over: over any number of orders it holds no more than over a few."""

from __future__ import annotations

from dataclasses import replace

from botd.core.events import VenueNotice
from botd.ports import OrderReport, OrderState
from botd.runtime.tracking import MISSING_S, UNREADABLE_MAX
from tests.runtime.tracked import Books, execution, report

ORDERS = 2_000


def held(books: Books) -> int:
    """Count everything in the collections of a tracker."""
    collections = (one for one in vars(books.tracker).values() if isinstance(one, dict | set | list))
    return sum(map(len, collections))


def late_word_of(books: Books, number: int, second: float) -> OrderReport:
    """Have an order come and fill; return the report of its rest, which is still on its way."""
    ticket = books.track(f"botd-{number}", at_s=second)
    late = report(ticket)
    done = execution(ticket.id, ticket.qty, f"t{number}")
    books.tracker.fill(done)
    assert not books.tracker.tickets
    return late


def test_orders_whose_last_word_comes_late_are_not_kept() -> None:
    books = Books()
    for number in range(ORDERS):
        books.tracker.report(late_word_of(books, number, 5.0 * number), 5.0 * number)
        books.tracker.after_read(5.0 * number)
    books.tracker.seen.clear()  # which is bounded by time, see `forget_fills`
    assert held(books) <= 2 * MISSING_S / 5.0


def test_order_of_somebody_else_that_reads_miss_for_a_while_is_no_news() -> None:
    books = Books()
    other = replace(report(books.rest()), client_order_id="web-1", state=OrderState.OPEN)
    for second in (0.0, MISSING_S, 2 * MISSING_S):
        books.tracker.report(other, second)
        books.tracker.after_read(second)
        books.tracker.after_read(second + MISSING_S - 1.0)  # a read that does not show it
    assert len([one for one in books.told if isinstance(one, VenueNotice)]) == 1


def test_fills_that_cannot_be_are_kept_up_to_a_number() -> None:
    books = Books()
    for number in range(2 * UNREADABLE_MAX):
        books.tracker.fill(replace(execution("botd-1", 1, f"t{number}"), qty=0))
    assert held(books) == UNREADABLE_MAX
