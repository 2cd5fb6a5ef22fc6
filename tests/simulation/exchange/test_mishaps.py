"""What befalls the account and the venue without a request."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

from botd.core.events import Side
from botd.ports import OrderReport, OrderState, RemoteVenue, VenueError
from botd.simulation.clock import EPOCH_US
from botd.simulation.exchange import sites
from botd.simulation.exchange.exchange import Exchange
from botd.simulation.exchange.mishaps import MODE_S, TURN_S
from tests.simulation.exchange.scene import BTC, CASH, ETH, Steps, error_of, limit, order, play, stop

SEEDS = range(1, 25)


async def hold_a_position(venue: RemoteVenue, exchange: Exchange) -> None:
    """Be long with a stop while the first turn comes."""
    await venue.submit(order("in"))
    await asyncio.sleep(3)
    await venue.submit(stop("stop", 90_000))
    await asyncio.sleep(TURN_S)


def test_E1_liquidation_closes_the_position_and_says_so() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        await hold_a_position(venue, exchange)
        return (await venue.fetch_fills(0))[-1], await venue.fetch_positions()

    played = play(script, sites.LIQUIDATION)
    fill, positions = played.result
    assert (fill.client_order_id, fill.liquidation, fill.side, fill.qty) == ("", True, Side.SELL, 100)
    assert fill.price <= 99_000
    assert positions == {}
    assert played.exchange.open_orders == ()
    last = [event for event in played.events if isinstance(event, OrderReport)][-1]
    assert (last.client_order_id, last.state, last.reason) == ("stop", OrderState.CANCELED, "liquidation")


def test_E1_nothing_is_liquidated_where_nothing_is_held() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        await asyncio.sleep(TURN_S + 1)

    assert play(script, sites.LIQUIDATION).fired == []


def test_C9_E3_person_trades_or_leaves_an_order_under_no_id() -> None:
    seen: set[tuple[str, int]] = set()
    for seed in SEEDS:
        played = play(hold_a_position, sites.MANUAL, seed=seed)
        truth = played.exchange.truth
        by_hand = [fill for fill in truth.fills if not fill.client_order_id]
        left = [report for report in played.exchange.open_orders if not report.client_order_id]
        assert len(by_hand) + len(left) == 1
        assert not any(fill.liquidation for fill in by_hand)
        assert truth.own_positions == {BTC: max(0, min(100, truth.positions[BTC]))}
        seen.add(("left" if left else "traded", truth.positions[BTC]))
    kinds = {kind for kind, _ in seen}
    held = {lots for _, lots in seen}
    assert kinds == {"left", "traded"}
    assert {0, 100} <= held  # closed, untouched
    assert any(0 < lots < 100 for lots in held) or any(lots > 100 for lots in held)


def test_E8_deposits_and_withdrawals_move_cash_and_are_listed() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        await asyncio.sleep(TURN_S + 1)
        return (await venue.fetch_balances())["USDT"]

    signs = set()
    for seed in SEEDS:
        played = play(script, sites.FLOW, seed=seed)
        (flow,) = played.exchange.truth.flows
        assert played.result == CASH + flow.amount
        assert (flow.currency, flow.ts_us) == ("USDT", EPOCH_US + 10_000_000)
        signs.add(flow.amount > 0)
    assert signs == {True, False}


def test_F4_maintenance_refuses_everything_and_may_take_the_stops_with_it() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        stream = venue.stream()
        assert await anext(stream) is None
        await hold_a_position(venue, exchange)
        requests = (
            venue.submit(order("b")),
            venue.cancel("stop", BTC),
            venue.fetch_open_orders(),
            venue.fetch_time_us(),
        )
        errors = [await error_of(request) for request in requests]
        try:
            while True:
                await anext(stream)
        except VenueError as error:
            errors.append(error)
        await asyncio.sleep(900)
        return [(e.name, e.http) for e in errors], len(await venue.fetch_open_orders())

    left = set()
    for seed in SEEDS:
        errors, orders = play(script, sites.MAINTENANCE, seed=seed).result
        assert errors == [("ExchangeNotAvailable", 503)] * 4 + [("NetworkError", None)]
        left.add(orders)
    assert left == {0, 1}


def test_nothing_fills_in_maintenance() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> int:
        await venue.submit(limit("a", 99_000))
        await asyncio.sleep(TURN_S)
        exchange.matching.settle()
        return exchange.truth.filled("a")

    assert play(script, prices=Steps((0, 100_000), (9.999, 98_000))).result > 0
    assert play(script, sites.MAINTENANCE, prices=Steps((0, 100_000), (10.001, 98_000))).result == 0


def test_order_that_fills_in_parts_waits_for_the_end_of_maintenance() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> list[int]:
        filled = []
        await venue.submit(order("a"))
        exchange.matching.paused_until_us = exchange.matching.now_us() + 60_000_000
        for _ in range(3):
            filled.append(exchange.truth.filled("a"))
            await asyncio.sleep(50)
        return filled

    looks = [play(script, seed=seed).result for seed in SEEDS]
    parted = [look for look in looks if look[0] < 100]
    assert parted
    assert all(first == second and last == 100 for first, second, last in parted)


def test_F6_filters_refuse_small_entries_for_a_while_and_no_exit() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        await hold_a_position(venue, exchange)
        entry = await error_of(venue.submit(limit("a", 90_000, qty=1)))
        await venue.submit(order("out", Side.SELL, 1, reduce_only=True))
        await asyncio.sleep(600)
        await venue.submit(limit("later", 90_000, qty=1))
        return entry.name, entry.code

    assert play(script, sites.FILTERS).result == ("InvalidOrder", "-4164")


def test_standing_windows_end_where_the_run_is_healed() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        await hold_a_position(venue, exchange)
        exchange.chance.healed = True
        await venue.submit(limit("a", 90_000, qty=1))
        await asyncio.sleep(1000)
        return [report.client_order_id for report in await venue.fetch_open_orders()]

    for site in (sites.MAINTENANCE, sites.FILTERS):
        for seed in range(1, 8):
            assert play(script, site, seed=seed).result == ["stop", "a"]


def test_ban_and_limit_end_where_the_run_is_healed() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        error = await error_of(venue.fetch_positions())
        exchange.chance.healed = True
        return error.http, await venue.fetch_positions()

    assert play(script, sites.BANNED).result == (418, {})
    assert play(script, sites.PATHS[sites.Kind.READ].limited).result == (429, {})


def test_person_sells_no_more_on_a_spot_market_than_is_held() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        await venue.submit(order("in", qty=1, instrument=ETH))
        await asyncio.sleep(TURN_S * 8)

    held = set()
    for seed in range(1, 60):
        turns = [(sites.MANUAL, n) for n in range(1, 8)]
        held.add(min(0, play(script, *turns, seed=seed).exchange.truth.positions[ETH]))
    assert held == {0}


def test_E6_person_changes_a_mode_and_entries_in_it_are_on_record() -> None:
    changed = set()
    for seed in SEEDS:

        async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
            before = await venue.fetch_modes()
            await asyncio.sleep(TURN_S + 1)
            first = await venue.fetch_modes()
            for name in (BTC, ETH):
                await venue.submit(order(f"in {name}", instrument=name))
            await asyncio.sleep(MODE_S[1])
            return before, first, await venue.fetch_modes()

        played = play(script, sites.MODE, seed=seed)
        before, first, later = played.result
        assert before == later
        assert before.one_way
        wrong = {name for name in before.terms if first.terms[name] != before.terms[name]}
        changed.add((first.one_way, *sorted(wrong)))
        misled = {name for name, misled_us in played.exchange.truth.misled if 0 < misled_us < 3_000_000}
        expected = wrong if first.one_way else {BTC, ETH}
        assert misled == {f"in {name}" for name in expected}
    assert changed == {(False,), (True, BTC), (True, ETH)}


def test_E6_mode_is_as_it_was_once_somebody_sets_it_back_or_all_heals() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        found = []
        for mend in (exchange.mishaps.switch_back, lambda: setattr(exchange.chance, "healed", True)):
            exchange.mishaps.switch(None, 60.0)
            wrong = await venue.fetch_modes()
            mend()
            found.append((wrong.one_way, (await venue.fetch_modes()).one_way))
        return found

    assert play(script).result == [(False, True), (False, True)]


def test_C11_trade_is_taken_back_whole_and_shown_as_it_was_and_as_busted() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        exchange.matching.fees_in_base = True
        await venue.submit(order("in", qty=104, instrument=ETH))
        await asyncio.sleep(4 * TURN_S)
        before = dict(exchange.account.amounts), dict(exchange.account.cash)
        for fill in list(exchange.truth.fills):
            exchange.matching.take_back(fill)
        return before, await venue.fetch_fills(0), await venue.fetch_positions()

    played = play(script)
    (amounts, _), shown, positions = played.result
    assert amounts[ETH] == Decimal("1.04") - Decimal("0.00104")
    assert (positions, played.exchange.account.amounts[ETH]) == ({}, 0)
    plain = [one for one in shown if not one.busted]
    assert [replace(one, busted=True, ts_us=0) for one in plain] == [
        replace(one, ts_us=0) for one in shown if one.busted
    ]
    assert played.exchange.truth.fills == plain


def test_C11_what_is_taken_back_of_a_spot_is_still_held() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        await venue.submit(order("in", qty=100, instrument=ETH))
        await asyncio.sleep(5)
        await venue.submit(order("out", Side.SELL, 100, instrument=ETH))
        await asyncio.sleep(5 * TURN_S)
        return [one.client_order_id for one in exchange.truth.busts], exchange.account.held(ETH)

    names, held = play(script, (sites.BUST, 5)).result
    assert names == ["out"]
    assert held > 0
