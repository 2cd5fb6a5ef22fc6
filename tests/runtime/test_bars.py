"""Minute bars: what is summed, and that rows met again change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from botd.core.instrument import InstrumentId
from botd.engine import layout
from botd.engine.layout import RowKind
from botd.feeds.synthetic import SyntheticFeed
from botd.ports import Chunk
from botd.runtime.bars import MINUTE_US, BarRecorder
from tests.session_scene import NOW_US
from tests.store.samples import TRADED

OTHER = replace(TRADED, id=InstrumentId("ETH/USDT"))
MINUTE = NOW_US // MINUTE_US * MINUTE_US


def trade(at_us: int, price: int, qty: int = 1, *, of: int = 0) -> tuple[int, list[int]]:
    row = [0] * layout.N_INPUT
    row[layout.T], row[layout.Q], row[layout.KIND] = MINUTE + at_us, qty, RowKind.TRADE
    for column in (layout.P, layout.OPEN, layout.HIGH, layout.LOW):
        row[column] = price
    return of, row


def chunk(position: int, *rows: tuple[int, list[int]]) -> Chunk:
    columns = np.array([row for _, row in rows], np.int64).T
    return Chunk(
        position=position,
        instrument=np.array([of for of, _ in rows], np.int64),
        rows=np.ascontiguousarray(columns),
    )


def recorder(*, bar_length_us: int | None = None) -> BarRecorder:
    return BarRecorder((TRADED, OTHER), bar_length_us=bar_length_us)


def said(bars: BarRecorder) -> list[tuple[str, int, int, int, int, int, int]]:
    """Return what is due to be written: instrument, minute, open, high, low, close, volume."""
    return sorted(
        (b.traded.id, (b.open_us - MINUTE) // MINUTE_US, b.open, b.high, b.low, b.close, b.volume)
        for b in bars.take()
    )


def test_bars_sum_the_trades_of_each_market_by_the_minute() -> None:
    bars = recorder()
    bars.add(
        chunk(
            0,
            trade(0, 100, 2),
            trade(1, 7, 5, of=1),
            trade(2, 103, 1),
            trade(3, 99, 4),
            trade(MINUTE_US - 1, 101, 1),
            trade(MINUTE_US, 102, 3),
        )
    )
    assert said(bars) == [
        ("BTC/USDT", 0, 100, 103, 99, 101, 8),
        ("BTC/USDT", 1, 102, 102, 102, 102, 3),
        ("ETH/USDT", 0, 7, 7, 7, 7, 5),
    ]
    assert said(bars) == []


def test_bar_goes_on_over_chunks_and_is_taken_as_it_stands() -> None:
    bars = recorder()
    bars.add(chunk(0, trade(0, 100)))
    assert said(bars) == [("BTC/USDT", 0, 100, 100, 100, 100, 1)]
    bars.add(chunk(1, trade(1, 90), trade(2, 95)))
    bars.add(chunk(3, trade(3, 94)))
    assert said(bars) == [("BTC/USDT", 0, 100, 100, 90, 94, 4)]


def test_rows_that_trade_nothing_make_no_bar() -> None:
    of, row = trade(0, 100)
    row[layout.KIND] = RowKind.BOOK
    bars = recorder()
    bars.add(chunk(0, (of, row)))
    assert said(bars) == []


def test_bars_as_input_stand_at_their_open() -> None:
    of, row = trade(MINUTE_US, 100, 8)
    row[layout.KIND], row[layout.HIGH], row[layout.LOW], row[layout.OPEN] = RowKind.BAR, 110, 90, 95
    bars = recorder(bar_length_us=MINUTE_US)
    bars.add(chunk(0, (of, row)))
    assert said(bars) == [("BTC/USDT", 0, 95, 110, 90, 100, 8)]


@pytest.mark.parametrize("seen", range(6))
@pytest.mark.parametrize("back", range(6))
def test_rows_read_again_after_a_crash_change_no_bar(seen: int, back: int) -> None:
    rows = [trade(n * MINUTE_US // 3, 100 + n, n + 1) for n in range(6)]
    whole = recorder()
    whole.add(chunk(0, *rows))
    before = recorder()
    if seen:
        before.add(chunk(0, *rows[:seen]))
    written = {(bar.traded.id, bar.open_us): bar for bar in before.take()}
    after = recorder()
    after.go_on(list(written.values())[-1:], again=True)
    start = min(back, seen)
    after.add(chunk(start, *rows[start:]))
    written |= {(bar.traded.id, bar.open_us): bar for bar in after.take()}
    wanted = {(bar.traded.id, bar.open_us): replace(bar, feed_position=0) for bar in whole.take()}
    assert {key: replace(bar, feed_position=0) for key, bar in written.items()} == wanted


def test_bar_of_another_tick_is_not_gone_on_with() -> None:
    before = recorder()
    before.add(chunk(0, trade(0, 100)))
    (bar,) = before.take()
    bars = recorder()
    bars.go_on([replace(bar, traded=replace(TRADED, tick_size=Decimal("0.1")))], again=False)
    bars.add(chunk(1, trade(1, 50)))
    assert said(bars) == [("BTC/USDT", 0, 50, 50, 50, 50, 1)]


def test_bars_do_not_depend_on_how_the_feed_is_cut() -> None:
    feed = SyntheticFeed((TRADED, OTHER), seed=1)
    first = feed.position_at(NOW_US)

    def read(rows_max: int) -> Iterator[Chunk]:
        return feed.read(first, rows_max=rows_max, until_us=NOW_US + 3 * MINUTE_US)

    cut, whole = recorder(), recorder()
    assert sum(1 for _ in cut.through(read(7))) > 10
    assert sum(1 for _ in whole.through(read(65_536))) == 1
    assert said(cut) == said(whole)
