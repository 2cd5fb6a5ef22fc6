"""A plan's bot beside the running one: made, and its new nodes run over the rows that they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from botd.app import lane_specs
from botd.config.plan import Plan
from botd.core.bot import Bot
from botd.core.lanes import I64
from botd.engine.carry import adds_nodes
from botd.engine.layout import N_INPUT, T
from botd.feeds.synthetic import SyntheticFeed
from botd.ports import Feed
from botd.runtime.batch import read_before
from botd.runtime.merge import RowMerger

_BEFORE: Final = 1_000  # rows before the first that are read too: what stands there, they say


@dataclass(frozen=True, slots=True)
class Ring:
    """A copy of the rows that an engine has at hand, and the number of the first of them."""

    rows: I64
    first: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where the session stood when a plan began to be warmed, with the rows of lanes that need it."""

    rings: Mapping[int, Ring]
    ts_us: int
    feed_position: int


def look(running: Bot, bot: Bot, ts_us: int, feed_position: int) -> Place:
    """Note what a bot of another plan has to be warmed with; only between two chunks."""
    rings = {}
    for before, lane in zip(running.lanes, bot.lanes, strict=True):
        engine = before.engine
        if adds_nodes(engine.program, lane.engine.program):
            rows = engine.ring[:N_INPUT, : engine.rows_seen - engine.first_row].copy()
            rings[lane.index] = Ring(rows, engine.first_row)
    return Place(rings, ts_us, feed_position)


def warm(bot: Bot, plan: Plan, feed: Feed, place: Place) -> None:
    """Run engines with new nodes over the rows that those need, up to a place; from a thread of its own."""
    late: dict[int, int] = {}  # lanes whose rings do not reach back far enough, and to when they should
    for index, ring in place.rings.items():
        needed_us = max(one.strategy.warmup_us for one in bot.lanes[index].engine.program.machines)
        since_us = place.ts_us - needed_us
        if ring.first == 0 or (ring.rows.shape[1] and ring.rows[T, 0] <= since_us):
            _append(bot, index, ring.rows, ring.first)
        else:
            late[index] = min(since_us, int(ring.rows[T, 0]) if ring.rows.shape[1] else since_us)
    if not late:
        return
    history = _read_lanes(plan, feed, place, min(late.values()), len(bot.lanes))
    for index in late:
        ring, rows = place.rings[index], history[index]
        _append(bot, index, rows, ring.first + ring.rows.shape[1] - rows.shape[1])


def _read_lanes(plan: Plan, feed: Feed, place: Place, since_us: int, lanes: int) -> list[I64]:
    """Return the rows of each lane since a time, with their timers, up to a place."""
    start = 0
    if isinstance(feed, SyntheticFeed):
        start = max(0, feed.position_at(since_us) - _BEFORE)
    merger = RowMerger(lane_specs(plan, feed.instruments)[1], lanes, feed.bar_length_us)
    parts: list[list[I64]] = [[np.zeros((N_INPUT, 0), np.int64)] for _ in range(lanes)]
    chunks = list(read_before(feed, start, place.feed_position))
    for chunk in chunks:
        owners, rows, _ = merger.take(chunk, place.ts_us + 1 if chunk is chunks[-1] else None)
        for index in range(lanes):
            parts[index].append(rows[:, owners == index])
    return [np.ascontiguousarray(np.concatenate(one, axis=1)) for one in parts]


def _append(bot: Bot, index: int, rows: I64, first: int) -> None:
    """Run a lane's engine over rows, the first of them by this number."""
    engine = bot.lanes[index].engine
    if first < 0:  # the session is younger than what was read: rows before it have no number
        rows, first = rows[:, -first:], 0
    engine.begin_at(first)
    for start in range(0, rows.shape[1], bot.block_max):
        engine.append(np.ascontiguousarray(rows[:, start : start + bot.block_max]))


def catch_up(bot: Bot, running: Bot) -> bool:
    """Run engines over the rows judged since they were warmed; return False where those are gone."""
    for lane, before in zip(bot.lanes, running.lanes, strict=True):
        seen, source = lane.engine.rows_seen, before.engine
        if not seen and not adds_nodes(source.program, lane.engine.program):
            continue
        at, end = seen - source.first_row, source.rows_seen - source.first_row
        if at < 0:
            return False
        for start in range(at, end, bot.block_max):
            lane.engine.append(source.ring[:N_INPUT, start : min(end, start + bot.block_max)].copy())
    return True
