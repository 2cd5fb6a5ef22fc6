"""One strategy on one instrument: what the core remembers of it beside its rule machine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botd.core.events import ClientOrderId, Section, Side
from botd.core.lanes import Lane
from botd.engine.machine import (
    BEST,
    BLOCKED_UNTIL,
    BUSY,
    COST,
    ENTERING,
    ENTRY_T,
    FIRED,
    IDLE,
    IN_POSITION,
    QTY,
    RETRY,
    RETRY_AT,
    SIGNALLED,
    WAITS,
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
    cooldown_us: int = 0  # E1: counts from its fill


@dataclass(slots=True)
class Memory:
    """The part of a runner that a snapshot keeps."""

    cycle: int = 0
    opened: int = 0  # the cycle of the newest position
    confidence: float = 1.0
    entry_id: ClientOrderId | None = None
    stop_id: ClientOrderId | None = None
    exit_ids: list[ClientOrderId] = field(default_factory=list)
    goal: ExitGoal | None = None
    legs: dict[str, int] = field(default_factory=dict)  # orders of this cycle, by section and rule
    amending: bool = False  # a change of the stop's quantity is on its way
    stops_failed: int = 0  # in a row, none of which stood for a while
    flattening: bool = False  # the daemon stops: whatever still fills is closed again

    def begin_cycle(self) -> None:
        """Give what follows a cycle number of its own."""
        self.cycle += 1
        self.legs = {}
        self.stops_failed = 0

    def opening_cycle(self, ordered_in: int) -> int:
        """Return the cycle of a position that an entry fill opens: the signal's, or one of its own.

        A late fill after the close, or after another signal, must not share a cycle with what came before.
        """
        if ordered_in != self.cycle or self.opened == self.cycle:
            self.begin_cycle()
        self.opened = self.cycle
        return self.cycle

    def next_leg(self, section: Section, rule: str) -> int:
        """Return the leg of a rule's next order: no two orders have the same decision key."""
        name = section + "|" + rule
        leg = self.legs.get(name, 0)
        self.legs[name] = leg + 1
        return leg

    def state(self) -> dict[str, Any]:
        """Return everything as plain values."""
        goal = self.goal
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "exit_ids": list(self.exit_ids),
            "legs": dict(self.legs),
            "goal": goal and [str(goal.section), goal.rule, goal.index, goal.left, goal.cooldown_us],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Memory:
        """Make the memory that `state` described."""
        goal = state["goal"]
        own = {
            "exit_ids": list(state["exit_ids"]),
            "legs": dict(state["legs"]),
            "goal": goal and ExitGoal(Section(goal[0]), *goal[1:]),
        }
        return cls(**{**state, **own})


class Runner:
    """Bind a strategy, its machine on a lane, and its memory."""

    __slots__ = (
        "_first",
        "_floats",
        "_lets",
        "_phase",
        "_truth_lets",
        "_truths",
        "_values",
        "_values_row",
        "_words",
        "entry_side",
        "exit_side",
        "key",
        "lane",
        "machine",
        "memory",
        "sign",
        "stop_ratio",
        "strategy",
    )

    def __init__(self, strategy: Strategy, lane: Lane, machine: int) -> None:
        self.strategy = strategy
        self.lane = lane
        self.key = strategy.id, lane.instrument.id  # who owns its positions and orders
        self.machine = machine
        self.sign = 1 if strategy.side is PositionSide.LONG else -1
        self.entry_side = Side.BUY if self.sign > 0 else Side.SELL
        self.exit_side = Side.SELL if self.sign > 0 else Side.BUY
        self.memory = Memory()
        loss = strategy.protect.stop_loss
        # what the resting stop is of the entry price, as numerator and denominator
        self.stop_ratio = None if loss is None else (1 - self.sign * loss).as_integer_ratio()
        stride = lane.engine.block_max
        lets = [
            (place, name, slot * stride, is_bool)
            for place, (name, is_bool, slot) in enumerate(lane.machines.codes[machine].lets)
        ]
        self._lets = [(name, start) for _, name, start, is_bool in lets if not is_bool]
        self._truth_lets = [(place, name, start) for place, name, start, is_bool in lets if is_bool]
        self._values: tuple[tuple[str, float], ...] = ()
        self._values_row = -1  # the absolute row they are of
        # views of the engine's and the machine's state: a word costs half of what it does through the array
        self._floats = lane.engine.F.data
        self._truths = lane.engine.U.data
        self._words = lane.machines.words.data
        self._first = machine * WORDS
        self._phase = lane.engine.phase.data

    def phase(self) -> int:
        return self._phase[self.machine]

    def named_values(self, row: int) -> tuple[tuple[str, float], ...]:
        """Return the strategy's `let` values at a row of the block; NaN where not ready."""
        at = self.lane.row0 + row
        if at != self._values_row:
            floats = self._floats
            values: list[tuple[str, float]] = [(name, floats[start + row]) for name, start in self._lets]
            if self._truth_lets:
                self._insert_truths(values, row)
            self._values = tuple(values)
            self._values_row = at
        return self._values

    def _insert_truths(self, values: list[tuple[str, float]], row: int) -> None:
        for place, name, start in self._truth_lets:
            truth = self._truths[start + row]
            values.insert(place, (name, float(truth) if truth < 2 else math.nan))

    def recall(self, memory: Memory) -> None:
        """Continue with what a snapshot kept."""
        self.memory = memory
        self._values_row = -1

    def wait_to_enter(self) -> None:
        """Take a Z1 back, and have none asked before `may_enter`."""
        self._phase[self.machine] = SIGNALLED
        self._words[self._first + WAITS] = 1

    @property
    def waits_to_enter(self) -> bool:
        return self._words[self._first + WAITS] != 0

    def may_enter(self) -> None:
        """Have Z1 asked again from the next row on."""
        self._words[self._first + WAITS] = 0

    def become_idle(self) -> None:
        """End the signal or the position."""
        self._leave_to(IDLE)

    def await_entry(self) -> None:
        """End the position while its entry order still works: it may open another."""
        self._leave_to(ENTERING)

    def _leave_to(self, phase: int) -> None:
        self._phase[self.machine] = phase
        words, first = self._words, self._first
        words[first + QTY] = 0
        words[first + BUSY] = 0
        words[first + RETRY] = 0

    def open(self, ts_us: int) -> None:
        """Enter the position: the first fill has come."""
        if self._phase[self.machine] == IDLE:  # of an order that was over: the scan has not reckoned with it
            self.lane.machines.find_active_again()
        self._phase[self.machine] = IN_POSITION
        words, first = self._words, self._first
        words[first + BEST] = 0
        words[first + BUSY] = 0
        words[first + FIRED] = 0
        words[first + RETRY] = 0
        words[first + ENTRY_T] = ts_us
        self.lane.machines.reset_position_state(self.machine)

    def hold(self, lots: int, cost: int) -> None:
        """Tell the machine what is held now."""
        self._words[self._first + QTY] = lots
        self._words[self._first + COST] = cost

    def mark_busy(self, level: int) -> None:
        """Keep exit rules quiet: 1 a ZE1 is in flight, 2 a full exit; 0 lets the next one speak."""
        self._words[self._first + BUSY] = level

    def rule_fired(self, index: int) -> None:
        """Keep a ZE1 rule quiet for the rest of the position; -1 is a rule that an edit removed."""
        self._words[self._first + FIRED] |= 1 << index if index >= 0 else 0

    def ask_again(self, at_us: int) -> None:
        """Have the machine ask for the exit's remainder at the first row from `at_us` on."""
        self._words[self._first + RETRY] = 1
        self._words[self._first + RETRY_AT] = at_us

    @property
    def blocked_until(self) -> int:
        return int(self._words[self._first + BLOCKED_UNTIL])

    def block_until(self, ts_us: int) -> None:
        """Keep S1 quiet until a time (a cooldown)."""
        place = self._first + BLOCKED_UNTIL
        self._words[place] = max(self._words[place], ts_us)
