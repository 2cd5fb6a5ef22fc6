"""What a person asks of one position or one order: close it, cancel it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from botd.core import exit
from botd.core.desk import Desk
from botd.core.events import ClientOrderId, Section
from botd.core.instrument import InstrumentId
from botd.core.orders import Order
from botd.core.outcomes import OrderStatus
from botd.core.restraint import TradingCommand, Verb
from botd.core.runner import Runner

VERBS: Final = frozenset({Verb.CLOSE, Verb.CANCEL})
RULE: Final = "close"  # of section `manual`

Key = tuple[str, InstrumentId]  # a strategy and an instrument


def changes(desk: Desk, command: TradingCommand) -> bool:
    """Return whether a command would change anything: what is being closed or cancelled already is not."""
    if command.verb is Verb.CANCEL:
        return _entry(desk, command) is not None
    return any(_can_close(desk, runner) for runner in _meant(desk, command))


def obey(desk: Desk, runner_of: Mapping[Key, Runner], command: TradingCommand, ts_us: int) -> None:
    """Carry out a command; one that changes nothing leaves no trace."""
    why = f" by {command.who}" + (f": {command.reason}" if command.reason else "")
    if command.verb is Verb.CANCEL:
        order = _entry(desk, command)
        if order is not None:
            desk.cancel(order.client_order_id, ts_us)
            text = f"{order.side} {order.client_order_id} is cancelled{why}"
            desk.alert("medium", "order_canceled_by_hand", text, ts_us, runner_of[order.owner])
        return
    for runner in _meant(desk, command):
        if _can_close(desk, runner):
            desk.alert("medium", "position_closed_by_hand", f"the position is closed{why}", ts_us, runner)
            desk.cancel(runner.memory.entry_id, ts_us)
            exit.flatten(desk, runner, ts_us, RULE)


def _meant(desk: Desk, command: TradingCommand) -> Iterator[Runner]:
    for runner in desk.runners:
        strategy, instrument = runner.key
        if instrument == command.scope and command.strategy in ("", strategy):
            yield runner


def _can_close(desk: Desk, runner: Runner) -> bool:
    """Say whether something is held that no order of a person is closing whole already."""
    memory = runner.memory
    if desk.portfolio.held(runner.key) is None:
        return False
    goal = memory.goal
    being_closed = goal is not None and goal.section is Section.MANUAL and goal.left is None
    return not (being_closed and memory.exit_ids)


def _entry(desk: Desk, command: TradingCommand) -> Order | None:
    """Return the entry that a command cancels, None where it is over, being cancelled, or no entry."""
    order = desk.orders.get(ClientOrderId(command.scope))
    if order is None or order.is_terminal or order.status is OrderStatus.PENDING_CANCEL:
        return None
    return order if order.key.section is Section.Z1 else None
