"""What a number of seeds has seen of what can happen, and what it has not: the holes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from botd.core.orders import TRANSITIONS, Order
from botd.core.outcomes import OrderStatus
from botd.failpoints import Point

# An order begins as submitted, and a denied intent has none: these are of the table, not of a run.
_NEVER_MOVES: Final = {OrderStatus.INTENT, OrderStatus.DENIED}
# Neither venue tells of a cancel before it has told that the order was there, and neither refuses to cancel
# an order that it has shown and still has: such a cancel is repeated until the order is over.
_NEVER_TOLD: Final = {
    (OrderStatus.SUBMITTED, OrderStatus.CANCELED),
    (OrderStatus.PENDING_CANCEL, OrderStatus.ACCEPTED),
    (OrderStatus.PENDING_CANCEL, OrderStatus.PARTIALLY_FILLED),
}
_SHOWN_MAX: Final = 12


@contextmanager
def watching_orders(seen: Counter[str]) -> Iterator[None]:
    """Count each move of each order from one status to another."""
    move = Order.to

    def to(order: Order, status: OrderStatus) -> None:
        before = order.status
        move(order, status)
        seen[f"{before}>{status}"] += 1

    Order.to = to  # type: ignore[method-assign, assignment]  # of a simulation, for as long as it runs
    try:
        yield
    finally:
        Order.to = move  # type: ignore[method-assign]


def legal_moves() -> tuple[str, ...]:
    """Return every move that the table allows and a venue of ours can ask for."""
    return tuple(
        f"{before}>{after}"
        for before, allowed in TRANSITIONS.items()
        if before not in _NEVER_MOVES
        for after in sorted(allowed)
        if (before, after) not in _NEVER_TOLD
    )


def pairs_of(sites: Collection[str], points: Iterable[str]) -> Iterator[str]:
    """Yield each fault that happened together with each point that a process died at, in one seed."""
    for point in points:
        for site in sites:
            yield f"{site} x {point}"


def holes(sites: Iterable[str], seen: Collection[str], what: str) -> str:
    """Return one line on what of a set was never seen."""
    missing = [one for one in sites if one not in seen]
    if not missing:
        return f"{what}: all of them seen"
    more = f" and {len(missing) - _SHOWN_MAX} more" if len(missing) > _SHOWN_MAX else ""
    return f"{what} never seen: {', '.join(missing[:_SHOWN_MAX])}{more}"


def all_points() -> tuple[str, ...]:
    """Return every failpoint."""
    return tuple(str(point) for point in Point)
