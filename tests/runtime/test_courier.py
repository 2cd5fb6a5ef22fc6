"""The courier at the last moment: what is not sent any more, and what a broken-off request leaves."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from botd.core.events import SubmitOrder
from botd.core.restraint import TradingCommand
from botd.ports import OrderReport, OrderState
from botd.runtime.courier import VALID_US, Courier
from botd.runtime.link import Link
from botd.runtime.tickets import Phase, Ticket
from botd.simulation.clock import EPOCH_US, VirtualClock
from botd.simulation.exchange.exchange import RULES
from botd.simulation.loop import VirtualLoop, run_virtual
from tests.runtime.tracked import STOP, Books


class Venue:
    """Takes every order, a second after it was asked."""

    rules = RULES

    def __init__(self) -> None:
        self.sent: list[SubmitOrder] = []

    async def submit(self, asked: SubmitOrder) -> OrderReport:
        self.sent.append(asked)
        await asyncio.sleep(1)
        return OrderReport(
            client_order_id=asked.client_order_id,
            instrument=asked.instrument,
            state=OrderState.OPEN,
            side=asked.side,
            qty=asked.qty,
            filled=0,
            reduce_only=asked.reduce_only,
            ts_us=EPOCH_US,
            limit=asked.limit,
            stop=asked.stop,
        )


def nobody() -> None:
    """Wake nobody."""


class Scene:
    """A courier between real books and the venue."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.books = Books()
        self.venue = Venue()
        self.halted = False
        self.asked: list[TradingCommand] = []
        venue: Any = self.venue  # a whole RemoteVenue has more than is asked for here
        link = Link(venue, VirtualClock(loop), loop.time, lambda until_us, why: None)
        tracker = self.books.tracker
        self.courier = Courier(link, tracker, self.books.tell, lambda: self.halted, nobody, self.asked.append)

    def ticket(self, **terms: Any) -> Ticket:
        """Return an order that is committed and waits to be sent."""
        ticket = self.books.track(ts_us=EPOCH_US, **terms)
        ticket.phase = Phase.WAITING
        return ticket

    @property
    def fate(self) -> tuple[str, str]:
        return str(self.books.order().status), self.books.order().reason


def play(script: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def world(loop: VirtualLoop) -> None:
        await script(Scene(loop))

    run_virtual(world, seed=1)


def test_order_is_sent_once_and_accepted() -> None:
    async def script(scene: Scene) -> None:
        ticket = scene.ticket()
        await scene.courier.submit(ticket)
        assert (scene.fate, ticket.phase, len(scene.venue.sent)) == (("accepted", ""), Phase.SIGHTED, 1)

    play(script)


def test_R3_entry_is_not_sent_once_trading_is_halted_and_an_exit_is() -> None:
    async def script(scene: Scene) -> None:
        scene.halted = True
        await scene.courier.submit(scene.ticket())
        assert (scene.fate, scene.venue.sent) == (("expired", "halted before it was sent"), [])
        await scene.courier.submit(scene.ticket(name="botd-2", **STOP))
        assert [one.client_order_id for one in scene.venue.sent] == ["botd-2"]

    play(script)


@pytest.mark.parametrize("terms", [{}, STOP], ids=["entry", "exit"])
def test_D9_order_whose_cancel_came_first_is_not_sent(terms: dict[str, Any]) -> None:
    async def script(scene: Scene) -> None:
        ticket = scene.ticket(**terms)
        ticket.cancel_wanted = True
        await scene.courier.submit(ticket)
        assert (scene.fate, scene.venue.sent) == (("expired", "cancelled before it was sent"), [])

    play(script)


@pytest.mark.parametrize(("late_us", "sent"), [(VALID_US, 1), (VALID_US + 1, 0)])
def test_B12_entry_goes_out_until_five_seconds_after_its_row(late_us: int, sent: int) -> None:
    async def script(scene: Scene) -> None:
        await asyncio.sleep(late_us / 1e6)
        await scene.courier.submit(scene.ticket())
        assert len(scene.venue.sent) == sent

    play(script)


def test_B12_exit_goes_out_however_late() -> None:
    async def script(scene: Scene) -> None:
        await asyncio.sleep(600)
        await scene.courier.submit(scene.ticket(**STOP))
        assert len(scene.venue.sent) == 1

    play(script)


def test_G15_request_that_is_broken_off_leaves_its_order_in_doubt() -> None:
    async def script(scene: Scene) -> None:
        ticket = scene.ticket()
        task = asyncio.create_task(scene.courier.submit(ticket))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (ticket.phase, scene.books.order().in_doubt) == (Phase.DOUBT, True)

    play(script)
