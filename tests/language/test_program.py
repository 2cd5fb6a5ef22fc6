"""Strategies compiled to one program: sections, guards, slots and the position code."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from botd.errors import InvariantBroken
from botd.language import opcodes as op
from botd.language.program import Program, compile_program
from botd.language.strategy import read_strategy
from botd.language.typed import RATIO, Expr, Span, Strategy

SECOND = 1_000_000
PUMP = """\
strategy: pump_rider
instruments: [EVX/BTC]
side: long
let:
  fast: twpa(10s)
  slow: twpa(5m)
  speed: fast / slow - 1
  rush: rush_orders(25s)
  busy: volume(10s) / (volume(10m) / 60)
S1:
  when: zscore(rush, 7h, every 25s) > 40 and busy > 3
  confidence: clamp(speed / 5%, 0, 1)
O1:
  when: speed < 0
  after: 20s
Z1:
  when: spread < 150bps
  order: { type: limit, price: best_bid, ttl: 5s }
  size: { kelly: 25% }
ZE1:
  - { name: half, when: pnl > 3%, close: 50% }
  - { name: fade, when: speed < 0 for 3s, close: 100% }
E1:
  - { name: crash, when: speed < -2% }
protect: { stop_loss: 2% }
on_stop: cancel
"""


def read(text: str) -> Strategy:
    strategy, diagnostics = read_strategy(text, "tried.yaml")
    assert strategy is not None, "\n".join(d.render() for d in diagnostics)
    return strategy


def simple(name: str, s1: str, z1: str = "always", ze1: str = "", lets: str = "") -> Strategy:
    exits = f"ZE1: [ {{ name: out, when: '{ze1}' }} ]\n" if ze1 else ""
    return read(
        f"strategy: {name}\ninstruments: [X/Y]\nside: long\n{lets}S1: {{ when: '{s1}' }}\n"
        f"Z1: {{ when: '{z1}', order: {{ type: market }}, size: {{ fixed: 1 Y }} }}\n"
        f"{exits}protect: {{ stop_loss: 2% }}\non_stop: cancel\n"
    )


def ops(program: Program) -> list[int]:
    return program.code.reshape(-1, 8)[:, 0].tolist()


def guards(program: Program) -> list[tuple[int, list[int]]]:
    """Return (machine, operators behind its guard) of every guard."""
    code = program.code.reshape(-1, 8)
    return [
        (int(row[3]), code[k + 1 : k + 1 + row[6], 0].tolist())
        for k, row in enumerate(code)
        if row[0] == op.GUARD
    ]


def test_sections_of_the_pump_rider_have_their_columns() -> None:
    program = compile_program([read(PUMP)])
    (machine,) = program.machines
    assert machine.strategy.id == "pump_rider"
    assert min(machine.s1, machine.confidence, machine.o1, machine.z1, machine.limit_price) >= 0
    half, fade = machine.exits
    assert (half.slot, half.pos_end - half.pos_start) == (-1, 3)
    assert fade.slot >= 0
    assert fade.pos_start == fade.pos_end
    assert len(machine.emergencies) == 1
    assert [name for name, _, _ in machine.lets] == ["fast", "slow", "speed", "rush", "busy"]
    assert program.lookback_us == 7 * 3600 * SECOND
    assert program.columns == {op.CUM_PT, op.CUM_V, op.CUM_RUSH}
    assert program.bar_lengths == ()
    assert program.code.dtype == np.int64


def test_columns_that_stage_2_reads_keep_their_value_to_the_end() -> None:
    program = compile_program([read(PUMP), simple("other", "price > vwap(1m)", "price > 3")])
    code = program.code.reshape(-1, 8)
    boolean = set(range(op.LT, op.FOR + 1)) | {op.AGOU}
    written: dict[tuple[bool, int], int] = {}  # the last operator that writes a slot
    for row in code:
        if row[0] not in (op.GUARD, op.EDGE, op.BAR, op.HIST, op.HISTU):
            written[(int(row[0]) in boolean, int(row[1]))] = int(row[0])
    pump, other = program.machines
    lets = {name: slot for name, _, slot in pump.lets}
    expected = {
        (True, pump.s1): op.AND,
        (True, pump.o1): op.LTFC,
        (True, pump.z1): op.LTFC,
        (True, pump.exits[1].slot): op.FOR,
        (True, pump.emergencies[0].slot): op.LTFC,
        (True, other.s1): op.LT,
        (True, other.z1): op.LTCF,
        (False, pump.confidence): op.MAX,
        (False, pump.limit_price): op.BEST_BID,
        (False, lets["fast"]): op.TWPA0,
        (False, lets["slow"]): op.TWPA0,
        (False, lets["speed"]): op.SUBFC,
        (False, lets["rush"]): op.SUM0,
        (False, lets["busy"]): op.DIV,
    }
    assert len(expected) == 14
    assert {key: written[key] for key in expected} == expected
    assert len(code) - len(guards(program)) > len(written)  # other slots are used again


def test_common_expressions_of_several_strategies_are_computed_once() -> None:
    one = compile_program([simple("a", "price > twpa(1m)")])
    two = compile_program([simple("a", "price > twpa(1m)"), simple("b", "twpa(1m) < price")])
    assert ops(one) == ops(two)
    assert two.machines[0].s1 == two.machines[1].s1


def test_guard_holds_back_what_only_one_idle_strategy_needs() -> None:
    program = compile_program(
        [
            simple("a", "price > 1", "volume(5s) > 3", "mid > 7"),
            simple("b", "price > 2", "volume(5s) > 4", "mid > 7"),
        ]
    )
    assert guards(program) == [(0, [op.LTCF]), (1, [op.LTCF])]
    before = ops(program)[: ops(program).index(op.GUARD)]
    assert {op.SUM0, op.MID, op.EDGE, op.PRICE} <= set(before)


def test_guard_never_holds_back_what_keeps_state_nor_what_that_needs() -> None:
    program = compile_program([simple("a", "price > 1", "(mid - price > 2 for 3s) and best_bid > 4")])
    assert guards(program) == [(0, [op.BEST_BID, op.LTCF, op.AND])]


def test_guard_of_a_strategy_without_own_nodes_is_left_out() -> None:
    program = compile_program([simple("a", "price > 1")])
    assert guards(program) == []
    assert program.const_u == ((program.machines[0].z1, 1),)


def test_numbers_have_columns_of_their_own_without_instructions() -> None:
    program = compile_program([simple("a", "min(price, 3) > max(mid, 4)")])
    assert sorted(value for _, value in program.const_f) == [3.0, 4.0]
    assert op.CONST not in ops(program)
    written = {int(row[1]) for row in program.code.reshape(-1, 8) if row[0] != op.LT}
    assert {slot for slot, _ in program.const_f}.isdisjoint(written)


def test_resources_are_numbered_and_sized() -> None:
    program = compile_program(
        [
            simple(
                "a",
                "high(1m) > low(5m) and zscore(price, 1m, every 5s) > 1 and price > price[5s ago]"
                " and sma(close(1m), 30)[3 bars ago] > ema(close(5m), 10)",
            )
        ]
    )
    assert program.deques.shape == (2,)
    assert program.bars.shape == (2,)
    assert program.n_hist == 1
    assert program.n_sample == 13
    assert program.bar_keep == 35
    assert program.bar_lengths == (60 * SECOND, 300 * SECOND)
    assert program.edges.shape == (3,)
    ranges = [state.ist for state in program.states]
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(ranges))
    assert ranges[-1][1] <= program.ist0.shape[0]
    assert len({state.hash for state in program.states}) == len(program.states)


def test_words_that_remember_have_state_and_parameters() -> None:
    text = (
        "stddev(1m) + stddev(from 1m to 5s) < vwap(1m) and slope(1h) > slope(from 2h to 1m)"
        " and funding_rate < 1% and price crosses above mid and high(from 1m to 5s) > 3"
        " and (price > 3)[9s ago] and vwap(from 1m to 5s) > 2 and sells(5s) < sells(from 1m to 5s)"
        " and twpa(from 1m to 5s) > 1 and if(price > 2, mid, price) > 0 and price > 1 for 3s"
    )
    program = compile_program([simple("a", text)])
    code = program.code.reshape(-1, 8)
    rows = {int(row[0]): row.tolist() for row in code}
    assert program.columns == {op.CUM_PT, op.CUM_V, op.CUM_PV, op.CUM_BUY}
    slopes = sorted(code[code[:, 0] == op.SLOPEW, 6:].tolist())
    assert slopes == [[3600 * SECOND >> 20, 0], [(7200 - 60) * SECOND >> 20, 1]]
    assert sorted(code[code[:, 0] == op.STDDEVW, 7].tolist()) == [0, 1]
    assert rows[op.HIGHW][6:] == [0, 1]
    assert rows[op.TWPA][6:] == [60 * SECOND, 5 * SECOND]
    assert rows[op.AGOU][6] == 0
    words = {state.op: state.ist[1] - state.ist[0] for state in program.states}
    assert words[op.STDDEVW] == words[op.SLOPEW] == 9
    assert (words[op.CROSS], words[op.FOR], words[op.HIGHW], words[op.FUNDING_RATE]) == (1, 1, 3, 0)


def test_bar_words_carry_their_periods() -> None:
    program = compile_program([simple("a", "macd(close(1m), 3, 6) > macd_signal(bar_low(1m), 3, 6, 4)")])
    assert program.bar_keep == 8
    state = {state.op: program.ist0[slice(*state.ist)].tolist() for state in program.states}
    assert state[op.B_MACD] == [0, 0, 0, 3, 6, 0]
    assert state[op.B_MACD_SIGNAL] == [0, 0, 0, 3, 6, 4]
    column = {int(row[0]): int(row[3]) for row in program.code.reshape(-1, 8)}
    assert (column[op.B_MACD], column[op.B_MACD_SIGNAL]) == (3, 2)


def test_position_rules_read_columns_and_words() -> None:
    program = compile_program([simple("a", "price > 1", ze1="pnl > velocity(5s, 1m) and spread < 1%")])
    (rule,) = program.machines[0].exits
    code = program.pos_code[rule.pos_start : rule.pos_end]
    assert code[:, 0].tolist() == [op.P_COLF, op.P_WORD, op.P_LT, op.P_COLU, op.P_AND]
    assert code[1, 2] == 0
    assert code[-1].tolist() == [op.P_AND, 4, 2, 3, 0, 0]
    assert program.n_reg == 5
    assert program.n_pos_state == 0


@pytest.mark.parametrize(
    ("rule", "waits", "slot"),
    [
        ("price < 60", True, True),
        ("change(10s) < -2% for 3s", True, True),
        ("close(1m) < 60", True, True),
        ("mark_price < 60 and funding_rate > 1bps", False, True),
        ("time_of_day > 16h", False, True),
        ("never", False, True),
        ("price crosses below 60", True, False),
        ("mark_price crosses below 60", False, False),
        ("pnl < -1% and held > 3s", False, False),
        ("pnl < -1% and price < 60", True, False),
        ("pnl < change(10s)", True, False),
        ("pnl < -1% and mark_price < 60", False, False),
    ],
)
def test_rules_that_a_print_can_move_wait_for_its_confirmation(rule: str, waits: bool, slot: bool) -> None:
    program = compile_program([simple("a", "price > 1", ze1=rule)])
    (code,) = program.machines[0].exits
    assert (code.waits, code.slot >= 0) == (waits, slot)


def test_crossings_of_prints_are_kept_in_states_of_their_own() -> None:
    text = "(pnl < 5% for 3s) and (price crosses below 60 or mid crosses below 60)"
    program = compile_program([simple("a", "price > 1", ze1=text)])
    (rule,) = program.machines[0].exits
    code = program.pos_code[rule.pos_start : rule.pos_end]
    assert code[code[:, 0] == op.P_EVENT, 5].tolist() == [1]  # the two are one column
    assert program.machines[0].pos_state == (0, 2)


def test_position_rules_use_every_scalar_operator() -> None:
    text = (
        "clamp(pnl, 0, pnl_max) - abs(-pnl) < if(pnl > 1%, 2, pnl_max)"
        " and (held > 5s for 2s) or not (pnl crosses above 1%) and pnl crosses below pnl_max"
    )
    program = compile_program([simple("a", "price > 1", ze1=text)])
    used = set(program.pos_code[:, 0].tolist())
    assert {op.P_MIN, op.P_MAX, op.P_SUB, op.P_ABS, op.P_NEG, op.P_IF, op.P_FOR, op.P_CROSS, op.P_NOT} <= used
    assert program.n_pos_state == 3
    assert program.machines[0].pos_state == (0, 3)


def test_each_strategy_has_its_own_position_state() -> None:
    program = compile_program(
        [simple("a", "price > 1", ze1="pnl > 1% for 2s"), simple("b", "price > 1", ze1="pnl > 1% for 2s")]
    )
    assert [m.pos_state for m in program.machines] == [(0, 1), (1, 2)]
    assert program.pos_code[program.pos_code[:, 0] == op.P_FOR, 5].tolist() == [0, 1]


def test_operator_without_a_scalar_form_breaks_an_invariant() -> None:
    strategy = simple("a", "price > 1", ze1="pnl > 1%")
    pnl = Expr(op="pnl", unit=RATIO, span=Span(0, 0))
    (rule,) = strategy.exits
    object.__setattr__(
        rule, "when", Expr(op="zscore", args=(pnl,), params=(9, 1), unit=RATIO, span=Span(0, 0))
    )
    with pytest.raises(InvariantBroken, match="zscore"):
        compile_program([strategy])


def test_strategy_without_an_o1_or_a_confidence_has_none() -> None:
    (machine,) = compile_program([simple("a", "price > 1")]).machines
    assert (machine.o1, machine.confidence, machine.limit_price) == (-1, -1, -1)


def test_o1_by_time_alone_has_no_column() -> None:
    text = PUMP.replace("  when: speed < 0\n  after: 20s\n", "  after: 20s\n")
    (machine,) = compile_program([read(text)]).machines
    assert machine.o1 == -1


def test_no_strategies_make_an_empty_program() -> None:
    program = compile_program([])
    assert program.code.shape == (0,)
    assert program.machines == ()
