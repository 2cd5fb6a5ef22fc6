"""Trading commands as text and back, and which restraint names the state."""

from __future__ import annotations

import pytest

from botd.core.restraint import (
    Cause,
    Restraint,
    TradingCommand,
    TradingState,
    Verb,
    gravest,
    quarantine,
    trading_of,
    trading_text,
)
from botd.errors import StateCorrupt


def restraint(state: TradingState, cause: Cause = Cause.FILE) -> Restraint:
    return Restraint(state=state, cause=cause, who="w", reason="r", since_us=1)


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("cause", Cause)
def test_command_comes_back_as_it_was_written(verb: Verb, cause: Cause) -> None:
    command = TradingCommand(verb=verb, cause=cause, who='ann "the" operator', reason="line\nbreak, ü")
    text = trading_text(command, 1_700_000_000_000_001)
    assert "\n" not in text
    assert trading_of(text) == (command, 1_700_000_000_000_001)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "halt",
        '{"verb": "stop", "cause": "file", "who": "", "reason": "", "ts_us": 1}',
        '{"verb": "halt", "cause": "whim", "who": "", "reason": "", "ts_us": 1}',
        '{"verb": "halt", "cause": "file", "who": "", "reason": ""}',
        '{"verb": "halt", "cause": "file", "who": "", "reason": "", "ts_us": null}',
    ],
)
def test_anything_else_is_corrupt(text: str) -> None:
    with pytest.raises(StateCorrupt, match="not a trading command"):
        trading_of(text)


def test_restraint_comes_back_from_plain_values() -> None:
    one = restraint(TradingState.REDUCING, Cause.LOOP_STALLED)
    row = one.row()
    assert [type(part) for part in row] == [str, str, str, str, int, str]
    assert Restraint.of(row) == one


def test_first_halt_outranks_every_hold_and_the_first_hold_stands_alone() -> None:
    hold, later = (restraint(TradingState.REDUCING, cause) for cause in (Cause.LOOP_STALLED, Cause.FILE))
    halt, second = (restraint(TradingState.HALTED, cause) for cause in (Cause.SIGNAL, Cause.FILE))
    assert gravest([]) is None
    assert gravest([hold, later]) is hold
    assert gravest([hold, halt, second]) is halt


def test_F7_quarantine_halts_an_instrument_and_says_what_becomes_of_the_position() -> None:  # noqa: N802
    halt = quarantine("BTC/USDT", "it is gone")
    assert (halt.verb, halt.cause, halt.scope) == (Verb.HALT, Cause.QUARANTINED, "BTC/USDT")
    assert halt.reason == "it is gone; what is held stays in the books at its last price"
