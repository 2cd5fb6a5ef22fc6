"""What is done between two chunks: whose its errors are, and what if nobody waits for it any more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from botd.core.bot import Bot, LaneSpec
from botd.errors import InputInvalid
from botd.runtime.live import LiveDriver
from tests.runtime.gateway_scene import BUYER, Day, play


def driver_of(day: Day) -> LiveDriver:
    assert day._driver is not None
    return day._driver


def test_failure_of_a_visit_is_its_callers_and_trading_goes_on() -> None:
    async def script(day: Day) -> None:
        await day.at(5)

        async def fail() -> None:
            raise InputInvalid("not today")

        with pytest.raises(InputInvalid, match="not today"):
            await driver_of(day).between_chunks(fail)
        await day.at(30)
        assert day.statuses() == ["filled"]

    play(script, BUYER)


def test_caller_that_is_gone_does_not_end_the_driver() -> None:
    async def script(day: Day) -> None:
        await day.at(5)
        begun = asyncio.Event()

        async def slow() -> None:
            begun.set()
            await asyncio.sleep(1)

        asking = asyncio.create_task(driver_of(day).between_chunks(slow))
        await begun.wait()
        asking.cancel()
        await day.at(30)
        assert day.statuses() == ["filled"]

    play(script, BUYER)


def test_swap_that_is_not_on_disk_ends_the_driver() -> None:
    """The bot before it is gone, and the new one is in no book: nothing may be traded from there."""

    async def script(day: Day) -> None:
        await day.at(5)
        driver = driver_of(day)

        async def full(*_: Any) -> None:
            raise InputInvalid("the disk is full")

        def made() -> Bot:
            spec = LaneSpec(instrument=day.instrument, strategies=tuple(day.strategies))
            return Bot(day.bot.desk.settings, [spec], id_prefix="session", block_max=day.bot.block_max)

        async def swap() -> None:
            await driver.reload(made(), full)

        with pytest.raises(InputInvalid, match="disk is full"):
            await driver.between_chunks(swap)
        process = day.host.process
        assert process is not None
        end = await process.ended
        assert isinstance(end.error, BaseExceptionGroup)
        assert "the disk is full" in str(end.error.exceptions[0])

    play(script, BUYER)
