"""What keeps new risk out: the trading states, their causes, and the commands that set and lift them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from botd.core.values import value
from botd.errors import StateCorrupt


class TradingState(StrEnum):
    """Whether new risk may be taken. Exits run in all three."""

    ACTIVE = "active"
    REDUCING = "reducing"  # held: released when its cause ends
    HALTED = "halted"  # persisted, lifted only by a command


class Cause(StrEnum):
    """Why trading was halted or held."""

    COMMAND = "command"  # a person, through `botd halt`
    FILE = "file"  # a person, who put HALT into the state folder
    SIGNAL = "signal"  # SIGUSR1
    REJECTS_IN_A_ROW = "rejects_in_a_row"
    CRASH_LOOP = "crash_loop"
    TASK_LOST = "task_lost"  # a task of the daemon that trading needs was given up
    LOOP_STALLED = "loop_stalled"  # the event loop stood still: what is decided on late rows is late
    LIQUIDATION = "liquidation"  # the venue closed a position of ours
    EXTERNAL_TRADE = "external_trade"  # somebody traded on the account past botd
    TRADE_BUSTED = "trade_busted"  # the venue took a trade back
    BANNED = "banned"  # the venue shut us out
    RATE_CAP = "rate_cap"  # more orders or more notional than botd ever sends
    VENUE_DOWN = "venue_down"  # what it says cannot be had, or is too old
    POSITION_DIFFERS = "position_differs"  # from the venue's, and no trade explains it
    QUARANTINED = "quarantined"  # an instrument is gone: from the feed, or the venue trades it no more
    MODE_CHANGED = "mode_changed"  # somebody changed position mode, margin mode or leverage at the venue
    DAILY_LOSS = "daily_loss"  # since 00:00 UTC, over its limit: until the next day
    DRAWDOWN = "drawdown"  # from the peak, over its limit; a resume makes what is there the new peak
    CLOCK_SKEW = "clock_skew"  # our clock is off the venue's


class Verb(StrEnum):
    HALT = "halt"
    RESUME = "resume"  # lifts every halt
    HOLD = "hold"
    RELEASE = "release"  # lifts the hold of its cause
    RESOLVE = "resolve"  # ends an order that needs a person, its scope, with what is booked of it
    CLOSE = "close"  # what a strategy, or everybody, holds of the instrument that is its scope
    CANCEL = "cancel"  # an entry, its scope


# not of the trading state: obeyed where every lane has been judged up to the same row, since they change what
# the rows behind it come to
OF_ONE_THING: Final = frozenset({Verb.RESOLVE, Verb.CLOSE, Verb.CANCEL})


BEGINS: Final = {Verb.HALT: TradingState.HALTED, Verb.HOLD: TradingState.REDUCING}
ACCOUNT: Final = "account"  # the scope of everything; any other is an instrument's id, or a strategy's


@value(frozen=True, slots=True, kw_only=True)
class TradingCommand:
    """A change of the trading state, or the end of an order or a position, that somebody asks for."""

    verb: Verb
    cause: Cause
    who: str
    reason: str = ""  # for people
    scope: str = ACCOUNT  # a resume lifts the halts of every scope
    strategy: str = ""  # of a close: whose position; empty is everybody's


def scope_of(strategy: str) -> str:
    """Return the scope of one strategy, which no instrument's id can be."""
    return f"strategy:{strategy}"


def quarantine(instrument: str, why: str) -> TradingCommand:
    """Return the halt of an instrument that is gone; what is held of it stays, at its last price."""
    reason = f"{why}; what is held stays in the books at its last price"
    return TradingCommand(
        verb=Verb.HALT, cause=Cause.QUARANTINED, who="botd", reason=reason, scope=instrument
    )


@value(frozen=True, slots=True, kw_only=True)
class Restraint:
    """One standing reason why no new risk is taken."""

    state: TradingState  # never active
    cause: Cause
    who: str
    reason: str
    since_us: int  # event time
    scope: str = ACCOUNT

    def row(self) -> list[Any]:
        """Return everything as plain values."""
        return [str(self.state), str(self.cause), self.who, self.reason, self.since_us, self.scope]

    @classmethod
    def of(cls, row: Iterable[Any]) -> Restraint:
        """Make the restraint that `row` described."""
        state, cause, who, reason, since_us, *scope = row  # a row of an older botd has no scope
        return cls(
            state=TradingState(state),
            cause=Cause(cause),
            who=who,
            reason=reason,
            since_us=since_us,
            scope=scope[0] if scope else ACCOUNT,
        )


def gravest(standing: Iterable[Restraint]) -> Restraint | None:
    """Return the restraint that names the trading state: the first halt, else the first hold, else None."""
    found = None
    for one in standing:
        if one.state is TradingState.HALTED:
            return one
        found = found or one
    return found


def trading_text(command: TradingCommand, ts_us: int) -> str:
    """Return a command and the event time of its place as one line of JSON."""
    fields = {
        "verb": command.verb,
        "cause": command.cause,
        "who": command.who,
        "reason": command.reason,
        "scope": command.scope,
        "ts_us": ts_us,
    }
    if command.strategy:
        fields["strategy"] = command.strategy
    return json.dumps(fields)


def trading_of(text: str) -> tuple[TradingCommand, int]:
    """Return what `trading_text` was given; raise StateCorrupt for anything else."""
    try:
        fields: Mapping[str, Any] = json.loads(text)
        command = TradingCommand(
            verb=Verb(fields["verb"]),
            cause=Cause(fields["cause"]),
            who=fields["who"],
            reason=fields["reason"],
            scope=fields.get("scope", ACCOUNT),  # a line of an older botd has none
            strategy=fields.get("strategy", ""),
        )
        return command, int(fields["ts_us"])
    except (ValueError, KeyError, TypeError) as error:
        raise StateCorrupt(f"not a trading command that botd wrote: {text[:80]}") from error
