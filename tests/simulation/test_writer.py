"""The writer without a thread keeps the promises of the one with."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from botd.ports import Batch, Journal
from botd.simulation.chance import Stream
from botd.simulation.loop import VirtualLoop, run_virtual
from botd.simulation.writer import InlineWriter, commit_latency


class Memory:
    """A journal in memory that fails where it is told to."""

    def __init__(self, *, fails_at: int | None = None) -> None:
        self.written: list[str] = []
        self.fails_at = fails_at
        self.closed = False

    def commit(self, batch: Batch) -> None:
        if len(self.written) == self.fails_at:
            raise OSError("no space left")
        self.written.append(batch.session_id)

    def close(self) -> None:
        self.closed = True


def write_with(memory: Memory, *, latency_s: float = 0.01, queue_max: int = 1024) -> InlineWriter:
    return InlineWriter(cast(Journal, memory), latency_s=lambda: latency_s, queue_max=queue_max)


def test_commit_returns_after_its_latency_with_the_batch_written() -> None:
    async def main(loop: VirtualLoop) -> tuple[float, list[str]]:
        memory = Memory()
        writer = write_with(memory)
        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(writer.commit(Batch(session_id=name)))
        took_s, written = loop.now_s, list(memory.written)
        await writer.close()
        return took_s, written

    took_s, written = run_virtual(main, seed=1, chaos=0).result
    assert took_s == pytest.approx(0.03)
    assert written == ["a", "b", "c"]


def test_close_writes_what_waits_and_refuses_more() -> None:
    async def main(loop: VirtualLoop) -> Memory:
        memory = Memory()
        writer = write_with(memory)
        commits = [asyncio.create_task(writer.commit(Batch(session_id=str(n)))) for n in range(20)]
        await asyncio.sleep(0.001)
        await writer.close()
        await asyncio.gather(*commits)
        await writer.close()
        with pytest.raises(RuntimeError, match="closed"):
            await writer.commit(Batch(session_id="late"))
        return memory

    memory = run_virtual(main, seed=1).result
    assert (len(memory.written), memory.closed) == (20, True)


def test_nothing_is_written_after_a_failure_and_everyone_hears_of_it() -> None:
    async def main(loop: VirtualLoop) -> tuple[list[str], list[str]]:
        memory = Memory(fails_at=2)
        writer = write_with(memory)
        commits = [asyncio.create_task(writer.commit(Batch(session_id=str(n)))) for n in range(5)]
        outcomes = await asyncio.gather(*commits, return_exceptions=True)
        memory.fails_at = None
        with pytest.raises(OSError, match="no space left"):
            await writer.commit(Batch(session_id="late"))
        assert isinstance(writer.failure, OSError)
        await writer.close()
        return memory.written, [type(outcome).__name__ for outcome in outcomes]

    written, outcomes = run_virtual(main, seed=1).result
    assert len(written) == 2
    assert outcomes.count("OSError") == 3


def test_G15_caller_that_is_cancelled_may_have_written() -> None:  # noqa: N802
    async def main(loop: VirtualLoop) -> tuple[int, int]:
        before = after = 0
        for pause_ms in range(1, 10):
            memory = Memory()
            writer = write_with(memory)
            asked = asyncio.create_task(writer.commit(Batch(session_id="a")))
            await asyncio.sleep(pause_ms / 1000)
            asked.cancel()
            await asyncio.wait([asked])
            assert asked.cancelled()
            before += not memory.written
            after += len(memory.written)
            await writer.close()
            assert memory.written == ["a"]
        return before, after

    before, after = run_virtual(main, seed=1).result
    assert before > 1
    assert after > 1


def test_full_queue_makes_callers_wait_and_loses_nothing() -> None:
    async def main(loop: VirtualLoop) -> tuple[int, int]:
        memory = Memory()
        writer = write_with(memory, queue_max=2)
        commits = [asyncio.create_task(writer.commit(Batch(session_id=str(n)))) for n in range(9)]
        await asyncio.sleep(0.001)
        waiting = writer._queue.qsize()
        await asyncio.gather(*commits)
        await writer.close()
        return waiting, len(memory.written)

    assert run_virtual(main, seed=1).result == (1, 9)


def test_latencies_are_those_of_a_disk() -> None:
    draw = commit_latency(Stream(3))
    drawn = sorted(draw() for _ in range(2000))
    assert drawn[0] >= 0.002
    assert drawn[1000] == pytest.approx(0.004, rel=0.1)
    assert sum(latency > 0.02 for latency in drawn) == pytest.approx(20, abs=12)
