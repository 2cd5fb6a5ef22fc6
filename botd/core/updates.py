"""What has become of orders, positions, the account and trading itself, as records in the order it happened.

No decisions: a second run may find other times and ids for the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from botd.core.events import ClientOrderId
from botd.core.instrument import Instrument, InstrumentId
from botd.core.money import EXACT, ZERO, average_price
from botd.core.outcomes import OrderStatus
from botd.core.restraint import BEGINS, Cause, Restraint, TradingState, Verb
from botd.core.values import value

_RATIO_STEP: Final = Decimal("1e-12")
_ONE: Final = Decimal(1)


@value(frozen=True, slots=True)
class OrderUpdate:
    """An order's new state; not a decision, it updates the order's row."""

    seq: int
    client_order_id: ClientOrderId
    status: OrderStatus
    in_doubt: bool
    needs_human: bool
    lots: int  # the whole order
    filled_lots: int
    cost: int  # tick-lots of what has filled
    fee: Decimal
    reason: str
    ts_us: int
    traded: Instrument

    @property
    def qty(self) -> Decimal:
        return self.traded.qty(self.lots)

    @property
    def filled_qty(self) -> Decimal:
        return self.traded.qty(self.filled_lots)

    @property
    def avg_price(self) -> Decimal | None:
        """Return the average price of what has filled, None where nothing has."""
        filled = self.filled_lots
        return average_price(self.cost, filled, self.traded.tick_size) if filled else None


@value(frozen=True, slots=True)
class PositionUpdate:
    """A strategy's position on an instrument after a change, in whole lots and tick-lots."""

    seq: int
    strategy: str
    traded: Instrument
    cycle: int
    sign: int  # +1 long, -1 short
    lots: int  # held, never negative; 0 is flat
    basis_lots: int  # what the entry price is of: all that is held, or all entries once flat
    basis_cost: int  # tick-lots
    realized: int  # tick-lots of this position so far, without fees
    fees: Decimal
    opened_us: int
    ts_us: int

    @property
    def instrument(self) -> InstrumentId:
        return self.traded.id

    @property
    def side(self) -> str:
        """Return `long` or `short`."""
        return "long" if self.sign > 0 else "short"

    @property
    def qty(self) -> Decimal:
        """Return the signed quantity; 0 is flat."""
        return self.traded.qty(self.sign * self.lots)

    @property
    def entry_price(self) -> Decimal:
        return average_price(self.basis_cost, self.basis_lots, self.traded.tick_size)

    @property
    def realized_pnl(self) -> Decimal:
        return self.traded.money(self.realized)


@value(frozen=True, slots=True)
class PortfolioSnapshot:
    """The account at an hour, when a trade has closed, or at the end."""

    seq: int
    ts_us: int
    currency: str
    balance: Decimal  # cash: start + realized PnL - fees
    equity: Decimal
    exposure_gross: Decimal
    peak_equity: Decimal
    positions_count: int

    @property
    def unrealized_pnl(self) -> Decimal:
        return self.equity - self.balance

    @property
    def drawdown(self) -> Decimal:
        """Return how far the equity is below its peak, a ratio to 1e-12; 1 below a peak of nothing."""
        fall = self.peak_equity - self.equity
        if not fall or self.peak_equity <= 0:
            return _ONE if fall else ZERO
        return EXACT.divide(fall, self.peak_equity).quantize(_RATIO_STEP, ROUND_HALF_EVEN, EXACT)


@value(frozen=True, slots=True, kw_only=True)
class AlertRecord:
    seq: int
    ts_us: int
    severity: str  # critical | high | medium
    type: str
    message: str
    strategy: str | None = None
    instrument: InstrumentId | None = None


@value(frozen=True, slots=True, kw_only=True)
class TradingStateRecord:
    """A halt or a hold began, or was lifted. What stands is what began and was not lifted."""

    seq: int
    ts_us: int
    scope: str  # account
    verb: Verb
    state: TradingState  # of the scope, after it
    cause: Cause
    who: str
    reason: str
    since_us: int  # when the restraint that began or was lifted began


@value(frozen=True, slots=True)
class UntoldTrade:
    """A closed trade that is in the books, and of which nobody may have heard."""

    seq: int
    ts_us: int
    strategy: str
    instrument: InstrumentId
    net: Decimal  # after fees
    grounds: str


@value(frozen=True, slots=True)
class UntoldAlert:
    """An alert of that kind."""

    seq: int
    ts_us: int
    severity: str
    type: str
    message: str


Untold = UntoldTrade | UntoldAlert


def standing(records: Iterable[TradingStateRecord]) -> tuple[Restraint, ...]:
    """Return what stands after these records of one session, oldest first."""
    found: dict[tuple[TradingState, Cause, str], Restraint] = {}
    for one in records:
        state = BEGINS.get(one.verb)
        if state is not None:
            found[state, one.cause, one.scope] = Restraint(
                state=state,
                cause=one.cause,
                who=one.who,
                reason=one.reason,
                since_us=one.since_us,
                scope=one.scope,
            )
        else:
            lifted = TradingState.HALTED if one.verb is Verb.RESUME else TradingState.REDUCING
            found.pop((lifted, one.cause, one.scope), None)
    return tuple(found.values())
