"""The bot: a block of rows and the venue's answers in, commands and records out.

Pure and synchronous. The driver loads a block, advances to the first row that yields commands, commits
what was recorded, carries the commands out and brings the answers back, each at its own place in the
order of rows. The size of a block changes nothing that is decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from botd.core import entry, exit
from botd.core.desk import Desk
from botd.core.events import Answer, Command, OrderAccepted, OrderFilled, OrderType, Section
from botd.core.instrument import Instrument
from botd.core.lanes import I64, Block, Lane, load_block
from botd.core.orders import Change, Order
from botd.core.records import Record
from botd.core.runner import ExitGoal, Memory, Runner
from botd.core.settings import CoreSettings
from botd.engine import machine as m
from botd.engine.machine import IDLE
from botd.errors import InvariantBroken
from botd.language.typed import Strategy

TERMINAL_KEPT_US: Final = 3_600_000_000

# names of their own for what every answer asks: a member read through its class costs more than the rest
_S1: Final = Section.S1
_Z1: Final = Section.Z1
_STOP_MARKET: Final = OrderType.STOP_MARKET
_DUPLICATE: Final = Change.DUPLICATE
_REJECTED: Final = Change.REJECTED


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSpec:
    """An instrument and the strategies that trade it, in the order of their ids."""

    instrument: Instrument
    strategies: tuple[Strategy, ...]


class Bot:
    """Everything that decides, over one account."""

    def __init__(
        self,
        settings: CoreSettings,
        specs: Sequence[LaneSpec],
        *,
        id_prefix: str,
        block_max: int = 512,
        bar_length_us: int | None = None,
    ) -> None:
        self.block_max = block_max
        self.lanes = [
            Lane(
                k,
                spec.instrument,
                spec.strategies,
                settings=settings,
                block_max=block_max,
                bar_length_us=bar_length_us,
            )
            for k, spec in enumerate(specs)
        ]
        self._by_machine = [
            [Runner(strategy, lane, k) for k, strategy in enumerate(spec.strategies)]
            for lane, spec in zip(self.lanes, specs, strict=True)
        ]
        self.runners = [runner for group in self._by_machine for runner in group]
        self._runner_of = {(r.strategy.id, r.lane.instrument.id): r for r in self.runners}
        self.desk = Desk(settings, self.lanes, self.runners, id_prefix)
        self._hour_us = settings.execution.snapshot_interval_us
        self._next_snapshot_us = 0

    # ---- rows ---------------------------------------------------------------------------------

    def load(self, instrument: I64, rows: I64) -> Block:
        """Take the next block: `rows` int64[N_INPUT, n <= block_max] in judging order, a lane for each."""
        return load_block(self.lanes, instrument, rows)

    def advance(self, block: Block, row: int, until: int) -> tuple[int, list[Command]]:
        """Judge rows [row, until) of the block; stop after the first that decides anything.

        Returns the next row to judge and the commands of the row that stopped it.
        """
        snapshot_at = self._snapshot_place(block, row, until)
        stop = until if snapshot_at is None else snapshot_at
        first = self._first_decision(stop)
        if first is not None:
            lane, place = first
            self._decide(lane, place)
            return place + 1, self._take_commands()
        if snapshot_at is not None:
            self._take_snapshot(block, snapshot_at)
            return snapshot_at, []
        return until, []

    def _first_decision(self, stop: int) -> tuple[Lane, int] | None:
        """Scan every lane up to a place; return the earliest row that decides (lane, place)."""
        found: tuple[Lane, int] | None = None
        for lane in self.lanes:
            if lane.pending is None:
                limit = lane.local(stop)
                if lane.next < limit:
                    lane.next = lane.machines.scan(lane.next, limit, lane.base)
                    if lane.machines.out[0]:
                        lane.pending = lane.next - 1
            if lane.pending is not None:
                place = lane.place(lane.pending)
                if place < stop and (found is None or place < found[1]):
                    found = (lane, place)
        return found

    def _decide(self, lane: Lane, place: int) -> None:
        row = lane.pending
        if row is None:
            raise InvariantBroken("a lane without a decision was asked to decide")
        lane.pending = None
        runners = self._by_machine[lane.index]
        for machine, did, rule in lane.machines.decisions():
            runner = runners[machine]
            if did == m.DID_Z1:
                entry.enter(self.desk, runner, row, place)
                if runner.memory.entry_id is not None and runner.phase() != IDLE:
                    self._works(runner)
            elif did == m.DID_ZE1:
                exit.leave(self.desk, runner, row, rule)
            elif did == m.DID_E1:
                exit.emergency(self.desk, runner, row, rule)
            elif did == m.DID_RETRY:
                exit.ask_rest(self.desk, runner, row)
            elif did in exit.PROTECT_RULES:
                exit.protect(self.desk, runner, row, did)
            else:
                self._signal(runner, row, did)

    def _signal(self, runner: Runner, row: int, did: int) -> None:
        """S1 came true, or O1 forgot it."""
        memory = runner.memory
        side = runner.entry_side
        if did == m.DID_O1_WHEN or did == m.DID_O1_AFTER:
            reason = "when" if did == m.DID_O1_WHEN else "after"
            self.desk.signal(runner, Section.O1, "", row, side=side, reason=reason)
            return
        memory.cycle += 1
        memory.confidence = 1.0
        slot = runner.lane.machines.codes[runner.machine].confidence
        if slot >= 0:
            engine = runner.lane.engine
            memory.confidence = min(1.0, max(0.0, engine.F.item(slot * engine.block_max + row)))
        acted = did == m.DID_S1
        self.desk.signal(runner, _S1, "", row, side=side, confidence=memory.confidence, acted=acted)

    def _works(self, runner: Runner) -> None:
        if runner not in self.desk.working:
            self.desk.working.append(runner)

    # ---- the venue's answers --------------------------------------------------------------------

    def apply(self, answer: Answer) -> list[Command]:
        """Book one answer of the venue; return what it makes us ask."""
        applied = self.desk.orders.apply(answer)
        order = applied.order
        if order is None:
            self.desk.alert(
                "critical",
                "unknown_order",
                f"the venue reports order {answer.client_order_id}, which is not ours",
                answer.ts_us,
            )
            return self._take_commands()
        if applied.change is _DUPLICATE:
            return []
        if isinstance(answer, OrderFilled):
            self._filled(self._owner(order), order, answer)
        elif order.is_terminal:
            self._ended(self._owner(order), order, answer.ts_us, rejected=applied.change is _REJECTED)
        elif order.type is _STOP_MARKET:
            self._stop_heard(self._owner(order), order, answer)
        self.desk.updated(order, answer.ts_us)
        return self._take_commands()

    def _owner(self, order: Order) -> Runner:
        return self._runner_of[order.key.strategy, order.instrument]

    def _filled(self, runner: Runner, order: Order, fill: OrderFilled) -> None:
        desk, memory = self.desk, runner.memory
        instrument = runner.lane.instrument
        is_entry = order.key.section is _Z1
        desk.rejects = 0
        effect = desk.portfolio.apply_fill(
            runner.strategy.id,
            instrument,
            order.side,
            fill.qty,
            fill.price,
            fill.fee,
            fill.ts_us,
            order.key.cycle,
            reducing=not is_entry,
            confidence=memory.confidence if is_entry else None,
        )
        desk.fill(order, fill, effect)
        position = effect.position
        if is_entry and position.entry_qty == fill.qty:
            runner.open(fill.ts_us)
            memory.goal, memory.exit_ids, memory.stop_id = None, [], None
        runner.hold(position.qty, position.cost)
        if not is_entry:
            exit.exit_filled(runner, fill.qty, order.key.section, fill.ts_us)
        if effect.closed is not None:
            self._flat(runner, fill.ts_us)
        else:
            exit.keep_stop(desk, runner, position, fill.ts_us)
        if order.is_terminal:
            self._ended(runner, order, fill.ts_us, rejected=False)

    def _flat(self, runner: Runner, ts_us: int) -> None:
        """Nothing is held any more: what still rests is cancelled and the machine idles."""
        memory = runner.memory
        self.desk.cancel(memory.stop_id, ts_us)
        self.desk.cancel(memory.entry_id, ts_us)
        memory.goal = None
        runner.become_idle()

    def _ended(self, runner: Runner, order: Order, ts_us: int, *, rejected: bool) -> None:
        desk, memory = self.desk, runner.memory
        position = desk.portfolio.position(runner.strategy.id, runner.lane.instrument.id)
        if rejected:
            self._rejected(runner, order, ts_us, exposed=position is not None)
        if order.client_order_id == memory.entry_id:
            memory.entry_id = None
            if runner in desk.working:
                desk.working.remove(runner)
            if position is None and runner.phase() == m.ENTERING:
                runner.become_idle()
        elif order.client_order_id == memory.stop_id:
            memory.stop_id = None
            if position is not None and order.type is OrderType.STOP_MARKET:
                self._stop_ended_short(runner, order)
        elif position is not None:
            exit.exit_ended(desk, runner, position, ts_us, rejected=rejected)

    def _rejected(self, runner: Runner, order: Order, ts_us: int, *, exposed: bool) -> None:
        """Count a rejected entry; cry out over an exit that leaves something held."""
        is_entry = order.key.section is _Z1
        if is_entry:
            self.desk.rejects += 1
        elif not exposed:
            return  # another exit was faster: there was nothing left to reduce
        text = f"the venue rejected {order.side} {order.client_order_id}: {order.reason}"
        self.desk.alert("high" if is_entry else "critical", "order_rejected", text, ts_us, runner)

    def _stop_heard(self, runner: Runner, order: Order, answer: Answer) -> None:
        """The resting stop was accepted or changed: see that it covers what is held by now."""
        if order.client_order_id != runner.memory.stop_id:
            return
        if not isinstance(answer, OrderAccepted):
            runner.memory.amending = False
        position = self.desk.portfolio.position(runner.strategy.id, runner.lane.instrument.id)
        if position is not None:
            exit.keep_stop(self.desk, runner, position, answer.ts_us)

    def _stop_ended_short(self, runner: Runner, order: Order) -> None:
        """The stop is over and something is still held: close the rest as protect would."""
        if order.filled == 0 and not order.reason:
            return
        runner.mark_busy(2)
        runner.memory.goal = ExitGoal(Section.PROTECT, "stop_loss", -1, None, leg=runner.memory.stop_leg)
        runner.ask_again(0)

    # ---- clockwork ------------------------------------------------------------------------------

    def _snapshot_place(self, block: Block, row: int, until: int) -> int | None:
        """Return the first place in [row, until) whose row time has reached the next snapshot."""
        if row >= until or block.times[until - 1] < self._next_snapshot_us:
            return None
        if self._next_snapshot_us == 0:
            self._schedule_snapshot(int(block.times[row]))
            return self._snapshot_place(block, row, until)
        return row + int(np.searchsorted(block.times[row:until], self._next_snapshot_us))

    def _schedule_snapshot(self, now_us: int) -> None:
        self._next_snapshot_us = (now_us // self._hour_us + 1) * self._hour_us

    def _take_snapshot(self, block: Block, place: int) -> None:
        ts_us = int(block.times[place])
        self.desk.snapshot(self.desk.portfolio, ts_us, self.desk.marks(place))
        self.desk.orders.forget_terminal(ts_us - TERMINAL_KEPT_US)
        self._schedule_snapshot(ts_us)

    def close_books(self, ts_us: int) -> None:
        """Record the account now: at the end of the data, or when a job asks for it."""
        self.desk.snapshot(self.desk.portfolio, ts_us, self.desk.marks_now())

    def restate(self, ts_us: int) -> None:
        """Record what is held and what works: a new session begins with it."""
        for position in self.desk.portfolio.positions():
            self.desk.position(position, ts_us)
        for order in self.desk.orders.live():
            self.desk.submitted(order)
            self.desk.updated(order, ts_us)

    def take_records(self) -> list[Record]:
        """Hand over what was recorded since the last call."""
        records, self.desk.records = self.desk.records, []
        return records

    def _take_commands(self) -> list[Command]:
        desk = self.desk
        commands = desk.commands
        if commands:
            desk.commands = []
            return commands
        return []

    # ---- stopping -------------------------------------------------------------------------------

    def stop(self, ts_us: int) -> list[Command]:
        """Apply every strategy's `on_stop`: cancel entries, or close what is held, or leave all as it is."""
        for runner in self.runners:
            policy = runner.strategy.on_stop
            if policy != "keep":
                self.desk.cancel(runner.memory.entry_id, ts_us)
            if policy == "flatten":
                exit.flatten(self.desk, runner, ts_us)
        return self._take_commands()

    def flatten(self, ts_us: int, reason: str) -> list[Command]:
        """Close everything held and cancel every entry, whatever the strategies' own policies say."""
        for runner in self.runners:
            held = self.desk.portfolio.position(runner.strategy.id, runner.lane.instrument.id)
            self.desk.cancel(runner.memory.entry_id, ts_us)
            if held is not None:
                self.desk.alert("critical", "position_closed", reason, ts_us, runner)
                exit.flatten(self.desk, runner, ts_us)
        return self._take_commands()

    # ---- snapshots ------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return everything that a restart needs, between two blocks."""
        return {
            "desk": self.desk.state(),
            "next_snapshot_us": self._next_snapshot_us,
            "working": [(r.strategy.id, r.lane.instrument.id) for r in self.desk.working],
            "memories": [runner.memory for runner in self.runners],
            "engines": [lane.engine.state() for lane in self.lanes],
            "machines": [lane.machines.state() for lane in self.lanes],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state()` of a bot made of the same plan."""
        self.desk.restore(state["desk"])
        self._next_snapshot_us = state["next_snapshot_us"]
        self.desk.working = [self._runner_of[key] for key in state["working"]]
        for runner, memory in zip(self.runners, state["memories"], strict=True):
            runner.memory = memory if isinstance(memory, Memory) else Memory(**memory)
        for lane, engine, machines in zip(self.lanes, state["engines"], state["machines"], strict=True):
            lane.engine.restore(engine)
            lane.machines.restore(machines)
            lane.machines.bind()
