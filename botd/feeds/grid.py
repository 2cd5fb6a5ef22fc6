"""From decimal columns to whole ticks and lots, exactly."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from botd.core.instrument import Instrument
from botd.errors import InputInvalid
from botd.ports import I64

E8: Final = 100_000_000  # the finest step of any price or amount is 1e-8
_DECIMALS: Final = 8
PRICE_TICKS_MAX: Final = 1 << 46  # 703,687 in ticks of 1e-8
VOLUME_LOTS_MAX: Final = 1 << 62
_LARGEST: Final = 9.0e10  # above it a value in steps of 1e-8 does not fit int64


def to_e8(values: NDArray[np.floating], what: str) -> I64:
    """Return finite values of 0 or more as whole multiples of 1e-8; InputInvalid when they are not.

    The number of decimals is found first, because value * 1e8 loses the last digits of a large value
    while value * 10^d, d being the decimals it was written with, does not.
    """
    exact = values.astype(np.float64)
    if exact.size and float(exact.max()) > _LARGEST:
        raise InputInvalid(f"{what} {exact.max():g} is too large; the largest is {_LARGEST:g}")
    tolerance = 4.0 * np.spacing(values).astype(np.float64)
    for decimals in range(_DECIMALS + 1):
        scale = float(10**decimals)
        whole = np.rint(exact * scale)
        if np.all(np.abs(whole / scale - exact) <= tolerance):
            return whole.astype(np.int64) * np.int64(10 ** (_DECIMALS - decimals))
    off = int(np.argmax(np.abs(whole / scale - exact) > tolerance))
    raise InputInvalid(f"{what} {float(exact[off])!r} in row {off + 1} has more than {_DECIMALS} decimals")


def common_step(*columns: I64) -> int:
    """Return the greatest common divisor of all values, at least 1."""
    step = 0
    for column in columns:
        if column.size:
            step = int(np.gcd(step, np.gcd.reduce(column)))
    return max(step, 1)


def to_steps(values_e8: I64, step_e8: int, what: str) -> I64:
    """Return values as whole multiples of a step; InputInvalid names the first one off the grid."""
    steps, rest = np.divmod(values_e8, np.int64(step_e8))
    if np.any(rest):
        off = int(np.argmax(rest != 0))
        value, step = from_e8(int(values_e8[off])), from_e8(step_e8)
        raise InputInvalid(f"{what} {value:f} in row {off + 1} is no multiple of {step:f}")
    return steps


def round_to_steps(values_e8: I64, step_e8: int) -> tuple[I64, int]:
    """Return values as the nearest multiples of a step, halves up, and how many were off the grid."""
    steps = (2 * values_e8 + step_e8) // (2 * step_e8)
    return steps, int(np.count_nonzero(values_e8 % step_e8))


def from_e8(value: int) -> Decimal:
    """Return so many 1e-8 as a Decimal without trailing zeros or an exponent."""
    number = (Decimal(value) / E8).normalize()
    return number.quantize(Decimal(1)) if number == number.to_integral_value() else number


def step_e8(size: Decimal) -> int:
    """Return a tick or lot size in 1e-8; it must be a positive multiple of that."""
    whole = size * E8
    if whole <= 0 or whole != whole.to_integral_value():
        raise InputInvalid(f"a step of {size} must be a positive multiple of 0.00000001")
    return int(whole)


def check_sizes(instrument: Instrument, price_ticks: int, lots: float) -> None:
    """Refuse a largest price and a volume that the engine's sums could not hold in whole ticks and lots."""
    tick, lot = from_e8(step_e8(instrument.tick_size)), from_e8(step_e8(instrument.lot_size))
    if price_ticks > PRICE_TICKS_MAX:
        price = instrument.price(price_ticks).normalize()
        raise InputInvalid(
            f"a price of {price:f} is {price_ticks:,} ticks of {tick:f}, and "
            f"{PRICE_TICKS_MAX:,} are the most; declare a coarser tick: in instruments.yaml, with trades "
            "rounded to it"
        )
    if lots > VOLUME_LOTS_MAX:
        raise InputInvalid(
            f"its volume is {lots:.3g} lots of {lot:f}, and {VOLUME_LOTS_MAX:.3g} are the most; "
            "declare a coarser lot: in instruments.yaml, with trades rounded to it"
        )
