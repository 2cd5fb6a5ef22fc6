"""Answers to orders that a table has, looked up as the bot does."""

from __future__ import annotations

from botd.core.changes import Change
from botd.core.events import OrderAnswer
from botd.core.orders import OrderTable


def apply(orders: OrderTable, answer: OrderAnswer) -> Change:
    """Book an answer and return what it did."""
    order = orders.get(answer.client_order_id)
    assert order is not None
    return orders.book(order, answer)
