"""Our orders: the one table of legal transitions, and what each venue answer does to an order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from botd.core.changes import BOOK, SIGHTINGS, Change
from botd.core.codec import command_of, command_text
from botd.core.events import (
    ClientOrderId,
    OrderAnswer,
    OrderFilled,
    SubmitOrder,
)
from botd.core.instrument import InstrumentId
from botd.core.money import ZERO
from botd.core.outcomes import OrderStatus
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
_NEVER_SENT: Final = frozenset({_S.INTENT, _S.DENIED})


_DUPLICATE: Final = Change.DUPLICATE


class Order:
    """One order of ours: the command that asked for it, and everything the venue said about it.

    `instrument`, `key`, `side`, `type` and `owner` are the command's, kept at hand; `qty` is what the
    whole order is now, which an amendment may have changed.
    """

    __slots__ = (
        "accepted",
        "cancel_wanted",
        "client_order_id",
        "command",
        "cost",
        "decision_price",
        "fee",
        "filled",
        "in_doubt",
        "instrument",
        "intent_seq",
        "is_terminal",
        "key",
        "needs_human",
        "owner",
        "qty",
        "reason",
        "revision",
        "row",
        "side",
        "status",
        "trade_ids",
        "type",
        "updated_us",
    )

    def __init__(
        self,
        command: SubmitOrder,
        row: int,
        decision_price: int,
        intent_seq: int | None = None,
        revision: str | None = None,
    ) -> None:
        """The command is on its way: the order is submitted. `decision_price` is in ticks.

        `revision` is that of the rules that decided it, None where nobody did: it was done past us.
        """
        key = command.key
        self.command = command
        self.client_order_id = command.client_order_id
        self.key = key
        self.owner = key.strategy, key.instrument
        self.instrument = key.instrument
        self.side = command.side
        self.type = command.type
        self.qty = command.qty  # lots, the whole order
        self.row = row
        self.decision_price = decision_price
        self.intent_seq = intent_seq
        self.revision = revision
        self.status = _SUBMITTED
        self.is_terminal = False
        self.in_doubt = False  # submitted or pending_cancel with an unknown outcome
        self.needs_human = False
        self.cancel_wanted = False  # the cancel may have overtaken the order itself
        self.accepted = False  # the venue has shown it at least once
        self.filled = 0  # lots
        self.cost = 0  # tick-lots: sum of price ticks times lots
        self.fee = ZERO  # quote currency
        self.trade_ids: tuple[str, ...] = ()
        self.reason = ""
        self.updated_us = command.ts_us  # time of the last change

    @property
    def leaves(self) -> int:
        """Return the lots that may still fill; a terminal order has none."""
        return 0 if self.is_terminal or self.filled > self.qty else self.qty - self.filled

    def to(self, status: OrderStatus) -> None:
        """Move to another status; raise InvariantBroken when the table does not allow it."""
        if status not in TRANSITIONS[self.status]:
            raise InvariantBroken(f"order {self.client_order_id}: {self.status} cannot become {status}")
        self.status = status
        if status in TERMINAL:
            self.is_terminal = True
            self.in_doubt = self.needs_human = False

    def state(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "command": command_text(self.command),
            **{name: getattr(self, name) for name in _PLAIN},
            "revision": self.revision,
            "fee": str(self.fee),
            "trade_ids": list(self.trade_ids),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Order:
        """Make the order that `state` described."""
        command = command_of(state["command"])
        if not isinstance(command, SubmitOrder):
            raise InvariantBroken(f"no order begins with {command}")
        order = cls(command, state["row"], state["decision_price"])
        for name in _PLAIN:
            setattr(order, name, state[name])
        order.revision = state.get("revision")  # a snapshot of an older botd has none
        order.status = OrderStatus(state["status"])
        order.is_terminal = order.status in TERMINAL
        order.fee = Decimal(state["fee"])
        order.trade_ids = tuple(state["trade_ids"])
        return order


_PLAIN: Final = (
    *("qty", "row", "decision_price", "intent_seq", "status", "in_doubt", "needs_human", "cancel_wanted"),
    *("accepted", "filled", "cost", "reason", "updated_us"),
)


class OrderTable:
    """Every order in memory, by client order id; live ones also by strategy and instrument.

    Iteration follows the order in which orders were added. No live order is ever forgotten.
    """

    __slots__ = ("_live", "_orders", "get", "live_count")

    def __init__(self, orders: Iterable[Order] = ()) -> None:
        self._orders: dict[ClientOrderId, Order] = {}
        self.get: Callable[[ClientOrderId], Order | None] = self._orders.get
        self._live: dict[tuple[str, InstrumentId], dict[ClientOrderId, Order]] = {}
        self.live_count = 0
        for order in orders:
            self.add(order)

    def add(self, order: Order) -> None:
        """Take an order in; its id must be new."""
        if order.client_order_id in self._orders:
            raise InvariantBroken(f"order {order.client_order_id} is already in the table")
        self._orders[order.client_order_id] = order
        if not order.is_terminal:
            group = self._live.get(order.owner)
            if group is None:
                group = self._live[order.owner] = {}
            group[order.client_order_id] = order
            self.live_count += 1

    def all(self) -> list[Order]:
        """Return every order in memory, terminal ones too, oldest first."""
        return list(self._orders.values())

    def live(self) -> list[Order]:
        """Return the orders that are not terminal, oldest first."""
        return [order for order in self._orders.values() if not order.is_terminal]

    def live_on(self, instrument: InstrumentId) -> int:
        """Return how many live orders there are on one instrument."""
        count = 0
        for owner, group in self._live.items():
            if owner[1] == instrument:
                count += len(group)
        return count

    def any_live(self, owner: tuple[str, InstrumentId]) -> bool:
        """Say whether one strategy has a live order on one instrument."""
        group = self._live.get(owner)
        return group is not None and any(not order.is_terminal for order in group.values())

    def book(self, order: Order, answer: OrderAnswer) -> Change:
        """Book one venue answer. Copies and late terminal answers change nothing.

        A fill beyond the order's quantity is booked: the venue's word is the truth. Raise InvariantBroken
        for an answer to an order that was never sent, and for a transition the table does not allow.
        """
        if order.status in _NEVER_SENT:
            raise InvariantBroken(
                f"order {order.client_order_id} is {order.status} and yet the venue answers it"
            )
        kind = type(answer)
        if order.is_terminal and kind is not OrderFilled:
            return _DUPLICATE
        change = BOOK[kind](order, answer)
        if order.needs_human and change in SIGHTINGS:
            order.needs_human = False
        if change is not _DUPLICATE:
            order.updated_us = answer.ts_us
            if order.is_terminal:
                self._bury(order)
        return change

    def _bury(self, order: Order) -> None:
        group = self._live.get(order.owner)
        # a late fill may meet a table that began with this order over
        if group is not None and group.pop(order.client_order_id, None) is not None:
            self.live_count -= 1

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
