"""From a failing run to the few faults that it takes: delta debugging over what fired.

The check that failed is kept: without that, a smaller set may fail for another reason, and one bug slides
into another (Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing Input, 2002).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from botd.errors import InvariantBroken
from botd.simulation.chance import Fired

T = TypeVar("T")

RUNS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Trial:
    """How a run went: the check that failed, None where all held, and the faults that happened."""

    check: str | None
    fired: tuple[Fired, ...]


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The smallest set of faults found that fails the same check."""

    check: str
    faults: tuple[Fired, ...]
    runs: int
    complete: bool  # leaving out any single one of them was tried, and the check held


def shrink(run: Callable[[Collection[Fired] | None], Trial], *, runs_max: int = RUNS_MAX) -> Shrunk:
    """Find few faults that fail the check which the whole run fails.

    `run(None)` is the run as its seed has it, `run(faults)` the one in which only these may happen. Raises
    InvariantBroken where the whole run fails no check, or fails another one when it is repeated.
    """
    whole = run(None)
    if whole.check is None:
        raise InvariantBroken("there is nothing to shrink: the run fails no check")
    again = run(whole.fired)
    if again != whole:
        raise InvariantBroken(
            f"the run is not repeatable: it failed {whole.check} after {len(whole.fired)} faults, "
            f"then {again.check} after {len(again.fired)}"
        )
    runs = 2

    def fails(faults: Sequence[Fired]) -> Sequence[Fired] | None:
        nonlocal runs
        if runs >= runs_max:
            raise _Enough
        runs += 1
        trial = run(faults)
        if trial.check != whole.check:
            return None
        happened = set(trial.fired)  # of those allowed some may not have come up
        return [fault for fault in faults if fault in happened]

    smallest = list(whole.fired)

    def keep(faults: Sequence[Fired]) -> None:
        smallest[:] = faults

    complete = True
    try:
        minimize(whole.fired, fails, keep)
    except _Enough:
        complete = False
    return Shrunk(whole.check, tuple(smallest), runs, complete)


class _Enough(Exception):
    """All the runs that were granted are spent."""


def minimize(
    items: Sequence[T],
    fails: Callable[[Sequence[T]], Sequence[T] | None],
    keep: Callable[[Sequence[T]], None],
) -> None:
    """Leave out items, half of them first and single ones last, until none can be spared.

    `fails` returns what is left of a subset that still fails, None of one that does not; `keep` hears of each
    smaller one found.
    """
    left = list(items)
    parts = 2
    while left:
        size = max(1, -(-len(left) // parts))
        for start in range(0, len(left), size):
            found = fails(left[:start] + left[start + size :])
            if found is not None:
                left = list(found)
                keep(left)
                parts = max(parts - 1, 2)
                break
        else:
            if size == 1:
                return
            parts = min(parts * 2, len(left))
