"""The way to a venue: who waits for a limit, who for a ban, what an answer is worth, whose clock is right."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from botd.core.verdicts import Verdict
from botd.ports import VenueError
from botd.runtime.link import BAN_US, GRACE_S, RETRY_AFTER_US, Closed, Kind, Link
from botd.simulation.clock import EPOCH_US, VirtualClock
from botd.simulation.exchange.exchange import RULES
from botd.simulation.loop import VirtualLoop, run_virtual

WAITING = (Kind.CANCEL, Kind.EXIT, Kind.READ)
LIMITED = VenueError("RateLimitExceeded", http=429, retry_after_us=20_000_000)
BANNED = VenueError("DDoSProtection", "banned", http=418, retry_after_us=60_000_000)


class Venue:
    """The part of a venue that a link itself uses."""

    rules = RULES

    def __init__(self, loop: VirtualLoop, *, ahead_us: int = 0, latency_s: float = 0.2) -> None:
        self._loop = loop
        self._ahead_us = ahead_us
        self._latency_s = latency_s
        self.corrected_us = 0
        self.way_back_s = 0.0

    def correct_clock(self, offset_us: int) -> None:
        self.corrected_us = offset_us

    async def fetch_time_us(self) -> int:
        await asyncio.sleep(self._latency_s / 2)
        time_us = EPOCH_US + round(self._loop.now_s * 1e6) + self._ahead_us
        await asyncio.sleep(self._latency_s / 2 + self.way_back_s)
        return time_us


class Scene:
    """A link and what it has done."""

    def __init__(self, loop: VirtualLoop, *, skew_us: int = 0, ahead_us: int = 0) -> None:
        self.loop = loop
        self.bans: list[tuple[int, str]] = []
        self.venue = Venue(loop, ahead_us=ahead_us)
        self.clock = VirtualClock(loop, skew_us=skew_us)
        venue: Any = self.venue  # a whole RemoteVenue has more than a link itself asks for
        self.link = Link(venue, self.clock, loop.time, lambda for_us, why: self.bans.append((for_us, why)))

    async def fail(self, error: Exception, kind: Kind = Kind.READ) -> VenueError:
        """Have a request meet an error; return what comes of it."""

        async def call() -> None:
            raise error

        with pytest.raises(VenueError) as raised:
            await self.link.ask(kind, call)
        return raised.value

    async def went_s(self, kind: Kind) -> float:
        """Make a request; return when it went, in seconds from now."""
        began_s = self.loop.now_s

        async def call() -> float:
            return self.loop.now_s - began_s

        return await self.link.ask(kind, call)


def play(script: Callable[[Scene], Coroutine[Any, Any, None]], **terms: int) -> None:
    async def world(loop: VirtualLoop) -> None:
        await script(Scene(loop, **terms))

    run_virtual(world, seed=1)


# ---- limits ----------------------------------------------------------------------------------------


def test_F1_limit_holds_reads_and_exits_for_as_long_as_the_venue_said() -> None:
    async def script(scene: Scene) -> None:
        await scene.fail(LIMITED)
        both = await asyncio.gather(scene.went_s(Kind.READ), scene.went_s(Kind.EXIT))
        assert both == pytest.approx([20.0, 20.0], abs=0.1)
        assert await scene.went_s(Kind.READ) == 0.0

    play(script)


def test_F1_limit_without_a_time_holds_for_a_second() -> None:
    async def script(scene: Scene) -> None:
        await scene.fail(VenueError("RateLimitExceeded", http=429))
        assert await scene.went_s(Kind.READ) == pytest.approx(RETRY_AFTER_US / 1e6, abs=0.1)

    play(script)


def test_F1_shorter_limit_does_not_undo_a_longer_one() -> None:
    async def script(scene: Scene) -> None:
        await scene.fail(LIMITED, Kind.CANCEL)
        await scene.fail(VenueError("RateLimitExceeded", http=429, retry_after_us=1_000_000), Kind.CANCEL)
        assert await scene.went_s(Kind.READ) == pytest.approx(20.0, abs=0.1)

    play(script)


def test_D8_cancel_waits_for_no_limit() -> None:
    async def script(scene: Scene) -> None:
        await scene.fail(LIMITED)
        assert await scene.went_s(Kind.CANCEL) == 0.0

    play(script)


@pytest.mark.parametrize("error", [LIMITED, BANNED])
def test_B12_entry_does_not_wait_it_is_another_decision_later(error: VenueError) -> None:
    async def script(scene: Scene) -> None:
        await scene.fail(error)
        with pytest.raises(Closed):
            await scene.went_s(Kind.ENTRY)

    play(script)


# ---- bans ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", WAITING)
def test_F2_ban_holds_everything_until_its_end(kind: Kind) -> None:
    async def script(scene: Scene) -> None:
        await scene.fail(BANNED)
        assert scene.link.banned
        assert await scene.went_s(kind) == pytest.approx(60.0, abs=0.1)
        assert not scene.link.banned

    play(script)


def test_F2_ban_is_told_once_with_its_end_in_our_time() -> None:
    async def script(scene: Scene) -> None:
        await scene.fail(BANNED)
        assert scene.bans == [(60_000_000, "banned")]

    play(script, skew_us=5_000_000)


def test_F2_answers_that_come_in_during_a_ban_are_no_bans_of_their_own() -> None:
    async def script(scene: Scene) -> None:
        async def call() -> None:
            await asyncio.sleep(1.0)
            raise VenueError("DDoSProtection", http=418, retry_after_us=59_000_000)

        late = asyncio.create_task(scene.link.ask(Kind.READ, call))
        await asyncio.sleep(0.1)
        await scene.fail(BANNED)
        with pytest.raises(VenueError):
            await late
        assert len(scene.bans) == 1

    play(script)


def test_F2_ban_without_a_time_is_one_of_two_minutes() -> None:
    async def script(scene: Scene) -> None:
        await scene.fail(VenueError("DDoSProtection", http=418))
        assert await scene.went_s(Kind.CANCEL) == pytest.approx(BAN_US / 1e6, abs=0.1)

    play(script)


def test_F2_ban_outlives_a_restart() -> None:
    async def script(scene: Scene) -> None:
        await scene.fail(BANNED)
        ((for_us, _),) = scene.bans
        await asyncio.sleep(10)
        after = Scene(scene.loop)
        after.link.stay_away(for_us - 10_000_000)
        after.link.stay_away(20_000_000)  # what is shorter shortens nothing
        assert await after.went_s(Kind.CANCEL) == pytest.approx(50.0, abs=0.1)

    play(script)


def test_D8_cancel_after_a_ban_does_not_wait_for_the_limit_as_well() -> None:
    async def script(scene: Scene) -> None:
        limit = VenueError("RateLimitExceeded", http=429, retry_after_us=90_000_000)
        await scene.fail(limit)
        await scene.fail(BANNED, Kind.CANCEL)
        assert await scene.went_s(Kind.CANCEL) == pytest.approx(60.0, abs=0.1)

    play(script)


# ---- answers ---------------------------------------------------------------------------------------


def test_B2_request_that_hangs_is_given_up_as_unanswered() -> None:
    async def script(scene: Scene) -> None:
        async def call() -> None:
            await asyncio.sleep(3600)

        began_s = scene.loop.now_s
        with pytest.raises(VenueError) as raised:
            await scene.link.ask(Kind.ENTRY, call)
        assert scene.loop.now_s - began_s == pytest.approx(RULES.request_timeout_us / 1e6 + GRACE_S)
        assert scene.link.verdict(raised.value) is Verdict.UNKNOWN

    play(script)


@pytest.mark.parametrize(
    "error", [KeyError("orderId"), ValueError("Expecting value"), TypeError("NoneType"), ZeroDivisionError()]
)
def test_B5_answer_that_cannot_be_read_is_no_answer(error: Exception) -> None:
    async def script(scene: Scene) -> None:
        found = await scene.fail(error)
        assert found.name == type(error).__name__
        assert scene.link.verdict(found) is Verdict.UNKNOWN

    play(script)


def test_request_that_is_broken_off_is_broken_off_at_once() -> None:
    async def script(scene: Scene) -> None:
        async def call() -> None:
            await asyncio.sleep(5)

        task = asyncio.create_task(scene.link.ask(Kind.READ, call))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    play(script)


# ---- clocks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("skew_us", [-3_600_000_000, -700_000, 0, 90_000_000])
def test_F5_offset_is_measured_against_the_middle_of_the_request(skew_us: int) -> None:
    async def script(scene: Scene) -> None:
        await scene.link.measure_offset()
        assert scene.link.offset_us == pytest.approx(-skew_us, abs=2)
        assert scene.venue.corrected_us == scene.link.offset_us
        assert scene.link.now_us() == pytest.approx(EPOCH_US + scene.loop.now_s * 1e6, abs=2)

    play(script, skew_us=skew_us)


def test_F5_clock_that_is_set_while_it_is_compared_does_not_stretch_the_request() -> None:
    async def script(scene: Scene) -> None:
        scene.loop.call_later(0.15, scene.clock.step, 40_000_000)
        await scene.link.measure_offset()
        assert scene.link.offset_us == pytest.approx(0, abs=2)  # what it was before; the next one finds out
        await scene.link.measure_offset()
        assert scene.link.offset_us == pytest.approx(-40_000_000, abs=2)

    play(script)


def test_F5_wait_for_a_limit_is_no_part_of_the_request_that_measures() -> None:
    async def script(scene: Scene) -> None:
        await scene.fail(LIMITED)
        await scene.link.measure_offset()
        assert scene.link.offset_us == pytest.approx(-3_000_000, abs=2)

    play(script, skew_us=3_000_000)


def test_F5_slow_answer_moves_the_offset_only_as_far_as_it_can_tell() -> None:
    async def script(scene: Scene) -> None:
        await scene.link.measure_offset()
        scene.venue.way_back_s = 9.0  # the middle of the request is 4.5 s from when the venue looked
        await scene.link.measure_offset()
        assert scene.link.offset_us == pytest.approx(-700_000, abs=2)
        scene.clock.step(20_000_000)
        await scene.link.measure_offset()
        assert abs(scene.link.offset_us + 20_700_000) <= 4_600_000

    play(script, skew_us=700_000)


def test_F5_refused_time_stamp_asks_for_a_comparison() -> None:
    async def script(scene: Scene) -> None:
        assert not scene.link.wrong_clock.is_set()
        error = await scene.fail(VenueError("InvalidNonce", http=400, code="-1021"), Kind.ENTRY)
        assert scene.link.wrong_clock.is_set()
        assert scene.link.verdict(error) is Verdict.REFUSED

    play(script)
