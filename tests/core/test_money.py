"""Rounding, each expectation worked out by hand in the comment beside it."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botd.core.events import Side
from botd.core.money import (
    average_price,
    divide_half_even,
    fee,
    floor_to_lots,
    is_dollar,
    plain_text,
    slippage_bps,
)

D = Decimal


@pytest.mark.parametrize(
    ("notional", "rate", "expected"),
    [
        ("1000", "0.001", "1.00000000"),
        ("0.0533453376", "0.001", "0.00005335"),  # 5334.53376 steps of 1e-8
        ("0.00001", "0.0005", "0"),  # 0.5 of a step: to the even 0
        ("0.00003", "0.0005", "0.00000002"),  # 1.5 steps: to the even 2
        ("0.00005", "0.0005", "0.00000002"),  # 2.5 steps: to the even 2
        ("1000", "-0.0001", "-0.10000000"),  # a rebate
        # 1.4999... steps over 100, in 30 digits: rounded once, not first to 28 digits and then to 2
        ("10000000001.4999999999999999999", "0.00000001", "100.00000001"),
    ],
)
def test_fee_rounds_half_even_to_1e_8(notional: str, rate: str, expected: str) -> None:
    charged = fee(D(notional), D(rate))
    assert charged == D(expected)
    assert charged.as_tuple().exponent == -8


def test_average_price_is_exact_where_it_can_be_and_rounds_to_1e_12() -> None:
    assert average_price(50_000_040, 100, D("0.1")) == D("50000.04")
    # 10 / 3 ticks of 0.01 = 0.0333...
    assert str(average_price(10, 3, D("0.01"))) == "0.033333333333"
    # 20 / 3 ticks of 0.01 = 0.0666...
    assert str(average_price(20, 3, D("0.01"))) == "0.066666666667"


@pytest.mark.parametrize(
    ("side", "decided", "filled", "expected"),
    [
        (Side.BUY, 10_000, 10_005, "5.0000"),  # bought 5 of 10,000 higher
        (Side.BUY, 10_000, 9_999, "-1.0000"),
        (Side.SELL, 10_000, 9_990, "10.0000"),  # sold 10 of 10,000 lower
        (Side.SELL, 10_000, 10_000, "0.0000"),
        (Side.BUY, 30_000, 30_001, "0.3333"),
    ],
)
def test_slippage_is_positive_when_worse_for_us(side: Side, decided: int, filled: int, expected: str) -> None:
    assert slippage_bps(side, decided, filled) == D(expected)


@pytest.mark.parametrize(
    ("amount", "step", "lots"),
    [("1", "0.1", 10), ("0.99999999", "0.1", 9), ("0.09", "0.1", 0), ("0", "0.1", 0), ("-5", "0.1", 0)],
)
def test_floor_to_lots_never_rounds_up(amount: str, step: str, lots: int) -> None:
    assert floor_to_lots(D(amount), D(step)) == lots


def test_dollars_are_usd_and_usdt_only() -> None:
    assert [c for c in ("USD", "USDT", "USDC", "BTC", "EUR") if is_dollar(c)] == ["USD", "USDT"]


@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"),
    [(7, 2, 4), (5, 2, 2), (1, 2, 0), (3, 2, 2), (-1, 2, 0), (-3, 2, -2), (10, 3, 3), (11, 3, 4), (6, 3, 2)],
)
def test_divide_half_even_by_hand(numerator: int, denominator: int, expected: int) -> None:
    assert divide_half_even(numerator, denominator) == expected


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**15))
def test_divide_half_even_rounds_as_fractions_do(numerator: int, denominator: int) -> None:
    assert divide_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@pytest.mark.parametrize(
    ("amounts", "text"),
    [
        (("1000", "1E+3", "1000.00"), "1000"),
        (("0", "0.000", "0E-9", "-0", "-0.00", "0E+5"), "0"),
        (("0.00000001", "1E-8", "0.0000000100"), "0.00000001"),
        (("-12.50", "-12.5"), "-12.5"),
        (("100", "1E2"), "100"),
    ],
)
def test_plain_text_depends_on_the_amount_only(amounts: tuple[str, ...], text: str) -> None:
    assert {plain_text(D(amount)) for amount in amounts} == {text}


def test_plain_text_keeps_every_digit() -> None:
    digits = "123456789012345678901234567890.123456789012345678901234567891"
    assert plain_text(D(digits)) == digits
