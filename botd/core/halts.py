"""Halting, holding, releasing and resuming: what a trading command does to the desk.

A halt and a hold deny every entry; exits never ask. A halt also cancels the entries that still wait at
the venue: what fills an hour later is new risk too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from botd.core import by_hand
from botd.core.desk import Desk
from botd.core.events import ClientOrderId
from botd.core.outcomes import DenyReason
from botd.core.portfolio import DAY_US
from botd.core.restraint import (
    ACCOUNT,
    BEGINS,
    Cause,
    Restraint,
    TradingCommand,
    TradingState,
    Verb,
    scope_of,
)
from botd.core.risk import Denial
from botd.core.runner import Runner

REJECTS_KEPT_US: Final = 3_600_000_000

_LOSSES: Final = {DenyReason.DAILY_LOSS_MAX: Cause.DAILY_LOSS, DenyReason.DRAWDOWN_MAX: Cause.DRAWDOWN}
_TOLD: Final = frozenset(_LOSSES.values())  # by their reasons, how long they stand

# how loud, and what the alert of a verb is called
_ALERTS: Final = {
    Verb.HALT: ("critical", "trading_halted"),
    Verb.HOLD: ("high", "trading_held"),
    Verb.RELEASE: ("medium", "trading_released"),
    Verb.RESUME: ("medium", "trading_resumed"),
}


def obey(desk: Desk, command: TradingCommand, ts_us: int) -> None:
    """Carry out a command; one that changes nothing leaves no trace."""
    state = BEGINS.get(command.verb)
    if state is None:
        _lift(desk, command, _lifted_by(desk, command), ts_us)
        if command.verb is Verb.RESUME:
            desk.rejects = 0
    elif changes(desk, command):
        _begin(desk, command, state, ts_us)


def changes(desk: Desk, command: TradingCommand) -> bool:
    """Return whether a command would change anything."""
    if command.verb is Verb.RESOLVE:
        order = desk.orders.get(ClientOrderId(command.scope))
        return order is not None and order.needs_human
    if command.verb in by_hand.VERBS:
        return by_hand.changes(desk, command)
    state = BEGINS.get(command.verb)
    if state is None:
        return bool(_lifted_by(desk, command))
    asked = (state, command.cause, command.scope)
    return all((one.state, one.cause, one.scope) != asked for one in desk.restraints)


def count_reject(desk: Desk, ts_us: int) -> None:
    """Count an entry that the venue rejected; one long after the last begins a row of its own."""
    desk.rejects = desk.rejects + 1 if ts_us - desk.rejected_us < REJECTS_KEPT_US else 1
    desk.rejected_us = ts_us


def after_reject(desk: Desk, runner: Runner, ts_us: int) -> None:
    """Halt once the venue has rejected too many entries in a row.

    A strategy's own limit may be tighter than the account's and never looser: the venue refuses the
    account.
    """
    own = desk.limits_of(runner.strategy).rejects_in_a_row_max
    limit = min(own, desk.settings.limits.rejects_in_a_row_max)
    if desk.rejects >= limit:
        reason = f"the venue rejected {desk.rejects} entries in a row"
        halt = TradingCommand(verb=Verb.HALT, cause=Cause.REJECTS_IN_A_ROW, who="botd", reason=reason)
        obey(desk, halt, ts_us)


def after_denial(desk: Desk, runner: Runner, denial: Denial, ts_us: int) -> None:
    """Halt over a loss that denied an entry: the account, or the strategy whose own limit is tighter."""
    cause = _LOSSES.get(denial.reason)
    if cause is None or denial.limit is None or denial.actual is None:
        return
    limits, own = desk.settings.limits, desk.limits_of(runner.strategy)
    if cause is Cause.DAILY_LOSS:
        common, tight, what = limits.daily_loss_max, own.daily_loss_max, "lost since 00:00 UTC"
        until = "until the next day"
    else:
        common, tight, what = limits.drawdown_max, own.drawdown_max, "lost since the peak"
        until = "until botd resume, which makes what is there the new peak"
    # both limits are shares of one base
    beyond = tight >= common or denial.actual * tight > common * denial.limit
    currency = runner.lane.instrument.quote
    reason = f"{denial.actual:f} {currency} {what}, the limit is {denial.limit:f}; {until}"
    scope = ACCOUNT if beyond else scope_of(runner.strategy.id)
    obey(desk, TradingCommand(verb=Verb.HALT, cause=cause, who="botd", reason=reason, scope=scope), ts_us)


def end_day(desk: Desk, ts_us: int) -> None:
    """Lift the halts over what was lost on an earlier day."""
    over = [
        one
        for one in desk.restraints
        if one.cause is Cause.DAILY_LOSS and one.since_us // DAY_US < ts_us // DAY_US
    ]
    if over:
        command = TradingCommand(verb=Verb.RESUME, cause=Cause.DAILY_LOSS, who="botd", reason="a new day")
        _lift(desk, command, over, ts_us)


def inherit(desk: Desk, standing: Sequence[Restraint]) -> None:
    """Take over what restrained the account in a session before this one."""
    known = {(one.state, one.cause, one.scope) for one in desk.restraints}
    desk.restrain(
        [*desk.restraints, *(one for one in standing if (one.state, one.cause, one.scope) not in known)]
    )


def restate(desk: Desk, ts_us: int) -> None:
    """Record what stands: a new session begins with it."""
    for one in desk.restraints:
        verb = Verb.HALT if one.state is TradingState.HALTED else Verb.HOLD
        _record(desk, verb, one, one.who, one.reason, ts_us)


def _begin(desk: Desk, command: TradingCommand, state: TradingState, ts_us: int) -> None:
    restraint = Restraint(
        state=state,
        cause=command.cause,
        who=command.who,
        reason=command.reason,
        since_us=ts_us,
        scope=command.scope,
    )
    desk.restrain([*desk.restraints, restraint])
    _record(desk, command.verb, restraint, command.who, command.reason, ts_us)
    _alert(desk, command, command.cause, ts_us, command.scope)
    if state is TradingState.HALTED:
        for runner in list(desk.working):
            if command.scope in (ACCOUNT, runner.lane.instrument.id, scope_of(runner.strategy.id)):
                desk.cancel(runner.memory.entry_id, ts_us)


def _lift(desk: Desk, command: TradingCommand, lifted: Sequence[Restraint], ts_us: int) -> None:
    desk.restrain([one for one in desk.restraints if one not in lifted])
    for one in lifted:
        _record(desk, command.verb, one, command.who, command.reason, ts_us)
        _alert(desk, command, one.cause, ts_us, one.scope)
    if any(one.cause is Cause.DRAWDOWN for one in lifted):
        desk.portfolio.forget_peaks(desk.marks_now())


def _lifted_by(desk: Desk, command: TradingCommand) -> list[Restraint]:
    if command.verb is Verb.RESUME:
        return [one for one in desk.restraints if one.state is TradingState.HALTED]
    held = [one for one in desk.restraints if one.state is TradingState.REDUCING]
    return [one for one in held if (one.cause, one.scope) == (command.cause, command.scope)]


def _record(desk: Desk, verb: Verb, one: Restraint, who: str, reason: str, ts_us: int) -> None:
    desk.trading(ts_us, one, verb, desk.state_of(one.scope), who, reason)


def _alert(desk: Desk, command: TradingCommand, cause: Cause, ts_us: int, scope: str) -> None:
    severity, kind = _ALERTS[command.verb]
    why = f": {command.reason}" if command.reason else ""
    where = "" if scope == ACCOUNT else f" on {scope}"
    lift = "; no new entries until botd resume" if command.verb is Verb.HALT and cause not in _TOLD else ""
    desk.alert(severity, kind, f"{cause}{where}, by {command.who}{why}{lift}", ts_us)
