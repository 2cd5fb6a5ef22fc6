"""Sums of products beyond int64: two whole words, exact, and the nearest float at the end.

The word `low` is the sum modulo 2^64. The word `high` is the sum of each product's whole part in units
of 2^31, so it tells which multiple of 2^64 is missing. Both wrap, so both may be prefixes whose
differences are windows: a window is right while its true sum is under 2^94, and the nearest float
under 2^84.
"""

from __future__ import annotations

from typing import Final

from botd.engine.jit import inline

UNIT: Final = 1 << 31
_MASK: Final = UNIT - 1


@inline
def high_product(a, b):
    """Return floor(a * b / 2^31) of two int64, modulo 2^64."""
    a1 = a >> 31
    b1 = b >> 31
    a0 = a & _MASK
    b0 = b & _MASK
    return a1 * b1 * UNIT + a1 * b0 + a0 * b1 + ((a0 * b0) >> 31)


@inline
def wide(high, low):
    """Return a sum as the nearest float: the same as float(low) where it fits int64.

    `high` may be off by as many units as products were rounded down: `low` has what they lack.
    """
    rest = low - high * UNIT
    return float(high + (rest >> 31)) * 2147483648.0 + float(rest & _MASK)
