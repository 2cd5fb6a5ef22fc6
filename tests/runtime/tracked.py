"""A tracker over a real table of orders, and what a venue may show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from botd.core.changes import Change
from botd.core.events import (
    Answer,
    ClientOrderId,
    DecisionKey,
    ExternalFill,
    OrderType,
    Section,
    Side,
    SubmitOrder,
    TimeInForce,
    TradeBusted,
    VenueNotice,
)
from botd.core.instrument import InstrumentId
from botd.core.orders import Order, OrderTable
from botd.ports import OrderReport, OrderState, VenueFill, VenueRules
from botd.runtime.tickets import Phase, Ticket
from botd.runtime.tracking import Tracker
from tests.core.booking import apply

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
        self.tracker = Tracker(RULES, self.tell, self.table.get)

    def tell(self, kind: Callable[..., Answer], ts_us: int, /, **fields: Any) -> None:
        answer = kind(seq=len(self.told) + 1, ts_us=ts_us, **fields)
        self.told.append(answer)
        if not isinstance(answer, ExternalFill | TradeBusted | VenueNotice):
            self.changes.append(apply(self.table, answer))

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
        after.tracker = Tracker(RULES, after.tell, after.table.get)
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
