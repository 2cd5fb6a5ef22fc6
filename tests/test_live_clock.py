"""The live driver keeps its place on disk whatever is done to the machine's clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from botd.ports import Batch, Cursor
from botd.runtime.live import LiveDriver
from tests.session_scene import MINUTE_US, NOW_US, Bench


class Kept:
    """A writer that remembers what it was given."""

    def __init__(self) -> None:
        self.cursors: list[Cursor | None] = []
        self.snapshots: list[Cursor] = []

    async def commit(self, batch: Batch) -> None:
        self.cursors.append(batch.cursor)

    async def snapshot(self, session_id: str, cursor: Cursor, state: dict[str, Any]) -> None:
        self.snapshots.append(cursor)


async def test_P1_place_is_kept_after_the_clock_was_set_back(tmp_path: Path) -> None:  # noqa: N802
    bench, kept = Bench(tmp_path), Kept()
    session, journal = bench.open()
    driver = LiveDriver(
        session.loop,
        session.feed,
        kept,
        bench.clock,
        session_id=session.id,
        snapshot_every_us=MINUTE_US,
        on_records=lambda records: None,
        on_block=lambda ts_us: None,
    )
    bench.clock.at_us = NOW_US + MINUTE_US
    rows = list(session.feed.read(session.loop.feed_position, rows_max=64))
    assert len(rows) > 2
    await driver.catch_up(rows[:1])
    bench.clock.at_us = NOW_US - 60 * MINUTE_US
    kept.cursors.clear()
    kept.snapshots.clear()
    await driver.catch_up(rows[1:2])
    session.close()
    journal.close()
    assert session.loop.cursor() in kept.cursors
    assert kept.snapshots == [session.loop.cursor()]
