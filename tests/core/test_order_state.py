"""Orders kept as text and made again."""

from __future__ import annotations

import json

import pytest

from botd.core.codec import command_text
from botd.core.events import CancelOrder, ClientOrderId
from botd.core.orders import Change, Order, OrderTable
from botd.errors import InvariantBroken
from tests.core.booking import apply
from tests.core.test_orders import BTC, ended, fill, order, table


def test_state_survives_json() -> None:
    orders = table(order("a"), order("b"), order("c", strategy="t"))
    apply(orders, fill("t1", 4, fee="0.00000001", name="a"))
    apply(orders, ended(canceled=False, name="b"))
    again = OrderTable.from_state(json.loads(json.dumps(orders.state())))
    assert again.state() == orders.state()
    assert [o.client_order_id for o in again.live()] == ["a", "c"]
    assert again.any_live(("t", BTC))
    one, twin = orders.get(ClientOrderId("a")), again.get(ClientOrderId("a"))
    assert one is not None and twin is not None
    for name in Order.__slots__:
        assert getattr(twin, name) == getattr(one, name)
        assert type(getattr(twin, name)) is type(getattr(one, name))
    assert apply(again, fill("t1", 4, name="a")) is Change.DUPLICATE


def test_state_that_begins_with_no_order_breaks_an_invariant() -> None:
    (state,) = table(order("a")).state()
    cancel = CancelOrder(client_order_id=ClientOrderId("a"), instrument=BTC, ts_us=1)
    with pytest.raises(InvariantBroken, match="no order begins with CancelOrder"):
        OrderTable.from_state([{**state, "command": command_text(cancel)}])


def test_late_fill_of_an_order_that_was_over_when_the_table_began_is_booked() -> None:
    orders = table(order("b"))
    apply(orders, ended(canceled=False, name="b"))
    again = OrderTable.from_state(json.loads(json.dumps(orders.state())))
    assert apply(again, fill("t1", 4, name="b")) is Change.LATE_FILL
    assert again.live() == []
    assert not again.any_live(("s", BTC))
