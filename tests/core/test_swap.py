"""A reload's swap, rule by rule: what is open, what is signalled, what is gone and comes back."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from botd.core.bot import Bot, LaneSpec
from botd.core.carry import adopt_stops
from botd.core.events import CancelOrder, Command, Section, SubmitOrder
from botd.core.orders import Order
from botd.core.pins import exit_only, pin_of
from botd.core.records import OrderRecord, SignalRecord, TradeRecord
from botd.core.settings import CoreSettings
from botd.core.swap import busy, pinned_specs, pins_due, swap
from botd.core.updates import AlertRecord
from botd.engine.machine import FIRED, IDLE, IN_POSITION, SIGNALLED, WORDS
from botd.errors import InvariantBroken
from botd.language.typed import OnReload, Strategy
from tests.core.scene import PERP, SPOT, Scene, bought, only, strategy, submitted

OUT = "{ name: half, when: price > 110, close: 50% }, { name: out, when: price > 130, close: 100% }"
EARLIER = OUT.replace("130", "120")


def reload(scene: Scene, *strategies: Strategy) -> list[Command]:
    """Swap other strategies in as a reload does, where the scene stands; return what it asks of the venue."""
    old = scene.bot
    pins = pins_due(old, strategies)
    revisions = [runner.strategy for runner in old.runners]
    specs = pinned_specs([LaneSpec(instrument=PERP, strategies=strategies)], pins, revisions)
    new = Bot(scene.settings, specs, id_prefix="o", block_max=scene.block_max)
    new.pin(pins)
    moved = swap(old, new, scene.now_us)
    scene.bot = new
    asked = adopt_stops(new, moved, scene.now_us)
    scene.records += new.take_records()
    return asked


def alerts(scene: Scene) -> list[str]:
    return [one.type for one in scene.of(AlertRecord)]


def adopting(one: Strategy) -> Strategy:
    return replace(one, on_reload=OnReload.ADOPT)


def test_threshold_is_the_new_one_from_the_next_row_on() -> None:
    scene = Scene(strategy())
    assert scene.row(99) == []
    reload(scene, strategy(s1="when: price > 90, cooldown: 1s"))
    assert isinstance(only(scene.row(99), SubmitOrder), SubmitOrder)
    assert alerts(scene) == []


def test_I6_position_keeps_the_exits_it_was_opened_with_until_it_is_flat() -> None:
    scene = Scene(strategy(ze1=OUT))
    bought(scene)
    edited = strategy(ze1=EARLIER, s1="when: price > 90, cooldown: 1s")
    reload(scene, edited)
    assert alerts(scene) == ["revision_pinned"]
    assert [(pin.strategy, pin.instrument, pin.gone) for pin in scene.bot.pins] == [("s", PERP.id, False)]
    half = submitted(scene.row(125))
    assert (half.key.rule, half.qty) == ("half", 5)
    scene.accept(half)
    scene.fill(half, 5, 125)
    out = submitted(scene.row(131))
    scene.accept(out)
    scene.fill(out, 5, 131)
    assert scene.row(90) == scene.row(131) == []  # it enters no more by the text that it was opened with
    assert busy(scene.bot) == set()
    reload(scene, edited)
    assert scene.bot.pins == ()
    assert scene.row(80) == []
    assert submitted(scene.row(95)).key.cycle == 2


def test_I6_adopt_takes_the_new_exits_and_moves_the_stop_with_an_alert() -> None:
    scene = Scene(strategy(ze1=OUT, protect="stop_loss: 10%"))
    stop = bought(scene)
    assert stop is not None
    scene.accept(stop)
    half = submitted(scene.row(111))
    scene.accept(half)
    scene.fill(half, 5, 111)
    swapped = "{ name: out, when: price > 115, close: 100% }, { name: half, when: price > 110, close: 50% }"
    asked = reload(scene, adopting(strategy(ze1=swapped, protect="stop_loss: 5%")))
    assert alerts(scene) == ["exits_adopted"]
    assert any(isinstance(one, CancelOrder) for one in asked)
    words = scene.bot.lanes[0].machines.words[:WORDS]
    assert words[FIRED] == 0b10  # `half` has fired, wherever it stands
    assert submitted([one for one in scene.row(116) if isinstance(one, SubmitOrder)]).key.rule == "out"


def test_I6_goal_of_an_exit_in_flight_is_known_by_its_name() -> None:
    for rules, index in ((f"{{ name: x, when: never, close: 10% }}, {OUT}", 1), ("", -1)):
        scene = Scene(strategy(ze1=OUT))
        bought(scene)
        scene.accept(scene.row(111)[0])
        reload(scene, adopting(strategy(ze1=rules)))
        goal = scene.bot.runners[0].memory.goal
        assert goal is not None
        assert (goal.rule, goal.index) == ("half", index)


def test_I4_strategy_that_is_gone_exits_by_its_last_text_with_one_critical_alert() -> None:
    scene = Scene(strategy("a", ze1=OUT), strategy("b", s1="when: never"))
    scene.row(99)
    order = submitted(scene.row(101))
    scene.accept(order)
    scene.fill(order, 10, 101)
    other = strategy("b", s1="when: price > 500")
    for _ in range(2):
        reload(scene, other)
    assert alerts(scene) == ["exit_only"]
    assert scene.of(AlertRecord)[0].severity == "critical"
    assert [pin.gone for pin in scene.bot.pins] == [True]
    assert [pin_of(pin.row()) for pin in scene.bot.pins] == list(scene.bot.pins)
    assert submitted(scene.row(111)).key.rule == "half"


def test_S14_cycles_and_cooldowns_of_a_strategy_that_was_away_go_on() -> None:
    scene = Scene(strategy("a", s1="when: price > 100, cooldown: 1h"), strategy("b", s1="when: never"))
    order = submitted(scene.row(101))
    scene.accept(order)
    scene.end(order)
    gone = scene.bot.runners[0]
    reload(scene, strategy("b", s1="when: never"))
    state = scene.bot.state()
    assert [row[:2] for row in state["retired"]] == [["a", PERP.id]]
    again = Bot(
        scene.settings,
        [LaneSpec(instrument=PERP, strategies=(strategy("b", s1="when: never"),))],
        id_prefix="o",
        block_max=scene.block_max,
    )
    again.restore(state)
    scene.bot = again
    reload(scene, strategy("a", s1="when: price > 100, cooldown: 1h"), strategy("b", s1="when: never"))
    back = scene.bot.runners[0]
    assert (back.memory.cycle, back.blocked_until) == (1, gone.blocked_until)
    assert scene.bot.retired == {}
    assert scene.row(99) == scene.row(101) == []


def test_new_strategy_waits_for_its_condition_to_be_false_once() -> None:
    scene = Scene(strategy("b", s1="when: never"))
    scene.row(101)
    reload(scene, strategy("a"), strategy("b", s1="when: never"))
    assert scene.row(102) == []
    scene.row(99)
    assert submitted(scene.row(101)).key.strategy == "a"


def test_I5_renamed_strategy_goes_on_under_its_new_name() -> None:
    scene = Scene(strategy("a", s1="when: price > 100, cooldown: 1h"))
    order = submitted(scene.row(101))
    scene.accept(order)
    scene.end(order)
    reload(scene, replace(strategy("z", s1="when: price > 100, cooldown: 1h"), was="a"))
    assert scene.bot.runners[0].memory.cycle == 1
    assert scene.row(99) == scene.row(101) == []  # its cooldown too


def test_S14_cycles_of_a_name_never_come_twice_however_often_it_is_given_away_and_back() -> None:
    when = "when: price > 100, cooldown: 1s"
    scene, cycles = Scene(strategy("a", s1=when)), []
    for name, was in (("a", None), ("z", "a"), ("z", "a"), ("a", None), ("z", "a"), ("a", "z")):
        reload(scene, replace(strategy(name, s1=when), was=was))
        for _ in range(2):
            scene.row(99)
            order = submitted(scene.row(101))
            cycles.append((order.key.strategy, order.key.cycle))
            scene.accept(order)
            scene.end(order)
    assert len(set(cycles)) == len(cycles) == 12


@pytest.mark.parametrize("name", ["b", "z"])
def test_I5_renamed_strategy_that_holds_something_keeps_it_under_its_old_name(name: str) -> None:
    scene = Scene(strategy("m", ze1=OUT))
    bought(scene)
    reload(scene, replace(strategy(name, ze1=OUT), was="m"))
    by_name = {one.strategy.id: one for one in scene.bot.runners}
    assert by_name["m"].phase() == IN_POSITION
    assert by_name[name].memory.cycle == 0
    assert submitted(scene.row(111)).key.strategy == "m"


@pytest.mark.parametrize(
    ("edited", "phase"), [("when: price > 100, cooldown: 1s", SIGNALLED), ("when: price > 90", IDLE)]
)
def test_signal_is_dropped_with_an_alert_where_its_section_has_changed(edited: str, phase: int) -> None:
    z1 = "when: price > 200, order: { type: market }, size: { fixed: 10 BTC }"
    scene = Scene(strategy(z1=z1))
    assert scene.row(101) == []
    assert scene.phase() == SIGNALLED
    reload(scene, strategy(z1=z1, s1=edited, ze1=OUT))
    assert scene.phase() == phase
    assert alerts(scene) == ([] if phase == SIGNALLED else ["signal_dropped"])
    assert [one.section for one in scene.of(SignalRecord)] == [Section.S1]


def test_I8_order_in_flight_is_answered_after_the_swap() -> None:
    scene = Scene(strategy(ze1=OUT))
    order = submitted(scene.row(101))
    reload(scene, strategy(ze1=EARLIER))
    scene.accept(order)
    scene.fill(order, 10, 102)
    assert (scene.phase(), scene.held()) == (IN_POSITION, 10)
    assert [pin.strategy for pin in scene.bot.pins] == ["s"]  # decided by the text it will exit by


def test_position_rules_that_did_not_change_go_on_counting() -> None:
    rules = "{ name: long, when: pnl > 1% for 5s, close: 100% }"
    scene = Scene(strategy(ze1=rules))
    bought(scene)
    for _ in range(3):
        assert scene.row(110) == []
    reload(scene, adopting(strategy(ze1=rules, s1="when: price > 90")))
    assert scene.row(110) == scene.row(110) == []
    assert submitted(scene.row(110)).key.rule == "long"


def test_swap_to_other_instruments_is_refused() -> None:
    scene = Scene(strategy())
    other = Bot(
        CoreSettings(equity={"USDT": Decimal(1)}),
        [LaneSpec(instrument=SPOT, strategies=())],
        id_prefix="o",
        block_max=64,
    )
    with pytest.raises(InvariantBroken, match="keeps the instruments"):
        swap(scene.bot, other, 0)


def test_exit_only_strategy_never_signals() -> None:
    scene = Scene(exit_only(strategy()))
    assert scene.row(99) == scene.row(101) == []
    assert scene.records == []


# ---- which revision a record is of ----------------------------------------------------------------


def under(scene: Scene, revision: str) -> None:
    """Have what `reload` swaps in be of a plan of that name."""
    scene.settings = replace(scene.settings, revision=revision)


ALL_OUT = "{ name: out, when: price > 130, close: 100% }"


def opened() -> Scene:
    """Hold a position that was entered under the first plan."""
    scene = Scene(strategy(ze1=ALL_OUT), revision="first")
    bought(scene)
    return scene


def sold(scene: Scene, price: int) -> None:
    out = submitted(scene.row(price))
    scene.accept(out)
    scene.fill(out, 10, price)


def revisions(scene: Scene, kind: type[SignalRecord] | type[OrderRecord]) -> dict[str, str | None]:
    return {one.section: one.revision for one in scene.of(kind)}


def test_records_name_the_plan_they_were_decided_under() -> None:
    scene = opened()
    assert revisions(scene, SignalRecord) == {"S1": "first", "Z1": "first"}
    under(scene, "second")
    reload(scene, adopting(strategy(ze1=ALL_OUT.replace("130", "120"))))
    sold(scene, 125)
    assert revisions(scene, SignalRecord)["ZE1"] == revisions(scene, OrderRecord)["ZE1"] == "second"
    (trade,) = scene.of(TradeRecord)
    assert trade.revision == "first"  # of its entry


def test_pinned_exits_name_the_plan_that_had_their_text_over_reloads_and_restarts() -> None:
    scene = opened()
    under(scene, "second")
    reload(scene, strategy(ze1=ALL_OUT))  # something else was edited: its text stays
    under(scene, "third")
    reload(scene, strategy(ze1=ALL_OUT.replace("130", "120")))
    under(scene, "fourth")
    reload(scene, strategy(ze1=ALL_OUT.replace("130", "120"), s1="when: price > 90, cooldown: 1s"))
    assert [pin.revision for pin in scene.bot.pins] == ["second"]
    again = [pin_of(pin.row()) for pin in scene.bot.pins]
    assert again == list(scene.bot.pins)
    sold(scene, 135)
    assert revisions(scene, OrderRecord)["ZE1"] == "second"


def test_order_and_position_keep_their_revision_in_a_snapshot_and_an_old_one_has_none() -> None:
    scene = opened()
    state = scene.bot.desk.state()
    (order, *_) = state["orders"]
    assert Order.from_state(order).revision == "first"
    assert state["portfolio"]["positions"][0]["revision"] == "first"
    del order["revision"]
    assert Order.from_state(order).revision is None
    assert pin_of(["s", "BTC/USDT:USDT", "text", False]).revision is None
