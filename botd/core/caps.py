"""Bounds on what is ever sent, whatever the files say. Who meets one has a runaway: trading halts.

They stand far beyond what a sound strategy does, and no setting switches them off.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from botd.core.desk import Desk
from botd.core.lanes import Lane
from botd.core.outcomes import DenyReason
from botd.core.restraint import Cause, TradingCommand, Verb
from botd.core.risk import Denial

ENTRIES_PER_MINUTE: Final = 120
LIVE_ORDERS_PER_INSTRUMENT: Final = 30
TURNOVER_PER_HOUR: Final = 100  # notional of entries, in multiples of the equity, from one hour to the next
HOUR_US: Final = 3_600_000_000


def over_cap(desk: Desk, lane: Lane, tick_lots: int, equity: Decimal, ts_us: int) -> Denial | None:
    """Return why an entry that risk approved is beyond what is ever sent, or None.

    What passes counts. `tick_lots` is its price times its quantity, `equity` in the quote currency.
    """
    if ts_us >= desk.turnover_until_us:
        desk.turnover, desk.turnover_until_us = 0.0, ts_us + HOUR_US
    turnover = desk.turnover + tick_lots * lane.tick_lot_value / float(equity)
    if turnover > TURNOVER_PER_HOUR:
        return _denial(TURNOVER_PER_HOUR, Decimal(turnover))
    if len(desk.submitted_us) >= ENTRIES_PER_MINUTE:
        return _denial(ENTRIES_PER_MINUTE, Decimal(len(desk.submitted_us) + 1))
    if desk.orders.live_count >= LIVE_ORDERS_PER_INSTRUMENT:
        live = desk.orders.live_on(lane.instrument.id)
        if live >= LIVE_ORDERS_PER_INSTRUMENT:
            return _denial(LIVE_ORDERS_PER_INSTRUMENT, Decimal(live + 1))
    desk.turnover = turnover
    return None


def _denial(cap: int, actual: Decimal) -> Denial:
    return Denial(DenyReason.RATE_CAP, Decimal(cap), actual)


def halt_over(denial: Denial) -> TradingCommand:
    """Return the halt that meeting a cap is."""
    reason = f"an entry would be {denial.actual} where botd never sends more than {denial.limit}"
    return TradingCommand(verb=Verb.HALT, cause=Cause.RATE_CAP, who="botd", reason=reason)
