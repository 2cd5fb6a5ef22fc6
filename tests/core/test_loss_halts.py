"""Losses that halt: whose limit, for how long, and what a resume does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from botd.core.events import CancelOrder, SubmitOrder
from botd.core.outcomes import DenyReason
from botd.core.records import RiskRecord
from botd.core.restraint import ACCOUNT, Cause, TradingCommand, TradingState, Verb, scope_of
from botd.core.updates import AlertRecord, TradingStateRecord
from tests.core.scene import HOUR, NO_LIMITS, SECOND, T0, D, Scene, bought, only, strategy, submitted

OUT = "{ name: out, when: price < 95, close: 100% }"
MIDNIGHT = 86_400 - T0 // SECOND % 86_400  # seconds after T0
DAILY = replace(NO_LIMITS, daily_loss_max=D("0.05"))  # of 2,000 = 100
DEEP = replace(NO_LIMITS, drawdown_max=D("0.05"))


def losing(scene: Scene, *, lost: int) -> None:
    """Have the first strategy lose an amount of USDT: ten bought at 102, or ten sold to that much less."""
    order = submitted(scene.row(101))
    scene.accept(order)
    scene.fill(order, 10, 102)
    out = submitted(scene.row(94))
    scene.accept(out)
    scene.fill(out, 9, 102)
    scene.fill(out, 1, 102 - lost)


def standing(scene: Scene) -> list[tuple[str, str]]:
    return [(str(one.cause), one.scope) for one in scene.bot.desk.restraints]


def ask(scene: Scene, verb: Verb) -> None:
    command = TradingCommand(verb=verb, cause=Cause.COMMAND, who="ann", reason="looked at it")
    scene.bot.obey(command, scene.now_us)
    scene.records += scene.bot.take_records()


@pytest.mark.parametrize(("lost", "halts"), [(99, False), (100, False), (101, True)])
@pytest.mark.parametrize("limits", [DAILY, DEEP])
def test_loss_at_its_limit_trades_on_and_one_above_halts(lost: int, halts: bool, limits: object) -> None:
    scene = Scene(strategy(ze1=OUT), limits=limits, equity="2000")  # type: ignore[arg-type]
    losing(scene, lost=lost)
    assert bool(scene.row(101)) is not halts
    cause = "daily_loss" if limits is DAILY else "drawdown"
    assert standing(scene) == ([(cause, ACCOUNT)] if halts else [])
    risk = scene.of(RiskRecord)[-1]
    assert (risk.limit, risk.actual) == ((100, 101) if halts else (None, None))


def test_halt_over_a_loss_says_how_long_and_cancels_entries_that_wait() -> None:
    resting = strategy(
        "rests", z1="when: always, order: { type: limit, price: price - 50, ttl: 1h }, size: { fixed: 1 BTC }"
    )
    scene = Scene(strategy(ze1=OUT), resting, limits=DAILY, equity="2000")
    first, waits = scene.row(101)
    for one in (first, waits):
        assert isinstance(one, SubmitOrder)
        scene.accept(one)
    scene.fill(first, 10, 102)
    out = submitted(scene.row(94))
    scene.accept(out)
    scene.fill(out, 10, 91)
    assert only(scene.row(101), CancelOrder).client_order_id == waits.client_order_id
    assert scene.bot.desk.trading_state is TradingState.HALTED
    alert = scene.of(AlertRecord)[-1]
    assert (alert.severity, alert.type) == ("critical", "trading_halted")
    assert alert.message == (
        "daily_loss, by botd: 110 USDT lost since 00:00 UTC, the limit is 100.00; until the next day"
    )


def test_halt_over_a_days_loss_ends_with_the_day_at_the_next_entry_or_hour() -> None:
    for at_the_hour in (False, True):
        scene = Scene(strategy(ze1=OUT), limits=DAILY, equity="2000", block_max=8)
        losing(scene, lost=101)
        assert scene.row(101) == []
        scene.row(99, at=MIDNIGHT - 2)
        assert standing(scene)
        assert scene.row(101, at=MIDNIGHT - 1) == []
        if at_the_hour:
            scene.row(99, at=MIDNIGHT + 1)
            assert standing(scene) == []
        scene.row(99, at=MIDNIGHT + 2)
        assert scene.row(101, at=MIDNIGHT + 3)
        assert standing(scene) == []
        lifted = scene.of(TradingStateRecord)[-1]
        assert (lifted.verb, lifted.cause, lifted.who) == (Verb.RESUME, Cause.DAILY_LOSS, "botd")


def test_person_cannot_resume_a_days_loss_away() -> None:
    scene = Scene(strategy(ze1=OUT), limits=DAILY, equity="2000")
    losing(scene, lost=101)
    scene.row(101)
    ask(scene, Verb.RESUME)
    assert standing(scene) == []
    scene.row(99)
    assert scene.row(101, at=10) == []
    assert standing(scene) == [("daily_loss", ACCOUNT)]
    assert scene.of(RiskRecord)[-1].reason is DenyReason.DAILY_LOSS_MAX


def test_drawdown_waits_for_a_person_who_sets_the_peak_anew() -> None:
    scene = Scene(strategy(ze1=OUT), limits=DEEP, equity="2000")
    losing(scene, lost=101)
    assert scene.row(101) == []
    scene.row(99, at=MIDNIGHT + 1)
    assert scene.row(101, at=MIDNIGHT + HOUR // SECOND) == []
    assert scene.of(RiskRecord)[-1].cause is Cause.DRAWDOWN
    ask(scene, Verb.RESUME)
    account = scene.bot.desk.portfolio.account("USDT")
    assert (account.start, account.peak) == (2000, 1899)
    scene.row(99, at=MIDNIGHT + 2 * HOUR // SECOND)
    assert submitted(scene.row(101, at=MIDNIGHT + 2 * HOUR // SECOND + 1)).qty == 10


def test_tighter_limit_of_one_strategy_halts_it_alone() -> None:
    shy = replace(strategy("shy", ze1=OUT), limits=(("daily_loss_max", D("0.01")),))
    small = "when: always, order: { type: market, slippage_max: 10% }, size: { fixed: 1 BTC }"
    scene = Scene(shy, strategy("bold", z1=small), limits=DAILY, equity="2000")
    orders = scene.row(101)
    scene.fill(orders[0].client_order_id, 10, 102)  # type: ignore[union-attr]
    scene.end(orders[1].client_order_id)  # type: ignore[union-attr]
    out = submitted(scene.row(94))
    scene.fill(out, 10, 99)  # 30 lost: over 1 % of 2,000, under 5 %
    assert submitted(scene.row(101)).key.strategy == "bold"
    assert standing(scene) == [("daily_loss", scope_of("shy"))]
    assert scene.bot.desk.state_of(scope_of("shy")) is TradingState.HALTED
    assert scene.bot.desk.trading_state is TradingState.ACTIVE
    assert "on strategy:shy, by botd" in scene.of(AlertRecord)[-1].message
    scene.row(99)
    assert scene.row(101, at=20) == []
    assert scene.of(RiskRecord)[-1].cause is Cause.DAILY_LOSS


def test_looser_limit_of_a_strategy_that_denies_halts_the_account() -> None:
    loose = replace(strategy(ze1=OUT), limits=(("drawdown_max", D("0.10")),))
    scene = Scene(loose, limits=DEEP, equity="2000")
    losing(scene, lost=201)
    assert scene.row(101) == []
    assert standing(scene) == [("drawdown", ACCOUNT)]


def test_halts_over_losses_are_in_the_snapshot() -> None:
    scene = Scene(strategy(ze1=OUT), limits=DAILY, equity="2000")
    losing(scene, lost=101)
    scene.row(101)
    again = scene.fresh()
    again.restore(scene.bot.state())
    assert again.desk.restraints == scene.bot.desk.restraints
    assert again.desk.trading_state is TradingState.HALTED


def test_drawdown_that_is_resumed_while_something_is_held_counts_it_at_its_price() -> None:
    scene = Scene(strategy(ze1="{ name: half, when: price < 95, close: 50% }"), limits=DEEP, equity="2000")
    bought(scene)
    scene.row(80)
    ask(scene, Verb.HALT)
    scene.bot.desk.portfolio.account("USDT").peak = D(3000)
    command = TradingCommand(verb=Verb.HALT, cause=Cause.DRAWDOWN, who="botd", reason="deep")
    scene.bot.obey(command, scene.now_us)
    ask(scene, Verb.RESUME)
    assert scene.bot.desk.portfolio.account("USDT").peak == 2000 + 10 * (80 - 102)
