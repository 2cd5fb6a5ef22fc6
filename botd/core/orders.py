"""Our orders: the one table of legal transitions, and what each venue answer does to an order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

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
from botd.core.money import ZERO
from botd.core.records import OrderStatus
from botd.core.values import maker
from botd.errors import InvariantBroken

_S = OrderStatus

# A partial fill of an order whose cancel is under way leaves it pending_cancel. A refused cancel puts
# it back where it was, which is submitted when the cancel overtook the order. A fill of a terminal
# order (late fill) is booked and changes no status.
TRANSITIONS: Final[Mapping[OrderStatus, frozenset[OrderStatus]]] = {
    _S.INTENT: frozenset({_S.SUBMITTED, _S.DENIED, _S.EXPIRED}),
    _S.SUBMITTED: frozenset(
        {
            _S.ACCEPTED,
            _S.PARTIALLY_FILLED,
            _S.PENDING_CANCEL,
            _S.FILLED,
            _S.CANCELED,
            _S.EXPIRED,
            _S.REJECTED,
            _S.NEVER_ARRIVED,
        }
    ),
    _S.ACCEPTED: frozenset(
        {_S.PARTIALLY_FILLED, _S.PENDING_CANCEL, _S.FILLED, _S.CANCELED, _S.EXPIRED, _S.REJECTED}
    ),
    _S.PARTIALLY_FILLED: frozenset({_S.PENDING_CANCEL, _S.FILLED, _S.CANCELED, _S.EXPIRED}),
    _S.PENDING_CANCEL: frozenset(
        {
            _S.SUBMITTED,
            _S.ACCEPTED,
            _S.PARTIALLY_FILLED,
            _S.FILLED,
            _S.CANCELED,
            _S.EXPIRED,
            _S.REJECTED,
            _S.NEVER_ARRIVED,
        }
    ),
    _S.FILLED: frozenset(),
    _S.CANCELED: frozenset(),
    _S.EXPIRED: frozenset(),
    _S.REJECTED: frozenset(),
    _S.NEVER_ARRIVED: frozenset(),
    _S.DENIED: frozenset(),
}
# names of their own for what every answer asks: a member read through its class costs more than the rest
_SUBMITTED: Final = OrderStatus.SUBMITTED
_ACCEPTED: Final = OrderStatus.ACCEPTED
_PARTIALLY_FILLED: Final = OrderStatus.PARTIALLY_FILLED
_PENDING_CANCEL: Final = OrderStatus.PENDING_CANCEL
_FILLED: Final = OrderStatus.FILLED
TERMINAL: Final = frozenset(status for status, after in TRANSITIONS.items() if not after)
_Message = OrderAccepted | OrderRejected | OrderEnded | OrderAmended | RequestRefused
_NEVER_SENT: Final = frozenset({_S.INTENT, _S.DENIED})


class Change(StrEnum):
    """What a venue answer did to an order."""

    ACCEPTED = "accepted"
    FILLED = "filled"  # one execution booked; the order may or may not be complete
    LATE_FILL = "late_fill"  # booked although the order was over
    ENDED = "ended"  # canceled or expired
    REJECTED = "rejected"
    AMENDED = "amended"
    CANCEL_REFUSED = "cancel_refused"  # works on as before the request
    DUPLICATE = "duplicate"  # seen before or too late to matter: nothing changed
    UNKNOWN_ORDER = "unknown_order"  # not in the table: nothing changed


_DUPLICATE: Final = Change.DUPLICATE


@dataclass(slots=True, eq=False)
class Order:
    """One order of ours and everything the venue said about it."""

    client_order_id: ClientOrderId
    key: DecisionKey
    instrument: InstrumentId
    side: Side
    type: OrderType
    tif: TimeInForce
    qty: int  # lots, the whole order
    ts_us: int  # row time of the decision
    row: int
    decision_price: int  # ticks
    intent_seq: int | None = None
    limit: int | None = None  # ticks
    stop: int | None = None  # ticks
    reduce_only: bool = False
    expire_us: int | None = None
    status: OrderStatus = OrderStatus.INTENT
    in_doubt: bool = False  # submitted or pending_cancel with an unknown outcome
    needs_human: bool = False
    cancel_wanted: bool = False  # the cancel may have overtaken the order itself
    accepted: bool = False  # the venue has shown it at least once
    is_terminal: bool = field(default=False, init=False)
    filled: int = 0  # lots
    cost: int = 0  # tick-lots: sum of price ticks times lots
    fee: Decimal = ZERO  # quote currency
    trade_ids: tuple[str, ...] = ()
    reason: str = ""
    updated_us: int = 0  # time of the last change

    def __post_init__(self) -> None:
        self.is_terminal = self.status in TERMINAL
        self.updated_us = self.updated_us or self.ts_us

    @staticmethod
    def from_command(command: SubmitOrder, *, row: int, intent_seq: int | None, decision_price: int) -> Order:
        """Make the order that a submit command asks for. The command is on its way: it is submitted."""
        order = _order(
            command.client_order_id,
            command.key,
            command.instrument,
            command.side,
            command.type,
            command.tif,
            command.qty,
            command.ts_us,
            row,
            decision_price,
            intent_seq,
            command.limit,
            command.stop,
            command.reduce_only,
            command.expire_us,
        )
        order.status = _SUBMITTED
        return order

    @property
    def leaves(self) -> int:
        """Return the lots that may still fill; a terminal order has none."""
        return 0 if self.is_terminal else self.qty - self.filled

    def to(self, status: OrderStatus) -> None:
        """Move to another status; raise InvariantBroken when the table does not allow it."""
        if status not in TRANSITIONS[self.status]:
            raise InvariantBroken(f"order {self.client_order_id}: {self.status} cannot become {status}")
        self.status = status
        self.is_terminal = status in TERMINAL
        if self.is_terminal:
            self.in_doubt = False

    def state(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        key = self.key
        return {
            "client_order_id": self.client_order_id,
            "key": [key.strategy, key.instrument, key.cycle, key.section, key.rule, key.leg],
            "instrument": self.instrument,
            "side": self.side,
            "type": self.type,
            "tif": self.tif,
            "qty": self.qty,
            "limit": self.limit,
            "stop": self.stop,
            "reduce_only": self.reduce_only,
            "expire_us": self.expire_us,
            "ts_us": self.ts_us,
            "row": self.row,
            "intent_seq": self.intent_seq,
            "decision_price": self.decision_price,
            "status": self.status,
            "in_doubt": self.in_doubt,
            "needs_human": self.needs_human,
            "cancel_wanted": self.cancel_wanted,
            "accepted": self.accepted,
            "filled": self.filled,
            "cost": self.cost,
            "fee": str(self.fee),
            "trade_ids": list(self.trade_ids),
            "reason": self.reason,
            "updated_us": self.updated_us,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Order:
        """Make the order that `state` described."""
        strategy, instrument, cycle, section, rule, leg = state["key"]
        typed = {
            "key": DecisionKey(strategy, instrument, cycle, Section(section), rule, leg),
            "side": Side(state["side"]),
            "type": OrderType(state["type"]),
            "tif": TimeInForce(state["tif"]),
            "status": OrderStatus(state["status"]),
            "fee": Decimal(state["fee"]),
            "trade_ids": tuple(state["trade_ids"]),
        }
        return cls(**{**state, **typed})


_order = maker(Order)


class OrderTable:
    """Every order in memory, by client order id; live ones also by strategy and instrument.

    Iteration follows the order in which orders were added. No live order is ever forgotten.
    """

    __slots__ = ("_live", "_orders")

    def __init__(self, orders: Iterable[Order] = ()) -> None:
        self._orders: dict[ClientOrderId, Order] = {}
        self._live: dict[tuple[str, InstrumentId], dict[ClientOrderId, Order]] = {}
        for order in orders:
            self.add(order)

    def add(self, order: Order) -> None:
        """Take an order in; its id must be new."""
        if order.client_order_id in self._orders:
            raise InvariantBroken(f"order {order.client_order_id} is already in the table")
        self._orders[order.client_order_id] = order
        if not order.is_terminal:
            owner = order.key.strategy, order.instrument
            group = self._live.get(owner)
            if group is None:
                group = self._live[owner] = {}
            group[order.client_order_id] = order

    def get(self, client_order_id: ClientOrderId) -> Order | None:
        return self._orders.get(client_order_id)

    def all(self) -> list[Order]:
        """Return every order in memory, terminal ones too, oldest first."""
        return list(self._orders.values())

    def live(self) -> list[Order]:
        """Return the orders that are not terminal, oldest first."""
        return [order for order in self._orders.values() if not order.is_terminal]

    def live_for(self, strategy: str, instrument: InstrumentId) -> list[Order]:
        """Return one strategy's live orders on one instrument, oldest first."""
        group = self._live.get((strategy, instrument))
        if not group:
            return []
        return [order for order in group.values() if not order.is_terminal]

    def apply(self, answer: Answer) -> Change:
        """Book one venue answer. Copies and late terminal answers change nothing.

        Raise InvariantBroken for a fill beyond the order's quantity, for an answer to an order that
        was never sent, and for a transition the table does not allow.
        """
        order = self._orders.get(answer.client_order_id)
        if order is None:
            return Change.UNKNOWN_ORDER
        if order.status in _NEVER_SENT:
            raise InvariantBroken(
                f"order {order.client_order_id} is {order.status} and yet the venue answers it"
            )
        if isinstance(answer, OrderFilled):
            change = _apply_fill(order, answer)
        elif order.is_terminal:
            return _DUPLICATE
        else:
            change = _apply_message(order, answer)
        if change is not _DUPLICATE:
            order.updated_us = answer.ts_us
            if order.is_terminal:
                self._bury(order)
        return change

    def _bury(self, order: Order) -> None:
        # no group where a late fill meets a table that began with this order over
        group = self._live.get((order.key.strategy, order.instrument), {})
        group.pop(order.client_order_id, None)

    def forget_terminal(self, before_us: int) -> int:
        """Drop terminal orders that last changed before a time; return how many."""
        old = [o for o in self._orders.values() if o.is_terminal and o.updated_us < before_us]
        for order in old:
            del self._orders[order.client_order_id]
        return len(old)

    def state(self) -> list[dict[str, Any]]:
        """Return every order as JSON values, oldest first."""
        return [order.state() for order in self._orders.values()]

    @classmethod
    def from_state(cls, state: Iterable[Mapping[str, Any]]) -> OrderTable:
        return cls(Order.from_state(one) for one in state)


def _apply_fill(order: Order, answer: OrderFilled) -> Change:
    # Trade ids are unique at the venue, yet both sides of a trade may be ours: hence per order.
    if answer.trade_id in order.trade_ids:
        return _DUPLICATE
    filled = order.filled + answer.qty
    if filled > order.qty:
        raise InvariantBroken(f"order {order.client_order_id}: filled {filled} lots of {order.qty}")
    order.trade_ids += (answer.trade_id,)
    order.filled = filled
    order.cost += answer.price * answer.qty
    order.fee += answer.fee
    order.accepted = True
    if order.is_terminal:
        return Change.LATE_FILL
    if filled == order.qty:
        order.to(_FILLED)
    elif order.status is _PENDING_CANCEL:
        pass  # the cancel is still to be answered, and may itself be in doubt
    else:
        order.in_doubt = False
        if order.status is not _PARTIALLY_FILLED:
            order.to(_PARTIALLY_FILLED)
    return Change.FILLED


def _apply_message(order: Order, answer: _Message) -> Change:
    """Apply anything but a fill to an order that is not over."""
    if isinstance(answer, OrderAccepted):
        return _apply_acceptance(order)
    if isinstance(answer, OrderEnded):
        order.to(OrderStatus.CANCELED if answer.canceled else OrderStatus.EXPIRED)
        order.reason = answer.reason
        return Change.ENDED
    if isinstance(answer, OrderRejected):
        order.to(OrderStatus.REJECTED)
        order.reason = answer.reason
        return Change.REJECTED
    if isinstance(answer, OrderAmended):
        return _apply_amendment(order, answer.qty)
    return _apply_refusal(order, answer.reason)


def _apply_acceptance(order: Order) -> Change:
    if order.accepted:
        return _DUPLICATE
    order.accepted = True
    if order.status is _SUBMITTED:
        order.in_doubt = False
        order.to(_ACCEPTED)
    return Change.ACCEPTED


def _apply_amendment(order: Order, qty: int) -> Change:
    """Take the venue's word for the order's whole quantity, what has filled included."""
    if qty < order.filled or qty <= 0:
        raise InvariantBroken(f"order {order.client_order_id}: amended to {qty}, filled {order.filled} lots")
    order.accepted = True
    if qty == order.qty:
        return _DUPLICATE
    order.qty = qty
    if qty == order.filled:
        order.to(_FILLED)
    return Change.AMENDED


def _apply_refusal(order: Order, reason: str) -> Change:
    order.reason = reason
    if order.status is _PENDING_CANCEL:
        if order.filled:
            order.to(_PARTIALLY_FILLED)
        else:
            order.to(_ACCEPTED if order.accepted else _SUBMITTED)
    # "No such order" is no sighting: whether a submitted order arrived stays as open as it was.
    order.in_doubt = order.in_doubt and not order.accepted
    return Change.CANCEL_REFUSED
