"""The lag of the event loop: counted, shown, answered with a hold, and in the end with the process's."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_BLIND_S: Final = 1.0
_SHOW_EVERY_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LagLimits:
    """What is taken for what; seconds."""

    beat_s: float = 0.1  # how often the loop has to give a sign of life
    late_s: float = 0.25  # counted, and shown with the stack of its thread
    hold_s: float = 2.0  # no new risk until it has been well for `steady_s`
    steady_s: float = 1.0
    kill_s: float = 30.0  # the process ends; starting again is the recovery


class Finding(StrEnum):
    """What a look at the loop comes to, where it comes to anything."""

    LATE = "late"
    STALLED = "stalled"
    WELL_AGAIN = "well_again"  # after a stall
    STUCK = "stuck"


class LagWatch:
    """Judges an event loop by its beats. It beats in its thread, another one looks.

    `late` counts beats that came late, `lag_max_s` is the longest lag so far.
    """

    def __init__(self, limits: LagLimits) -> None:
        self.limits = limits
        self.late = 0
        self.lag_max_s = 0.0
        self._beat_s: float | None = None
        self._looked_s: float | None = None
        self._blind_s = 0.0
        self._is_late = False
        self._shown_s: float | None = None
        self._stalled = False
        self._well_s: float | None = None

    def beat(self, now_s: float) -> None:
        """Take a sign of life."""
        if self._beat_s is not None:
            lag_s = now_s - self._beat_s - self.limits.beat_s
            self.lag_max_s = max(self.lag_max_s, lag_s)
            self.late += lag_s > self.limits.late_s
        self._beat_s = now_s

    def rest(self) -> None:
        """Expect no beats until the next one."""
        self._beat_s = None

    def lag_s(self, now_s: float) -> float:
        """Return how late the loop is, 0 where it is not, or where no beat is expected."""
        beat_s = self._beat_s
        return 0.0 if beat_s is None else max(0.0, now_s - beat_s - self.limits.beat_s)

    def look(self, now_s: float) -> tuple[list[Finding], float]:
        """Return what there is to say about the loop now, and its lag in seconds."""
        beat_s, looked_s, self._looked_s = self._beat_s, self._looked_s, now_s
        if beat_s is None:
            return [], 0.0
        lag_s = now_s - beat_s - self.limits.beat_s
        found = self._judge_lateness(now_s, lag_s)
        # Where this thread was not run either, the process was stopped or starved: late, and not stuck.
        unseen_s = now_s - looked_s if looked_s is not None else 0.0
        self._blind_s = self._blind_s + (unseen_s if unseen_s > _BLIND_S else 0.0) if self._is_late else 0.0
        if lag_s > self.limits.hold_s:
            self._well_s = None
            if not self._stalled:
                self._stalled = True
                found.append(Finding.STALLED)
        elif self._stalled:
            found += self._judge_recovery(now_s)
        if lag_s - self._blind_s > self.limits.kill_s:
            found.append(Finding.STUCK)
        return found, lag_s

    def _judge_lateness(self, now_s: float, lag_s: float) -> list[Finding]:
        """Say that the loop is late once per stall, and not for every stall of a bad stretch."""
        was_late, self._is_late = self._is_late, lag_s > self.limits.late_s
        if not self._is_late or was_late:
            return []
        if self._shown_s is not None and now_s - self._shown_s < _SHOW_EVERY_S:
            return []
        self._shown_s = now_s
        return [Finding.LATE]

    def _judge_recovery(self, now_s: float) -> list[Finding]:
        if self._is_late:
            self._well_s = None
            return []
        if self._well_s is None:
            self._well_s = now_s
        if now_s - self._well_s < self.limits.steady_s:
            return []
        self._stalled, self._well_s = False, None
        return [Finding.WELL_AGAIN]
