"""The tracker: what a venue shows, in any order and twice, becomes answers that the books can take."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from botd.core.changes import Change
from botd.core.events import (
    AmendOrder,
    Answer,
    ClientOrderId,
    DecisionKey,
    ExternalFill,
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    OrderFilled,
    OrderInDoubt,
    OrderNeedsHuman,
    OrderNeverArrived,
    OrderType,
    RequestRefused,
    Section,
    Side,
    SubmitOrder,
    TimeInForce,
    VenueNotice,
)
from botd.core.instrument import InstrumentId
from botd.core.orders import Order, OrderTable
from botd.core.outcomes import OrderStatus
from botd.ports import OrderReport, OrderState, VenueFill, VenueRules
from botd.runtime.tracking import ABSENT_S, MISSING_S, Phase, Ticket, Tracker

BTC = InstrumentId("BTC/USDT:USDT")
RULES = VenueRules(
    name="v", validity_us=5_000_000, processing_us=10_000_000, read_lag_us=5_000_000, ids_unique=False
)
OVER_S = 21.0  # after this a request that was sent at 0 cannot come up any more
TS = 1_000_000  # of the venue


class Books:
    """A tracker, and a real table of orders that takes each answer as it is told."""

    def __init__(self) -> None:
        self.table = OrderTable()
        self.told: list[Answer] = []
        self.changes: list[Change] = []
        self.tracker = Tracker(RULES, self._tell, self.table.get)

    def _tell(self, kind: Callable[..., Answer], ts_us: int, /, **fields: Any) -> None:
        answer = kind(seq=len(self.told) + 1, ts_us=ts_us, **fields)
        self.told.append(answer)
        if not isinstance(answer, ExternalFill | VenueNotice):
            self.changes.append(self.table.apply(answer))

    def track(self, name: str = "botd-1", *, at_s: float = 0.0, **terms: Any) -> Ticket:
        """Take in an order that is committed, and send it."""
        command = order(name, **terms)
        self.table.add(Order(command, 0, 100))
        ticket = self.tracker.track(command)
        ticket.phase, ticket.sent_s = Phase.SENDING, at_s
        return ticket

    def rest(self, name: str = "botd-1", **terms: Any) -> Ticket:
        """Take in an order that the venue has shown to rest."""
        ticket = self.track(name, **terms)
        self.tracker.report(report(ticket), 0.0)
        self.told.clear()
        return ticket

    def restarted(self) -> Books:
        """Return the books of the process after this one, which knows the table alone."""
        after = Books()
        after.table = OrderTable.from_state(self.table.state())
        after.tracker = Tracker(RULES, after._tell, after.table.get)
        return after

    @property
    def kinds(self) -> list[type]:
        return [type(one) for one in self.told]

    def order(self, name: str = "botd-1") -> Order:
        found = self.table.get(ClientOrderId(name))
        assert found is not None
        return found

    def notices(self) -> list[tuple[str, str]]:
        return [(one.severity, one.kind) for one in self.told if isinstance(one, VenueNotice)]


def order(name: str = "botd-1", **terms: Any) -> SubmitOrder:
    plain = SubmitOrder(
        client_order_id=ClientOrderId(name),
        key=DecisionKey("s", BTC, 1, Section.Z1, ""),
        instrument=BTC,
        side=Side.BUY,
        type=OrderType.LIMIT,
        tif=TimeInForce.GTC,
        qty=10,
        ts_us=TS,
        limit=100,
    )
    return replace(plain, **terms)


STOP = {
    "side": Side.SELL,
    "type": OrderType.STOP_MARKET,
    "limit": None,
    "stop": 90,
    "reduce_only": True,
}


def report(
    ticket: Ticket, state: OrderState = OrderState.OPEN, filled: int = 0, *, at_us: int = TS, **other: Any
) -> OrderReport:
    asked = ticket.command
    plain = OrderReport(
        client_order_id=ticket.id,
        instrument=asked.instrument,
        state=state,
        side=asked.side,
        qty=asked.qty,
        filled=filled,
        reduce_only=asked.reduce_only,
        ts_us=at_us,
        limit=asked.limit,
        stop=asked.stop,
    )
    return replace(plain, **other)


def execution(name: str, qty: int, trade: str = "t1", **other: Any) -> VenueFill:
    plain = VenueFill(
        client_order_id=name,
        instrument=BTC,
        trade_id=trade,
        side=Side.BUY,
        price=100,
        qty=qty,
        fee=Decimal("0.1"),
        maker=False,
        ts_us=TS,
    )
    return replace(plain, **other)


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
    books.tracker.report(report(ticket), OVER_S - 0.1)
    assert books.told == []
    books.tracker.report(report(ticket), OVER_S)
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
    assert books.told == []  # it may still come
    books.tracker.report(report(ticket), 100.0 + OVER_S)
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
