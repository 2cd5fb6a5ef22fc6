"""Rows, orders and a driver that the venue's tests share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from botd.core.events import (
    AmendOrder,
    Answer,
    CancelOrder,
    ClientOrderId,
    Command,
    DecisionKey,
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    OrderFilled,
    OrderRejected,
    OrderType,
    RequestRefused,
    Section,
    Side,
    SubmitOrder,
    TimeInForce,
)
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.settings import PaperSettings
from botd.engine.layout import (
    ASK,
    ASZ,
    BID,
    BSZ,
    HIGH,
    KIND,
    LOW,
    N_COLUMNS,
    OPEN,
    P,
    RowKind,
    T,
)
from botd.venues.book import SqliteVenueBook
from botd.venues.simulated import SimulatedVenue

D = Decimal
MS = 1_000
SECOND = 1_000_000
MINUTE = 60 * SECOND

SPOT = Instrument(
    id=InstrumentId("X/USDT"),
    kind=InstrumentKind.SPOT,
    base="X",
    quote="USDT",
    tick_size=D("0.01"),
    lot_size=D("0.1"),  # one tick-lot is 0.001 USDT
    min_notional=D(5),
    taker_fee=D("0.001"),
    maker_fee=D("0.0008"),
)
PERP = Instrument(
    id=InstrumentId("X/USDT:USDT"),
    kind=InstrumentKind.PERPETUAL,
    base="X",
    quote="USDT",
    tick_size=D("0.01"),
    lot_size=D("0.1"),
    taker_fee=D("0.0005"),
    maker_fee=D("0.0002"),
    leverage=D(4),
)
BALANCES = {"USDT": D(1000)}
NO_LATENCY = PaperSettings(latency_min_us=0, latency_max_us=0)

Row = Mapping[int, int]


def trade(
    t: int, price: int, *, bid: int | None = None, ask: int | None = None, bsz: int = 0, asz: int = 0
) -> Row:
    """Make a print; the top stands one tick around it where it is not given."""
    return {
        T: t,
        KIND: RowKind.TRADE,
        P: price,
        BID: price - 1 if bid is None else bid,
        ASK: price + 1 if ask is None else ask,
        BSZ: bsz,
        ASZ: asz,
    }


def book(t: int, price: int, bid: int, ask: int, *, bsz: int = 0, asz: int = 0) -> Row:
    """Make a top of book; `price` is the last print's, carried on."""
    return {T: t, KIND: RowKind.BOOK, P: price, BID: bid, ASK: ask, BSZ: bsz, ASZ: asz}


def bar(t: int, open_: int, high: int, low: int, close: int) -> Row:
    """Make a bar that closes at t."""
    return {T: t, KIND: RowKind.BAR, OPEN: open_, HIGH: high, LOW: low, P: close, BID: close, ASK: close}


def ring_of(rows: Sequence[Row]) -> NDArray[np.int64]:
    ring = np.zeros((N_COLUMNS, len(rows)), np.int64)
    for index, row in enumerate(rows):
        for column, value in row.items():
            ring[column, index] = value
    return ring


class Stand:
    """One venue over hand-made rows of one instrument, driven row by row as the loop does it."""

    def __init__(
        self,
        rows: Sequence[Row],
        *,
        instrument: Instrument = SPOT,
        settings: PaperSettings = NO_LATENCY,
        balances: Mapping[str, Decimal] = BALANCES,
        keep: SqliteVenueBook | None = None,
    ) -> None:
        self.ring = ring_of(rows)
        self.instrument = instrument
        bars_only = all(row[KIND] == RowKind.BAR for row in rows)
        self.venue = SimulatedVenue([instrument], settings, balances=balances, bars_only=bars_only, book=keep)
        self.row = 0  # next row
        self.requests = 0

    def send(self, *commands: Command) -> None:
        for command in commands:
            self.requests += 1
            self.venue.send(self.requests, command)
        self.venue.save()

    def run(self, until: int | None = None) -> list[Answer]:
        """Execute everything that is due up to and including row `until`, all rows by default."""
        stop = self.ring.shape[1] if until is None else until + 1
        answers: list[Answer] = []
        while self.row < stop:
            now = int(self.ring[T, self.row])
            name = self.instrument.id
            answers += self.venue.take_waiting(self.row)
            answers += self.venue.execute(name, self.ring, 0, self.row, now, self.row, own=True)
            self.row += 1
        return answers

    def drain(self) -> list[Answer]:
        return self.venue.drain(self.instrument.id, self.ring, 0, self.row, self.row)


def order(
    name: str,
    side: Side,
    qty: int,
    *,
    t: int = 0,
    limit: int | None = None,
    stop: int | None = None,
    market: bool = False,
    expire: int | None = None,
    strategy: str = "s",
    reduce: bool = False,
    instrument: Instrument = SPOT,
    cycle: int = 1,
) -> SubmitOrder:
    """Make an order: a stop with `stop`, a resting limit with `limit`, else at market."""
    kind = OrderType.MARKET
    if stop is not None:
        kind = OrderType.STOP_MARKET
    elif limit is not None and not market:
        kind = OrderType.LIMIT
    return SubmitOrder(
        client_order_id=ClientOrderId(name),
        key=DecisionKey(strategy, instrument.id, cycle, Section.ZE1 if reduce else Section.Z1, ""),
        instrument=instrument.id,
        side=side,
        type=kind,
        tif=TimeInForce.IOC if kind is OrderType.MARKET else TimeInForce.GTC,
        qty=qty,
        limit=limit,
        stop=stop,
        reduce_only=reduce,
        expire_us=expire,
        ts_us=t,
    )


def buy(name: str, qty: int, **rest: object) -> SubmitOrder:
    return order(name, Side.BUY, qty, **rest)  # type: ignore[arg-type]


def sell(name: str, qty: int, **rest: object) -> SubmitOrder:
    return order(name, Side.SELL, qty, **rest)  # type: ignore[arg-type]


def cancel(name: str, t: int, instrument: Instrument = SPOT) -> CancelOrder:
    return CancelOrder(client_order_id=ClientOrderId(name), instrument=instrument.id, ts_us=t)


def amend(
    name: str, qty: int, t: int, instrument: Instrument = SPOT, *, stop: int | None = None
) -> AmendOrder:
    return AmendOrder(
        client_order_id=ClientOrderId(name), instrument=instrument.id, qty=qty, ts_us=t, stop=stop
    )


def told(answers: Sequence[Answer]) -> list[str]:
    """Write answers down shortly: what, which order, and what matters of it, at which time."""
    return [_told(answer) for answer in answers]


def _told(answer: Answer) -> str:
    head = f"{answer.ts_us} {answer.client_order_id}"
    if isinstance(answer, OrderAccepted):
        return f"{head} accepted"
    if isinstance(answer, OrderRejected):
        return f"{head} rejected: {answer.reason}"
    if isinstance(answer, OrderFilled):
        what = "maker" if answer.maker else "taker"
        return f"{head} {answer.qty} at {answer.price} {what} fee {answer.fee.normalize():f}"
    if isinstance(answer, OrderEnded):
        return f"{head} {'canceled' if answer.canceled else 'expired'}: {answer.reason}"
    if isinstance(answer, OrderAmended):
        return f"{head} amended to {answer.qty}"
    if isinstance(answer, RequestRefused):
        return f"{head} refused: {answer.reason}"
    raise AssertionError(answer)


def fills(answers: Sequence[Answer]) -> list[tuple[int, int, int]]:
    """Return (time, price, lots) of every fill."""
    return [(a.ts_us, a.price, a.qty) for a in answers if isinstance(a, OrderFilled)]
