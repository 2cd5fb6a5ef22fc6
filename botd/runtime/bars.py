"""Minute bars of every market that a feed carries, for the screens. No decision reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from botd.core.instrument import Instrument
from botd.core.lanes import I64
from botd.core.records import MarketBar
from botd.engine import layout
from botd.engine.layout import RowKind
from botd.ports import Chunk

MINUTE_US: Final = 60_000_000


class BarRecorder:
    """Sums a feed's trades, or its bars, into minutes; what has changed is taken to be written.

    Rows that are read again after a crash are known by their place in the feed and change nothing.
    """

    def __init__(self, instruments: Sequence[Instrument], *, bar_length_us: int | None) -> None:
        self._instruments = tuple(instruments)
        self._open: dict[int, MarketBar] = {}  # by the feed's index of the instrument
        self._changed: dict[tuple[int, int], MarketBar] = {}  # by that and the bar's time
        self._length_us = bar_length_us or 0
        self._known = 0  # rows of the feed before this one are in the bars

    def go_on(self, bars: Iterable[MarketBar], *, again: bool) -> None:
        """Begin from each market's newest bar; with `again` the rows that are in them may come again."""
        place = {one.id: index for index, one in enumerate(self._instruments)}
        for bar in bars:
            index = place.get(bar.traded.id)
            if index is not None and self._instruments[index].tick_size == bar.traded.tick_size:
                self._open[index] = bar
                if again:
                    self._known = max(self._known, bar.feed_position)

    def add(self, chunk: Chunk) -> None:
        """Take consecutive rows of the feed."""
        end = chunk.position + chunk.instrument.size
        first = max(0, self._known - chunk.position)
        if end <= self._known:
            return
        self._known = end
        kinds = chunk.rows[layout.KIND]
        told = (kinds == RowKind.BAR) if self._length_us else (kinds == RowKind.TRADE)
        told[:first] = False
        picked = np.flatnonzero(told)
        if picked.size:
            self._sum(chunk.instrument[picked], chunk.rows[:, picked], end)

    def through(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """Hand chunks on, each taken before."""
        for chunk in chunks:
            self.add(chunk)
            yield chunk

    def take(self) -> tuple[MarketBar, ...]:
        """Return the bars that have changed since they were taken last, as they are now."""
        changed = tuple(self._changed.values())
        self._changed.clear()
        return changed

    def _sum(self, owners: I64, rows: I64, end: int) -> None:
        """Sum rows by market and minute: rows of one market never fall in time."""
        order = np.argsort(owners, kind="stable")
        owners, rows = owners[order], rows[:, order]
        minutes = (rows[layout.T] - self._length_us) // MINUTE_US
        new = np.empty(owners.size, bool)
        new[0] = True
        np.not_equal(owners[1:], owners[:-1], out=new[1:])
        new[1:] |= minutes[1:] != minutes[:-1]
        starts = np.flatnonzero(new)
        lasts = np.append(starts[1:], owners.size) - 1
        # A trade row's OPEN, HIGH and LOW are its price; a bar row's P is its close.
        for owner, minute, opened, high, low, close, volume in zip(
            owners[starts].tolist(),
            minutes[starts].tolist(),
            rows[layout.OPEN][starts].tolist(),
            np.maximum.reduceat(rows[layout.HIGH], starts).tolist(),
            np.minimum.reduceat(rows[layout.LOW], starts).tolist(),
            rows[layout.P][lasts].tolist(),
            np.add.reduceat(rows[layout.Q], starts).tolist(),
            strict=True,
        ):
            bar = MarketBar(
                self._instruments[owner], minute * MINUTE_US, opened, high, low, close, volume, end
            )
            self._keep(owner, bar)

    def _keep(self, owner: int, bar: MarketBar) -> None:
        open_bar = self._open.get(owner)
        if open_bar is not None and open_bar.open_us == bar.open_us:
            bar = replace(
                bar,
                open=open_bar.open,
                high=max(open_bar.high, bar.high),
                low=min(open_bar.low, bar.low),
                volume=open_bar.volume + bar.volume,
            )
        self._open[owner] = bar
        self._changed[owner, bar.open_us] = bar
