"""A checked strategy against the rest of the bot: its instruments, its money, its defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from botd.config.cross import nobody_lists
from botd.config.models import LifecycleShape, LimitsShape
from botd.config.old_keys import advice_for_old_key
from botd.config.plan import LifecycleSettings, SignalDefaults
from botd.config.reading import Document, suggest
from botd.config.shape import Shape
from botd.config.symbols import parse_symbol, resolve_symbol
from botd.config.values import Money
from botd.core.instrument import Instrument, InstrumentKind
from botd.errors import Diagnostic, Severity
from botd.language.document import MapNode, Node, ScalarNode, SeqNode
from botd.language.typed import PositionSide, SizeKind, Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a strategy is checked against. Without `listed`, its instruments come from data files later."""

    listed: Mapping[str, Instrument] | None
    universes: Mapping[str, tuple[str, ...]]
    equity: Mapping[str, Decimal]
    position_max: Decimal
    defaults: SignalDefaults
    lifecycle: LifecycleSettings


def resolve_strategy(
    document: Document, strategy: Strategy, around: Surroundings
) -> tuple[Strategy, list[Diagnostic]]:
    """Return the strategy with its instruments and defaults filled in, and what is wrong with it."""
    instruments, found = _resolve_instruments(document, strategy, around)
    limits, limit_faults = _own_values(document, "limits", LimitsShape, _as_decimal)
    times, time_faults = _own_values(document, "lifecycle", LifecycleShape, _as_microseconds)
    if around.listed is not None:
        listed = [around.listed[name] for name in instruments]
        found += check_traded(document, strategy, listed, around.equity)
    found += _check_share(document, strategy, dict(limits).get("position_max", around.position_max))
    resolved = _with_defaults(document, replace(strategy, instruments=instruments), around, dict(times))
    return replace(resolved, limits=limits, lifecycle=times), [*found, *limit_faults, *time_faults]


def check_traded(
    document: Document, strategy: Strategy, instruments: list[Instrument], equity: Mapping[str, Decimal]
) -> list[Diagnostic]:
    """Check a strategy's side and money against the instruments it will trade."""
    return [
        fault
        for instrument in instruments
        for fault in _check_instrument(document, strategy, instrument, equity)
    ]


def _check_instrument(
    document: Document, strategy: Strategy, instrument: Instrument, equity: Mapping[str, Decimal]
) -> Iterator[Diagnostic]:
    if strategy.side is PositionSide.SHORT and instrument.kind is InstrumentKind.SPOT:
        yield document.at(
            ("side",),
            f"{instrument.id} is spot and cannot be sold short; write side: long, "
            f"or trade the perpetual {instrument.id}:{instrument.quote}",
        )
    size = strategy.entry.size
    if size.kind is SizeKind.FIXED and size.currency not in (instrument.quote, instrument.base):
        section = "Z1" if strategy.entry.written else "S1"
        yield document.at(
            (section, "size", "fixed"),
            f"the size is in {size.currency}, but {instrument.id} is quoted in {instrument.quote}; "
            f"write it in {instrument.quote} (or {instrument.base})",
        )
    if instrument.quote not in equity:
        yield document.at(
            ("instruments",),
            f"the account has no {instrument.quote}, in which {instrument.id} is quoted; "
            f"add {instrument.quote} to account.equity in config.yaml",
        )


def _check_share(document: Document, strategy: Strategy, most: Decimal) -> Iterator[Diagnostic]:
    """Warn of a share of equity that risk would deny every time."""
    size, section = strategy.entry.size, "Z1" if strategy.entry.written else "S1"
    share = size.amount if size.cap is None else min(size.amount, size.cap)
    if size.kind is SizeKind.PERCENT and share > most:
        yield document.at(
            (section, "size", "percent"),
            f"{_percent(share)} of equity is over position_max, {_percent(most)}: every entry "
            f"would be denied; write {_percent(most)} or less, or a higher position_max under limits",
            severity=Severity.WARNING,
        )


def _percent(ratio: Decimal) -> str:
    return f"{(ratio * 100).normalize():f}%"


def _resolve_instruments(
    document: Document, strategy: Strategy, around: Surroundings
) -> tuple[tuple[str, ...], list[Diagnostic]]:
    if strategy.universe is not None:
        return _resolve_universe(document, strategy.universe, around)
    found: list[Diagnostic] = []
    names: dict[str, None] = {}
    for index, name in enumerate(strategy.instruments):
        path = ("instruments", index)
        resolved = _resolve_name(name, around)
        if resolved is None:
            listed = frozenset(around.listed or ())
            found.append(document.at(path, nobody_lists(name, listed)))
            continue
        if resolved != name:
            hint = f"'{name}' is understood as {resolved}; write it so"
            found.append(document.at(path, hint, severity=Severity.HINT))
        if resolved in names:
            found.append(document.at(path, f"{resolved} stands here twice; keep one"))
        names[resolved] = None
    return tuple(names), found


def _resolve_name(name: str, around: Surroundings) -> str | None:
    if around.listed is not None:
        return resolve_symbol(name, frozenset(around.listed))
    try:
        return parse_symbol(name).id
    except ValueError:
        return None


def _resolve_universe(
    document: Document, universe: str, around: Surroundings
) -> tuple[tuple[str, ...], list[Diagnostic]]:
    if around.listed is None:
        return (), []
    members = around.universes.get(universe)
    if members is None:
        advice = suggest(universe, around.universes) or "; add it under universes"
        message = f"config.yaml has no universe '{universe}'{advice}"
        return (), [document.at(("instruments",), message)]
    listed = frozenset(around.listed)
    resolved = (resolve_symbol(name, listed) for name in members)
    return tuple(dict.fromkeys(name for name in resolved if name is not None)), []


def _with_defaults(
    document: Document, strategy: Strategy, around: Surroundings, times: Mapping[str, int]
) -> Strategy:
    """Fill in what the file leaves to configs/risk.yaml and configs/lifecycle.yaml."""
    signal, entry, protect = strategy.signal, strategy.entry, strategy.protect
    if not _written(document.root, "S1", "cooldown"):
        signal = replace(signal, cooldown_us=around.defaults.cooldown_us)
    if entry.size.kind is SizeKind.KELLY and entry.size.cap is None:
        entry = replace(entry, size=replace(entry.size, cap=around.defaults.kelly_cap))
    if protect.holding_max_us is None and around.lifecycle.automatic_timeout:
        holding_max = times.get("holding_max", around.lifecycle.holding_max_us)
        protect = replace(protect, holding_max_us=holding_max)
    return replace(strategy, signal=signal, entry=entry, protect=protect)


def _written(node: Node | None, *path: str) -> bool:
    for step in path:
        if not isinstance(node, MapNode):
            return False
        node = node.get(step)
    return node is not None


# ---- limits and lifecycle of one strategy -----------------------------------------------------


V = TypeVar("V")


def _own_values(
    document: Document, section: str, shape: type[Shape], convert: Callable[[Any], V | None]
) -> tuple[tuple[tuple[str, V], ...], list[Diagnostic]]:
    """Read a strategy's own `limits` or `lifecycle` by the rules of the file that has the common ones."""
    node = document.root.get(section) if isinstance(document.root, MapNode) else None
    if not isinstance(node, MapNode):
        return (), []
    values: list[tuple[str, V]] = []
    found: list[Diagnostic] = []
    names = [name for name in shape.model_fields if name != "automatic_timeout"]
    for entry in node.entries:
        path = (section, entry.key)
        if entry.key not in names:
            message = advice_for_old_key(entry.key) or _no_such_value(section, entry.key, names)
            found.append(document.at(path, message, key=True))
            continue
        text = entry.value.text if isinstance(entry.value, ScalarNode) else None
        try:
            value = convert(_adapter(shape, entry.key).validate_python(text))
        except ValidationError as error:
            detail = error.errors(include_url=False)[0]
            said = detail.get("ctx", {}).get("error", detail["msg"])
            found.append(document.at(path, f"'{entry.key}' {said}"))
            continue
        if value is None:
            found.append(document.at(path, f"'{entry.key}' cannot be off for one strategy; write a value"))
        else:
            values.append((entry.key, value))
    return tuple(values), found


def _no_such_value(section: str, name: str, known: list[str]) -> str:
    return f"unknown key '{name}' in '{section}'{suggest(name, known)}"


def _adapter(shape: type[Shape], name: str) -> TypeAdapter[Any]:
    field = shape.model_fields[name]
    annotation: Any = Annotated[(field.annotation, *field.metadata)]
    return TypeAdapter(annotation)


def _as_decimal(value: Decimal | int | Money | None) -> Decimal | None:
    if value is None:
        return None
    return value.amount if isinstance(value, Money) else Decimal(value)


def _as_microseconds(value: int) -> int | None:
    return value


# ---- old keys in strategy files ---------------------------------------------------------------


def advise_on_old_keys(document: Document, diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """Replace what is said about keys of the old configuration by what to write instead."""
    advice = {}
    for path in _key_paths(document.root, ()):
        message = advice_for_old_key(str(path[-1]))
        if message is not None:
            instead = document.at(path, message, key=True)
            advice[instead.line, instead.column] = instead
    return [advice.get((d.line, d.column), d) for d in diagnostics]


def _key_paths(node: Node, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(node, MapNode):
        for entry in node.entries:
            yield (*path, entry.key)
            yield from _key_paths(entry.value, (*path, entry.key))
    elif isinstance(node, SeqNode):
        for index, item in enumerate(node.items):
            yield from _key_paths(item, (*path, index))
