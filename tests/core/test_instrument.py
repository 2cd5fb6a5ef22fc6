"""What an instrument's name says."""

from __future__ import annotations

import pytest

from botd.core.instrument import quote_of


@pytest.mark.parametrize(
    ("name", "quote"), [("BTC/USDT:USDT", "USDT"), ("EVX/BTC", "BTC"), ("BTC/USD:BTC", "USD")]
)
def test_money_of_an_instrument_is_in_its_quote_currency(name: str, quote: str) -> None:
    assert quote_of(name) == quote
