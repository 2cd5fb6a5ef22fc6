"""The closed unions of the core: what the venue says, what the bot asks, what is recorded.

Quantities are whole lots and prices whole ticks of the instrument; amounts of money are Decimal in
its quote currency; times are int microseconds UTC of event time.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import NewType

from botd.core.instrument import InstrumentId
from botd.core.values import value

ClientOrderId = NewType("ClientOrderId", str)


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class Section(StrEnum):
    S1 = "S1"
    O1 = "O1"
    Z1 = "Z1"
    ZE1 = "ZE1"
    E1 = "E1"
    PROTECT = "protect"
    MANUAL = "manual"  # a person, a shutdown policy
    EXTERNAL = "external"  # nothing of ours: a person at the venue, the venue itself


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP_MARKET = "stop_market"


class TimeInForce(StrEnum):
    GTC = "gtc"
    IOC = "ioc"


@value(frozen=True, slots=True)
class DecisionKey:
    """What makes a decision unique within its session."""

    strategy: str
    instrument: InstrumentId
    cycle: int
    section: Section
    rule: str  # the rule's name; "" where the section has one rule
    leg: int = 0  # 0, then +1 each time a remainder is asked again

    def __str__(self) -> str:
        return f"{self.strategy}|{self.instrument}|{self.cycle}|{self.section}|{self.rule}|{self.leg}"


# ---- commands: bot -> venue -------------------------------------------------------------------


@value(frozen=True, slots=True)
class SubmitOrder:
    """Ask the venue for an order. Committed before it is sent, sent once."""

    client_order_id: ClientOrderId
    key: DecisionKey
    instrument: InstrumentId
    side: Side
    type: OrderType
    tif: TimeInForce
    qty: int  # lots, positive
    ts_us: int  # row time of the decision
    limit: int | None = None  # ticks
    stop: int | None = None  # ticks, STOP_MARKET only
    reduce_only: bool = False
    expire_us: int | None = None  # GTC orders: event time at which the venue drops it


@value(frozen=True, slots=True)
class CancelOrder:
    client_order_id: ClientOrderId
    instrument: InstrumentId
    ts_us: int


@value(frozen=True, slots=True)
class AmendOrder:
    """Change a resting stop to what is held now, and to its average entry."""

    client_order_id: ClientOrderId
    instrument: InstrumentId
    qty: int
    ts_us: int
    stop: int | None = None  # ticks; None leaves the price


Command = SubmitOrder | CancelOrder | AmendOrder

# ---- answers: venue -> bot --------------------------------------------------------------------


@value(frozen=True, slots=True)
class OrderAccepted:
    seq: int  # the venue's own event number, rising by one
    client_order_id: ClientOrderId
    ts_us: int


@value(frozen=True, slots=True)
class OrderRejected:
    seq: int
    client_order_id: ClientOrderId
    reason: str
    ts_us: int


@value(frozen=True, slots=True)
class FeeTaken:
    """A fee that was not taken in the quote currency, as the venue took it."""

    amount: Decimal  # of the currency, positive is a cost
    currency: str


@value(frozen=True, slots=True)
class OrderFilled:
    """One execution. `trade_id` is unique at the venue; a second copy is dropped."""

    seq: int
    client_order_id: ClientOrderId
    trade_id: str
    price: int  # ticks
    qty: int  # lots, positive
    fee: Decimal  # quote currency, positive is a cost
    maker: bool
    ts_us: int
    taken: FeeTaken | None = None  # `fee` is what it is worth, 0 where nobody has said so


@value(frozen=True, slots=True)
class OrderEnded:
    """The order is over with a remainder: canceled on request or expired (IOC, time to live)."""

    seq: int
    client_order_id: ClientOrderId
    canceled: bool  # False: expired
    reason: str
    ts_us: int


@value(frozen=True, slots=True)
class OrderAmended:
    seq: int
    client_order_id: ClientOrderId
    qty: int
    ts_us: int
    stop: int | None = None  # ticks; None: as it was


@value(frozen=True, slots=True)
class RequestRefused:
    """A cancel or an amendment came too late or named an unknown order; the order is untouched."""

    seq: int
    client_order_id: ClientOrderId
    reason: str
    ts_us: int


@value(frozen=True, slots=True)
class OrderInDoubt:
    """A request got no clear answer: whether the order came, or is over, is not known for now."""

    seq: int
    client_order_id: ClientOrderId
    reason: str
    ts_us: int


@value(frozen=True, slots=True)
class OrderNeverArrived:
    """The venue never had the order and can no longer accept it; `reason` is the evidence."""

    seq: int
    client_order_id: ClientOrderId
    reason: str
    ts_us: int


@value(frozen=True, slots=True)
class OrderNeedsHuman:
    """The venue had the order once and shows it no more: what became of it only a person can find out."""

    seq: int
    client_order_id: ClientOrderId
    reason: str
    ts_us: int


OrderAnswer = (
    OrderAccepted
    | OrderRejected
    | OrderFilled
    | OrderEnded
    | OrderAmended
    | RequestRefused
    | OrderInDoubt
    | OrderNeverArrived
    | OrderNeedsHuman
)


@value(frozen=True, slots=True)
class ExternalFill:
    """An execution on our account that no order of ours asked for."""

    seq: int
    client_order_id: ClientOrderId  # what the venue names, empty for nothing
    instrument: InstrumentId
    trade_id: str
    side: Side
    price: int  # ticks
    qty: int  # lots, positive
    fee: Decimal  # quote currency, positive is a cost
    liquidation: bool  # by the venue, not by a person
    ts_us: int
    taken: FeeTaken | None = None  # as of an order's fill


@value(frozen=True, slots=True)
class TradeBusted:
    """The venue has taken an execution on our account back; its terms are those of the fill."""

    seq: int
    client_order_id: ClientOrderId  # as of the fill, empty for nothing
    instrument: InstrumentId
    trade_id: str
    side: Side
    price: int  # ticks
    qty: int  # lots, positive
    fee: Decimal  # quote currency, which is given back
    booked: bool  # the fill was told before
    ts_us: int  # when it was taken back
    taken: FeeTaken | None = None


@value(frozen=True, slots=True)
class VenueNotice:
    """What a person has to know about the venue or our standing with it."""

    seq: int
    severity: str  # medium | high | critical
    kind: str
    text: str
    ts_us: int
    client_order_id: ClientOrderId | None = None  # the order it is about, where it is about one


@value(frozen=True, slots=True)
class VenueBan:
    """The venue wants to hear nothing from this account for a while, cancels included."""

    seq: int
    until_us: int  # as far as we know the venue's time
    for_us: int  # how long that was, which no wrong clock makes longer
    reason: str
    ts_us: int


@value(frozen=True, slots=True)
class TermsSeen:
    """What margin mode and leverage an instrument has at the venue; what is seen first is right."""

    seq: int
    instrument: InstrumentId
    terms: str  # as the venue says it, such as "cross 10x"
    ts_us: int


AccountAnswer = ExternalFill | TradeBusted | VenueNotice | VenueBan | TermsSeen
Answer = OrderAnswer | AccountAnswer
