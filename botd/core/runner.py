"""One strategy on one instrument: what the core remembers of it beside its rule machine."""

from __future__ import annotations

from dataclasses import dataclass, field

from botd.core.events import ClientOrderId, Section
from botd.core.lanes import Lane
from botd.engine.machine import (
    BEST,
    BLOCKED_UNTIL,
    BUSY,
    COST,
    ENTRY_T,
    FIRED,
    IDLE,
    IN_POSITION,
    QTY,
    RETRY,
    RETRY_AT,
    WORDS,
)
from botd.language.typed import PositionSide, Strategy


@dataclass(slots=True)
class ExitGoal:
    """What an exit rule set out to close, over as many legs as it takes."""

    section: Section
    rule: str
    index: int  # of a ZE1 rule; -1 otherwise
    left: int | None  # lots still to close; None is everything held
    leg: int = 0
    intent_seq: int = 0
    cooldown_us: int = 0  # E1: counts from its fill


@dataclass(slots=True)
class Memory:
    """The part of a runner that a snapshot keeps."""

    cycle: int = 0
    confidence: float = 1.0
    entry_id: ClientOrderId | None = None
    stop_id: ClientOrderId | None = None
    exit_ids: list[ClientOrderId] = field(default_factory=list)
    goal: ExitGoal | None = None
    stop_leg: int = 0
    amending: bool = False  # a change of the stop's quantity is on its way


class Runner:
    """Bind a strategy, its machine on a lane, and its memory."""

    __slots__ = ("lane", "machine", "memory", "sign", "strategy")

    def __init__(self, strategy: Strategy, lane: Lane, machine: int) -> None:
        self.strategy = strategy
        self.lane = lane
        self.machine = machine
        self.sign = 1 if strategy.side is PositionSide.LONG else -1
        self.memory = Memory()

    def phase(self) -> int:
        return int(self.lane.engine.phase[self.machine])

    def become_idle(self) -> None:
        """End the signal or the position."""
        self.lane.engine.phase[self.machine] = IDLE
        self._set(QTY, 0)
        self._set(BUSY, 0)
        self._set(RETRY, 0)

    def open(self, ts_us: int) -> None:
        """Enter the position: the first fill has come."""
        self.lane.engine.phase[self.machine] = IN_POSITION
        for word in (BEST, BUSY, FIRED, RETRY):
            self._set(word, 0)
        self._set(ENTRY_T, ts_us)
        self.lane.machines.reset_position_state(self.machine)

    def hold(self, lots: int, cost: int) -> None:
        """Tell the machine what is held now."""
        self._set(QTY, lots)
        self._set(COST, cost)

    def release_exit(self) -> None:
        """Let the next exit rule speak."""
        self._set(BUSY, 0)

    def mark_busy(self, level: int) -> None:
        self._set(BUSY, level)

    def rule_fired(self, index: int) -> None:
        place = self.machine * WORDS + FIRED
        words = self.lane.machines.words
        words[place] = int(words[place]) | (1 << index)

    def ask_again(self, at_us: int) -> None:
        """Have the machine ask for the exit's remainder at the first row from `at_us` on."""
        self._set(RETRY, 1)
        self._set(RETRY_AT, at_us)

    def block_until(self, ts_us: int) -> None:
        """Keep S1 quiet until a time (a cooldown)."""
        place = self.machine * WORDS + BLOCKED_UNTIL
        words = self.lane.machines.words
        words[place] = max(int(words[place]), ts_us)

    def _set(self, word: int, value: int) -> None:
        self.lane.machines.words[self.machine * WORDS + word] = value
