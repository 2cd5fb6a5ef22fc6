"""Runs over whole histories with fills in the kernel: the same rules, a fixed quantity, int64 cash.

For parameter sweeps and benchmarks. Entries trade a fixed number of lots at market, exits close all of
it, orders arrive after a fixed latency and fill whole at the top of the book (bars: at the open). On
this subset it trades what the full core trades.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from botd.engine.engine import InstrumentEngine
from botd.engine.jit import entry
from botd.engine.kernels import advance, stage1
from botd.engine.machine import (
    CASH,
    CLOSED,
    COST,
    FILL_WORDS,
    POLICY_WORDS,
    QTY,
    SIGN,
    SPEC_WORDS,
    TRADES,
    WORDS,
    RuleMachines,
    policy_scan,
)
from botd.errors import InvariantBroken

I64 = NDArray[np.int64]


@entry
def run_policy(
    base, end, block, code, fpar, R, hdr, F, U, C, ist, fst, dq, br, sr, hist, links, phase, tick, lot,
    active, M, MF, SP, FSP, RU, tops, S, pos_code, pos_fpar, reg, pst, ev, out,
    orders, log, lots, latency, fee_e4, slip_ppm, bar_only,
):  # fmt: skip
    """Run rows base .. end of the ring, stage 1 and stage 2, a block at a time.

    Returns the row it stopped at: before `end` only where the engine must grow first.
    """
    while base < end:
        n = min(block, end - base)
        if (
            stage1(base, n, code, fpar, R, hdr, F, U, C, ist, fst, dq, br, sr, hist, links, phase, tick, lot)
            != 0
        ):
            break
        policy_scan(
            n, base, base, active, phase, M, MF, SP, FSP, RU, R, tops, U, F, S, pos_code, pos_fpar, reg, pst, ev, out,
            orders, log, lots, latency, fee_e4, slip_ppm, bar_only,
        )  # fmt: skip
        base += n
    return base


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyResult:
    """What one strategy's machine came to."""

    fills: int
    round_trips: int
    cash: int  # tick-lots times 1e4, fees in it
    qty: int  # signed lots still held
    cost: int  # tick-lots


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFill:
    """One fill of the kernel's."""

    machine: int
    row: int  # that decided the order
    ts_us: int
    lots: int  # positive is bought
    price: int  # ticks


class PolicyRun:
    """One instrument's machines over a history that lies in memory, with the in-kernel policy."""

    def __init__(
        self,
        engine: InstrumentEngine,
        *,
        lots: int,
        latency_us: int,
        fee_e4: int,
        slippage_ppm: int = 0,
        confidence_min: float = 0.0,
        bars_only: bool = False,
        fills_max: int = 0,
    ) -> None:
        """`fee_e4` is the taker's fee in 1e-4 of notional; `fills_max` fills are kept for `fills`."""
        self.engine = engine
        self.machines = RuleMachines(engine, confidence_min=confidence_min)
        self.orders: I64 = np.zeros(len(engine.program.machines) * POLICY_WORDS, np.int64)
        self._log: I64 = np.zeros(fills_max * FILL_WORDS, np.int64)
        self._tail: tuple[Any, ...] = (self._log, lots, latency_us, fee_e4, slippage_ppm, bars_only)

    def run(self, end: int, block: int | None = None) -> None:
        """Run the attached ring's rows up to `end`."""
        engine = self.engine
        base, size = 0, min(block or engine.block_max, engine.block_max)
        while base < end:
            (active, _, M, MF, SP, FSP, RU, _, tops, _, _, S, *rest) = self.machines.args
            arrays: tuple[Any, ...] = (
                *engine.args,
                active,
                M,
                MF,
                SP,
                FSP,
                RU,
                tops,
                S,
                *rest,
                self.orders,
                *self._tail,
            )
            base = int(run_policy(base, end, size, *arrays))
            if base < end:
                engine.grow(int(advance(base, min(size, end - base), *engine.args)))
                self.machines.bind()

    def fills(self) -> list[PolicyFill]:
        """Return every fill in the order of fills; raise InvariantBroken where the log was too short."""
        count = int(self.machines.out[1])
        if count * FILL_WORDS > self._log.shape[0]:
            raise InvariantBroken(
                f"{count} fills do not fit into a log of {self._log.shape[0] // FILL_WORDS}"
            )
        rows = self._log[: count * FILL_WORDS].reshape(-1, FILL_WORDS).tolist()
        return [
            PolicyFill(machine=machine, row=row, ts_us=ts_us, lots=lots, price=price)
            for machine, row, ts_us, lots, price in rows
        ]

    def results(self) -> list[PolicyResult]:
        """Return one result per machine, in the order of the program."""
        found = []
        words = self.machines.words
        for k in range(len(self.machines.codes)):
            order = self.orders[k * POLICY_WORDS : (k + 1) * POLICY_WORDS]
            found.append(
                PolicyResult(
                    fills=int(order[TRADES]),
                    round_trips=int(order[CLOSED]),
                    cash=int(order[CASH]),
                    qty=int(words[k * WORDS + QTY]) * int(self.machines.spec[k * SPEC_WORDS + SIGN]),
                    cost=int(words[k * WORDS + COST]),
                )
            )
        return found
