"""Chance that is a pure function of a key and a number: the same for every order of asking.

Only whole-number mixing and + - * / are used, so that the values are the same bits on every machine.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from botd.ports import I64

F64 = NDArray[np.float64]

_MASK: Final = (1 << 64) - 1
_GOLDEN: Final = 0x9E3779B97F4A7C15  # constants of splitmix64 (Steele, Lea, Flood 2014)
_MIX_1: Final = 0xBF58476D1CE4E5B9
_MIX_2: Final = 0x94D049BB133111EB
_TO_UNIT: Final = 1.0 / (1 << 53)


def make_key(*parts: object) -> int:
    """Return a 64-bit key from a seed and names."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def pick(key: int, number: int) -> int:
    """Return the 64 random bits of one number."""
    z = (key + (number + 1) * _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * _MIX_1) & _MASK
    z = ((z ^ (z >> 27)) * _MIX_2) & _MASK
    return z ^ (z >> 31)


def unit(key: int, numbers: I64) -> F64:
    """Return for each number a value in [0, 1), the top 53 bits of `pick`."""
    z = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(_GOLDEN) + np.uint64(key)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(_MIX_1)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_MIX_2)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * _TO_UNIT


def wave(key: int, times_us: I64, period_us: int) -> F64:
    """Return value noise in [-1, 1]: a random value at every multiple of the period, joined smoothly."""
    step = times_us // period_us
    share = (times_us - step * period_us) / float(period_us)
    left = unit(key, step)
    right = unit(key, step + 1)
    return 2.0 * (left + (right - left) * smooth(share)) - 1.0


def smooth(share: F64) -> F64:
    """Return the smooth step 3x^2 - 2x^3 of values in [0, 1]."""
    return share * share * (3.0 - 2.0 * share)


def ramp(age: F64, start: float, end: float) -> F64:
    """Return 0 before `start`, 1 after `end`, a smooth rise between."""
    return smooth(np.clip((age - start) / (end - start), 0.0, 1.0))
