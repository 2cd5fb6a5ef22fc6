"""Compile every kernel into the cache: `python -m botd.engine.warm`, part of set-up."""

from __future__ import annotations

import numpy as np

from botd.engine.engine import InstrumentEngine
from botd.engine.fills import NEVER, first_touch
from botd.engine.flags import OutlierFlags
from botd.engine.layout import N_INPUT
from botd.engine.machine import RuleMachines
from botd.engine.timers import TimerSource
from botd.language.program import compile_program


def main() -> None:
    """Call each entry kernel once with the types that the daemon and the backtest use."""
    engine = InstrumentEngine(compile_program(()), tick=1.0, lot=1.0)
    base = engine.append(np.ones((N_INPUT, 1), np.int64))
    flags = OutlierFlags(sigma=3.0, window_us=1, confirm_us=1, block_max=engine.block_max)
    machines = RuleMachines(engine, confidence_min=0.5, flags=flags)
    machines.new_block(base, 1)
    machines.scan(0, 1, base)
    TimerSource().extend(np.ones((N_INPUT, 1), np.int64), 1)
    first_touch(engine.ring, base, base + 1, NEVER, 0, NEVER, 0, NEVER)


if __name__ == "__main__":
    main()
