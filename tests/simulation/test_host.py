"""Processes on hosts: how they end, what survives them, and that each has its own clock and signals."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextvars import Context, ContextVar, copy_context

import pytest

from botd.errors import InvariantBroken
from botd.failpoints import Point, failpoint
from botd.simulation.chance import Chance
from botd.simulation.host import DEATH, Death, End, EndCause, Host, Process, draw_death
from botd.simulation.loop import Deadlock, VirtualLoop, run_virtual
from botd.simulation.steps import OWNER
from tests.simulation.unwound import Unwound


def test_death_is_before_a_step_or_at_a_point() -> None:
    with pytest.raises(InvariantBroken, match="not both"):
        Death(step=3, point=Point.TX_MID)


def test_process_that_returns_cancels_what_it_left_running() -> None:
    unwound = Unwound()

    async def program(process: Process) -> int:
        tasks = [asyncio.create_task(unwound.stand(name)) for name in "ab"]
        await asyncio.sleep(1)
        return len(tasks)

    async def world(loop: VirtualLoop) -> End:
        end = await Host(loop, "bot").boot(program).ended
        assert loop.tasks_of() == [asyncio.current_task()]
        return end

    assert run_virtual(world, seed=1).result == End(EndCause.RETURNED, result=2)
    assert {"a: finally", "b: finally"} <= set(unwound.ran)


def test_process_that_returns_closes_what_it_left_open() -> None:
    unwound = Unwound()

    async def program(process: Process) -> None:
        ticks = unwound.ticks("bot")
        await anext(ticks)
        kept.append(ticks)

    async def world(loop: VirtualLoop) -> list[str]:
        assert (await Host(loop, "bot").boot(program).ended).cause is EndCause.RETURNED
        return list(unwound.ran)

    kept: list[AsyncIterator[int]] = []
    assert run_virtual(world, seed=1).result == ["bot: asynchronous generator"]


def test_failure_while_a_process_ends_fails_the_run() -> None:
    async def program(process: Process) -> None:
        async def fail() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                raise ZeroDivisionError

        task = asyncio.create_task(fail(), name="untidy")
        await asyncio.sleep(1)
        assert not task.done()

    async def world(loop: VirtualLoop) -> None:
        await Host(loop, "bot").boot(program).ended

    with pytest.raises(InvariantBroken, match=r"^bot\.1: untidy failed while its process ended$"):
        run_virtual(world, seed=1)


def test_failure_of_a_process_is_its_end_and_nobody_elses() -> None:
    async def program(process: Process) -> None:
        raise SystemExit(3)

    async def world(loop: VirtualLoop) -> End:
        return await Host(loop, "bot").boot(program).ended

    end = run_virtual(world, seed=1).result
    assert end.cause is EndCause.FAILED
    assert isinstance(end.error, SystemExit)


def test_doomed_process_dies_at_its_point_and_not_where_it_was_to_before() -> None:
    async def program(process: Process) -> None:
        while True:
            await asyncio.sleep(1)
            failpoint(Point.TX_MID)
            failpoint(Point.STAGE_AFTER)

    async def world(loop: VirtualLoop) -> tuple[EndCause, Point | None, float]:
        process = Host(loop, "bot").boot(program, death=Death(step=40))
        await asyncio.sleep(2.5)
        process.doom(Death(point=Point.STAGE_AFTER, nth=5))
        return (await process.ended).cause, process.died_at, loop.now_s

    cause, point, seconds = run_virtual(world, seed=1).result
    assert (cause, point) == (EndCause.KILLED, Point.STAGE_AFTER)
    assert seconds == pytest.approx(5)


def test_what_a_dying_process_scheduled_never_runs_in_the_next() -> None:
    ran: list[str] = []

    async def first(process: Process) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(ran.append, "soon")
        loop.call_later(5, ran.append, "later")
        task = asyncio.create_task(asyncio.sleep(5))
        task.add_done_callback(lambda _: ran.append("task"))
        process.kill()

    async def second(process: Process) -> None:
        await asyncio.sleep(10)

    async def world(loop: VirtualLoop) -> None:
        host = Host(loop, "bot")
        await host.boot(first).ended
        await host.boot(second).ended

    run_virtual(world, seed=1)
    assert ran == []


def test_dead_process_can_schedule_nothing_through_those_who_live() -> None:
    ran: list[str] = []

    async def world(loop: VirtualLoop) -> None:
        left: list[Context] = []

        async def program(process: Process) -> None:
            left.append(copy_context())
            await asyncio.sleep(100)

        process = Host(loop, "bot").boot(program)
        await asyncio.sleep(1)
        process.kill()
        left[0].run(loop.call_soon, ran.append, "soon")
        left[0].run(loop.call_later, 1, ran.append, "later")
        left[0].run(loop.create_task, asyncio.sleep(1)).add_done_callback(lambda _: ran.append("task"))
        await asyncio.sleep(100)

    run_virtual(world, seed=1)
    assert ran == []


def test_failure_in_a_process_that_nobody_looks_at_names_the_process() -> None:
    async def program(process: Process) -> None:
        async def fail() -> None:
            raise ZeroDivisionError

        failing = asyncio.create_task(fail())
        await asyncio.sleep(1)
        assert failing.done()

    async def world(loop: VirtualLoop) -> None:
        await Host(loop, "bot").boot(program).ended
        await asyncio.sleep(1)

    with pytest.raises(InvariantBroken, match=r"^bot\.1: .*Task exception was never retrieved"):
        run_virtual(world, seed=1)


def test_message_to_a_dead_process_is_lost_and_one_from_it_arrives() -> None:
    heard: list[str] = []

    async def program(process: Process, request: asyncio.Future[str], reply: asyncio.Future[str]) -> None:
        reply.set_result("sent before it died")
        heard.append(await request)

    async def world(loop: VirtualLoop) -> str:
        request: asyncio.Future[str] = loop.create_future()
        reply: asyncio.Future[str] = loop.create_future()
        process = Host(loop, "bot").boot(lambda process: program(process, request, reply))
        await asyncio.sleep(1)
        process.kill()
        request.set_result("to a dead process")
        await asyncio.sleep(1)
        return await reply

    assert run_virtual(world, seed=1).result == "sent before it died"
    assert heard == []


def test_waiting_for_a_dead_process_without_a_timeout_is_a_deadlock() -> None:
    async def world(loop: VirtualLoop) -> None:
        request: asyncio.Future[None] = loop.create_future()

        async def program(process: Process) -> None:
            await asyncio.sleep(1)
            request.set_result(None)

        Host(loop, "bot").boot(program, death=Death(step=2))
        await request

    with pytest.raises(Deadlock, match="nothing will ever happen") as caught:
        run_virtual(world, seed=1)
    assert "bot" not in str(caught.value)  # the dead do not wait


def test_process_dies_again_and_again_while_it_recovers() -> None:
    async def world(loop: VirtualLoop) -> tuple[list[int], list[str]]:
        written: list[int] = []  # as on a disk: it outlives the process

        async def program(process: Process) -> None:
            for number in range(len(written)):  # recovery
                await asyncio.sleep(0.1)
                assert written[number] == number
                failpoint(Point.RECOVERY_ROWS)
            while len(written) < 6:
                await asyncio.sleep(0.1)
                written.append(len(written))
                failpoint(Point.TX_AFTER_COMMIT)

        host = Host(loop, "bot")
        deaths = [
            Death(point=Point.TX_AFTER_COMMIT, nth=3),
            Death(point=Point.RECOVERY_ROWS, nth=2),
            Death(step=2),
            Death(nth=4),
            None,
        ]
        causes = []
        for death in deaths:
            end = await host.boot(program, death=death).ended
            causes.append(f"{end.cause} with {len(written)}")
        return written, causes

    written, causes = run_virtual(world, seed=1).result
    assert written == [0, 1, 2, 3, 4, 5]
    assert causes == ["killed with 3", "killed with 3", "killed with 3", "killed with 4", "returned with 6"]


def test_process_inherits_nothing_from_who_started_it() -> None:
    setting: ContextVar[str] = ContextVar("setting", default="nothing")

    async def program(process: Process) -> str:
        assert OWNER.get() is process
        return setting.get()

    async def world(loop: VirtualLoop) -> object:
        setting.set("something")
        return (await Host(loop, "bot").boot(program).ended).result

    assert run_virtual(world, seed=1).result == "nothing"


def test_host_starts_one_process_at_a_time_and_not_from_inside_one() -> None:
    async def world(loop: VirtualLoop) -> End:
        host, other = Host(loop, "bot"), Host(loop, "other")

        async def program(process: Process) -> None:
            with pytest.raises(InvariantBroken, match="from inside a process"):
                other.boot(program)
            await asyncio.sleep(1)

        process = host.boot(program)
        with pytest.raises(InvariantBroken, match=r"runs bot\.1 already"):
            host.boot(program)
        end = await process.ended
        assert (process.label, host.boot(program).label) == ("bot.1", "bot.2")
        return end

    assert run_virtual(world, seed=1).result == End(EndCause.RETURNED)


def test_signal_calls_the_handler_of_its_process_and_kills_one_without() -> None:
    async def world(loop: VirtualLoop) -> list[str]:
        heard: list[str] = []

        async def polite(process: Process) -> None:
            stop = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
            await stop.wait()
            heard.append(process.label)
            assert asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
            await asyncio.sleep(5)
            heard.append("not reached")

        left, right = Host(loop, "left").boot(polite), Host(loop, "right").boot(polite)
        await asyncio.sleep(1)
        left.signal(signal.SIGTERM)
        await asyncio.sleep(1)
        assert heard == ["left.1"]
        left.signal(signal.SIGTERM)  # it is unprepared now
        right.signal(signal.SIGKILL)
        heard += [(await process.ended).cause for process in (left, right)]
        left.signal(signal.SIGTERM)
        return heard

    assert run_virtual(world, seed=1).result == ["left.1", "killed", "killed"]


def test_each_process_has_its_own_clock() -> None:
    async def world(loop: VirtualLoop) -> list[int]:
        await asyncio.sleep(7)
        host = Host(loop, "bot")

        async def program(process: Process) -> tuple[int, float]:
            await asyncio.sleep(2)
            return process.clock.now_us() - reference.clock.now_us(), process.clock.monotonic()

        async def stand(process: Process) -> None:
            await asyncio.sleep(100)

        reference = Host(loop, "venue").boot(stand)
        ends = [await host.boot(program, skew_us=skew).ended for skew in (0, -3_000_000, 250_000)]
        assert {end.result[1] for end in ends} == {2.0}  # type: ignore[index]
        return [end.result[0] for end in ends]  # type: ignore[index]

    assert run_virtual(world, seed=1).result == [0, -3_000_000, 250_000]


def test_drawn_deaths_are_of_every_kind_and_repeat() -> None:
    def draw(seed: int) -> list[Death | None]:
        chance = Chance(seed, [DEATH], swarm=False)
        return [draw_death(chance) for _ in range(20)]

    drawn = [death for seed in range(20) for death in draw(seed)]
    assert draw(7) == draw(7)
    assert 120 < drawn.count(None) < 280
    deaths = [death for death in drawn if death is not None]
    assert {death.power for death in deaths} == {True, False}
    steps = [death.step for death in deaths if death.step is not None]
    assert min(steps) < 10 < 1000 < max(steps)
    assert {death.nth for death in deaths if death.step is None} > {1, 2, 3, 4}


def test_digest_depends_on_who_died_when() -> None:
    async def world(loop: VirtualLoop, death: Death) -> None:
        async def program(process: Process) -> None:
            for _ in range(10):
                await asyncio.sleep(1)

        await Host(loop, "bot").boot(program, death=death).ended

    digests = {run_virtual(lambda loop, n=n: world(loop, Death(step=n)), seed=1).digest for n in range(1, 10)}  # type: ignore[misc]
    assert len(digests) == 9
