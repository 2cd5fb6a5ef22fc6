"""A reload's last step, between two blocks: what a running bot knows goes to one of another plan."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from botd.core.bot import Bot, LaneSpec
from botd.core.carry import KEPT_WORDS, same_rules
from botd.core.instrument import InstrumentId
from botd.core.pins import Owner, Pin, exit_only
from botd.core.runner import Memory, Runner
from botd.engine.carry import carry_engine
from botd.engine.machine import ARMED, FIRED, IDLE, SIGNAL_T, SIGNALLED, WORDS
from botd.errors import InvariantBroken
from botd.language.typed import OnReload, Strategy

# ---- who goes on by an older text ---------------------------------------------------------------


def busy(bot: Bot) -> set[Owner]:
    """Return who holds a position or has an order out: their revision matters."""
    desk = bot.desk
    return {
        runner.key
        for runner in bot.runners
        if desk.portfolio.held(runner.key) is not None or desk.orders.any_live(runner.key)
    }


def pins_due(old: Bot, strategies: Sequence[Strategy]) -> list[Pin]:
    """Return the pins that a change to these strategies asks for: of whom is busy and has another file now.

    A pin that stands stays as long as its owner is busy.
    """
    new = {(one.id, InstrumentId(name)): one for one in strategies for name in one.instruments}
    holding = busy(old)
    found: list[Pin] = []
    for runner in old.runners:
        heir, text = new.get(runner.key), runner.strategy.text
        if runner.key not in holding:
            continue
        if heir is None or (heir.text != text and heir.on_reload is not OnReload.ADOPT):
            strategy, instrument = runner.key
            found.append(
                Pin(
                    strategy=strategy,
                    instrument=instrument,
                    text=text,
                    revision=old.desk.revision_of(runner.key),
                    gone=heir is None,
                )
            )
    return found


def pinned_specs(
    specs: Sequence[LaneSpec], pins: Sequence[Pin], revisions: Collection[Strategy]
) -> list[LaneSpec]:
    """Put pinned revisions, given as they are read now, in the place of the strategies of their owners."""
    by_text = {(one.id, one.text): one for one in revisions}
    found: list[LaneSpec] = []
    for spec in specs:
        pinned = {
            pin.strategy: exit_only(by_text[pin.strategy, pin.text])
            for pin in pins
            if pin.instrument == spec.instrument.id
        }
        kept = [one for one in spec.strategies if one.id not in pinned]
        strategies = tuple(sorted([*kept, *pinned.values()], key=lambda one: one.id))
        found.append(replace(spec, strategies=strategies))
    return found


# ---- the swap -----------------------------------------------------------------------------------


def swap(old: Bot, new: Bot, ts_us: int) -> list[Runner]:
    """Move rows, node states, machines, orders and books from one bot to another.

    Both have the same lanes. Engines of `new` that have nodes of their own have run over the rows judged;
    the others take the rows over. `old` is not to be used afterwards. Returns the runners that hold
    something and whose stop_loss is another one now, for `carry.adopt_stops`.
    """
    if [lane.instrument for lane in old.lanes] != [lane.instrument for lane in new.lanes]:
        raise InvariantBroken("a reload keeps the instruments")
    for before, lane in zip(old.lanes, new.lanes, strict=True):
        carry_engine(before.engine, lane.engine)
        lane.machines.flags.restore(before.machines.flags.state())
        lane.machines.bind()
        lane.stand()
    new.take_over(old)
    moved: list[Runner] = []
    former = {runner.key: runner for runner in old.runners}
    same = {runner.key: former.pop(runner.key) for runner in new.runners if runner.key in former}
    for runner in new.runners:
        source = same.get(runner.key) or _renamed(former, runner)
        if source is None:
            _begin(new, runner)
        elif _hand_over(new, source, runner, ts_us):
            moved.append(runner)
        if source is not None and source.key != runner.key:
            _leave_name(new, source, runner)
    for pin in new.pins:
        if pin not in old.pins:
            _tell_pinned(new, pin, ts_us)
    for runner in former.values():
        new.retired[runner.key] = (runner.memory.state(), runner.blocked_until)
    new.desk.working = [new.runner_of(runner.key) for runner in old.desk.working]
    return moved


def _tell_pinned(new: Bot, pin: Pin, ts_us: int) -> None:
    runner = new.runner_of((pin.strategy, pin.instrument))
    if pin.gone:
        text = "its file is gone: exits go on by the last revision until it is flat, and nothing is entered"
        new.desk.alert("critical", "exit_only", text, ts_us, runner)
    else:
        text = "what is open keeps the exits it was opened with; the changed file is followed once it is flat"
        new.desk.alert("medium", "revision_pinned", text, ts_us, runner)


def _renamed(former: dict[Owner, Runner], runner: Runner) -> Runner | None:
    """Return who it was under the name that its file gives as its old one."""
    was = runner.strategy.was
    return former.pop((was, runner.lane.instrument.id), None) if was else None


def _leave_name(new: Bot, source: Runner, heir: Runner) -> None:
    """See that no cycle comes twice under either name: records are known by the two."""
    memory, kept = heir.memory, new.retired.pop(heir.key, None)
    new.retired[source.key] = (Memory(cycle=memory.cycle, opened=memory.opened).state(), source.blocked_until)
    if kept is not None and Memory.from_state(kept[0]).cycle >= memory.cycle:
        memory.cycle = Memory.from_state(kept[0]).cycle
        memory.begin_cycle()


def _begin(new: Bot, runner: Runner) -> None:
    """Have S1 be false once before it may fire; whoever was here before counts its cycles on."""
    runner.lane.machines.words[runner.machine * WORDS + ARMED] = 0
    kept = new.retired.pop(runner.key, None)
    if kept is not None:
        memory, blocked_until = kept
        runner.recall(Memory.from_state(memory))
        runner.block_until(blocked_until)


def _hand_over(new: Bot, source: Runner, heir: Runner, ts_us: int) -> bool:
    """Move machine and memory; say whether a stop has to follow its file."""
    before, after = source.strategy, heir.strategy
    theirs, ours = source.lane.machines, heir.lane.machines
    old_words = theirs.words[source.machine * WORDS : (source.machine + 1) * WORDS]
    words = ours.words[heir.machine * WORDS : (heir.machine + 1) * WORDS]
    heir.recall(source.memory)
    ours.pnl_max[heir.machine] = theirs.pnl_max[source.machine]
    held = new.desk.portfolio.held(heir.key) is not None
    if (before.exits, before.emergencies) == (after.exits, after.emergencies):
        words[:] = old_words
        span = theirs.codes[source.machine].pos_state  # what position rules count goes on: they are the same
        ours.pos_state[slice(*ours.codes[heir.machine].pos_state)] = theirs.pos_state[slice(*span)]
    else:
        _keep_words(source, heir)
    if held and _exits(before) != _exits(after):
        text = "an open position takes the exits of the changed files"
        new.desk.alert("medium", "exits_adopted", text, ts_us, heir)
    phase = source.phase()
    if phase == SIGNALLED and _entry(before) != _entry(after):
        phase = IDLE
        text = f"the signal of cycle {heir.memory.cycle} is dropped: S1, O1 or Z1 has changed"
        new.desk.alert("medium", "signal_dropped", text, ts_us, heir)
    heir.lane.engine.phase[heir.machine] = phase
    return held and before.protect.stop_loss != after.protect.stop_loss


def _keep_words(source: Runner, heir: Runner) -> None:
    """Keep what other rules can go on with; those that have fired are known by their names."""
    old_words = source.lane.machines.words[source.machine * WORDS : (source.machine + 1) * WORDS]
    words = heir.lane.machines.words[heir.machine * WORDS : (heir.machine + 1) * WORDS]
    for word in (*KEPT_WORDS, ARMED, SIGNAL_T):
        words[word] = old_words[word]
    words[FIRED] = same_rules(int(old_words[FIRED]), source, heir)
    goal = heir.memory.goal
    if goal is not None and goal.index >= 0:
        names = [rule.name for rule in heir.strategy.exits]
        goal.index = names.index(goal.rule) if goal.rule in names else -1


def _entry(strategy: Strategy) -> tuple[object, ...]:
    return strategy.signal, strategy.cancel, strategy.entry, strategy.side, strategy.shadow


def _exits(strategy: Strategy) -> tuple[object, ...]:
    return strategy.exits, strategy.emergencies, strategy.protect
