"""Fees in what was bought and in other currencies, and what is left that nobody can sell."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from botd.core.codec import answers_of, answers_text
from botd.core.dust import DUST
from botd.core.events import (
    CancelOrder,
    ClientOrderId,
    Command,
    ExternalFill,
    FeeTaken,
    OrderFilled,
    Section,
    Side,
    SubmitOrder,
)
from botd.core.instrument import InstrumentId
from botd.core.portfolio import UNOWNED, Portfolio
from botd.core.records import FillRecord, TradeRecord
from botd.core.updates import AlertRecord
from botd.engine.machine import IDLE, IN_POSITION
from tests.core.scene import PERP, SPOT, Scene, only, strategy, submitted

D = Decimal
BUYER = strategy(instrument=SPOT.id, e1="{ name: out, when: price < 90 }", protect="stop_loss: 50%")
PLAIN = strategy(instrument=SPOT.id, e1="{ name: out, when: price < 90 }")


def execution(
    scene: Scene, order: SubmitOrder, qty: int, price: int, taken: FeeTaken | None, fee: str = "0"
) -> list[Command]:
    return scene.say(
        OrderFilled,
        client_order_id=order.client_order_id,
        trade_id=f"t{scene.seq}",
        price=price,
        qty=qty,
        fee=D(fee),
        maker=False,
        taken=taken,
    )


def in_base(amount: str) -> FeeTaken:
    return FeeTaken(D(amount), "BTC")


def bought(scene: Scene, taken: FeeTaken | None, *, qty: int = 10, price: int = 100) -> list[Command]:
    order = submitted(scene.row(101))
    scene.accept(order)
    return execution(scene, order, qty, price, taken)


def dust(scene: Scene) -> Decimal:
    return scene.bot.desk.portfolio.dust.get(SPOT.id, D(0))


def worth(scene: Scene) -> Decimal:
    """Return the cash of the venue: the balance less what is held cost. One tick-lot is one USDT."""
    books = scene.bot.desk.portfolio
    return books.balance("USDT") - sum(one.sign * one.cost for one in books.positions())


def alerts(scene: Scene) -> list[tuple[str, str]]:
    return [(one.severity, one.type) for one in scene.of(AlertRecord)]


def test_C6_fee_in_the_base_currency_takes_a_lot_and_keeps_the_rest_of_it_as_dust() -> None:
    scene = Scene(BUYER, instrument=SPOT)
    stop = submitted(bought(scene, in_base("0.01")))
    assert (scene.held(), dust(scene)) == (9, D("0.99"))
    assert stop.qty == 9  # what can be sold, not what was bought
    own, moved = scene.of(FillRecord)
    assert (own.qty, own.fee, own.fee_paid, own.fee_currency) == (10, 0, D("0.01"), "BTC")
    assert (moved.section, moved.rule, moved.side, moved.qty) == (Section.EXTERNAL, "dust", Side.SELL, 1)
    assert moved.trade_id.startswith(DUST)
    # ten for 1000 in cash; of that nine cost 900, and the lot that is gone was worth 100
    assert worth(scene) == 100_000 - 1000
    assert scene.bot.desk.portfolio.balance("USDT") == 100_000 - 100
    assert scene.bot.desk.portfolio.fees("USDT") == 100


def test_C6_dust_pays_the_next_fees_before_another_lot_does() -> None:
    scene = Scene(PLAIN, instrument=SPOT)
    order = submitted(scene.row(101))
    scene.accept(order)
    execution(scene, order, 4, 100, in_base("0.4"))
    assert (scene.held(), dust(scene)) == (3, D("0.6"))
    execution(scene, order, 4, 101, in_base("0.4"))
    assert (scene.held(), dust(scene)) == (7, D("0.2"))
    execution(scene, order, 2, 102, in_base("0.2"))
    assert (scene.held(), dust(scene)) == (9, 0)
    assert scene.bot.desk.portfolio.dust == {}
    assert worth(scene) == 100_000 - 400 - 404 - 204
    execution(scene, order, 1, 102, in_base("2.5"))  # of more than one lot, and more than was bought
    assert (scene.held(), dust(scene)) == (7, D("0.5"))


def test_C6_exit_sells_the_whole_lots_and_the_trade_is_its_cash() -> None:
    scene = Scene(PLAIN, instrument=SPOT)
    bought(scene, in_base("0.01"))
    exit_order = submitted(scene.row(89))
    assert exit_order.qty == 9
    scene.accept(exit_order)
    scene.fill(exit_order, 9, 110, fee="1")
    assert (scene.held(), dust(scene), scene.phase()) == (0, D("0.99"), IDLE)
    (trade,) = scene.of(TradeRecord)
    assert trade.realized_pnl - trade.fees == 9 * 110 - 10 * 100 - 1
    assert worth(scene) == scene.bot.desk.portfolio.balance("USDT") == 100_000 - 1000 + 990 - 1
    assert submitted(scene.row(101)).qty == 10  # dust keeps nothing from being bought again


def test_C6_lot_that_its_own_fee_eats_up_leaves_no_position() -> None:
    scene = Scene(PLAIN, instrument=SPOT)
    order = submitted(scene.row(101))
    scene.accept(order)
    cancel = only(execution(scene, order, 1, 100, in_base("0.001")), CancelOrder)
    assert cancel.client_order_id == order.client_order_id
    assert (scene.held(), dust(scene)) == (0, D("0.999"))
    scene.end(order, canceled=True)
    assert scene.phase() == IDLE


def test_C6_fee_in_base_of_a_sale_is_owed_until_something_is_bought() -> None:
    scene = Scene(PLAIN, instrument=SPOT)
    bought(scene, None)
    exit_order = submitted(scene.row(89))
    scene.accept(exit_order)
    execution(scene, exit_order, 10, 95, in_base("0.5"))
    assert (scene.held(), dust(scene)) == (0, D("-0.5"))
    assert scene.bot.desk.holdings() == {SPOT.id: 0}


def test_C6_rest_that_the_venue_will_not_sell_is_dust_and_no_position() -> None:
    scene = Scene(PLAIN, instrument=replace(SPOT, min_notional=D(500)))
    bought(scene, None)
    exit_order = submitted(scene.row(89))
    scene.accept(exit_order)
    scene.fill(exit_order, 7, 95)
    scene.end(exit_order)
    assert scene.held() == 3
    rest = submitted(scene.row(88))  # 3 for 87 each are under 500
    before = worth(scene)
    assert scene.reject(rest, "MIN_NOTIONAL") == []
    assert (scene.held(), dust(scene), scene.phase()) == (0, 3, IDLE)
    assert alerts(scene) == [("medium", "dust")]
    assert worth(scene) == before
    assert scene.bot.desk.holdings() == {SPOT.id: 3}  # as the venue counts
    (trade,) = scene.of(TradeRecord)
    assert (trade.exit_section, trade.exit_rule) == (Section.EXTERNAL, "dust")
    for second in range(100, 104):
        assert scene.row(88, at=second) == []  # nobody asks again


def test_C6_exit_rejected_with_enough_to_sell_stays_a_position() -> None:
    for instrument in (replace(SPOT, min_notional=D(100)), replace(PERP, min_notional=D(1000))):
        scene = Scene(
            strategy(instrument=instrument.id, e1="{ name: out, when: price < 90 }"), instrument=instrument
        )
        bought(scene, None)
        exit_order = submitted(scene.row(89))
        scene.reject(exit_order)
        assert (scene.held(), scene.phase()) == (10, IN_POSITION)
        assert alerts(scene) == [("critical", "order_rejected")]


def test_C6_two_exits_refused_for_one_rest_make_dust_of_it_once() -> None:
    scene = Scene(BUYER, instrument=replace(SPOT, min_notional=D(1000)))
    stop = submitted(bought(scene, None))
    exit_order = submitted(scene.row(89))
    desk = scene.bot.desk
    desk.unsellable.append((scene.bot.runners[0], 100))
    scene.reject(exit_order)
    assert (scene.held(), dust(scene)) == (0, 10)
    assert stop.qty == 10


def test_C6_dust_sold_by_hand_closes_what_nobody_owes() -> None:
    scene = Scene(PLAIN, instrument=replace(SPOT, min_notional=D(1000)))
    bought(scene, None)
    scene.reject(submitted(scene.row(89)))
    assert (scene.held(), dust(scene)) == (0, 10)
    before = worth(scene)
    sold = {"instrument": SPOT.id, "fee": D(0), "liquidation": False, "client_order_id": ClientOrderId("")}
    scene.say(ExternalFill, trade_id="x", side=Side.SELL, price=120, qty=4, **sold)
    books = scene.bot.desk.portfolio
    assert (dust(scene), books.held((UNOWNED, SPOT.id))) == (6, None)
    assert worth(scene) == books.balance("USDT") == before + 4 * 120
    scene.say(ExternalFill, trade_id="y", side=Side.SELL, price=120, qty=8, **sold)
    nobodys = books.held((UNOWNED, SPOT.id))
    assert nobodys is not None
    assert (dust(scene), nobodys.signed_qty) == (0, -2)


def test_C6_external_purchase_pays_its_base_fee_out_of_nobodys_position() -> None:
    scene = Scene(PLAIN, instrument=SPOT)
    scene.row(99)
    terms = {"instrument": SPOT.id, "fee": D(0), "liquidation": False, "client_order_id": ClientOrderId("")}
    scene.say(ExternalFill, trade_id="x", side=Side.BUY, price=100, qty=5, taken=in_base("0.25"), **terms)
    nobodys = scene.bot.desk.portfolio.held((UNOWNED, SPOT.id))
    assert nobodys is not None
    assert (nobodys.qty, dust(scene)) == (4, D("0.75"))


def test_C6_fee_in_a_third_currency_is_what_the_venue_says_it_is_worth() -> None:
    scene = Scene(PLAIN, instrument=SPOT)
    order = submitted(scene.row(101))
    scene.accept(order)
    execution(scene, order, 10, 100, FeeTaken(D("0.002"), "BNB"), fee="0.9")
    (booked,) = scene.of(FillRecord)
    assert (booked.fee, booked.fee_paid, booked.fee_currency) == (D("0.9"), D("0.002"), "BNB")
    assert scene.bot.desk.portfolio.currencies() == ("USDT",)
    assert (scene.held(), alerts(scene)) == (10, [])


def test_C6_fee_that_nobody_can_value_is_a_flow_of_its_own_currency_and_an_alert_an_hour() -> None:
    scene = Scene(strategy(e1="{ name: out, when: price < 90 }"))
    order = submitted(scene.row(101))
    scene.accept(order)
    for _ in range(2):
        execution(scene, order, 5, 100, FeeTaken(D("0.001"), "BNB"))
    books = scene.bot.desk.portfolio
    assert (books.balance("BNB"), books.fees("BNB")) == (D("-0.002"), D("0.002"))
    assert (books.balance("USDT"), scene.held()) == (100_000, 10)
    assert alerts(scene) == [("high", "fee_not_valued")]
    execution(scene, order, 1, 100, FeeTaken(D("0.001"), "BTC"))  # of a perpetual, nothing that was bought
    assert (books.balance("BTC"), books.dust) == (D("-0.001"), {})


def test_C6_exit_beyond_the_position_is_charged_its_fee_once() -> None:
    for sold, paid in ((12, ["0.5", None]), (2, ["0.5"])):
        scene = Scene(PLAIN, instrument=SPOT)
        bought(scene, None)
        exit_order = submitted(scene.row(89))
        scene.accept(exit_order)
        if sold == 2:
            scene.fill(exit_order, 10, 95)
        before = len(scene.of(FillRecord))
        execution(scene, exit_order, sold, 95, FeeTaken(D("0.5"), "BNB"))
        found = scene.of(FillRecord)[before:]
        assert sorted(str(one.fee_paid) for one in found) == sorted(map(str, paid))


def test_C6_dust_outlives_a_restart_and_a_plan_without_its_instrument() -> None:
    scene = Scene(PLAIN, instrument=SPOT)
    bought(scene, in_base("0.01"))
    again = scene.fresh()
    again.restore(scene.bot.state())
    assert again.desk.portfolio.dust == {SPOT.id: D("0.99")}
    again.desk.portfolio.dust[InstrumentId("OLD/USDT")] = D(3)
    assert again.desk.holdings() == {SPOT.id: 9}
    older = scene.bot.desk.portfolio.state()
    del older["dust"]  # a snapshot of an older botd
    assert Portfolio.from_state(older, [SPOT]).dust == {}


def test_C6_fee_as_it_was_taken_goes_to_text_and_back() -> None:
    fill = OrderFilled(1, ClientOrderId("o-1"), "t1", 100, 1, D(0), False, 7, in_base("0.001"))
    plain = replace(fill, taken=None)
    assert answers_of(answers_text([fill, plain])) == [fill, plain]
