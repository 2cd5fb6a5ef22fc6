"""The simulated venue: a request reaches it after its latency, in event time, and fills over rows.

Its clock is the row time it was last fed, so neither the block size nor the speed of the machine can
change a fill. It knows orders by client order id and requests by number: a second copy is ignored,
which is what lets a restarted daemon hand over again whatever it cannot be sure of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from botd.core.events import Answer, Command, SubmitOrder
from botd.core.instrument import Instrument, InstrumentId
from botd.core.lanes import I64
from botd.core.settings import PaperSettings
from botd.engine.fills import NEVER
from botd.engine.layout import KIND, RowKind
from botd.errors import StateCorrupt
from botd.ports import VenueBook
from botd.venues.account import VenueAccount
from botd.venues.floor import Due, Floor, Request
from botd.venues.latency import latency_us
from botd.venues.matching import Matching
from botd.venues.prices import Spot, next_bar, next_touch


class SimulatedVenue:
    """Matches our orders against rows; one per account."""

    def __init__(
        self,
        instruments: Sequence[Instrument],
        settings: PaperSettings,
        *,
        balances: Mapping[str, Decimal],
        bars_only: bool = False,
        bar_length_us: int | None = None,
        book: VenueBook | None = None,
    ) -> None:
        self._instruments = {i.id: i for i in instruments}
        self._floors = {i.id: Floor() for i in instruments}
        self._settings = settings
        self._account = VenueAccount(instruments, balances)
        self._matching = Matching(self._account, settings, bars_only=bars_only)
        self._bars_only = bars_only
        self._book = book
        self._last_request = 0
        self._out: list[Due] = []  # answers made by the call in progress
        self._waiting: list[Due] = []  # answers that a daemon before this one never took

    def go_by(self, settings: PaperSettings) -> None:
        """Take other settings for requests and fills from here on."""
        self._settings = settings
        self._matching.go_by(settings)

    # ---- requests -------------------------------------------------------------------------------

    def send(self, number: int, command: Command) -> None:
        """Take a request; it arrives after its latency. A number seen before is ignored."""
        if number <= self._last_request:
            return
        self._last_request = number
        floor = self._floors[command.instrument]
        arrives = command.ts_us + latency_us(command, floor, self._settings)
        floor.requests.append(Request(number, arrives, command))

    def send_again(self, number: int, command: Command) -> None:
        """Take a request that may have been taken before: its number tells."""
        self.send(number, command)

    def took(self, number: int) -> bool:
        """Say whether a request of this number, or a later one, has been taken."""
        return number <= self._last_request

    # ---- rows -----------------------------------------------------------------------------------

    def deadline_us(self, instrument: InstrumentId) -> int:
        """Return the earliest time at which a request arrives or an order expires, NEVER for none.

        On bars there is none: everything is carried out at a bar's open, see `first_touch`.
        """
        return NEVER if self._bars_only else self._floors[instrument].deadline_us()

    def waiting_position(self) -> int:
        """Return the merged position of the first answer that a former daemon never took, or NEVER."""
        return self._waiting[0].position if self._waiting else NEVER

    def busy(self, instrument: InstrumentId) -> bool:
        """Say whether anything of the instrument is on its way or rests."""
        floor = self._floors[instrument]
        return bool(floor.requests or floor.working)

    def first_touch(self, instrument: InstrumentId, ring: I64, first_row: int, start: int, stop: int) -> int:
        """Return the first ring index in [start, stop) whose row touches a resting order, else `stop`.

        `first_row` is the absolute row number of ring index 0. On bars a row is also a touch when a
        request has arrived or an order expires by its time: there they are carried out at a bar's open.
        """
        floor = self._floors[instrument]
        found = next_bar(ring, start, stop, floor.deadline_us()) if self._bars_only else stop
        return next_touch(floor, ring, first_row, start, found) if floor.working else found

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
    ) -> list[Answer]:
        """Do everything of an instrument that is due before a merged position of row time `now_us`.

        `index` is the ring index of the instrument's first row at or after that position; `own` says
        that the row at the position is it, so that its price may touch resting orders.
        """
        spot = Spot(ring, first_row, index)
        if not self._bars_only or (own and ring[KIND, index] == RowKind.BAR):
            self._arrivals(instrument, spot, now_us)
        if own:
            self._matching.touch(self._instruments[instrument], self._floors[instrument], spot)
        return self._spoken(instrument, position)

    def take_waiting(self, position: int) -> list[Answer]:
        """Hand over the answers due before a merged position that a former daemon never took."""
        late = [due.answer for due in self._waiting if due.position <= position]
        self._waiting = [due for due in self._waiting if due.position > position]
        return late

    def drain(
        self, instrument: InstrumentId, ring: I64, first_row: int, rows: int, position: int
    ) -> list[Answer]:
        """Carry out every request in flight after its latency at the last top: the daemon is stopping.

        `rows` is the number of rows in the ring.
        """
        floor = self._floors[instrument]
        spot = Spot(ring, first_row, rows)
        while floor.requests:
            self._arrivals(instrument, spot, min(r.arrives_us for r in floor.requests), closing=True)
        return self._spoken(instrument, position)

    def _arrivals(self, name: InstrumentId, spot: Spot, now_us: int, *, closing: bool = False) -> None:
        """Carry out requests that have arrived by `now_us`, and expiries, in the order of their times."""
        instrument, floor = self._instruments[name], self._floors[name]
        while True:
            request: Request | None = None
            for one in floor.requests:  # in the order of their numbers: of two at one time the first stays
                if one.arrives_us <= now_us and (request is None or one.arrives_us < request.arrives_us):
                    request = one
            self._matching.expire(floor, request.arrives_us if request else now_us)
            if request is None:
                return
            floor.requests.remove(request)
            self._matching.carry_out(instrument, floor, request, spot, closing=closing)

    def _spoken(self, instrument: InstrumentId, position: int) -> list[Answer]:
        """Return the answers just given; while others wait they come after these: none overtakes another."""
        answers = self._matching.take()
        if not answers or self._book is None:
            return answers
        after = self._waiting[-1].position if self._waiting else position
        self._out = [Due(instrument, max(after, position), answer) for answer in answers]
        self.save()
        if self._waiting:
            self._waiting += self._out
            answers = []
        self._out = []
        return answers

    # ---- what survives --------------------------------------------------------------------------

    def keep_in(self, book: VenueBook) -> None:
        """Keep everything in a book from here on."""
        self._book = book
        self.save()

    def save(self) -> None:
        """Make everything taken so far durable."""
        if self._book is not None:
            self._book.save(self.state(), self._out, self._taken())

    def _taken(self) -> int:
        """Return the last answer that a daemon has committed: it does so before it calls again."""
        if self._waiting:
            return self._waiting[0].answer.seq - 1
        return self._matching.seq - len(self._out)

    def state(self) -> dict[str, Any]:
        """Return everything the venue must not forget, as JSON values."""
        return {
            "seq": self._matching.seq,
            "trades": self._matching.trades,
            "last_request": self._last_request,
            "account": self._account.state(),
            "floors": {name: floor.state() for name, floor in self._floors.items()},
        }

    def recall(self, kept: tuple[Mapping[str, Any], Sequence[Due]] | None, *, expected: bool) -> None:
        """Continue from what the book kept: its state, and the answers that no daemon has taken yet.

        With `expected`, a book that knows nothing of the account raises StateCorrupt: requests would be
        carried out a second time.
        """
        if kept is None:
            if expected:
                raise StateCorrupt(
                    "the simulated venue's file knows nothing of this session; restore venue.sqlite3 "
                    "beside the state file, or move both away to begin anew"
                )
            return
        state, waiting = kept
        self._matching.seq = state["seq"]
        self._matching.trades = state["trades"]
        self._last_request = state["last_request"]
        self._account.restore(state["account"])
        for name, one in state["floors"].items():
            if name in self._floors:
                self._floors[name] = Floor.of(one)
        self._waiting = list(waiting)

    def positions(self) -> dict[InstrumentId, int]:
        """Return the signed lots held of every instrument traded so far."""
        return self._account.nets()

    def working(self) -> list[tuple[SubmitOrder, tuple[int, int]]]:
        """Return every order at the venue with its (filled, whole) lots."""
        floors = self._floors.values()
        return [(o.command, (o.filled, o.qty)) for floor in floors for o in floor.working.values()]
