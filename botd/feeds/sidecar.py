"""What an `instruments.yaml` says about the data files beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

import yaml

from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.settings import PaperSettings
from botd.errors import ConfigInvalid, Diagnostic, InputInvalid

SIDECAR_NAME: Final = "instruments.yaml"
NO_INSTRUMENTS: Final[Mapping[InstrumentId, Instrument]] = MappingProxyType({})

_ID: Final = re.compile(r"(?P<base>[A-Z0-9]+)/(?P<quote>[A-Z0-9]+)(:(?P<settle>[A-Z0-9]+))?")
_LENGTH: Final = re.compile(r"(?P<n>[1-9][0-9]{0,5})(?P<unit>[smhd])")
_UNIT_US: Final = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_FIELDS: Final = (
    "instrument",
    "rows",
    "length",
    "stamp",
    "volume_unit",
    "tick",
    "lot",
    "min_notional",
)
_BAR_FIELDS: Final = ("length", "stamp", "volume_unit")

_V = TypeVar("_V")
_W = TypeVar("_W", bound=StrEnum)


class RowsKind(StrEnum):
    """What the rows of a file are."""

    TRADES = "trades"
    BARS = "bars"


class BarStamp(StrEnum):
    """Which end of its interval a bar's time names."""

    OPEN = "open"
    CLOSE = "close"


class VolumeUnit(StrEnum):
    BASE = "base"
    QUOTE = "quote"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One entry: what one data file holds. None is left out, and derived from the data."""

    file: str
    instrument: InstrumentId
    rows: RowsKind
    length_us: int | None = None  # bars only, where it is mandatory
    stamp: BarStamp = BarStamp.OPEN
    volume_unit: VolumeUnit = VolumeUnit.BASE
    tick_size: Decimal | None = None
    lot_size: Decimal | None = None
    min_notional: Decimal | None = None

    def __post_init__(self) -> None:
        if self.rows is RowsKind.BARS and self.length_us is None:
            raise InputInvalid(f"the entry of '{self.file}' lacks 'length', such as 1m")


def split_instrument_id(text: str) -> tuple[str, str, InstrumentKind] | None:
    """Return base, quote and kind of an id as ccxt writes it, or None when it is not one."""
    match = _ID.fullmatch(text)
    if match is None:
        return None
    base, quote, settle = match["base"], match["quote"], match["settle"]
    if settle is None:
        return base, quote, InstrumentKind.SPOT
    return (base, quote, InstrumentKind.PERPETUAL) if settle == quote else None


def build_instrument(
    entry: FileEntry,
    *,
    tick_size: Decimal,
    lot_size: Decimal,
    known: Mapping[InstrumentId, Instrument],
    paper: PaperSettings,
) -> Instrument:
    """Return the instrument of a file: its grid, the fees and limits of the known one or defaults."""
    before = known.get(entry.instrument)
    if before is not None:
        least = before.min_notional if entry.min_notional is None else entry.min_notional
        return replace(before, tick_size=tick_size, lot_size=lot_size, min_notional=least)
    parts = split_instrument_id(entry.instrument)
    if parts is None:
        raise InputInvalid(
            f"'{entry.instrument}' is not an instrument; write it as BTC/USDT or BTC/USDT:USDT"
        )
    base, quote, kind = parts
    spot = kind is InstrumentKind.SPOT
    least = paper.min_notional.get(quote, Decimal(0)) if entry.min_notional is None else entry.min_notional
    return Instrument(
        id=entry.instrument,
        kind=kind,
        base=base,
        quote=quote,
        tick_size=tick_size,
        lot_size=lot_size,
        min_notional=least,
        taker_fee=paper.spot_taker_fee if spot else paper.perpetual_taker_fee,
        maker_fee=paper.spot_maker_fee if spot else paper.perpetual_maker_fee,
    )


def read_sidecar(path: Path) -> dict[str, FileEntry]:
    """Read every entry of a sidecar; ConfigInvalid carries all of its faults."""
    reader = _Reader(str(path))
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise InputInvalid(f"{path}: cannot be read: {error}") from error
    except yaml.MarkedYAMLError as error:
        reader.fault(error.problem_mark, f"not valid YAML: {error.problem}")
        raise ConfigInvalid(reader.faults) from error
    except yaml.YAMLError as error:
        raise InputInvalid(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise InputInvalid(f"{path}: nested too deeply; an entry is one flat mapping") from error
    entries = reader.entries(node)
    if reader.faults:
        raise ConfigInvalid(reader.faults)
    return entries


class _Reader:
    """Turn the YAML tree into entries, collecting every fault with its position."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.faults: list[Diagnostic] = []

    def fault(self, mark: yaml.Mark | None, message: str) -> None:
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        self.faults.append(Diagnostic(file=self.file, line=line, column=column, message=message))

    def entries(self, node: yaml.Node | None) -> dict[str, FileEntry]:
        if not isinstance(node, yaml.MappingNode):
            mark = None if node is None else node.start_mark
            self.fault(mark, "needs one entry per data file: FILE: {instrument: BTC/USDT, rows: trades}")
            return {}
        found: dict[str, FileEntry] = {}
        for file, key, value in self.pairs(node):
            entry = self.entry(file, key, value)
            if entry is not None:
                found[file] = entry
        return found

    def pairs(self, node: yaml.MappingNode) -> list[tuple[str, yaml.Node, yaml.Node]]:
        seen: dict[str, tuple[str, yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.fault(key.start_mark, "a key must be plain text")
            elif key.value in seen:
                self.fault(key.start_mark, f"'{key.value}' is here twice; keep one")
            else:
                seen[key.value] = (key.value, key, value)
        return list(seen.values())

    def entry(self, file: str, key: yaml.Node, node: yaml.Node) -> FileEntry | None:
        if not isinstance(node, yaml.MappingNode):
            self.fault(node.start_mark, f"'{file}' needs a mapping: {{instrument: BTC/USDT, rows: trades}}")
            return None
        before = len(self.faults)
        texts = self.fields(node)
        present = {name.value for name, _ in node.value if isinstance(name, yaml.ScalarNode)}
        for name in ("instrument", "rows"):
            if name not in present:
                self.fault(key.start_mark, f"'{file}' lacks '{name}'")
        if "length" not in present and "rows" in texts and texts["rows"].value == RowsKind.BARS:
            self.fault(key.start_mark, f"'{file}' lacks 'length', such as 1m")
        entry = self.build(file, texts) if {"instrument", "rows"} <= texts.keys() else None
        return entry if len(self.faults) == before else None

    def fields(self, node: yaml.MappingNode) -> dict[str, yaml.ScalarNode]:
        texts: dict[str, yaml.ScalarNode] = {}
        for name, key, value in self.pairs(node):
            if name not in _FIELDS:
                self.fault(key.start_mark, f"unknown key '{name}'; known are {', '.join(_FIELDS)}")
            elif not isinstance(value, yaml.ScalarNode):
                self.fault(value.start_mark, f"'{name}' needs one plain value")
            else:
                texts[name] = value
        return texts

    def build(self, file: str, texts: Mapping[str, yaml.ScalarNode]) -> FileEntry | None:
        rows = self.word(texts["rows"], RowsKind)
        if rows is RowsKind.TRADES:
            for name in _BAR_FIELDS:
                if name in texts:
                    self.fault(texts[name].start_mark, f"'{name}' is for bars; these rows are trades")
        identity = texts["instrument"]
        if split_instrument_id(identity.value) is None:
            message = f"'{identity.value}' is not an instrument; write it as BTC/USDT or BTC/USDT:USDT"
            self.fault(identity.start_mark, message)
        length = self.optional(texts, "length", self.length)
        stamp = self.optional(texts, "stamp", lambda node: self.word(node, BarStamp))
        unit = self.optional(texts, "volume_unit", lambda node: self.word(node, VolumeUnit))
        tick = self.optional(texts, "tick", self.step)
        lot = self.optional(texts, "lot", self.step)
        least = self.optional(texts, "min_notional", self.number)
        if rows is None or (rows is RowsKind.BARS and length is None):
            return None  # a fault says why
        return FileEntry(
            file=file,
            instrument=InstrumentId(identity.value),
            rows=rows,
            length_us=length,
            stamp=stamp or BarStamp.OPEN,
            volume_unit=unit or VolumeUnit.BASE,
            tick_size=tick,
            lot_size=lot,
            min_notional=least,
        )

    @staticmethod
    def optional(
        texts: Mapping[str, yaml.ScalarNode], name: str, read: Callable[[yaml.ScalarNode], _V | None]
    ) -> _V | None:
        return read(texts[name]) if name in texts else None

    def word(self, node: yaml.ScalarNode, words: type[_W]) -> _W | None:
        try:
            return words(node.value)
        except ValueError:
            choice = " or ".join(str(word) for word in words)
            self.fault(node.start_mark, f"'{node.value}' is not known here; write {choice}")
            return None

    def length(self, node: yaml.ScalarNode) -> int | None:
        match = _LENGTH.fullmatch(node.value)
        if match is None:
            self.fault(node.start_mark, f"'{node.value}' is not a length; write it as 1m, 5m or 1h")
            return None
        return int(match["n"]) * _UNIT_US[match["unit"]]

    def number(self, node: yaml.ScalarNode) -> Decimal | None:
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?([eE]-?[0-9]{1,2})?", node.value) is None:
            self.fault(node.start_mark, f"'{node.value}' is not a number of 0 or more")
            return None
        return Decimal(node.value)

    def step(self, node: yaml.ScalarNode) -> Decimal | None:
        value = self.number(node)
        if value is None:
            return None
        if value <= 0 or value % Decimal("1e-8") != 0:
            self.fault(node.start_mark, f"'{node.value}' must be a positive multiple of 0.00000001")
            return None
        return value
