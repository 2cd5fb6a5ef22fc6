"""Exits: goals, legs and the resting stop. They only ever reduce what is held."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from botd.core.desk import Desk
from botd.core.events import ClientOrderId, DecisionKey, OrderFilled, OrderType, Section
from botd.core.money import floor_share
from botd.core.orders import Order
from botd.core.outcomes import RATE_LIMITED, OrderStatus
from botd.core.portfolio import Position
from botd.core.runner import ExitGoal, Runner
from botd.core.values import maker
from botd.engine.layout import ASK, BID, P, T
from botd.engine.machine import DID_HOLDING, DID_TAKE_PROFIT, DID_TRAILING
from botd.errors import InvariantBroken

RETRY_REJECTED_US: Final = 10_000_000  # a rejected exit is asked again after this long, not at every row
STOPS_FAILED_MAX: Final = 3  # in a row: a venue that takes no stop for good leaves the position open
STOOD_US: Final = 60_000_000  # a stop that was there for so long has not failed
STOP_LOSS: Final = "stop_loss"
BY_STOP: Final = "stop"  # the rule of what a stopping daemon closes
_ZE1: Final = Section.ZE1
_E1: Final = Section.E1
_PROTECT: Final = Section.PROTECT
_MARKET: Final = OrderType.MARKET
_STOP_MARKET: Final = OrderType.STOP_MARKET
_UNTOUCHED: Final = (OrderStatus.CANCELED, OrderStatus.NEVER_ARRIVED)
PROTECT_RULES: Final = {
    DID_TAKE_PROFIT: "take_profit",
    DID_TRAILING: "trailing_stop",
    DID_HOLDING: "holding_max",
}

_decision_key = maker(DecisionKey)


# ---- rules that came true -----------------------------------------------------------------------


def protect(desk: Desk, runner: Runner, row: int, did: int) -> None:
    """Close everything because protect says so."""
    rule, position = PROTECT_RULES[did], _held(desk, runner)
    desk.signal(runner, _PROTECT, rule, row, runner.exit_side, reason=rule)
    _pursue(desk, runner, ExitGoal(_PROTECT, rule, -1, None), row, position)


def emergency(desk: Desk, runner: Runner, row: int, rule: int) -> None:
    """E1: close now; takes over from whatever exit is in flight."""
    position, spec = _held(desk, runner), runner.strategy.emergencies[rule]
    desk.signal(runner, _E1, spec.name, row, runner.exit_side)
    # what cannot be split is closed: an emergency is never nothing
    left = _share(runner, position, spec.close, row) or None
    _pursue(desk, runner, ExitGoal(_E1, spec.name, -1, left, spec.cooldown_us), row, position)


def leave(desk: Desk, runner: Runner, row: int, rule: int) -> None:
    """ZE1: close a share of what is held now."""
    position, spec = _held(desk, runner), runner.strategy.exits[rule]
    desk.signal(runner, _ZE1, spec.name, row, runner.exit_side)
    left = _share(runner, position, spec.close, row)
    if left == 0:  # the share is under one lot: the rule has had its turn
        runner.rule_fired(rule)
        runner.mark_busy(0)
        return
    _pursue(desk, runner, ExitGoal(_ZE1, spec.name, rule, left), row, position)


def ask_rest(desk: Desk, runner: Runner, row: int) -> None:
    """Ask for the remainder of an exit that ended short: same rule, next leg."""
    goal = runner.memory.goal
    if goal is None:
        raise InvariantBroken(f"{runner.strategy.id}: the rest of an exit is asked for that nobody began")
    _send(desk, runner, goal, row, _held(desk, runner))


def _held(desk: Desk, runner: Runner) -> Position:
    position = desk.portfolio.held(runner.key)
    if position is None:
        raise InvariantBroken(f"{runner.strategy.id}: an exit speaks and nothing is held")
    return position


def _share(runner: Runner, position: Position, close: Decimal, row: int) -> int | None:
    """Return the lots that a share of the position is, None for all of it.

    Floored to the lot; a remainder below the venue's minimum notional is closed too.
    """
    if close == 1:
        return None
    lots = floor_share(position.qty, close)
    rest = position.qty - lots
    lane = runner.lane
    if lane.instrument.money(rest * lane.values(row)[P]) < lane.instrument.min_notional:
        return None
    return lots


# ---- goals and their legs -----------------------------------------------------------------------


def _pursue(desk: Desk, runner: Runner, goal: ExitGoal, row: int, position: Position) -> None:
    """Take on a goal: emergencies and full closes cancel what still works to enter; the order goes out."""
    _take_over(runner, goal)
    if goal.left is None or goal.section is _E1:
        desk.cancel(runner.memory.entry_id, runner.lane.row_time(row))
    _send(desk, runner, goal, row, position)


def _take_over(runner: Runner, goal: ExitGoal) -> None:
    """Put a goal in the place of the one pursued, if any, without weakening it."""
    old = runner.memory.goal
    if old is not None:
        if old.index >= 0:
            runner.rule_fired(old.index)
        if old.left is None:
            goal.left = None
        goal.cooldown_us = max(goal.cooldown_us, old.cooldown_us)
    runner.memory.goal = goal


def _send(
    desk: Desk, runner: Runner, goal: ExitGoal, row: int, position: Position, at_us: int | None = None
) -> None:
    """Order what the goal still lacks and no live exit will close; `at_us` where it is not the row's time."""
    memory, lane = runner.memory, runner.lane
    free = position.qty - _in_flight(desk, runner)
    lots = free if goal.left is None else min(goal.left, free)
    if lots <= 0:
        return  # what is in flight closes it; its end decides what is left
    values = lane.values(row)
    price = values[BID] if runner.sign > 0 else values[ASK]
    ts_us, row_number = values[T] if at_us is None else at_us, lane.row0 + row
    leg = memory.next_leg(goal.section, goal.rule)
    key = _decision_key(runner.strategy.id, lane.instrument.id, memory.cycle, goal.section, goal.rule, leg)
    asked = desk.intent(lane.instrument, key, row_number, ts_us, runner.exit_side, lots, price, "exit")
    desk.risk(asked, None)  # an exit is never refused, and says so in its row
    order = desk.submit(
        key, row_number, ts_us, runner.exit_side, lots, _MARKET, price, asked.seq, reduce_only=True
    )
    memory.exit_ids.append(order.client_order_id)


def _in_flight(desk: Desk, runner: Runner) -> int:
    """Return the lots that live exit orders may still close (the resting stop is not one of them)."""
    orders = (desk.orders.get(client_order_id) for client_order_id in runner.memory.exit_ids)
    return sum(order.leaves for order in orders if order is not None)


def exit_filled(runner: Runner, order: Order, fill: OrderFilled) -> None:
    """Count a fill towards the goal it belongs to."""
    goal = runner.memory.goal
    if goal is None:
        return
    if goal.left is not None and order.key.section is goal.section and order.key.rule == goal.rule:
        goal.left = max(0, goal.left - fill.qty)
    if goal.cooldown_us:
        runner.block_until(fill.ts_us + goal.cooldown_us)


def exit_ended(desk: Desk, runner: Runner, order: Order, position: Position, ts_us: int) -> None:
    """An exit order is over and something is still held: finish the goal or ask for the rest."""
    memory, goal = runner.memory, runner.memory.goal
    memory.exit_ids = [one for one in memory.exit_ids if _live(desk, one)]
    if goal is None or memory.exit_ids:
        return
    if goal.left == 0:
        if goal.index >= 0:
            runner.rule_fired(goal.index)
        memory.goal = None
        runner.mark_busy(0)
    elif memory.flattening and order.filled:  # no row will come to ask at
        _send_now(desk, runner, goal, position, ts_us)
    else:
        runner.ask_again(ts_us + RETRY_REJECTED_US if order.status is OrderStatus.REJECTED else 0)


def _live(desk: Desk, client_order_id: ClientOrderId) -> bool:
    order = desk.orders.get(client_order_id)
    return order is not None and not order.is_terminal


def flatten(desk: Desk, runner: Runner, ts_us: int, rule: str = BY_STOP) -> None:
    """Close everything held because the daemon stops, or a person says so, and what an entry still buys."""
    runner.memory.flattening = rule
    position = desk.portfolio.held(runner.key)
    if position is not None:
        goal = ExitGoal(Section.MANUAL, rule, -1, None)
        _take_over(runner, goal)
        runner.mark_busy(2)
        _send_now(desk, runner, goal, position, ts_us)


def _send_now(desk: Desk, runner: Runner, goal: ExitGoal, position: Position, ts_us: int) -> None:
    """Order without a row of its own: the last row judged gives the price."""
    last = runner.lane.judged()
    if last is None:  # its instrument is gone: there is no price to close at before a row comes
        text = f"{runner.lane.instrument.id} has no price and cannot be closed; the position stays"
        desk.alert("critical", "not_closed", text, ts_us, runner)
        runner.ask_again(ts_us)
        return
    _send(desk, runner, goal, last - runner.lane.base, position, ts_us)


# ---- the stop at the venue ----------------------------------------------------------------------


def keep_stop(desk: Desk, runner: Runner, position: Position, ts_us: int) -> None:
    """Have the stop at the venue cover exactly what is held, at its distance from the average entry."""
    if runner.stop_ratio is None:
        return
    memory = runner.memory
    order = desk.orders.get(memory.stop_id) if memory.stop_id else None
    price = _stop_price(position, *runner.stop_ratio)
    if order is None or order.is_terminal:
        if memory.goal is None or memory.goal.rule != STOP_LOSS:  # else it was hit: the rest is being closed
            _send_stop(desk, runner, position, price, ts_us)
        return
    wanted = order.filled + position.qty
    if wanted == order.qty and price == order.command.stop:
        return
    # before it is accepted, or while an answer is out, a request could overtake the one before it
    if order.accepted and not memory.amending:
        memory.amending = True
        desk.amend(order, wanted, price, ts_us)


def adopt_stop(desk: Desk, runner: Runner, ts_us: int) -> None:
    """Replace the stop at the venue by the one the file asks for now, if any.

    A resting one is cancelled, and its end sends the other: two stops could both fill. One that is being
    hit is left to its work.
    """
    order = desk.orders.get(runner.memory.stop_id) if runner.memory.stop_id else None
    if order is None or order.is_terminal:
        keep_stop(desk, runner, _held(desk, runner), ts_us)
    elif not order.filled:
        desk.cancel(order.client_order_id, ts_us)


def _stop_price(position: Position, numerator: int, denominator: int) -> int:
    """Return the stop in ticks, on the near side of the exact price: never further away than the file says.

    It is measured from the average of all entries, which exits leave as it is.
    """
    cost, lots = position.entry_cost * numerator, denominator * position.entry_qty
    return max(1, -(-cost // lots) if position.sign > 0 else cost // lots)


def _send_stop(desk: Desk, runner: Runner, position: Position, price: int, ts_us: int) -> None:
    memory, lane = runner.memory, runner.lane
    leg = memory.next_leg(_PROTECT, STOP_LOSS)
    key = _decision_key(runner.strategy.id, lane.instrument.id, memory.cycle, _PROTECT, STOP_LOSS, leg)
    order = desk.submit(
        key,
        lane.row0 + lane.next - 1,
        ts_us,
        runner.exit_side,
        position.qty,
        _STOP_MARKET,
        price,
        None,
        stop=price,
        reduce_only=True,
    )
    memory.stop_id = order.client_order_id
    memory.amending = False


def stop_refused(desk: Desk, runner: Runner, order: Order, position: Position, ts_us: int) -> None:
    """The venue would not resize the stop: one that covers too little makes way for another."""
    if order.leaves < position.qty:
        text = f"the venue would not resize stop {order.client_order_id}: {order.reason}"
        desk.alert("critical", "stop_not_resized", text, ts_us, runner)
        runner.memory.stops_failed = -1  # its end is our own doing
        desk.cancel(order.client_order_id, ts_us)


def stop_ended(desk: Desk, runner: Runner, order: Order, position: Position, ts_us: int) -> None:
    """The stop is over and something is still held: another takes its place, or the rest is closed.

    One that was cancelled untouched, that never came or came too fast is replaced, a few times in a row; one
    that was hit, refused or dropped by the venue makes protect close what is left.
    """
    memory = runner.memory
    untouched = order.status in _UNTOUCHED or order.reason.startswith(RATE_LIMITED)
    if untouched and order.filled == 0:
        stood = ts_us - order.command.ts_us >= STOOD_US
        memory.stops_failed = 1 if stood else memory.stops_failed + 1
        if memory.stops_failed < STOPS_FAILED_MAX:
            keep_stop(desk, runner, position, ts_us)
            return
        text = f"{memory.stops_failed} stops in a row did not stand ({order.reason}): the position is closed"
        desk.alert("critical", "stop_does_not_stand", text, ts_us, runner)
    desk.cancel(memory.entry_id, ts_us)
    goal = memory.goal
    if goal is None or goal.left is not None:
        _take_over(runner, ExitGoal(_PROTECT, STOP_LOSS, -1, None))
        runner.mark_busy(2)
        runner.ask_again(0)
