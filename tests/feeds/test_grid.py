from __future__ import annotations

import random
from decimal import Decimal

import numpy as np
import pytest

from botd.errors import InputInvalid
from botd.feeds.grid import common_step, from_e8, round_to_steps, step_e8, to_e8, to_steps


def test_to_e8_equals_decimal_text() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for decimals in range(9):
        digits = rng.randint(decimals, min(13, decimals + 10))
        texts = [str(Decimal(rng.randint(1, 10**digits)).scaleb(-decimals)) for _ in range(200)]
        expected = [int(Decimal(text) * 10**8) for text in texts]
        values = np.array([float(text) for text in texts])
        assert to_e8(values, "price").tolist() == expected


def test_to_e8_of_large_amount_keeps_its_cents() -> None:
    # 987654321.12 * 1e8 in float64 is off by 16
    assert to_e8(np.array([987654321.12]), "amount").tolist() == [98765432112000000]


def test_to_e8_forgives_float_noise() -> None:
    assert to_e8(np.array([0.1 + 0.2]), "price").tolist() == [30000000]


def test_to_e8_of_float32_is_the_short_decimal() -> None:
    assert to_e8(np.array([1.382e-05], dtype=np.float32), "price").tolist() == [1382]


def test_to_e8_refuses_nine_decimals_and_names_the_row() -> None:
    with pytest.raises(InputInvalid, match=r"price 1.234567891 in row 2 has more than 8 decimals"):
        to_e8(np.array([1.0, 1.234567891]), "price")


def test_to_e8_refuses_what_does_not_fit() -> None:
    with pytest.raises(InputInvalid, match="too large"):
        to_e8(np.array([1e12]), "amount")


def test_common_step_of_several_columns() -> None:
    assert common_step(np.array([100, 250]), np.array([75])) == 25
    assert common_step(np.array([], dtype=np.int64)) == 1


def test_to_steps_off_the_grid_names_value_and_step() -> None:
    assert to_steps(np.array([50, 75]), 25, "price").tolist() == [2, 3]
    with pytest.raises(InputInvalid, match=r"price 0.0000006 in row 2 is no multiple of 0.00000025"):
        to_steps(np.array([50, 60]), 25, "price")


def test_round_to_steps_rounds_halves_up_and_counts() -> None:
    steps, off = round_to_steps(np.array([100, 112, 113, 125]), 25)
    assert (steps.tolist(), off) == ([4, 4, 5, 5], 2)
    assert round_to_steps(np.array([15]), 10)[0].tolist() == [2]


def test_steps_and_decimals_convert_both_ways() -> None:
    assert str(from_e8(25_000_000)) == "0.25"
    assert str(from_e8(10_000_000_000)) == "100"
    assert step_e8(Decimal("0.00000001")) == 1
    with pytest.raises(InputInvalid):
        step_e8(Decimal("0.000000001"))
    with pytest.raises(InputInvalid):
        step_e8(Decimal(0))
