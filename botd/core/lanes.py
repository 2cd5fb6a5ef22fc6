"""Lanes and blocks: each instrument's rows in its engine, and the one order they are judged in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from botd.core.instrument import Instrument
from botd.core.settings import CoreSettings
from botd.engine.engine import InstrumentEngine
from botd.engine.flags import OutlierFlags
from botd.engine.layout import ASK, BID, MARK, P, T
from botd.engine.machine import RuleMachines
from botd.language.program import compile_program
from botd.language.typed import Strategy

I64 = NDArray[np.int64]


class Lane:
    """One instrument: its engine, its rule machines and where the current block stands in it."""

    __slots__ = (
        "_at",
        "_values",
        "base",
        "engine",
        "index",
        "instrument",
        "machines",
        "n",
        "next",
        "pending",
        "places",
        "row0",
        "tick_lot_value",
    )

    def __init__(
        self,
        index: int,
        instrument: Instrument,
        strategies: Sequence[Strategy],
        *,
        settings: CoreSettings,
        block_max: int,
        bar_length_us: int | None,
    ) -> None:
        self.index = index
        self.instrument = instrument
        self.tick_lot_value = float(instrument.money(1))  # for bounds, not for books
        self.engine = InstrumentEngine(
            compile_program(strategies),
            tick=float(instrument.tick_size),
            lot=float(instrument.lot_size),
            block_max=block_max,
            bar_length_us=bar_length_us or 0,
        )
        self.machines = RuleMachines(
            self.engine,
            confidence_min=float(settings.confidence_min),
            flags=OutlierFlags(
                sigma=settings.outlier_sigma,
                window_us=settings.outlier_window_us,
                confirm_us=settings.outlier_confirm_us,
                block_max=self.engine.block_max,
            ),
        )
        self.base = 0  # ring index of the block's row 0, or of the row to come
        self.row0 = 0  # its absolute row number
        self.n = 0
        self.next = 0  # next row of the block to judge
        self.places: I64 | None = None  # merged place of each row; None where the lane is alone
        self.pending: int | None = None  # a row that has decided and waits for its turn
        self._at = -1  # the ring index whose values are kept
        self._values: list[int] = []

    def load(self, rows: I64, places: I64 | None) -> None:
        """Take the lane's rows of the next block and run stage 1 over them."""
        self.row0 = self.engine.rows_seen
        self.n = rows.shape[1]
        self.places = places
        self.next = 0
        self.pending = None
        self._at = -1
        if self.n:
            self.base = self.engine.append(rows)
            self.machines.new_block(self.base, self.n)
        else:
            self.base = self.row0 - self.engine.first_row

    def restore(self, engine: Mapping[str, Any], machines: dict[str, Any]) -> None:
        """Continue from the states of the lane's engine and machines, between two blocks."""
        self.engine.restore(engine)
        self.machines.restore(machines)
        self.machines.bind()
        self.stand()

    def stand(self) -> None:
        """Stand behind the engine's newest row, between two blocks."""
        self.row0 = self.engine.rows_seen
        self.base = self.row0 - self.engine.first_row
        self.n = self.next = 0
        self.places = self.pending = None
        self._at = -1

    def local(self, place: int) -> int:
        """Return how many of the block's rows stand before a merged place."""
        if self.places is None:
            return min(place, self.n)
        return int(self.places.searchsorted(place))

    def place(self, row: int) -> int:
        """Return the merged place of a row of the block."""
        return row if self.places is None else int(self.places[row])

    def last_row(self, before: int) -> int | None:
        """Return the ring index of the last row before a merged place, None before the first ever."""
        row = self.base + self.local(before) - 1
        return row if row >= 0 else None

    def judged(self) -> int | None:
        """Return the ring index of the last row that was judged, None before the first ever."""
        row = self.base + self.next - 1
        return row if row >= 0 else None

    def mark(self, before: int) -> int | None:
        """Return the mark price (ticks) standing before a merged place, None when nothing is known."""
        row = self.last_row(before)
        return None if row is None else self.mark_at(row)

    def mark_at(self, index: int) -> int | None:
        """Return the mark price (ticks) at a ring index, None when nothing is known.

        Where the feed has no mark it is the last price, before the first trade the middle of the top.
        """
        values = self._values_at(index)
        known = values[MARK] or values[P]
        if known > 0:
            return known
        bid, ask = values[BID], values[ASK]
        return (bid + ask) // 2 if bid > 0 and ask > 0 else None

    def row_time(self, row: int) -> int:
        return self.values(row)[T]

    def values(self, row: int) -> list[int]:
        """Return columns T to MARK at a row of the block."""
        index = self.base + row
        return self._values if index == self._at else self._values_at(index)

    def _values_at(self, index: int) -> list[int]:
        """Return columns T to MARK at a ring index, kept until another row or block is asked for."""
        if index != self._at:
            self._values = self.engine.ring[: MARK + 1, index].tolist()
            self._at = index
        return self._values


class Block:
    """Rows of all lanes, loaded: `times` is the row time at each merged place, never falling."""

    __slots__ = ("lane_of", "last_us", "n", "times")

    def __init__(self, n: int, times: I64, lane_of: I64 | None) -> None:
        self.n = n
        self.times = times
        self.last_us = int(times[-1]) if n else 0  # one number at hand: each look into an array costs
        self.lane_of = lane_of


def load_block(lanes: Sequence[Lane], instrument: I64, rows: I64) -> Block:
    """Hand merged rows (market and timers) to their lanes.

    `instrument` is int64[n], a lane per row; `rows` int64[N_INPUT, n] in the order they are judged.
    """
    n = rows.shape[1]
    if len(lanes) == 1:
        lanes[0].load(rows, None)
        return Block(n, rows[T], None)
    for lane in lanes:
        places = np.nonzero(instrument == lane.index)[0]
        lane.load(np.ascontiguousarray(rows[:, places]), places)
    return Block(n, rows[T], instrument)
