"""The rules of the books one by one, and the equity identity over random fills."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botd.core.events import (
    Side,
)
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.money import fee
from botd.core.portfolio import DAY_US, FillEffect, Portfolio, Position
from botd.errors import InvariantBroken

D = Decimal

PERP = Instrument(
    id=InstrumentId("BTC/USDT:USDT"),
    kind=InstrumentKind.PERPETUAL,
    base="BTC",
    quote="USDT",
    tick_size=D("0.1"),
    lot_size=D("0.001"),  # one tick-lot is 0.0001 USDT
    taker_fee=D("0.0005"),
    maker_fee=D("0.0002"),
)
SPOT = Instrument(
    id=InstrumentId("NXS/BTC"),
    kind=InstrumentKind.SPOT,
    base="NXS",
    quote="BTC",
    tick_size=D("0.00000001"),
    lot_size=D("0.01"),  # one tick-lot is 1e-10 BTC
    taker_fee=D("0.001"),
    maker_fee=D("0.001"),
)


def books(usdt: str = "1000") -> Portfolio:
    return Portfolio({"USDT": D(usdt)})


def buy(portfolio: Portfolio, qty: int, price: int, **terms: Any) -> FillEffect:
    return trade(portfolio, Side.BUY, qty, price, **terms)


def sell(portfolio: Portfolio, qty: int, price: int, **terms: Any) -> FillEffect:
    return trade(portfolio, Side.SELL, qty, price, **terms)


def trade(
    portfolio: Portfolio,
    side: Side,
    qty: int,
    price: int,
    *,
    reducing: bool = False,
    strategy: str = "s",
    instrument: Instrument = PERP,
    fee: str = "0",
    ts_us: int = 0,
    cycle: int = 1,
) -> FillEffect:
    return portfolio.apply_fill(
        strategy, instrument, side, qty, price, D(fee), ts_us, cycle, reducing=reducing
    )


def test_strategies_own_their_quantities_and_the_venue_sees_the_net() -> None:
    account = books()
    buy(account, 5, 1000, strategy="a")
    sell(account, 3, 1000, strategy="b")
    assert account.net_quantities() == {PERP.id: 2}
    assert account.net_quantities()[PERP.id] == 2
    assert account.exposure(PERP.id, {PERP.id: 1000}) == D("0.8")  # 8 lots gross x 1,000 x 0.0001
    assert account.exposure_total("USDT", {PERP.id: 1000}) == D("0.8")
    sell(account, 5, 1100, strategy="a", reducing=True)
    assert account.net_quantities() == {PERP.id: -3}
    held = account.held(("b", PERP.id))
    assert held is not None
    assert (held.qty, held.side, held.cycle) == (3, "short", 1)
    assert account.held(("a", PERP.id)) is None


@pytest.mark.parametrize(
    ("side", "qty"),
    [(Side.SELL, 6), (Side.BUY, 1)],
    ids=["more than is held", "on the side it is held"],
)
def test_exit_that_would_turn_or_add_breaks_an_invariant(side: Side, qty: int) -> None:
    account = books()
    buy(account, 5, 1000)
    with pytest.raises(InvariantBroken, match=r"an exit of -?[0-9]+ lots meets 5 lots held"):
        trade(account, side, qty, 1000, reducing=True)
    assert account.net_quantities()[PERP.id] == 5


def test_exit_of_nothing_breaks_an_invariant_and_charges_nothing() -> None:
    account = books()
    with pytest.raises(InvariantBroken, match="an exit of -1 lots meets 0 lots held"):
        sell(account, 1, 1000, reducing=True, fee="1")
    assert account.balance("USDT") == D(1000)


def test_entry_against_the_position_breaks_an_invariant_and_charges_nothing() -> None:
    account = books()
    buy(account, 5, 1000)
    with pytest.raises(InvariantBroken, match="s on BTC/USDT:USDT: an entry fill against a long"):
        sell(account, 1, 1000, fee="1")
    assert account.balance("USDT") == D(1000)


def test_late_entry_fill_after_the_close_opens_a_position_again() -> None:
    account = books()
    buy(account, 5, 1000, ts_us=1)
    assert sell(account, 5, 1000, reducing=True, ts_us=2).position.qty == 0
    effect = buy(account, 2, 1000, ts_us=3)
    assert (effect.position.qty, effect.position.opened_us) == (2, 3)


def test_entry_price_of_a_closed_position_is_that_of_all_entries() -> None:
    account = books()
    buy(account, 1, 1000)
    buy(account, 1, 1001)
    position = sell(account, 2, 900, reducing=True).position
    assert account.entry_price(position) == D("100.05")  # 1,000.5 ticks of 0.1


def test_committed_money_is_entry_cost_over_leverage() -> None:
    geared = Instrument(
        id=PERP.id,
        kind=PERP.kind,
        base="BTC",
        quote="USDT",
        tick_size=PERP.tick_size,
        lot_size=PERP.lot_size,
        taker_fee=D(0),
        maker_fee=D(0),
        leverage=D(4),
    )
    account = books()
    buy(account, 100, 500_000, instrument=geared)
    assert account.committed("USDT") == D(1250)  # 5,000 / 4


def test_unpriced_holding_breaks_an_invariant_rather_than_guessing() -> None:
    account = books()
    assert account.exposure(PERP.id, {}) == 0
    buy(account, 5, 1000)
    with pytest.raises(InvariantBroken, match="no price is known for BTC/USDT:USDT, which is held"):
        account.equity("USDT", {})


def test_currency_without_starting_money_still_keeps_books() -> None:
    account = Portfolio({})
    assert account.balance("USDT") == 0
    buy(account, 1, 1000, fee="0.5")
    assert account.balance("USDT") == D("-0.5")
    assert account.currencies() == ("USDT",)


def test_observe_keeps_the_peak_and_the_first_equity_of_the_utc_day() -> None:
    account = books()
    buy(account, 1000, 1000, ts_us=0)  # one tick is worth 0.1 USDT
    day = 19_000 * DAY_US

    def observe(mark: int, ts_us: int) -> Decimal:
        return account.observe("USDT", {PERP.id: mark}, ts_us)

    assert account.account("USDT").day_start == account.peak_equity("USDT") == D(1000)
    assert observe(1100, day + 5) == D(1010)
    assert observe(900, day + DAY_US - 1) == D(990)
    assert (account.account("USDT").day_start, account.peak_equity("USDT")) == (D(1010), D(1010))
    observe(950, day + DAY_US)
    assert (account.account("USDT").day_start, account.peak_equity("USDT")) == (D(995), D(1010))
    observe(1200, day + DAY_US + 1)
    assert (account.account("USDT").day_start, account.peak_equity("USDT")) == (D(995), D(1020))
    assert account.start("USDT") == D(1000)


def test_losing_streak_counts_losses_after_fees_within_the_utc_day() -> None:
    account = books()

    def round_trip(exit_price: int, ts_us: int, fee: str = "0", strategy: str = "s") -> int:
        buy(account, 10, 1000, strategy=strategy, ts_us=ts_us)
        sell(account, 10, exit_price, strategy=strategy, reducing=True, fee=fee, ts_us=ts_us)
        return account.losing_streak(strategy, ts_us)

    assert account.losing_streak("s", 0) == 0
    assert round_trip(999, 10) == 1
    assert round_trip(1001, 20, fee="0.0011") == 2  # +0.001 before fees is a loss after them
    assert round_trip(999, 25, strategy="other") == 1
    assert round_trip(1001, 30, fee="0.001") == 0  # exactly nothing is no loss
    assert round_trip(999, 40) == 1
    assert account.losing_streak("s", DAY_US - 1) == 1
    assert account.losing_streak("s", DAY_US) == 0
    assert round_trip(999, DAY_US + 1) == 1


def test_state_survives_json() -> None:
    account = Portfolio({"USDT": D("1000.10"), "BTC": D(1)})
    buy(account, 5, 1000, strategy="a", fee="0.1", ts_us=7)
    sell(account, 2, 990, strategy="a", reducing=True, fee="0.1", ts_us=8)
    sell(account, 3, 4_000, strategy="b", instrument=SPOT, fee="0.00000001")
    buy(account, 1, 1000, strategy="c")
    sell(account, 1, 900, strategy="c", reducing=True, ts_us=9)
    marks = {PERP.id: 1001, SPOT.id: 4_001}
    account.observe("USDT", marks, 10)
    state = account.state()
    again = Portfolio.from_state(json.loads(json.dumps(state)), [PERP, SPOT])
    assert again.state() == state
    assert again.equity("USDT", marks) == account.equity("USDT", marks)
    assert again.losing_streak("c", 10) == 1
    assert [vars_of(p) for p in again.positions()] == [vars_of(p) for p in account.positions()]
    closed, twin = (sell(one, 3, 1000, strategy="a", reducing=True, ts_us=11) for one in (again, account))
    assert (vars_of(closed.position), closed.realized) == (vars_of(twin.position), twin.realized)


def vars_of(position: Position) -> dict[str, object]:
    return {name: getattr(position, name) for name in Position.__slots__}


def test_state_that_holds_an_undescribed_instrument_is_refused() -> None:
    account = books()
    buy(account, 5, 1000)
    with pytest.raises(InvariantBroken, match="holds BTC/USDT:USDT, which nothing describes"):
        Portfolio.from_state(account.state(), [SPOT])


@given(
    st.lists(st.integers(1, 10_000), min_size=1, max_size=20), st.lists(st.integers(1, 10_000), max_size=20)
)
def test_C12_what_is_bought_and_sold_leaves_exactly_nothing(  # noqa: N802 - the fault's id
    bought: list[int], cuts: list[int]
) -> None:
    """Tenths added and taken away are no tenths of a float: 0.1 + 0.2 - 0.3 is not 0 there."""
    account = books("1000000000")
    for lots in bought:
        buy(account, lots, 1000)
    left = sum(bought)
    for lots in [*cuts, left]:
        sold = min(lots, left)
        if sold:
            effect = sell(account, sold, 1001, reducing=True)
            left -= sold
            assert effect.position.qty == left
    assert account.positions() == []
    assert account.balance("USDT") == D("1000000000") + PERP.money(sum(bought))


FILLS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from([PERP, SPOT]),
        st.booleans(),  # buy
        st.integers(1, 10_000),  # lots
        st.integers(1, 2_000_000),  # ticks
        st.booleans(),  # maker
    ),
    max_size=40,
)


@given(FILLS, st.integers(1, 2_000_000), st.integers(1, 2_000_000))
def test_equity_is_start_plus_realized_less_fees_plus_unrealized(
    fills: list[tuple[str, Instrument, bool, int, int, bool]], perp_mark: int, spot_mark: int
) -> None:
    """Compare with cash flows: what was paid and received, and what is held at its mark."""
    account = Portfolio({"USDT": D(10000), "BTC": D(1)})
    start = {"USDT": D(10000), "BTC": D(1)}
    cash = dict(start)
    fees = {"USDT": D(0), "BTC": D(0)}
    realized = {"USDT": D(0), "BTC": D(0)}
    held: dict[tuple[str, InstrumentId], int] = {}
    for strategy, instrument, buys, lots, price, maker in fills:
        sign = 1 if buys else -1
        have = held.get((strategy, instrument.id), 0)
        reducing = have * sign < 0
        qty = min(lots, abs(have)) if reducing else lots
        charged = fee(instrument.money(price * qty), instrument.maker_fee if maker else instrument.taker_fee)
        side = Side.BUY if buys else Side.SELL
        effect = account.apply_fill(strategy, instrument, side, qty, price, charged, 0, 1, reducing=reducing)
        held[strategy, instrument.id] = have + sign * qty
        assert (effect.position.qty == 0) == (reducing and have + sign * qty == 0)
        quote = instrument.quote
        cash[quote] -= sign * qty * price * instrument.tick_size * instrument.lot_size + charged
        fees[quote] += charged
        realized[quote] += effect.realized
    marks = {PERP.id: perp_mark, SPOT.id: spot_mark}
    for instrument in (PERP, SPOT):
        quote = instrument.quote
        net = sum(qty for (_, name), qty in held.items() if name == instrument.id)
        value = net * marks[instrument.id] * instrument.tick_size * instrument.lot_size
        assert account.equity(quote, marks) == cash[quote] + value
        assert (account.realized(quote), account.fees(quote)) == (realized[quote], fees[quote])
        assert account.balance(quote) == start[quote] + realized[quote] - fees[quote]
        assert account.equity(quote, marks) == account.balance(quote) + account.unrealized(quote, marks)
        assert account.net_quantities().get(instrument.id, 0) == net
        gross = sum(abs(qty) for (_, name), qty in held.items() if name == instrument.id)
        notional = gross * marks[instrument.id] * instrument.tick_size * instrument.lot_size
        assert account.exposure_total(quote, marks) == account.exposure(instrument.id, marks) == notional
