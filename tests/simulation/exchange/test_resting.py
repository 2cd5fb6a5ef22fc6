"""Which open orders a top of the book fills or triggers, against looking at each of them."""

from __future__ import annotations

import random

from botd.core.events import OrderType, Side
from botd.simulation.exchange.orders import Order
from botd.simulation.exchange.resting import Resting, meets
from tests.simulation.exchange.scene import BTC, ETH, PERP, SPOT


def draw_order(number: int, rng: random.Random) -> Order:
    stops = rng.random() < 0.5
    price = rng.randrange(90, 110)
    return Order(
        number=number,
        client_order_id=str(number),
        instrument=rng.choice((PERP, SPOT)),
        side=rng.choice((Side.BUY, Side.SELL)),
        type=OrderType.STOP_MARKET if stops else OrderType.LIMIT,
        qty=1,
        limit=None if stops else price,
        stop=price if stops else None,
        immediate=False,
        reduce_only=False,
        expire_us=None,
        ts_us=0,
    )


def test_reached_is_what_looking_at_each_order_finds() -> None:
    rng = random.Random(5)
    found = 0
    for _ in range(300):
        resting = Resting()
        for number in range(rng.randrange(5)):
            resting.open[number] = draw_order(number, rng)
            resting.touch()
        for _ in range(20):
            bid = rng.randrange(85, 115)
            top = (bid, bid + rng.randrange(1, 8), rng.randrange(2), rng.randrange(2))
            instrument = rng.choice((BTC, ETH))
            plain = [o for o in resting.open.values() if o.instrument.id == instrument and meets(o, top)]
            assert resting.reached(instrument, top) == plain
            found += len(plain)
            if resting.open and rng.random() < 0.2:
                del resting.open[rng.choice(list(resting.open))]
                resting.touch()
    assert found > 500


def test_order_that_is_being_executed_does_not_rest() -> None:
    resting = Resting()
    order = draw_order(1, random.Random(1))
    resting.open[1] = order
    resting.touch()
    assert resting.instruments == [order.instrument.id]
    tops = [(bid, bid + 1, 1, 1) for bid in range(85, 115)]
    assert any(meets(order, top) for top in tops)
    order.running = True
    resting.touch()
    assert resting.instruments == []
    assert not any(meets(order, top) for top in tops)
