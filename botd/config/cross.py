"""Faults inside one configuration file that its shape cannot show."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from botd.config.models import ConfigFile, ExecutionFile, LifecycleFile, RiskFile, ShutdownFile
from botd.config.reading import Document
from botd.config.symbols import Symbol, parse_symbol, resolve_symbol, underscored
from botd.config.words import FeedKind
from botd.core.instrument import InstrumentKind
from botd.core.periods import HOUR_US
from botd.errors import Diagnostic, Severity
from botd.language.source import did_you_mean

DOLLARS = frozenset({"USD", "USDT"})


def read_symbol(document: Document, name: str) -> tuple[Symbol | None, Diagnostic | None]:
    """Read the name of a listed instrument; `BTC_USDT` is understood as spot, with a hint."""
    path = ("instruments", name)
    spot = underscored(name)
    try:
        if spot is None:
            return parse_symbol(name), None
        perpetual = f"{spot}:{spot.partition('/')[2]}"
        hint = f"'{name}' is understood as {spot}; write it so, or {perpetual} for the perpetual"
        return parse_symbol(spot), document.at(path, hint, key=True, severity=Severity.HINT)
    except ValueError as error:
        return None, document.at(path, str(error), key=True)


def check_config(document: Document, config: ConfigFile) -> Iterator[Diagnostic]:
    """Find the faults of config.yaml alone."""
    symbols: dict[str, str] = {}
    readable = True
    for name in config.instruments:
        symbol, found = read_symbol(document, name)
        if found is not None:
            yield found
        if symbol is None:
            readable = False
            continue
        if symbol.id in symbols:
            yield document.at(
                ("instruments", name),
                f"{symbol.id} is listed twice, also as '{symbols[symbol.id]}'",
                key=True,
            )
        symbols[symbol.id] = name
        yield from _check_instrument(document, config, name, symbol)
    if not config.instruments:
        yield document.at(("instruments",), "no instruments are listed; list at least one", key=True)
    if readable:  # a member may be the one whose name could not be read
        yield from _check_universes(document, config, frozenset(symbols))
    yield from _check_feed(document, config)


def _check_instrument(
    document: Document, config: ConfigFile, name: str, symbol: Symbol
) -> Iterator[Diagnostic]:
    shape = config.instruments[name]
    path = ("instruments", name)
    spot = symbol.kind is InstrumentKind.SPOT
    if shape.leverage is not None and spot and shape.leverage != 1:
        yield document.at((*path, "leverage"), f"{symbol.id} is spot and has no leverage; remove it")
    if shape.leverage is not None and shape.leverage < 1:
        yield document.at((*path, "leverage"), f"leverage is at least 1, not {shape.leverage}")
    money = shape.min_notional
    if money is not None and money.currency != symbol.quote:
        yield document.at(
            (*path, "min_notional"),
            f"min_notional is in {money.currency}, but {symbol.id} is quoted in {symbol.quote}; "
            f"write it in {symbol.quote}",
        )
    for key, value in (("tick", shape.tick), ("lot", shape.lot)):
        if value < Decimal("1e-12"):
            yield document.at((*path, key), f"{key} is smaller than 1e-12; check the zeros")


def _check_universes(document: Document, config: ConfigFile, listed: frozenset[str]) -> Iterator[Diagnostic]:
    for universe, names in config.universes.items():
        if not names:
            yield document.at(
                ("universes", universe), f"universe '{universe}' is empty; list instruments", key=True
            )
        for index, name in enumerate(names):
            path = ("universes", universe, index)
            found = resolve_symbol(name, listed)
            if found is None:
                yield document.at(path, nobody_lists(name, listed))
            elif found != name:
                yield document.at(
                    path, f"'{name}' is understood as {found}; write it so", severity=Severity.HINT
                )
            elif name in names[:index]:
                yield document.at(path, f"{name} stands in universe '{universe}' twice; keep one")


def nobody_lists(name: str, listed: frozenset[str]) -> str:
    """Say that an instrument is not under `instruments:` of config.yaml, and what may be meant."""
    advice = did_you_mean(name, listed)
    if not advice:
        try:
            parse_symbol(underscored(name) or name)
            advice = "; list it there"
        except ValueError as error:
            return str(error)
    return f"'{name}' is not among the instruments of config.yaml{advice}"


def _check_feed(document: Document, config: ConfigFile) -> Iterator[Diagnostic]:
    feed = config.feed
    if feed.kind is FeedKind.SYNTHETIC and feed.path is not None:
        yield document.at(
            ("feed", "path"), "a synthetic feed reads no file; remove path or write kind: recorded", key=True
        )
    if feed.kind is FeedKind.RECORDED and feed.path is None:
        yield document.at(
            ("feed",), "a recorded feed needs a path; write path: and the file or folder", key=True
        )
    if feed.kind is FeedKind.RECORDED and feed.seed is not None:
        yield document.at(("feed", "seed"), "a recorded feed has no seed; remove it", key=True)
    if feed.kind is FeedKind.SYNTHETIC and feed.seed is None:
        yield document.at(("feed",), "a synthetic feed needs a seed; write seed: 1", key=True)


def check_risk(document: Document, risk: RiskFile) -> Iterator[Diagnostic]:
    """Find the faults of configs/risk.yaml alone."""
    amount = risk.limits.position_max_usd
    if amount is not None and amount.currency not in DOLLARS:
        yield document.at(
            ("limits", "position_max_usd"),
            f"position_max_usd is in {amount.currency}; write it in USD, or off",
        )
    margin = risk.margin
    if not margin.warn > margin.alert > margin.close:
        yield document.at(("margin",), "warn, alert and close must fall, such as 25%, 15%, 10%", key=True)


def check_lifecycle(document: Document, file: LifecycleFile) -> Iterator[Diagnostic]:
    """Find the faults of configs/lifecycle.yaml alone."""
    if file.lifecycle.warning >= file.lifecycle.holding_max:
        yield document.at(("lifecycle", "warning"), "warning must come before holding_max; make it shorter")
    weights = file.health.weights
    total = weights.pnl + weights.drawdown + weights.age + weights.margin + weights.volatility
    if total != 100:
        yield document.at(("health", "weights"), f"the weights make {total}; they must make 100", key=True)
    if file.health.threshold > 100:
        yield document.at(("health", "threshold"), "health is at most 100; write a threshold below it")


def check_execution(document: Document, file: ExecutionFile) -> Iterator[Diagnostic]:
    """Find the faults of configs/execution.yaml alone."""
    latency = file.paper.latency
    if latency.min > latency.max:
        yield document.at(("paper", "latency"), "latency min is longer than max; swap them", key=True)
    if HOUR_US % file.pnl.snapshot_interval:
        yield document.at(
            ("pnl", "snapshot_interval"),
            "the books are needed at every hour; write 1h or a part of it, such as 30m",
        )


def check_shutdown(document: Document, file: ShutdownFile) -> Iterator[Diagnostic]:
    """Find the faults of configs/shutdown.yaml alone."""
    if file.shutdown.expected > file.shutdown.ceiling:
        yield document.at(("shutdown", "expected"), "expected is longer than ceiling; make it shorter")
