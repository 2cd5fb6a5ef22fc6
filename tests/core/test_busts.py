"""Trades that the venue takes back: the fill stays, its reversal names it, and a person is called."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from botd.core import external
from botd.core.codec import answers_of, answers_text
from botd.core.events import (
    AmendOrder,
    CancelOrder,
    ClientOrderId,
    Command,
    ExternalFill,
    FeeTaken,
    OrderFilled,
    Section,
    Side,
    SubmitOrder,
    TradeBusted,
)
from botd.core.instrument import InstrumentId
from botd.core.outcomes import DenyReason
from botd.core.portfolio import UNOWNED
from botd.core.records import FillRecord, RiskRecord
from botd.core.restraint import Cause, TradingState
from botd.core.updates import AlertRecord
from botd.engine.machine import IDLE
from tests.core.scene import HOUR, PERP, SPOT, Scene, only, strategy, submitted

D = Decimal
STOPPED = strategy(protect="stop_loss: 10%", e1="{ name: out, when: price < 90 }")
NOBODY = ClientOrderId("")


def bought(scene: Scene, *lots: int, fee: str = "0.5") -> tuple[SubmitOrder, list[Command]]:
    """Buy in fills of so many lots, the n-th of which is trade `b<n>`, each at a tick more than the last."""
    order = submitted(scene.row(101))
    scene.accept(order)
    commands: list[Command] = []
    for number, qty in enumerate(lots):
        commands += scene.fill(order, qty, 100 + number, fee=fee, trade=f"b{number}")
    return order, commands


def bust(scene: Scene, order: ClientOrderId, trade: str, qty: int, price: int, **terms: Any) -> list[Command]:
    given = {"instrument": PERP.id, "side": Side.BUY, "fee": D("0.5"), "booked": True} | terms
    return scene.say(TradeBusted, client_order_id=order, trade_id=trade, price=price, qty=qty, **given)


def unowned(scene: Scene) -> int:
    position = scene.bot.desk.portfolio.held((UNOWNED, PERP.id))
    return position.signed_qty if position else 0


def worth(scene: Scene) -> Decimal:
    books = scene.bot.desk.portfolio
    return books.balance("USDT") - sum(one.sign * one.cost for one in books.positions())


def test_C11_bust_of_a_purchase_is_a_second_fill_that_names_the_first() -> None:
    scene = Scene(STOPPED)
    order, commands = bought(scene, 4, 6)
    stop = submitted(commands[:1])
    scene.amended(only(scene.accept(stop), AmendOrder))
    amend = only(bust(scene, order.client_order_id, "b1", 6, 101), AmendOrder)
    assert (scene.held(), amend.qty) == (4, 4)
    first, second, reversal = scene.of(FillRecord)
    assert (second.trade_id, second.qty, second.reverses, first.reverses) == ("b1", 6, None, None)
    assert (reversal.reverses, reversal.side, reversal.qty, reversal.price) == ("b1", Side.SELL, 6, 101)
    assert (reversal.section, reversal.rule, reversal.strategy) == (Section.EXTERNAL, "bust", "s")
    assert reversal.fee == D("-0.5")
    assert worth(scene) == 100_000 - 400 - D("0.5")
    assert scene.bot.desk.state_of(PERP.id) is TradingState.HALTED
    assert scene.bot.desk.trading_state is TradingState.ACTIVE
    assert ("critical", "trade_busted") in [(one.severity, one.type) for one in scene.of(AlertRecord)]


def test_C11_bust_of_the_whole_entry_leaves_nothing_and_denies_the_next() -> None:
    scene = Scene(STOPPED)
    order, commands = bought(scene, 10)
    stop = submitted(commands)
    scene.accept(stop)
    cancel = only(bust(scene, order.client_order_id, "b0", 10, 100), CancelOrder)
    assert cancel.client_order_id == stop.client_order_id
    assert (scene.held(), scene.phase(), unowned(scene)) == (0, IDLE, 0)
    assert worth(scene) == scene.bot.desk.portfolio.balance("USDT") == 100_000
    scene.end(stop, canceled=True)
    scene.row(99)
    assert scene.row(101) == []
    denied = [one for one in scene.of(RiskRecord) if not one.approved]
    assert [(one.reason, one.cause) for one in denied] == [(DenyReason.TRADING_HALTED, Cause.TRADE_BUSTED)]


def test_C11_bust_of_an_exit_gives_the_lots_back_to_nobody() -> None:
    scene = Scene(STOPPED)
    bought(scene, 10)
    exit_order = submitted(scene.row(89))
    scene.accept(exit_order)
    scene.fill(exit_order, 10, 89, fee="0.4", trade="s0")
    assert scene.held() == 0
    bust(scene, exit_order.client_order_id, "s0", 10, 89, side=Side.SELL, fee=D("0.4"))
    assert (scene.held(), unowned(scene)) == (0, 10)
    assert worth(scene) == 100_000 - 1000 - D("0.5")


def test_C11_bust_of_what_was_sold_since_leaves_nobody_short() -> None:
    scene = Scene(STOPPED)
    order, _ = bought(scene, 10)
    exit_order = submitted(scene.row(89))
    scene.accept(exit_order)
    scene.fill(exit_order, 10, 89, trade="s0")
    scene.bot.desk.orders.forget_terminal(scene.now_us + HOUR)
    bust(scene, order.client_order_id, "b0", 10, 100)
    assert (scene.held(), unowned(scene)) == (0, -10)
    assert worth(scene) == 100_000 + 890


@pytest.mark.parametrize("restarted", [False, True])
def test_C11_bust_told_twice_is_booked_once(restarted: bool) -> None:
    scene = Scene(STOPPED)
    order, _ = bought(scene, 10)
    bust(scene, order.client_order_id, "b0", 10, 100)
    if restarted:
        again = scene.fresh()
        again.restore(scene.bot.state())
        scene.bot = again
    before = len(scene.records)
    bust(scene, order.client_order_id, "b0", 10, 100)
    assert (len(scene.records), unowned(scene)) == (before, 0)
    external.forget(scene.bot.desk, scene.now_us + 25 * HOUR)
    assert scene.bot.desk.busted == {}


def test_C11_bust_of_a_fill_never_seen_books_nothing_and_neither_does_the_fill() -> None:
    scene = Scene(STOPPED)
    order = submitted(scene.row(101))
    scene.accept(order)
    bust(scene, order.client_order_id, "b0", 10, 100, booked=False)
    assert [one.type for one in scene.of(AlertRecord)] == ["trade_busted", "trading_halted"]
    assert scene.of(AlertRecord)[0].message.endswith("which was not booked")
    scene.fill(order, 10, 100, trade="b0")
    bust(scene, NOBODY, "x", 3, 100, booked=False)
    outside = {"instrument": PERP.id, "side": Side.BUY, "price": 100, "fee": D(0), "liquidation": False}
    scene.say(ExternalFill, client_order_id=NOBODY, trade_id="x", qty=3, **outside)
    assert (scene.held(), unowned(scene), scene.of(FillRecord)) == (0, 0, [])
    assert scene.bot.desk.portfolio.balance("USDT") == 100_000


def test_C11_bust_of_a_fill_that_the_order_has_keeps_its_trade_known_once() -> None:
    scene = Scene(STOPPED)
    order, _ = bought(scene, 10)
    bust(scene, order.client_order_id, "b0", 10, 100, booked=False)
    found = scene.bot.desk.orders.get(order.client_order_id)
    assert found is not None
    assert found.trade_ids == ("b0",)


def test_C11_bust_of_an_instrument_nobody_trades_is_an_alert() -> None:
    scene = Scene(STOPPED)
    bust(scene, NOBODY, "x", 3, 100, instrument=InstrumentId("XRP/USDT"))
    assert scene.of(FillRecord) == []
    assert scene.of(AlertRecord)[0].type == "trade_busted"


def test_C6_C11_bust_of_a_purchase_with_a_fee_in_base_ends_as_if_it_had_never_been() -> None:
    scene = Scene(strategy(instrument=SPOT.id), instrument=SPOT)
    order = submitted(scene.row(101))
    scene.accept(order)
    paid = FeeTaken(D("0.01"), "BTC")
    scene.say(
        OrderFilled,
        client_order_id=order.client_order_id,
        trade_id="b0",
        price=100,
        qty=10,
        fee=D(0),
        maker=False,
        taken=paid,
    )
    assert scene.bot.desk.portfolio.dust == {SPOT.id: D("0.99")}
    bust(scene, order.client_order_id, "b0", 10, 100, instrument=SPOT.id, fee=D(0), taken=paid)
    books = scene.bot.desk.portfolio
    assert (books.positions(), books.dust, books.balance("USDT")) == ([], {}, 100_000)
    assert scene.bot.desk.holdings() == {}


def test_C11_bust_goes_to_text_and_back() -> None:
    one = TradeBusted(1, NOBODY, PERP.id, "t", Side.BUY, 100, 1, D("0.5"), True, 7, FeeTaken(D(1), "BNB"))
    assert answers_of(answers_text([one])) == [one]
