"""An order as the venue knows it, and what reads are shown of orders, fills and positions: late, at times."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from botd.core.events import OrderType, Side
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.values import maker
from botd.ports import OrderReport, OrderState, VenueFill

EVER: Final = 1 << 62  # later than everything: whoever reads as of then is shown all

# Who has heard of an order only in doubt may take a hidden one for one that never came: by then it has.
READS: Final = 6

make_report: Final = maker(OrderReport)


@dataclass(slots=True, eq=False, kw_only=True)
class Order:
    """One order from its acceptance on. Lots and ticks."""

    number: int
    client_order_id: str
    instrument: Instrument
    side: Side
    type: OrderType
    qty: int
    limit: int | None
    stop: int | None
    immediate: bool  # fills now or not at all
    reduce_only: bool
    expire_us: int | None
    ts_us: int  # of its last change
    state: OrderState = OrderState.OPEN
    filled: int = 0
    reason: str = ""
    running: bool = False  # it is being executed part by part, and does not rest
    parts: int = 1  # in which it still executes
    cut: int | None = None  # it expires after so many lots
    unfilled: OrderState = OrderState.EXPIRED  # what it is where not all of an immediate order fills
    extra: int = 0  # lots that are filled beyond what was asked
    extra_apart: bool = False  # once it is over, by a fill of their own
    lag_us: int = 0  # how much later its changes show
    fills_lag_us: int = 0
    reads: int = 0  # that have shown it
    hidden_until_us: int = 0
    shown: list[tuple[int, OrderReport]] = field(default_factory=list)  # from when on, and what

    @property
    def rest(self) -> int:
        """Return the lots that may still fill."""
        return (self.qty if self.cut is None else self.cut) - self.filled

    @property
    def reducing(self) -> bool:
        """Whether it never adds to a position: reduce-only, and what is sold on a spot market."""
        return self.reduce_only or (self.side is Side.SELL and self.instrument.kind is InstrumentKind.SPOT)

    def report(self) -> OrderReport:
        """Return it as the venue reports it."""
        return make_report(
            client_order_id=self.client_order_id,
            instrument=self.instrument.id,
            state=self.state,
            side=self.side,
            qty=self.qty,
            filled=self.filled,
            reduce_only=self.reduce_only,
            ts_us=self.ts_us,
            limit=self.limit,
            stop=self.stop,
            reason=self.reason,
        )

    def as_of(self, seen_us: int) -> OrderReport | None:
        """Return what a read is shown of it, None where it is not shown yet."""
        for from_us, report in reversed(self.shown):
            if from_us <= seen_us:
                return report
        return None


class Shown:
    """What reads are shown. `seen_us` is the time of the read, EVER where nothing lags."""

    def __init__(self, read_often: Callable[[Order], None]) -> None:
        """`read_often` decides what becomes of an open order that was shown `READS` times."""
        self._read_often = read_often
        self._by_id: dict[str, list[Order]] = {}
        self._behind: dict[int, Order] = {}  # by number: ended, and perhaps not shown so
        self._fills: list[VenueFill] = []  # oldest first
        self._times: list[int] = []
        self._from: list[int] = []  # when each fill is shown
        self._hidden: list[tuple[int, VenueFill]] = []
        self.hid: set[str] = set()  # the client order ids of orders that were hidden for a while

    def take_ended(self, before_us: int) -> dict[str, OrderState]:
        """Forget the orders that were over before a time; return how each ended, by client order id."""
        ended: dict[str, OrderState] = {
            name: orders[0].state
            for name, orders in self._by_id.items()
            if len(orders) == 1 and orders[0].state is not OrderState.OPEN and orders[0].ts_us < before_us
        }
        for name in ended:
            del self._by_id[name]
        return ended

    def forget_fills(self, before_us: int) -> None:
        """Forget the fills before a time, which no read asks for any more."""
        first = bisect_left(self._times, before_us)
        del self._fills[:first], self._times[:first], self._from[:first]

    def add_order(self, order: Order) -> None:
        """Make an order known by its client order id."""
        self._by_id.setdefault(order.client_order_id, []).append(order)

    def change(self, order: Order, report: OrderReport, now_us: int) -> None:
        """Show a change of an order, after its lag."""
        from_us = now_us + order.lag_us
        order.shown.append((from_us, report))
        if from_us > now_us and report.state is not OrderState.OPEN:
            self._behind[order.number] = order

    def add_fill(self, fill: VenueFill, now_us: int, lag_us: int) -> None:
        """Show a fill, after a lag."""
        self._fills.append(fill)
        self._times.append(fill.ts_us)
        self._from.append(now_us + lag_us)
        if lag_us:
            self._hidden.append((now_us + lag_us, fill))

    def known(self, client_order_id: str) -> list[Order]:
        """Return the orders accepted under a client order id, oldest first."""
        return self._by_id.get(client_order_id, [])

    def order(self, client_order_id: str, instrument: InstrumentId, seen_us: int) -> OrderReport | None:
        """Return the newest order of an id that is shown."""
        for order in reversed(self.known(client_order_id)):
            report = self._read(order, seen_us) if order.instrument.id == instrument else None
            if report is not None:
                return report
        return None

    def open_orders(self, really_open: Iterable[Order], seen_us: int) -> tuple[OrderReport, ...]:
        """Return what is shown as open, oldest first."""
        for number in [number for number, order in self._behind.items() if order.shown[-1][0] <= seen_us]:
            del self._behind[number]
        orders = [*really_open, *self._behind.values()]
        if self._behind:
            orders.sort(key=lambda order: order.number)
        reports = (self._read(order, seen_us) for order in orders)
        return tuple(r for r in reports if r is not None and r.state is OrderState.OPEN)

    def _read(self, order: Order, seen_us: int) -> OrderReport | None:
        report = None if seen_us < order.hidden_until_us else order.as_of(seen_us)
        if report is not None and order.state is OrderState.OPEN:
            order.reads += 1
            if order.reads == READS:
                self._read_often(order)
                if order.hidden_until_us:
                    self.hid.add(order.client_order_id)
        return report

    def fills(self, since_us: int, seen_us: int) -> tuple[VenueFill, ...]:
        """Return the fills since a time that are shown, oldest first."""
        first = bisect_left(self._times, since_us)
        return tuple(self._fills[i] for i in range(first, len(self._fills)) if self._from[i] <= seen_us)

    def hidden(self, seen_us: int) -> list[VenueFill]:
        """Return the fills that are not shown yet."""
        self._hidden = [entry for entry in self._hidden if entry[0] > seen_us]
        return [fill for _, fill in self._hidden]
