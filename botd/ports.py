"""The Protocols of the shell, and the values that cross them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from botd.core.codec import answers_text
from botd.core.events import AmendOrder, Answer, Command, Side, SubmitOrder
from botd.core.instrument import Instrument, InstrumentId
from botd.core.records import MarketBar, Record
from botd.core.values import value
from botd.engine.layout import RowKind

I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Consecutive market rows of a feed, merged over its instruments.

    `rows` is int64[N_INPUT, n], C-contiguous by column of the layout, in feed order; row times of one
    instrument never fall. `instrument` is int64[n], an index into `Feed.instruments`. `position` is
    the feed sequence number of the first row: a seekable feed yields the same row for the same number.
    """

    position: int
    instrument: I64
    rows: I64


class Feed(Protocol):
    """A source of market rows. No timer rows: the driver makes those."""

    @property
    def identity(self) -> str:
        """Say which data this is; two feeds with one identity yield the same rows."""
        ...

    @property
    def instruments(self) -> tuple[Instrument, ...]: ...

    @property
    def kinds(self) -> frozenset[RowKind]:
        """The kinds of rows it carries; BAR alone means bar-only data."""
        ...

    @property
    def bar_length_us(self) -> int | None:
        """Length of its bars, None where it carries none."""
        ...

    @property
    def seekable(self) -> bool: ...

    def read(self, position: int, *, rows_max: int = 65536) -> Iterator[Chunk]:
        """Yield everything from `position` that exists now, as fast as it is asked for."""
        ...

    def stream(self, position: int) -> AsyncIterator[Chunk]:
        """Yield rows as they fall due at the feed's speed; ends with the data, if ever."""
        ...


class VenueBook(Protocol):
    """Where a simulated venue keeps what it must not forget."""

    def save(self, state: Mapping[str, Any], answers: Sequence[Any], taken: int) -> None:
        """Write the state and new answers; those numbered up to `taken` have reached the journal."""
        ...


class EventVenue(Protocol):
    """A venue in event time: it fills over the same rows that the bot judges."""

    def keep_in(self, book: VenueBook) -> None:
        """Keep everything in a book from here on."""
        ...

    def state(self) -> Mapping[str, Any]: ...

    def recall(self, kept: tuple[Mapping[str, Any], Sequence[Any]] | None, *, expected: bool) -> None:
        """Continue from a state and the answers that nobody has taken yet."""
        ...

    def send(self, number: int, command: Command) -> None:
        """Take a request; a number seen before is ignored."""
        ...

    def send_again(self, number: int, command: Command) -> None:
        """Take a request that a process before this one made, and may have sent."""
        ...

    def took(self, number: int) -> bool:
        """Say whether a request of this number, or a later one, has been taken, by whatever process."""
        ...

    def save(self) -> None:
        """Make everything taken so far durable."""
        ...

    def busy(self, instrument: InstrumentId) -> bool: ...

    def deadline_us(self, instrument: InstrumentId) -> int: ...

    def waiting_position(self) -> int: ...

    def take_waiting(self, position: int) -> list[Answer]: ...

    def first_touch(
        self, instrument: InstrumentId, ring: I64, first_row: int, start: int, stop: int
    ) -> int: ...

    def execute(
        self,
        instrument: InstrumentId,
        ring: I64,
        first_row: int,
        index: int,
        now_us: int,
        position: int,
        *,
        own: bool,
    ) -> list[Answer]: ...

    def drain(
        self, instrument: InstrumentId, ring: I64, first_row: int, rows: int, position: int
    ) -> list[Answer]: ...


class ListedVenue(Protocol):
    """A venue that can be looked at between two rows, without a request."""

    def working(self) -> list[tuple[SubmitOrder, tuple[int, int]]]:
        """Return every order at the venue with its (filled, whole) lots."""
        ...

    def positions(self) -> Mapping[InstrumentId, int]:
        """Return the signed lots held of every instrument traded so far."""
        ...


@value(frozen=True, slots=True)
class JournalEvent:
    """One input of the bot that is not a market row: a venue answer, a job, a command."""

    position: int  # merged row number before which it was applied
    ordinal: int  # order among events of one position
    kind: str  # "answers", "withheld", "command", "epoch", "books", "stop", "abandon"
    payload: str  # JSON


@value(frozen=True, slots=True)
class AnswersEvent:
    """What the venue answered at one place. It becomes text where it is written, off the trading loop."""

    position: int
    ordinal: int
    answers: tuple[Answer, ...]

    @property
    def kind(self) -> str:
        return "answers"

    @property
    def payload(self) -> str:
        return answers_text(self.answers)


@value(frozen=True, slots=True)
class Cursor:
    """How far a session has come. Everything before it is in the journal."""

    feed_position: int  # market rows taken from the feed
    position: int  # merged rows (market and timer) processed
    ts_us: int  # event time
    seq: int  # last record's
    venue_seq: int  # last venue answer applied


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one transaction of the journal holds."""

    session_id: str
    records: tuple[Record, ...] = ()
    events: tuple[JournalEvent | AnswersEvent, ...] = ()
    cursor: Cursor | None = None
    bars: tuple[MarketBar, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """A row of `sessions`."""

    id: str
    mode: str  # paper | live | replay | backtest | collect | warmup
    feed: str  # Feed.identity
    config_hash: str
    started_us: int  # wall time
    ended_us: int | None
    status: str  # running | stopped | finished | failed | killed (noticed by the next start)
    account: str


class Journal(Protocol):
    """The only writer of the state file. Every call returns after the transaction is durable."""

    def start_session(self, info: SessionInfo) -> None: ...

    def end_session(self, session_id: str, *, status: str, ended_us: int) -> None: ...

    def find_session(self, *, mode: str, feed: str) -> SessionInfo | None:
        """Return the newest session of this mode and feed that has not finished, if any."""
        ...

    def commit(self, batch: Batch) -> None:
        """Write one transaction. A record whose decision key is already there is a no-op."""
        ...

    def cursor(self, session_id: str) -> Cursor | None: ...

    def events(self, session_id: str, *, from_position: int) -> Iterator[JournalEvent]:
        """Yield the events at or after a position, by (position, ordinal)."""
        ...

    def save_snapshot(self, session_id: str, cursor: Cursor, payload: bytes) -> None: ...

    def load_snapshot(self, session_id: str) -> tuple[Cursor, bytes] | None:
        """Return the newest snapshot whose digest holds, or None."""
        ...

    def save_revision(self, *, config_hash: str, files: Mapping[str, str], applied_us: int) -> None: ...

    def close(self) -> None: ...


class Clock(Protocol):
    """Wall time. The only implementation that reads it is botd.runtime.clock."""

    def now_us(self) -> int: ...

    async def sleep_until(self, ts_us: int) -> None: ...


# ---- a venue behind a network -------------------------------------------------------------------


class VenueError(Exception):
    """A request got no good answer. What it says about the request is for `venues.verdicts` to tell.

    `name` is the error's class as ccxt has it, such as RequestTimeout or InsufficientFunds.
    """

    def __init__(
        self, name: str, text: str = "", *, http: int | None = None, code: str = "", retry_after_us: int = 0
    ) -> None:
        super().__init__(text or name)
        self.name = name
        self.http = http  # status, where an answer came at all
        self.code = code  # the venue's own
        self.retry_after_us = retry_after_us  # the venue wants to hear nothing for so long


class OrderState(StrEnum):
    """What a venue says an order is."""

    OPEN = "open"  # partly filled or not, a stop that waits for its price too
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"  # after it was accepted


@value(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """An order as a venue shows it: by the stream, by a lookup, or in the list of what is open."""

    client_order_id: str  # empty where whoever sent it gave none
    instrument: InstrumentId
    state: OrderState
    side: Side
    qty: int  # lots, the whole order
    filled: int  # lots
    reduce_only: bool
    ts_us: int  # venue time of its last change
    limit: int | None = None  # ticks
    stop: int | None = None  # ticks
    reason: str = ""


@value(frozen=True, slots=True, kw_only=True)
class VenueFill:
    """One execution as a venue shows it; `trade_id` is unique per instrument and client order id."""

    client_order_id: str  # empty for what was not asked for through an id: a person's, a liquidation
    instrument: InstrumentId
    trade_id: str
    side: Side
    price: int  # ticks
    qty: int  # lots
    fee: Decimal  # positive is a cost
    maker: bool
    ts_us: int  # venue time
    liquidation: bool = False
    fee_currency: str = ""  # what the fee was taken in; empty for the instrument's quote currency
    busted: bool = False  # it is taken back, at `ts_us`: all else is as it was told before
    fee_value: Decimal | None = None  # what the venue says it is worth in the quote currency


@value(frozen=True, slots=True, kw_only=True)
class VenueRules:
    """What a venue promises about requests and ids; times in microseconds."""

    name: str
    validity_us: int  # a request that comes later than this after its time stamp is refused
    processing_us: int  # how long the venue may take over one that came in time
    read_lag_us: int  # what was accepted shows in every read after this
    ids_unique: bool  # client order ids are unique for ever; False: only among open orders
    one_way: bool = True  # one net position an instrument: nobody can be long and short at once
    request_timeout_us: int = 10_000_000
    fills_back_us: int = 86_400_000_000  # how far back fills can be asked for

    @property
    def deadline_us(self) -> int:
        """Return how long after it was sent a request may still show as an order."""
        return self.validity_us + self.processing_us + self.read_lag_us


@value(frozen=True, slots=True, kw_only=True)
class AccountModes:
    """How the account is set up at the venue, by whoever did it last."""

    one_way: bool  # one net position an instrument; False: hedge mode
    terms: Mapping[InstrumentId, str]  # margin mode and leverage where the venue tells, such as "cross 10x"


VenueEvent = OrderReport | VenueFill


class RemoteVenue(Protocol):
    """A venue behind a network. Each method is one request, made once; each may raise VenueError.

    Nothing here repeats a request, and an answer that cannot be read is an error too. Anything else that is
    raised is as unclear about the request as a timeout.
    """

    @property
    def rules(self) -> VenueRules: ...

    def correct_clock(self, offset_us: int) -> None:
        """Stamp requests from here on with our clock's time plus an offset."""
        ...

    async def submit(self, order: SubmitOrder) -> OrderReport:
        """Ask for an order, valid for `rules.validity_us` from now."""
        ...

    async def cancel(self, client_order_id: str, instrument: InstrumentId) -> None: ...

    async def amend(self, command: AmendOrder) -> None: ...

    async def fetch_order(self, client_order_id: str, instrument: InstrumentId) -> OrderReport | None:
        """Look an order up; None where the venue does not find it, which proves nothing for a while."""
        ...

    async def fetch_open_orders(self) -> tuple[OrderReport, ...]:
        """Return every open order of the account, ours or not."""
        ...

    async def fetch_fills(self, since_us: int) -> tuple[VenueFill, ...]:
        """Return every fill of the account since a venue time, oldest first; a bust as of when it was."""
        ...

    async def fetch_positions(self) -> Mapping[InstrumentId, int]:
        """Return the signed lots held; an instrument that is not listed is flat."""
        ...

    async def fetch_balances(self) -> Mapping[str, Decimal]:
        """Return the cash of each currency: start, realized and fees, without what is unrealized."""
        ...

    async def fetch_modes(self) -> AccountModes:
        """Return position mode, and margin mode and leverage of the instruments that it tells of."""
        ...

    async def fetch_time_us(self) -> int: ...

    def stream(self) -> AsyncIterator[VenueEvent | None]:
        """Yield what happens to orders as it happens, None as a heartbeat every few seconds.

        Raises VenueError where the connection is lost. Events may be late, double, missing or out of order.
        """
        ...
