"""The rule machines of one instrument, row by row, against hand-made columns."""

from __future__ import annotations

import pytest

from tests.engine.cases import SECOND
from tests.engine.play import (
    Play,
    after_entry,
    ask_again,
    block_until,
    enter,
    idle,
    judged,
    opened,
    release,
    strategy,
)

OUT = "{ name: out, when: bid_size > 4, close: 100% }"
CRASH = "{ name: crash, when: bid_size > 5 }"


# ---- S1 -------------------------------------------------------------------------------------------


def test_row_that_makes_s1_true_may_run_z1() -> None:
    assert judged(Play(strategy(), {"S1": ".1", "Z1": "11"})) == [(1, "S1"), (1, "Z1")]


def test_signal_waits_for_z1() -> None:
    assert judged(Play(strategy(), {"S1": "1...", "Z1": ".?.1"})) == [(0, "S1"), (3, "Z1")]


def test_s1_true_from_the_first_row_is_a_signal() -> None:
    assert judged(Play(strategy(), {"S1": "111", "Z1": "..."})) == [(0, "S1")]


def test_A14_undefined_s1_is_no_signal() -> None:  # noqa: N802
    assert judged(Play(strategy(), {"S1": "???", "Z1": "111"})) == []


@pytest.mark.parametrize("between", [".", "?"])
def test_s1_rearms_after_it_was_false_or_undefined_once(between: str) -> None:
    play = Play(strategy(), {"S1": f"111{between}1", "Z1": "1"}).at(1, idle())
    assert judged(play) == [(0, "S1"), (0, "Z1"), (4, "S1")]


def test_s1_that_stays_true_after_a_denial_is_no_second_signal() -> None:
    play = Play(strategy(), {"S1": "1111111", "Z1": "1111111"}).at(1, idle())
    assert judged(play) == [(0, "S1"), (0, "Z1")]


def test_s1_may_rearm_while_a_position_is_open() -> None:
    play = Play(strategy(), {"S1": "1..111", "Z1": "111111"}).at(1, enter()).at(4, idle())
    assert judged(play) == [(0, "S1"), (0, "Z1"), (4, "S1"), (4, "Z1")]


def test_cooldown_counts_from_the_signal_and_ends_at_its_row() -> None:
    play = Play(strategy(signal="cooldown: 5s"), {"S1": "1.111111", "Z1": "1"}).at(1, idle())
    # armed again in row 1; the fifth second is row 5
    assert judged(play) == [(0, "S1"), (0, "Z1"), (5, "S1")]


def test_default_cooldown_is_a_minute() -> None:
    play = Play(
        strategy(signal="confidence: 1"), {"S1": "1.", "Z1": "1"}, times=[0, SECOND, 59_999_999, 60_000_000]
    )
    play.columns[0]["S1"][:] = [1, 0, 1, 1]
    assert judged(play.at(1, idle())) == [(0, "S1"), (0, "Z1"), (3, "S1")]


def test_cooldown_after_an_exit_keeps_s1_quiet() -> None:
    play = Play(strategy(), {"S1": "1.1111", "Z1": "1"}).at(1, idle(), block_until(4 * SECOND))
    assert judged(play) == [(0, "S1"), (0, "Z1"), (4, "S1")]


def test_s1_without_z1_enters_at_once() -> None:
    assert judged(Play(strategy(z1=False), {"S1": "..1"})) == [(2, "S1"), (2, "Z1")]


# ---- confidence -----------------------------------------------------------------------------------


def test_confidence_below_the_minimum_is_recorded_and_starts_the_cooldown() -> None:
    doubtful = strategy(signal="confidence: imbalance, cooldown: 3s")
    play = Play(doubtful, {"S1": "1.1111", "Z1": "111111"}, confidence=[0.49, 0, 0, 0.5, 0.5, 0.5])
    assert judged(play) == [(0, "weak"), (3, "S1"), (3, "Z1")]


def test_undefined_confidence_is_weak() -> None:
    doubtful = strategy(signal="confidence: imbalance, cooldown: 0s")
    assert judged(Play(doubtful, {"S1": "1", "Z1": "1"}, confidence=[float("nan")])) == [(0, "weak")]


def test_strategys_own_minimum_comes_first() -> None:
    strict = strategy(signal="confidence: imbalance, confidence_min: 0.7, cooldown: 0s")
    assert judged(Play(strict, {"S1": "1", "Z1": "1"}, confidence=[0.69])) == [(0, "weak")]
    assert judged(Play(strict, {"S1": "1", "Z1": "1"}, confidence=[0.7])) == [(0, "S1"), (0, "Z1")]


# ---- O1 -------------------------------------------------------------------------------------------


def test_o1_comes_before_z1() -> None:
    play = Play(strategy(o1="when: bid_size > 2"), {"S1": "1..", "O1": "..1", "Z1": "..1"})
    assert judged(play) == [(0, "S1"), (2, "O1")]


def test_o1_may_run_in_the_row_that_made_s1_true() -> None:
    play = Play(strategy(o1="when: bid_size > 2"), {"S1": "1", "O1": "1", "Z1": "1"})
    assert judged(play) == [(0, "S1"), (0, "O1")]


def test_undefined_o1_forgets_nothing() -> None:
    play = Play(strategy(o1="when: bid_size > 2"), {"S1": "1..", "O1": "???", "Z1": "..1"})
    assert judged(play) == [(0, "S1"), (2, "Z1")]


def test_after_counts_from_the_signal() -> None:
    times = [0, 4_999_999, 5_000_000, 6_000_000]
    play = Play(strategy(o1="after: 5s"), {"S1": "1...", "Z1": "..11"}, times=times)
    assert judged(play) == [(0, "S1"), (2, "after")]
    play = Play(strategy(o1="after: 5s"), {"S1": "1...", "Z1": ".1.."}, times=times)
    assert judged(play) == [(0, "S1"), (1, "Z1")]


def test_next_signal_comes_in_a_later_row_than_o1() -> None:
    play = Play(strategy(o1="when: bid_size > 2"), {"S1": "1.1.1", "O1": "..1..", "Z1": "...."})
    # S1 is true and armed in row 2, but O1 has just spoken there
    assert judged(play) == [(0, "S1"), (2, "O1"), (4, "S1")]


def test_nothing_is_asked_again_while_an_entry_works() -> None:
    assert judged(Play(strategy(), {"S1": "1.1.1", "Z1": "11111"})) == [(0, "S1"), (0, "Z1")]


# ---- in position: the order of sections -------------------------------------------------------------


def test_no_exit_speaks_before_the_first_fill() -> None:
    play = opened({"ZE1.0": "111", "E1.0": "..."}, at=2, exits=OUT, emergencies=CRASH)
    assert after_entry(play) == [(2, "ZE1.0")]


def test_protect_comes_before_e1_and_e1_before_ze1() -> None:
    protect = "stop_loss: 90%, take_profit: 1%"
    columns = {"ZE1.0": ".111", "E1.0": "..11"}
    play = opened(columns, exits=OUT, emergencies=CRASH, protect=protect, bid=[1000, 1000, 1000, 1010])
    assert after_entry(play) == [(1, "ZE1.0"), (2, "E1.0")]
    play = opened(
        {"ZE1.0": ".1", "E1.0": ".1"}, exits=OUT, emergencies=CRASH, protect=protect, bid=[1000, 1010]
    )
    assert after_entry(play) == [(1, "take_profit")]
    play = opened({"ZE1.0": ".1", "E1.0": ".1"}, exits=OUT, emergencies=CRASH)
    assert after_entry(play) == [(1, "E1.0")]


def test_first_rule_of_a_section_speaks_first() -> None:
    two = "{ name: a, when: bid_size > 4 }, { name: b, when: ask_size > 4 }"
    assert after_entry(opened({"ZE1.0": ".?", "ZE1.1": ".1"}, exits=two)) == [(1, "ZE1.1")]
    assert after_entry(opened({"ZE1.0": ".1", "ZE1.1": ".1"}, exits=two)) == [(1, "ZE1.0")]


def test_exit_in_flight_keeps_further_exits_waiting_except_e1() -> None:
    columns = {"ZE1.0": ".1111", "E1.0": "...11"}
    protect = "stop_loss: 90%, take_profit: 1%"
    play = opened(columns, exits=OUT, emergencies=CRASH, protect=protect, bid=[1000, 1000, 1020])
    assert after_entry(play) == [(1, "ZE1.0"), (3, "E1.0")]


def test_e1_does_not_interrupt_an_e1() -> None:
    two = "{ name: a, when: bid_size > 5 }, { name: b, when: ask_size > 5 }"
    assert after_entry(opened({"E1.0": ".1111", "E1.1": "..111"}, emergencies=two)) == [(1, "E1.0")]


def test_e1_speaks_over_protect_in_flight() -> None:
    play = opened({"E1.0": "..1"}, emergencies=CRASH, protect="stop_loss: 90%, holding_max: 500ms")
    play.at(1, enter(t=0))
    assert after_entry(play) == [(1, "holding_max"), (2, "E1.0")]


def test_ze1_fires_once_for_each_position() -> None:
    two = "{ name: a, when: bid_size > 4 }, { name: b, when: ask_size > 4 }"
    play = opened({"S1": "1....1", "Z1": "1....1", "ZE1.0": ".1111111", "ZE1.1": "...1"}, exits=two)
    play.at(2, release(fired=0)).at(4, release(fired=1)).at(5, idle()).at(6, enter())
    assert judged(play) == [
        (0, "S1"),
        (0, "Z1"),
        (1, "ZE1.0"),
        (3, "ZE1.1"),
        (5, "S1"),
        (5, "Z1"),
        (6, "ZE1.0"),
    ]


def test_ze1_that_has_not_filled_may_fire_again() -> None:
    play = opened({"ZE1.0": ".111"}, exits=OUT).at(3, release())
    assert after_entry(play) == [(1, "ZE1.0"), (3, "ZE1.0")]


def test_s1_is_not_heard_in_position() -> None:
    assert after_entry(opened({"S1": "1.1.1.1"})) == []


# ---- the remainder of an exit -----------------------------------------------------------------------


def test_remainder_is_asked_for_at_the_next_row() -> None:
    play = opened({"ZE1.0": ".1"}, exits=OUT, rows=6).at(3, ask_again()).at(5, ask_again())
    assert after_entry(play) == [(1, "ZE1.0"), (3, "retry"), (5, "retry")]


def test_remainder_of_a_rejected_exit_waits_for_its_time() -> None:
    play = opened({"ZE1.0": ".1"}, exits=OUT, rows=9).at(3, ask_again(at=7 * SECOND))
    assert after_entry(play) == [(1, "ZE1.0"), (7, "retry")]


def test_e1_takes_over_a_remainder_that_waits() -> None:
    play = opened({"ZE1.0": ".1", "E1.0": "....1"}, exits=OUT, emergencies=CRASH, rows=9)
    play.at(3, ask_again(at=7 * SECOND))
    assert after_entry(play) == [(1, "ZE1.0"), (4, "E1.0")]


def test_e1_of_the_very_row_takes_over_the_remainder() -> None:
    play = opened({"ZE1.0": ".1", "E1.0": "...1"}, exits=OUT, emergencies=CRASH, rows=6).at(3, ask_again())
    assert after_entry(play) == [(1, "ZE1.0"), (3, "E1.0")]


def test_remainder_of_e1_is_asked_for_though_e1_is_true() -> None:
    play = opened({"E1.0": ".11111"}, emergencies=CRASH).at(3, ask_again())
    assert after_entry(play) == [(1, "E1.0"), (3, "retry")]
