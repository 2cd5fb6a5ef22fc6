"""Where the signals of a bot went, over a session driven row by row."""

from __future__ import annotations

from dataclasses import replace

from botd.core.events import SubmitOrder
from botd.research.funnel import Funnel, count_funnel, pool_funnels
from tests.core.scene import NO_LIMITS, D, Scene, strategy

ENTERS = strategy(
    s1='when: price > 100, cooldown: 1s, confidence: "if(price < 102, 0.4, 0.9)"',
    o1="when: price < 100",
    z1="when: price > 105, order: { type: market, slippage_max: 1% }, size: { fixed: 10 BTC }",
    protect="take_profit: 10%",
)


def market_order(scene: Scene, price: int) -> SubmitOrder:
    (order,) = scene.row(price)
    assert isinstance(order, SubmitOrder)
    scene.accept(order)
    return order


def session() -> Scene:
    """Return one signal of every fate: recorded, cancelled, without a fill, traded, denied, undecided."""
    scene = Scene(ENTERS, limits=replace(NO_LIMITS, position_max=D("0.015")), confidence_min=D("0.5"))
    scene.row(101)  # a confidence of 0.4
    scene.row(99)
    scene.row(104)  # a signal
    scene.row(99)  # O1
    scene.end(market_order(scene, 106))
    scene.row(99)
    order = market_order(scene, 107)
    scene.fill(order, 10, 108)
    scene.fill(market_order(scene, 130), 10, 129)
    scene.row(99)
    assert scene.row(160) == []  # 1,600 of 100,000 are over the limit
    scene.row(99)
    scene.row(104)
    return scene


def test_every_signal_of_a_session_is_counted_once() -> None:
    scene = session()
    funnel = count_funnel(scene.records)
    assert funnel == Funnel(
        signals=6,
        recorded_only=1,
        cancelled=1,
        denied=(("position_max", 1),),
        undecided=1,
        orders=2,
        unfilled=1,
        trades=1,
    )


def test_order_that_still_works_is_not_unfilled() -> None:
    scene = Scene(strategy())
    scene.row(101)
    funnel = count_funnel(scene.records)
    assert (funnel.signals, funnel.orders, funnel.unfilled, funnel.undecided) == (1, 1, 0, 0)


def test_funnels_of_several_runs_add_up() -> None:
    one = count_funnel(session().records)
    both = pool_funnels([one, replace(one, denied=(("balance", 3), ("position_max", 1)))])
    assert (both.signals, both.orders, both.unfilled, both.trades, both.undecided) == (12, 4, 2, 2, 2)
    assert both.denied == (("balance", 3), ("position_max", 2))
    assert both.denied_count == 5
    assert pool_funnels([]).signals == 0
