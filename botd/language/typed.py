"""The checked form of a strategy: unit-typed expressions and the sections that hold them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum


class UnitKind(StrEnum):
    """What family a value belongs to; only QUANTITY units have exponents."""

    QUANTITY = "quantity"  # price^a * qty^b * seconds^c; all zero is a ratio
    BOOL = "bool"
    NUMBER = "number"  # a bare literal: adopts the other side's unit
    COUNT = "count"  # a plain number that is no ratio: counts, RSI, z-scores, days of the week
    SERIES = "series"  # a column of closed bars; only bar words take it


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of a value."""

    kind: UnitKind
    price: int = 0
    qty: int = 0
    seconds: int = 0


BOOL = Unit(UnitKind.BOOL)
NUMBER = Unit(UnitKind.NUMBER)
COUNT = Unit(UnitKind.COUNT)
RATIO = Unit(UnitKind.QUANTITY)
PRICE = Unit(UnitKind.QUANTITY, price=1)
QTY = Unit(UnitKind.QUANTITY, qty=1)
QUOTE = Unit(UnitKind.QUANTITY, price=1, qty=1)
SECONDS = Unit(UnitKind.QUANTITY, seconds=1)


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of character offsets in the file's text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Expr:
    """One node of a checked expression. Equality and hash ignore where it was written.

    `op` is a catalogue word; `params` are its constants: durations in whole microseconds, periods
    as whole numbers, factors as floats.
    """

    op: str
    args: tuple[Expr, ...] = ()
    params: tuple[int | float, ...] = ()
    unit: Unit
    span: Span = field(compare=False)


class PositionSide(StrEnum):
    LONG = "long"
    SHORT = "short"


class EntryType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"


class SizeKind(StrEnum):
    FIXED = "fixed"  # an amount of the quote or base currency
    PERCENT = "percent"  # a share of equity
    RISK = "risk"  # a share of equity lost if the stop is hit
    KELLY = "kelly"  # equity * fraction * max(0, 2*confidence - 1)


class OnReload(StrEnum):
    PIN = "pin"
    ADOPT = "adopt"


class OnStop(StrEnum):
    KEEP = "keep"
    CANCEL = "cancel"
    FLATTEN = "flatten"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSpec:
    """How an entry is sent."""

    type: EntryType = EntryType.MARKET
    slippage_max: Decimal | None = None  # ratio; None takes execution.slippage_max
    price: Expr | None = None  # limit orders: a price expression, read in Z1's row
    ttl_us: int | None = None  # limit orders: None takes execution.order_ttl


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeSpec:
    """How much an entry buys or sells. `amount` is money for FIXED, else a ratio of equity."""

    kind: SizeKind
    amount: Decimal
    currency: str | None = None  # FIXED only
    cap: Decimal | None = None  # ratio of equity


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalSection:
    when: Expr
    confidence: Expr | None = None  # None means 1
    confidence_min: Decimal | None = None  # None takes signal.confidence_min
    cooldown_us: int = 60_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelSection:
    """O1: forget the signal. At least one of the two is given."""

    when: Expr | None = None
    after_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrySection:
    """Z1; for a strategy without Z1, `when` is `always` and order and size come from S1."""

    when: Expr
    order: OrderSpec
    size: SizeSpec
    written: bool  # False when the file has no Z1 section


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRule:
    """One named rule of ZE1 or E1."""

    name: str
    when: Expr
    close: Decimal  # share of the quantity held now, in (0, 1]
    cooldown_us: int = 0  # E1 only, from the fill


@dataclass(frozen=True, slots=True, kw_only=True)
class Protect:
    """Exits that hold in every case; ratios of the entry price, None is off."""

    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trailing_stop: Decimal | None = None
    holding_max_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """One checked strategy file."""

    id: str
    was: str | None = None  # the id it had before it was renamed
    about: str
    shadow: bool
    instruments: tuple[str, ...]  # as written; resolved() in config turns a universe into its members
    universe: str | None  # name of a universe of config.yaml, then `instruments` is empty
    side: PositionSide
    lets: tuple[tuple[str, Expr], ...]
    signal: SignalSection
    cancel: CancelSection | None
    entry: EntrySection
    exits: tuple[ExitRule, ...]  # ZE1, in order
    emergencies: tuple[ExitRule, ...]  # E1, in order
    protect: Protect
    limits: tuple[tuple[str, Decimal], ...]  # overrides of risk.yaml's limits by name
    lifecycle: tuple[tuple[str, int], ...]  # overrides of lifecycle.yaml by name, microseconds
    on_reload: OnReload
    on_stop: OnStop
    warmup_us: int  # derived from the expressions
    file: str
    text: str  # the file's whole text, for excerpts and revisions
