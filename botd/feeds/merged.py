"""Several recorded files as one feed, merged by time."""

from __future__ import annotations

import hashlib
import math
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from botd.core.instrument import Instrument, InstrumentId
from botd.engine import layout as col
from botd.engine.layout import N_INPUT, RowKind
from botd.errors import InputInvalid
from botd.feeds import pacing
from botd.feeds.grid import check_sizes, from_e8, step_e8
from botd.feeds.recorded import RecordedFeed
from botd.ports import I64, Chunk, Clock

_PRICE_COLUMNS: Final = (col.P, col.BID, col.ASK, col.MARK, col.OPEN, col.HIGH, col.LOW)
_SIZE_COLUMNS: Final = (col.Q, col.BSZ, col.ASZ)


class MergedFeed:
    """The rows of several recorded feeds by (row time, feed order).

    Files of one instrument follow each other in time and share the finest grid among them; files that
    overlap, and trades beside bars, are refused.
    """

    def __init__(
        self, feeds: Sequence[RecordedFeed], *, clock: Clock | None = None, speed: float | None = None
    ) -> None:
        if not feeds:
            raise InputInvalid("there is no data file to merge")
        _check_mix(feeds)
        _check_overlap(feeds)
        self._feeds = tuple(feeds)
        self._clock = clock
        self._speed = speed
        self.instruments: tuple[Instrument, ...] = _shared_grids(feeds)
        index = {instrument.id: i for i, instrument in enumerate(self.instruments)}
        self._instrument_of = np.array([index[feed.instruments[0].id] for feed in feeds], dtype=np.int64)
        self._factors = [
            _factors(feed.instruments[0], self.instruments[index[feed.instruments[0].id]]) for feed in feeds
        ]
        for feed, (price, size) in zip(feeds, self._factors, strict=True):
            shared = self.instruments[index[feed.instruments[0].id]]
            try:
                check_sizes(shared, feed.price_ticks_max * price, feed.volume_lots * size)
            except InputInvalid as error:
                raise InputInvalid(f"{feed.path}: {error}") from error
        self._merge()
        joined = "\n".join(feed.identity for feed in feeds)
        self.identity = f"merged:{len(feeds)}:{hashlib.sha256(joined.encode()).hexdigest()}"

    @property
    def kinds(self) -> frozenset[RowKind]:
        return self._feeds[0].kinds

    @property
    def bar_length_us(self) -> int | None:
        return self._feeds[0].bar_length_us

    @property
    def seekable(self) -> bool:
        return True

    @property
    def book(self) -> str:
        return self._feeds[0].book

    @property
    def count(self) -> int:
        return int(self._times.size)

    @property
    def span_us(self) -> tuple[int, int]:
        """Return the times of the first and the last row."""
        return int(self._times[0]), int(self._times[-1])

    def describe(self) -> list[str]:
        """Return the lines of every file."""
        return [line for feed in self._feeds for line in feed.describe()]

    def read(self, position: int, *, rows_max: int = 65536) -> Iterator[Chunk]:
        """Yield every row from `position` to the end."""
        return pacing.read_rows(self.count, self.cut, position, rows_max)

    def stream(self, position: int) -> AsyncIterator[Chunk]:
        """Yield rows at the feed's speed; the first is due at once."""
        return pacing.stream_rows(self._times, self.cut, position, clock=self._clock, speed=self._speed)

    def cut(self, start: int, end: int) -> Chunk:
        """Return the merged rows from one position up to another."""
        owner, row = self._owner[start:end], self._row[start:end]
        rows = np.empty((N_INPUT, end - start), dtype=np.int64)
        for number, feed in enumerate(self._feeds):
            mine = np.flatnonzero(owner == number)
            if mine.size:
                first, last = int(row[mine[0]]), int(row[mine[-1]])
                part = feed.cut(first, last + 1).rows
                price, size = self._factors[number]
                part[_PRICE_COLUMNS, :] *= price
                part[_SIZE_COLUMNS, :] *= size
                rows[:, mine] = part
        return Chunk(position=start, instrument=self._instrument_of[owner], rows=rows)

    def _merge(self) -> None:
        times: list[I64] = [feed.times for feed in self._feeds]
        joined = np.concatenate(times)
        owner = np.repeat(np.arange(len(times), dtype=np.int64), [part.size for part in times])
        row = np.concatenate([np.arange(part.size, dtype=np.int64) for part in times])
        order = np.argsort(joined, kind="stable")  # feeds are joined in order, so ties keep feed order
        self._times = joined[order]
        self._owner = owner[order]
        self._row = row[order]


def _check_mix(feeds: Sequence[RecordedFeed]) -> None:
    first = feeds[0]
    for feed in feeds[1:]:
        if feed.kinds != first.kinds or feed.bar_length_us != first.bar_length_us:
            raise InputInvalid(
                f"{feed.path.name} and {first.path.name} cannot be one portfolio: "
                "all files must hold trades, or bars of one length"
            )


def _check_overlap(feeds: Sequence[RecordedFeed]) -> None:
    last: dict[InstrumentId, RecordedFeed] = {}
    for feed in sorted(feeds, key=lambda feed: feed.span_us):
        name = feed.instruments[0].id
        before = last.get(name)
        if before is not None and feed.span_us[0] <= before.span_us[1]:
            raise InputInvalid(
                f"{before.path.name} and {feed.path.name} both hold {name} at the same time; "
                "leave one out or run without --portfolio"
            )
        last[name] = feed


def _shared_grids(feeds: Sequence[RecordedFeed]) -> tuple[Instrument, ...]:
    """Return each instrument once, in order of appearance, on a grid that all of its files are on."""
    found: dict[InstrumentId, Instrument] = {}
    for feed in feeds:
        new = feed.instruments[0]
        old = found.setdefault(new.id, new)
        tick = math.gcd(step_e8(old.tick_size), step_e8(new.tick_size))
        lot = math.gcd(step_e8(old.lot_size), step_e8(new.lot_size))
        found[new.id] = replace(old, tick_size=from_e8(tick), lot_size=from_e8(lot))
    return tuple(found.values())


def _factors(own: Instrument, shared: Instrument) -> tuple[int, int]:
    price = step_e8(own.tick_size) // step_e8(shared.tick_size)
    size = step_e8(own.lot_size) // step_e8(shared.lot_size)
    return price, size
