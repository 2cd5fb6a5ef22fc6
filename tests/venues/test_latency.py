"""A request's latency is a function of seed and decision key, and of nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from botd.core.events import ClientOrderId
from botd.core.settings import PaperSettings
from botd.venues.floor import Floor, Request, Working
from botd.venues.latency import latency_us
from tests.venues.stand import MS, Stand, amend, buy, cancel, told, trade

SETTINGS = PaperSettings(seed=1)  # 100 to 500 ms


@pytest.mark.parametrize(
    ("seed", "cycle", "expected"),
    [
        # printf '1|s|X/USDT|1|Z1||0' | sha256sum -> 3dbc36e1b2abfd3c..., mod 400001, plus 100000
        (1, 1, 280_538),
        (7, 1, 461_398),  # 30b464604b1b13b9
        (1, 2, 413_304),  # 83497a82432363c5
        (7, 2, 156_964),  # 57105fa0d3d134dd
    ],
)
def test_latency_is_sha256_of_seed_and_decision_key(seed: int, cycle: int, expected: int) -> None:
    command = buy("any", 1, cycle=cycle)
    assert latency_us(command, Floor(), replace(SETTINGS, seed=seed)) == expected


def test_latency_does_not_depend_on_session_ids_or_time() -> None:
    first = buy("session-a-1", 1, t=5)
    second = replace(first, client_order_id=ClientOrderId("session-b-77"), ts_us=9_999, qty=4)
    assert latency_us(first, Floor(), SETTINGS) == latency_us(second, Floor(), SETTINGS)


def test_latency_is_uniform_between_its_bounds() -> None:
    found = [latency_us(buy("x", 1, cycle=n), Floor(), SETTINGS) for n in range(4000)]
    assert min(found) >= 100_000
    assert max(found) <= 500_000
    counts = [0] * 10
    for latency in found:
        counts[min(9, (latency - 100_000) // 40_000)] += 1
    # chi-square of ten bins: 9 degrees of freedom, 27.9 is the 0.1 % point
    assert sum((n - 400) ** 2 / 400 for n in counts) < 27.9


def test_equal_bounds_are_the_latency() -> None:
    fixed = PaperSettings(latency_min_us=70 * MS, latency_max_us=70 * MS)
    assert latency_us(buy("x", 1), Floor(), fixed) == 70_000


def test_cancel_and_amendment_are_named_by_the_order_they_mean() -> None:
    submit = buy("a", 1, limit=900)
    other = replace(submit, client_order_id=ClientOrderId("b"))
    resting = Floor(working={"a": Working(submit, 1)})
    renamed = Floor(working={"b": Working(other, 1)})
    under_way = Floor(requests=[Request(1, 10, submit)])
    expected = latency_us(cancel("a", 5), resting, SETTINGS)
    assert latency_us(cancel("b", 5), renamed, SETTINGS) == expected
    assert latency_us(cancel("a", 5), under_way, SETTINGS) == expected
    assert latency_us(cancel("a", 6), resting, SETTINGS) != expected
    assert latency_us(amend("a", 2, 5), resting, SETTINGS) != expected


def test_request_arrives_after_its_latency_and_before_the_row_of_that_time() -> None:
    stand = Stand(
        [trade(0, 1000), trade(280_537, 1010), trade(280_538, 1020), trade(300_000, 1030)], settings=SETTINGS
    )
    stand.run(0)
    stand.send(buy("a", 10, t=0))
    assert told(stand.run(1)) == []
    # the row of 280,538 us comes after the arrival: the top is that of the row before it
    assert told(stand.run(2)) == ["280538 a accepted", "280538 a 10 at 1011 taker fee 0.01011"]
