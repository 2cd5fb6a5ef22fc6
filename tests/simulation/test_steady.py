"""Days without a fault: what is sampled of them, and by how much the memory grows."""

from __future__ import annotations

import pytest

from botd.simulation import steady
from botd.simulation.steady import Sample, run_steady, slope


def test_slope_is_that_of_the_days_after_the_first() -> None:
    samples = [Sample(day, mib, 14, 13, 0) for day, mib in ((1, 900.0), (2, 10.0), (3, 12.0), (4, 14.0))]
    assert slope(samples) == pytest.approx(2.0)


def test_sample_says_what_is_held() -> None:
    assert str(Sample(2, 12.34, 14, 13, 70)) == "day 2: 12.3 MiB, 14 tasks, 13 files, 70 orders"


def test_steady_days_are_sampled_as_they_pass_and_trade(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steady, "DAY_S", 600.0)
    told: list[Sample] = []
    samples = run_steady(1, 3, on_day=told.append)
    assert told == samples
    assert [one.day for one in samples] == [1, 2, 3]
    assert 0 < samples[0].orders < samples[2].orders
    assert len({one.tasks for one in samples}) == 1
