"""The writer thread: order, durability, bounds, and failures that nobody can miss."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from botd.errors import InvariantBroken
from botd.ports import Batch
from botd.store.journal import SqliteJournal, open_state
from botd.store.queries import StateReader
from botd.store.writer import WriterThread
from tests.store import samples


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "botd.sqlite3"


def journal(path: Path) -> SqliteJournal:
    opened = open_state(path)
    opened.start_session(samples.started())
    return opened


def batch(n: int, session: str = "s1") -> Batch:
    return Batch(session_id=session, records=(samples.signal(n, row=n),), cursor=samples.cursor(n, seq=n))


def seqs(path: Path) -> list[int]:
    with StateReader(path) as reader:
        return [row.seq for _, row in reader.decisions("s1")]


async def test_commit_returns_when_others_can_read_it(path: Path) -> None:
    writer = WriterThread(journal(path))
    await writer.commit(batch(1))
    assert seqs(path) == [1]
    await writer.close()


async def test_calls_run_in_order_off_the_loop_and_return_their_value(path: Path) -> None:
    opened = journal(path)
    writer = WriterThread(opened)
    commits = asyncio.gather(*(writer.commit(batch(n)) for n in range(1, 51)))
    await asyncio.sleep(0)
    cursor = await writer.call(opened.cursor, "s1")
    assert cursor == samples.cursor(50, seq=50)
    await commits
    assert await writer.call(threading.current_thread) is not threading.current_thread()
    await writer.close()


async def test_close_writes_what_waits(path: Path) -> None:
    writer = WriterThread(journal(path))
    commits = [asyncio.create_task(writer.commit(batch(n))) for n in range(1, 31)]
    await asyncio.sleep(0)
    await writer.close()
    await asyncio.gather(*commits)
    await writer.close()
    assert seqs(path) == list(range(1, 31))
    assert not writer._thread.is_alive()
    with pytest.raises(RuntimeError, match="closed"):
        await writer.commit(batch(31))


async def test_K5_full_queue_makes_callers_wait_and_loses_nothing(path: Path) -> None:  # noqa: N802
    opened = journal(path)
    writer = WriterThread(opened, queue_max=2)
    gate = threading.Event()
    blocker = asyncio.create_task(writer.call(gate.wait, 30))
    tasks = [asyncio.create_task(writer.commit(batch(n))) for n in range(1, 9)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert writer._queue.qsize() <= 2
    gate.set()
    assert await blocker
    await asyncio.gather(*tasks)
    await writer.close()
    assert seqs(path) == list(range(1, 9))


async def test_failure_reaches_its_caller_and_all_later_ones(path: Path) -> None:
    writer = WriterThread(journal(path))
    tasks = [
        asyncio.create_task(writer.commit(batch(n, session="unknown" if n == 2 else "s1"))) for n in (1, 2, 3)
    ]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[0] is None
    assert isinstance(results[1], InvariantBroken)
    assert results[2] is results[1]
    with pytest.raises(InvariantBroken):
        await writer.commit(batch(4))
    assert writer.failure is results[1]
    await writer.close()
    assert seqs(path) == [1]


async def test_cancelled_caller_does_not_stop_the_writer(path: Path) -> None:
    writer = WriterThread(journal(path))
    task = asyncio.create_task(writer.commit(batch(1)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await writer.commit(batch(2))
    await writer.close()
    assert seqs(path) == [1, 2]


def test_loop_that_ends_before_its_answer_does_not_hang(path: Path) -> None:
    opened = journal(path)
    gate = threading.Event()

    async def leave_early() -> WriterThread:
        writer = WriterThread(opened)
        task = asyncio.create_task(writer.call(gate.wait, 30))
        await asyncio.sleep(0)
        task.cancel()
        return writer

    writer = asyncio.run(leave_early())
    gate.set()
    asyncio.run(writer.close())
    assert not writer._thread.is_alive()
