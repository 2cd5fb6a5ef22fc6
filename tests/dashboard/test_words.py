"""How the dashboard writes numbers: exact, or with what is cut off made plain."""

from __future__ import annotations

from decimal import Decimal

import pytest

from streamlit_app.screens import words


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "0.0 s"),
        (9_940_000, "9.9 s"),
        (59_000_000, "59 s"),
        (60_000_000, "1 min 0 s"),
        (3_661_000_000, "1 h 1 min"),
        (90_061_000_000, "1 d 1 h"),
        (-5, "0.0 s"),
        (None, "–"),
    ],
)
def test_span_is_told_in_its_two_largest_units(us: int | None, text: str) -> None:
    assert words.span(us) == text


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [("1234.565", "USDT", "1,234.56"), ("-0.001", "USDT", "0.00"), ("0.000000015", "BTC", "0.00000002")],
)
def test_money_is_rounded_half_even_to_the_digits_of_its_currency(
    amount: str, currency: str, text: str
) -> None:
    assert words.money(Decimal(amount), currency) == text


def test_amounts_are_written_without_exponent_and_trailing_zeros() -> None:
    assert words.plain(Decimal("1E+3")) == "1,000"
    assert words.plain(Decimal("0.00000120")) == "0.0000012"
    assert words.price(Decimal("150.90")) == "150.90"


def test_averages_keep_the_digits_of_their_prices_and_eight_at_most() -> None:
    assert words.average(Decimal("3006.7"), Decimal("3006.72")) == "3,006.70"
    assert words.average(Decimal("3006.7234"), Decimal("3006.72")) == "3,006.723"
    assert words.short(Decimal("2994.495507246377")) == "2,994.4955"
    assert words.short(Decimal("0.000030345")) == "0.000030345"


@pytest.mark.parametrize(
    ("side", "filled", "bps"),
    [("buy", "101", 100.0), ("buy", "99", -100.0), ("sell", "99", 100.0), ("sell", None, None)],
)
def test_slippage_is_positive_where_it_is_worse_for_us(
    side: str, filled: str | None, bps: float | None
) -> None:
    found = words.slippage_bps(side, Decimal(100), None if filled is None else Decimal(filled))
    assert found == (None if bps is None else pytest.approx(bps))


def test_zero_has_no_sign() -> None:
    assert words.number(-0.0001, 1) == "0.0"
