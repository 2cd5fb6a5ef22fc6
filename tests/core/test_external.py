"""What others do on the account: booked as it is, cried out, halted for."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

from decimal import Decimal
from typing import Any

from botd.core import external
from botd.core.codec import answers_of, answers_text
from botd.core.events import (
    AmendOrder,
    CancelOrder,
    ClientOrderId,
    ExternalFill,
    Section,
    Side,
    SubmitOrder,
    TermsSeen,
    VenueBan,
    VenueNotice,
)
from botd.core.instrument import InstrumentId
from botd.core.outcomes import DenyReason, OrderStatus
from botd.core.portfolio import UNOWNED
from botd.core.records import FillRecord, OrderRecord, RiskRecord, TradeRecord
from botd.core.restraint import ACCOUNT, Cause, TradingCommand, TradingState, Verb
from botd.core.updates import AlertRecord, OrderUpdate, TradingStateRecord
from botd.engine.machine import IDLE
from tests.core.scene import PERP, SPOT, Scene, only, strategy, submitted

D = Decimal


def outside(scene: Scene, side: Side, qty: int, price: int = 105, *, trade: str = "x", **terms: Any) -> list:
    given = {"instrument": PERP.id, "fee": D("0.5"), "liquidation": False} | terms
    return scene.say(
        ExternalFill,
        client_order_id=ClientOrderId(""),
        trade_id=trade,
        side=side,
        price=price,
        qty=qty,
        **given,
    )


def unowned(scene: Scene) -> int:
    position = scene.bot.desk.portfolio.held((UNOWNED, PERP.id))
    return position.signed_qty if position else 0


def test_E3_manual_close_ends_the_position_its_stop_and_entries_on_the_instrument() -> None:
    scene = Scene(strategy(protect="stop_loss: 10%"))
    order = submitted(scene.row(101))
    scene.accept(order)
    stop = submitted(scene.fill(order, 10, 102))
    scene.accept(stop)
    commands = outside(scene, Side.SELL, 10)
    assert only(commands, CancelOrder).client_order_id == stop.client_order_id
    assert (scene.held(), scene.phase()) == (0, IDLE)
    (trade,) = scene.of(TradeRecord)
    assert (trade.exit_section, trade.exit_rule) == (Section.EXTERNAL, "trade")
    assert scene.bot.desk.portfolio.realized("USDT") == D(30) * PERP.tick_size * PERP.lot_size
    assert scene.bot.desk.portfolio.fees("USDT") == D("0.5")
    state = scene.of(TradingStateRecord)[-1]
    assert (state.scope, state.state, state.cause) == (PERP.id, TradingState.HALTED, Cause.EXTERNAL_TRADE)
    assert ("critical", "external_fill") in [(one.severity, one.type) for one in scene.of(AlertRecord)]


def test_E3_manual_reduction_leaves_a_stop_of_what_is_left() -> None:
    scene = Scene(strategy(protect="stop_loss: 10%"))
    order = submitted(scene.row(101))
    scene.accept(order)
    stop = submitted(scene.fill(order, 10, 102))
    scene.accept(stop)
    amend = only(outside(scene, Side.SELL, 4), AmendOrder)
    assert (amend.client_order_id, amend.qty, scene.held()) == (stop.client_order_id, 6, 6)
    booked = [one for one in scene.of(OrderRecord) if one.section is Section.EXTERNAL]
    assert [(one.strategy, one.qty, one.intent_seq) for one in booked] == [("s", 4 * PERP.lot_size, None)]
    done = [one for one in scene.of(OrderUpdate) if one.client_order_id == booked[0].client_order_id]
    assert [one.status for one in done] == [OrderStatus.FILLED]


def test_C9_position_opened_by_hand_is_nobodys_and_keeps_entries_off_until_a_resume() -> None:
    scene = Scene(strategy())
    scene.row(99)
    outside(scene, Side.BUY, 3)
    assert (unowned(scene), scene.held()) == (3, 0)
    assert scene.row(101) == []
    denied = [one for one in scene.of(RiskRecord) if not one.approved]
    assert [(one.reason, one.cause) for one in denied] == [(DenyReason.TRADING_HALTED, Cause.EXTERNAL_TRADE)]
    resume = TradingCommand(verb=Verb.RESUME, cause=Cause.COMMAND, who="ann")
    scene.bot.obey(resume, scene.now_us)
    assert scene.bot.desk.state_of(PERP.id) is TradingState.ACTIVE
    outside(scene, Side.SELL, 3, trade="y")
    assert unowned(scene) == 0


def test_C1_external_fill_heard_twice_is_booked_once() -> None:
    scene = Scene(strategy())
    scene.row(99)
    outside(scene, Side.BUY, 3)
    before = len(scene.records)
    outside(scene, Side.BUY, 3)
    assert (unowned(scene), len(scene.records)) == (3, before)
    again = scene.fresh()
    again.restore(scene.bot.state())
    assert again.desk.external == scene.bot.desk.external
    external.forget(scene.bot.desk, scene.now_us + 25 * 3_600_000_000)
    assert scene.bot.desk.external == {}
    external.forget(again.desk, scene.now_us)
    assert again.desk.external


def test_external_sale_closes_what_is_nobodys_first_then_strategies_then_turns_into_nobodys() -> None:
    scene = Scene(strategy("a"), strategy("b"))
    for order in scene.row(101):
        assert isinstance(order, SubmitOrder)
        scene.accept(order)
        scene.fill(order, 10, 102)
    outside(scene, Side.BUY, 2, trade="first")
    assert unowned(scene) == 2
    outside(scene, Side.SELL, 6, trade="some")
    assert (unowned(scene), scene.held(0), scene.held(1)) == (0, 6, 10)
    outside(scene, Side.BUY, 2, trade="more")
    outside(scene, Side.SELL, 21, trade="second")
    assert (unowned(scene), scene.held(0), scene.held(1)) == (-3, 0, 0)
    fills = [one for one in scene.of(FillRecord) if one.trade_id == "second"]
    assert [(one.strategy, one.qty / PERP.lot_size, one.fee) for one in fills] == [
        (UNOWNED, 2, D("0.5")),
        ("a", 6, 0),
        ("b", 10, 0),
        (UNOWNED, 3, 0),
    ]
    assert scene.bot.desk.portfolio.net_quantities() == {PERP.id: -3}


def test_E1_liquidation_closes_the_position_and_halts_the_account() -> None:
    scene = Scene(strategy(protect="stop_loss: 10%"))
    order = submitted(scene.row(101))
    scene.accept(order)
    stop = submitted(scene.fill(order, 10, 102))
    scene.accept(stop)
    assert only(outside(scene, Side.SELL, 10, 60, liquidation=True), CancelOrder).instrument == PERP.id
    (trade,) = scene.of(TradeRecord)
    assert (trade.exit_section, trade.exit_rule, scene.held()) == (Section.EXTERNAL, "liquidation", 0)
    desk = scene.bot.desk
    assert desk.trading_state is TradingState.HALTED
    assert [(one.cause, one.scope) for one in desk.restraints] == [(Cause.LIQUIDATION, ACCOUNT)]


def test_halt_of_one_instrument_cancels_and_denies_there_only() -> None:
    resting = "when: always, order: { type: limit, price: price - 5, ttl: 60s }, size: { fixed: 10 BTC }"
    scene = Scene(strategy(z1=resting, o1="after: 3s"), others=[(SPOT, strategy("t", instrument="ETH/USDT"))])
    scene.accept(submitted(scene.row(101)))
    other = submitted(scene.row(101, lane=1))
    assert only(outside(scene, Side.BUY, 1), CancelOrder).instrument == PERP.id
    assert scene.bot.desk.orders.get(other.client_order_id).status is OrderStatus.SUBMITTED
    assert scene.bot.desk.state_of(SPOT.id) is TradingState.ACTIVE


def test_trade_on_an_instrument_that_nobody_trades_is_told_and_not_booked() -> None:
    scene = Scene(strategy())
    scene.row(99)
    outside(scene, Side.BUY, 3, instrument=InstrumentId("DOGE/USDT:USDT"))
    (alert,) = scene.of(AlertRecord)
    assert alert.message.endswith("which no strategy trades")
    assert scene.bot.desk.restraints == []
    assert scene.of(FillRecord) == []


def test_F2_ban_is_remembered_and_halts() -> None:
    scene = Scene(strategy())
    scene.row(99)
    scene.say(VenueBan, until_us=7, for_us=30_000_000, reason="418")
    scene.say(VenueBan, until_us=9, for_us=60_000_000, reason="418 again")
    desk = scene.bot.desk
    assert desk.restraint is not None
    assert desk.restraint.cause is Cause.BANNED
    again = scene.fresh()
    again.restore(scene.bot.state())
    assert (again.desk.banned_until_us, again.desk.banned_for_us) == (9, 60_000_000)


def test_notice_of_the_venue_is_an_alert() -> None:
    scene = Scene(strategy())
    scene.row(99)
    scene.say(VenueNotice, severity="high", kind="order_in_doubt", text="since 10 s")
    (alert,) = scene.of(AlertRecord)
    assert (alert.severity, alert.type, alert.message) == ("high", "order_in_doubt", "since 10 s")


def test_notice_about_an_order_names_whose_it_is() -> None:
    scene = Scene(strategy("a"))
    (entry,) = scene.row(101)
    assert isinstance(entry, SubmitOrder)
    said = {"severity": "high", "kind": "order_in_doubt"}
    scene.say(VenueNotice, text="of ours", client_order_id=entry.client_order_id, **said)
    scene.say(VenueNotice, text="of nobody", client_order_id=ClientOrderId("x"), **said)
    ours, other = scene.of(AlertRecord)
    assert (ours.strategy, ours.instrument) == ("a", PERP.id)
    assert (other.strategy, other.instrument) == (None, None)


def test_S14_notice_said_again_is_told_once_an_hour_also_over_a_restart() -> None:
    scene = Scene(strategy())
    scene.row(99)
    said = {"severity": "high", "kind": "k", "text": "somebody else's order rests"}
    scene.say(VenueNotice, **said)
    scene.say(VenueNotice, **said)
    again = scene.fresh()
    again.restore(scene.bot.state())
    scene.bot = again
    scene.say(VenueNotice, **said)
    assert len(scene.of(AlertRecord)) == 1
    scene.say(VenueNotice, at_us=scene.now_us + 3_600_000_000, **said)
    assert len(scene.of(AlertRecord)) == 2
    external.forget(scene.bot.desk, scene.now_us + 3 * 3_600_000_000)
    assert scene.bot.desk.noticed == {}


def test_answers_of_the_account_are_read_as_they_were_written() -> None:
    fill = ExternalFill(
        1, ClientOrderId(""), PERP.id, "x", Side.SELL, 105, 3, D("0.5"), liquidation=True, ts_us=7
    )
    said = [fill, VenueNotice(2, "high", "k", "t", 8), VenueBan(3, 9, 5, "r", 10)]
    assert answers_of(answers_text(said)) == said


def test_C5_what_an_exit_took_too_much_closes_what_others_hold_where_the_venue_nets() -> None:
    out = "{ name: out, when: price > 120, close: 100% }"
    scene = Scene(strategy("a", ze1=out), strategy("b", protect="stop_loss: 10%"), one_way=True)
    first, second = scene.row(101)
    for order in (first, second):
        assert isinstance(order, SubmitOrder)
        scene.accept(order)
    scene.fill(first, 10, 100)
    stop = submitted(scene.fill(second, 10, 100))
    scene.accept(stop)
    closing = submitted(scene.row(121))
    scene.accept(closing)
    amend = only(scene.fill(closing, 13, 120), AmendOrder)
    assert (scene.held(0), scene.held(1), unowned(scene)) == (0, 7, 0)
    assert (amend.client_order_id, amend.qty) == (stop.client_order_id, 7)
    assert scene.bot.desk.portfolio.net_quantities() == {PERP.id: 7}
    realized = scene.bot.desk.portfolio.realized("USDT")
    assert realized == D(13 * 20) * PERP.tick_size * PERP.lot_size
    netted = [one for one in scene.of(FillRecord) if one.trade_id.startswith(external.NET)]
    assert [(one.strategy, one.rule, one.qty / PERP.lot_size) for one in netted] == [
        (UNOWNED, "net", 3),
        ("b", "net", 3),
    ]


def test_what_is_nobodys_stands_where_the_venue_keeps_sides_apart_or_nothing_is_against_it() -> None:
    out = "{ name: out, when: price > 120, close: 100% }"
    for one_way, others in ((False, ("b",)), (True, ())):
        scene = Scene(strategy("a", ze1=out), *(strategy(name) for name in others), one_way=one_way)
        for order in scene.row(101):
            assert isinstance(order, SubmitOrder)
            scene.accept(order)
            scene.fill(order, 10, 100)
        closing = submitted(scene.row(121))
        scene.accept(closing)
        scene.fill(closing, 13, 120)
        assert unowned(scene) == -3


def test_entry_against_another_strategy_is_denied_where_the_venue_nets() -> None:
    scene = Scene(strategy("a"), strategy("b", side="short"), one_way=True)
    assert submitted(scene.row(101)).key.strategy == "a"
    denied = [one for one in scene.of(RiskRecord) if not one.approved]
    assert [(one.strategy, one.reason) for one in denied] == [("b", DenyReason.OPPOSITE_SIDE)]


def test_E6_terms_that_were_seen_first_are_kept() -> None:
    scene = Scene(strategy())
    scene.row(99)
    for terms in ("cross 10x", "isolated 20x"):
        assert scene.say(TermsSeen, instrument=PERP.id, terms=terms) == []
    assert scene.bot.desk.terms == {PERP.id: "cross 10x"}
    seen = TermsSeen(1, PERP.id, "cross 10x", 2)
    assert answers_of(answers_text([seen])) == [seen]
    kept, scene.bot.desk.terms = scene.bot.desk.state(), {}
    scene.bot.desk.restore(kept)
    assert scene.bot.desk.terms == {PERP.id: "cross 10x"}
