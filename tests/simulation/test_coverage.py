"""What a number of seeds has seen, and the holes in it."""

from __future__ import annotations

from collections import Counter

from botd.core.orders import Order
from botd.core.outcomes import OrderStatus
from botd.simulation.coverage import all_points, holes, legal_moves, pairs_of, watching_orders
from botd.simulation.swarm import Total
from tests.core.test_orders import order


def test_moves_of_orders_are_counted_while_they_are_watched_and_not_after() -> None:
    seen: Counter[str] = Counter()
    plain = Order.to
    with watching_orders(seen):
        order().to(OrderStatus.ACCEPTED)
    assert Order.to is plain
    order().to(OrderStatus.ACCEPTED)
    assert seen == {"submitted>accepted": 1}


def test_legal_moves_are_those_of_the_table_that_an_order_can_make() -> None:
    moves = legal_moves()
    assert "submitted>never_arrived" in moves
    assert "accepted>never_arrived" not in moves
    assert not {"submitted>canceled", "pending_cancel>accepted"} & set(moves)
    assert not [one for one in moves if one.startswith(("intent>", "filled>"))]


def test_holes_are_named_and_the_rest_counted() -> None:
    assert holes(["a", "b"], {"a", "b"}, "faults") == "faults: all of them seen"
    assert holes(["a", "b"], {"a"}, "faults") == "faults never seen: b"
    many = [f"s{n}" for n in range(14)]
    assert holes(many, (), "faults").endswith("s11 and 2 more")


def test_report_of_nothing_names_holes_everywhere() -> None:
    lines = Total().coverage()
    assert sum(" never seen: " in line for line in lines) == 3
    assert list(pairs_of({"a"}, ["p", "q"])) == ["a x p", "a x q"]
    assert len(set(all_points())) == len(all_points())
