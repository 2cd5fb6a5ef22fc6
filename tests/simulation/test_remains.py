"""Processes killed at any step and in the middle of a call: nothing of them unwinds, and nothing leaks."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from botd.failpoints import Point, failpoint
from botd.simulation.host import Death, End, EndCause, Host, Process
from botd.simulation.loop import VirtualLoop, run_virtual
from tests.simulation.unwound import Unwound


async def die(loop: VirtualLoop, unwound: Unwound, death: Death) -> tuple[End, list[str]]:
    """Return how a process ended, and what of it ran after that."""
    end = await Host(loop, "bot").boot(lambda process: unwound.stand("bot"), death=death).ended
    await asyncio.sleep(100)
    return end, list(unwound.ran)


def test_process_killed_at_any_step_runs_nothing_more() -> None:
    unwound = Unwound()
    for step in range(1, 40):
        outcome = run_virtual(lambda loop: die(loop, unwound, Death(step=step)), seed=step)  # noqa: B023
        assert outcome.result == (End(EndCause.KILLED), [])
    gc.collect()
    assert unwound.ran == []  # nor when it was let go


def test_process_killed_in_the_middle_of_a_call_runs_nothing_more() -> None:
    for nth in range(1, 5):
        unwound = Unwound()
        death = Death(point=Point.TX_MID, nth=nth)
        outcome = run_virtual(lambda loop: die(loop, unwound, death), seed=nth)  # noqa: B023
        assert outcome.result == (End(EndCause.KILLED), [])


def test_nothing_of_a_run_stays_in_memory_however_its_processes_ended() -> None:
    left: list[weakref.ref[object]] = []

    async def world(loop: VirtualLoop) -> None:
        host = Host(loop, "bot")
        for death in (Death(step=9), Death(nth=2), None):
            unwound = Unwound()
            process = host.boot(lambda process: unwound.stand("bot"), death=death)  # noqa: B023
            left.extend((weakref.ref(loop), weakref.ref(process), weakref.ref(unwound)))
            await asyncio.sleep(5)
            process.kill()

    run_virtual(world, seed=1)
    gc.collect()
    assert [one() for one in left] == [None] * 9


def test_process_killed_by_another_runs_nothing_more() -> None:
    unwound = Unwound()

    async def world(loop: VirtualLoop) -> None:
        process = Host(loop, "bot").boot(lambda process: unwound.stand("bot"))
        await asyncio.sleep(10.3)
        process.kill()
        process.kill()
        assert (await process.ended).cause is EndCause.KILLED
        await asyncio.sleep(100)

    run_virtual(world, seed=1)
    gc.collect()
    assert unwound.ran == []


def test_process_that_kills_itself_stops_in_the_middle_of_a_call() -> None:
    ran: list[str] = []

    async def program(process: Process) -> None:
        def inner() -> None:
            try:
                ran.append("before")
                process.kill()
                ran.append("after")
            finally:
                ran.append("finally")

        inner()

    async def world(loop: VirtualLoop) -> list[str]:
        host = Host(loop, "bot")
        for _ in range(3):
            await host.boot(program).ended
            await asyncio.sleep(1)
        return list(ran)

    assert run_virtual(world, seed=1).result == ["before"] * 3
    assert "after" not in ran


def test_loop_goes_on_from_a_step_that_was_left_standing() -> None:
    async def program(process: Process) -> None:
        failpoint(Point.SEND_BEFORE)

    async def world(loop: VirtualLoop) -> str:
        host = Host(loop, "bot")
        await host.boot(program, death=Death(nth=1)).ended
        task = asyncio.current_task()
        assert task is not None
        async with asyncio.timeout(1), asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0.1))
        return task.get_name()

    assert run_virtual(world, seed=1).result.endswith("world")


def test_living_process_does_unwind() -> None:
    unwound = Unwound()

    async def program(process: Process) -> None:
        async with asyncio.timeout(3):
            await unwound.stand("bot")

    async def world(loop: VirtualLoop) -> End:
        return await Host(loop, "bot").boot(program).ended

    end = run_virtual(world, seed=1).result
    assert (end.cause, type(end.error)) == (EndCause.FAILED, TimeoutError)
    simple = ("task", "generator", "async with", "with", "CancelledError", "finally")
    assert sorted(unwound.ran) == sorted(f"bot: {what}" for what in (*simple, "asynchronous generator"))


def test_argument_of_the_step_that_never_ran_is_not_let_go() -> None:
    unwound = Unwound()

    async def program(process: Process) -> None:
        numbers = unwound.numbers("bot")
        next(numbers)
        asyncio.get_running_loop().call_soon(next, numbers)
        del numbers
        await asyncio.sleep(1)

    async def world(loop: VirtualLoop) -> list[str]:
        end = await Host(loop, "bot").boot(program, death=Death(step=2)).ended
        assert end.cause is EndCause.KILLED
        await asyncio.sleep(1)
        return list(unwound.ran)

    assert run_virtual(world, seed=1, chaos=0).result == []


def test_interrupt_inside_a_process_ends_the_run_and_the_loop_can_go_on() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    async def program(process: Process) -> str:
        asyncio.get_running_loop().call_soon(interrupt)
        await asyncio.sleep(1)
        return "went on"

    async def world(loop: VirtualLoop) -> object:
        return (await Host(loop, "bot").boot(program).ended).result

    loop = VirtualLoop(1)
    running = loop.create_task(world(loop))
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(running)
    assert loop.run_until_complete(running) == "went on"
    loop.close()
