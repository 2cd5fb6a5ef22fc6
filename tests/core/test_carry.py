"""Handing an account over to a bot of another plan."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from botd.core.bot import Bot, LaneSpec
from botd.core.carry import carry
from botd.core.events import Section, Side
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.records import AlertRecord
from botd.core.runner import ExitGoal
from botd.core.settings import CoreSettings
from botd.engine.machine import FIRED, IDLE, IN_POSITION, SIGNALLED, WORDS
from botd.errors import InputInvalid
from botd.language.strategy import read_strategy

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
    carry(old, new, 99)
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


def test_held_instrument_keeps_its_steps() -> None:
    old = bot()
    holding(old)
    with pytest.raises(InputInvalid, match="tick and lot can change once it is flat"):
        carry(old, bot(instrument=replace(INSTRUMENT, tick_size=Decimal("0.5"))), 99)


def test_held_side_cannot_turn() -> None:
    old = bot()
    holding(old)
    with pytest.raises(InputInvalid, match="its side can change once it is flat"):
        carry(old, bot(TEXT.replace("side: long", "side: short")), 99)
