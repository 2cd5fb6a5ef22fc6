"""An instrument whose rows end, beside others whose rows go on."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

import numpy as np

from botd.core.instrument import InstrumentId
from botd.core.restraint import Cause, Restraint, TradingState
from botd.engine import layout as col
from botd.engine.layout import N_INPUT
from botd.ports import Chunk
from botd.runtime.silence import SILENT_US, Silence
from tests.core.scene import PERP, SPOT

BOTH = (PERP, SPOT)


def rows(*prints: tuple[int, int]) -> Chunk:
    """Make rows of (instrument, time)."""
    values = np.zeros((N_INPUT, len(prints)), np.int64)
    values[col.T] = [at for _, at in prints]
    return Chunk(position=0, instrument=np.array([k for k, _ in prints], np.int64), rows=values)


def held(name: InstrumentId, state: TradingState = TradingState.REDUCING) -> Restraint:
    return Restraint(state=state, cause=Cause.QUARANTINED, who="feed", reason="", since_us=1, scope=name)


def asked(silence: Silence, chunk: Chunk, *standing: Restraint) -> list[tuple[str, str]]:
    return [(str(one.verb), one.scope) for one in silence.judge(chunk, standing)]


def test_F7_instrument_without_rows_for_an_hour_is_held_and_released_when_they_come() -> None:
    silence = Silence(BOTH, {PERP.id, SPOT.id})
    assert asked(silence, rows((0, 1), (1, 2))) == []
    assert asked(silence, rows((0, SILENT_US + 2))) == []
    assert asked(silence, rows((0, SILENT_US + 3))) == [("hold", SPOT.id)]
    assert asked(silence, rows((0, SILENT_US + 4)), held(SPOT.id)) == []
    assert asked(silence, rows((1, SILENT_US + 5)), held(SPOT.id)) == [("release", SPOT.id)]


def test_F7_hold_of_a_process_before_is_released_only_by_rows() -> None:
    silence = Silence(BOTH, {PERP.id, SPOT.id})
    assert asked(silence, rows((0, 10**15)), held(SPOT.id)) == []
    assert asked(silence, rows((1, 10**15 + 1)), held(SPOT.id)) == [("release", SPOT.id)]


def test_F7_halt_is_not_lifted_by_rows_and_what_nobody_trades_is_not_held() -> None:
    silence = Silence(BOTH, {PERP.id})
    assert asked(silence, rows((0, 1), (1, 1)), held(SPOT.id, TradingState.HALTED)) == []
    assert asked(silence, rows((0, 2 * SILENT_US))) == []
