"""A reload: the state of every node that two programs share goes from one engine to the other.

The new engine has been run over the same rows up to the same number, as far back as its own nodes need.
A node is the same where its hash is, whatever stands around it. What is not shared keeps the state that
the rows have given it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from botd.engine import kernels
from botd.engine.engine import InstrumentEngine
from botd.engine.layout import CUM_PT, CUM_PT_HIGH, CUM_PV, CUM_PV_HIGH, CUM_RUSH, N_INPUT
from botd.errors import InvariantBroken
from botd.language import opcodes as op
from botd.language.assembly import StateRange
from botd.language.program import Program

I64 = NDArray[np.int64]

_ZSCORE_KEPT: Final = 4  # words of a sampler that a program does not decide: the rest is where and how many
_BAR_WORDS: Final = 8  # of a bar that is being built; the ninth is its length
_HIGH_WORD: Final = {CUM_PT: CUM_PT_HIGH, CUM_PV: CUM_PV_HIGH}


def adds_nodes(old: Program, new: Program) -> bool:
    """Say whether a program has nodes whose state the other one cannot give it, or looks back further."""
    known = {state.hash for state in old.states}
    return (
        any(state.hash not in known for state in new.states)
        or not new.columns <= old.columns
        or new.bar_keep > old.bar_keep
    )


def carry_engine(old: InstrumentEngine, new: InstrumentEngine) -> None:
    """Give `new` the states that its program shares with that of `old`.

    Where `new` has run over nothing and has nothing of its own, it takes over the rows of `old` too. Raises
    InvariantBroken where they do not stand at the same row.
    """
    if not new.rows_seen and not adds_nodes(old.program, new.program):
        new.share_rows(old)
    _check_rows(old, new)
    if new.first_row >= old.first_row:
        _carry_columns(old, new)
    before = {state.hash: state for state in old.program.states}
    shared = [(before[state.hash], state) for state in new.program.states if state.hash in before]
    _carry_bars(old, new, {b.resource: a.resource for a, b in shared if b.op == op.BAR})
    _carry_deques(old, new, [(a, b) for a, b in shared if b.op in (op.HIGHW, op.LOWW)])
    for theirs, ours in shared:
        if ours.op in (op.HIST, op.HISTU):
            _carry_history(old, new, theirs, ours)
        elif ours.op not in (op.BAR, op.HIGHW, op.LOWW):
            _carry_words(old, new, theirs, ours)


def _check_rows(old: InstrumentEngine, new: InstrumentEngine) -> None:
    """Compare the newest rows: one that is missing would move every window."""
    if old.rows_seen != new.rows_seen:
        raise InvariantBroken(f"the new program stands at row {new.rows_seen}, the old at {old.rows_seen}")
    ends = int(old.hdr[kernels.H_END]), int(new.hdr[kernels.H_END])
    n = min(*ends, 256)
    if not np.array_equal(
        old.ring[:N_INPUT, ends[0] - n : ends[0]], new.ring[:N_INPUT, ends[1] - n : ends[1]]
    ):
        raise InvariantBroken("the new program was warmed with other rows than those judged")


def _carry_columns(old: InstrumentEngine, new: InstrumentEngine) -> None:
    """Take the prefix columns over: what rushed across the oldest row, only the old ones know."""
    n = new.rows_seen - new.first_row
    start = new.first_row - old.first_row
    for column in old.program.columns & new.program.columns:
        for one in {column, _HIGH_WORD.get(column, column)}:
            new.ring[one, :n] = old.ring[one, start : start + n]
    if CUM_RUSH in old.program.columns & new.program.columns:
        rush = slice(kernels.H_RUSH_T, kernels.H_RUSH_DONE + 1)
        new.hdr[rush] = old.hdr[rush]


def _carry_words(old: InstrumentEngine, new: InstrumentEngine, theirs: StateRange, ours: StateRange) -> None:
    length = _ZSCORE_KEPT if ours.op == op.ZSCORE else ours.ist[1] - ours.ist[0]
    new.ist[ours.ist[0] : ours.ist[0] + length] = old.ist[theirs.ist[0] : theirs.ist[0] + length]
    new.fst[slice(*ours.fst)] = old.fst[slice(*theirs.fst)]
    if ours.size:
        new.samples[ours.resource : ours.resource + ours.size] = old.samples[
            theirs.resource : theirs.resource + theirs.size
        ]


def _carry_history(
    old: InstrumentEngine, new: InstrumentEngine, theirs: StateRange, ours: StateRange
) -> None:
    first = max(old.first_row, new.first_row)
    n = new.rows_seen - first
    at_old, at_new = first - old.first_row, first - new.first_row
    new.hist[ours.resource, at_new : at_new + n] = old.hist[theirs.resource, at_old : at_old + n]


def _carry_deques(
    old: InstrumentEngine, new: InstrumentEngine, shared: list[tuple[StateRange, StateRange]]
) -> None:
    spans = [tuple(old.ist[a.ist[0] : a.ist[0] + 2].tolist()) for a, _ in shared]
    longest = max((tail - head for head, tail in spans), default=0)
    while longest + new.block_max > int(new.hdr[kernels.H_DQ_CAP]):
        new.grow(kernels.GROW_DEQUES)
    for (theirs, ours), (head, tail) in zip(shared, spans, strict=True):
        entries = np.arange(head, tail)
        here, there = entries & (new.deques.shape[2] - 1), entries & (old.deques.shape[2] - 1)
        new.deques[ours.resource][:, here] = old.deques[theirs.resource][:, there]
        new.ist[slice(*ours.ist)] = old.ist[slice(*theirs.ist)]
    new.hdr[kernels.H_DQ_SLACK] = 0


def _carry_bars(old: InstrumentEngine, new: InstrumentEngine, shared: Mapping[int, int]) -> None:
    """Take bars over by the number of those closed; older ones than the old program keeps stay as they are.

    `shared` gives the new ring's index the old one's. What counts bars in a state counts on from there.
    """
    moved: dict[int, int] = {}
    for ours, theirs in shared.items():
        at, source = int(new.program.bars[ours]), int(old.program.bars[theirs])
        built, closed = int(new.ist[at]), int(old.ist[source])
        moved[ours] = closed - built
        own = np.arange(max(0, built - new.program.bar_keep), built)
        ring, cap = new.bars[ours], new.bars.shape[2]
        kept = ring[:, own & (cap - 1)].copy()
        ring[:, (own + closed - built) & (cap - 1)] = kept
        known = np.arange(max(0, closed - min(old.program.bar_keep, new.program.bar_keep)), closed)
        ring[:, known & (cap - 1)] = old.bars[theirs][:, known & (old.bars.shape[2] - 1)]
        new.ist[at : at + _BAR_WORDS] = old.ist[source : source + _BAR_WORDS]
    for state in new.program.states:
        if state.bars in moved:
            new.ist[state.ist[0] + (2 if state.op == op.CROSS_BARS else 0)] += moved[state.bars]
