"""The position program against a hand-kept position, row by row."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from botd.engine.engine import InstrumentEngine
from botd.engine.jit import entry
from botd.engine.kernels import pos_eval
from botd.engine.layout import MARK, P, T
from botd.language.program import compile_program
from tests.engine.cases import LOT, SECOND, START, TICK, blank_rows, strategy_of

Words = tuple[float, float, float, float, float]
FLAT: Words = (0.0, 0.0, 0.0, 1.0, 1.0)


@entry
def evaluate(code, fpar, lo, hi, t, U, F, S, j, reg, words, pst):  # noqa: N803
    return pos_eval(code, fpar, lo, hi, t, U, F, S, j, reg, words, pst)


def answers(text: str, words: Sequence[Words], prices: Sequence[int] | None = None) -> list[int]:
    """Evaluate an exit rule once a second; `words` are the position's at each row."""
    exits = f"ZE1: [ {{ name: out, when: '{text}' }} ]\n"
    program = compile_program([strategy_of({}, s1="price > 0", exits=exits)])
    rows = blank_rows(len(words))
    rows[T] = START + np.arange(len(words)) * SECOND
    rows[P] = 100 if prices is None else prices
    rows[MARK] = np.where(rows[P] == 0, 0, rows[P])
    engine = InstrumentEngine(program, tick=TICK, lot=LOT, block_max=16)
    engine.phase[:] = 1
    engine.append(rows)
    (rule,) = program.machines[0].exits
    assert rule.slot == -1
    registers = np.zeros(program.n_reg)
    state = np.full(max(1, program.n_pos_state), -1, np.int64)
    span = program.pos_code, program.pos_fpar, rule.pos_start, rule.pos_end
    found = []
    for j, word in enumerate(words):
        block = engine.U, engine.F, engine.block_max, j
        found.append(int(evaluate(*span, int(rows[T, j]), *block, registers, np.array(word), state)))
    return found


def pnl(*series: float) -> list[Words]:
    best = -math.inf
    out: list[Words] = []
    for second, value in enumerate(series):
        best = max(best, value)
        out.append((value, best, float(second), 100.0, 2.5))
    return out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pnl > 3%", [0, 0, 1]),
        ("pnl >= 2%", [0, 1, 1]),
        ("pnl == 2%", [0, 1, 0]),
        ("pnl != 2%", [1, 0, 1]),
        ("pnl_max > 1% and held >= 2s", [0, 0, 1]),
        ("pnl < 0 or held >= 1s", [1, 1, 1]),
        ("not (pnl > 3%)", [1, 1, 0]),
        ("-pnl > 0", [1, 0, 0]),
        ("abs(pnl) > 1.5%", [0, 1, 1]),
        ("entry_price + pnl * entry_price > 101", [0, 1, 1]),
        ("entry_price - 100 > pnl * entry_price", [1, 0, 0]),
        ("position_size / 5 == 0.5 and pnl > 0", [0, 1, 1]),
        ("min(pnl, 2.5%) > 2%", [0, 0, 1]),
        ("max(pnl, 1%) > 1%", [0, 1, 1]),
        ("clamp(pnl, 0%, 3%) == 0", [1, 0, 0]),
        ("if(pnl > 0, held, 9s) > 1.5s", [1, 0, 1]),
        ("pnl / (held - held) > 0", [2, 2, 2]),
        ("not (pnl / (held - held) > 0)", [2, 2, 2]),
        ("if(pnl / (held - held) > 0, held, held) > 0s", [2, 2, 2]),
        ("pnl > -100% or pnl / (held - held) > 0", [2, 2, 2]),
        ("pnl < -100% and pnl / (held - held) > 0", [2, 2, 2]),
        ("pnl / (held - held) <= 0", [2, 2, 2]),
        ("pnl / (held - held) == 0", [2, 2, 2]),
        ("pnl / (held - held) != 0", [2, 2, 2]),
        ("pnl crosses above pnl * held / (held - held)", [2, 2, 2]),
        ("min(pnl * held / (held - held), pnl) > 0", [2, 2, 2]),
        ("max(pnl, pnl * held / (held - held)) > 0", [2, 2, 2]),
    ],
)
def test_rules_by_hand(text: str, expected: list[int]) -> None:
    assert answers(text, pnl(-0.01, 0.02, 0.04)) == expected


def test_market_columns_are_read_at_their_row() -> None:
    assert answers("pnl > 0 and price > 2", pnl(1, 1, -1, 1), [100, 300, 300, 300]) == [0, 1, 0, 1]
    assert answers("pnl * entry_price > price", pnl(0.01, 0.03), [200, 200]) == [0, 1]


def test_undefined_market_value_makes_the_rule_undefined() -> None:
    assert answers("pnl > 0 or mark_price > 2", pnl(1, 1), [0, 300]) == [2, 1]
    assert answers("entry_price > mark_price", pnl(9, 9), [0, 300]) == [2, 1]


def test_for_starts_at_the_first_evaluation_and_is_reset_by_false_and_undefined() -> None:
    series = pnl(1, 1, 1, -1, 1, 1, 1, 1)
    assert answers("pnl > 0 for 2s", series) == [0, 0, 1, 0, 0, 0, 1, 1]
    with_gap = [100, 100, 0, 100, 100, 100, 100, 100]
    rule = "(pnl * entry_price > mark_price - 200) for 2s"
    assert answers(rule, pnl(*([1.0] * 8)), with_gap) == [0, 0, 2, 0, 0, 1, 1, 1]


def test_crossing_needs_the_other_side_since_the_first_fill() -> None:
    assert answers("pnl crosses above 1%", pnl(0.02, 0.01, 0.02, 0.0, 0.01, 0.02)) == [0, 0, 0, 0, 0, 1]
    assert answers("pnl crosses below 1%", pnl(0.0, 0.02, 0.01, 0.0)) == [0, 0, 0, 1]
