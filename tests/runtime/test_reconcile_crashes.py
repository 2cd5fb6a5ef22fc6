"""Death in the reconciliation of a start: N crashes and one success are one success."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import fields
from typing import Any

import pytest

from botd.core.events import Side, SubmitOrder
from botd.core.records import FillRecord, OrderRecord, TradeRecord
from botd.core.updates import AlertRecord, OrderUpdate, PositionUpdate, TradingStateRecord
from botd.failpoints import Point
from botd.ports import OrderReport, VenueError, VenueEvent
from botd.simulation.host import Death, Process
from tests.core.scene import strategy
from tests.runtime.gateway_scene import PERP, Day, Prices, play

Way = Callable[..., Awaitable[Any]]

BROKEN_S = 11.0  # when the daemon dies, with three orders on their way or at rest
BACK_S = 16.0
SETTLED_S = 60.0  # what never arrived cannot arrive any more
ONCE = "when: price > 100, cooldown: 1h"
TRADERS = (
    strategy("answered", s1=ONCE),  # its order fills, and the answer is lost
    strategy("lost", s1=ONCE),  # its order never comes to the venue
    strategy(
        "rests",  # its order fills while nobody looks
        s1=ONCE,
        z1="when: always, order: { type: limit, price: price - 5, ttl: 1h }, size: { fixed: 10 BTC }",
    ),
)
FALL = Prices((0.0, 100), (10.0, 101), (12.0, 95), (14.0, 101))
APPENDED = (FillRecord, OrderRecord, TradeRecord, AlertRecord, TradingStateRecord)
STEPS = (*range(1, 60), *range(60, 340, 9))  # the first second, and then until the last order is found out
POINTS = (
    *(Point.GROUP_BEFORE_COMMIT, Point.GROUP_AFTER_COMMIT, Point.ANSWERS_BEFORE_COMMIT),
    *(Point.SEND_BEFORE, Point.SEND_BETWEEN, Point.SEND_AFTER),
    *(Point.RECOVERY_ROWS, Point.RECOVERY_BEFORE_SEND, Point.RECOVERY_AFTER),
)
# when something was found out, and after how many looks, a crash may change; what was found out it may not
OWN = {"seq", "ts_us", "reason", "since_us", "opened_us", "intent_seq"}


async def submit(way_on: Way, order: SubmitOrder) -> OrderReport:
    if order.key.strategy == "lost":
        raise VenueError("RequestTimeout", "no answer")
    report: OrderReport = await way_on(order)
    if order.key.strategy == "answered":
        raise VenueError("RequestTimeout", "no answer")
    return report


async def silent(event: VenueEvent) -> list[VenueEvent]:
    return []


async def break_down(day: Day) -> None:
    """Have orders of every kind of fate, a dead daemon, and a person who sells meanwhile."""
    await day.at(BROKEN_S)
    assert [str(one.status) for one in day.orders()] == ["submitted", "submitted", "accepted"]
    day.kill()
    await asyncio.sleep(13.0 - day.loop.now_s)
    day.exchange.matching.trade(PERP, Side.SELL, 3, 95, liquidation=False)
    await asyncio.sleep(BACK_S - day.loop.now_s)


async def settle(day: Day) -> list[str]:
    """Let a start that nobody disturbs find everything out; return the rows of the books."""
    if day.host.process is None:
        day.boot()
    await day.at(day.loop.now_s + SETTLED_S)
    day.check()
    assert day.statuses()[:3] == ["filled", "never_arrived", "filled"]
    return sorted(rows(day))


def rows(day: Day) -> Iterator[str]:
    """Yield what the state file would hold: the newest state of what is updated, each of what is not."""
    newest: dict[object, Any] = {one.client_order_id: one for one in day.of(OrderUpdate)}
    newest.update({(one.strategy, one.cycle): one for one in day.of(PositionUpdate)})
    for one in [*newest.values(), *(one for kind in APPENDED for one in day.of(kind))]:
        told = {f.name: getattr(one, f.name) for f in fields(one) if f.name not in OWN}
        if isinstance(one, FillRecord):
            told["fill"] = (one.client_order_id, one.trade_id, one.fill.price, one.fill.qty, one.fee)
        yield f"{type(one).__name__} {told}"


def live(die: Callable[[Day], Awaitable[None]]) -> list[str]:
    """Break down, come back as `die` has it, then once undisturbed; return the rows of the books."""

    async def script(day: Day) -> list[str]:
        await break_down(day)
        await die(day)
        return await settle(day)

    return play(script, *TRADERS, prices=FALL, hooks={"submit": submit, "stream": silent})


async def nobody(day: Day) -> None:
    """Let nobody die."""


async def ended(day: Day, death: Death) -> Process:
    """Start once, until it dies."""
    process = day.boot(death)
    await asyncio.wait({process.ended}, timeout=SETTLED_S)
    if process.alive:
        day.kill()
    return process


@pytest.fixture(scope="module")
def undisturbed() -> list[str]:
    return live(nobody)


def test_G9_death_before_any_step_of_a_reconciliation_changes_no_row(undisturbed: list[str]) -> None:
    for step in STEPS:

        async def die(day: Day, step: int = step) -> None:
            assert not (await ended(day, Death(step=step))).alive

        assert live(die) == undisturbed, f"died before step {step}"


@pytest.mark.parametrize("point", POINTS)
def test_G9_three_deaths_at_a_point_of_a_reconciliation_change_no_row(
    undisturbed: list[str], point: Point
) -> None:
    for nth in (1, 2, 3):

        async def die(day: Day, nth: int = nth) -> None:
            for _ in range(3):
                process = await ended(day, Death(point=point, nth=nth))
                assert nth > 1 or process.died_at is point

        assert live(die) == undisturbed, f"died there the {nth}. time"


def test_G9_sixty_deaths_each_a_step_later_than_the_last_change_no_row(undisturbed: list[str]) -> None:
    async def die(day: Day) -> None:
        for step in range(1, 61):
            await ended(day, Death(step=step))

    assert live(die) == undisturbed
