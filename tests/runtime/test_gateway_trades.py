"""What trades cost and trades that are taken back, through the gateway: by fault id."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from botd.core.events import Side
from botd.core.instrument import InstrumentKind
from botd.core.records import FillRecord
from botd.simulation.exchange import sites
from tests.core.scene import strategy
from tests.runtime.gateway_scene import BUYER, PERP, Day, Prices, play

Way = Callable[..., Awaitable[Any]]

# ---- fees ------------------------------------------------------------------------------------------


def test_C6_what_a_fee_in_base_has_left_is_held_compared_and_sold_over_a_restart() -> None:
    instrument = replace(PERP, kind=InstrumentKind.SPOT)  # a fee of a thousandth of ten whole bitcoins
    out = strategy(s1="when: price > 100, cooldown: 1h", e1="{ name: out, when: price < 90 }")

    async def script(day: Day) -> None:
        day.exchange.matching.fees_in_base = True
        await day.at(40)
        assert (day.held(), day.really_held()) == (9, 9)
        assert day.bot.desk.portfolio.dust == {PERP.id: Decimal("0.99")}
        assert day.exchange.account.amounts[PERP.id] == Decimal("9.99")
        await day.restart()
        await day.at(100)
        assert day.bot.desk.portfolio.dust == {PERP.id: Decimal("0.99")}
        assert day.restraints() == []  # nothing differs from what the venue says
        await day.at(180)
        assert (day.held(), day.really_held()) == (0, 0)
        assert day.exchange.account.amounts[PERP.id] == Decimal("0.99")
        paid = sum(one.price * one.qty * (1 if one.side is Side.BUY else -1) for one in day.truth.fills)
        fees = sum(one.fee for one in day.truth.fills if not one.fee_currency)
        assert day.bot.desk.portfolio.balance("USDT") == 100_000 - paid - fees
        assert (day.alerts(), day.restraints()) == ([], [])

    play(script, out, instrument=instrument, prices=Prices((0, 100), (10, 101), (120, 85)))


def test_C6_rest_that_the_venue_refuses_to_sell_is_dust_to_both_and_is_not_asked_for_again() -> None:
    instrument = replace(PERP, kind=InstrumentKind.SPOT, min_notional=Decimal(55))
    out = strategy(
        s1="when: price > 60, cooldown: 1h",
        z1="when: always, order: { type: market, slippage_max: 10% }, size: { fixed: 1 BTC }",
        e1="{ name: out, when: price < 55 }",
    )

    async def script(day: Day) -> None:
        await day.at(600)
        assert (day.held(), day.really_held()) == (0, 1)
        assert day.bot.desk.portfolio.dust == {PERP.id: Decimal(1)}
        assert day.alerts() == ["dust"]
        assert day.restraints() == []
        assert day.statuses() == ["filled", "rejected"]

    play(script, out, instrument=instrument, prices=Prices((0, 59), (10, 61), (120, 50)))


# ---- trades that are taken back --------------------------------------------------------------------


def test_C11_trade_taken_back_is_reversed_once_halts_and_is_not_booked_again_after_a_restart() -> None:
    async def script(day: Day) -> None:
        await day.at(55)
        await day.restart()
        await day.at(day.loop.now_s + 60)
        (bust,) = day.truth.busts
        (reversal,) = [one for one in day.of(FillRecord) if one.reverses is not None]
        assert (reversal.reverses, reversal.fill.qty) == (bust.trade_id, bust.qty)
        assert [one.trade_id for one in day.of(FillRecord)].count(bust.trade_id) == 1
        assert day.held() == day.really_held()
        assert day.alerts().count("trade_busted") == 1
        assert ("halted", "trade_busted") in day.restraints()
        paid = sum(one.price * one.qty + one.fee for one in day.truth.fills)
        paid -= sum(one.price * one.qty + one.fee for one in day.truth.busts)
        cost = sum(one.cost for one in day.bot.desk.portfolio.positions())
        assert day.bot.desk.portfolio.balance("USDT") - cost == 100_000 - paid

    play(script, BUYER, faults=[(sites.BUST, 5)])


def test_C11_bust_of_a_fill_that_was_never_told_books_nothing_and_never_will() -> None:
    async def busts_alone(way_on: Way, *args: Any) -> Any:
        return tuple(one for one in await way_on(*args) if one.busted)

    async def script(day: Day) -> None:
        await day.until(lambda: day.truth.fills and not day.exchange.open_orders)
        day.kill()
        for fill in list(day.truth.fills):
            day.exchange.matching.take_back(fill)
        day.hooks["fetch_fills"] = busts_alone
        await asyncio.sleep(20)
        day.boot()
        await day.at(day.loop.now_s + 30)
        assert day.statuses() == ["expired"]  # with a remainder of everything
        day.hooks.clear()  # now the lists show the fills too
        await day.restart()
        await day.at(day.loop.now_s + 60)
        assert (day.of(FillRecord), day.held(), day.really_held()) == ([], 0, 0)
        assert day.bot.desk.portfolio.balance("USDT") == 100_000
        assert day.alerts().count("trade_busted") == len(day.truth.busts) > 0
        assert ("halted", "trade_busted") in day.restraints()

    play(script, BUYER, prices=Prices((0, 100), (9, 101)))
