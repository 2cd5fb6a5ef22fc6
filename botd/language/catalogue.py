"""The closed registry of the language: every word, what it takes, gives and means.

Nothing outside this table can be named in an expression, and nothing in it can see the future: rows
and windows end now, bars exist once they have closed, samples are strictly earlier.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from botd.language.typed import BOOL, COUNT, PRICE, QTY, RATIO, SECONDS, Unit, UnitKind
from botd.language.words import Entry, Parameter, ParameterKind, Reads, UnitFrom, Warmup

_ROW = "the newest row of its kind at or before now"
_WINDOW = "ends now or earlier"
_BARS = "closed bars only"
_INPUTS = "as its inputs"

_P = {
    "window": Parameter(name="window", kind=ParameterKind.WINDOW),
    "fast": Parameter(name="fast", kind=ParameterKind.DURATION),
    "slow": Parameter(name="slow", kind=ParameterKind.DURATION),
    "back": Parameter(name="back", kind=ParameterKind.DURATION),
    "length": Parameter(name="length", kind=ParameterKind.LENGTH),
    "every": Parameter(name="every", kind=ParameterKind.EVERY),
    "over": Parameter(name="over", kind=ParameterKind.DURATION),
    "series": Parameter(name="series", kind=ParameterKind.SERIES),
    "periods": Parameter(name="periods", kind=ParameterKind.PERIODS),
    "fast_periods": Parameter(name="fast", kind=ParameterKind.PERIODS),
    "slow_periods": Parameter(name="slow", kind=ParameterKind.PERIODS),
    "signal_periods": Parameter(name="signal", kind=ParameterKind.PERIODS),
    "factor": Parameter(name="factor", kind=ParameterKind.FACTOR),
    "x": Parameter(name="x", kind=ParameterKind.VALUE),
    "y": Parameter(name="y", kind=ParameterKind.VALUE),
    "low": Parameter(name="low", kind=ParameterKind.VALUE),
    "high": Parameter(name="high", kind=ParameterKind.VALUE),
    "condition": Parameter(name="condition", kind=ParameterKind.CONDITION),
}


def _parameters(names: str) -> tuple[Parameter, ...]:
    return tuple(_P[name] for name in names.split())


def _row(
    name: str,
    unit: Unit,
    reads: Reads,
    doc: str,
    example: str,
    *,
    percent: bool = False,
    bounds: tuple[float, float] | None = None,
) -> Entry:
    return Entry(
        name=name,
        op=name,
        unit=unit,
        reads=reads,
        warmup=Warmup.NONE,
        causal=_ROW,
        percent=percent,
        doc=doc,
        example=example,
        bounds=bounds,
    )


def _window(name: str, unit: Unit, doc: str, example: str, *, percent: bool = False) -> Entry:
    return Entry(
        name=name,
        op=name,
        parameters=_parameters("window"),
        unit=unit,
        reads=Reads.TRADES,
        warmup=Warmup.WINDOW,
        causal=_WINDOW,
        percent=percent,
        doc=doc,
        example=example,
    )


def _series(name: str, unit: Unit, doc: str, example: str) -> Entry:
    return Entry(
        name=name,
        op=name,
        parameters=_parameters("length"),
        unit=Unit(UnitKind.SERIES, unit.price, unit.qty),
        reads=Reads.BARS,
        warmup=Warmup.BAR,
        causal=_BARS,
        doc=doc,
        example=example,
    )


def _study(
    name: str,
    parameters: str,
    doc: str,
    example: str,
    *,
    op: str | None = None,
    unit: Unit | UnitFrom = UnitFrom.SERIES,
    warmup: Warmup = Warmup.PERIODS,
    bounds: tuple[float, float] | None = None,
) -> Entry:
    return Entry(
        name=name,
        op=op or name,
        parameters=_parameters(parameters),
        unit=unit,
        reads=Reads.BARS,
        warmup=warmup,
        causal=_BARS,
        bounds=bounds,
        doc=doc,
        example=example,
    )


def _plain(
    name: str,
    parameters: str,
    doc: str,
    example: str,
    *,
    unit: Unit | UnitFrom = UnitFrom.VALUES,
    reads: Reads = Reads.NOTHING,
    warmup: Warmup = Warmup.NONE,
    causal: str = _INPUTS,
    more: bool = False,
    bounds: tuple[float, float] | None = None,
) -> Entry:
    return Entry(
        name=name,
        op=name,
        parameters=_parameters(parameters),
        more=more,
        unit=unit,
        reads=reads,
        warmup=warmup,
        causal=causal,
        bounds=bounds,
        doc=doc,
        example=example,
    )


_ENTRIES: Final = (
    _row("price", PRICE, Reads.TRADES, "price of the last trade", "price > high(from 60s to 2s)"),
    _row("best_bid", PRICE, Reads.BOOK, "highest price a buyer waits at", "best_bid > twpa(1m)"),
    _row("best_ask", PRICE, Reads.BOOK, "lowest price a seller waits at", "best_ask < twpa(1m)"),
    _row("bid_size", QTY, Reads.BOOK, "quantity at the best bid", "bid_size > 3 * ask_size"),
    _row("ask_size", QTY, Reads.BOOK, "quantity at the best ask", "ask_size < volume(10s)"),
    _row("mid", PRICE, Reads.BOOK, "middle of best bid and best ask", "mid > twpa(1m)"),
    _row(
        "spread",
        RATIO,
        Reads.BOOK,
        "best ask minus best bid, as a ratio of the mid",
        "spread < 20bps",
        percent=True,
    ),
    _row("spread_price", PRICE, Reads.BOOK, "best ask minus best bid, as a price", "spread_price < 5"),
    _row(
        "imbalance",
        RATIO,
        Reads.BOOK,
        "(bid size - ask size) / (bid size + ask size)",
        "imbalance > 0.3",
        bounds=(-1, 1),
    ),
    _row("mark_price", PRICE, Reads.MARK, "the venue's fair price", "price / mark_price - 1 < -30bps"),
    _row("funding_rate", RATIO, Reads.FUNDING, "last funding rate", "funding_rate < 1bps", percent=True),
    _window("twpa", PRICE, "time-weighted price average, exact at both edges", "price > twpa(5m)"),
    _window("vwap", PRICE, "volume-weighted price average", "price > vwap(5m)"),
    _window("volume", QTY, "quantity traded", "volume(10s) > volume(from 1m to 10s)"),
    _window("buys", QTY, "quantity that takers bought", "buys(10s) > 2 * sells(10s)"),
    _window("sells", QTY, "quantity that takers sold", "sells(10s) > buys(10s)"),
    _window("count", COUNT, "number of trades", "count(10s) > 20"),
    _window(
        "high", PRICE, "highest price, with the one standing at the start", "price > high(from 60s to 2s)"
    ),
    _window("low", PRICE, "lowest price, with the one standing at the start", "price < low(from 60s to 2s)"),
    _window("range", PRICE, "high minus low", "range(1m) / price > 1%"),
    _window("change", RATIO, "price against the price at the start", "change(30s) > 1%", percent=True),
    _window("stddev", PRICE, "standard deviation of trade prices", "stddev(1m) / price > 20bps"),
    _window(
        "slope",
        Unit(UnitKind.QUANTITY, price=1, seconds=-1),
        "least-squares price change per second",
        "slope(1m) > 0",
    ),
    _window(
        "rush_orders",
        COUNT,
        "taker buys whose prints share one timestamp and span several prices",
        "rush_orders(25s) > 8",
    ),
    Entry(
        name="velocity",
        op="velocity",
        parameters=_parameters("fast slow"),
        unit=RATIO,
        reads=Reads.TRADES,
        warmup=Warmup.LONGEST,
        causal=_WINDOW,
        percent=True,
        doc="twpa(fast) / twpa(slow) - 1",
        example="velocity(10s, 5m) > 1%",
    ),
    Entry(
        name="volume_surge",
        op="volume_surge",
        parameters=_parameters("fast slow"),
        unit=RATIO,
        reads=Reads.TRADES,
        warmup=Warmup.LONGEST,
        causal=_WINDOW,
        doc="quantity per second in the fast window over that in the slow one",
        example="volume_surge(5s, 5m) > 3",
    ),
    _series("open", PRICE, "opening prices of closed bars", "close(1m) > open(1m)"),
    _series("close", PRICE, "closing prices of closed bars", "sma(close(1m), 10)"),
    _series("bar_high", PRICE, "highs of closed bars", "highest(bar_high(1m), 20)"),
    _series("bar_low", PRICE, "lows of closed bars", "lowest(bar_low(1m), 20)"),
    _series("bar_volume", QTY, "quantities of closed bars", "bar_volume(1m) > sma(bar_volume(1m), 20)"),
    _study("sma", "series periods", "simple moving average", "sma(close(1m), 10)"),
    _study(
        "ema", "series periods", "exponential moving average", "ema(close(1m), 20)", warmup=Warmup.AVERAGE
    ),
    _study(
        "rsi",
        "series periods",
        "relative strength index, 0 to 100",
        "rsi(close(1m), 14) < 30",
        unit=COUNT,
        warmup=Warmup.WILDER,
        bounds=(0, 100),
    ),
    _study(
        "atr",
        "length periods",
        "average true range of bars of a length",
        "atr(1m, 14) / price > 20bps",
        unit=PRICE,
        warmup=Warmup.WILDER,
    ),
    _study(
        "macd",
        "series fast_periods slow_periods",
        "fast minus slow exponential average",
        "macd(close(1m), 12, 26) > 0",
        warmup=Warmup.AVERAGE,
    ),
    _study(
        "macd_signal",
        "series fast_periods slow_periods signal_periods",
        "exponential average of the macd",
        "macd(close(1m), 12, 26) crosses above macd_signal(close(1m), 12, 26, 9)",
        warmup=Warmup.AVERAGE,
    ),
    _study(
        "bollinger_upper",
        "series periods factor",
        "simple average plus a factor of standard deviations",
        "price > bollinger_upper(close(1m), 20, 2)",
    ),
    _study(
        "bollinger_lower",
        "series periods factor",
        "simple average minus a factor of standard deviations",
        "price < bollinger_lower(close(1m), 20, 2)",
    ),
    _study("highest", "series periods", "highest of the last bars", "price > highest(close(1m), 20)"),
    _study("lowest", "series periods", "lowest of the last bars", "price < lowest(close(1m), 20)"),
    _study(
        "stddev",
        "series periods",
        "standard deviation over the last bars",
        "stddev(close(1m), 20) / price > 10bps",
        op="stddev_bars",
    ),
    _study(
        "zscore",
        "series periods",
        "last bar against the mean and standard deviation of the last bars",
        "zscore(close(1m), 20) < -2",
        op="zscore_bars",
        unit=COUNT,
    ),
    _plain(
        "zscore",
        "x over every",
        "x against the mean and standard deviation of its earlier samples",
        "zscore(rush_orders(25s), 7h, every 25s) > 40",
        unit=COUNT,
        warmup=Warmup.SAMPLES,
        causal="samples strictly before now",
    ),
    _plain("abs", "x", "size without the sign", "abs(change(10s)) > 1%"),
    _plain("min", "x y", "smallest of two or more", "min(twpa(10s), twpa(1m)) > 100", more=True),
    _plain("max", "x y", "largest of two or more", "max(twpa(10s), twpa(1m)) < 100", more=True),
    _plain("clamp", "x low high", "x held between two limits", "clamp(change(10s) / 5%, 0, 1)"),
    _plain("if", "condition x y", "x when the condition is true, else y", "if(spread < 10bps, 1, 0.5)"),
    _plain(
        "ago",
        "x back",
        "value at the last row that is at least so old; also written x[5s ago]",
        "price / price[5s ago] - 1 > 1%",
        warmup=Warmup.LOOK_BACK,
        causal="an earlier row",
    ),
    _plain("always", "", "true at every row", "always", unit=BOOL),
    _plain("never", "", "false at every row", "never", unit=BOOL),
    _plain(
        "time_of_day",
        "",
        "time since 00:00 UTC",
        "time_of_day > 8h and time_of_day < 16h30m",
        unit=SECONDS,
        reads=Reads.CLOCK,
        bounds=(0, 86_400),
    ),
    _plain(
        "day_of_week",
        "",
        "0 on Monday to 6 on Sunday, UTC",
        "day_of_week < 5",
        unit=COUNT,
        reads=Reads.CLOCK,
        bounds=(0, 6),
    ),
    _row(
        "pnl",
        RATIO,
        Reads.POSITION,
        "gain on what is held, against the average entry, without fees",
        "pnl > 3%",
        percent=True,
    ),
    _row("pnl_max", RATIO, Reads.POSITION, "highest pnl so far", "pnl < pnl_max - 1%", percent=True),
    _row("held", SECONDS, Reads.POSITION, "time since the first fill", "held > 30s"),
    _row("entry_price", PRICE, Reads.POSITION, "average entry price", "best_bid > entry_price"),
    _row("position_size", QTY, Reads.POSITION, "quantity held", "bid_size > position_size"),
)

# Constructs that are operators, not calls; here so that documentation and completion know them.
CONSTRUCTS: Final = (
    _plain(
        "crosses",
        "x y",
        "now above (below), and below (above) when they last differed",
        "sma(close(1m), 10) crosses above sma(close(1m), 30)",
        unit=BOOL,
        warmup=Warmup.ONE_BAR,
        causal="this row and an earlier one",
    ),
    _plain(
        "for",
        "condition back",
        "true without a break for so long",
        "spread < 10bps for 3s",
        unit=BOOL,
        warmup=Warmup.LOOK_BACK,
        causal="this row and earlier ones",
    ),
    _plain(
        "bars_ago",
        "series periods",
        "value so many closed bars earlier, written x[3 bars ago]",
        "close(1m) > close(1m)[3 bars ago]",
        unit=UnitFrom.SERIES,
        reads=Reads.BARS,
        warmup=Warmup.PERIODS,
        causal=_BARS,
    ),
)


def _by_word() -> Mapping[str, tuple[Entry, ...]]:
    words: dict[str, tuple[Entry, ...]] = {}
    for entry in _ENTRIES:
        words[entry.name] = (*words.get(entry.name, ()), entry)
    return MappingProxyType(words)


WORDS: Final[Mapping[str, tuple[Entry, ...]]] = _by_word()
BY_OP: Final[Mapping[str, Entry]] = MappingProxyType({e.op: e for e in (*_ENTRIES, *CONSTRUCTS)})
POSITION_WORDS: Final = frozenset(e.name for e in _ENTRIES if e.reads is Reads.POSITION)
