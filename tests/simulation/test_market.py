"""The simulated market: a pure function of seed and time, at whatever place it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from botd.config.plan import Plan
from botd.engine import layout as col
from botd.machine import read_plan
from botd.ports import Chunk
from botd.simulation.bots import draw_files
from botd.simulation.clock import EPOCH_US
from botd.simulation.loop import VirtualLoop, run_virtual
from botd.simulation.market import LATENCY_US, MINUTE_US, Market, MarketFeed

HOUR_US = 60 * MINUTE_US


@pytest.fixture(scope="module")
def plan() -> Plan:
    return read_plan(draw_files(0))


def chunks(market: Market, position: int, end_us: int, rows_max: int = 100_000) -> Iterator[Chunk]:
    while (chunk := market.chunk(position, end_us, rows_max)) is not None:
        yield chunk
        position += chunk.rows.shape[1]


def hour(market: Market, rows_max: int = 100_000) -> np.ndarray:
    parts = chunks(market, 0, EPOCH_US + HOUR_US, rows_max)
    return np.concatenate([np.vstack((chunk.instrument, chunk.rows)) for chunk in parts], axis=1)


def test_rows_are_the_same_in_pieces_of_any_size(plan: Plan) -> None:
    whole = hour(Market(plan.instruments, seed=3))
    assert whole.shape[1] == 60 * Market(plan.instruments, seed=3).minute_rows
    assert np.array_equal(whole, hour(Market(plan.instruments, seed=3), rows_max=7))
    assert not np.array_equal(whole, hour(Market(plan.instruments, seed=4)))


def test_rows_are_in_order_and_never_more_than_three_seconds_apart(plan: Plan) -> None:
    rows = hour(Market(plan.instruments, seed=3))
    assert (np.diff(rows[1 + col.T]) >= 0).all()
    for index in range(2):
        times = rows[1 + col.T, rows[0] == index]
        assert 0 < np.diff(times).max() <= 3_000_000
        assert times[0] - EPOCH_US <= 2_000_000


def test_a_position_has_the_same_row_wherever_reading_begins(plan: Plan) -> None:
    market = Market(plan.instruments, seed=5)
    whole = hour(market)
    for position in (0, 1, 1_259, 1_260, 1_261, 4_000):  # a batch ends at 1,260
        chunk = market.chunk(position, EPOCH_US + HOUR_US, 1)
        assert chunk is not None
        assert (chunk.position, market.time_us(position)) == (position, int(chunk.rows[col.T, 0]))
        assert np.array_equal(chunk.rows[:, 0], whole[1:, position])


def test_top_is_that_of_the_last_print(plan: Plan) -> None:
    market = Market(plan.instruments, seed=5)
    rows = hour(market)
    for index, instrument in enumerate(plan.instruments):
        own = rows[1:, rows[0] == index]
        for at in (1, 500, 629, 630, 2_000):
            bid, ask, bid_lots, ask_lots = market.top(instrument.id, int(own[col.T, at]) + 1)
            assert [bid, ask, bid_lots, ask_lots] == list(own[[col.BID, col.ASK, col.BSZ, col.ASZ], at])
            assert 0 < bid < ask
            assert market.top(instrument.id, int(own[col.T, at])) != (bid, ask, bid_lots, ask_lots)


def test_feed_delivers_each_row_once_and_never_before_it_is_printed(plan: Plan) -> None:
    async def world(loop: VirtualLoop) -> list[int]:
        market = Market(plan.instruments, seed=6)
        feed, counts, position = MarketFeed(market, loop, pause_s=4.0), [], 0
        async for chunk in feed.stream(0):
            heard_us = EPOCH_US + round(loop.now_s * 1e6) - LATENCY_US
            assert chunk.position == position
            assert chunk.rows[col.T].max() < heard_us
            assert heard_us - chunk.rows[col.T].min() <= 4_000_002
            position += chunk.rows.shape[1]
            counts.append(chunk.rows.shape[1])
            if position > 2_000:
                break
        return counts

    counts = run_virtual(world, seed=1).result
    assert len(counts) > 300


def test_closed_market_is_silent(plan: Plan) -> None:
    async def world(loop: VirtualLoop) -> int:
        market = Market(plan.instruments, seed=6)
        market.closed_us = EPOCH_US + MINUTE_US
        feed, rows = MarketFeed(market, loop, pause_s=1.0), 0
        try:
            async with asyncio.timeout(600):
                async for chunk in feed.stream(0):
                    rows += chunk.rows.shape[1]
        except TimeoutError:
            return rows
        raise AssertionError("a stream that ended")

    rows = run_virtual(world, seed=1).result
    assert rows == Market(plan.instruments, seed=6).minute_rows
