"""Answers that come late, twice or for nobody; stopping; and what a new session begins with."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from botd.core.codec import answers_of, answers_text, command_of, command_text
from botd.core.events import CancelOrder, ClientOrderId, OrderAccepted, RequestRefused
from botd.core.instrument import InstrumentId
from botd.core.outcomes import OrderStatus
from botd.core.portfolio import Portfolio
from botd.core.records import OrderRecord
from botd.core.updates import AlertRecord, PortfolioSnapshot, PositionUpdate
from botd.engine import machine
from botd.engine.layout import N_INPUT
from botd.errors import InvariantBroken, StateCorrupt
from tests.core.scene import PERP, SECOND, T0, Scene, bought, only, strategy, submitted

NOBODY = ClientOrderId("other-1")


def test_answer_about_an_order_of_nobody_is_an_alert() -> None:
    scene = Scene(strategy())
    scene.row(99)
    assert scene.accept(NOBODY) == []
    (alert,) = scene.of(AlertRecord)
    assert (alert.severity, alert.type) == ("critical", "unknown_order")
    assert "other-1" in alert.message


def test_second_acceptance_changes_nothing() -> None:
    scene = Scene(strategy())
    order = submitted(scene.row(101))
    scene.accept(order)
    before = len(scene.records)
    assert scene.accept(order) == []
    assert len(scene.records) == before


def test_cancel_that_overtook_its_order_is_asked_again() -> None:
    scene = Scene(strategy(on_stop="cancel"))
    order = submitted(scene.row(101))
    only(scene.bot.stop(scene.now_us), CancelOrder)
    assert scene.refuse(order) == []  # the venue has not seen the order yet
    again = only(scene.accept(order), CancelOrder)
    assert again.client_order_id == order.client_order_id


def test_policy_keep_asks_for_nothing() -> None:
    scene = Scene(strategy(on_stop="keep"))
    scene.row(101)
    assert scene.bot.stop(scene.now_us) == []


def test_flatten_closes_what_an_entry_still_buys_after_it() -> None:
    scene = Scene(strategy(on_stop="flatten"))
    order = submitted(scene.row(101))
    scene.accept(order)
    only(scene.bot.stop(scene.now_us), CancelOrder)
    exit_order = submitted(scene.fill(order, 4, 102))
    assert (exit_order.qty, str(exit_order.side), exit_order.reduce_only) == (4, "sell", True)


def test_flatten_everything_overrules_the_policies() -> None:
    scene = Scene(strategy(on_stop="keep"))
    bought(scene)
    exit_order = submitted(scene.bot.flatten(scene.now_us, "away for too long"))
    scene._note()
    assert exit_order.qty == 10
    assert scene.of(AlertRecord)[-1].message == "away for too long"
    idle = Scene(strategy())
    idle.row(99)
    assert idle.bot.flatten(idle.now_us, "away") == []


def test_flatten_order_that_ends_short_is_sent_again_without_a_row() -> None:
    scene = Scene(strategy(on_stop="flatten"))
    bought(scene)
    first = submitted(scene.bot.stop(scene.now_us))
    scene.accept(first)
    scene.fill(first, 4, 99)
    rest = submitted(scene.end(first))
    assert (rest.qty, rest.key.leg) == (6, 1)


def test_F7_position_of_an_instrument_without_rows_stays_at_a_stop_and_is_cried_out() -> None:  # noqa: N802 - the fault's id
    scene = Scene(strategy(on_stop="flatten"))
    scene.bot.desk.portfolio.apply_fill(
        "s", PERP, submitted(Scene(strategy()).row(101)).side, 5, 100, PERP.taker_fee, T0, 1, reducing=False
    )
    assert scene.bot.stop(T0) == []
    assert [one.type for one in scene.bot.take_records() if isinstance(one, AlertRecord)] == ["not_closed"]
    assert scene.held() == 5


def test_books_closed_before_any_row_have_no_marks() -> None:
    scene = Scene(strategy())
    scene.bot.close_books(T0)
    scene._note()
    assert [(s.currency, str(s.equity)) for s in scene.of(PortfolioSnapshot)] == [("USDT", "100000")]


def test_new_session_begins_with_what_is_held_and_works() -> None:
    scene = Scene(strategy(protect="stop_loss: 10%"))
    stop = bought(scene)
    assert stop is not None
    scene.records.clear()
    scene.bot.restate(scene.now_us)
    scene._note()
    assert [(p.strategy, str(p.qty)) for p in scene.of(PositionUpdate)] == [("s", "10")]
    assert [o.client_order_id for o in scene.of(OrderRecord)] == [stop.client_order_id]


def test_lane_without_a_decision_cannot_decide() -> None:
    scene = Scene(strategy())
    scene.row(99)
    with pytest.raises(InvariantBroken, match="without a decision"):
        scene.bot._decide(scene.bot.lanes[0], 0)


def test_block_without_rows_of_a_lane_leaves_it_as_it_was() -> None:
    scene = Scene(strategy())
    scene.row(99)
    lane = scene.bot.lanes[0]
    lane.load(np.zeros((N_INPUT, 0), np.int64), None)
    assert (lane.n, lane.judged()) == (0, 0)
    assert scene.phase() == machine.IDLE


def test_commands_and_answers_survive_as_text() -> None:
    scene = Scene(strategy())
    order = submitted(scene.row(101))
    cancel = CancelOrder(client_order_id=order.client_order_id, instrument=PERP.id, ts_us=T0)
    for command in (order, cancel):
        assert command_of(command_text(command)) == command
    accepted = OrderAccepted(seq=1, client_order_id=order.client_order_id, ts_us=T0 + SECOND)
    assert answers_of(answers_text([accepted])) == [accepted]


@pytest.mark.parametrize(
    "text",
    ["", "no json", '["Nothing", {}]', '["OrderAccepted", {"seq": 1}]', '["RequestRefused"]'],
)
def test_text_that_is_no_answer_is_damage(text: str) -> None:
    with pytest.raises(StateCorrupt, match="not a line that botd wrote"):
        answers_of(f"[{text}]" if text else text)
    with pytest.raises(StateCorrupt, match=r"not a line that botd wrote|stands where a command belongs"):
        command_of(text or "nothing")


def test_command_where_an_answer_belongs_is_damage() -> None:
    refused = RequestRefused(seq=1, client_order_id=NOBODY, reason="no", ts_us=T0)
    cancel = CancelOrder(client_order_id=NOBODY, instrument=InstrumentId("X/Y"), ts_us=T0)
    with pytest.raises(StateCorrupt, match="where a answer belongs"):
        answers_of(f"[{command_text(cancel)}]")
    with pytest.raises(StateCorrupt, match="where a command belongs"):
        command_of(answers_text([refused])[1:-1])


def test_emergency_takes_over_from_a_take_profit_in_flight() -> None:
    scene = Scene(strategy(e1="{ name: crash, when: price < 90 }", protect="take_profit: 10%"))
    bought(scene)
    first = submitted(scene.row(120))
    assert (first.key.section, first.key.rule) == ("protect", "take_profit")
    scene.accept(first)
    assert scene.row(80) == []  # all of it is on its way out already
    scene.fill(first, 4, 100)
    rest = submitted([*scene.end(first), *scene.row(80)])
    assert (rest.key.section, rest.qty) == ("E1", 6)


def test_working_entry_in_another_currency_is_no_exposure_here() -> None:
    ether = replace(PERP, id=InstrumentId("ETH/BTC:BTC"), base="ETH", quote="BTC")
    size = "when: always, order: { type: market, slippage_max: 10% }, size: { fixed: 1 ETH }"
    scene = Scene(strategy(), others=[(ether, strategy("e", z1=size, instrument=ether.id))])
    scene.bot.desk.portfolio = Portfolio({"USDT": Decimal(100_000), "BTC": Decimal(1_000)})
    submitted(scene.row(101, lane=1))
    assert submitted(scene.row(101)).instrument == PERP.id


def test_working_entry_whose_order_is_over_counts_for_nothing() -> None:
    scene = Scene(strategy())
    order = submitted(scene.row(101))
    desk = scene.bot.desk
    assert [(one.strategy.id, notional) for one, notional in desk.working_entries()] == [("s", 1120)]
    table = desk.orders.get(order.client_order_id)
    assert table is not None
    table.to(OrderStatus.NEVER_ARRIVED)
    assert list(desk.working_entries()) == []
