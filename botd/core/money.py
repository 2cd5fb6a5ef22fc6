"""The few places where an amount of money is rounded, each rounded once and on purpose.

Sums and differences of money use plain `+` and `-`: amounts are multiples of tick times lot or of
1e-8, far inside the 28 digits of the default context. What can need more digits goes through `EXACT`.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from functools import lru_cache
from typing import Final

from botd.core.events import Side

EXACT: Final = Context(prec=50, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
ZERO: Final = Decimal(0)

_FEE_STEP: Final = Decimal("1e-8")
_PRICE_STEP: Final = Decimal("1e-12")
_BPS_STEP: Final = Decimal("1e-4")
_DOLLARS: Final = frozenset({"USD", "USDT"})


def fee(notional: Decimal, rate: Decimal) -> Decimal:
    """Return the fee of a fill, rounded half-even to 1e-8 of the quote currency.

    `rate` is a ratio; a negative one is a rebate and gives a negative fee.
    """
    return EXACT.multiply(notional, rate).quantize(_FEE_STEP, ROUND_HALF_EVEN, EXACT)


def average_price(cost: int, qty: int, tick_size: Decimal) -> Decimal:
    """Return the average price of `qty` lots that cost so many tick-lots.

    Exact where it is a whole number of ticks, else half-even to 1e-12.
    """
    whole, rest = divmod(cost, qty)
    if not rest:
        return whole * tick_size
    return EXACT.multiply(EXACT.divide(cost, qty), tick_size).quantize(_PRICE_STEP, ROUND_HALF_EVEN, EXACT)


def slippage_bps(side: Side, decision_price: int, fill_price: int) -> Decimal:
    """Return how much worse than decided a fill is, in basis points to 1e-4; prices in ticks.

    Positive is worse for us: bought higher or sold lower.
    """
    worse = fill_price - decision_price if side is Side.BUY else decision_price - fill_price
    ratio = EXACT.divide(Decimal(worse * 10_000), Decimal(decision_price))
    return ratio.quantize(_BPS_STEP, ROUND_HALF_EVEN, EXACT)


@lru_cache(maxsize=256)
def _fraction(ratio: Decimal) -> tuple[int, int]:
    return ratio.as_integer_ratio()


def floor_share(amount: int, ratio: Decimal) -> int:
    """Return amount x ratio exactly, rounded down to a whole number."""
    numerator, denominator = _fraction(ratio)
    return amount * numerator // denominator


def floor_to_lots(amount: Decimal, step: Decimal) -> int:
    """Return how many whole steps fit into an amount; 0 when it is negative."""
    if amount <= 0:
        return 0
    return int(EXACT.divide_int(amount, step))


def is_dollar(currency: str) -> bool:
    """Say whether limits given in USD bind in this currency (USD counts as USDT, nothing else)."""
    return currency in _DOLLARS


def divide_half_even(numerator: int, denominator: int) -> int:
    """Return the whole number nearest to the quotient, ties to even; the denominator is positive."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


def plain_text(amount: Decimal) -> str:
    """Return fixed-point text without trailing zeros: equal amounts give equal text."""
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
