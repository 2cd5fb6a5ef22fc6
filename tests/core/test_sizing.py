"""Sizes by hand; the instrument is worth 500 USDT a lot at 50,000 ticks unless said otherwise."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.sizing import Sized, kelly_edge, size_entry
from botd.errors import InvariantBroken
from botd.language.typed import SizeKind, SizeSpec

D = Decimal


def instrument(lot: str = "0.01", tick: str = "1", qty_max_lots: int | None = None) -> Instrument:
    return Instrument(
        id=InstrumentId("BTC/USDT"),
        kind=InstrumentKind.SPOT,
        base="BTC",
        quote="USDT",
        tick_size=D(tick),
        lot_size=D(lot),
        qty_max_lots=qty_max_lots,
        taker_fee=D("0.001"),
        maker_fee=D("0.001"),
    )


def size(
    kind: SizeKind,
    amount: str,
    *,
    currency: str | None = None,
    cap: str | None = None,
    of: Instrument | None = None,
    price: int = 50_000,
    confidence: float = 1.0,
    equity: str = "10000",
    stop_loss: str | None = None,
) -> Sized:
    return size_entry(
        SizeSpec(kind=kind, amount=D(amount), currency=currency, cap=D(cap) if cap else None),
        instrument=of or instrument(),
        price_ticks=price,
        confidence=confidence,
        equity=D(equity),
        stop_loss=D(stop_loss) if stop_loss is not None else None,
    )


@pytest.mark.parametrize(("amount", "lots"), [("999.99", 1), ("1000", 2), ("1000.01", 2), ("499.99", 0)])
def test_fixed_quote_amount_is_notional_floored_to_lots(amount: str, lots: int) -> None:
    sized = size(SizeKind.FIXED, amount, currency="USDT")
    assert (sized.lots, sized.notional) == (lots, D(500) * lots)


@pytest.mark.parametrize(("amount", "lots"), [("0.03", 3), ("0.0399", 3), ("0.009", 0)])
def test_fixed_base_amount_is_quantity_floored_to_lots(amount: str, lots: int) -> None:
    sized = size(SizeKind.FIXED, amount, currency="BTC")
    assert (sized.lots, sized.notional) == (lots, D(500) * lots)


def test_fixed_base_amount_does_not_depend_on_the_price() -> None:
    assert {size(SizeKind.FIXED, "0.07", currency="BTC", price=p).lots for p in (1, 3, 49_999, 7**9)} == {7}


def test_fixed_amount_of_another_currency_breaks_an_invariant() -> None:
    with pytest.raises(InvariantBroken, match="a size in EUR cannot trade BTC/USDT"):
        size(SizeKind.FIXED, "100", currency="EUR")


def test_percent_of_equity() -> None:
    # 10 % of 10,000 = 1,000 = 2 lots
    sized = size(SizeKind.PERCENT, "0.1")
    assert sized == Sized(2, D(1000), "percent: 10000 USDT x 0.1")


def test_risk_percent_loses_that_share_when_the_stop_is_hit() -> None:
    # 1 % of 10,000 is 100; with a stop 2 % away that is 5,000 of notional = 10 lots
    sized = size(SizeKind.RISK, "0.01", stop_loss="0.02")
    assert (sized.lots, sized.notional) == (10, D(5000))
    assert sized.text == "risk: 10000 USDT x 0.01 / 0.02"


@pytest.mark.parametrize("stop_loss", [None, "0"])
def test_risk_percent_without_a_stop_distance_is_no_size(stop_loss: str | None) -> None:
    assert size(SizeKind.RISK, "0.01", stop_loss=stop_loss).lots == 0


def test_kelly_by_confidence() -> None:
    # 10,000 x 0.25 x (2 x 0.8 - 1) = 1,500 = 3 lots
    sized = size(SizeKind.KELLY, "0.25", confidence=0.8)
    assert (sized.lots, sized.notional) == (3, D(1500))
    assert sized.text == "kelly: 10000 USDT x 0.25 x 0.6"


def test_kelly_capped() -> None:
    # 10,000 x 0.25 x (2 x 0.9 - 1) = 2,000, capped at 10 % = 1,000 = 2 lots
    sized = size(SizeKind.KELLY, "0.25", confidence=0.9, cap="0.1")
    assert sized.lots == 2
    assert sized.text == "kelly: 10000 USDT x 0.25 x 0.8, capped at 0.1 of 10000"


def test_cap_that_does_not_bind_is_not_mentioned() -> None:
    assert "capped" not in size(SizeKind.KELLY, "0.25", confidence=0.7, cap="0.1").text  # 1,000 and 1,000


def test_cap_binds_on_a_fixed_base_amount_too() -> None:
    assert size(SizeKind.FIXED, "0.05", currency="BTC", cap="0.1").lots == 2  # 2,500 over 1,000


def test_venue_maximum_bounds_the_size() -> None:
    sized = size(SizeKind.FIXED, "5000", currency="USDT", of=instrument(qty_max_lots=4))
    assert (sized.lots, sized.notional) == (4, D(2000))
    assert "venue takes 4 lots at most" in sized.text
    assert size(SizeKind.FIXED, "2000", currency="USDT", of=instrument(qty_max_lots=4)).lots == 4


@pytest.mark.parametrize("kind", [SizeKind.PERCENT, SizeKind.RISK, SizeKind.KELLY])
@pytest.mark.parametrize("equity", ["0", "-100"])
def test_no_equity_is_no_size(kind: SizeKind, equity: str) -> None:
    assert size(kind, "0.5", equity=equity, stop_loss="0.02", cap="0.1").lots == 0


@pytest.mark.parametrize("price", [0, -1])
def test_unknown_price_breaks_an_invariant(price: int) -> None:
    with pytest.raises(InvariantBroken, match="cannot size an entry"):
        size(SizeKind.PERCENT, "0.1", price=price)


@pytest.mark.parametrize(
    ("confidence", "edge"),
    [
        (0.0, "0"),
        (0.5, "0"),
        (0.55, "0.10"),
        (0.62, "0.24"),
        (1.0, "1"),
        (1.5, "1"),
        (float("inf"), "1"),
        (float("nan"), "0"),
        (-1.0, "0"),
        (0.1 + 0.7, "0.5999999999999998"),  # repr is 0.7999999999999999
    ],
)
def test_kelly_edge(confidence: float, edge: str) -> None:
    assert kelly_edge(confidence) == D(edge)


@given(
    st.sampled_from(list(SizeKind)),
    st.decimals("0.0001", "1", places=4),
    st.decimals("0", "1000000", places=8),
    st.floats(0, 1),
    st.integers(1, 10**7),
    st.decimals("0.001", "0.5", places=3),
)
def test_size_is_the_largest_that_stays_within_what_was_asked(
    kind: SizeKind, amount: Decimal, equity: Decimal, confidence: float, price: int, stop: Decimal
) -> None:
    spec = SizeSpec(kind=kind, amount=amount, currency="USDT" if kind is SizeKind.FIXED else None)
    one = instrument(lot="0.00001", tick="0.01")
    sized = size_entry(
        spec,
        instrument=one,
        price_ticks=price,
        confidence=confidence,
        equity=equity,
        stop_loss=stop,
    )
    wanted = {
        SizeKind.FIXED: amount,
        SizeKind.PERCENT: equity * amount,
        SizeKind.RISK: equity * amount / stop,
        SizeKind.KELLY: equity * amount * max(D(0), 2 * D(repr(confidence)) - 1),
    }[kind]
    lot_value = price * D("0.0000001")
    assert sized.notional == sized.lots * lot_value
    assert sized.notional <= wanted < sized.notional + lot_value
