"""A recorded file as a feed: exact integers, seekable, at any speed."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np

from botd.core.instrument import Instrument, InstrumentId
from botd.core.settings import PaperSettings
from botd.engine import layout as col
from botd.engine.layout import N_INPUT, RowKind
from botd.errors import InputInvalid
from botd.feeds import pacing
from botd.feeds.book import derive_top
from botd.feeds.grid import check_sizes, common_step, from_e8, round_to_steps, step_e8, to_e8, to_steps
from botd.feeds.sidecar import (
    NO_INSTRUMENTS,
    BarStamp,
    FileEntry,
    RowsKind,
    VolumeUnit,
    build_instrument,
    read_sidecar,
)
from botd.feeds.tables import SUFFIXES, Columns, guess_kind, read_columns, sidecar_beside, suggest_entry
from botd.ports import I64, Chunk, Clock

_CSV_OR_PARQUET: Final = " or ".join(SUFFIXES)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """A tick or a lot, and where it is from."""

    e8: int
    source: str  # "given", "configured", "derived"

    def __str__(self) -> str:
        return f"{from_e8(self.e8):f} ({self.source})"


_Built = tuple[I64, _Step, _Step, int]  # rows, tick, lot, how many prices were rounded to the tick


class RecordedFeed:
    """The rows of one Parquet or CSV file, described by the `instruments.yaml` beside it.

    `start` and `end` cut the feed to a range of rows; everything is derived from the whole file, so a
    cut has the rows that the whole has. `speed` is event time over wall time, None as fast as asked for.
    """

    def __init__(
        self,
        path: Path,
        *,
        entry: FileEntry | None = None,
        known: Mapping[InstrumentId, Instrument] = NO_INSTRUMENTS,
        paper: PaperSettings | None = None,
        clock: Clock | None = None,
        speed: float | None = None,
        start: int = 0,
        end: int | None = None,
    ) -> None:
        self.path = path
        self._entry = find_entry(path) if entry is None else entry
        self._clock = clock
        self._speed = speed
        columns = read_columns(path, self._entry.rows)
        before = known.get(self._entry.instrument)
        try:
            if self._entry.rows is RowsKind.TRADES:
                built = _trade_rows(columns, self._entry, before)
            else:
                built = _bar_rows(columns, self._entry, before)
        except InputInvalid as error:
            raise InputInvalid(f"{path}: {error}") from error
        whole, self._tick, self._lot, self._rounded = built
        self._dropped = columns.dropped
        self._sorted_here = columns.sorted_here
        self._range = (start, whole.shape[1] if end is None else min(end, whole.shape[1]))
        self._rows = whole[:, self._range[0] : self._range[1]]
        if self._rows.shape[1] == 0:
            raise InputInvalid(f"{path}: rows {start} to {end} are outside its {whole.shape[1]} rows")
        self.instruments: tuple[Instrument, ...] = (
            build_instrument(
                self._entry,
                tick_size=from_e8(self._tick.e8),
                lot_size=from_e8(self._lot.e8),
                known=known,
                paper=paper or PaperSettings(),
            ),
        )
        self.price_ticks_max = int(whole[col.HIGH].max())
        self.volume_lots = float(whole[col.Q].sum(dtype=np.float64))
        try:
            check_sizes(self.instruments[0], self.price_ticks_max, self.volume_lots)
        except InputInvalid as error:
            raise InputInvalid(f"{path}: {error}") from error
        self._rows.flags.writeable = False
        self.identity = self._identity()

    @property
    def kinds(self) -> frozenset[RowKind]:
        return frozenset({RowKind.TRADE if self._entry.rows is RowsKind.TRADES else RowKind.BAR})

    @property
    def bar_length_us(self) -> int | None:
        return self._entry.length_us if self._entry.rows is RowsKind.BARS else None

    @property
    def seekable(self) -> bool:
        return True

    @property
    def book(self) -> str:
        """Say where the top of book is from: "derived" from trades, "none" for bars."""
        return "derived" if self._entry.rows is RowsKind.TRADES else "none"

    @property
    def count(self) -> int:
        """Return how many rows the feed has."""
        return int(self._rows.shape[1])

    @property
    def times(self) -> I64:
        """Return the row times, read only."""
        times: I64 = self._rows[col.T]
        return times

    @property
    def span_us(self) -> tuple[int, int]:
        """Return the times of the first and the last row."""
        return int(self.times[0]), int(self.times[-1])

    def describe(self) -> list[str]:
        """Return lines for people: what was read, what was derived, what was left out."""
        first, last = (_utc(ts_us) for ts_us in self.span_us)
        book = f", book: {self.book}" if self.book == "derived" else ""
        what = f"{self._entry.instrument}, {self.count:,} {self._entry.rows}, {first} to {last} UTC"
        lines = [f"{self.path.name}: {what}, tick {self._tick}, lot {self._lot}{book}"]
        if self._dropped:
            rows = "row" if self._dropped == 1 else "rows"
            lines.append(f"{self.path.name}: {self._dropped} {rows} left out: no positive price or amount")
        if self._rounded:
            prices = "price" if self._rounded == 1 else "prices"
            lines.append(f"{self.path.name}: {self._rounded} {prices} off the tick, rounded to it")
        if self._sorted_here:
            lines.append(f"{self.path.name}: was out of order and is sorted by time")
        return lines

    def read(self, position: int, *, rows_max: int = 65536) -> Iterator[Chunk]:
        """Yield every row from `position` to the end."""
        return pacing.read_rows(self.count, self.cut, position, rows_max)

    def stream(self, position: int) -> AsyncIterator[Chunk]:
        """Yield rows at the feed's speed; the first is due at once."""
        return pacing.stream_rows(self.times, self.cut, position, clock=self._clock, speed=self._speed)

    def cut(self, start: int, end: int) -> Chunk:
        """Return the rows from one position up to another."""
        rows = self._rows[:, start:end].copy()
        return Chunk(position=start, instrument=np.zeros(rows.shape[1], np.int64), rows=rows)

    def _identity(self) -> str:
        content = hashlib.sha256(self.path.read_bytes()).hexdigest()
        entry = self._entry
        how = f"{entry.rows}|{entry.length_us}|{entry.stamp}|{entry.volume_unit}"
        grid = f"{self._tick.e8}|{self._lot.e8}"
        size = self.path.stat().st_size
        parts = (self.path.name, size, content, entry.instrument, how, grid, *self._range)
        return "recorded:" + ":".join(str(part) for part in parts)


def find_entry(path: Path) -> FileEntry:
    """Return the sidecar's entry of a data file; InputInvalid says what is missing and what to write."""
    if not path.is_file():
        raise InputInvalid(f"{path}: there is no such file")
    if path.suffix not in SUFFIXES:
        raise InputInvalid(f"{path}: is no data file; it must end in {_CSV_OR_PARQUET}")
    sidecar = sidecar_beside(path)
    if sidecar.is_file():
        entry = read_sidecar(sidecar).get(path.name)
        if entry is not None:
            return entry
    kind = guess_kind(path)
    if kind is None:
        read_columns(path, RowsKind.TRADES)  # names the columns that are there and the ones needed
    what = "has no entry for it" if sidecar.is_file() else "is missing"
    line = suggest_entry(path, kind or RowsKind.TRADES)
    raise InputInvalid(f"{path}: {sidecar} {what}; write this line into it: {line}")


def _utc(ts_us: int) -> str:
    return datetime.fromtimestamp(ts_us // 1_000_000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")


def _choose_step(given: Decimal | None, configured: Decimal | None, columns: tuple[I64, ...]) -> _Step:
    """Return the grid of the columns: the sidecar's, else the configuration's where they fit it, else
    the coarsest they are on. Tick sizes change over the years, so a configured one that does not fit
    an old file is no fault of the file."""
    if given is not None:
        return _Step(e8=step_e8(given), source="given")
    derived = common_step(*columns)
    if configured is not None and derived % step_e8(configured) == 0:
        return _Step(e8=step_e8(configured), source="configured")
    return _Step(e8=derived, source="derived")


def _trade_rows(columns: Columns, entry: FileEntry, known: Instrument | None) -> _Built:
    price_e8 = to_e8(columns.numbers["price"], "price")
    amount_e8 = to_e8(columns.numbers["amount"], "amount")
    tick = _choose_step(entry.tick_size, known.tick_size if known else None, (price_e8,))
    lot = _choose_step(entry.lot_size, known.lot_size if known else None, (amount_e8,))
    price = to_steps(price_e8, tick.e8, "price")
    lots = to_steps(amount_e8, lot.e8, "amount")
    bid, ask, bid_size, ask_size = derive_top(price, lots, columns.side)
    rows = np.zeros((N_INPUT, price.size), dtype=np.int64)
    rows[col.T] = rows[col.VT] = rows[col.RT] = columns.time_us
    rows[col.P] = rows[col.OPEN] = rows[col.HIGH] = rows[col.LOW] = price
    rows[col.Q], rows[col.SIDE], rows[col.KIND] = lots, columns.side, RowKind.TRADE
    rows[col.BID], rows[col.ASK], rows[col.BSZ], rows[col.ASZ] = bid, ask, bid_size, ask_size
    return rows, tick, lot, 0


def _bar_rows(columns: Columns, entry: FileEntry, known: Instrument | None) -> _Built:
    """Build rows of bars. Closes may be averages of two quotes, so prices are rounded to a given tick;
    rounding is monotonic, so a bar's high and low stay its extremes."""
    names = ("open", "high", "low", "close")
    prices_e8 = {name: to_e8(columns.numbers[name], name) for name in names}
    tick = _choose_step(entry.tick_size, known.tick_size if known else None, tuple(prices_e8.values()))
    rounded = {name: round_to_steps(prices_e8[name], tick.e8) for name in names}
    prices = {name: steps for name, (steps, _) in rounded.items()}
    if any(np.any(steps == 0) for steps in prices.values()):
        row = int(np.argmax(np.minimum.reduce(list(prices.values())) == 0))
        raise InputInvalid(
            f"the bar of {_utc(int(columns.time_us[row]))} UTC has a price that rounds to 0 ticks of "
            f"{from_e8(tick.e8):f}; write a finer tick: in its entry"
        )
    lots, lot = _bar_lots(columns, entry, known)
    length = entry.length_us or 1  # FileEntry has it for bars
    closed = columns.time_us + (length if entry.stamp is BarStamp.OPEN else 0)
    _check_intervals(closed, length)
    rows = np.zeros((N_INPUT, closed.size), dtype=np.int64)
    rows[col.T] = rows[col.VT] = rows[col.RT] = closed
    rows[col.P] = rows[col.BID] = rows[col.ASK] = prices["close"]
    rows[col.OPEN], rows[col.HIGH], rows[col.LOW] = prices["open"], prices["high"], prices["low"]
    rows[col.Q], rows[col.KIND] = lots, RowKind.BAR
    return rows, tick, lot, sum(off for _, off in rounded.values())


def _bar_lots(columns: Columns, entry: FileEntry, known: Instrument | None) -> tuple[I64, _Step]:
    """Return volumes in lots. They are sums, so they are rounded to the lot and need not be on it."""
    volume = columns.numbers["volume"].astype(np.float64)
    quote = entry.volume_unit is VolumeUnit.QUOTE
    if entry.lot_size is None and quote and known is None:
        raise InputInvalid("its volume is in quote money, from which no lot follows; write lot: in its entry")
    base_e8 = () if quote or entry.lot_size is not None else (to_e8(columns.numbers["volume"], "volume"),)
    if quote and entry.lot_size is None and known is not None:
        lot = _Step(e8=step_e8(known.lot_size), source="configured")
    else:
        lot = _choose_step(entry.lot_size, known.lot_size if known else None, base_e8)
    lot_size = float(from_e8(lot.e8))
    base = volume / columns.numbers["close"].astype(np.float64) if quote else volume
    return np.rint(base / lot_size).astype(np.int64), lot


def _check_intervals(closed: I64, length: int) -> None:
    """Refuse bars off the epoch's grid and bars that overlap; a gap is no fault."""
    if np.any(closed % length):
        row = int(np.argmax(closed % length != 0))
        raise InputInvalid(f"the bar of {_utc(int(closed[row]))} UTC is off the grid of its length")
    if np.any(np.diff(closed) < length):
        row = int(np.argmax(np.diff(closed) < length)) + 1
        raise InputInvalid(f"two bars close at {_utc(int(closed[row]))} UTC; keep one")
