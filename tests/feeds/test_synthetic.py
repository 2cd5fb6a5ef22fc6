from __future__ import annotations

import hashlib
import pickle
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from botd.core.instrument import Instrument
from botd.engine import layout as col
from botd.engine.layout import N_INPUT
from botd.errors import InputInvalid, InvariantBroken
from botd.feeds.chance import make_key, pick, unit, wave
from botd.feeds.synthetic import SyntheticFeed, plan_events
from botd.ports import I64, Feed

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
NOW = 1_763_690_017_123_456  # 2025-11-21 01:53:37 UTC, in the middle of a minute
FIRST = 1_577_836_800 * SECOND

Instruments = tuple[Instrument, ...]


def market(feed: SyntheticFeed, start_us: int, until_us: int) -> tuple[I64, I64]:
    """Return rows and instruments of [start, until)."""
    chunks = list(feed.read(feed.position_at(start_us), until_us=until_us))
    rows = np.concatenate([chunk.rows for chunk in chunks], axis=1)
    return rows, np.concatenate([chunk.instrument for chunk in chunks])


def digest(feed: SyntheticFeed, start_us: int, until_us: int) -> str:
    rows, instrument = market(feed, start_us, until_us)
    return hashlib.sha256(rows.tobytes() + instrument.tobytes()).hexdigest()


def test_feed_meets_the_port(instruments: Instruments) -> None:
    feed: Feed = SyntheticFeed(instruments, seed=1)
    assert feed.seekable
    assert feed.instruments == instruments
    assert feed.identity == SyntheticFeed(instruments, seed=1).identity
    assert feed.identity != SyntheticFeed(instruments, seed=2).identity
    assert feed.identity != SyntheticFeed(instruments[:4], seed=1).identity


def test_rows_are_the_same_however_they_are_asked_for(
    instruments: Instruments, flatten: Callable[..., list[Any]]
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    start, until = NOW - 3 * HOUR, NOW
    feed = SyntheticFeed(instruments, seed=seed)
    first = feed.position_at(start)
    expected = flatten(feed.read(first, until_us=until))
    assert expected[0][0] == first
    assert feed.position_at(until) == first + len(expected)
    assert all(start <= row[2] < until for row in expected)
    for _ in range(5):
        other = SyntheticFeed(instruments, seed=seed)
        skip = rng.randrange(len(expected))
        rows_max = rng.choice((1000, 4096, 65536))
        assert flatten(other.read(first + skip, rows_max=rows_max, until_us=until)) == expected[skip:]
        ts_us = rng.randrange(start, until)
        before = sum(row[2] < ts_us for row in expected)
        assert other.position_at(ts_us) == first + before
    few = SyntheticFeed(instruments, seed=seed)
    tail = few.position_at(until - MINUTE)
    assert flatten(few.read(tail, rows_max=7, until_us=until)) == expected[tail - first :]


def test_time_and_position_lead_to_each_other_from_the_first_minute(
    instruments: Instruments, flatten: Callable[..., list[Any]]
) -> None:
    feed = SyntheticFeed(instruments, seed=5)
    assert feed.position_at(FIRST) == 0
    rows = flatten(feed.read(0, until_us=FIRST + 20 * HOUR))  # with two pumps of either instrument
    assert [row[0] for row in rows] == list(range(len(rows)))
    for number in range(0, len(rows), 9973):
        ts_us = rows[number][2]
        assert feed.position_at(ts_us) <= number < feed.position_at(ts_us + 1)
    with pytest.raises(InputInvalid, match="begins on 2020-01-01"):
        feed.position_at(FIRST - 1)
    with pytest.raises(InvariantBroken):
        next(feed.read(-1, until_us=NOW))


def test_two_processes_make_the_same_market(instruments: Instruments) -> None:
    code = (
        "import sys, pickle, hashlib\n"
        "import numpy as np\n"
        "from botd.feeds.synthetic import SyntheticFeed\n"
        "instruments, seed, start, until = pickle.load(sys.stdin.buffer)\n"
        "feed = SyntheticFeed(instruments, seed=seed)\n"
        "chunks = list(feed.read(feed.position_at(start), rows_max=100, until_us=until))\n"
        "rows = np.concatenate([c.rows for c in chunks], axis=1)\n"
        "number = np.concatenate([c.instrument for c in chunks])\n"
        "print(hashlib.sha256(rows.tobytes() + number.tobytes()).hexdigest())\n"
    )
    given = pickle.dumps((instruments, 7, NOW - HOUR, NOW))
    done = subprocess.run([sys.executable, "-c", code], input=given, capture_output=True, check=True)
    assert done.stdout.decode().strip() == digest(SyntheticFeed(instruments, seed=7), NOW - HOUR, NOW)


def test_instrument_does_not_depend_on_its_company(instruments: Instruments) -> None:
    rows, number = market(SyntheticFeed(instruments, seed=3), NOW - HOUR, NOW)
    alone, _ = market(SyntheticFeed(instruments[:1], seed=3), NOW - HOUR, NOW)
    assert np.array_equal(rows[:, number == 0], alone)
    other, _ = market(SyntheticFeed(instruments[:1], seed=4), NOW - HOUR, NOW)
    assert not np.array_equal(alone[col.P], other[col.P])


def test_rows_are_plausible(instruments: Instruments) -> None:
    rows, number = market(SyntheticFeed(instruments, seed=1), NOW - 24 * HOUR, NOW)
    assert rows.shape[0] == N_INPUT
    assert np.all(np.diff(rows[col.T]) >= 0)
    assert np.all(rows[col.BID] < rows[col.ASK])
    assert np.all(rows[[col.Q, col.BSZ, col.ASZ, col.BID]] > 0)
    assert np.array_equal(rows[col.P], np.where(rows[col.SIDE] > 0, rows[col.ASK], rows[col.BID]))
    assert set(np.unique(rows[col.SIDE])) == {-1, 1}
    for i, instrument in enumerate(instruments):
        own = rows[:, number == i]
        per_second = own.shape[1] / (24 * 3600)
        assert 0.9 < per_second < 3
        notional = np.median(own[col.P] * own[col.Q]) * float(instrument.money(1))
        usd = notional * (60_000 if instrument.quote == "BTC" else 1)
        assert 100 < usd < 1000
    btc = rows[col.P, number == 0] * 0.1
    assert 50_000 < btc.min() < btc.max() < 70_000


def test_price_has_no_seam_between_minutes(instruments: Instruments) -> None:
    rows, number = market(SyntheticFeed(instruments, seed=1), NOW - 6 * HOUR, NOW)
    times, middle = rows[col.T, number == 0], (rows[col.BID] + rows[col.ASK])[number == 0] / 2
    move = np.abs(np.diff(middle) / middle[:-1])
    seam = np.diff(times // MINUTE) > 0
    assert seam.sum() == 360
    assert move[seam].max() <= move.max() < 0.001


def test_burst_starts_somewhere_every_20_seconds(instruments: Instruments) -> None:
    """Each burst rises by 0.25 % or more in 6 s on three times the volume, then falls under its start."""
    feed = SyntheticFeed(instruments, seed=1)
    start = (NOW - 8 * HOUR) // MINUTE * MINUTE
    rows, number = market(feed, start - 10 * MINUTE, NOW)
    starts = []
    for i in (1, 2, 3):
        own = rows[:, number == i]
        times, middle = own[col.T], (own[col.BID] + own[col.ASK]) / 2
        volume = np.concatenate([[0], np.cumsum(own[col.Q])])
        (second,) = plan_events(instruments)[i].burst_seconds
        for begin in range(start + second * SECOND, NOW - MINUTE, MINUTE):
            at, top, end = np.searchsorted(times, [begin, begin + 6 * SECOND, begin + 16 * SECOND])
            assert 0.0025 < middle[at:top].max() / middle[at - 1] - 1 < 0.0085
            assert middle[at:end].min() < middle[at - 1]
            long = np.searchsorted(times, begin + 6 * SECOND - 10 * MINUTE)
            busy = (volume[top] - volume[at]) / 6 / ((volume[top] - volume[long]) / 600)
            assert busy > 3
            starts.append(begin)
    assert np.diff(sorted(starts)).max() <= 20 * SECOND


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 11, 12])
def test_bursts_are_spread_over_any_number_of_instruments(instruments: Instruments, count: int) -> None:
    schedules = plan_events([instruments[1]] * count)
    seconds = sorted(s for schedule in schedules for s in schedule.burst_seconds)
    assert max(np.diff([*seconds, seconds[0] + 60])) <= 20
    assert max(seconds) <= 50  # the surge of 7 s ends within its minute


def count_rush_orders(own: I64) -> tuple[I64, I64]:
    """Return times of taker buys whose prints share a timestamp and span several prices, and a count 1."""
    buys = own[:, own[col.SIDE] > 0]
    times, inverse = np.unique(buys[col.T], return_inverse=True)
    low, high = np.full(times.size, 1 << 62), np.zeros(times.size, np.int64)
    np.minimum.at(low, inverse, buys[col.P])
    np.maximum.at(high, inverse, buys[col.P])
    return times[high > low], np.ones(int((high > low).sum()), np.int64)


@pytest.mark.parametrize("i", [4, 5])
def test_pump_comes_once_in_eight_hours_and_stands_out(instruments: Instruments, i: int) -> None:
    """The rule of the strategy page, over 25 s chunks: more than 40 deviations over the mean of 7 h."""
    rows, number = market(SyntheticFeed(instruments, seed=1), NOW - 72 * HOUR, NOW)
    own = rows[:, number == i]
    rushes, _ = count_rush_orders(own)
    edges = np.arange(own[col.T, 0], NOW, 25 * SECOND)
    chunks, _ = np.histogram(rushes, edges)
    hits = []
    window = 7 * 3600 // 25
    for k in range(window, chunks.size):
        past = chunks[k - window : k]
        if chunks[k] > past.mean() + 40 * max(past.std(), 0.3):
            hits.append(int(edges[k]))
    pumps = [begin for j, begin in enumerate(hits) if j == 0 or begin - hits[j - 1] > MINUTE]
    assert 7 <= len(pumps) <= 9  # 65 h after the first window
    assert all(7 * HOUR < gap < 9 * HOUR for gap in np.diff(pumps))
    for begin in pumps:
        near = (own[col.T] > begin - 5 * MINUTE) & (own[col.T] < begin + 2 * MINUTE)
        price, times = own[col.P, near], own[col.T, near]
        before = np.median(price[times < begin - 30 * SECOND])
        assert 0.08 < price.max() / before - 1 < 0.24
    burst = (rushes >= pumps[0] - 30 * SECOND) & (rushes < pumps[0] + 60 * SECOND)
    assert 60 <= burst.sum() <= 80


def test_averages_of_the_trending_instrument_cross(instruments: Instruments) -> None:
    rows, number = market(SyntheticFeed(instruments, seed=1), NOW - 24 * HOUR, NOW)
    own = rows[:, number == 0]
    last = np.flatnonzero(np.diff(own[col.T] // MINUTE))
    close = own[col.P, last].astype(float)
    fast = np.convolve(close, np.ones(10) / 10, "valid")[20:]
    slow = np.convolve(close, np.ones(30) / 30, "valid")
    assert 20 < np.count_nonzero(np.diff((fast > slow).astype(int))) < 100


async def take(feed: SyntheticFeed, position: int, count: int) -> list[Any]:
    chunks = []
    async for chunk in feed.stream(position):
        chunks.append(chunk)
        count -= chunk.instrument.size
        if count <= 0:
            return chunks
    raise AssertionError("the synthetic market ended")


async def test_stream_at_speed_one_follows_the_clock(
    instruments: Instruments, make_clock: Callable[[int], Any], flatten: Callable[..., list[Any]]
) -> None:
    clock = make_clock(NOW)
    feed = SyntheticFeed(instruments, seed=1, clock=clock)
    first = feed.position_at(NOW - 10 * SECOND)
    (late,) = feed.read(first)  # what is due by now
    seen = 0
    async for chunk in feed.stream(first):
        assert chunk.rows[col.T, -1] <= clock.time_us
        if seen:
            assert clock.time_us - chunk.rows[col.T, 0] <= 1
        else:
            assert np.array_equal(chunk.rows, late.rows)
        seen += chunk.instrument.size
        if seen > 2000:
            break
    assert clock.time_us > NOW + 2 * MINUTE
    assert all(b > a for a, b in zip(clock.slept, clock.slept[1:], strict=False))


async def test_stream_at_other_speeds_yields_the_same_rows(
    instruments: Instruments, make_clock: Callable[[int], Any], flatten: Callable[..., list[Any]]
) -> None:
    clock = make_clock(5_000_000_000_000_000)  # far from event time: the first row is due at once
    paced = SyntheticFeed(instruments, seed=1, clock=clock, speed=20.0)
    first = paced.position_at(NOW)
    slow = flatten(iter(await take(paced, first, 1500)))
    # the six instruments have 480 rows a minute
    assert 200 * SECOND > (clock.time_us - 5_000_000_000_000_000) * 20 > 170 * SECOND
    fast = flatten(iter(await take(SyntheticFeed(instruments, seed=1, speed=None), first, 1500)))
    assert slow[:1500] == fast[:1500]


async def test_feed_that_cannot_know_what_is_due_says_so(instruments: Instruments) -> None:
    with pytest.raises(InvariantBroken):
        next(SyntheticFeed(instruments, seed=1).read(0))
    with pytest.raises(InvariantBroken):
        await take(SyntheticFeed(instruments, seed=1), 0, 1)
    with pytest.raises(InputInvalid):
        SyntheticFeed([], seed=1)


def test_chance_is_splitmix64() -> None:
    # the first outputs of splitmix64 for seed 0 (Vigna, splitmix64.c)
    assert [pick(0, n) for n in range(3)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    key = make_key("a", 1)
    assert key == int(hashlib.sha256(b"a\x1f1").hexdigest()[:16], 16)
    numbers = np.array([0, 1, 5, 1 << 40], dtype=np.int64)
    assert unit(key, numbers).tolist() == [(pick(key, int(n)) >> 11) / 2**53 for n in numbers]


def test_wave_meets_its_values_at_the_knots() -> None:
    key = make_key("wave")
    knots = np.arange(5, dtype=np.int64)
    assert np.allclose(wave(key, knots * 100, 100), 2 * unit(key, knots) - 1)
    middle = wave(key, np.array([50], dtype=np.int64), 100)[0]
    assert middle == pytest.approx(unit(key, knots[:2]).sum() - 1)
