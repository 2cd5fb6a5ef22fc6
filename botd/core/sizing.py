"""How much an entry buys or sells: the one door between float and Decimal."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from botd.core.instrument import Instrument
from botd.core.money import EXACT, ZERO, floor_to_lots
from botd.core.values import maker, value
from botd.errors import InvariantBroken
from botd.language.typed import SizeKind, SizeSpec


@value(frozen=True, slots=True)
class Sized:
    """A size in whole lots, what it is worth at the price it was made from, and how it came about."""

    lots: int  # 0 is for the caller to deny
    notional: Decimal  # quote currency
    text: str


_sized = maker(Sized)


def size_entry(
    spec: SizeSpec,
    instrument: Instrument,
    price_ticks: int,
    confidence: float,
    equity: Decimal,
    stop_loss: Decimal | None,
) -> Sized:
    """Turn a size from a strategy file into lots, rounded down.

    `equity` is that of the instrument's quote currency; `stop_loss` is protect's ratio of the entry
    price, which sizing by risk needs. `price_ticks` is positive.
    """
    lot_value = instrument.money(price_ticks)
    if lot_value <= 0:
        raise InvariantBroken(f"{instrument.id}: cannot size an entry at {price_ticks} ticks")
    wanted, text = _notional_wanted(spec, instrument, lot_value, confidence, equity, stop_loss)
    if spec.cap is not None:
        cap = EXACT.multiply(equity, spec.cap)
        if cap < wanted:
            wanted = cap
            text = f"{text}, capped at {spec.cap} of {equity:f}"
    lots = floor_to_lots(wanted, lot_value)
    if instrument.qty_max_lots is not None and lots > instrument.qty_max_lots:
        lots = instrument.qty_max_lots
        text = f"{text}, venue takes {lots} lots at most"
    return _sized(lots, lots * lot_value, text)


def _notional_wanted(
    spec: SizeSpec,
    instrument: Instrument,
    lot_value: Decimal,
    confidence: float,
    equity: Decimal,
    stop_loss: Decimal | None,
) -> tuple[Decimal, str]:
    """Return the quote amount that the size asks for before its cap, and its arithmetic as text."""
    amount, quote = spec.amount, instrument.quote
    if spec.kind is SizeKind.FIXED:
        if spec.currency == quote:
            return amount, _fixed(amount, quote)
        if spec.currency == instrument.base:
            lots = floor_to_lots(amount, instrument.lot_size)
            return lots * lot_value, _fixed(amount, instrument.base)
        raise InvariantBroken(f"a size in {spec.currency} cannot trade {instrument.id}")
    if spec.kind is SizeKind.PERCENT:
        return EXACT.multiply(equity, amount), f"percent: {equity:f} {quote} x {amount}"
    if spec.kind is SizeKind.RISK:
        if stop_loss is None or stop_loss <= 0:
            return ZERO, "risk: no stop_loss to measure the risk by"
        wanted = EXACT.divide(EXACT.multiply(equity, amount), stop_loss)
        shown = f"{equity:f} {quote} x {amount} / {stop_loss}"
        return wanted, f"risk: {shown}"
    edge = kelly_edge(confidence)
    wanted = EXACT.multiply(EXACT.multiply(equity, amount), edge)
    return wanted, f"kelly: {equity:f} {quote} x {amount} x {edge}"


@lru_cache(maxsize=256)  # the same text at every entry, and it costs as much as the size
def _fixed(amount: Decimal, currency: str) -> str:
    return f"fixed: {amount} {currency}"


def kelly_edge(confidence: float) -> Decimal:
    """Return 2 * confidence - 1 for a confidence above one half, never over 1, else 0 (NaN too).

    Kelly (1956): the share of capital to stake at even odds.
    """
    if not confidence > 0.5:
        return ZERO
    if confidence >= 1.0:
        return Decimal(1)
    return 2 * Decimal(repr(float(confidence))) - 1
