"""The simulated loop: virtual time, seeded order within asyncio's promises, and no outside."""

from __future__ import annotations

import asyncio
import math
import random
import threading
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from botd.errors import InvariantBroken
from botd.simulation.loop import NAMES_MAX, Deadlock, StepsSpent, VirtualLoop, run_virtual
from botd.simulation.outside import EXECUTOR_DELAY_S, NotSimulated
from botd.simulation.steps import VirtualTask

SEEDS = range(40)


def test_sleep_ends_exactly_when_it_is_due() -> None:
    async def main(loop: VirtualLoop) -> list[float]:
        woken = []
        for pause in (0.5, 0.25, 3600, 0):
            await asyncio.sleep(pause)
            woken.append(loop.now_s)
        return woken

    assert run_virtual(main, seed=1).result == [0.5, 0.75, 3600.75, 3600.75]


def test_timers_of_one_moment_are_ordered_by_the_seed_and_others_by_time() -> None:
    async def main(loop: VirtualLoop) -> tuple[str, ...]:
        order: list[str] = []
        loop.call_at(0.3, order.append, "a")
        loop.call_at(0.1 + 0.2, order.append, "b")  # a rounding error later
        loop.call_at(0.300002, order.append, "later")
        await asyncio.sleep(1)
        return tuple(order)

    seen = Counter(run_virtual(main, seed=seed).result for seed in SEEDS)
    assert set(seen) == {("a", "b", "later"), ("b", "a", "later")}


def test_task_steps_change_places_but_never_with_a_callback() -> None:
    async def main(loop: VirtualLoop) -> str:
        order: list[str] = []

        async def step(name: str) -> None:
            order.append(name)

        tasks = [asyncio.create_task(step(name)) for name in "abc"]
        loop.call_soon(order.append, "1")
        loop.call_soon(order.append, "2")
        tasks += [asyncio.create_task(step(name)) for name in "def"]
        loop.call_soon(tasks[-1].cancel)  # a method of a task, and no step of it
        loop.call_soon(order.append, "3")
        await asyncio.wait(tasks)
        return "".join(order)

    seen = {run_virtual(main, seed=seed).result for seed in SEEDS}
    assert len(seen) > 10
    for order in seen:
        head, tail = order.split("12")
        assert (sorted(head), sorted(tail[:-1]), tail[-1]) == (list("abc"), list("def"), "3")
    assert {run_virtual(main, seed=seed, chaos=0).result for seed in SEEDS} == {"abc12def3"}


def test_no_task_starves_however_the_seed_orders() -> None:
    async def main(loop: VirtualLoop) -> Counter[int]:
        turns: Counter[int] = Counter()

        async def spin(number: int) -> None:
            while True:
                turns[number] += 1
                await asyncio.sleep(0)

        spinning = [asyncio.create_task(spin(number)) for number in range(6)]
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(spinning) == 6
        return turns

    for seed in range(10):
        turns = run_virtual(main, seed=seed, chaos=1.0).result
        assert min(turns.values()) > 100


def test_timer_that_is_due_runs_while_others_spin() -> None:
    async def main(loop: VirtualLoop) -> int:
        done = asyncio.Event()
        loop.call_later(0, done.set)
        turns = 0
        while not done.is_set():
            turns += 1
            await asyncio.sleep(0)
        return turns

    assert run_virtual(main, seed=1).result < 5


def test_stall_lets_time_pass_inside_a_step() -> None:
    async def main(loop: VirtualLoop) -> tuple[float, bool]:
        ticks: list[float] = []
        loop.call_later(1, lambda: ticks.append(loop.now_s))
        loop.stall(2.5)
        quiet = not ticks
        await asyncio.sleep(0.5)
        assert loop.now_s == 3.0
        return ticks[0], quiet

    assert run_virtual(main, seed=1).result == (2.5, True)


def test_function_in_a_thread_runs_inline_after_a_delay() -> None:
    async def main(loop: VirtualLoop) -> list[float]:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(divmod, 1, 0)
        delays = []
        for _ in range(100):
            began_s = loop.now_s
            assert await asyncio.to_thread(threading.get_ident) == threading.get_ident()
            delays.append(loop.now_s - began_s)
        return delays

    low, high = EXECUTOR_DELAY_S
    delays = run_virtual(main, seed=1).result
    assert low <= min(delays) < low * 3
    assert high * 0.9 < max(delays) <= high


def test_function_in_a_thread_runs_although_its_caller_is_cancelled() -> None:
    async def main(loop: VirtualLoop) -> list[int]:
        done: list[int] = []
        asked = asyncio.create_task(asyncio.to_thread(done.append, 1))
        await asyncio.sleep(EXECUTOR_DELAY_S[0] / 2)
        asked.cancel()
        await asyncio.wait([asked])
        assert asked.cancelled()
        await asyncio.sleep(1)
        return done

    assert run_virtual(main, seed=1).result == [1]


async def use_sockets(loop: VirtualLoop) -> None:
    await loop.create_connection(asyncio.Protocol, "127.0.0.1", 80)


async def use_a_server(loop: VirtualLoop) -> None:
    await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)


async def use_names(loop: VirtualLoop) -> None:
    await loop.getaddrinfo("localhost", 80)


async def use_a_process(loop: VirtualLoop) -> None:
    await asyncio.create_subprocess_exec("true")


async def use_an_executor(loop: VirtualLoop) -> None:
    with ThreadPoolExecutor(1) as pool:
        await loop.run_in_executor(pool, len, "")


async def use_real_signals(loop: VirtualLoop) -> None:
    loop.add_signal_handler(15, loop.stop)


@pytest.mark.parametrize(
    "use", [use_sockets, use_a_server, use_names, use_a_process, use_an_executor, use_real_signals]
)
def test_what_cannot_be_repeated_is_refused(use: object) -> None:
    with pytest.raises(NotSimulated, match="the simulated loop cannot use"):
        run_virtual(use, seed=1)  # type: ignore[arg-type]


def test_thread_that_calls_the_loop_is_refused_and_the_run_fails() -> None:
    async def main(loop: VirtualLoop) -> None:
        caught: list[Exception] = []

        def call() -> None:
            try:
                loop.call_soon_threadsafe(print)
            except NotSimulated as error:
                caught.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        assert caught

    with pytest.raises(InvariantBroken, match="a real thread called the simulated loop"):
        run_virtual(main, seed=1)


def test_K5_deadlock_names_every_waiting_task_and_where() -> None:  # noqa: N802
    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    async def main(loop: VirtualLoop) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(wait_for_ever(), name="left hand")
            group.create_task(asyncio.sleep(math.inf), name="right hand")
            await asyncio.sleep(2)

    with pytest.raises(Deadlock) as caught:
        run_virtual(main, seed=1)
    text = str(caught.value)
    assert text.startswith("deadlock at 2.000000 s")
    assert "left hand#1 waits at test_loop.py:" in text
    assert "in test_K5_deadlock_names_every_waiting_task_and_where.<locals>.wait_for_ever" in text
    assert "right hand#1" in text


def test_spinning_task_spends_the_steps_and_is_named() -> None:
    async def main(loop: VirtualLoop) -> None:
        while True:  # noqa: ASYNC110 - spinning is what this is about
            await asyncio.sleep(0)

    with pytest.raises(StepsSpent, match=r"1000 steps are spent at 0\.000000 s.*main#1"):
        run_virtual(main, seed=1, steps_max=1000)


def test_failure_that_nobody_looks_at_fails_the_run() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async def main(loop: VirtualLoop) -> None:
        task = asyncio.create_task(fail())
        await asyncio.sleep(1)
        assert task.done()
        del task

    with pytest.raises(InvariantBroken, match="Task exception was never retrieved") as caught:
        run_virtual(main, seed=1)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_sets_of_tasks_and_futures_have_one_order() -> None:
    async def main(loop: VirtualLoop) -> list[int]:
        junk = [bytearray(1000 + loop.seed * 7919) for _ in range(loop.seed * 100)]  # other addresses
        made = [asyncio.create_task(asyncio.sleep(0)) for _ in range(50)]
        futures = [loop.create_future() for _ in range(50)]
        await asyncio.wait(made)
        assert len(junk) == loop.seed * 100
        mixed: set[asyncio.Future[None]] = {*made, *futures}
        return [(made + futures).index(one) for one in mixed]  # type: ignore[operator]

    assert run_virtual(main, seed=1).result == run_virtual(main, seed=2).result


def test_tasks_are_named_by_what_they_run_not_by_a_count_of_the_interpreter() -> None:
    async def leaf() -> str:
        task = asyncio.current_task()
        assert isinstance(task, VirtualTask)
        return f"{task.get_name()} {task.tag}".replace(f"{main.__qualname__[:-4]}", "")

    async def main(loop: VirtualLoop) -> list[str]:
        unnamed = asyncio.create_task(leaf())
        return await asyncio.gather(unnamed, *[asyncio.create_task(leaf(), name="its own") for _ in "ab"])

    assert run_virtual(main, seed=1).result == ["leaf leaf#1", "its own its own#1", "its own its own#2"]


def test_abandoned_asynchronous_generator_is_closed_by_the_loop() -> None:
    async def main(loop: VirtualLoop) -> list[str]:
        closed: list[str] = []

        async def numbers(name: str) -> AsyncIterator[int]:
            try:
                while True:
                    yield 1
            finally:
                await asyncio.sleep(0.1)
                closed.append(name)

        async for _ in numbers("left"):
            break
        await asyncio.sleep(1)
        kept = [numbers(name) for name in "abc"]
        for one in kept:
            await anext(one)
        await loop.shutdown_asyncgens()
        return closed

    result = run_virtual(main, seed=1, chaos=0).result
    assert (result[0], sorted(result[1:])) == ("left", ["a", "b", "c"])
    assert run_virtual(main, seed=1, chaos=0).result == result


def test_cancelled_timers_do_not_pile_up() -> None:
    async def main(loop: VirtualLoop) -> int:
        for _ in range(5000):
            async with asyncio.timeout(3600):
                await asyncio.sleep(0)
        return len(loop._timers)

    assert run_virtual(main, seed=1).result < 250


def test_timers_fire_in_order_whichever_others_were_cancelled() -> None:
    async def main(loop: VirtualLoop) -> tuple[list[float], list[float]]:
        rng = random.Random(loop.seed)
        fired: list[float] = []
        times = [rng.uniform(0, 100) for _ in range(1000)]
        timers = [loop.call_at(at, fired.append, at) for at in times]
        kept = set(rng.sample(range(1000), 300))
        for number, timer in enumerate(timers):
            if number not in kept:
                timer.cancel()
        await asyncio.sleep(101)
        return fired, sorted(times[number] for number in kept)

    for seed in range(3):
        fired, expected = run_virtual(main, seed=seed).result
        assert fired == expected


def test_time_stands_still_rather_than_go_back_among_near_timers() -> None:
    async def main(loop: VirtualLoop) -> list[float]:
        times: list[float] = []
        for number in range(200):
            loop.call_at(1 + number * 1e-8, lambda: times.append(loop.now_s))
        await asyncio.sleep(2)
        return times

    times = run_virtual(main, seed=1).result
    assert times == sorted(times)
    assert len(times) == 200


def test_closed_loop_takes_nothing_more() -> None:
    loop = VirtualLoop(1)
    loop.close()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon(print)
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_later(1, print)


def test_code_that_still_waits_at_the_end_is_let_go_without_running() -> None:
    unwound: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            unwound.append("finally")

    async def main(loop: VirtualLoop) -> None:
        task = asyncio.create_task(wait())
        await asyncio.sleep(1)
        assert not task.done()

    run_virtual(main, seed=1)
    assert unwound == []


def test_names_of_tasks_are_let_go_and_one_that_comes_again_keeps_its_count() -> None:
    async def nothing() -> None: ...

    async def main(loop: VirtualLoop) -> tuple[int, str]:
        for number in range(2 * NAMES_MAX):
            await loop.create_task(nothing(), name=f"order {number}")
            poll = loop.create_task(nothing(), name="poll")
            await poll
        assert isinstance(poll, VirtualTask)
        return len(loop._named), poll.tag

    assert run_virtual(main, seed=1).result == (NAMES_MAX, f"poll#{2 * NAMES_MAX}")
