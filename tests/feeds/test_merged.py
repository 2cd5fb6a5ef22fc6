from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from botd.engine import layout as col
from botd.errors import InputInvalid
from botd.feeds.merged import MergedFeed
from botd.feeds.recorded import RecordedFeed
from botd.ports import Feed

T0 = 1_600_000_000_000


def entry(name: str) -> str:
    return f"{{instrument: {name}, rows: trades}}"


@pytest.fixture
def three(write_trades: Callable[..., Path]) -> list[RecordedFeed]:
    """Return two files of AAA/BTC on different grids, one after the other, and one of BBB/BTC."""
    first = [(T0, 1.25, 2.0, "buy"), (T0 + 10, 1.0, 2.0, "sell"), (T0 + 20, 1.5, 4.0, "buy")]
    second = [(T0 + 30, 1.1, 1.5, "buy"), (T0 + 40, 1.2, 1.0, "buy")]
    other = [(T0 + 10, 7.0, 1.0, "buy"), (T0 + 25, 8.0, 1.0, "sell"), (T0 + 40, 9.0, 1.0, "sell")]
    return [
        RecordedFeed(write_trades("a1.parquet", first, entry("AAA/BTC"))),
        RecordedFeed(write_trades("a2.parquet", second, entry("AAA/BTC"))),
        RecordedFeed(write_trades("b.parquet", other, entry("BBB/BTC"))),
    ]


def test_rows_merge_by_time_then_feed_order(
    three: list[RecordedFeed], flatten: Callable[..., list[Any]]
) -> None:
    feed: Feed = MergedFeed(three)
    rows = flatten(feed.read(0))
    assert [(row[2] // 1000 - T0, row[1]) for row in rows] == [
        (0, 0),
        (10, 0),
        (10, 1),
        (20, 0),
        (25, 1),
        (30, 0),
        (40, 0),
        (40, 1),
    ]
    assert [instrument.id for instrument in feed.instruments] == ["AAA/BTC", "BBB/BTC"]


def test_files_of_one_instrument_share_the_finest_grid(three: list[RecordedFeed]) -> None:
    assert [feed.instruments[0].tick_size for feed in three] == [Decimal("0.25"), Decimal("0.1"), Decimal(1)]
    assert [feed.instruments[0].lot_size for feed in three] == [Decimal(2), Decimal("0.5"), Decimal(1)]
    feed = MergedFeed(three)
    aaa = feed.instruments[0]
    assert (aaa.tick_size, aaa.lot_size) == (Decimal("0.05"), Decimal("0.5"))
    (chunk,) = feed.read(0)
    rows = chunk.rows[:, chunk.instrument == 0]
    assert [aaa.price(int(p)) for p in rows[col.P]] == [
        Decimal(p) for p in ("1.25", "1", "1.5", "1.1", "1.2")
    ]
    assert [aaa.qty(int(q)) for q in rows[col.Q]] == [Decimal(q) for q in ("2", "2", "4", "1.5", "1")]
    assert rows[col.ASK].tolist() == [25, 25, 30, 22, 24]
    assert rows[col.BID].tolist() == [20, 20, 20, 20, 22]
    assert rows[col.T].tolist() == sorted(rows[col.T].tolist())


def test_reading_from_any_position_is_the_tail_of_the_whole(
    write_trades: Callable[..., Path], flatten: Callable[..., list[Any]]
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    feeds = []
    for name in ("AAA/BTC", "BBB/BTC", "CCC/BTC"):
        times = sorted(T0 + rng.randrange(400) for _ in range(100))
        rows = [(t, rng.randint(1, 99) / 100, float(rng.randint(1, 9)), "buy") for t in times]
        feeds.append(RecordedFeed(write_trades(f"{name[:3]}.parquet", rows, entry(name))))
    feed = MergedFeed(feeds)
    expected = flatten(feed.read(0))
    assert len(expected) == feed.count == 300
    assert feed.span_us == (expected[0][2], expected[-1][2])
    for position in (0, 1, 150, 299, 300):
        for rows_max in (1, 7, 512):
            assert flatten(feed.read(position, rows_max=rows_max)) == expected[position:]
    for number, one in enumerate(feeds):
        own = [row[2:] for row in expected if row[1] == number]
        assert own == [row[2:] for row in flatten(one.read(0))]


async def test_stream_yields_the_rows_of_read(
    three: list[RecordedFeed], make_clock: Callable[[int], Any], flatten: Callable[..., list[Any]]
) -> None:
    expected = flatten(MergedFeed(three).read(0))
    fast = MergedFeed(three)
    paced = MergedFeed(three, clock=make_clock(0), speed=2.0)
    for feed in (fast, paced):
        chunks = [chunk async for chunk in feed.stream(0)]
        assert flatten(iter(chunks)) == expected
    assert fast.identity == paced.identity != MergedFeed(three[:2]).identity
    assert len(fast.describe()) == 3


def test_overlapping_files_of_one_instrument_are_refused(write_trades: Callable[..., Path]) -> None:
    one = write_trades("a1.parquet", [(T0, 1.0, 1.0, "buy"), (T0 + 9, 1.0, 1.0, "buy")], entry("AAA/BTC"))
    two = write_trades("a2.parquet", [(T0 + 9, 1.0, 1.0, "buy")], entry("AAA/BTC"))
    with pytest.raises(InputInvalid, match=r"a1.parquet and a2.parquet both hold AAA/BTC at the same time"):
        MergedFeed([RecordedFeed(two), RecordedFeed(one)])


def test_trades_beside_bars_are_refused(three: list[RecordedFeed], write_table: Callable[..., Path]) -> None:
    prices = {name: [2.0] for name in ("open", "high", "low", "close", "volume")}
    path = write_table(
        "bars.parquet",
        {"ts_ms": [1_640_991_660_000], **prices},
        "{instrument: CCC/BTC, rows: bars, length: 1m}",
    )
    with pytest.raises(InputInvalid, match=r"bars.parquet and a1.parquet cannot be one portfolio"):
        MergedFeed([*three, RecordedFeed(path)])
    with pytest.raises(InputInvalid, match="no data file"):
        MergedFeed([])


def test_merging_leaves_the_files_untouched(three: list[RecordedFeed]) -> None:
    before = [np.concatenate([c.rows for c in feed.read(0)], axis=1) for feed in three]
    for chunk in MergedFeed(three).read(0, rows_max=3):
        chunk.rows[:] = 0
    after = [np.concatenate([c.rows for c in feed.read(0)], axis=1) for feed in three]
    for one, two in zip(before, after, strict=True):
        assert np.array_equal(one, two)


def test_grid_too_fine_for_a_price_is_refused_only_when_merged(write_trades: Callable[..., Path]) -> None:
    high = write_trades("a.parquet", [(T0, 900_000.0, 1.0, "buy")], "{instrument: AAA/BTC, rows: trades}")
    fine = write_trades("b.parquet", [(T0 + 1, 1e-8, 1.0, "buy")], "{instrument: AAA/BTC, rows: trades}")
    feeds = [RecordedFeed(high), RecordedFeed(fine)]
    with pytest.raises(InputInvalid, match=r"a.parquet: a price of 900000 is 90,000,000,000,000 ticks"):
        MergedFeed(feeds)
