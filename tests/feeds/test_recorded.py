from __future__ import annotations

import asyncio
import csv
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from botd.core.instrument import Instrument, InstrumentKind
from botd.engine import layout as col
from botd.engine.layout import RowKind
from botd.errors import InputInvalid
from botd.feeds.folder import find_data, open_data
from botd.feeds.recorded import RecordedFeed
from botd.ports import I64, Chunk, Feed

T0 = 1_600_000_000_000  # ms; 2020-09-13 12:26:40 UTC
TRADES = [
    (T0, 0.00010300, 5.0, "buy"),
    (T0 + 40, 0.00010000, 7.5, "sell"),
    (T0 + 40, 0.00010200, 2.5, "buy"),
    (T0 + 990, 0.00009900, 10.0, "buy"),
]


def whole(feed: RecordedFeed) -> I64:
    return np.concatenate([chunk.rows for chunk in feed.read(0)], axis=1)


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_trades_become_whole_ticks_and_lots(write_trades: Callable[..., Path], name: str) -> None:
    feed = RecordedFeed(write_trades(name, TRADES))
    instrument = feed.instruments[0]
    assert (instrument.tick_size, instrument.lot_size) == (Decimal("0.000001"), Decimal("2.5"))
    assert (instrument.id, instrument.base, instrument.quote) == ("AAA/BTC", "AAA", "BTC")
    assert instrument.kind is InstrumentKind.SPOT
    assert (instrument.taker_fee, instrument.maker_fee) == (Decimal("0.001"), Decimal("0.001"))
    rows = whole(feed)
    assert rows[col.T].tolist() == [t * 1000 for t, *_ in TRADES]
    assert rows[col.P].tolist() == [103, 100, 102, 99]
    assert rows[col.Q].tolist() == [2, 3, 1, 4]
    assert rows[col.SIDE].tolist() == [1, -1, 1, 1]
    assert rows[col.KIND].tolist() == [RowKind.TRADE] * 4
    assert rows[col.BID].tolist() == [102, 100, 100, 98]  # the last: crossed by the buy at 99
    assert rows[col.ASK].tolist() == [103, 103, 102, 99]
    assert rows[col.BSZ].tolist() == [2, 3, 3, 3]
    assert rows[col.ASZ].tolist() == [2, 2, 1, 4]
    for column in (col.OPEN, col.HIGH, col.LOW):
        assert rows[column].tolist() == rows[col.P].tolist()
    for column in (col.VT, col.RT):
        assert rows[column].tolist() == rows[col.T].tolist()
    assert not rows[col.MARK].any()
    assert (feed.kinds, feed.bar_length_us, feed.book) == (frozenset({RowKind.TRADE}), None, "derived")


def test_csv_and_parquet_hold_the_same_rows(write_trades: Callable[..., Path]) -> None:
    one, two = (RecordedFeed(write_trades(name, TRADES)) for name in ("a.parquet", "a.csv"))
    assert np.array_equal(whole(one), whole(two))


def test_feed_meets_the_port(write_trades: Callable[..., Path]) -> None:
    feed: Feed = RecordedFeed(write_trades("a.parquet", TRADES))
    assert feed.seekable


def test_describe_prints_what_was_derived(write_trades: Callable[..., Path]) -> None:
    entry = "{instrument: AAA/BTC, rows: trades, lot: 0.5}"
    feed = RecordedFeed(write_trades("a.parquet", TRADES, entry))
    assert feed.describe() == [
        "a.parquet: AAA/BTC, 4 trades, 2020-09-13 12:26:40 to 2020-09-13 12:26:40 UTC, "
        "tick 0.000001 (derived), lot 0.5 (given), book: derived"
    ]


def test_known_instrument_gives_fees_and_a_grid_that_fits(write_trades: Callable[..., Path]) -> None:
    def known(tick: str, lot: str) -> dict[Any, Instrument]:
        one = Instrument(
            id="AAA/BTC",  # type: ignore[arg-type]
            kind=InstrumentKind.SPOT,
            base="AAA",
            quote="BTC",
            tick_size=Decimal(tick),
            lot_size=Decimal(lot),
            min_notional=Decimal("0.0001"),
            taker_fee=Decimal("0.002"),
            maker_fee=Decimal("0.0005"),
        )
        return {one.id: one}

    path = write_trades("a.parquet", TRADES)
    fine = RecordedFeed(path, known=known("0.00000001", "0.1")).instruments[0]
    assert (fine.tick_size, fine.lot_size) == (Decimal("0.00000001"), Decimal("0.1"))
    assert (fine.taker_fee, fine.min_notional) == (Decimal("0.002"), Decimal("0.0001"))
    coarse = RecordedFeed(path, known=known("0.00001", "1")).instruments[0]
    assert (coarse.tick_size, coarse.lot_size) == (Decimal("0.000001"), Decimal("2.5"))


def test_given_tick_that_trades_are_off_is_refused(write_trades: Callable[..., Path]) -> None:
    path = write_trades("a.parquet", TRADES, "{instrument: AAA/BTC, rows: trades, tick: 0.00001}")
    with pytest.raises(InputInvalid, match=r"a.parquet: price 0.000103 in row 1 is no multiple of 0.00001"):
        RecordedFeed(path)


def test_bad_rows_are_dropped_and_counted(write_trades: Callable[..., Path]) -> None:
    bad = [
        (T0 + 1, 0.0, 5.0, "buy"),
        (T0 + 2, -1.0, 5.0, "buy"),
        (T0 + 3, float("nan"), 5.0, "buy"),
        (T0 + 4, float("inf"), 5.0, "sell"),
        (T0 + 5, 0.0001, float("nan"), "sell"),
    ]
    feed = RecordedFeed(write_trades("a.parquet", [TRADES[0], *bad, *TRADES[1:]]))
    clean = RecordedFeed(write_trades("b.parquet", TRADES))
    assert np.array_equal(whole(feed), whole(clean))
    assert feed.describe()[1] == "a.parquet: 5 rows left out: no positive price or amount"


def test_A5_file_out_of_order_is_sorted_stably(write_trades: Callable[..., Path]) -> None:  # noqa: N802
    feed = RecordedFeed(write_trades("a.parquet", [TRADES[3], TRADES[1], TRADES[2], TRADES[0]]))
    clean = RecordedFeed(write_trades("b.parquet", TRADES))
    assert np.array_equal(whole(feed), whole(clean))
    assert feed.describe()[1] == "a.parquet: was out of order and is sorted by time"


def test_microseconds_are_taken_as_they_are(write_table: Callable[..., Path]) -> None:
    columns = {"ts_us": [T0 * 1000 + 7], "price": [2.0], "amount": [3], "side": ["buy"]}
    feed = RecordedFeed(write_table("a.parquet", columns, "{instrument: AAA/USDT, rows: trades}"))
    assert whole(feed)[col.T].tolist() == [T0 * 1000 + 7]


BARS = {
    "ts_ms": [1_640_991_660_000, 1_640_991_720_000, 1_640_991_840_000],  # 23:01, 23:02, 23:04
    "open": [100.0, 100.5, 101.0],
    "high": [101.0, 100.5, 103.25],
    "low": [99.5, 100.0, 100.75],
    "close": [100.5, 100.125, 102.0],
    "volume": [1005.0, 250.0, 0.0],
}


def test_bars_enter_at_their_close_with_volume_in_lots(write_table: Callable[..., Path]) -> None:
    entry = '{instrument: "BTC/USDT:USDT", rows: bars, length: 1m, stamp: open, volume_unit: quote, '
    feed = RecordedFeed(write_table("b.parquet", BARS, entry + "tick: 0.25, lot: 0.001}"))
    rows = whole(feed)
    assert rows[col.T].tolist() == [t * 1000 + 60_000_000 for t in BARS["ts_ms"]]
    assert rows[col.P].tolist() == [402, 401, 408]  # 100.125 / 0.25 = 400.5, halves up
    assert rows[col.BID].tolist() == rows[col.ASK].tolist() == rows[col.P].tolist()
    assert rows[col.OPEN].tolist() == [400, 402, 404]
    assert rows[col.HIGH].tolist() == [404, 402, 413]
    assert rows[col.LOW].tolist() == [398, 400, 403]
    assert rows[col.Q].tolist() == [10_000, 2497, 0]  # 1005 / 100.5 = 10 and 250 / 100.125 = 2.4969 BTC
    assert rows[col.KIND].tolist() == [RowKind.BAR] * 3
    assert not rows[col.SIDE].any()
    assert (feed.kinds, feed.bar_length_us) == (frozenset({RowKind.BAR}), 60_000_000)
    instrument = feed.instruments[0]
    assert instrument.kind is InstrumentKind.PERPETUAL
    assert (instrument.taker_fee, instrument.maker_fee) == (Decimal("0.0005"), Decimal("0.0002"))
    assert feed.describe()[1] == "b.parquet: 1 price off the tick, rounded to it"


def test_bars_stamped_at_close_and_volume_in_base(write_table: Callable[..., Path]) -> None:
    columns = {**BARS, "volume": [10.0, 2.5, 0.0]}
    entry = "{instrument: AAA/USDT, rows: bars, length: 1m, stamp: close, volume_unit: base}"
    feed = RecordedFeed(write_table("b.parquet", columns, entry))
    rows = whole(feed)
    assert rows[col.T].tolist() == [t * 1000 for t in BARS["ts_ms"]]
    assert (feed.instruments[0].tick_size, feed.instruments[0].lot_size) == (Decimal("0.125"), Decimal("2.5"))
    assert rows[col.P].tolist() == [804, 801, 816]
    assert rows[col.Q].tolist() == [4, 1, 0]


@pytest.mark.parametrize(
    ("change", "entry", "message"),
    [
        ({}, "length: 1m, volume_unit: quote", "from which no lot follows; write lot:"),
        ({}, "length: 5m", "the bar of 2021-12-31 23:06:00 UTC is off the grid of its length"),
        ({"ts_ms": [1_640_991_660_000] * 3}, "length: 1m", "two bars close at 2021-12-31 23:02:00 UTC"),
    ],
)
def test_A5_bars_that_cannot_be(  # noqa: N802
    write_table: Callable[..., Path], change: dict[str, Any], entry: str, message: str
) -> None:
    path = write_table("b.parquet", {**BARS, **change}, f"{{instrument: A/USDT, rows: bars, {entry}}}")
    with pytest.raises(InputInvalid, match=message):
        RecordedFeed(path)


def test_bar_that_rounds_to_no_tick_is_refused(write_table: Callable[..., Path]) -> None:
    columns = {**BARS, "low": [0.1, 100.0, 100.0]}
    entry = "{instrument: A/USDT, rows: bars, length: 1m, tick: 0.25, lot: 1}"
    with pytest.raises(
        InputInvalid, match=r"has a price that rounds to 0 ticks of 0.25; write a finer tick:"
    ):
        RecordedFeed(write_table("b.parquet", columns, entry))


@pytest.mark.parametrize(
    ("price", "amount", "message"),
    [
        (
            703_688.0,
            1.0,
            r"a price of 703688 is 70,368,800,000,000 ticks of 0.00000001, and 70,368,744,177,664",
        ),
        (9500.0, 5e10, r"its volume is 5e\+18 lots of 0.00000001, and 4.61e\+18 are the most"),
    ],
)
def test_more_ticks_and_lots_than_sums_hold_are_refused(
    write_trades: Callable[..., Path], price: float, amount: float, message: str
) -> None:
    entry = "{instrument: AAA/BTC, rows: trades, tick: 0.00000001, lot: 0.00000001}"
    fits = [(T0, min(price, 703_687.0), min(amount, 4e10), "buy")]
    assert RecordedFeed(write_trades("a.parquet", fits, entry)).count == 1
    path = write_trades("b.parquet", [(T0, price, amount, "buy")], entry)
    with pytest.raises(InputInvalid, match=f"b.parquet: {message}"):
        RecordedFeed(path)


def test_bar_with_high_under_its_close_is_dropped(write_table: Callable[..., Path]) -> None:
    columns = {**BARS, "high": [100.25, 100.5, 103.25]}
    feed = RecordedFeed(write_table("b.parquet", columns, "{instrument: A/USDT, rows: bars, length: 1m}"))
    assert feed.count == 2


def test_reading_from_any_position_is_the_tail_of_the_whole(
    write_trades: Callable[..., Path], flatten: Callable[..., list[Any]]
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    times = sorted(T0 + rng.randrange(5000) for _ in range(300))
    rows = [
        (t, rng.randint(90, 110) / 1e4, rng.randint(1, 50) / 10, rng.choice(["buy", "sell"])) for t in times
    ]
    feed = RecordedFeed(write_trades("a.parquet", rows))
    expected = flatten(feed.read(0))
    assert len(expected) == 300
    for position in (0, 1, rng.randrange(300), 299, 300, 400):
        for rows_max in (1, 7, 100, 65536):
            assert flatten(feed.read(position, rows_max=rows_max)) == expected[position:]
    cut = RecordedFeed(feed.path, start=100, end=250)
    assert [row[1:] for row in flatten(cut.read(0))] == [row[1:] for row in expected[100:250]]
    assert cut.identity != feed.identity == RecordedFeed(feed.path).identity
    with pytest.raises(InputInvalid, match="rows 300 to 400 are outside its 300 rows"):
        RecordedFeed(feed.path, start=300, end=400)


async def drain(feed: Feed, position: int = 0) -> list[Chunk]:
    return [chunk async for chunk in feed.stream(position)]


async def test_stream_as_fast_as_possible_gives_others_their_turn(
    write_trades: Callable[..., Path], flatten: Callable[..., list[Any]]
) -> None:
    rows = [(T0 + i, 1.0, 1.0, "buy") for i in range(9000)]
    feed = RecordedFeed(write_trades("a.parquet", rows))
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    chunks = await drain(feed)
    task.cancel()
    assert flatten(iter(chunks)) == flatten(feed.read(0))
    assert turns >= len(chunks) >= 3


@pytest.mark.parametrize("speed", [1.0, 10.0])
async def test_stream_is_paced_by_row_times(
    write_trades: Callable[..., Path],
    make_clock: Callable[[int], Any],
    flatten: Callable[..., list[Any]],
    speed: float,
) -> None:
    clock = make_clock(5_000_000_000)
    feed = RecordedFeed(write_trades("a.parquet", TRADES), clock=clock, speed=speed)
    seen = []
    async for chunk in feed.stream(0):
        seen.append((clock.time_us - 5_000_000_000, chunk.rows.shape[1]))
    due = [0, int(40_000 / speed) + 1, int(990_000 / speed) + 1]
    assert seen == list(zip(due, [1, 2, 1], strict=True))
    chunks = await drain(feed, 1)  # the first row asked for is due at once
    assert [chunk.position for chunk in chunks] == [1, 3]
    assert await drain(feed, 4) == []


def test_recorded_pumps_are_exact_integers(shared_data: Path) -> None:
    found = find_data(shared_data / "pumps")
    with (shared_data / "pumps" / "events.csv").open() as events:
        counts = {line["file"]: int(line["trades"]) for line in csv.DictReader(events)}
    assert len(found) == len(counts) == 27
    for path, entry in found:
        feed = RecordedFeed(path, entry=entry)
        rows, instrument = whole(feed), feed.instruments[0]
        table = pyarrow.parquet.read_table(path)
        assert feed.count == table.num_rows
        assert np.array_equal(rows[col.T], table["ts_ms"].to_numpy() * 1000)
        # the shortest decimal of each float, as a person would write it, equals integer times step
        picked = range(0, feed.count, max(1, feed.count // 400))
        for row in picked:
            assert instrument.price(int(rows[col.P, row])) == Decimal(repr(table["price"][row].as_py()))
            assert instrument.qty(int(rows[col.Q, row])) == Decimal(repr(table["amount"][row].as_py()))
        prices = table["price"].to_numpy()
        assert np.allclose(rows[col.P] * float(instrument.tick_size), prices, rtol=1e-12, atol=0)
        assert np.gcd.reduce(rows[col.P]) == np.gcd.reduce(rows[col.Q]) == 1
        assert np.all(rows[col.BID] < rows[col.ASK])


def test_recorded_bars_enter_at_their_close(shared_data: Path) -> None:
    (feed,) = open_data(shared_data / "bars")
    table = pyarrow.parquet.read_table(feed.path)
    rows = whole(feed)
    assert feed.count == table.num_rows == 45_031
    assert np.array_equal(rows[col.T], (table["ts_ms"].to_numpy() + 60_000) * 1000)
    assert np.array_equal(rows[col.HIGH], np.rint(table["high"].to_numpy() * 4).astype(np.int64))
    assert rows[col.P, 0] == 185_508  # 46377.0 / 0.25
    assert rows[col.Q, 0] == 49_602  # 2300413.7295 / 46377 = 49.60247 BTC
