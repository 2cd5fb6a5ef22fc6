"""Exits: goals, legs and the resting stop. They only ever reduce what is held."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from botd.core.desk import Desk
from botd.core.events import ClientOrderId, DecisionKey, OrderType, Section
from botd.core.money import EXACT
from botd.core.portfolio import Position
from botd.core.runner import ExitGoal, Runner
from botd.core.values import maker
from botd.engine.machine import DID_HOLDING, DID_TAKE_PROFIT, DID_TRAILING

RETRY_REJECTED_US: Final = 10_000_000  # a rejected exit is asked again after this long, not at every row
_ZE1: Final = Section.ZE1
_E1: Final = Section.E1
_PROTECT: Final = Section.PROTECT
_MARKET: Final = OrderType.MARKET
_STOP_MARKET: Final = OrderType.STOP_MARKET
PROTECT_RULES: Final = {
    DID_TAKE_PROFIT: "take_profit",
    DID_TRAILING: "trailing_stop",
    DID_HOLDING: "holding_max",
}

_decision_key = maker(DecisionKey)


def protect(desk: Desk, runner: Runner, row: int, did: int) -> None:
    """Close everything because protect says so."""
    rule = PROTECT_RULES[did]
    position = _held(desk, runner)
    if position is None:
        return
    desk.signal(runner, Section.PROTECT, rule, row, side=runner.exit_side, reason=rule)
    _pursue(desk, runner, ExitGoal(Section.PROTECT, rule, -1, None), row, position)


def emergency(desk: Desk, runner: Runner, row: int, rule: int) -> None:
    """E1: close all now; takes over from whatever exit is in flight."""
    position = _held(desk, runner)
    if position is None:
        return
    spec = runner.strategy.emergencies[rule]
    desk.signal(runner, Section.E1, spec.name, row, side=runner.exit_side)
    left = _share(runner, position, spec.close, row)
    goal = ExitGoal(Section.E1, spec.name, -1, left, cooldown_us=spec.cooldown_us)
    _pursue(desk, runner, goal, row, position)


def leave(desk: Desk, runner: Runner, row: int, rule: int) -> None:
    """ZE1: close a share of what is held now."""
    position = _held(desk, runner)
    if position is None:
        return
    spec = runner.strategy.exits[rule]
    desk.signal(runner, _ZE1, spec.name, row, side=runner.exit_side)
    left = _share(runner, position, spec.close, row)
    if left == 0:  # the share is under one lot: the rule has had its turn
        runner.rule_fired(rule)
        runner.mark_busy(0)
        return
    _pursue(desk, runner, ExitGoal(_ZE1, spec.name, rule, left), row, position)


def ask_rest(desk: Desk, runner: Runner, row: int) -> None:
    """Ask for the remainder of an exit that ended short: same rule, next leg."""
    goal, position = runner.memory.goal, _held(desk, runner)
    if goal is None or position is None:
        return
    goal.leg += 1
    _send(desk, runner, goal, row, position)


def _held(desk: Desk, runner: Runner) -> Position | None:
    return desk.portfolio.position(runner.strategy.id, runner.lane.instrument.id)


def _share(runner: Runner, position: Position, close: Decimal, row: int) -> int | None:
    """Return the lots that a share of the position is, None for all of it.

    Floored to the lot; a remainder below the venue's minimum notional is closed too.
    """
    lots = int(EXACT.multiply(position.qty, close))
    rest = position.qty - lots
    instrument = runner.lane.instrument
    value = instrument.money(rest * runner.lane.price(row))
    if rest == 0 or (lots and value < instrument.min_notional):
        return None
    return lots


def _pursue(desk: Desk, runner: Runner, goal: ExitGoal, row: int, position: Position) -> None:
    """Take on a goal: full closes cancel what still works to enter, then the order goes out."""
    if goal.left is None:
        desk.cancel(runner.memory.entry_id, runner.lane.row_time(row))
    runner.memory.goal = goal
    _send(desk, runner, goal, row, position)


def _send(
    desk: Desk, runner: Runner, goal: ExitGoal, row: int, position: Position, at_us: int | None = None
) -> None:
    memory, lane = runner.memory, runner.lane
    free = position.qty - in_flight(desk, runner)
    lots = free if goal.left is None else min(goal.left, free)
    if lots <= 0:
        return  # what is in flight closes it; its end decides what is left
    side = runner.exit_side
    bid, ask = lane.tops(row)
    price = bid if runner.sign > 0 else ask
    ts_us, row_number = lane.row_time(row) if at_us is None else at_us, lane.row0 + row
    key = _decision_key(
        runner.strategy.id, lane.instrument.id, memory.cycle, goal.section, goal.rule, goal.leg
    )
    intent_seq = desk.intent(lane.instrument, key, row_number, ts_us, side, lots, price, "exit")
    order = desk.submit(
        key,
        row=row_number,
        ts_us=ts_us,
        side=side,
        lots=lots,
        kind=_MARKET,
        decision_price=price,
        intent_seq=intent_seq,
        reduce_only=True,
    )
    memory.exit_ids.append(order.client_order_id)


def flatten(desk: Desk, runner: Runner, ts_us: int) -> None:
    """Close everything held because the daemon stops; the last row known gives the price."""
    position, lane = _held(desk, runner), runner.lane
    last = lane.judged()
    if position is None or last is None:
        return
    runner.memory.goal = ExitGoal(Section.MANUAL, "stop", -1, None)
    runner.mark_busy(2)
    _send(desk, runner, runner.memory.goal, last - lane.base, position, ts_us)


def in_flight(desk: Desk, runner: Runner) -> int:
    """Return the lots that live exit orders may still close (the resting stop is not one of them)."""
    total = 0
    for client_order_id in runner.memory.exit_ids:
        order = desk.orders.get(client_order_id)
        if order is not None:
            total += order.leaves
    return total


def keep_stop(desk: Desk, runner: Runner, position: Position, ts_us: int) -> None:
    """Have the stop at the venue cover exactly what is held: sent at the first fill, then resized."""
    ratio = runner.strategy.protect.stop_loss
    if ratio is None:
        return
    memory, instrument = runner.memory, runner.lane.instrument
    order = desk.orders.get(memory.stop_id) if memory.stop_id else None
    if order is not None and not order.is_terminal:
        wanted = order.filled + position.qty
        # before it is accepted, or while an answer is out, a request could overtake the one before it
        if wanted != order.qty and order.accepted and not memory.amending:
            memory.amending = True
            desk.amend(order, wanted, ts_us)
        return
    entry = EXACT.divide(position.cost, position.qty)
    # the stop stands on the near side of the exact price: never further away than the file says
    if runner.sign > 0:
        ticks = int(EXACT.multiply(entry, 1 - ratio))
    else:
        ticks = int(EXACT.multiply(entry, 1 + ratio))
    row = runner.lane.row0 + runner.lane.next - 1
    key = _decision_key(
        runner.strategy.id, instrument.id, memory.cycle, _PROTECT, "stop_loss", memory.stop_leg
    )
    memory.stop_leg += 1
    stop = desk.submit(
        key,
        row=row,
        ts_us=ts_us,
        side=runner.exit_side,
        lots=position.qty,
        kind=_STOP_MARKET,
        decision_price=max(1, ticks),
        intent_seq=None,
        stop=max(1, ticks),
        reduce_only=True,
    )
    memory.stop_id = stop.client_order_id
    memory.amending = False


def exit_filled(runner: Runner, lots: int, section: Section, ts_us: int) -> None:
    """Count a fill towards the goal it belongs to."""
    goal = runner.memory.goal
    if goal is None:
        return
    if goal.left is not None and section is goal.section:
        goal.left = max(0, goal.left - lots)
    if goal.section is _E1:
        runner.block_until(ts_us + goal.cooldown_us)


def exit_ended(desk: Desk, runner: Runner, position: Position, ts_us: int, *, rejected: bool) -> None:
    """An exit order is over and something is still held: finish the goal or ask for the rest."""
    goal = runner.memory.goal
    runner.memory.exit_ids = [i for i in runner.memory.exit_ids if _live(desk, i)]
    if goal is None or runner.memory.exit_ids:
        return
    left = position.qty if goal.left is None else goal.left
    if left > 0:
        runner.ask_again(ts_us + RETRY_REJECTED_US if rejected else 0)
        return
    if goal.section is _ZE1:
        runner.rule_fired(goal.index)
    runner.memory.goal = None
    runner.mark_busy(0)


def _live(desk: Desk, client_order_id: ClientOrderId) -> bool:
    order = desk.orders.get(client_order_id)
    return order is not None and not order.is_terminal
