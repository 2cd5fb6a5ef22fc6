"""Handing an account over to a bot of another plan."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from botd.core.bot import Bot, LaneSpec
from botd.core.carry import adopt_stops, carry
from botd.core.events import CancelOrder, Command, OrderType, Section, Side, SubmitOrder
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.runner import ExitGoal
from botd.core.settings import CoreSettings
from botd.core.updates import AlertRecord
from botd.engine.machine import FIRED, IDLE, IN_POSITION, SIGNALLED, WORDS
from botd.errors import InputInvalid
from botd.language.strategy import read_strategy
from tests.core.scene import Scene, bought, only, rows, strategy, submitted

INSTRUMENT = Instrument(
    id=InstrumentId("BTC/USDT:USDT"),
    kind=InstrumentKind.PERPETUAL,
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
    taker_fee=Decimal(0),
    maker_fee=Decimal(0),
)
OTHER = replace(INSTRUMENT, id=InstrumentId("ETH/USDT:USDT"), base="ETH")
TEXT = """strategy: holder
instruments: [BTC/USDT:USDT]
side: long
S1: { when: price > 1, order: { type: market }, size: { fixed: 100 USDT } }
ZE1:
  - { name: first, when: pnl > 1%, close: 50% }
  - { name: second, when: pnl > 2%, close: 50% }
protect: { stop_loss: 5% }
on_stop: keep
"""
SWAPPED = TEXT.replace("name: first", "name: new").replace("name: second", "name: first")


def bot(text: str = TEXT, instrument: Instrument = INSTRUMENT, *, more: bool = False) -> Bot:
    strategy, faults = read_strategy(text, "holder.yaml")
    assert strategy is not None, faults
    specs = [LaneSpec(instrument=instrument, strategies=(strategy,))]
    if more:
        specs.append(LaneSpec(instrument=OTHER, strategies=(strategy,)))
    return Bot(CoreSettings(equity={"USDT": Decimal(1000)}), specs, id_prefix="x", block_max=8)


def holding(old: Bot) -> None:
    """Give the first runner 10 lots at 500.0."""
    runner = old.runners[0]
    effect = old.desk.portfolio.apply_fill(
        "holder", INSTRUMENT, Side.BUY, 10, 5_000, Decimal(0), 7, 1, reducing=False
    )
    runner.open(7)
    runner.hold(effect.position.qty, effect.position.cost)


def test_position_cycle_and_fired_rules_go_over_by_name() -> None:
    old, new = bot(), bot(SWAPPED)
    holding(old)
    runner = old.runners[0]
    runner.memory.cycle = 4
    runner.rule_fired(0)
    runner.memory.goal = ExitGoal(Section.ZE1, "first", 0, 5)
    assert carry(old, new, 99) == []
    heir = new.runners[0]
    assert heir.phase() == IN_POSITION
    assert heir.memory.cycle == 4
    assert heir.memory.goal is not None
    assert heir.memory.goal.index == 1  # the rule named first is the second one now
    assert int(heir.lane.machines.words[heir.machine * WORDS + FIRED]) == 0b10
    position = new.desk.portfolio.held(("holder", INSTRUMENT.id))
    assert position is not None
    assert (position.qty, position.cost) == (10, 50_000)
    assert [r.type for r in new.take_records() if isinstance(r, AlertRecord)] == ["exits_adopted"]


def test_goal_of_a_rule_that_is_gone_keeps_its_name_only() -> None:
    old, new = bot(), bot(TEXT.replace("name: second", "name: other"))
    holding(old)
    old.runners[0].memory.goal = ExitGoal(Section.ZE1, "second", 1, 5)
    carry(old, new, 99)
    assert new.runners[0].memory.goal is not None
    assert new.runners[0].memory.goal.index == -1
    new.runners[0].rule_fired(-1)  # as its end will say
    assert int(new.runners[0].lane.machines.words[FIRED]) == 0


def test_unchanged_file_takes_its_position_without_an_alert() -> None:
    old, new = bot(), bot()
    holding(old)
    carry(old, new, 99)
    assert new.take_records() == []


def test_signal_without_an_order_is_dropped_and_an_idle_strategy_may_vanish() -> None:
    old, new = bot(more=True), bot()
    old.runners[0].lane.engine.phase[0] = SIGNALLED
    carry(old, new, 99)
    assert new.runners[0].phase() == IDLE


def test_held_strategy_cannot_vanish() -> None:
    old = bot()
    holding(old)
    with pytest.raises(InputInvalid, match="still holds a position or an order on BTC/USDT:USDT"):
        carry(old, bot(TEXT.replace("strategy: holder", "strategy: other")), 99)


def test_F6_held_instrument_keeps_its_steps() -> None:  # noqa: N802
    old = bot()
    holding(old)
    with pytest.raises(InputInvalid, match="tick and lot can change once it is flat"):
        carry(old, bot(instrument=replace(INSTRUMENT, tick_size=Decimal("0.5"))), 99)


def test_held_side_cannot_turn() -> None:
    old = bot()
    holding(old)
    with pytest.raises(InputInvalid, match="its side can change once it is flat"):
        carry(old, bot(TEXT.replace("side: long", "side: short")), 99)


# ---- the stop at the venue ----------------------------------------------------------------------


def edited(scene: Scene, protect: str) -> tuple[Scene, list[Command]]:
    """Hand a scene over to one whose strategy has another `protect`; return it and what it asks first."""
    heir = Scene(strategy(protect=protect))
    heir.bot.pass_over(heir.bot.load(np.zeros(2, np.int64), rows((0, 100), (scene.second, 101))))
    heir.second, heir.seq = scene.second, scene.seq
    changed = carry(scene.bot, heir.bot, scene.now_us)
    return heir, adopt_stops(heir.bot, changed, scene.now_us)


def holder(protect: str) -> tuple[Scene, SubmitOrder | None]:
    scene = Scene(strategy(protect=protect))
    stop = bought(scene, price=1000)
    if stop is not None:
        scene.accept(stop)
    return scene, stop


def test_changed_stop_loss_replaces_the_resting_stop() -> None:
    scene, stop = holder("stop_loss: 3%")
    assert stop is not None
    assert stop.stop == 970
    heir, commands = edited(scene, "stop_loss: 0.5%")
    assert only(commands, CancelOrder).client_order_id == stop.client_order_id
    fresh = submitted(heir.end(stop, canceled=True))
    assert (fresh.type, fresh.stop, fresh.qty) == (OrderType.STOP_MARKET, 995, 10)
    assert fresh.key.leg == 1  # no two orders have one key
    heir.accept(fresh)
    heir.fill(fresh, 10, 990)
    assert heir.held() == 0


def test_stop_that_is_hit_before_its_cancel_arrives_closes_all() -> None:
    scene, stop = holder("stop_loss: 3%")
    assert stop is not None
    heir, _ = edited(scene, "stop_loss: 0.5%")
    assert heir.fill(stop, 10, 960) == []
    assert heir.held() == 0
    assert heir.phase() == IDLE


def test_removed_stop_loss_cancels_the_resting_stop_and_sends_no_other() -> None:
    scene, stop = holder("stop_loss: 3%")
    assert stop is not None
    heir, commands = edited(scene, "take_profit: 5%")
    assert only(commands, CancelOrder).client_order_id == stop.client_order_id
    assert heir.end(stop, canceled=True) == []
    assert heir.held() == 10


def test_added_stop_loss_is_sent_at_once_with_an_id_of_the_new_session() -> None:
    scene, none = holder("take_profit: 5%")
    assert none is None
    scene.bot.desk.id_prefix = "old"
    heir, commands = edited(scene, "stop_loss: 2%")
    stop = submitted(commands)
    assert (stop.type, stop.stop, stop.qty, stop.ts_us) == (OrderType.STOP_MARKET, 980, 10, scene.now_us)
    assert stop.client_order_id == "o-2"
    order = heir.bot.desk.orders.get(stop.client_order_id)
    assert order is not None
    assert order.row == 1  # the last row that its session knows


def test_stop_that_is_being_hit_is_left_to_its_work() -> None:
    scene, stop = holder("stop_loss: 3%")
    assert stop is not None
    scene.fill(stop, 4, 960)
    _, commands = edited(scene, "stop_loss: 0.5%")
    assert commands == []


def test_stop_of_an_unchanged_ratio_rests_on() -> None:
    scene, _ = holder("stop_loss: 3%")
    _, commands = edited(scene, "stop_loss: 3%, take_profit: 9%")
    assert commands == []


def test_idle_strategy_with_another_stop_loss_asks_nothing() -> None:
    scene = Scene(strategy(protect="stop_loss: 3%"))
    scene.row(99)
    _, commands = edited(scene, "stop_loss: 1%")
    assert commands == []


def test_F7_position_whose_instrument_has_no_rows_any_more_keeps_its_last_price() -> None:  # noqa: N802
    old, new = bot(), bot()
    holding(old)
    data = rows(*((second, 5_100) for second in range(3)))
    block = old.load(np.zeros(3, np.int64), data)
    old.advance(block, 0, 3)
    marks = old.desk.marks_now()
    assert marks
    carry(old, new, 500)
    assert new.desk.marks_now() == new.desk.marks(0) == marks
    again = bot()
    again.restore(new.state())
    assert again.desk.marks_now() == marks
    again.note_books(600 * 1_000_000)  # which needs a price of all that is held
