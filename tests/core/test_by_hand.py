"""A person closes a position or cancels an entry: once, while halted too, and with a word of who it was."""

from __future__ import annotations

import pytest

from botd.core import halts
from botd.core.events import CancelOrder, Command, OrderType, Section, SubmitOrder
from botd.core.outcomes import OrderStatus
from botd.core.records import IntentRecord, OrderRecord, RiskRecord, TradeRecord
from botd.core.restraint import Cause, TradingCommand, Verb, trading_of, trading_text
from botd.core.runner import Memory
from botd.core.updates import AlertRecord
from botd.engine.machine import IDLE, IN_POSITION
from botd.errors import StateCorrupt
from tests.core.scene import PERP, SPOT, Scene, bought, only, strategy, submitted

RESTING = "when: always, order: { type: limit, price: price - 5, ttl: 60s }, size: { fixed: 10 BTC }"
HALF = "{ name: half, when: price > 110, close: 50% }, { name: out, when: price > 120, close: 100% }"


def tell(
    scene: Scene, verb: Verb, scope: str = PERP.id, *, strategy: str = "", reason: str = ""
) -> list[Command]:
    """Give the bot a command at the time of the last row; it changes something, and then nothing again."""
    command = TradingCommand(
        verb=verb, cause=Cause.COMMAND, who="ann", reason=reason, scope=scope, strategy=strategy
    )
    assert halts.changes(scene.bot.desk, command)
    commands = scene.bot.obey(command, scene.now_us)
    scene.records += scene.bot.take_records()
    leave_no_trace(scene, command)
    return commands


def leave_no_trace(scene: Scene, command: TradingCommand) -> None:
    state = scene.bot.state()
    assert not halts.changes(scene.bot.desk, command)
    assert scene.bot.obey(command, scene.now_us) == []
    assert scene.bot.take_records() == []
    assert scene.bot.desk.state() == state["desk"]


def close(scope: str = PERP.id, strategy: str = "") -> TradingCommand:
    return TradingCommand(verb=Verb.CLOSE, cause=Cause.COMMAND, who="ann", scope=scope, strategy=strategy)


def alerts(scene: Scene) -> list[tuple[str, str, str | None]]:
    return [(one.type, one.message, one.strategy) for one in scene.of(AlertRecord)]


# ---- close --------------------------------------------------------------------------------------


@pytest.mark.parametrize("halted", [False, True])
def test_close_sells_all_at_market_and_says_who_halted_or_not(halted: bool) -> None:
    scene = Scene(strategy(protect="stop_loss: 10%"))
    stop = bought(scene)
    assert stop is not None
    if halted:
        scene.bot.obey(
            TradingCommand(verb=Verb.HALT, cause=Cause.COMMAND, who="ann", reason=""), scene.now_us
        )
    order = submitted(tell(scene, Verb.CLOSE, reason="enough"))
    assert (order.side, order.qty, order.type, order.reduce_only) == ("sell", 10, OrderType.MARKET, True)
    assert (order.key.section, order.key.rule) == (Section.MANUAL, "close")
    assert alerts(scene)[-1] == ("position_closed_by_hand", "the position is closed by ann: enough", "s")
    assert scene.of(RiskRecord)[-1].approved
    cancel = only(scene.fill(order, 10, 103), CancelOrder)  # the stop is of no use any more
    assert cancel.client_order_id == stop.client_order_id
    assert (scene.held(), scene.phase()) == (0, IDLE)
    (trade,) = scene.of(TradeRecord)
    assert (trade.exit_section, trade.exit_rule) == (Section.MANUAL, "close")


def test_close_of_an_instrument_closes_every_strategy_s_and_of_a_strategy_its_own() -> None:
    scene = Scene(strategy("a"), strategy("b"), strategy("c"))
    for order in scene.row(101):
        assert isinstance(order, SubmitOrder)
        scene.fill(order, 10, 102)
    assert submitted(tell(scene, Verb.CLOSE, strategy="b")).key.strategy == "b"
    left = tell(scene, Verb.CLOSE)
    assert [one.key.strategy for one in left if isinstance(one, SubmitOrder)] == ["a", "c"]


@pytest.mark.parametrize("command", [close(), close(SPOT.id), close(strategy="t"), close("nowhere")])
def test_close_of_what_is_not_held_leaves_no_trace(command: TradingCommand) -> None:
    scene = Scene(strategy())
    if command != close():
        bought(scene)
    leave_no_trace(scene, command)


def test_close_orders_only_what_no_exit_in_flight_closes_already() -> None:
    scene = Scene(strategy(ze1=HALF))
    bought(scene)
    half = submitted(scene.row(111))
    assert half.qty == 5
    rest = submitted(tell(scene, Verb.CLOSE))
    assert rest.qty == 5  # the other half is on its way
    scene.fill(half, 5, 110)
    scene.fill(rest, 5, 110)
    assert scene.held() == 0


def test_close_takes_over_a_full_exit_in_flight_and_closes_what_it_leaves() -> None:
    scene = Scene(strategy(ze1="{ name: out, when: price > 120, close: 100% }"))
    bought(scene)
    out = submitted(scene.row(121))
    assert out.qty == 10
    assert tell(scene, Verb.CLOSE) == []
    scene.fill(out, 4, 120)
    rest = submitted(scene.end(out))  # no row has to come to ask for the rest
    assert (rest.qty, rest.key.section) == (6, Section.MANUAL)
    scene.fill(rest, 6, 120)
    assert scene.held() == 0


def test_rejected_close_is_asked_again_later_and_may_be_asked_for_at_once() -> None:
    scene = Scene(strategy())
    bought(scene)
    first = submitted(tell(scene, Verb.CLOSE))
    scene.reject(first)
    second = submitted(tell(scene, Verb.CLOSE))
    scene.reject(second)
    assert scene.row(102) == []
    third = submitted(scene.row(102, at=scene.second + 11))
    assert (third.key.section, third.key.rule, third.qty) == (Section.MANUAL, "close", 10)


def test_close_cancels_the_entry_that_works_and_sells_what_it_still_buys() -> None:
    scene = Scene(strategy(z1=RESTING))
    entry = submitted(scene.row(101))
    scene.accept(entry)
    scene.fill(entry, 4, 96)
    commands = tell(scene, Verb.CLOSE)
    assert isinstance(commands[0], CancelOrder)
    first = submitted(commands[1:])
    assert first.qty == 4
    scene.fill(first, 4, 96)
    late = submitted(scene.fill(entry, 2, 96))  # faster than the cancel
    assert (late.qty, late.key.section, late.key.rule) == (2, Section.MANUAL, "close")
    scene.fill(late, 2, 96)
    scene.end(entry, canceled=True)
    assert (scene.held(), scene.phase()) == (0, IDLE)


def test_next_signal_enters_again_after_a_close() -> None:
    scene = Scene(strategy())
    bought(scene)
    scene.fill(submitted(tell(scene, Verb.CLOSE)), 10, 103)
    scene.row(99)
    entry = submitted(scene.row(101))
    assert scene.fill(entry, 10, 102) == []  # and is kept
    assert (scene.held(), scene.phase()) == (10, IN_POSITION)


# ---- cancel -------------------------------------------------------------------------------------


def test_cancel_ends_an_entry_that_works_and_says_who() -> None:
    scene = Scene(strategy(z1=RESTING))
    entry = submitted(scene.row(101))
    scene.accept(entry)
    cancel = only(tell(scene, Verb.CANCEL, entry.client_order_id), CancelOrder)
    assert cancel.client_order_id == entry.client_order_id
    text = f"buy {entry.client_order_id} is cancelled by ann"
    assert alerts(scene) == [("order_canceled_by_hand", text, "s")]
    scene.end(entry, canceled=True)
    assert scene.phase() == IDLE
    leave_no_trace(
        scene,
        TradingCommand(verb=Verb.CANCEL, cause=Cause.COMMAND, who="ann", scope=entry.client_order_id),
    )


def test_cancel_of_an_exit_a_stop_or_nothing_leaves_no_trace() -> None:
    scene = Scene(strategy(ze1=HALF, protect="stop_loss: 10%"))
    stop = bought(scene)
    assert stop is not None
    out = submitted(scene.row(121))
    for name in (stop.client_order_id, out.client_order_id, "o-99"):
        leave_no_trace(scene, TradingCommand(verb=Verb.CANCEL, cause=Cause.COMMAND, who="ann", scope=name))
    assert scene.bot.desk.orders.get(stop.client_order_id) is not None


# ---- written and met again ----------------------------------------------------------------------


def test_command_comes_back_from_its_text_with_its_strategy() -> None:
    for command in (close(strategy="dip"), close()):
        assert trading_of(trading_text(command, 7)) == (command, 7)
    with pytest.raises(StateCorrupt):
        trading_of('{"verb": "shut"}')


def test_bot_that_is_brought_back_goes_on_closing() -> None:
    scene = Scene(strategy())
    bought(scene)
    order = submitted(tell(scene, Verb.CLOSE))
    again = scene.fresh()
    again.restore(scene.bot.state())
    scene.bot = again
    leave_no_trace(scene, close())
    scene.fill(order, 4, 103)
    assert submitted(scene.end(order)).qty == 6


@pytest.mark.parametrize(("kept", "rule"), [(True, "stop"), (False, ""), ("close", "close")])
def test_flag_of_an_older_botd_becomes_the_rule(kept: bool | str, rule: str) -> None:
    assert Memory.from_state({**Memory().state(), "flattening": kept}).flattening == rule


def test_every_order_of_a_close_has_its_intent_and_its_decision() -> None:
    scene = Scene(strategy())
    bought(scene)
    tell(scene, Verb.CLOSE)
    intent, risk, order = (scene.of(kind)[-1] for kind in (IntentRecord, RiskRecord, OrderRecord))
    assert (risk.intent_seq, order.intent_seq) == (intent.seq, intent.seq)
    assert order.ts_us == scene.now_us
    assert scene.bot.desk.orders.get(order.client_order_id).status is OrderStatus.SUBMITTED
