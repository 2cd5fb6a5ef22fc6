"""Sharpe, Sortino, Calmar and drawdown against an independent library, to 1e-12."""

from __future__ import annotations

import warnings
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from botd.core.performance import (
    HOURS_PER_YEAR,
    EquitySample,
    calmar,
    hourly_returns,
    measure_drawdown,
    sharpe,
    sortino,
)
from botd.core.periods import HOUR_US


@pytest.fixture(scope="module")
def library() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        import empyrical

    return empyrical


@pytest.mark.parametrize("seed", range(20))
def test_ratios_are_those_of_an_independent_library(library: Any, seed: int) -> None:
    print(f"seed {seed}")
    random = np.random.default_rng(seed)
    walk = 10_000 * np.cumprod(1 + random.normal(1e-5, 0.002, 200 + seed * 17))
    curve = [EquitySample(k * HOUR_US, Decimal(f"{one:.8f}")) for k, one in enumerate(walk)]
    returns = hourly_returns(curve)
    assert returns is not None
    theirs, year = np.array(returns), {"period": None, "annualization": HOURS_PER_YEAR}
    fallen = measure_drawdown(curve)
    assert fallen is not None
    # the library sees no equity before the first return: a zero stands for it
    whole = np.concatenate(([0.0], theirs))
    assert fallen.depth == pytest.approx(-library.max_drawdown(whole), rel=1e-9)
    assert sharpe(returns) == pytest.approx(library.sharpe_ratio(theirs, **year), rel=1e-12)
    assert sortino(returns) == pytest.approx(library.sortino_ratio(theirs, **year), rel=1e-12)
    ratio = library.annual_return(theirs, **year) / -library.max_drawdown(whole)
    assert calmar(returns, fallen.depth) == pytest.approx(ratio, rel=1e-9)


def test_calmar_of_under_a_week_or_without_a_drawdown_is_undefined() -> None:
    assert calmar([0.001] * 167, 0.1) is None
    assert calmar([0.001] * 168, 0.1) is not None
    assert calmar([0.001] * 168, 0.0) is None
    assert calmar(None, 0.1) is None
    assert calmar([0.001] * 168, None) is None


def test_calmar_that_no_float_holds_is_undefined() -> None:
    assert calmar([1.0] * 168, 0.1) is None
