"""Halts and holds: who is denied, what is cancelled, what lifts them, and what is written of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from botd.core import halts
from botd.core.carry import carry
from botd.core.decisions import canonical_line
from botd.core.events import CancelOrder
from botd.core.outcomes import DenyReason, OrderStatus
from botd.core.records import OrderRecord, RiskRecord
from botd.core.restraint import Cause, Restraint, TradingCommand, TradingState, Verb
from botd.core.updates import AlertRecord, OrderUpdate, TradingStateRecord, standing
from botd.engine.machine import IDLE, IN_POSITION
from tests.core.scene import NO_LIMITS, SECOND, T0, D, Scene, bought, only, strategy, submitted

RESTING = "when: always, order: { type: limit, price: price - 5, ttl: 60s }, size: { fixed: 10 BTC }"
OUT = "{ name: out, when: price > 120, close: 100% }"


def command(verb: Verb, cause: Cause = Cause.COMMAND, *, reason: str = "odd prices") -> TradingCommand:
    return TradingCommand(verb=verb, cause=cause, who="ann", reason=reason)


def tell(scene: Scene, verb: Verb, cause: Cause = Cause.COMMAND, *, reason: str = "odd prices") -> list:
    """Give the bot a trading command at the time of the last row."""
    commands = scene.bot.obey(command(verb, cause, reason=reason), scene.now_us)
    scene.records += scene.bot.take_records()
    return commands


def changes(scene: Scene) -> list[tuple[str, str, str]]:
    return [(one.verb, one.cause, one.state) for one in scene.of(TradingStateRecord)]


# ---- denied, and not ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "lift", "reason"),
    [
        (Verb.HALT, Verb.RESUME, DenyReason.TRADING_HALTED),
        (Verb.HOLD, Verb.RELEASE, DenyReason.TRADING_REDUCING),
    ],
)
def test_S8_entries_are_denied_with_cause_and_since_until_it_is_lifted(  # noqa: N802 - the invariant's id
    verb: Verb, lift: Verb, reason: DenyReason
) -> None:
    scene = Scene(strategy())
    scene.row(99)
    tell(scene, verb)
    assert scene.row(101) == []
    (risk,) = scene.of(RiskRecord)
    assert (risk.approved, risk.reason, risk.cause) == (False, reason, Cause.COMMAND)
    assert risk.since_us == T0 + SECOND
    assert scene.of(OrderRecord) == []
    tell(scene, lift)
    scene.row(99)
    submitted(scene.row(101))


def test_S8_exits_and_the_protective_stop_run_while_halted() -> None:  # noqa: N802 - the invariant's id
    scene = Scene(strategy(ze1=OUT, protect="stop_loss: 10%"))
    order = submitted(scene.row(101))
    scene.accept(order)
    assert only(tell(scene, Verb.HALT), CancelOrder).client_order_id == order.client_order_id
    stop = submitted(scene.fill(order, 10, 102))  # the fill was faster than the cancel
    assert (stop.reduce_only, scene.phase()) == (True, IN_POSITION)
    out = submitted(scene.row(121))
    assert out.reduce_only
    scene.fill(out, 10, 121)
    assert (scene.held(), scene.phase()) == (0, IDLE)


def test_halt_cancels_the_entries_that_wait_and_a_hold_leaves_them() -> None:
    scene = Scene(strategy("a", z1=RESTING), strategy("b", z1=RESTING))
    first, second = scene.row(101)
    for one in (first, second):
        scene.accept(one)
    assert tell(scene, Verb.HOLD, Cause.LOOP_STALLED) == []
    cancels = tell(scene, Verb.HALT)
    assert [one.client_order_id for one in cancels] == [first.client_order_id, second.client_order_id]
    assert scene.of(OrderUpdate)[-1].status is OrderStatus.PENDING_CANCEL
    for one in (first, second):
        scene.end(one, canceled=True)
    assert (scene.phase(0), scene.phase(1), scene.bot.desk.working) == (IDLE, IDLE, [])


# ---- what lifts it ------------------------------------------------------------------------------


def test_resume_lifts_every_halt_and_no_hold() -> None:
    scene = Scene(strategy())
    tell(scene, Verb.HOLD, Cause.LOOP_STALLED)
    tell(scene, Verb.HALT, Cause.FILE)
    tell(scene, Verb.HALT, Cause.SIGNAL)
    assert scene.bot.desk.trading_state is TradingState.HALTED
    tell(scene, Verb.RESUME)
    assert scene.bot.desk.trading_state is TradingState.REDUCING
    tell(scene, Verb.RELEASE, Cause.LOOP_STALLED)
    assert scene.bot.desk.trading_state is TradingState.ACTIVE
    assert changes(scene) == [
        ("hold", "loop_stalled", "reducing"),
        ("halt", "file", "halted"),
        ("halt", "signal", "halted"),
        ("resume", "file", "reducing"),
        ("resume", "signal", "reducing"),
        ("release", "loop_stalled", "active"),
    ]


def test_release_lifts_the_hold_of_its_cause_only_and_no_halt() -> None:
    scene = Scene(strategy())
    for cause in (Cause.LOOP_STALLED, Cause.TASK_LOST):
        tell(scene, Verb.HOLD, cause)
    tell(scene, Verb.HALT, Cause.LOOP_STALLED)
    tell(scene, Verb.RELEASE, Cause.LOOP_STALLED)
    standing = [(one.state, one.cause) for one in scene.bot.desk.restraints]
    assert standing == [
        (TradingState.REDUCING, Cause.TASK_LOST),
        (TradingState.HALTED, Cause.LOOP_STALLED),
    ]


@pytest.mark.parametrize(
    ("before", "again"),
    [
        ([], command(Verb.RESUME)),
        ([], command(Verb.RELEASE)),
        ([Verb.HALT], command(Verb.HALT)),
        ([Verb.HOLD], command(Verb.HOLD)),
        ([Verb.HALT], command(Verb.RELEASE)),
        ([Verb.HOLD], command(Verb.RESUME)),
    ],
)
def test_command_that_changes_nothing_leaves_no_trace(before: list[Verb], again: TradingCommand) -> None:
    scene = Scene(strategy())
    for verb in before:
        tell(scene, verb)
    state = scene.bot.desk.state()
    assert not halts.changes(scene.bot.desk, again)
    assert scene.bot.obey(again, scene.now_us) == []
    assert scene.bot.take_records() == []
    assert scene.bot.desk.state() == state


def test_what_stands_is_read_from_the_records() -> None:
    scene = Scene(strategy())
    for verb, cause in (
        (Verb.HALT, Cause.LOOP_STALLED),
        (Verb.HOLD, Cause.LOOP_STALLED),
        (Verb.RESUME, Cause.COMMAND),
        (Verb.HALT, Cause.SIGNAL),
        (Verb.HALT, Cause.FILE),
    ):
        tell(scene, verb, cause)
        assert list(standing(scene.of(TradingStateRecord))) == scene.bot.desk.restraints
    tell(scene, Verb.RELEASE, Cause.LOOP_STALLED)
    tell(scene, Verb.RESUME)
    assert standing(scene.of(TradingStateRecord)) == ()
    cut = scene.of(TradingStateRecord)[-1:]  # what began may be in a session before
    assert standing(cut) == ()


# ---- what is written ----------------------------------------------------------------------------


def test_halt_and_resume_are_records_and_alerts_and_no_decisions() -> None:
    scene = Scene(strategy())
    scene.row(99)
    tell(scene, Verb.HALT)
    scene.row(99)
    tell(scene, Verb.RESUME, reason="")
    halted, resumed = scene.of(TradingStateRecord)
    assert halted == TradingStateRecord(
        seq=1,
        ts_us=T0 + SECOND,
        scope="account",
        verb=Verb.HALT,
        state=TradingState.HALTED,
        cause=Cause.COMMAND,
        who="ann",
        reason="odd prices",
        since_us=T0 + SECOND,
    )
    assert (resumed.verb, resumed.state) == (Verb.RESUME, TradingState.ACTIVE)
    assert (resumed.ts_us, resumed.since_us) == (T0 + 2 * SECOND, T0 + SECOND)
    assert canonical_line(halted) is None
    said = [(one.severity, one.type, one.message) for one in scene.of(AlertRecord)]
    assert said == [
        (
            "critical",
            "trading_halted",
            "command, by ann: odd prices; no new entries until botd resume",
        ),
        ("medium", "trading_resumed", "command, by ann"),
    ]


# ---- rejects in a row ---------------------------------------------------------------------------


def rejecting(*, account: int, own: int | None = None, entries: int) -> Scene:
    """Return a scene whose venue has rejected some entries."""
    limits = () if own is None else (("rejects_in_a_row_max", D(own)),)
    scene = Scene(replace(strategy(), limits=limits), limits=replace(NO_LIMITS, rejects_in_a_row_max=account))
    for _ in range(entries):
        scene.reject(submitted(scene.row(101)))
        scene.row(99)
    return scene


def test_B17_rejects_in_a_row_halt_with_a_critical_alert() -> None:  # noqa: N802 - the fault's id
    scene = rejecting(account=5, entries=4)
    assert scene.bot.desk.trading_state is TradingState.ACTIVE
    scene.reject(submitted(scene.row(101)), "insufficient balance")
    scene.row(99)
    assert changes(scene) == [("halt", "rejects_in_a_row", "halted")]
    assert [one.type for one in scene.of(AlertRecord)] == ["order_rejected"] * 5 + ["trading_halted"]
    last = scene.of(AlertRecord)[-1]
    assert last.severity == "critical"
    assert last.message == (
        "rejects_in_a_row, by botd: the venue rejected 5 entries in a row; no new entries until botd resume"
    )
    assert scene.row(101) == []
    risk = scene.of(RiskRecord)[-1]
    assert (risk.reason, risk.cause) == (DenyReason.TRADING_HALTED, Cause.REJECTS_IN_A_ROW)


def test_B17_counter_starts_anew_on_resume() -> None:  # noqa: N802 - the fault's id
    scene = rejecting(account=2, entries=2)
    tell(scene, Verb.RESUME)
    scene.reject(submitted(scene.row(101)))
    assert scene.bot.desk.trading_state is TradingState.ACTIVE
    scene.row(99)
    scene.reject(submitted(scene.row(101)))
    assert scene.bot.desk.trading_state is TradingState.HALTED


def test_B17_rejects_an_hour_apart_are_no_row() -> None:  # noqa: N802 - the fault's id
    scene = rejecting(account=2, entries=1)
    scene.row(99, at=3600)
    scene.reject(submitted(scene.row(101, at=3601)))
    assert (scene.bot.desk.rejects, scene.bot.desk.trading_state) == (1, TradingState.ACTIVE)
    scene.row(99, at=7199)
    scene.reject(submitted(scene.row(101, at=7200)))
    assert scene.bot.desk.trading_state is TradingState.HALTED


def test_B17_halt_outlives_a_fill() -> None:  # noqa: N802 - the fault's id
    limits = replace(NO_LIMITS, rejects_in_a_row_max=1)
    scene = Scene(strategy("a"), strategy("b"), limits=limits)
    first, second = scene.row(101)
    assert only(scene.reject(first), CancelOrder).client_order_id == second.client_order_id
    scene.fill(second, 10, 102)  # before the cancel came
    assert (scene.bot.desk.rejects, scene.held(1)) == (0, 10)
    assert scene.bot.desk.trading_state is TradingState.HALTED


@pytest.mark.parametrize(
    ("own", "entries", "halted"), [(2, 1, False), (2, 2, True), (1000, 2, False), (1000, 3, True)]
)
def test_B17_strategys_own_limit_tightens_and_never_loosens(  # noqa: N802 - the fault's id
    own: int, entries: int, halted: bool
) -> None:
    scene = rejecting(account=3, own=own, entries=entries)
    assert (scene.bot.desk.trading_state is TradingState.HALTED) is halted


def test_rejected_exit_counts_for_nothing() -> None:
    scene = Scene(strategy(ze1=OUT), limits=replace(NO_LIMITS, rejects_in_a_row_max=1))
    bought(scene)
    scene.reject(submitted(scene.row(121)))
    assert (scene.bot.desk.rejects, scene.bot.desk.trading_state) == (0, TradingState.ACTIVE)


# ---- what outlives what -------------------------------------------------------------------------


def test_S8_halt_outlives_a_snapshot() -> None:  # noqa: N802 - the invariant's id
    scene = Scene(strategy())
    scene.row(99)
    tell(scene, Verb.HOLD, Cause.LOOP_STALLED)
    tell(scene, Verb.HALT, Cause.FILE)
    again = scene.fresh()
    again.restore(scene.bot.state())
    assert again.desk.restraints == scene.bot.desk.restraints
    assert again.desk.trading_state is TradingState.HALTED
    scene.bot = again
    assert scene.row(101) == []


def test_snapshot_of_a_botd_without_halts_is_active() -> None:
    scene = Scene(strategy())
    state = scene.bot.desk.state()
    del state["restraints"]
    scene.bot.desk.restore(state)
    assert scene.bot.desk.trading_state is TradingState.ACTIVE


def test_S8_halt_is_handed_over_and_said_again_in_the_new_session() -> None:  # noqa: N802 - the invariant's id
    scene = Scene(strategy())
    scene.row(99)
    tell(scene, Verb.HOLD, Cause.LOOP_STALLED)
    tell(scene, Verb.HALT, Cause.SIGNAL)
    heir = scene.fresh()
    carry(scene.bot, heir, T0 + 9 * SECOND)
    assert heir.desk.trading_state is TradingState.HALTED
    heir.restate(T0 + 9 * SECOND)
    said = [one for one in heir.take_records() if isinstance(one, TradingStateRecord)]
    assert [(one.verb, one.cause, one.who, one.since_us) for one in said] == [
        (Verb.HOLD, Cause.LOOP_STALLED, "ann", T0 + SECOND),
        (Verb.HALT, Cause.SIGNAL, "ann", T0 + SECOND),
    ]


def test_new_books_take_over_what_restrained_the_account() -> None:
    def halted(cause: Cause, since_us: int) -> Restraint:
        return Restraint(state=TradingState.HALTED, cause=cause, who="ann", reason="", since_us=since_us)

    scene = Scene(strategy())
    tell(scene, Verb.HALT, Cause.FILE)
    halts.inherit(scene.bot.desk, [halted(Cause.FILE, 1), halted(Cause.SIGNAL, 2)])
    standing = [(one.cause, one.since_us) for one in scene.bot.desk.restraints]
    assert standing == [(Cause.FILE, T0), (Cause.SIGNAL, 2)]
    assert scene.bot.desk.restraint == scene.bot.desk.restraints[0]
