"""Fills that no strategy can own: booked as they are, cried out, and keeping entries off their instrument."""

from __future__ import annotations

from dataclasses import replace

from botd.core.desk import Desk
from botd.core.events import OrderFilled
from botd.core.money import ZERO
from botd.core.orders import Order
from botd.core.portfolio import UNOWNED, UNOWNED_PART, Position
from botd.core.runner import Runner


def overfilled(desk: Desk, runner: Runner, order: Order, ts_us: int, position: Position | None) -> None:
    """Cry out over an order that the venue has filled beyond its quantity."""
    text = f"the venue filled {order.filled} lots of {order.client_order_id}, which asked for {order.qty}"
    desk.alert("critical", "overfill", text, ts_us, runner)
    if position is not None:
        position.unexplained = True


def split_exit(
    desk: Desk, runner: Runner, order: Order, fill: OrderFilled, position: Position | None
) -> OrderFilled | None:
    """Book what an exit filled beyond the position as nobody's; return the part that closes it, if any.

    An exit never turns a position: what it took too much is a position of its own, in nobody's name, until
    a person has resolved it.
    """
    held = 0 if position is None else position.qty
    instrument = runner.lane.instrument
    beyond = fill.qty - held
    fee, taken = (fill.fee, fill.taken) if held == 0 else (ZERO, None)
    key = replace(order.key, strategy=UNOWNED)
    effects = desk.portfolio.apply_unowned(
        instrument, order.side, beyond, fill.price, fee, fill.ts_us, fill.seq
    )
    for number, (lots, effect) in enumerate(effects, start=1):
        part = replace(
            fill, trade_id=f"{fill.trade_id}{UNOWNED_PART}{number}", qty=lots, fee=fee, taken=taken
        )
        desk.fill(order, key, part, effect)
        fee, taken = ZERO, None
    text = f"{order.side} {order.client_order_id} filled {beyond} lots beyond what was held"
    desk.alert("critical", "unowned_position", text, fill.ts_us, runner)
    return None if held == 0 else replace(fill, qty=held)
