"""What the venue's answers do: to positions and their stops, to signals, to the machines."""

from __future__ import annotations

from typing import Final

from botd.core import excess, exit, halts
from botd.core.desk import Desk
from botd.core.events import Answer, OrderAmended, OrderFilled, OrderType, RequestRefused, Section
from botd.core.instrument import InstrumentKind
from botd.core.orders import Order
from botd.core.portfolio import Position
from botd.core.runner import Runner
from botd.engine import machine as m

# names of their own for what every answer asks: a member read through its class costs more than the rest
_Z1: Final = Section.Z1
_STOP_MARKET: Final = OrderType.STOP_MARKET


def filled(desk: Desk, runner: Runner, order: Order, fill: OrderFilled) -> None:
    """Book one execution, and what follows from it."""
    position = desk.portfolio.held(runner.key)
    desk.rejects = 0
    if order.key.section is _Z1:
        position = _entry_filled(desk, runner, order, fill, position)
    else:
        position = _exit_filled(desk, runner, order, fill, position)
    if order.filled > order.qty:
        excess.overfilled(desk, runner, order, fill.ts_us, position)
    if order.is_terminal:
        ended(desk, runner, order, position, fill.ts_us)


def _entry_filled(
    desk: Desk, runner: Runner, order: Order, fill: OrderFilled, held: Position | None
) -> Position:
    """Book a fill of an entry; return the position."""
    memory, opens = runner.memory, held is None
    effect = desk.portfolio.apply_fill(
        runner.strategy.id,
        runner.lane.instrument,
        order.side,
        fill.qty,
        fill.price,
        fill.fee,
        fill.ts_us,
        memory.opening_cycle(order.key.cycle) if opens else memory.cycle,
        False,
        memory.confidence,
        order.revision,
    )
    desk.fill(order, order.key, fill, effect)
    position = effect.position
    if opens:
        runner.open(fill.ts_us)
        memory.goal, memory.exit_ids, memory.stop_id = None, [], None
    runner.hold(position.qty, position.cost)
    desk.entered[runner] = fill.ts_us
    if memory.flattening:
        exit.flatten(desk, runner, fill.ts_us, memory.flattening)
    return position


def protect_entered(desk: Desk) -> None:
    """Have a stop stand for whoever has bought at this place, made of all the fills there."""
    for runner, ts_us in desk.entered.items():
        position = desk.portfolio.held(runner.key)
        if position is not None:
            exit.keep_stop(desk, runner, position, ts_us)
    desk.entered.clear()


def _exit_filled(
    desk: Desk, runner: Runner, order: Order, fill: OrderFilled, held: Position | None
) -> Position | None:
    """Book a fill of an exit; return what is held after it."""
    own = fill
    if held is None or fill.qty > held.qty:
        part = excess.split_exit(desk, runner, order, fill, held)
        if part is None:
            return None
        own = part
    effect = desk.portfolio.apply_fill(
        runner.strategy.id,
        runner.lane.instrument,
        order.side,
        own.qty,
        own.price,
        own.fee,
        own.ts_us,
        runner.memory.cycle,
        True,
    )
    desk.fill(order, order.key, own, effect)
    exit.exit_filled(runner, order, own)
    if order.type is _STOP_MARKET:  # what was hit closes everything
        desk.cancel(runner.memory.entry_id, own.ts_us)
    return reduced(desk, runner, effect.position, own.ts_us)


def reduced(desk: Desk, runner: Runner, position: Position, ts_us: int) -> Position | None:
    """Follow a position that has become smaller; return it, None where nothing is left of it."""
    runner.hold(position.qty, position.cost)
    if position.qty == 0:
        _flat(desk, runner, ts_us)
        desk.snapshot(desk.portfolio, ts_us, desk.marks(desk.place), (runner.lane.instrument.quote,))
        return None
    exit.keep_stop(desk, runner, position, ts_us)
    return position


def _flat(desk: Desk, runner: Runner, ts_us: int) -> None:
    """Nothing is held any more: what still rests is cancelled, and the machine idles once no entry works."""
    memory = runner.memory
    desk.cancel(memory.stop_id, ts_us)
    desk.cancel(memory.entry_id, ts_us)
    memory.goal = None
    if memory.entry_id is None:
        runner.become_idle()
    else:
        runner.await_entry()


def ended(desk: Desk, runner: Runner, order: Order, position: Position | None, ts_us: int) -> None:
    """An order is over; `position` is what is held now."""
    memory = runner.memory
    if order.client_order_id == memory.entry_id:
        memory.entry_id = None
        desk.working.remove(runner)
        if position is None and runner.phase() == m.ENTERING:
            runner.become_idle()
    elif order.client_order_id == memory.stop_id:
        memory.stop_id = None
        if position is not None:
            exit.stop_ended(desk, runner, order, position, ts_us)
    elif position is not None:
        exit.exit_ended(desk, runner, order, position, ts_us)
    if runner.waits_to_enter and not desk.orders.any_live(runner.key):
        runner.may_enter()


def rejected(desk: Desk, runner: Runner, order: Order, ts_us: int, *, exposed: bool) -> None:
    """Count a rejected entry; cry out over an exit that leaves something held."""
    is_entry = order.key.section is _Z1
    if is_entry:
        halts.count_reject(desk, ts_us)
    elif not exposed:
        return  # another exit was faster: there was nothing left to reduce
    elif _too_small(desk, runner, order):
        desk.unsellable.append((runner, order.decision_price))
        return
    text = f"the venue rejected {order.side} {order.client_order_id}: {order.reason}"
    desk.alert("high" if is_entry else "critical", "order_rejected", text, ts_us, runner)
    if is_entry:
        halts.after_reject(desk, runner, ts_us)


def _too_small(desk: Desk, runner: Runner, order: Order) -> bool:
    """Say whether all that is held of a spot is less than the venue sells."""
    instrument, position = runner.lane.instrument, desk.portfolio.held(runner.key)
    if instrument.kind is not InstrumentKind.SPOT or position is None:
        return False
    return instrument.money(position.qty * order.decision_price) < instrument.min_notional


def stop_heard(desk: Desk, runner: Runner, order: Order, answer: Answer) -> None:
    """A resting stop was accepted or changed, or was not: see that it covers what is held by now."""
    memory, position = runner.memory, desk.portfolio.held(runner.key)
    if order.client_order_id != memory.stop_id or position is None:
        return
    if isinstance(answer, RequestRefused) and memory.amending:
        memory.amending = False
        exit.stop_refused(desk, runner, order, position, answer.ts_us)
        return
    if isinstance(answer, OrderAmended):
        memory.amending = False
    exit.keep_stop(desk, runner, position, answer.ts_us)
