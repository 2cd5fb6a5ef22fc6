"""Numbers and times as people read them. Amounts stay exact: what is cut off says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

NONE: Final = "–"
MINUS: Final = "−"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS: Final = {"USDT": 2, "USD": 2, "USDC": 2, "EUR": 2}


def moment(ts_us: int) -> datetime:
    """Return a time of the state file."""
    return _EPOCH + timedelta(microseconds=ts_us)


def when(ts_us: int | None) -> str:
    """Write date and time, UTC."""
    return NONE if ts_us is None else f"{moment(ts_us):%Y-%m-%d %H:%M:%S}"


def short_when(ts_us: int | None) -> str:
    """Write a time without its year."""
    return NONE if ts_us is None else f"{moment(ts_us):%m-%d %H:%M:%S}"


def span(us: int | None) -> str:
    """Write a length of time in its two largest units."""
    if us is None:
        return NONE
    seconds = max(0, us) / 1e6
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    left = int(seconds)
    said: list[str] = []
    for name, size in units:
        count, left = divmod(left, size)
        if count or said:
            said.append(f"{count} {name}")
    return " ".join(said[:2])


def plain(amount: Decimal | None) -> str:
    """Write an amount exactly, with thousands apart, without an exponent and trailing zeros."""
    if amount is None:
        return NONE
    text = f"{amount:,f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", MINUS)


def price(amount: Decimal | None) -> str:
    """Write a price with the decimals it has."""
    return NONE if amount is None else f"{amount:,f}".replace("-", MINUS)


def short(amount: Decimal | None) -> str:
    """Write an average to eight significant digits, or all of its whole ones."""
    if amount is None:
        return NONE
    digits = max(0, 7 - amount.adjusted())
    exact = -int(amount.normalize().as_tuple().exponent)
    return plain(amount if exact <= digits else round(amount, digits))


def average(amount: Decimal | None, like: Decimal) -> str:
    """Write an average price with as many decimals as a price it is of, and one more where that cuts."""
    if amount is None:
        return NONE
    digits = max(0, -int(like.as_tuple().exponent))
    exact = -int(amount.normalize().as_tuple().exponent)
    return f"{amount:,.{digits + (exact > digits)}f}"


def money(amount: Decimal | None, currency: str, *, signed: bool = False) -> str:
    """Write an amount of a currency, rounded to its usual digits."""
    if amount is None:
        return NONE
    digits = _DIGITS.get(currency, 8)
    rounded = amount.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN) + 0  # zero has no sign
    sign = "+" if signed and rounded > 0 else ""
    return f"{sign}{rounded:,f}".replace("-", MINUS)


def percent(ratio: float | Decimal | None, *, signed: bool = False, digits: int = 2) -> str:
    """Write a ratio as a percentage."""
    if ratio is None:
        return NONE
    return f"{float(ratio) * 100:{'+' if signed else ''}.{digits}f} %".replace("-", MINUS)


def number(value: float | None, digits: int = 2) -> str:
    """Write a statistic."""
    return NONE if value is None else f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", MINUS)


def tone(amount: Decimal | float | None) -> str:
    """Return the class that colours a gain or a loss."""
    return "" if not amount else "up" if amount > 0 else "down"


def slippage_bps(side: str, decision: Decimal, filled: Decimal | None) -> float | None:
    """Return how much worse than decided an order filled; None where that cannot be said."""
    if filled is None or decision <= 0:
        return None
    return float(filled / decision - 1) * 10_000 * (1 if side == "buy" else -1)


def order_of(currency: str) -> tuple[bool, str]:
    """Return where a currency stands in a list: dollars and the like come first."""
    return currency not in _DIGITS, currency
