"""The bot: a block of rows and the venue's answers in, commands and records out.

Pure and synchronous. The driver loads a block, advances to the first row that yields commands, commits
what was recorded, carries the commands out and brings the answers back, each at its own place in the
order of rows. The size of a block changes nothing that is decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from botd.core import answers, by_hand, dust, entry, exit, external, halts
from botd.core.changes import Change
from botd.core.desk import Desk
from botd.core.events import (
    AccountAnswer,
    Answer,
    ClientOrderId,
    Command,
    OrderAnswer,
    OrderEnded,
    OrderFilled,
    OrderType,
    Section,
)
from botd.core.instrument import Instrument
from botd.core.lanes import I64, Block, Lane, load_block
from botd.core.orders import Order
from botd.core.outcomes import OrderStatus
from botd.core.pins import Owner, Pin, pin_of
from botd.core.portfolio import Position
from botd.core.records import Record
from botd.core.restraint import TradingCommand, Verb
from botd.core.runner import Memory, Runner
from botd.core.settings import CoreSettings
from botd.engine import machine as m
from botd.errors import InvariantBroken
from botd.language.typed import Strategy

TERMINAL_KEPT_US: Final = 3_600_000_000

# names of their own for what every answer asks: a member read through its class costs more than the rest
_S1: Final = Section.S1
_Z1: Final = Section.Z1
_STOP_MARKET: Final = OrderType.STOP_MARKET
_OF_THE_ACCOUNT: Final = frozenset(get_args(AccountAnswer))
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
        self._runner_of = {runner.key: runner for runner in self.runners}
        self.desk = Desk(settings, self.lanes, self.runners, id_prefix)
        self._hour_us = settings.execution.snapshot_interval_us
        self._next_snapshot_us = 0
        self._one_way = settings.one_way
        self.pins: tuple[Pin, ...] = ()  # who goes on by an older text of a file
        # strategies that are gone, or trade an instrument no more: memory, and until when S1 is blocked
        self.retired: dict[Owner, tuple[dict[str, Any], int]] = {}

    # ---- rows ---------------------------------------------------------------------------------

    def load(self, instrument: I64, rows: I64) -> Block:
        """Take the next block: `rows` int64[N_INPUT, n <= block_max] in judging order, a lane for each."""
        self.desk.place = 0
        return load_block(self.lanes, instrument, rows)

    def pass_over(self, block: Block) -> None:
        """Take a block's rows for judged: they are the history that warms the engines."""
        self.desk.place = block.n
        for lane in self.lanes:
            lane.next = lane.n

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
            self.desk.place = place + 1
            return place + 1, self.take_commands()
        self.desk.place = stop
        if snapshot_at is not None:
            self._take_snapshot(int(block.times[snapshot_at]))
        return stop, []

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
            self.desk.signal(runner, Section.O1, "", row, side, reason=reason)
            return
        memory.begin_cycle()
        memory.flattening = ""
        memory.confidence = 1.0
        slot = runner.lane.machines.codes[runner.machine].confidence
        if slot >= 0:
            engine = runner.lane.engine
            memory.confidence = min(1.0, max(0.0, engine.F.item(slot * engine.block_max + row)))
        acted = did == m.DID_S1
        self.desk.signal(runner, _S1, "", row, side, memory.confidence, acted)

    # ---- the venue's answers --------------------------------------------------------------------

    def apply(self, heard: Sequence[Answer]) -> list[Command]:
        """Book what the venue answered at one place; return what it makes us ask."""
        desk = self.desk
        answer: Any  # of an order, unless its type says of the account
        for answer in heard:
            if answer.ts_us > self._next_snapshot_us > 0:
                self._take_snapshot(answer.ts_us)
            if type(answer) in _OF_THE_ACCOUNT:
                external.hear(desk, self._runner_of, answer)
                continue
            order = desk.orders.get(answer.client_order_id)
            if order is None:
                text = f"the venue reports order {answer.client_order_id}, which is not ours"
                desk.alert("critical", "unknown_order", text, answer.ts_us)
                continue
            change = desk.orders.book(order, answer)
            if change is not _DUPLICATE:
                self._follow(order, answer, change)
        if desk.taken or desk.unsellable or desk.portfolio.dust:
            dust.settle(desk, self._runner_of, heard[-1].ts_us, heard[-1].seq)
        if self._one_way and heard:
            external.net_out(desk, self._runner_of, heard[-1].ts_us, heard[-1].seq)
        if desk.entered:
            answers.protect_entered(desk)
        return self.take_commands()

    def _follow(self, order: Order, answer: OrderAnswer, change: Change) -> None:
        """Do what an answer asks for that has been booked."""
        desk, runner = self.desk, self._runner_of[order.owner]
        if isinstance(answer, OrderFilled):
            answers.filled(desk, runner, order, answer)
        elif order.is_terminal:
            position = self._position(runner)
            if change is _REJECTED:
                answers.rejected(desk, runner, order, answer.ts_us, exposed=position is not None)
            answers.ended(desk, runner, order, position, answer.ts_us)
        elif change is Change.NEEDS_HUMAN:
            text = f"{order.side} {order.client_order_id} needs a person: {order.reason}"
            desk.alert("critical", "needs_human", text, answer.ts_us, runner)
        elif order.type is _STOP_MARKET:
            answers.stop_heard(desk, runner, order, answer)
        desk.changed[order.client_order_id] = order
        if order.cancel_wanted and order.accepted:
            self._cancel_again(order, answer.ts_us)

    def _cancel_again(self, order: Order, ts_us: int) -> None:
        """The cancel may have overtaken the order: now that the venue has it, ask once more."""
        if order.status is not OrderStatus.PENDING_CANCEL:
            order.cancel_wanted = False
            self.desk.cancel(order.client_order_id, ts_us)

    def _position(self, runner: Runner) -> Position | None:
        return self.desk.portfolio.held(runner.key)

    # ---- clockwork ------------------------------------------------------------------------------

    def _snapshot_place(self, block: Block, row: int, until: int) -> int | None:
        """Return the first place in [row, until) whose row time is past the next snapshot's.

        A row that closes on the hour belongs to the hour.
        """
        next_us = self._next_snapshot_us
        if block.last_us <= next_us or row >= until or block.times[until - 1] <= next_us:
            return None
        if self._next_snapshot_us == 0:
            self._schedule_snapshot(int(block.times[row]))
            return self._snapshot_place(block, row, until)
        return row + int(block.times[row:until].searchsorted(self._next_snapshot_us, side="right"))

    def _schedule_snapshot(self, now_us: int) -> None:
        self._next_snapshot_us = -(-now_us // self._hour_us) * self._hour_us

    def _take_snapshot(self, now_us: int) -> None:
        """Record the account as it stood at the hour: `now_us` is the first thing that comes after it."""
        desk, portfolio = self.desk, self.desk.portfolio
        halts.end_day(desk, now_us)
        desk.snapshot(portfolio, self._next_snapshot_us, desk.marks(self.desk.place), portfolio.currencies())
        desk.orders.forget_terminal(now_us - TERMINAL_KEPT_US)
        external.forget(desk, now_us)
        self._schedule_snapshot(now_us)

    def close_books(self, ts_us: int) -> None:
        """Record the account now: at the end of the data, or when a job asks for it."""
        desk, portfolio = self.desk, self.desk.portfolio
        desk.snapshot(portfolio, ts_us, desk.marks_now(), portfolio.currencies())

    def note_books(self, ts_us: int) -> None:
        """Record the account as it is and change nothing: a start or a stop must not decide anything."""
        desk, portfolio = self.desk, self.desk.portfolio
        desk.snapshot(portfolio, ts_us, desk.marks_now(), portfolio.currencies(), observe=False)

    def restate(self, ts_us: int) -> None:
        """Record what is held, what works and what restrains it: a new session begins with it."""
        halts.restate(self.desk, ts_us)
        for position in self.desk.portfolio.positions():
            self.desk.moved(position, ts_us)
            self.desk.settle()
        for order in self.desk.orders.live():
            self.desk.submitted(order)
            self.desk.updated(order, ts_us)
            self.desk.settle()

    def take_records(self) -> list[Record]:
        """Hand over what was recorded since the last call."""
        records, self.desk.records = self.desk.records, []
        return records

    def take_commands(self) -> list[Command]:
        """Settle what one place brought about and hand over its commands."""
        desk = self.desk
        desk.settle()
        commands = desk.commands
        if commands:
            desk.commands = []
            return commands
        return []

    def begin_epoch(self, id_prefix: str, venue_us: int) -> None:
        """Give orders from here on ids that no other process has given; the first also opens the books."""
        self.desk.id_prefix = id_prefix
        self.desk.fills_from_us = self.desk.fills_from_us or venue_us

    # ---- halting and stopping -------------------------------------------------------------------

    def obey(self, command: TradingCommand, ts_us: int) -> list[Command]:
        """Halt, hold, release or resume trading, end an order or a position; return what asks the venue."""
        if command.verb is Verb.RESOLVE:
            self._resolve(command, ts_us)
        elif command.verb in by_hand.VERBS:
            by_hand.obey(self.desk, self._runner_of, command, ts_us)
        else:
            halts.obey(self.desk, command, ts_us)
        return self.take_commands()

    def _resolve(self, command: TradingCommand, ts_us: int) -> None:
        """End an order that needs a person as told, with what is booked of it; a fill may still come late."""
        order = self.desk.orders.get(ClientOrderId(command.scope))
        if order is None or not order.needs_human:
            return
        reason = f"resolved by {command.who}: {command.reason}"
        answer = OrderEnded(0, order.client_order_id, canceled=True, reason=reason, ts_us=ts_us)
        change = self.desk.orders.book(order, answer)
        text = f"{order.side} {order.client_order_id} is over with {order.filled} lots, {reason}"
        self.desk.alert("medium", "order_resolved", text, ts_us, self._runner_of[order.owner])
        self._follow(order, answer, change)

    def stop(self, ts_us: int) -> list[Command]:
        """Apply every strategy's `on_stop`: cancel entries, or close what is held, or leave all as it is."""
        for runner in self.runners:
            policy = runner.strategy.on_stop
            if policy != "keep":
                self.desk.cancel(runner.memory.entry_id, ts_us)
            if policy == "flatten":
                exit.flatten(self.desk, runner, ts_us)
        return self.take_commands()

    def flatten(self, ts_us: int, reason: str) -> list[Command]:
        """Close everything held and cancel every entry, whatever the strategies' own policies say."""
        for runner in self.runners:
            held = self._position(runner)
            self.desk.cancel(runner.memory.entry_id, ts_us)
            if held is not None:
                self.desk.alert("critical", "position_closed", reason, ts_us, runner)
                exit.flatten(self.desk, runner, ts_us)
        return self.take_commands()

    # ---- snapshots ------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return everything that a restart needs, between two blocks."""
        return {
            "desk": self.desk.state(),
            "next_snapshot_us": self._next_snapshot_us,
            "working": [runner.key for runner in self.desk.working],
            "memories": [runner.memory.state() for runner in self.runners],
            "engines": [lane.engine.state() for lane in self.lanes],
            "machines": [lane.machines.state() for lane in self.lanes],
            "pins": [pin.row() for pin in self.pins],
            "retired": [[*owner, *kept] for owner, kept in self.retired.items()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state()` of a bot made of the same plan."""
        self.desk.restore(state["desk"])
        self._next_snapshot_us = state["next_snapshot_us"]
        self.desk.working = [
            self._runner_of[strategy, instrument] for strategy, instrument in state["working"]
        ]
        for runner, memory in zip(self.runners, state["memories"], strict=True):
            runner.recall(Memory.from_state(memory))
        for lane, engine, machines in zip(self.lanes, state["engines"], state["machines"], strict=True):
            lane.restore(engine, machines)
        # a snapshot of an older botd has none of these
        self.pin(pin_of(row) for row in state.get("pins", ()))
        self.retired = {(name, where): (kept, us) for name, where, kept, us in state.get("retired", ())}

    # ---- a reload ---------------------------------------------------------------------------------

    def runner_of(self, owner: Owner) -> Runner:
        """Return who trades an instrument by a strategy. Raises KeyError."""
        return self._runner_of[owner]

    def pin(self, pins: Iterable[Pin]) -> None:
        """Say who goes on by an older text, which the bot was made with: what they decide is of its plan."""
        self.pins = tuple(pins)
        self.desk.pinned = {(one.strategy, one.instrument): one.revision for one in self.pins}

    def take_over(self, old: Bot) -> None:
        """Continue another bot's books: orders, positions, limits counted, what restrains trading."""
        self.desk.restore(old.desk.state())
        self.desk.last_marks = old.desk.marks_now()
        self.retired = dict(old.retired)
        self._next_snapshot_us = old._next_snapshot_us
