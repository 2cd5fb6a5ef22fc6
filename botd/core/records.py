"""What the bot records, in the order it happened. One record is one row of the state file.

`seq` rises by one over all records of a session, so the order of decisions is the order of `seq`.
`row` is the instrument's row number in the session (market and timer rows, from 0); `ts_us` its time.
Records marked (decision) make a line of `botd decisions`.

What an order leaves behind is kept in whole lots and ticks, as the core has it: the amounts are made when
somebody reads them, which most are by the thread that writes.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from botd.core.events import (
    ClientOrderId,
    DecisionKey,
    OrderFilled,
    OrderType,
    Section,
    Side,
    SubmitOrder,
    TimeInForce,
)
from botd.core.instrument import Instrument, InstrumentId
from botd.core.outcomes import DenyReason
from botd.core.portfolio import Position
from botd.core.restraint import Cause
from botd.core.risk import Check
from botd.core.updates import AlertRecord, OrderUpdate, PortfolioSnapshot, PositionUpdate, TradingStateRecord
from botd.core.values import value


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
    revision: str | None = None  # of the rules that said so


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
    lots: int
    ticks: int  # the price the size was made from
    sizing: str  # the arithmetic, for people: "kelly: 1 BTC x 0.25 x 0.62 ..."
    traded: Instrument

    @property
    def qty(self) -> Decimal:
        return self.traded.qty(self.lots)

    @property
    def price(self) -> Decimal:
        return self.traded.price(self.ticks)


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
    checks: tuple[Check, ...] = ()  # of every limit that could be asked, the denying one among them


@value(frozen=True, slots=True)
class OrderRecord(Keyed):
    """An order as it was submitted (decision)."""

    seq: int
    key: DecisionKey
    command: SubmitOrder
    intent_seq: int | None
    row: int
    ticks: int  # the top it was decided at, for slippage
    traded: Instrument
    revision: str | None = None  # of the rules that decided it

    @property
    def client_order_id(self) -> ClientOrderId:
        return self.command.client_order_id

    @property
    def ts_us(self) -> int:
        return self.command.ts_us

    @property
    def side(self) -> Side:
        return self.command.side

    @property
    def type(self) -> OrderType:
        return self.command.type

    @property
    def tif(self) -> TimeInForce:
        return self.command.tif

    @property
    def qty(self) -> Decimal:
        return self.traded.qty(self.command.qty)

    @property
    def limit_price(self) -> Decimal | None:
        limit = self.command.limit
        return None if limit is None else self.traded.price(limit)

    @property
    def stop_price(self) -> Decimal | None:
        stop = self.command.stop
        return None if stop is None else self.traded.price(stop)

    @property
    def reduce_only(self) -> bool:
        return self.command.reduce_only

    @property
    def decision_price(self) -> Decimal:
        return self.traded.price(self.ticks)


BUST: Final = "bust-"  # how the trade id begins of a fill that takes another back


@value(frozen=True, slots=True)
class FillRecord(Keyed):
    """One execution of our order (decision)."""

    seq: int
    key: DecisionKey
    side: Side
    fill: OrderFilled
    realized_pnl: Decimal  # of this fill, without fee; 0 for entries
    traded: Instrument

    @property
    def client_order_id(self) -> ClientOrderId:
        return self.fill.client_order_id

    @property
    def trade_id(self) -> str:
        return self.fill.trade_id

    @property
    def ts_us(self) -> int:
        return self.fill.ts_us

    @property
    def qty(self) -> Decimal:
        return self.traded.qty(self.fill.qty)

    @property
    def price(self) -> Decimal:
        return self.traded.price(self.fill.price)

    @property
    def fee(self) -> Decimal:
        return self.fill.fee

    @property
    def maker(self) -> bool:
        return self.fill.maker

    @property
    def fee_paid(self) -> Decimal | None:
        """Return the fee as the venue took it, None where that was in the quote currency."""
        return self.fill.taken.amount if self.fill.taken is not None else None

    @property
    def fee_currency(self) -> str | None:
        return self.fill.taken.currency if self.fill.taken is not None else None

    @property
    def reverses(self) -> str | None:
        """Return the trade id of the fill that this one takes back, None for any other."""
        is_bust = self.section is Section.EXTERNAL and self.rule == "bust"
        return self.trade_id.partition(":")[2] if is_bust else None


@value(frozen=True, slots=True)
class TradeRecord:
    """One round trip, from first fill to flat (decision)."""

    seq: int
    position: Position  # flat, and nobody's to change any more
    closed_us: int
    exit_section: Section
    exit_rule: str
    traded: Instrument

    @property
    def strategy(self) -> str:
        return self.position.strategy

    @property
    def instrument(self) -> InstrumentId:
        return self.position.instrument

    @property
    def cycle(self) -> int:
        return self.position.cycle

    @property
    def side(self) -> str:
        """Return `long` or `short`."""
        return self.position.side

    @property
    def qty(self) -> Decimal:
        """Return the most that was held at one time."""
        return self.traded.qty(self.position.qty_max)

    @property
    def entry_price(self) -> Decimal:
        return self.position.entry_price(self.traded.tick_size)

    @property
    def exit_price(self) -> Decimal:
        return self.position.exit_price(self.traded.tick_size)

    @property
    def opened_us(self) -> int:
        return self.position.opened_us

    @property
    def realized_pnl(self) -> Decimal:
        """Return the profit without fees."""
        return self.traded.money(self.position.realized)

    @property
    def fees(self) -> Decimal:
        return self.position.fees

    @property
    def confidence(self) -> float | None:
        return self.position.confidence

    @property
    def revision(self) -> str | None:
        """Return that of the entry order that opened it."""
        return self.position.revision


@value(frozen=True, slots=True)
class MarketBar:
    """A minute of a market as it stands, in whole ticks and lots; for screens, no decision reads it.

    Input that comes in longer bars keeps their length.
    """

    traded: Instrument
    open_us: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    feed_position: int  # every row of the feed before it is in the bar


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
