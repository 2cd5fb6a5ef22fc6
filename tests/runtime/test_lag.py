"""The event loop's lag: what is found at which look, by a clock that only the test moves."""

from __future__ import annotations

import pytest

from botd.runtime.lag import Finding, LagLimits, LagWatch

LATE, STALLED, WELL_AGAIN, STUCK = Finding


class Loop:
    """An event loop that beats every 0.1 s while it is well, and a watch that looks every 0.1 s."""

    def __init__(self, limits: LagLimits | None = None) -> None:
        self.watch = LagWatch(limits or LagLimits())
        self.now = 100.0
        self.watch.beat(self.now)

    def well(self, seconds: float) -> list[Finding]:
        found: list[Finding] = []
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            self.watch.beat(self.now)
            found += self.watch.look(self.now)[0]
        return found

    def still(self, seconds: float, *, looks: bool = True) -> list[Finding]:
        """Let the loop stand still; without `looks` the watching thread stands still too."""
        found: list[Finding] = []
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            if looks:
                found += self.watch.look(self.now)[0]
        return found


def test_K1_loop_that_is_well_is_no_finding() -> None:  # noqa: N802 - the fault's id
    loop = Loop()
    assert loop.well(60) == []
    assert (loop.watch.late, round(loop.watch.lag_max_s, 6)) == (0, 0.0)


def test_K1_late_loop_is_counted_and_shown_once() -> None:  # noqa: N802 - the fault's id
    loop = Loop()
    loop.well(1)
    assert loop.still(0.3) == []
    assert loop.still(0.7) == [LATE]
    loop.well(1)
    assert loop.watch.late == 1
    assert loop.watch.lag_max_s == pytest.approx(1.0)


def test_K1_stack_is_shown_once_in_ten_seconds_and_every_stall_counted() -> None:  # noqa: N802 - the fault's id
    loop = Loop()
    shown = 0
    for _ in range(20):
        shown += (loop.still(0.5) + loop.well(0.5)).count(LATE)
    assert (shown, loop.watch.late) == (2, 20)


def test_K1_stall_ends_once_the_loop_has_been_well_for_a_second() -> None:  # noqa: N802 - the fault's id
    loop = Loop()
    assert loop.still(2.0) == [LATE]
    assert loop.still(3.0) == [STALLED]
    assert loop.well(0.9) == []
    assert loop.well(0.3) == [WELL_AGAIN]
    assert loop.well(5) == []


def test_K1_loop_that_is_late_again_is_not_well() -> None:  # noqa: N802 - the fault's id
    loop = Loop()
    loop.still(3)
    assert loop.well(0.8) == []
    loop.still(0.5)
    assert loop.well(0.9) == []
    assert loop.well(0.3) == [WELL_AGAIN]


def test_K1_stuck_loop_is_found_at_its_limit() -> None:  # noqa: N802 - the fault's id
    loop = Loop()
    assert loop.still(30) == [LATE, STALLED]
    assert loop.still(0.3) == [STUCK] * 2  # whoever acts on it acts once


def test_K1_process_that_was_stopped_is_stalled_and_not_stuck() -> None:  # noqa: N802 - the fault's id
    loop = Loop()
    loop.well(1)
    loop.still(300, looks=False)
    assert loop.still(0.1) == [LATE, STALLED]
    assert loop.well(20) == [WELL_AGAIN]
    late, stalled, *rest = loop.still(31)  # what it did not see before is no excuse now
    assert (late, stalled, set(rest)) == (LATE, STALLED, {STUCK})


def test_loop_that_rests_is_not_watched() -> None:
    loop = Loop()
    loop.watch.rest()
    assert loop.still(100) == []
    loop.watch.beat(loop.now)
    assert loop.watch.late == 0
    assert loop.still(0.5) == [LATE]


def test_first_look_knows_nothing_of_before() -> None:
    watch = LagWatch(LagLimits())
    assert watch.look(5.0) == ([], 0.0)
