"""The block engine of one instrument: its ring of rows, its columns and the state of its program."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from botd.engine import kernels
from botd.engine.layout import CUM_PT, N_COLUMNS
from botd.errors import InvariantBroken
from botd.language.program import Program

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]

DEQUE_CAPACITY: Final = 1024
BAR_WORDS: Final = 5  # open, high, low, close, volume
_append_rows: Any = kernels.append_rows
_advance: Any = kernels.advance
_run_history: Any = kernels.run_history
_RUSH: Final = slice(kernels.H_RUSH_T, kernels.H_RUSH_DONE + 1)


class InstrumentEngine:
    """Run one program over the rows of one instrument, a block at a time.

    Column s of plane F, U or C holds row j of the newest block at index s * block_max + j. `phase` is
    int64[machines], written by stage 2: 0 is idle, and only there may the columns behind a guard be
    left stale (see `MachineCode`). Row numbers in the state are absolute, so neither the block size
    nor the place of the rows in the ring shows in `state` or `digest`. `ist fst samples deques bars hist`
    are the state of the program's nodes; a reload carries them (`carry`), nobody else writes them.
    """

    def __init__(
        self,
        program: Program,
        *,
        tick: float,
        lot: float,
        block_max: int = 512,
        capacity: int = 4096,
        bar_length_us: int = 0,
    ) -> None:
        """`bar_length_us` is the length of BAR rows where the input has them, else 0."""
        self.program = program
        self.tick = float(tick)
        self.lot = float(lot)
        # a stride of whole pages would put the same row of every column into the same cache set
        self.block_max = block_max + 8 if block_max % 64 == 0 else block_max
        self.phase: I64 = np.zeros(max(1, len(program.machines)), np.int64)[: len(program.machines)]
        self.ring: I64 = np.zeros((N_COLUMNS, max(capacity, 2 * self.block_max) + 8), np.int64)
        self.F: F64 = np.zeros(max(1, program.n_f) * self.block_max)
        self.U: NDArray[np.uint8] = np.zeros(max(1, program.n_u) * self.block_max, np.uint8)
        self.C: I64 = np.zeros(max(1, program.n_c) * self.block_max, np.int64)
        for slot, value in program.const_f:
            self.F[slot * self.block_max : (slot + 1) * self.block_max] = value
        for slot, truth in program.const_u:
            self.U[slot * self.block_max : (slot + 1) * self.block_max] = truth
        self.ist = program.ist0.copy()
        self.fst = program.fst0.copy()
        self.samples: F64 = np.full(max(1, program.n_sample), np.nan)
        self._links: I64 = np.concatenate((program.deques, program.bars))
        self.hdr: I64 = np.zeros(kernels.HDR_WORDS, np.int64)
        h = self.hdr
        h[kernels.H_NEED] = sum(1 << (column - CUM_PT) for column in program.columns)
        h[kernels.H_S] = self.block_max
        h[kernels.H_DQ_CAP] = _power_of_two(max(DEQUE_CAPACITY, 2 * self.block_max))
        h[kernels.H_DQ_SLACK] = h[kernels.H_DQ_CAP]
        h[kernels.H_BR_CAP] = _power_of_two(2 * program.bar_keep + self.block_max)
        h[kernels.H_BR_KEEP] = program.bar_keep
        h[kernels.H_N_DEQUE] = program.deques.shape[0]
        h[kernels.H_N_BAR] = program.bars.shape[0]
        h[kernels.H_BAR_US] = bar_length_us
        h[kernels.H_RUSH_T] = -1
        self.deques: I64 = np.zeros((max(1, program.deques.shape[0]), 2, int(h[kernels.H_DQ_CAP])), np.int64)
        self.bars: I64 = np.zeros(
            (max(1, program.bars.shape[0]), BAR_WORDS, int(h[kernels.H_BR_CAP])), np.int64
        )
        self.hist: F64 = np.zeros((0, 0))
        self._end = 0
        self._bind_ring()

    @property
    def first_row(self) -> int:
        """The absolute row number of ring index 0."""
        return int(self.hdr[kernels.H_FIRST])

    @property
    def rows_seen(self) -> int:
        """The number of rows since history began."""
        return int(self.hdr[kernels.H_FIRST] + self.hdr[kernels.H_END])

    @property
    def args(self) -> tuple[Any, ...]:
        """The arguments of `kernels.stage1` after base and n, in the order its module documents."""
        return self._args

    def begin_at(self, row: int) -> None:
        """Number the rows to come from `row` on; only before any row was appended."""
        if self.hdr[kernels.H_END]:
            raise InvariantBroken("rows are numbered before the first of them")
        self.hdr[kernels.H_FIRST] = row

    def append(self, rows: I64) -> int:
        """Add a block, int64[N_INPUT, n <= block_max] in time order; return its ring index.

        Ring indexes of earlier blocks end here: older rows may have moved or gone.
        """
        n = rows.shape[1]
        base = self._end
        if n > self.block_max:
            raise InvariantBroken(f"a block of {n} rows is longer than {self.block_max}")
        if base + n > self._capacity:
            base = self._make_room(n)
        if not rows.flags.carray:  # another memory layout would compile every kernel again
            rows = rows.copy()
        full = _append_rows(rows, base, n, *self._args)
        while full:
            self.grow(full)
            full = _advance(base, n, *self._args)
        self._end = base + n
        return base

    def attach(self, ring: I64) -> None:
        """Use a ring, int64[N_COLUMNS, n] and contiguous, whose rows are in place already, uncopied.

        Rows are then run by `run` or by kernels that call `stage1`; the ring's prefix columns are
        written. Only before any row was appended.
        """
        if self.rows_seen or ring.shape[0] != N_COLUMNS or not ring.flags.c_contiguous:
            raise InvariantBroken("attach needs a fresh engine and a contiguous ring of every column")
        self.ring = ring
        self._bind_ring()

    def share_rows(self, other: InstrumentEngine) -> None:
        """Take over the rows of another engine, uncopied; it is not to be used afterwards."""
        self.ring = other.ring
        self._bind_ring()
        for word in (kernels.H_FIRST, kernels.H_END, *range(_RUSH.start, _RUSH.stop)):
            self.hdr[word] = other.hdr[word]
        self._end = other._end

    def run(self, end: int, block: int | None = None) -> None:
        """Run stage 1 alone over the attached ring's rows up to `end`."""
        size = min(block or self.block_max, self.block_max)
        base = int(_run_history(self._end, end, size, *self._args))
        while base < end:
            n = min(size, end - base)
            self.grow(int(_advance(base, n, *self._args)))
            base = int(_run_history(base, end, size, *self._args))
        self._end = end

    def grow(self, what: int) -> None:
        """Double the deques or the bar rings, as `stage1` asked for; the same rows are then run again."""
        if what == kernels.GROW_DEQUES:
            self.deques = self._regrown(self.deques, self.program.deques, kernels.H_DQ_CAP)
            self.hdr[kernels.H_DQ_SLACK] = 0
        else:
            self.bars = self._regrown(self.bars, self.program.bars, kernels.H_BR_CAP)
        self._bind()

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that later rows depend on; `restore` continues from it to the bit."""
        keep = self._oldest_needed()
        end = int(self.hdr[kernels.H_END])
        return {
            "rows": self.ring[:, keep:end].copy(),
            "first_row": np.array([self.first_row + keep], np.int64),
            "hist": self.hist[: self.program.n_hist, keep:end].copy(),
            "ist": self.ist.copy(),
            "fst": self.fst.copy(),
            "samples": self.samples.copy(),
            "deques": self._packed(self.deques, self.program.deques, kernels.H_DQ_CAP),
            "bars": self._packed(self.bars, self.program.bars, kernels.H_BR_CAP),
            "rush": self.hdr[_RUSH].copy(),
            "phase": self.phase.copy(),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from `state()` of an engine with the same program."""
        if state["ist"].shape != self.ist.shape or state["fst"].shape != self.fst.shape:
            raise InvariantBroken("the snapshot is of another program")
        rows = state["rows"]
        n = rows.shape[1]
        if n + self.block_max > self._capacity:
            self.ring = np.zeros((N_COLUMNS, 2 * n + self.block_max + 8), np.int64)
            self._bind_ring()
        self.ring[:, :n] = rows
        if self.program.n_hist:
            self.hist[:, :n] = state["hist"]
        self.ist[:] = state["ist"]
        self.fst[:] = state["fst"]
        self.samples[:] = state["samples"]
        self.phase[:] = state["phase"]
        self.hdr[_RUSH] = state["rush"]
        self.hdr[kernels.H_FIRST] = state["first_row"][0]
        self.hdr[kernels.H_END] = self._end = n
        self.hdr[kernels.H_DQ_SLACK] = 0
        self.deques = self._unpacked(state["deques"], self.deques, self.program.deques, kernels.H_DQ_CAP)
        self.bars = self._unpacked(state["bars"], self.bars, self.program.bars, kernels.H_BR_CAP)
        self._bind()

    def digest(self) -> str:
        """Return a hash of the state and the newest row, the same however the rows came in."""
        digest = hashlib.sha256()
        state = self.state()
        end = int(self.hdr[kernels.H_END])
        last = self.ring[:, end - 1] if end else self.ring[:, 0] * 0
        for part in (np.array([self.rows_seen]), last, *(state[k] for k in _DIGESTED)):
            if part.dtype == np.float64:
                part = np.where(np.isnan(part), np.nan, part)  # a NaN's bits depend on who made it
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()

    def _bind_ring(self) -> None:
        self._capacity = self.ring.shape[1]
        hist = np.full((max(1, self.program.n_hist), self._capacity if self.program.n_hist else 1), np.nan)
        hist[:, : min(self.hist.shape[1], hist.shape[1])] = (
            self.hist[:, : hist.shape[1]] if self.hist.size else 0
        )
        self.hist = hist
        self._bind()

    def _bind(self) -> None:
        p = self.program
        self._args = (
            p.code, p.fpar, self.ring, self.hdr, self.F, self.U, self.C, self.ist, self.fst,
            self.deques.reshape(-1), self.bars.reshape(-1), self.samples, self.hist, self._links,
            self.phase, self.tick, self.lot,
        )  # fmt: skip

    def _oldest_needed(self) -> int:
        """Return the ring index of the oldest row that a window or the next prefix sum still reads."""
        end = int(self.hdr[kernels.H_END])
        if self.program.edges.shape[0] == 0:
            return max(0, end - 1)
        oldest = int(self.ist[self.program.edges].min()) - self.first_row
        return max(0, min(oldest, end - 1))

    def _make_room(self, n: int) -> int:
        """Drop rows that nothing needs, in a larger ring where those needed fill half of it."""
        keep = self._oldest_needed()
        end = self._end
        kept = end - keep
        old, old_hist = self.ring, self.hist
        if 2 * (kept + n) > self._capacity:
            self.ring = np.zeros((N_COLUMNS, 2 * self._capacity + 8), np.int64)
            self._bind_ring()
        self.ring[:, :kept] = old[:, keep:end]
        if self.program.n_hist:
            self.hist[:, :kept] = old_hist[:, keep:end]
        self.hdr[kernels.H_FIRST] += keep
        self.hdr[kernels.H_END] = self._end = kept
        return kept

    def _spans(self, owners: I64, word: int) -> list[tuple[int, int]]:
        """Return the live range [start, stop) of counters of every deque or bar ring."""
        spans = []
        for io in owners.tolist():
            if word == kernels.H_DQ_CAP:
                spans.append((int(self.ist[io]), int(self.ist[io + 1])))
            else:
                closed = int(self.ist[io])
                spans.append((max(0, closed - self.program.bar_keep), closed))
        return spans

    def _packed(self, rings: I64, owners: I64, word: int) -> I64:
        """Return the live entries of every ring, one after the other, flat."""
        cap = int(self.hdr[word])
        parts = [
            rings[k][:, np.arange(start, stop) & (cap - 1)].reshape(-1)
            for k, (start, stop) in enumerate(self._spans(owners, word))
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def _unpacked(self, packed: NDArray[Any], rings: I64, owners: I64, word: int) -> I64:
        """Return rings that hold the packed entries, larger ones where needed. The state is in place."""
        spans = self._spans(owners, word)
        longest = max((stop - start for start, stop in spans), default=0)
        while longest + self.block_max > int(self.hdr[word]):
            self.hdr[word] *= 2
        cap = int(self.hdr[word])
        out = np.zeros((*rings.shape[:2], cap), np.int64)
        at = 0
        for k, (start, stop) in enumerate(spans):
            size = (stop - start) * rings.shape[1]
            out[k][:, np.arange(start, stop) & (cap - 1)] = packed[at : at + size].reshape(rings.shape[1], -1)
            at += size
        return out

    def _regrown(self, rings: I64, owners: I64, word: int) -> I64:
        packed = self._packed(rings, owners, word)
        self.hdr[word] *= 2
        return self._unpacked(packed, rings, owners, word)


_DIGESTED: Final = ("ist", "fst", "samples", "deques", "bars", "rush")


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()
