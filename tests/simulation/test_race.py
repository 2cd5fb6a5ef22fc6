"""What the seeded order is for: a race that asyncio's own order never shows."""

from __future__ import annotations

import asyncio

from botd.simulation.loop import VirtualLoop, run_virtual


async def book_two_fills(loop: VirtualLoop) -> int:
    """Add two fills to a position that is read before a wait and written after it; one may be lost.

    In asyncio's plain order the second reads after the first has written, by luck.
    """
    position = 0

    async def book(qty: int, pauses: int) -> None:
        nonlocal position
        for _ in range(pauses):
            await asyncio.sleep(0)
        held = position
        await asyncio.sleep(0)
        position = held + qty

    async with asyncio.TaskGroup() as group:
        group.create_task(book(1, 0))
        group.create_task(book(2, 2))
    return position


def test_lost_update_is_found_by_some_seed_and_never_by_plain_order() -> None:
    seeded = [run_virtual(book_two_fills, seed=seed).result for seed in range(100)]
    assert 3 <= sum(position != 3 for position in seeded) < 100
    plain = {run_virtual(book_two_fills, seed=seed, chaos=0).result for seed in range(100)}
    assert plain == {3}
