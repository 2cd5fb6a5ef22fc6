"""What is put away in a file is no longer held, and is all there again for the judges."""

from __future__ import annotations

import asyncio
from pathlib import Path

from botd.ports import OrderState, RemoteVenue
from botd.simulation.exchange.archive import Archive
from botd.simulation.exchange.exchange import Exchange
from tests.simulation.exchange.scene import BTC, limit, order, play


def held(exchange: Exchange) -> tuple[list[str], list[str], list[str]]:
    """Return the ids of the arrivals, of the fills and of the orders accepted that the record holds."""
    truth = exchange.truth
    arrived = [str(one.order.client_order_id) for one in truth.arrivals]
    return arrived, [one.client_order_id for one in truth.fills], sorted(truth.orders)


async def trade_twice(venue: RemoteVenue, exchange: Exchange) -> int:
    """Fill an order, leave one that rests, and fill another a minute later; return when that began."""
    await venue.submit(order("early", qty=1))
    await venue.submit(limit("rests", 90_000))
    await asyncio.sleep(60.0)
    now_us = exchange.matching.now_us()
    await venue.submit(order("late", qty=1))
    await asyncio.sleep(5.0)
    return now_us


def test_put_away_leaves_what_is_open_and_what_is_new(tmp_path: Path) -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        before_us = await trade_twice(venue, exchange)
        exchange.put_away(Archive(tmp_path / "archive"), before_us)
        assert held(exchange) == (["rests", "late"], ["late"], ["late", "rests"])
        assert list(exchange.truth.sent) == ["rests", "late"]
        assert exchange.final_state("early") is None
        assert len(await venue.fetch_fills(0)) == 1
        assert [one.client_order_id for one in await venue.fetch_open_orders()] == ["rests"]
        assert await venue.fetch_positions() == {BTC: 2}

    play(script)


def test_take_back_has_the_whole_record_again(tmp_path: Path) -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        archive = Archive(tmp_path / "archive")
        before_us = await trade_twice(venue, exchange)
        arrived, filled, accepted = held(exchange)
        sent = dict(exchange.truth.sent)
        exchange.put_away(archive, before_us)
        exchange.put_away(archive, before_us + 60_000_000)
        exchange.take_back(archive)
        now = held(exchange)
        assert (sorted(now[0]), sorted(now[1]), now[2]) == (sorted(arrived), sorted(filled), accepted)
        assert exchange.truth.sent == sent
        assert exchange.final_state("early") is OrderState.FILLED
        assert exchange.final_state("rests") is OrderState.OPEN

    play(script)


def test_id_that_is_used_again_after_it_was_put_away_is_found_doubled(tmp_path: Path) -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        archive = Archive(tmp_path / "archive")
        exchange.put_away(archive, await trade_twice(venue, exchange))
        await venue.submit(order("early", qty=1))
        await asyncio.sleep(5.0)
        exchange.take_back(archive)
        assert exchange.truth.doubled() == ["early"]
        assert exchange.truth.sent["early"] == 2

    play(script)


def test_archive_that_was_never_written_has_no_chapters(tmp_path: Path) -> None:
    assert list(Archive(tmp_path / "archive").chapters()) == []
