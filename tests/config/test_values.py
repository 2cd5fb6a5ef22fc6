from __future__ import annotations

import random
from datetime import UTC
from decimal import Decimal
from typing import Any

import pytest
from apscheduler.triggers.cron import CronTrigger

from botd.config import values
from botd.config.frozen import FrozenMapping
from botd.config.values import Money


@pytest.mark.parametrize(
    ("reader", "text", "value"),
    [
        (values.read_number, "0.1", Decimal("0.1")),
        (values.read_positive, "0.00000001", Decimal("1E-8")),
        (values.read_not_negative, "0", Decimal(0)),
        (values.read_whole, "0", 0),
        (values.read_count, "1", 1),
        (values.read_flag, "true", True),
        (values.read_flag, "false", False),
        (values.read_name, " books ", "books"),
        (values.read_duration, "1h30m", 5_400_000_000),
        (values.read_ratio, "0%", Decimal(0)),
        (values.read_ratio, "50bps", Decimal("0.005")),
        (values.read_share, "100%", Decimal(1)),
        (values.read_money, "1000 USD", Money(Decimal(1000), "USD")),
        (values.read_money_or_off, "off", None),
        (values.read_confidence, "70%", Decimal("0.7")),
        (values.read_speed, "max", None),
        (values.read_speed, "0.5", Decimal("0.5")),
        (values.read_currency, "USDT", "USDT"),
        (values.read_sequence, ["a", "b"], ("a", "b")),
        (values.read_cron, "*/5  8-17 1,15 * mon-fri", "*/5  8-17 1,15 * mon-fri"),
        (values.read_cron, "0 0 * * sun,wed", "0 0 * * sun,wed"),
    ],
)
def test_texts_are_read_exactly(reader: Any, text: Any, value: Any) -> None:
    assert reader(text) == value


@pytest.mark.parametrize(
    ("reader", "text", "said"),
    [
        (values.read_number, "1e3", "needs a plain number such as 5, not '1e3'"),
        (values.read_number, "nan", "needs a plain number such as 5, not 'nan'"),
        (values.read_number, ["1"], "must be one value, such as 5"),
        (values.read_positive, "0", "must be more than 0, not 0"),
        (values.read_not_negative, "-1", "must not be negative, is -1"),
        (values.read_whole, "1.5", "needs a whole number, such as 1"),
        (values.read_whole, "-1", "must be from 0 to 1000000000000000, is -1"),
        (values.read_count, "0", "must be at least 1, is 0"),
        (values.read_name, "", "is empty; write a name"),
        (values.read_duration, "0s", "must be longer than 0"),
        (values.read_ratio, "-1%", "must not be negative, is -1%"),
        (values.read_share, "0%", "must be above 0% and at most 100%, is 0%"),
        (values.read_share, "101%", "must be above 0% and at most 100%, is 101%"),
        (values.read_currency, "usd", "'usd' is not a currency; write it in capitals, such as USDT or BTC"),
        (values.read_sequence, "a", "must be a list, such as [a, b]"),
        (
            values.read_cron,
            "5 0 * *",
            "'5 0 * *' has 4 of the five fields 'minute hour day month weekday'; "
            "write them in UTC, such as 5 0 * * *",
        ),
        (values.read_cron, "60 * * * *", "minute '60' is outside 0-59"),
        (
            values.read_cron,
            "*/0 * * * *",
            "minute '*/0' has a step that fits no second time; write 1 to 59",
        ),
        (
            values.read_cron,
            "0 19/7 * * *",
            "hour '19/7' has a step that fits no second time; write 1 to 4",
        ),
        (
            values.read_cron,
            "* * * * fri-mon",
            "weekday 'fri-mon' must be a name or a range of names from mon to sun, such as mon or mon-fri",
        ),
        (values.read_cron, "9-5 * * * *", "minute '9-5' is outside 0-59"),
        (values.read_cron, "x * * * *", "minute 'x' is not *, a number, a range a-b or a step */n"),
        (
            values.read_cron,
            "* * * * mon-wed-fri",
            "weekday 'mon-wed-fri' must be a name or a range of names from mon to sun, "
            "such as mon or mon-fri",
        ),
    ],
)
def test_I10_other_texts_are_refused_with_what_to_write(  # noqa: N802 - the fault's id
    reader: Any, text: Any, said: str
) -> None:
    with pytest.raises(ValueError) as raised:
        reader(text)
    assert str(raised.value) == said


def test_frozen_mapping_is_a_copy_that_cannot_change() -> None:
    given = {"a": 1}
    frozen = FrozenMapping(given)
    given["a"] = 2
    assert frozen == {"a": 1}
    assert dict(frozen) == {"a": 1}
    assert len(frozen) == 1
    assert hash(frozen) == hash(FrozenMapping({"a": 5}))
    assert repr(frozen) == "FrozenMapping({'a': 1})"
    assert not hasattr(frozen, "__setitem__")


def test_money_is_written_as_it_is_read() -> None:
    assert str(Money(Decimal("0.01"), "BTC")) == "0.01 BTC"


def test_every_cron_line_that_is_read_is_one_that_the_scheduler_takes() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    read = 0
    for _ in range(3000):
        line = " ".join(random_cron_field(rng, low, high) for low, high in CRON_RANGES)
        line = f"{line} {rng.choice(['*', 'mon', 'sun', 'mon-fri', 'sat-tue', 'mon,thu'])}"
        try:
            values.read_cron(line)
        except ValueError:
            continue
        read += 1
        CronTrigger.from_crontab(line, timezone=UTC)  # raises for a line that it does not take
    assert read > 100


CRON_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12))


def random_cron_field(rng: random.Random, low: int, high: int) -> str:
    first, last, step = rng.randint(0, high + 1), rng.randint(low, high + 1), rng.randint(0, high)
    return rng.choice(
        [
            "*",
            "*",
            "*",
            str(first),
            f"{first}-{last}",
            f"*/{step}",
            f"{first}/{step}",
            f"{first}-{last}/{step}",
        ]
    )
