"""What a simulated day came to, in numbers and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import MutableSequence
from dataclasses import dataclass, field

from botd.runtime.supervisor import describe
from botd.simulation.host import End, EndCause, Process


@dataclass(slots=True)
class Tally:
    """What a run came to, also one that failed."""

    starts: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    died_at: Counter[str] = field(default_factory=Counter)  # failpoints
    orders: int = 0
    decisions_compared: int = 0
    history: MutableSequence[str] = field(default_factory=list)

    @property
    def crashes(self) -> int:
        return self.ends[EndCause.KILLED] + self.ends[EndCause.POWER_LOST]


def said(process: Process) -> str:
    """Say how a process ended."""
    end: End = process.ended.result()
    if end.error is not None:
        return f"{end.cause} with {describe(end.error)}"
    return f"{end.cause} with {end.result}" if end.cause is EndCause.RETURNED else str(end.cause)
