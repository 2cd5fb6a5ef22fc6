"""Bounds on what is ever sent, whatever the files say. Who meets one has a runaway: trading halts.

They stand far beyond what a sound strategy does, and no setting switches them off.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from botd.core.desk import Desk
from botd.core.instrument import InstrumentId
from botd.core.outcomes import DenyReason
from botd.core.restraint import Cause, TradingCommand, Verb
from botd.core.risk import Denial

ENTRIES_PER_MINUTE: Final = 120
LIVE_ORDERS_PER_INSTRUMENT: Final = 30
TURNOVER_PER_HOUR: Final = 100  # notional of entries, in multiples of the equity
HOUR_US: Final = 3_600_000_000
_MILLION: Final = 1_000_000


def over_cap(
    desk: Desk, instrument: InstrumentId, notional: Decimal, equity: Decimal, ts_us: int
) -> Denial | None:
    """Return why an entry that risk approved is beyond what is ever sent, or None.

    What passes counts. `notional` and `equity` are in the instrument's quote currency.
    """
    turnover = desk.turnover
    while turnover and turnover[0][0] <= ts_us - HOUR_US:
        desk.turnover_ppm -= turnover.popleft()[1]
    ppm = int(notional * _MILLION / equity)
    if len(desk.submitted_us) >= ENTRIES_PER_MINUTE:
        return _denial(ENTRIES_PER_MINUTE, Decimal(len(desk.submitted_us) + 1))
    if desk.turnover_ppm + ppm > TURNOVER_PER_HOUR * _MILLION:
        return _denial(TURNOVER_PER_HOUR, Decimal(desk.turnover_ppm + ppm) / _MILLION)
    live = desk.orders.live_on(instrument)
    if live >= LIVE_ORDERS_PER_INSTRUMENT:
        return _denial(LIVE_ORDERS_PER_INSTRUMENT, Decimal(live + 1))
    turnover.append((ts_us, ppm))
    desk.turnover_ppm += ppm
    return None


def _denial(cap: int, actual: Decimal) -> Denial:
    return Denial(DenyReason.RATE_CAP, Decimal(cap), actual)


def halt_over(denial: Denial) -> TradingCommand:
    """Return the halt that meeting a cap is."""
    reason = f"an entry would be {denial.actual} where botd never sends more than {denial.limit}"
    return TradingCommand(verb=Verb.HALT, cause=Cause.RATE_CAP, who="botd", reason=reason)
