from __future__ import annotations

import pytest

from botd.config.symbols import parse_symbol, resolve_symbol, underscored
from botd.core.instrument import InstrumentKind


def test_names_say_the_kind() -> None:
    spot, perpetual = parse_symbol("EVX/BTC"), parse_symbol("BTC/USDT:USDT")
    assert (spot.kind, spot.base, spot.quote) == (InstrumentKind.SPOT, "EVX", "BTC")
    assert (perpetual.kind, perpetual.base, perpetual.quote) == (InstrumentKind.PERPETUAL, "BTC", "USDT")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("BTC_USDT", "write 'BTC_USDT' as ccxt does: BTC/USDT for spot or BTC/USDT:USDT for the perpetual"),
        ("btc/usdt", "'btc/usdt' is not an instrument; write it in capitals, such as BTC/USDT"),
        ("bitcoin", "'bitcoin' is not an instrument; write it in capitals, such as BTC/USDT:USDT"),
        (
            "BTCUSDT",
            "'BTCUSDT' is not an instrument; write BASE/QUOTE or BASE/QUOTE:QUOTE, such as BTC/USDT:USDT",
        ),
        (
            "BTC/USD:BTC",
            "'BTC/USD:BTC' settles in BTC; only perpetuals that settle in their quote currency are traded, "
            "such as BTC/USD:USD",
        ),
        (
            "BTC/USDT:USDT-250328",
            "'BTC/USDT:USDT-250328' is not an instrument; write BASE/QUOTE or BASE/QUOTE:QUOTE, "
            "such as BTC/USDT:USDT",
        ),
        ("A" * 65, "an instrument's name has at most 64 characters"),
    ],
)
def test_other_names_are_refused_with_what_to_write(name: str, said: str) -> None:
    with pytest.raises(ValueError) as raised:
        parse_symbol(name)
    assert str(raised.value) == said


def test_underscored_name_resolves_to_the_only_one_listed() -> None:
    spot, perpetual = "BTC/USDT", "BTC/USDT:USDT"
    assert underscored("BTC_USDT") == spot
    assert underscored("BTC/USDT") is None
    assert resolve_symbol("BTC_USDT", frozenset({spot})) == spot
    assert resolve_symbol("BTC_USDT", frozenset({perpetual})) == perpetual
    assert resolve_symbol("BTC_USDT", frozenset({spot, perpetual})) is None
    assert resolve_symbol("BTC_USDT", frozenset()) is None
    assert resolve_symbol("ETH/USDT", frozenset({spot})) is None
    assert resolve_symbol(perpetual, frozenset({spot, perpetual})) == perpetual
