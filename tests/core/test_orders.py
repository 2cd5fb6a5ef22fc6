"""What each answer of a venue does to an order, and how the table keeps them."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

from decimal import Decimal

import pytest

from botd.core.changes import Change
from botd.core.events import (
    Answer,
    ClientOrderId,
    DecisionKey,
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    OrderFilled,
    OrderRejected,
    OrderType,
    RequestRefused,
    Section,
    Side,
    SubmitOrder,
    TimeInForce,
)
from botd.core.instrument import InstrumentId
from botd.core.orders import TERMINAL, Order, OrderTable
from botd.core.outcomes import OrderStatus
from botd.errors import InvariantBroken
from tests.core.booking import apply

D = Decimal
S = OrderStatus
BTC = InstrumentId("BTC/USDT")
ETH = InstrumentId("ETH/USDT")


def order(
    name: str = "a",
    *,
    qty: int = 10,
    status: OrderStatus = S.SUBMITTED,
    strategy: str = "s",
    instrument: InstrumentId = BTC,
    in_doubt: bool = False,
) -> Order:
    command = SubmitOrder(
        client_order_id=ClientOrderId(name),
        key=DecisionKey(strategy, instrument, 1, Section.Z1, ""),
        instrument=instrument,
        side=Side.BUY,
        type=OrderType.MARKET,
        tif=TimeInForce.IOC,
        qty=qty,
        ts_us=1_000,
    )
    one = Order(command, 7, 100)
    one.status, one.is_terminal, one.in_doubt = status, status in TERMINAL, in_doubt
    return one


def table(*orders: Order) -> OrderTable:
    return OrderTable(orders)


def accepted(name: str = "a", ts_us: int = 2_000) -> OrderAccepted:
    return OrderAccepted(seq=1, client_order_id=ClientOrderId(name), ts_us=ts_us)


def fill(
    trade_id: str, qty: int, *, price: int = 100, fee: str = "0.1", name: str = "a", ts_us: int = 3_000
) -> OrderFilled:
    return OrderFilled(
        seq=2,
        client_order_id=ClientOrderId(name),
        trade_id=trade_id,
        price=price,
        qty=qty,
        fee=D(fee),
        maker=False,
        ts_us=ts_us,
    )


def ended(*, canceled: bool, name: str = "a", ts_us: int = 4_000) -> OrderEnded:
    return OrderEnded(
        seq=3, client_order_id=ClientOrderId(name), canceled=canceled, reason="rest", ts_us=ts_us
    )


def rejected(name: str = "a") -> OrderRejected:
    return OrderRejected(seq=1, client_order_id=ClientOrderId(name), reason="no money", ts_us=2_000)


def refused(name: str = "a") -> RequestRefused:
    return RequestRefused(seq=5, client_order_id=ClientOrderId(name), reason="too late", ts_us=5_000)


def amended(qty: int, name: str = "a") -> OrderAmended:
    return OrderAmended(seq=4, client_order_id=ClientOrderId(name), qty=qty, ts_us=4_500)


def test_order_that_is_accepted_and_filled_in_two_parts() -> None:
    orders = table(order())
    assert apply(orders, accepted()) is Change.ACCEPTED
    one = orders.get(ClientOrderId("a"))
    assert one is not None
    assert (one.status, one.leaves) == (S.ACCEPTED, 10)

    first = apply(orders, fill("t1", 4, price=100, fee="0.4"))
    assert first is Change.FILLED
    assert (one.status, one.filled, one.leaves, one.cost) == (S.PARTIALLY_FILLED, 4, 6, 400)

    second = apply(orders, fill("t2", 6, price=101, fee="0.6"))
    assert second is Change.FILLED
    # cost 4 * 100 + 6 * 101 = 1,006 tick-lots; fee 0.4 + 0.6
    assert (one.status, one.filled, one.leaves, one.cost) == (S.FILLED, 10, 0, 1006)
    assert one.fee == D("1.0")
    assert one.updated_us == 3_000
    assert orders.live() == []


def test_third_partial_fill_stays_partially_filled() -> None:
    orders = table(one := order())
    for number in range(3):
        apply(orders, fill(f"t{number}", 3))
    assert (one.status, one.filled) == (S.PARTIALLY_FILLED, 9)


def test_duplicate_trade_id_changes_nothing() -> None:
    orders = table(one := order())
    apply(orders, fill("t1", 4))
    before = one.state()
    assert apply(orders, fill("t1", 4, ts_us=9_000)) is Change.DUPLICATE
    assert one.state() == before


def test_duplicate_of_the_last_fill_is_no_overfill() -> None:
    orders = table(order())
    apply(orders, fill("t1", 10))
    assert apply(orders, fill("t1", 10)) is Change.DUPLICATE


def test_fill_before_acceptance_is_booked_and_the_late_acceptance_moves_nothing() -> None:
    orders = table(one := order(in_doubt=True))
    apply(orders, fill("t1", 4))
    assert (one.status, one.accepted, one.in_doubt) == (S.PARTIALLY_FILLED, True, False)
    assert apply(orders, accepted()) is Change.DUPLICATE
    assert one.status is S.PARTIALLY_FILLED


def test_second_acceptance_is_a_duplicate() -> None:
    orders = table(order())
    apply(orders, accepted())
    assert apply(orders, accepted()) is Change.DUPLICATE


def test_acceptance_ends_doubt() -> None:
    orders = table(one := order(in_doubt=True))
    apply(orders, accepted())
    assert not one.in_doubt


def test_C5_overfill_is_booked_and_leaves_nothing() -> None:
    orders = table(one := order())
    apply(orders, fill("t1", 9))
    assert apply(orders, fill("t2", 2)) is Change.FILLED
    assert (one.status, one.filled, one.leaves) == (S.FILLED, 11, 0)
    orders = table(one := order())
    apply(orders, ended(canceled=True))
    assert apply(orders, fill("t1", 12)) is Change.LATE_FILL
    assert (one.status, one.filled, one.leaves) == (S.CANCELED, 12, 0)


@pytest.mark.parametrize(("canceled", "status"), [(True, S.CANCELED), (False, S.EXPIRED)])
def test_late_fill_is_booked_and_the_order_stays_over(canceled: bool, status: S) -> None:
    orders = table(one := order())
    apply(orders, fill("t1", 4))
    assert apply(orders, ended(canceled=canceled)) is Change.ENDED
    assert (one.status, one.reason, one.leaves) == (status, "rest", 0)
    late = apply(orders, fill("t2", 6, price=102, ts_us=5_000))
    assert late is Change.LATE_FILL
    assert (one.status, one.filled, one.cost, one.updated_us) == (status, 10, 1012, 5_000)


def test_late_fill_of_an_order_that_was_thought_lost_is_booked() -> None:
    orders = table(one := order(in_doubt=True))
    one.to(S.NEVER_ARRIVED)
    assert apply(orders, fill("t1", 10)) is Change.LATE_FILL
    assert (one.status, one.filled) == (S.NEVER_ARRIVED, 10)


@pytest.mark.parametrize(
    "answer",
    [accepted(), rejected(), ended(canceled=True), ended(canceled=False), amended(3), refused()],
    ids=["accepted", "rejected", "canceled", "expired", "amended", "refused"],
)
def test_answer_after_the_end_changes_nothing(answer: Answer) -> None:
    orders = table(one := order())
    apply(orders, fill("t1", 10))
    before = one.state()
    assert apply(orders, answer) is Change.DUPLICATE
    assert one.state() == before


@pytest.mark.parametrize("status", [S.INTENT, S.DENIED])
@pytest.mark.parametrize("answer", [accepted(), fill("t", 1), rejected()], ids=lambda a: type(a).__name__)
def test_answer_to_an_order_never_sent_breaks_an_invariant(status: S, answer: Answer) -> None:
    with pytest.raises(InvariantBroken, match=f"order a is {status} and yet the venue answers it"):
        apply(table(order(status=status)), answer)


def test_reject_of_a_submitted_order() -> None:
    orders = table(one := order())
    applied = apply(orders, rejected())
    assert applied is Change.REJECTED
    assert (one.status, one.reason) == (S.REJECTED, "no money")


def test_B10_reject_after_acceptance() -> None:
    orders = table(one := order())
    apply(orders, accepted())
    assert apply(orders, rejected()) is Change.REJECTED
    assert one.status is S.REJECTED


def test_reject_of_a_partly_filled_order_breaks_an_invariant() -> None:
    orders = table(order())
    apply(orders, fill("t1", 4))
    with pytest.raises(InvariantBroken, match="partially_filled cannot become rejected"):
        apply(orders, rejected())


def test_C4_cancel_of_a_partly_filled_order_keeps_its_fill() -> None:
    orders = table(one := order())
    apply(orders, fill("t1", 4))
    one.to(S.PENDING_CANCEL)
    apply(orders, ended(canceled=True))
    assert (one.status, one.filled, one.leaves) == (S.CANCELED, 4, 0)


def test_D1_fill_that_overtakes_the_cancel_leaves_it_pending_until_complete() -> None:
    orders = table(one := order())
    apply(orders, accepted())
    one.to(S.PENDING_CANCEL)
    one.in_doubt = True
    assert apply(orders, fill("t1", 4)) is Change.FILLED
    assert (one.status, one.in_doubt) == (S.PENDING_CANCEL, True)
    apply(orders, fill("t2", 6))
    assert (one.status, one.in_doubt) == (S.FILLED, False)
    assert apply(orders, refused()) is Change.DUPLICATE


def test_refused_cancel_puts_the_order_back_where_it_was() -> None:
    orders = table(resting := order("a"), part := order("b"), unseen := order("c", in_doubt=True))
    apply(orders, accepted("a"))
    apply(orders, fill("t1", 4, name="b"))
    for one in (resting, part, unseen):
        one.to(S.PENDING_CANCEL)
        assert apply(orders, refused(one.client_order_id)) is Change.CANCEL_REFUSED
    assert [one.status for one in (resting, part, unseen)] == [S.ACCEPTED, S.PARTIALLY_FILLED, S.SUBMITTED]
    # "no such order" is no sighting
    assert [one.in_doubt for one in (resting, part, unseen)] == [False, False, True]
    assert resting.reason == "too late"


def test_refused_amendment_leaves_the_order_as_it_is() -> None:
    orders = table(one := order())
    apply(orders, accepted())
    assert apply(orders, refused()) is Change.CANCEL_REFUSED
    assert (one.status, one.qty) == (S.ACCEPTED, 10)


def test_acceptance_under_a_pending_cancel_is_a_sighting_only() -> None:
    orders = table(one := order())
    one.to(S.PENDING_CANCEL)
    assert apply(orders, accepted()) is Change.ACCEPTED
    assert (one.status, one.accepted) == (S.PENDING_CANCEL, True)


def test_amendment_changes_the_whole_quantity() -> None:
    orders = table(one := order())
    apply(orders, accepted())
    assert apply(orders, amended(7)) is Change.AMENDED
    assert (one.qty, one.leaves, one.status) == (7, 7, S.ACCEPTED)
    assert apply(orders, amended(7)) is Change.DUPLICATE


def test_amendment_down_to_what_has_filled_completes_the_order() -> None:
    orders = table(one := order())
    apply(orders, fill("t1", 4))
    assert apply(orders, amended(4)) is Change.AMENDED
    assert (one.status, one.leaves) == (S.FILLED, 0)
    assert not orders.any_live(("s", BTC))


@pytest.mark.parametrize("qty", [3, 0, -1])
def test_amendment_below_what_has_filled_breaks_an_invariant(qty: int) -> None:
    orders = table(order())
    apply(orders, fill("t1", 4))
    with pytest.raises(InvariantBroken, match=f"amended to {qty}, filled 4 lots"):
        apply(orders, amended(qty))


def test_live_orders_are_listed_oldest_first_and_known_by_their_owner() -> None:
    orders = table(order("a"), order("b", strategy="t"), order("c", instrument=ETH), order("d"))
    assert [o.client_order_id for o in orders.live()] == ["a", "b", "c", "d"]
    assert orders.any_live(("s", BTC)) and orders.any_live(("t", BTC)) and orders.any_live(("s", ETH))
    assert not orders.any_live(("t", ETH))
    apply(orders, rejected("a"))
    assert orders.any_live(("s", BTC))  # d
    apply(orders, rejected("d"))
    assert not orders.any_live(("s", BTC))
    assert [o.client_order_id for o in orders.all()] == ["a", "b", "c", "d"]


def test_order_moved_by_hand_to_its_end_is_live_no_more() -> None:
    orders = table(one := order())
    one.to(S.NEVER_ARRIVED)
    assert orders.live() == []
    assert not orders.any_live(("s", BTC))


def test_order_added_when_over_is_not_live() -> None:
    orders = table(order(status=S.FILLED))
    assert not orders.any_live(("s", BTC))
    assert orders.get(ClientOrderId("a")) is not None


def test_client_order_id_is_used_once() -> None:
    orders = table(order("a"))
    with pytest.raises(InvariantBroken, match="order a is already in the table"):
        orders.add(order("a"))


def test_forget_terminal_drops_old_ended_orders_and_never_a_live_one() -> None:
    orders = table(order("old"), order("new"), order("lost"), order("live"))
    apply(orders, ended(canceled=True, name="old", ts_us=4_000))
    apply(orders, ended(canceled=True, name="new", ts_us=6_000))
    lost = orders.get(ClientOrderId("lost"))
    assert lost is not None
    lost.to(S.NEVER_ARRIVED)  # last changed when it was made, at 1,000
    assert orders.forget_terminal(6_000) == 2
    assert [o.client_order_id for o in orders.all()] == ["new", "live"]
    assert orders.forget_terminal(10**18) == 1
    assert [o.client_order_id for o in orders.live()] == ["live"]


def test_order_from_a_command_takes_every_term() -> None:
    key = DecisionKey("s", BTC, 3, Section.ZE1, "half", 2)
    command = SubmitOrder(
        client_order_id=ClientOrderId("x"),
        key=key,
        instrument=BTC,
        side=Side.SELL,
        type=OrderType.STOP_MARKET,
        tif=TimeInForce.GTC,
        qty=5,
        limit=11,
        stop=12,
        reduce_only=True,
        expire_us=99,
        ts_us=50,
    )
    one = Order(command, 4, 13, 6)
    assert one.command is command
    for name in ("client_order_id", "key", "instrument", "side", "type", "qty"):
        assert getattr(one, name) == getattr(command, name)
    assert one.owner == (command.key.strategy, BTC)
    assert (one.row, one.intent_seq, one.decision_price, one.status) == (4, 6, 13, S.SUBMITTED)
    assert (one.updated_us, one.leaves, one.is_terminal) == (50, 5, False)
