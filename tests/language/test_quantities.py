from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from botd.errors import InputInvalid
from botd.language.quantities import (
    parse_decimal,
    parse_duration,
    parse_equity_share,
    parse_money,
    parse_ratio,
    parse_share,
    parse_switch,
    parse_whole,
)


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1us", 1),
        ("500ms", 500_000),
        ("10s", 10_000_000),
        ("0s", 0),
        ("1.5s", 1_500_000),
        ("5m", 300_000_000),
        ("7h", 25_200_000_000),
        ("1d", 86_400_000_000),
        ("1h30m", 5_400_000_000),
        ("1d2h3m4s5ms6us", 93_784_005_006),
        ("366d", 31_622_400_000_000),
    ],
)
def test_duration_in_microseconds(text: str, microseconds: int) -> None:
    assert parse_duration(text) == microseconds


@pytest.mark.parametrize(
    ("text", "value"),
    [("2%", "0.02"), ("50bps", "0.005"), ("0.5%", "0.005"), ("100%", "1"), ("-1%", "-0.01"), ("0%", "0")],
)
def test_ratio_is_exact(text: str, value: str) -> None:
    assert parse_ratio(text) == Decimal(value)


@pytest.mark.parametrize(("text", "value"), [("0.7", "0.7"), ("70%", "0.7"), ("0", "0"), ("1", "1")])
def test_share_takes_a_number_or_a_ratio(text: str, value: str) -> None:
    assert parse_share(text) == Decimal(value)


@pytest.mark.parametrize("text", ["10% of equity", "10%", "10%  of  equity"])
def test_equity_share_may_say_of_what(text: str) -> None:
    assert parse_equity_share(text) == Decimal("0.1")


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [("0.01 BTC", "0.01", "BTC"), ("500 USDT", "500", "USDT"), ("5  1INCH", "5", "1INCH"), ("0 X", "0", "X")],
)
def test_money_has_an_amount_and_a_currency(text: str, amount: str, currency: str) -> None:
    assert parse_money(text) == (Decimal(amount), currency)


def test_plain_numbers() -> None:
    assert parse_decimal("0.10") == Decimal("0.10")
    assert parse_decimal("-3") == Decimal(-3)
    assert parse_whole("30") == 30
    assert parse_switch("true") is True
    assert parse_switch("false") is False


REFUSALS: list[tuple[Callable[[str], object], str, str]] = [
    (parse_duration, "10", "needs a duration such as 10s, 5m or 1h30m, not '10'"),
    (parse_duration, "", "is empty; it needs a duration such as 10s, 5m or 1h30m"),
    (parse_duration, "10 s", "needs a duration such as 10s, 5m or 1h30m; leave out the space: 10s"),
    (parse_duration, "5 hours", "needs a duration such as 10s, 5m or 1h30m; leave out the space: 5h"),
    (parse_duration, "5min", "needs a duration such as 10s, 5m or 1h30m; write 5m"),
    (parse_duration, "5parsecs", "needs a duration such as 10s, 5m or 1h30m, not '5parsecs'"),
    (parse_duration, "-5m", "needs a duration such as 10s, 5m or 1h30m; it cannot be negative"),
    (
        parse_duration,
        "05m",
        "needs a duration such as 10s, 5m or 1h30m; '05m' starts with a zero, write it without",
    ),
    (parse_duration, "1:30", "needs a duration, and '1:30' could be two: write 1m30s or 1h30m"),
    (parse_duration, "30m1h", "needs a duration with the larger unit first, such as 1h30m"),
    (parse_duration, "1s1s", "needs a duration with the larger unit first, such as 1h30m"),
    (parse_duration, "0.5us", "needs a duration in whole microseconds, such as 1500us"),
    (parse_duration, "367d", "needs a duration of at most 366d"),
    (parse_duration, "1" * 40 + "s", f"needs a duration such as 10s, 5m or 1h30m, not '{'1' * 30}…'"),
    (parse_ratio, "2", "needs a ratio such as 2%, not '2'"),
    (parse_ratio, "0.02", "needs a ratio such as 2%, not '0.02'"),
    (parse_ratio, "0", "needs a ratio such as 2%, not '0'"),
    (parse_ratio, "20", "needs a ratio such as 20%, not '20'"),
    (parse_ratio, "2 %", "needs a ratio such as 2%; leave out the space: 2%"),
    (parse_ratio, "2 percent", "needs a ratio such as 2%; leave out the space: 2%"),
    (parse_ratio, "2pct", "needs a ratio such as 2%; write 2%"),
    (parse_ratio, "1,5%", "needs a ratio such as 2%; '1,5%' has a comma, write the number without"),
    (parse_ratio, "nan", "needs a ratio such as 2%, not 'nan'"),
    (parse_ratio, "inf%", "needs a ratio such as 2%, not 'inf%'"),
    (parse_ratio, "٢%", "needs a ratio such as 2%, not '٢%'"),
    (parse_share, "70", "needs a number from 0 to 1, such as 0.7"),
    (parse_share, "170%", "needs a number from 0 to 1, such as 0.7"),
    (parse_share, "high", "needs a number from 0 to 1, such as 0.7, not 'high'"),
    (parse_equity_share, "10 of equity", "needs a ratio such as 10%, not '10'"),
    (parse_money, "500", "needs a currency, such as 500 USDT"),
    (parse_money, "500USDT", "needs a space before the currency: 500 USDT"),
    (parse_money, "500 usdt", "needs the currency in capitals: 500 USDT"),
    (parse_money, "$500", "needs an amount with its currency, such as 500 USDT, not '$500'"),
    (parse_money, "-5 BTC", "needs an amount with its currency, such as 500 USDT; it cannot be negative"),
    (parse_money, "1e3 BTC", "needs an amount with its currency, such as 500 USDT, not '1e3 BTC'"),
    (
        parse_money,
        "1" * 40 + " BTC",
        f"needs an amount with its currency, such as 500 USDT, not '{'1' * 30}…'",
    ),
    (parse_decimal, "five", "needs a plain number such as 5, not 'five'"),
    (parse_decimal, "0x10", "needs a plain number such as 5, not '0x10'"),
    (parse_whole, "2.5", "needs a whole number, such as 2"),
    (parse_switch, "yes", "needs true or false; 'yes' is text here, write true"),
    (parse_switch, "Off", "needs true or false; 'Off' is text here, write false"),
    (parse_switch, "True", "needs true or false; 'True' is text here, write true"),
    (parse_switch, "1", "needs true or false, not '1'"),
]


@pytest.mark.parametrize(("parse", "text", "message"), REFUSALS)
def test_I10_refusal_says_what_to_write(  # noqa: N802 - the fault's id
    parse: Callable[[str], object], text: str, message: str
) -> None:
    with pytest.raises(InputInvalid) as caught:
        parse(text)
    assert str(caught.value) == message
