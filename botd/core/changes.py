"""What each answer of a venue does to an order. Only a fill may meet one that is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from botd.core.events import (
    OrderAccepted,
    OrderAmended,
    OrderAnswer,
    OrderEnded,
    OrderFilled,
    OrderInDoubt,
    OrderNeedsHuman,
    OrderNeverArrived,
    OrderRejected,
    RequestRefused,
)
from botd.core.outcomes import OrderStatus
from botd.errors import InvariantBroken

if TYPE_CHECKING:
    from botd.core.orders import Order

# names of their own for what every answer asks: a member read through its class costs more than the rest
_SUBMITTED: Final = OrderStatus.SUBMITTED
_ACCEPTED: Final = OrderStatus.ACCEPTED
_PARTIALLY_FILLED: Final = OrderStatus.PARTIALLY_FILLED
_PENDING_CANCEL: Final = OrderStatus.PENDING_CANCEL
_FILLED: Final = OrderStatus.FILLED


class Change(StrEnum):
    """What a venue answer did to an order."""

    ACCEPTED = "accepted"
    FILLED = "filled"  # one execution booked; the order may or may not be complete
    LATE_FILL = "late_fill"  # booked although the order was over
    ENDED = "ended"  # canceled or expired
    REJECTED = "rejected"
    AMENDED = "amended"
    CANCEL_REFUSED = "cancel_refused"  # works on as before the request
    IN_DOUBT = "in_doubt"  # counts on as it was until the venue shows it, or can no longer have it
    NEVER_ARRIVED = "never_arrived"
    NEEDS_HUMAN = "needs_human"
    DUPLICATE = "duplicate"  # seen before or too late to matter: nothing changed


_DUPLICATE: Final = Change.DUPLICATE


def _filled(order: Order, answer: OrderFilled) -> Change:
    # Trade ids are unique at the venue, yet both sides of a trade may be ours: hence per order.
    if answer.trade_id in order.trade_ids:
        return _DUPLICATE
    filled = order.filled + answer.qty
    order.trade_ids += (answer.trade_id,)
    order.filled = filled
    order.cost += answer.price * answer.qty
    order.fee += answer.fee
    order.accepted = True
    if order.is_terminal:
        return Change.LATE_FILL
    if filled >= order.qty:
        order.to(_FILLED)
    elif order.status is _PENDING_CANCEL:
        pass  # the cancel is still to be answered, and may itself be in doubt
    else:
        order.in_doubt = False
        if order.status is not _PARTIALLY_FILLED:
            order.to(_PARTIALLY_FILLED)
    return Change.FILLED


def _accepted(order: Order, answer: OrderAccepted) -> Change:
    if order.accepted:  # shown again after a while in which it was not, it needs nobody any more
        return Change.ACCEPTED if order.needs_human else _DUPLICATE
    order.accepted = True
    if order.status is _SUBMITTED:
        order.in_doubt = False
        order.to(_ACCEPTED)
    return Change.ACCEPTED


def _ended(order: Order, answer: OrderEnded) -> Change:
    order.to(OrderStatus.CANCELED if answer.canceled else OrderStatus.EXPIRED)
    order.reason = answer.reason
    return Change.ENDED


def _rejected(order: Order, answer: OrderRejected) -> Change:
    order.to(OrderStatus.REJECTED)
    order.reason = answer.reason
    return Change.REJECTED


def _amended(order: Order, answer: OrderAmended) -> Change:
    """Take the venue's word for the order's whole quantity, what has filled included, and its stop."""
    qty = answer.qty
    if qty < order.filled or qty <= 0:
        raise InvariantBroken(f"order {order.client_order_id}: amended to {qty}, filled {order.filled} lots")
    order.accepted = True
    stop = order.command.stop if answer.stop is None else answer.stop
    if qty == order.qty and stop == order.command.stop:
        return _DUPLICATE
    order.qty = qty
    if stop != order.command.stop:
        order.command = replace(order.command, stop=stop)
    if qty == order.filled:
        order.to(_FILLED)
    return Change.AMENDED


def _refused(order: Order, answer: RequestRefused) -> Change:
    order.reason = answer.reason
    if order.status is _PENDING_CANCEL:
        if order.filled:
            order.to(_PARTIALLY_FILLED)
        else:
            order.to(_ACCEPTED if order.accepted else _SUBMITTED)
    # "No such order" is no sighting: whether a submitted order arrived stays as open as it was.
    order.in_doubt = order.in_doubt and not order.accepted
    return Change.CANCEL_REFUSED


def _doubted(order: Order, answer: OrderInDoubt) -> Change:
    if order.in_doubt or order.status not in (_SUBMITTED, _PENDING_CANCEL):
        return _DUPLICATE  # what it says of the request has been overtaken by what the venue showed
    order.in_doubt = True
    order.reason = answer.reason
    return Change.IN_DOUBT


def _never_arrived(order: Order, answer: OrderNeverArrived) -> Change:
    if order.accepted:
        return _DUPLICATE  # seen once, it did arrive: no absence proves otherwise
    order.to(OrderStatus.NEVER_ARRIVED)
    order.reason = answer.reason
    return Change.NEVER_ARRIVED


def _forsaken(order: Order, answer: OrderNeedsHuman) -> Change:
    if order.needs_human:
        return _DUPLICATE
    order.needs_human = True
    order.reason = answer.reason
    return Change.NEEDS_HUMAN


BOOK: Final[Mapping[type[OrderAnswer], Callable[[Order, Any], Change]]] = {
    OrderAccepted: _accepted,
    OrderFilled: _filled,
    OrderEnded: _ended,
    OrderRejected: _rejected,
    OrderAmended: _amended,
    RequestRefused: _refused,
    OrderInDoubt: _doubted,
    OrderNeverArrived: _never_arrived,
    OrderNeedsHuman: _forsaken,
}
SIGHTINGS: Final = frozenset({Change.ACCEPTED, Change.FILLED, Change.AMENDED})
