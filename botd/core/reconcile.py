"""Where our books and the venue's view differ. A difference is a finding, never an order.

An empty answer is no proof of being flat: what one read shows counts only once a second one, some
seconds later, shows it too (`confirmed`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from botd.core.events import ClientOrderId, Side
from botd.core.instrument import InstrumentId
from botd.core.orders import Order
from botd.core.outcomes import OrderStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """One open order as the venue lists it."""

    client_order_id: ClientOrderId
    instrument: InstrumentId
    side: Side
    qty: int  # lots, the whole order
    filled: int  # lots
    reduce_only: bool
    limit: int | None = None  # ticks
    stop: int | None = None  # ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueView:
    """What the venue said at one moment."""

    ts_us: int
    orders: tuple[VenueOrder, ...]
    positions: Mapping[InstrumentId, int]  # signed lots; an instrument not listed is flat


@dataclass(frozen=True, slots=True)
class OrderMissingAtVenue:
    """An order of ours that the venue does not list. It may have filled, ended or never arrived."""

    client_order_id: ClientOrderId
    instrument: InstrumentId
    in_doubt: bool


@dataclass(frozen=True, slots=True)
class OrderUnknownToUs:
    """An open order that we did not send, or had taken for over."""

    client_order_id: ClientOrderId
    instrument: InstrumentId
    side: Side
    leaves: int  # lots


@dataclass(frozen=True, slots=True)
class OrderDiffers:
    """An order that the venue holds with another term than we asked for, or has filled by another amount.

    What it has filled beyond our books must be fetched; nothing we have booked is taken back on its word.
    """

    client_order_id: ClientOrderId
    instrument: InstrumentId
    term: str  # side | qty | limit | stop | reduce_only | filled
    ours: str
    venue: str


@dataclass(frozen=True, slots=True)
class PositionDiffers:
    """The net of an instrument is not what the venue holds."""

    instrument: InstrumentId
    ours: int  # signed lots, sum over strategies
    venue: int


Adjustment = OrderMissingAtVenue | OrderUnknownToUs | OrderDiffers | PositionDiffers


def diff(
    orders: Iterable[Order], nets: Mapping[InstrumentId, int], venue: VenueView, *, grace_us: int
) -> tuple[Adjustment, ...]:
    """Compare our live orders and net lots per instrument with the venue's view.

    An order submitted less than `grace_us` ago and not yet sighted is on its way and missing nowhere.
    The result is sorted by kind of finding in the order above, then by order or instrument.
    """
    differing = _diff_orders(orders, venue.orders, venue.ts_us - grace_us)
    return (*differing, *_diff_positions(nets, venue.positions))


def confirmed(earlier: Sequence[Adjustment], later: Sequence[Adjustment]) -> tuple[Adjustment, ...]:
    """Return what two reads agree on to the last detail, in the later one's order."""
    seen = frozenset(earlier)
    return tuple(one for one in later if one in seen)


def _diff_orders(
    orders: Iterable[Order], listed: Sequence[VenueOrder], sighted_by_us: int
) -> list[Adjustment]:
    ours = {order.client_order_id: order for order in orders if order.status is not OrderStatus.INTENT}
    theirs = {order.client_order_id: order for order in listed}
    missing: list[Adjustment] = []
    differing: list[Adjustment] = []
    for client_order_id in sorted(ours):
        order, at_venue = ours[client_order_id], theirs.get(client_order_id)
        if at_venue is not None:
            differing += _diff_terms(order, at_venue)
        elif order.accepted or order.command.ts_us <= sighted_by_us:
            missing.append(OrderMissingAtVenue(client_order_id, order.instrument, order.in_doubt))
    unknown = [
        OrderUnknownToUs(client_order_id, order.instrument, order.side, order.qty - order.filled)
        for client_order_id, order in sorted(theirs.items())
        if client_order_id not in ours
    ]
    return [*missing, *unknown, *differing]


def _diff_terms(order: Order, at_venue: VenueOrder) -> list[Adjustment]:
    terms = (
        ("side", order.side, at_venue.side),
        ("qty", order.qty, at_venue.qty),
        ("limit", order.command.limit, at_venue.limit),
        ("stop", order.command.stop, at_venue.stop),
        ("reduce_only", order.command.reduce_only, at_venue.reduce_only),
        ("filled", order.filled, at_venue.filled),
    )
    return [
        OrderDiffers(order.client_order_id, order.instrument, term, str(ours), str(theirs))
        for term, ours, theirs in terms
        if ours != theirs
    ]


def _diff_positions(
    nets: Mapping[InstrumentId, int], positions: Mapping[InstrumentId, int]
) -> list[Adjustment]:
    return [
        PositionDiffers(instrument, nets.get(instrument, 0), positions.get(instrument, 0))
        for instrument in sorted({*nets, *positions})
        if nets.get(instrument, 0) != positions.get(instrument, 0)
    ]
