"""What the bot records, in the order it happened. One record is one row of the state file.

`seq` rises by one over all records of a session, so the order of decisions is the order of `seq`.
`row` is the instrument's row number in the session (market and timer rows, from 0); `ts_us` its time.
Records marked (decision) make a line of `botd decisions`.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from botd.core.events import ClientOrderId, DecisionKey, OrderType, Section, Side, TimeInForce
from botd.core.instrument import Instrument, InstrumentId
from botd.core.money import average_price
from botd.core.restraint import Cause, TradingState, Verb
from botd.core.values import value


class OrderStatus(StrEnum):
    INTENT = "intent"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    NEVER_ARRIVED = "never_arrived"
    DENIED = "denied"


class DenyReason(StrEnum):
    """Why risk refused an intent, or sizing came to nothing."""

    SIZE_ZERO = "size_zero"
    SIZE_TOO_LARGE = "size_too_large"
    BELOW_MIN_NOTIONAL = "below_min_notional"
    PRICE_UNKNOWN = "price_unknown"
    DATA_UNCONFIRMED = "data_unconfirmed"
    POSITION_UNEXPLAINED = "position_unexplained"
    TRADING_HALTED = "trading_halted"
    TRADING_REDUCING = "trading_reducing"
    POSITIONS_MAX = "positions_max"
    POSITION_MAX = "position_max"
    SYMBOL_EXPOSURE_MAX = "symbol_exposure_max"
    TOTAL_EXPOSURE_MAX = "total_exposure_max"
    LEVERAGE_MAX = "leverage_max"
    CONCENTRATION_MAX = "concentration_max"
    MARGIN_USE_MAX = "margin_use_max"
    DAILY_LOSS_MAX = "daily_loss_max"
    DRAWDOWN_MAX = "drawdown_max"
    EQUITY_MIN = "equity_min"
    BALANCE = "balance"
    LOSING_STREAK_MAX = "losing_streak_max"
    ORDERS_PER_MINUTE = "orders_per_minute"
    REJECTS_IN_A_ROW = "rejects_in_a_row"  # in older state files: it is a halt now
    SHORT_ON_SPOT = "short_on_spot"


@value(frozen=True, slots=True)
class SignalRecord:
    """A section came true (decision)."""

    seq: int
    strategy: str
    instrument: InstrumentId
    section: Section
    rule: str
    cycle: int
    row: int
    ts_us: int
    side: Side  # the side of the order that would follow
    price: Decimal  # last price at the row
    confidence: float | None  # S1 only
    values: tuple[tuple[str, float], ...]  # named values at the row; NaN where not ready
    acted: bool  # False: below confidence_min, recorded only
    reason: str = ""  # O1: "when" or "after"; protect: which


class Keyed:
    """What a record takes from the key of its decision."""

    __slots__ = ()
    key: DecisionKey

    @property
    def strategy(self) -> str:
        return self.key.strategy

    @property
    def instrument(self) -> InstrumentId:
        return self.key.instrument

    @property
    def section(self) -> Section:
        return self.key.section

    @property
    def rule(self) -> str:
        return self.key.rule

    @property
    def cycle(self) -> int:
        return self.key.cycle

    @property
    def leg(self) -> int:
        return self.key.leg


@value(frozen=True, slots=True)
class IntentRecord(Keyed):
    """A request, unchecked, with the sizing it was made from (decision)."""

    seq: int
    key: DecisionKey
    row: int
    ts_us: int
    side: Side
    qty: Decimal
    price: Decimal  # the price the size was made from
    sizing: str  # the arithmetic, for people: "kelly: 1 BTC x 0.25 x 0.62 ..."


@value(frozen=True, slots=True)
class RiskRecord:
    """What risk said to an intent (decision)."""

    seq: int
    intent_seq: int
    strategy: str
    instrument: InstrumentId
    row: int
    ts_us: int
    approved: bool
    reason: DenyReason | None
    limit: Decimal | None
    actual: Decimal | None
    cause: Cause | None = None  # of the halt or hold that denied it
    since_us: int | None = None


@value(frozen=True, slots=True)
class OrderRecord(Keyed):
    """An order as it was submitted (decision)."""

    seq: int
    client_order_id: ClientOrderId
    intent_seq: int | None
    key: DecisionKey
    row: int
    ts_us: int
    side: Side
    type: OrderType
    tif: TimeInForce
    qty: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    reduce_only: bool
    decision_price: Decimal  # the top it was decided at, for slippage


@value(frozen=True, slots=True)
class OrderUpdate:
    """An order's new state; not a decision, it updates the order's row.

    Whole lots and tick-lots, as the order table keeps them: most updates are overtaken before anyone
    reads their amounts.
    """

    seq: int
    client_order_id: ClientOrderId
    status: OrderStatus
    in_doubt: bool
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
class FillRecord(Keyed):
    """One execution of our order (decision)."""

    seq: int
    client_order_id: ClientOrderId
    trade_id: str
    key: DecisionKey
    ts_us: int
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal
    maker: bool
    realized_pnl: Decimal  # of this fill, without fee; 0 for entries


@value(frozen=True, slots=True)
class TradeRecord:
    """One round trip, from first fill to flat (decision)."""

    seq: int
    strategy: str
    instrument: InstrumentId
    cycle: int
    side: str  # long | short
    qty: Decimal  # largest held
    entry_price: Decimal  # average, quantized to 1e-12
    exit_price: Decimal
    opened_us: int
    closed_us: int
    realized_pnl: Decimal  # without fees
    fees: Decimal
    exit_section: Section
    exit_rule: str
    confidence: float | None


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
    unrealized_pnl: Decimal
    equity: Decimal
    exposure_gross: Decimal
    peak_equity: Decimal
    drawdown: Decimal
    positions_count: int


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


Record = (
    SignalRecord
    | IntentRecord
    | RiskRecord
    | OrderRecord
    | OrderUpdate
    | FillRecord
    | TradeRecord
    | PositionUpdate
    | PortfolioSnapshot
    | AlertRecord
    | TradingStateRecord
)
