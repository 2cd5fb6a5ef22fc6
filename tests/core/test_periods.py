"""Where the spans that people name begin."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from botd.core.periods import DAY_US, PERIODS, start_of


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


NOW = at("2026-11-26T13:45:00")  # a Thursday


@pytest.mark.parametrize(
    ("period", "begins"),
    [
        ("TODAY", "2026-11-26"),
        ("WEEK", "2026-11-23"),
        ("MONTH", "2026-11-01"),
        ("7D", "2026-11-19T13:45:00"),
        ("30D", "2026-10-27T13:45:00"),
    ],
)
def test_period_begins(period: str, begins: str) -> None:
    assert start_of(period, NOW) == at(begins)


def test_all_there_is_begins_with_time() -> None:
    assert start_of("ALL", NOW) == 0
    assert {start_of(one, DAY_US) for one in ("7D", "30D")} == {0}


@pytest.mark.parametrize(("monday", "first"), [("2024-01-01", "2024-01-01"), ("2024-02-26", "2024-02-01")])
def test_week_and_month_begin_on_their_first_day(monday: str, first: str) -> None:
    for day in range(7):
        now_us = at(monday) + day * DAY_US + DAY_US - 1
        assert start_of("WEEK", now_us) == at(monday)
    assert start_of("MONTH", at(monday)) == at(first)


def test_each_word_is_known_and_no_other() -> None:
    for one in PERIODS:
        assert 0 <= start_of(one, NOW) <= NOW
    with pytest.raises(KeyError):
        start_of("YEAR", NOW)
