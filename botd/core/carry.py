"""Hand a stopped session's account over to a bot made of another plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from botd.core import exit
from botd.core.bot import Bot
from botd.core.events import Command
from botd.core.instrument import InstrumentId
from botd.core.runner import Runner
from botd.engine.machine import (
    ARMED,
    BEST,
    BLOCKED_UNTIL,
    BUSY,
    COST,
    ENTRY_T,
    FIRED,
    IDLE,
    QTY,
    RETRY,
    RETRY_AT,
    SIGNALLED,
    WAITS,
    WORDS,
)
from botd.errors import StillHeld

KEPT_WORDS = (BLOCKED_UNTIL, QTY, COST, ENTRY_T, BEST, BUSY, RETRY, RETRY_AT, WAITS)


def carry(old: Bot, new: Bot, ts_us: int) -> list[Runner]:
    """Move balances, positions, orders, cycles and cooldowns from one bot to another.

    The engine of `new` is warm and its machines idle. A position takes the exits of the new plan, with an
    alert; a signal that had not become an order is dropped. Returns the runners that hold something and
    whose stop_loss has changed, for `adopt_stops`. Raises StillHeld, and changes nothing, where the new
    plan no longer has what is still held or working, or describes it in other steps.
    """
    runners = {runner.key: runner for runner in new.runners}
    for runner in old.runners:
        if _is_busy(old, runner):
            _check(runner, runners)
    for position in old.desk.portfolio.positions():
        if position.instrument not in new.desk.instruments:
            raise StillHeld(
                f"{position.instrument} is held and nobody owns it; keep it among the instruments "
                "until that is resolved"
            )
    id_prefix = new.desk.id_prefix
    new.desk.restore(old.desk.state())
    new.desk.id_prefix = id_prefix
    new.desk.last_marks = old.desk.marks_now()
    for lane in new.lanes:
        lane.machines.words[ARMED::WORDS] = 0  # S1 has to be false once before it may fire
    for runner in old.runners:
        heir = runners.get(runner.key)
        if heir is not None:
            _hand_over(old, new, runner, heir, ts_us)
    new.desk.working = [runners[r.key] for r in old.desk.working if _is_busy(old, r)]
    return [
        runners[r.key]
        for r in old.runners
        if old.desk.portfolio.held(r.key) is not None
        and r.strategy.protect.stop_loss != runners[r.key].strategy.protect.stop_loss
    ]


def adopt_stops(bot: Bot, runners: Sequence[Runner], ts_us: int) -> list[Command]:
    """Bring the stops at the venue to what the runners' files say now; return what that asks of it."""
    for runner in runners:
        exit.adopt_stop(bot.desk, runner, ts_us)
    return bot.take_commands()


def _is_busy(bot: Bot, runner: Runner) -> bool:
    return bot.desk.portfolio.held(runner.key) is not None or bot.desk.orders.any_live(runner.key)


def _check(runner: Runner, heirs: Mapping[tuple[str, InstrumentId], Runner]) -> None:
    name, instrument = runner.strategy.id, runner.lane.instrument
    heir = heirs.get((name, instrument.id))
    if heir is None:
        raise StillHeld(
            f"strategy {name} still holds a position or an order on {instrument.id} and the changed "
            "configuration has no such pair; put it back and let it close first"
        )
    now = heir.lane.instrument
    if (now.tick_size, now.lot_size) != (instrument.tick_size, instrument.lot_size):
        raise StillHeld(
            f"{instrument.id} is held in steps of {instrument.tick_size} and {instrument.lot_size}; its "
            "tick and lot can change once it is flat"
        )
    if heir.sign != runner.sign and heir.strategy.side is not runner.strategy.side:
        raise StillHeld(
            f"strategy {name} holds a {runner.strategy.side} position on {instrument.id}; its side can "
            "change once it is flat"
        )


def _hand_over(old: Bot, new: Bot, runner: Runner, heir: Runner, ts_us: int) -> None:
    before = runner.lane.machines.words[runner.machine * WORDS : (runner.machine + 1) * WORDS]
    after = heir.lane.machines.words[heir.machine * WORDS : (heir.machine + 1) * WORDS]
    for word in KEPT_WORDS:
        after[word] = before[word]
    after[FIRED] = same_rules(int(before[FIRED]), runner, heir)
    phase = runner.phase()
    heir.lane.engine.phase[heir.machine] = IDLE if phase == SIGNALLED else phase
    heir.lane.machines.pnl_max[heir.machine] = runner.lane.machines.pnl_max[runner.machine]
    heir.memory = runner.memory
    if heir.memory.goal is not None and heir.memory.goal.index >= 0:
        names = [rule.name for rule in heir.strategy.exits]
        rule = heir.memory.goal.rule
        heir.memory.goal.index = names.index(rule) if rule in names else -1
    changed = heir.strategy.text != runner.strategy.text
    if changed and old.desk.portfolio.held(runner.key) is not None:
        new.desk.alert(
            "medium", "exits_adopted", "an open position takes the exits of the changed file", ts_us, heir
        )


def same_rules(fired: int, runner: Runner, heir: Runner) -> int:
    """Return which of the new ZE1 rules have fired, going by their names."""
    done = {rule.name for k, rule in enumerate(runner.strategy.exits) if (fired >> k) & 1}
    return sum(1 << k for k, rule in enumerate(heir.strategy.exits) if rule.name in done)
