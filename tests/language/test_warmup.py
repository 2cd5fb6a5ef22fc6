"""Warm-up derived from expressions, against hand calculations."""

from __future__ import annotations

import pytest

from botd.language.warmup import expressions, strategy_warmup_us, warmup_us
from tests.language.texts import parse, read

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("price", 0),
        ("time_of_day", 0),
        ("twpa(5m)", 5 * MINUTE),
        ("twpa(from 5m to 1m)", 5 * MINUTE),
        ("twpa(5m) > twpa(10s)", 5 * MINUTE),
        ("velocity(10s, 5m)", 5 * MINUTE),
        ("price[30s ago]", 30 * SECOND),
        ("twpa(5m)[30s ago]", 5 * MINUTE + 30 * SECOND),
        ("price > twpa(1m) for 10s", MINUTE + 10 * SECOND),
        ("zscore(rush_orders(25s), 7h, every 25s)", 7 * HOUR + 50 * SECOND),
        # the first bar seen may be partial: two lengths until one closed bar is whole
        ("close(1m)", 2 * MINUTE),
        ("sma(close(1m), 30)", 32 * MINUTE),
        ("close(1m)[3 bars ago]", 5 * MINUTE),
        ("bollinger_upper(close(1m), 20, 2)", 22 * MINUTE),
        ("stddev(close(5m), 20)", 110 * MINUTE),
        ("ema(close(1m), 9)", 182 * MINUTE),
        ("rsi(close(1m), 14)", 562 * MINUTE),
        ("atr(1m, 14)", 562 * MINUTE),
        ("macd(close(1m), 12, 26)", (20 * 26 + 2) * MINUTE),
        ("macd_signal(close(1m), 12, 26, 9)", (20 * 35 + 2) * MINUTE),
        ("sma(close(1m), 10) crosses above sma(close(1m), 30)", 33 * MINUTE),
        ("price crosses above mid", 0),
        ("clamp(price / twpa(10s), 0, 1)", 10 * SECOND),
    ],
)
def test_warmup(text: str, needed: int) -> None:
    assert warmup_us([parse(text)]) == needed


def test_warmup_of_nothing_is_nothing() -> None:
    assert warmup_us([]) == 0


def test_strategy_needs_what_its_longest_clause_needs() -> None:
    assert read().warmup_us == 5 * MINUTE
    longest = read(("  when: always", "  when: price > twpa(1h)"))
    assert longest.warmup_us == HOUR
    assert strategy_warmup_us(longest) == HOUR


def test_expressions_are_named_by_clause_in_the_file_s_order() -> None:
    strategy = read(
        ("  when: fast > slow\n", "  when: fast > slow\n  confidence: 0.7\n"),
        ("Z1:", "O1: { when: fast < slow }\nZ1:"),
        ("  size:", "  order: { type: limit, price: best_bid }\n  size:"),
        (
            "protect:",
            "ZE1: [ { name: out, when: pnl > 3% } ]\nE1: [ { name: crash, when: pnl < -9% } ]\nprotect:",
        ),
    )
    assert [name for name, _ in expressions(strategy)] == [
        "let.fast",
        "let.slow",
        "S1.when",
        "S1.confidence",
        "O1.when",
        "Z1.when",
        "Z1.order.price",
        "ZE1.out",
        "E1.crash",
    ]


def test_expressions_without_z1_are_those_of_s1() -> None:
    strategy = read(
        ("Z1:\n  when: always\n  size: { fixed: 500 USDT }\n", ""),
        (
            "  when: fast > slow\n",
            "  when: fast > slow\n  order: { type: limit, price: mid }\n  size: { fixed: 5 USDT }\n",
        ),
    )
    assert [name for name, _ in expressions(strategy)] == [
        "let.fast",
        "let.slow",
        "S1.when",
        "S1.order.price",
    ]
