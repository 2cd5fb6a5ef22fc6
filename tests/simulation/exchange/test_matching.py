"""What the venue does with an order when nothing goes wrong: to the lot, the tick and the cent."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from botd.core.events import AmendOrder, OrderType, Side, TimeInForce
from botd.ports import OrderReport, OrderState, RemoteVenue
from botd.simulation.clock import EPOCH_US
from botd.simulation.exchange import sites
from botd.simulation.exchange.exchange import Exchange
from tests.simulation.exchange.scene import (
    BTC,
    CASH,
    ETH,
    SPOT,
    Played,
    Steps,
    error_of,
    limit,
    order,
    play,
    stop,
)


def fills_of(played: Played) -> list[tuple[str, int, int, bool]]:
    return [(f.client_order_id, f.price, f.qty, f.maker) for f in played.exchange.truth.fills]


def reports_of(played: Played, name: str) -> list[tuple[OrderState, int]]:
    return [
        (e.state, e.filled) for e in played.events if isinstance(e, OrderReport) and e.client_order_id == name
    ]


def ends_of(played: Played) -> dict[str, tuple[OrderState, int, str]]:
    reports = [event for event in played.events if isinstance(event, OrderReport)]
    return {r.client_order_id: (r.state, r.filled, r.reason) for r in reports}


def test_market_order_walks_the_book_one_tick_per_top_size() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        await venue.submit(order("a", qty=25))
        await asyncio.sleep(5)

    played = play(script, prices=Steps((0, 100_000), lots=10))
    assert [(price, qty) for _, price, qty, _ in fills_of(played)] == [
        (100_001, 10),
        (100_002, 10),
        (100_003, 5),
    ]
    assert ends_of(played)["a"][:2] == (OrderState.FILLED, 25)
    assert [f.trade_id for f in played.exchange.truth.fills] == ["1", "2", "3"]


def test_bounded_market_order_fills_up_to_its_bound_and_expires() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> OrderReport:
        return await venue.submit(order("a", Side.SELL, 25, limit=99_999))

    played = play(script, prices=Steps((0, 100_000), lots=10))
    assert [(price, qty) for _, price, qty, _ in fills_of(played)] == [(100_000, 10), (99_999, 10)]
    assert played.result.state is OrderState.EXPIRED
    assert played.result.filled == 20


def test_cash_is_start_realized_and_fees_to_the_last_digit() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Decimal:
        await venue.submit(order("in", qty=300))
        await asyncio.sleep(8)
        await venue.submit(order("out", Side.SELL, 100, reduce_only=True))
        await asyncio.sleep(2)
        assert await venue.fetch_positions() == {BTC: 200}
        return (await venue.fetch_balances())["USDT"]

    played = play(script, prices=Steps((0, 100_000), (5, 101_000)))
    # 0.3 at 10000.1 and 0.1 out at 10100.0, 5 bps each way
    fee_in, fee_out = Decimal("1.500015"), Decimal("0.505")
    assert played.result == CASH + Decimal("9.99") - fee_in - fee_out


def test_position_that_turns_realizes_what_it_closes() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Decimal:
        await venue.submit(order("in", qty=100))
        await asyncio.sleep(8)
        await venue.submit(order("turn", Side.SELL, 300))
        await asyncio.sleep(2)
        assert await venue.fetch_positions() == {BTC: -200}
        return (await venue.fetch_balances())["USDT"]

    played = play(script, prices=Steps((0, 100_000), (5, 101_000)))
    assert played.result == CASH + Decimal("9.99") - Decimal("0.500005") - Decimal("1.515")


def test_limit_order_rests_and_fills_as_maker_by_the_size_of_the_top() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        assert (await venue.submit(limit("a", 99_950, qty=25))).filled == 0
        await asyncio.sleep(5)
        assert exchange.truth.fills == []
        await asyncio.sleep(10)

    played = play(script, prices=Steps((0, 100_000), (6, 99_949), lots=10))
    assert fills_of(played) == [("a", 99_950, 10, True), ("a", 99_950, 10, True), ("a", 99_950, 5, True)]
    times = [(f.ts_us - EPOCH_US) / 1e6 for f in played.exchange.truth.fills]
    assert times == [6.0, 7.0, 8.0]
    assert played.exchange.truth.fills[0].fee == Decimal("0.01999")  # 0.01 at 9995.0, 2 bps
    assert reports_of(played, "a")[-1] == (OrderState.FILLED, 25)


def test_limit_order_that_crosses_takes_what_is_there_at_its_price_and_rests() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> OrderReport:
        return await venue.submit(limit("a", 100_002, qty=25))

    played = play(script, prices=Steps((0, 100_000), (0.2, 100_500), lots=10))
    assert fills_of(played)[:2] == [("a", 100_001, 10, False), ("a", 100_002, 10, False)]
    assert (played.result.state, played.result.filled) == (OrderState.OPEN, 20)


def test_limit_order_that_meets_its_price_is_filled_on_arrival() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> int:
        return (await venue.submit(limit("a", 100_500, Side.BUY, qty=7))).filled

    played = play(script)
    assert (played.result, fills_of(played)) == (7, [("a", 100_001, 7, False)])


def test_order_expires_at_its_exact_time_and_never_fills_after_it() -> None:
    due_us = EPOCH_US + 6_123_457

    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        await venue.submit(limit("a", 99_950, expire_us=due_us))
        await venue.submit(limit("late", 100_500, expire_us=EPOCH_US))
        await asyncio.sleep(20)

    played = play(script, prices=Steps((0, 100_000), (6.123457, 99_000)))
    ends = [e for e in played.events if isinstance(e, OrderReport) and e.state is OrderState.EXPIRED]
    assert {e.client_order_id: (e.filled, e.reason) for e in ends} == {
        "a": (0, "time to live"),
        "late": (0, "time to live"),
    }
    assert next(e.ts_us for e in ends if e.client_order_id == "a") == due_us
    assert played.exchange.open_orders == ()


def test_order_whose_time_is_up_as_its_price_comes_never_fills() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        await venue.submit(limit("a", 99_950, expire_us=EPOCH_US + 6_250_000))
        await asyncio.sleep(20)

    for seed in range(1, 30):  # which of two timers of one time comes first is drawn
        played = play(script, prices=Steps((0, 100_000), (6.25, 99_000)), seed=seed)
        assert ends_of(played)["a"] == (OrderState.EXPIRED, 0, "time to live")


def test_stop_rests_until_the_top_reaches_it_and_then_sells() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        await venue.submit(order("in"))
        await asyncio.sleep(2)
        await venue.submit(stop("stop", 99_000))
        await asyncio.sleep(5)
        assert [o.client_order_id for o in await venue.fetch_open_orders()] == ["stop"]
        await asyncio.sleep(10)
        assert await venue.fetch_positions() == {}

    played = play(script, prices=Steps((0, 100_000), (6, 99_001), (10, 98_990)))
    first = next(f for f in played.exchange.truth.fills if f.client_order_id == "stop")
    assert (first.ts_us, first.price) == (EPOCH_US + 10_000_000, 98_990)


def test_buy_stop_triggers_on_the_ask() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        await venue.submit(order("in", Side.SELL))
        await asyncio.sleep(2)
        await venue.submit(stop("stop", 101_000, Side.BUY))
        await asyncio.sleep(12)

    played = play(script, prices=Steps((0, 100_000), (6, 100_998), (8, 100_999)))
    first = next(f for f in played.exchange.truth.fills if f.client_order_id == "stop")
    assert (first.ts_us, first.price) == (EPOCH_US + 8_000_000, 101_000)
    assert played.exchange.truth.positions == {BTC: 0}


def test_amended_stop_has_its_new_quantity_and_price() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        await venue.submit(order("in", qty=100))
        await venue.submit(stop("stop", 99_000, qty=50))
        await venue.amend(AmendOrder(stop("stop", 0).client_order_id, BTC, 100, EPOCH_US, stop=99_500))
        await asyncio.sleep(2)
        (report,) = await venue.fetch_open_orders()
        name = stop("stop", 0).client_order_id
        refused = await error_of(venue.amend(AmendOrder(name, BTC, 0, EPOCH_US)))
        unknown = await error_of(venue.amend(AmendOrder(order("b").client_order_id, BTC, 9, EPOCH_US)))
        return report.qty, report.stop, refused.name, unknown.name

    assert play(script).result == (100, 99_500, "InvalidOrder", "OrderNotFound")


def test_cancel_ends_an_order_once() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> str:
        await venue.submit(limit("a", 90_000))
        await venue.cancel("a", BTC)
        return (await error_of(venue.cancel("a", BTC))).name

    played = play(script)
    assert played.result == "OrderNotFound"
    assert ends_of(played)["a"] == (OrderState.CANCELED, 0, "canceled on request")


@pytest.mark.parametrize(("cancels", "code"), [(True, "-2011"), (False, "-2022")])
def test_what_arrives_meets_the_prices_of_now_and_not_of_the_last_poll(cancels: bool, code: str) -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        await venue.submit(order("in"))
        await asyncio.sleep(3)
        await venue.submit(limit("target", 100_500, Side.SELL, reduce_only=True))
        await asyncio.sleep(6 - (await venue.fetch_time_us() - EPOCH_US) / 1e6)
        late = (
            venue.cancel("target", BTC)
            if cancels
            else venue.submit(order("out", Side.SELL, reduce_only=True))
        )
        return (await error_of(late)).code, exchange.truth.fills[-1].ts_us % 250_000

    answer, after_poll_us = play(script, prices=Steps((0, 100_000), (6.005, 100_600))).result
    assert answer == code
    assert after_poll_us > 0


def test_immediate_orders_fill_at_once_or_in_parts_and_whole_either_way() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        for number in range(40):
            await venue.submit(order(f"o{number}", Side.BUY if number % 2 else Side.SELL, 7))
            await asyncio.sleep(4)

    played = play(script)
    counts = [sum(f.client_order_id == f"o{n}" for f in played.exchange.truth.fills) for n in range(40)]
    assert set(counts) == {1, 2, 3}
    assert all(played.exchange.truth.filled(f"o{n}") == 7 for n in range(40))
    assert {end[0] for end in ends_of(played).values()} == {OrderState.FILLED}


@pytest.mark.parametrize(
    ("command", "name", "code"),
    [
        (order("x", qty=0), "InvalidOrder", "-4003"),
        (order("x", qty=10_001), "InvalidOrder", "-4003"),
        (limit("x", 40_000, qty=1), "InvalidOrder", "-4164"),  # 4 USDT, and 5 is the least
        (order("x", Side.SELL, reduce_only=True), "InvalidOrder", "-2022"),
        (order("x", Side.SELL, instrument=ETH), "InsufficientFunds", "-2010"),
        (order("x", instrument="DOGE/USDT"), "BadSymbol", "-1121"),
    ],
)
def test_order_that_no_venue_takes_is_refused(command: Any, name: str, code: str) -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> tuple[str, str]:
        error = await error_of(venue.submit(command))
        return error.name, error.code

    played = play(script)
    assert played.result == (name, code)
    assert [a.outcome for a in played.exchange.truth.arrivals] == [name]
    assert played.events == []


def test_reduce_only_order_fills_what_is_held_and_expires_with_the_rest() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        await venue.submit(order("in", qty=100))
        await asyncio.sleep(4)
        await venue.submit(order("out", Side.SELL, 250, reduce_only=True))
        await asyncio.sleep(4)

    played = play(script)
    assert played.exchange.truth.positions == {BTC: 0}
    assert ends_of(played)["out"][:2] == (OrderState.EXPIRED, 100)


def test_stop_whose_position_is_gone_expires_when_it_triggers() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> None:
        await venue.submit(order("in", qty=100))
        await asyncio.sleep(2)
        await venue.submit(stop("stop", 99_000))
        await venue.submit(limit("target2", 100_500, Side.SELL, reduce_only=True, qty=7))
        await venue.submit(limit("target", 100_000, Side.SELL, reduce_only=True))
        await asyncio.sleep(2)
        assert {o.client_order_id for o in await venue.fetch_open_orders()} == {"stop", "target2"}
        await asyncio.sleep(20)

    played = play(script, prices=Steps((0, 100_000), (6, 100_600), (10, 98_000)))
    assert played.exchange.truth.positions == {BTC: 0}
    ends = ends_of(played)
    assert ends["stop"] == (OrderState.EXPIRED, 0, "reduce-only order would not reduce the position")
    assert ends["target2"] == (OrderState.EXPIRED, 0, "reduce-only order would not reduce the position")


def test_spot_sells_what_is_held_and_no_more() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        await venue.submit(order("in", qty=100, instrument=ETH))
        await asyncio.sleep(3)
        both = [limit(name, 100_100, Side.SELL, 80, instrument=ETH) for name in "ab"]
        for one in both:
            await venue.submit(one)
        await asyncio.sleep(10)
        return await venue.fetch_positions()

    played = play(script, prices=Steps((0, 100_000), (6, 100_200)))
    assert played.result == {}
    assert [played.exchange.truth.filled(name) for name in "ab"] == [80, 20]


def test_limit_order_immediate_or_cancel_does_not_rest() -> None:
    async def script(venue: RemoteVenue, exchange: Exchange) -> OrderReport:
        return await venue.submit(order("a", type=OrderType.LIMIT, tif=TimeInForce.IOC, limit=99_000))

    assert play(script).result.state is OrderState.EXPIRED


def test_C6_purchase_of_a_spot_comes_short_by_its_fee_and_the_floor_of_it_can_be_sold() -> None:  # noqa: N802
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        exchange.matching.fees_in_base = True
        await venue.submit(order("in", qty=105, instrument=ETH))
        await venue.submit(order("perp", qty=100))
        await asyncio.sleep(30)
        held = await venue.fetch_positions()
        await venue.submit(order("all", Side.SELL, 105, instrument=ETH, reduce_only=True))
        await asyncio.sleep(30)
        return held, await venue.fetch_positions()

    played = play(script, (sites.LAG, 1))
    before, after = played.result
    assert (before[ETH], after.get(ETH)) == (104, None)  # 1.05 less 0.00105
    assert played.exchange.account.amounts[ETH] == Decimal("0.00895")
    assert played.exchange.truth.filled("all") == 104
    fees = {(one.client_order_id, one.fee_currency) for one in played.exchange.truth.fills}
    assert fees == {("in", "ETH"), ("perp", ""), ("all", "")}
    assert sum(one.fee for one in played.exchange.truth.fills if one.fee_currency) == Decimal("0.00105")


def test_C6_fills_that_are_not_shown_yet_are_not_among_the_positions() -> None:  # noqa: N802
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        exchange.matching.fees_in_base = True
        await venue.submit(order("one", qty=105, instrument=ETH))
        await asyncio.sleep(30)
        shown = [
            exchange.account.without(exchange.truth.fills[n:])[ETH] for n in (0, len(exchange.truth.fills))
        ]
        return shown, exchange.account.held(ETH)

    assert play(script).result == ([0, 104], 104)


def test_C6_exit_from_a_spot_under_the_minimum_notional_is_refused() -> None:  # noqa: N802
    async def script(venue: RemoteVenue, exchange: Exchange) -> Any:
        exchange.matching.instruments[ETH] = replace(SPOT, min_notional=Decimal(50))
        await venue.submit(order("in", qty=105, instrument=ETH))
        await asyncio.sleep(30)
        error = await error_of(
            venue.submit(order("out", Side.SELL, 4, instrument=ETH, reduce_only=True))
        )  # 0.04 for 1000 each
        await venue.submit(order("enough", Side.SELL, 6, instrument=ETH, reduce_only=True))
        await asyncio.sleep(30)
        return str(error), exchange.account.held(ETH)

    assert play(script).result == ("the notional is too small", 99)
