"""How the account is set up at the venue, and what somebody changes there: E6."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from botd.core.restraint import Cause, TradingCommand, Verb
from botd.core.updates import AlertRecord, TradingStateRecord
from botd.ports import VenueError
from botd.runtime.modes import MODES_S, WRONG_S
from botd.simulation.exchange.exchange import RULES
from tests.core.scene import NO_LIMITS, strategy
from tests.runtime.gateway_scene import BUYER, PERP, Day, Swing, play

OFTEN = strategy(s1="when: price > 100, cooldown: 1s", e1="{ name: out, when: held > 5s }")
HALTED = ("halted", "mode_changed")


def resume(day: Day) -> None:
    lift = TradingCommand(verb=Verb.RESUME, cause=Cause.COMMAND, who="ann")
    day.loop.call_soon(day.brake.ask, lift)


def scopes(day: Day) -> list[str]:
    return [one.scope for one in day.of(TradingStateRecord) if one.verb is Verb.HALT]


def entries(day: Day) -> int:
    return sum(1 for _ in day.truth.entries())


@pytest.mark.parametrize("one_way", [True, False])
def test_E6_wrong_mode_at_a_start_halts_before_anything_is_sent(one_way: bool) -> None:
    async def script(day: Day) -> None:
        day.exchange.mishaps.switch(None, 1e6)
        await day.at(60)
        assert day.restraints() == [HALTED]
        assert scopes(day) == ["account"]
        assert [one.severity for one in day.of(AlertRecord)] == ["critical"]
        assert entries(day) == 0

    play(script, OFTEN, prices=Swing(), rules=replace(RULES, one_way=one_way))


@pytest.mark.parametrize("instrument", [None, PERP.id])
def test_E6_change_while_we_trade_is_found_within_five_minutes(instrument: Any) -> None:
    async def script(day: Day) -> None:
        await day.at(400)
        before = entries(day)
        day.exchange.mishaps.switch(instrument, 1e6)
        await day.at(400 + MODES_S + 3)
        assert day.restraints() == [HALTED]
        assert scopes(day) == ["account" if instrument is None else PERP.id]
        after = entries(day)
        assert after > before
        await day.at(1000)
        assert entries(day) == after
        assert day.held() == 0  # exits do not ask
        day.check()

    patient = replace(NO_LIMITS, losing_streak_max=10**6)  # buying at the ask and selling at the bid
    play(script, OFTEN, prices=Swing(), limits=patient)


def test_E6_halt_comes_back_after_a_resume_until_the_mode_is_set_back() -> None:
    async def script(day: Day) -> None:
        day.exchange.mishaps.switch(None, 1e6)
        await day.at(60)
        for _ in range(2):
            resume(day)
            await asyncio.sleep(WRONG_S + 3)
            assert day.restraints() == [HALTED]
        assert scopes(day) == ["account"] * 3
        day.exchange.mishaps.switch_back()
        await asyncio.sleep(WRONG_S + 3)
        assert day.restraints() == [HALTED]  # a person lifts it
        resume(day)
        await asyncio.sleep(60)
        assert day.restraints() == []
        assert entries(day) > 0
        day.check()

    play(script, OFTEN, prices=Swing())


def test_E6_leverage_that_was_changed_while_nothing_ran_is_found_by_the_next_start() -> None:
    async def script(day: Day) -> None:
        await day.at(30)
        day.kill()
        day.exchange.mishaps.switch(PERP.id, 1e6)
        await asyncio.sleep(5)
        day.boot()
        await day.at(45)
        assert day.restraints() == [HALTED]
        assert scopes(day) == [PERP.id]
        await day.restart()
        await day.at(60)
        assert day.restraints() == [HALTED]
        assert scopes(day) == [PERP.id]  # said once

    play(script, BUYER)


def test_E6_look_that_fails_is_made_again_at_once() -> None:
    async def dark(way_on: Callable[..., Awaitable[Any]]) -> Any:
        raise VenueError("ExchangeNotAvailable", http=503)

    async def script(day: Day) -> None:
        await day.at(MODES_S - 10)
        day.exchange.mishaps.switch(None, 1e6)
        day.hooks["fetch_modes"] = dark
        await day.at(MODES_S + 30)
        assert day.restraints() == []
        day.hooks.clear()
        await day.at(MODES_S + 35)
        assert day.restraints() == [HALTED]

    play(script, BUYER)


def test_E6_restarts_at_a_venue_as_it_was_write_nothing() -> None:
    async def script(day: Day) -> None:
        await day.at(30)
        before = day.rows()
        for _ in range(3):
            await day.restart()
            await asyncio.sleep(7)
        assert scopes(day) == []
        assert day.rows() - before <= 6  # how the account stands in two currencies, at each start

    play(script, BUYER)
