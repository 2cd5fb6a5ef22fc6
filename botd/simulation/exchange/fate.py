"""What is to become of an order, drawn as the venue accepts it."""

from __future__ import annotations

from typing import Final

from botd.ports import OrderState
from botd.simulation.chance import Chance, Stream
from botd.simulation.exchange import sites
from botd.simulation.exchange.orders import Order

HIDDEN_S: Final = (60.0, 120.0)


def draw_fate(order: Order, chance: Chance, read_lag_us: int) -> Stream | None:
    """Decide what becomes of an order; return the fault by which it is rejected later, if it is."""
    lag = chance.hit(sites.LAG.name)
    if lag is not None:
        which = lag.below(3)  # the order, its fills, both
        order.lag_us = int(lag.span(0.0, read_lag_us)) if which != 1 else 0
        order.fills_lag_us = int(lag.span(0.0, read_lag_us)) if which != 0 else 0
    cut = chance.hit(sites.CUT.name) if order.immediate else None
    if cut is not None:
        order.cut = cut.below(order.qty)
        order.unfilled = cut.one_of((OrderState.EXPIRED, OrderState.CANCELED))
    over = chance.hit(sites.OVERFILL.name) if not order.reducing else None
    if over is not None:
        order.extra = 1 + over.below(1 + order.qty // 10)
        order.extra_apart = bool(over.below(2))
    return chance.hit(sites.ASYNC_REJECT.name)


def draw_hiding(order: Order, chance: Chance, now_us: int) -> None:
    """Decide whether an order that has rested for a while is shown by no read for a while."""
    hidden = chance.hit(sites.HIDDEN.name)
    if hidden is not None:
        order.hidden_until_us = now_us + int(1e6 * hidden.span(*HIDDEN_S))
