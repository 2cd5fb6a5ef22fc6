"""Random conditions over the whole catalogue."""

from __future__ import annotations

import random

PRICES = [
    *(
        "price",
        "best_bid",
        "best_ask",
        "mid",
        "mark_price",
        "twpa({w})",
        "vwap({w})",
        "high({w})",
        "low({w})",
    ),
    *(
        "open({b})",
        "close({b})",
        "bar_high({b})",
        "bar_low({b})",
        "sma(close({b}), {n})",
        "ema(open({b}), {n})",
    ),
    *("bollinger_upper(close({b}), {n}, 2)", "bollinger_lower(close({b}), {n}, 1.5)", "price[{d} ago]"),
    *("highest(bar_high({b}), {n})", "lowest(bar_low({b}), {n})", "close({b})[{n} bars ago]"),
]
WIDTHS = [
    *("spread_price", "range({w})", "stddev({w})", "atr({b}, {n})", "stddev(close({b}), {n})"),
    *("macd(close({b}), 3, 6)", "macd_signal(close({b}), 3, 6, 4)"),
]
QUANTITIES = ["bid_size", "ask_size", "volume({w})", "buys({w})", "sells({w})", "bar_volume({b})"]
RATIOS = [
    *("spread", "imbalance", "change({w})", "velocity({f}, {s})", "volume_surge({f}, {s})", "funding_rate"),
]
COUNTS = [
    *("count({w})", "rush_orders({w})", "rsi(close({b}), {n})", "zscore(close({b}), {n})", "day_of_week"),
    *(
        "zscore(count({d}), 60s, every 4s)",
        "zscore(price, 40s, every 2s)",
        "zscore(imbalance, 30s, every 3s)",
    ),
]
OTHERS = ["slope({w}) > 0", "time_of_day > 9h"]
FAMILIES = [PRICES, PRICES, WIDTHS, QUANTITIES, RATIOS, COUNTS]


def word(rng: random.Random, family: list[str]) -> str:
    """Return a word of a family with its durations filled in."""
    start = rng.choice([2, 3, 5, 9, 20, 60])
    end = rng.choice([0, 0, 1])
    return rng.choice(family).format(
        w=f"{start}s" if end == 0 else f"from {start}s to {end}s",
        f=f"{rng.choice([1, 3])}s",
        s=f"{rng.choice([10, 30])}s",
        d=f"{rng.choice([1, 4, 10])}s",
        b=rng.choice(["5s", "15s", "1m"]),
        n=rng.choice([2, 3, 5]),
    )


def value(rng: random.Random, family: list[str], depth: int) -> str:
    """Return a value of one unit."""
    kind = rng.random()
    if depth == 0 or kind < 0.4:
        return word(rng, family)
    a, b = (value(rng, family, depth - 1) for _ in range(2))
    if kind < 0.7:
        return f"({a} {rng.choice('+-')} {b})"
    if kind < 0.8:
        return f"{rng.choice(['min', 'max'])}({a}, {b})"
    if kind < 0.9:
        return f"if({condition(rng, 0)}, {a}, {b})"
    return f"({a} * {rng.choice([0.5, 1.01, 3])})"


def condition(rng: random.Random, depth: int) -> str:
    """Return a condition."""
    kind = rng.random()
    if depth > 0 and kind < 0.45:
        a, b = (condition(rng, depth - 1) for _ in range(2))
        return f"({a} {rng.choice(['and', 'or'])} {b})"
    if depth > 0 and kind < 0.55:
        return f"not ({condition(rng, depth - 1)})"
    if depth > 0 and kind < 0.65:
        return f"({condition(rng, depth - 1)} for {rng.choice([1, 5])}s)"
    if kind < 0.7:
        return word(rng, OTHERS)
    family = rng.choice(FAMILIES)
    sign = rng.choice(["<", "<=", ">", ">=", "!=", "crosses above", "crosses below"])
    return f"({value(rng, family, 1)} {sign} {value(rng, family, 1)})"


def conditions(seed: int, n: int) -> list[str]:
    """Return n random conditions, each short enough for one expression."""
    rng = random.Random(seed)
    found: list[str] = []
    while len(found) < n:
        text = condition(rng, 2)
        if len(text) < 400:
            found.append(text)
    return found
