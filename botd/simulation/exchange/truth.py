"""What truly happened at the venue, for checks to read. The daemon never sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final

from botd.core.events import Side, SubmitOrder
from botd.core.instrument import InstrumentId
from botd.core.values import value
from botd.ports import OrderState, VenueFill

ACCEPTED: Final = "accepted"
UNPROCESSED: Final = "unprocessed"  # reached the venue's front and went no further


@value(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A request for an order that reached the venue; times are the venue's, microseconds."""

    order: SubmitOrder
    process: str  # the label of who sent it
    sent_us: int
    arrived_us: int
    decided_us: int  # when the venue accepted or refused it
    outcome: str  # ACCEPTED, UNPROCESSED, or the name of the error that refused it


@value(frozen=True, slots=True, kw_only=True)
class Flow:
    """A deposit, or a withdrawal where the amount is negative."""

    currency: str
    amount: Decimal
    ts_us: int


@value(frozen=True, slots=True, kw_only=True)
class BannedCall:
    """A request that arrived while the venue wanted none."""

    process: str
    sent_us: int
    told_us: int | None  # when this process first heard of the ban, None where it had not
    first_told_us: int | None  # when any process did


@value(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A part of the record, from what is over."""

    arrivals: list[Arrival]
    fills: list[VenueFill]
    ended: dict[str, OrderState]  # how orders ended, by client order id
    sent: Counter[str]
    orders: Counter[str]


class Truth:
    """The record that the venue keeps of itself."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()  # requests for an order made, per client order id; B7
        self.arrivals: list[Arrival] = []
        self.orders: Counter[str] = Counter()  # orders accepted, per client order id; more than 1 breaks S1
        self.fills: list[VenueFill] = []
        self.busts: list[VenueFill] = []  # those of them that were taken back, at the time of that
        self.positions: dict[InstrumentId, int] = {}  # signed lots, everything counted
        self.own_positions: dict[
            InstrumentId, int
        ] = {}  # by orders with a client order id, as far as nobody else closed it
        self.peaks: dict[InstrumentId, int] = {}  # the most lots ever held, either way
        self.own_peaks: dict[InstrumentId, int] = {}
        self.flows: list[Flow] = []
        self.banned_calls: list[BannedCall] = []
        self.limited_calls = 0  # made within a 429's time to wait, its first not counted

        self.misled: list[tuple[str, int]] = []  # entries accepted in a wrong mode, and after how long; E6

    def add_fill(self, fill: VenueFill) -> None:
        """Take a fill into the record."""
        self.fills.append(fill)
        signed = fill.qty if fill.side is Side.BUY else -fill.qty
        _move(self.positions, self.peaks, fill.instrument, signed)
        if fill.client_order_id:
            _move(self.own_positions, self.own_peaks, fill.instrument, signed)
        else:
            self._close_own(fill.instrument, signed)

    def take_old(self, before_us: int, ended: dict[str, OrderState], keeps: Callable[[str], bool]) -> Chapter:
        """Part with what was over before a time; `keeps` says of a client order id that it stays.

        What was sent or accepted twice stays too: nobody may overlook it.
        """
        arrivals, fills = self.arrivals, self.fills
        old = [one for one in arrivals if one.decided_us < before_us and not keeps(one.order.client_order_id)]
        gone = {id(one) for one in old}
        self.arrivals = [one for one in arrivals if id(one) not in gone]
        self.fills = [one for one in fills if one.ts_us >= before_us]
        names = {str(one.order.client_order_id) for one in old}
        return Chapter(
            arrivals=old,
            fills=[one for one in fills if one.ts_us < before_us],
            ended=ended,
            sent=_take_single(self.sent, names),
            orders=_take_single(self.orders, names),
        )

    def take_back(self, chapter: Chapter) -> None:
        """Have a part of the record again."""
        self.arrivals += chapter.arrivals
        self.fills += chapter.fills
        self.sent += chapter.sent
        self.orders += chapter.orders

    def add_bust(self, bust: VenueFill) -> None:
        """Take into the record that a fill was taken back; what it made of peaks it did make."""
        self.busts.append(bust)
        signed = -bust.qty if bust.side is Side.BUY else bust.qty
        self.positions[bust.instrument] += signed
        self._close_own(bust.instrument, signed)

    def _close_own(self, instrument: InstrumentId, signed: int) -> None:
        """Have what others did close what our orders hold, and never add to it or turn it."""
        held = self.own_positions.get(instrument, 0)
        if held * signed < 0:
            self.own_positions[instrument] = held + signed if abs(signed) < abs(held) else 0

    def doubled(self) -> list[str]:
        """Return the client order ids that have more than one order."""
        return [name for name, count in self.orders.items() if count > 1]

    def filled(self, client_order_id: str) -> int:
        """Return the lots filled under a client order id."""
        return sum(fill.qty for fill in self.fills if fill.client_order_id == client_order_id)

    def entries(self) -> Iterator[Arrival]:
        """Yield what arrived and may add risk: requests for orders that are not reduce-only."""
        return (arrival for arrival in self.arrivals if not arrival.order.reduce_only)

    def defied_bans(self) -> int:
        """Count the calls that a process made after it had itself been told of the ban."""
        return sum(call.told_us is not None and call.sent_us > call.told_us for call in self.banned_calls)


def _take_single(counts: Counter[str], names: set[str]) -> Counter[str]:
    """Take out what was counted once."""
    single = Counter({name: 1 for name in names if counts[name] == 1})
    for name in single:
        del counts[name]
    return single


def _move(
    held: dict[InstrumentId, int], peaks: dict[InstrumentId, int], instrument: InstrumentId, signed: int
) -> None:
    lots = held[instrument] = held.get(instrument, 0) + signed
    if abs(lots) > peaks.get(instrument, 0):
        peaks[instrument] = abs(lots)
