"""The hourly look at the books."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from botd.errors import BotdError, InputInvalid, StateCorrupt
from botd.runtime.audit import EVERY_US, Audit
from tests.runtime.manual_clock import ManualClock


@dataclass(frozen=True)
class Found:
    """A verdict written by hand."""

    warnings: tuple[str, ...] = ()
    refusal: BotdError | None = None


class Bell(ManualClock):
    """A clock that says when somebody sleeps by it."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep = asyncio.Event()

    async def sleep_until(self, ts_us: int) -> None:
        self.asleep.set()
        await super().sleep_until(ts_us)

    async def hour(self) -> None:
        """Let an hour pass, once somebody waits for it."""
        await self.asleep.wait()
        self.asleep.clear()
        self.advance(EVERY_US)


class Stand:
    """An audit whose examinations come to what the test says, one after the other."""

    def __init__(self, *verdicts: Found | BotdError) -> None:
        self.clock = Bell()
        self.verdicts = list(verdicts)
        self.said: list[str] = []
        self.stops: list[str] = []
        self.threads: list[str] = []
        self.audit = Audit(
            self.examine,
            self.clock,
            lambda name, text: self.said.append(f"{name}: {text}"),
            self.stops.append,
        )

    def alert(self, name: str, text: str) -> None:
        self.said.append(f"{name}: {text}")

    def examine(self, cancelled: Callable[[], bool]) -> Found:
        assert not cancelled()
        self.threads.append(threading.current_thread().name)
        verdict = self.verdicts.pop(0)
        if isinstance(verdict, BotdError):
            raise verdict
        return verdict


async def test_books_are_looked_at_every_hour_and_off_the_loop() -> None:
    stand = Stand(Found(), Found(("S9.overdue: 1 row",)))
    running = asyncio.create_task(stand.audit.run())
    await stand.clock.asleep.wait()
    assert stand.threads == []
    await stand.clock.hour()
    await stand.clock.asleep.wait()
    assert (len(stand.threads), stand.said) == (1, [])
    await stand.clock.hour()
    await stand.clock.asleep.wait()
    assert (len(stand.threads), stand.said) == (2, ["fsck: S9.overdue: 1 row"])
    assert threading.current_thread().name not in stand.threads
    assert (stand.stops, stand.audit.refusal) == ([], None)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("raised", [False, True])
async def test_H4_books_that_cannot_be_trusted_ask_for_a_stop_once(raised: bool) -> None:  # noqa: N802
    error = StateCorrupt("the books cannot be trusted")
    stand = Stand(error if raised else Found(("one thing more",), error))
    running = asyncio.create_task(stand.audit.run())
    await stand.clock.hour()
    await running  # it does not look again
    assert stand.stops == ["fsck"]
    assert stand.audit.refusal is error
    assert stand.said == [*([] if raised else ["fsck: one thing more"]), "fsck: the books cannot be trusted"]


async def test_look_that_fails_otherwise_is_for_the_supervisor() -> None:
    stand = Stand(InputInvalid("cannot read"))
    with pytest.raises(InputInvalid):
        await stand.audit.check()
    assert (stand.said, stand.stops) == ([], [])


async def test_cancelled_look_tells_its_thread_to_give_up() -> None:
    loop, began, over = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def examine(cancelled: Callable[[], bool]) -> Found:
        loop.call_soon_threadsafe(began.set)
        for _ in range(30_000):
            if cancelled():
                over.set()
                break
            over.wait(0.001)
        return Found()

    audit = Audit(examine, ManualClock(), lambda *_: None, lambda _: None)
    looking = asyncio.create_task(audit.check())
    await began.wait()
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert over.wait(30)
