"""The world with a venue behind a network: the same days, at an exchange that misbehaves and remembers."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Container, Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from botd.config.plan import Plan
from botd.core.dust import DUST
from botd.core.events import Side
from botd.core.external import NET
from botd.core.money import ZERO
from botd.core.orders import TERMINAL
from botd.core.outcomes import OrderStatus
from botd.core.records import BUST
from botd.daemon import Daemon
from botd.errors import UnresolvedOrders
from botd.ports import OrderState, RemoteVenue
from botd.runtime.courier import VALID_US
from botd.simulation.chance import Chance
from botd.simulation.checks import CheckFailed, VenueTruth, check_equal_books, newest_session
from botd.simulation.clock import EPOCH_US
from botd.simulation.echo import COPIED, EchoingDaemon
from botd.simulation.exchange.exchange import Exchange
from botd.simulation.exchange.sites import SITES as VENUE_SITES
from botd.simulation.host import Process
from botd.simulation.incidents import RESOLVE, SITES
from botd.simulation.loop import VirtualLoop
from botd.simulation.tally import Tally
from botd.simulation.world import QUIET_S, SETTLE_S, World

REMOTE_SITES: Final = (*SITES, *VENUE_SITES, COPIED, RESOLVE)
CLOCK_TOLERANCE_US: Final = 1_500_000  # a clock that is set between two measurements is off for a while
EXPOSURE_SLACK: Final = Decimal("1.25")  # of the limit for one symbol: what prices move
UNHEARD_S: Final = 25.0  # into the calm: an order that expires after it may do so as the daemon stops
PAUSES_S: Final = (1.0, 2.0, 4.0)  # between two deliveries of rows: what comes later is too late to trade on
# five minutes between two looks at the modes, a request that fails and its repetition, an entry on its way
MISLED_MAX_US: Final = 345_000_000


class ExchangeTruth:
    """What the exchange itself knows, as the checks ask for it."""

    def __init__(self, exchange: Exchange, plan: Plan) -> None:
        self._exchange = exchange
        self._start = plan.settings.equity
        self._by_name = {str(one.id): one for one in plan.instruments}

    def order_ids(self) -> frozenset[str]:
        return frozenset(one.order.client_order_id for one in self._exchange.truth.arrivals)

    def doubled(self) -> tuple[str, ...]:
        truth = self._exchange.truth
        sent = [f"{name} was sent {count} times" for name, count in truth.sent.items() if count > 1]
        return (*(f"two orders of {name}" for name in truth.doubled()), *sent)

    def holdings(self) -> Mapping[str, Decimal]:
        return {str(name): amount for name, amount in self._exchange.account.amounts.items() if amount}

    def worth(self) -> Mapping[str, Decimal]:
        """Return what is left of the start after all fills; what somebody paid in or out is not ours."""
        truth = self._exchange.truth
        worth = dict(self._start)
        for fill in (*truth.fills, *truth.busts):
            instrument = self._by_name[str(fill.instrument)]
            flow = instrument.money(fill.price * fill.qty) * (-1 if fill.side is Side.BUY else 1)
            flow -= ZERO if fill.fee_currency else fill.fee
            worth[instrument.quote] = worth.get(instrument.quote, ZERO) + (-flow if fill.busted else flow)
        return worth


class RemoteWorld(World):
    """A day at the exchange."""

    def __init__(
        self, loop: VirtualLoop, chance: Chance, folder: Path, *, chaos_s: float, tally: Tally
    ) -> None:
        super().__init__(loop, chance, folder, chaos_s=chaos_s, tally=tally)
        self._pause_s = chance.stream("rows").one_of(PAUSES_S)
        self._compared = False  # what a venue answers, and when, no second run repeats
        plan = self._files.plan()
        self._books_plan = plan
        # what others trade where no strategy does is told of and never booked: the judges would miss it
        traded = {name for one in plan.strategies for name in one.instruments}
        self.exchange = Exchange(
            loop,
            chance,
            self._market,
            instruments=[one for one in plan.instruments if one.id in traded],
            cash=plan.settings.equity,
        )

        self.exchange.mishaps.own_first = True
        self.exchange.matching.fees_in_base = chance.stream("fees").below(2) == 1

    def _connect(self, process: Process) -> RemoteVenue:
        return self.exchange.connect(process)

    def _daemon(self, plan: Plan, **parts: Any) -> Daemon:
        return EchoingDaemon(self._chance, plan, **parts)

    def _truth(self) -> VenueTruth:
        return ExchangeTruth(self.exchange, self._books_plan)

    async def _calm(self) -> None:
        """Let the market come to rest too: what fills as it stops is heard of by then."""
        self._market.closed_us = EPOCH_US + round(self._loop.now_s * 1e6)
        await super()._calm()

    def _excused_now(self) -> Container[str]:
        """Take an overdue answer for what it is while the venue does not answer."""
        return ("S9.overdue",) if self._loop.now_s < self._chaos_s + SETTLE_S else ()

    def _hear(self, line: str) -> None:
        # at a start the fills of the time before are only just heard of, and no stop has followed them yet
        told = line.startswith(("fsck: S9.overdue", "fsck: S12.stop"))
        if told and self._excused_now():
            self._note(f"  {line}")
        else:
            super()._hear(line)

    def _check_stopped(self, state: Path, truth: VenueTruth) -> None:
        """Check nothing more: what is still on its way the next start finds out."""

    def _allowed_exit(self, process: Process) -> set[int]:
        return {UnresolvedOrders.exit_code}

    def _heal(self) -> None:
        super()._heal()
        process = self._host.process
        if process is not None:  # a clock that is off keeps a signed request from ever being accepted
            process.clock.step(EPOCH_US + round(self._loop.now_s * 1e6) - process.clock.now_us())

    def _resume(self) -> None:
        """Set the account's modes back, as who resumes is asked to, before it is resumed."""
        self.exchange.mishaps.switch_back()
        if self._chance.hit(RESOLVE.name) is not None and self._control.resolve() is None:
            self._resolve()
        super()._resume()

    def _resolve(self) -> None:
        """Say of an order that it is over with nothing filled, as the venue has it; few need a person."""
        filled = {one.client_order_id for one in self.exchange.truth.fills}
        names = [str(one.order.client_order_id) for one in self.exchange.truth.arrivals]
        over = [one for one in names if self.exchange.final_state(one) is OrderState.CANCELED]
        for name in [one for one in over if one not in filled][-1:]:
            self._note(f"somebody resolves {name}")
            self._control.ask_resolve("somebody", "it is over at the venue", name)

    def _judge(self, process: Process) -> None:
        super()._judge(process)
        limits = [plan.settings.limits for plan in self._files.plans()]
        check_manners(self._state, self.exchange, max(one.symbol_exposure_max for one in limits))

    def _check_settled(self, state: Path) -> None:
        """Check that nothing is open that can be known, and that the books are the venue's."""
        check_resolved(state)
        check_nobody_asked(state, self.exchange)
        check_fills(state, self.exchange)
        quiet_s = self._chaos_s + SETTLE_S + QUIET_S
        check_states(state, self.exchange, EPOCH_US + round((quiet_s + UNHEARD_S) * 1e6))
        check_stops(self.exchange)
        check_equal_books(state, self._truth(), self._instruments)


def check_manners(state: Path, exchange: Exchange, exposure_max: Decimal) -> None:
    """Check what the venue may never see: calls in a ban, new risk that is late or too much.

    `exposure_max` is the highest limit there was for one symbol, a ratio of the equity.
    """
    truth = exchange.truth
    if truth.defied_bans():
        raise CheckFailed("F2.banned_call", f"{truth.defied_bans()} calls although the venue had banned us")
    with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as connection:
        decided: dict[str, int] = dict(
            connection.execute("SELECT client_order_id, max(ts_us) FROM orders GROUP BY client_order_id")
        )
    for one in truth.entries():
        name, sent_us = one.order.client_order_id, one.sent_us
        late_us = sent_us - decided.get(str(name), sent_us)
        if late_us > VALID_US + CLOCK_TOLERANCE_US:
            raise CheckFailed("S16.valid", f"{name} was sent {late_us} us after its row")
    for entry, misled_us in truth.misled:
        if misled_us > MISLED_MAX_US:
            raise CheckFailed("E6.mode", f"{entry} was accepted {misled_us} us after the mode was changed")
    for instrument, peak in truth.own_peaks.items():
        traded = exchange.matching.instruments[instrument]
        worst = traded.money(peak * exchange.matching.top(instrument)[1])
        ceiling = exposure_max * EXPOSURE_SLACK * exchange.account.start[traded.quote]
        if worst > ceiling:
            raise CheckFailed("S4.exposure", f"{peak} lots of {instrument} were held, {worst} over {ceiling}")


def check_resolved(state: Path) -> None:
    """Check that every order is over, or rests, or waits for a person."""
    open_words = ", ".join(repr(str(one)) for one in set(OrderStatus) - TERMINAL)
    with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as connection:
        session = newest_session(state).id
        rows = connection.execute(
            f"SELECT client_order_id, status, in_doubt, type, needs_human FROM orders "
            f"WHERE session_id = ? AND status IN ({open_words})",
            (session,),
        ).fetchall()
    for name, status, in_doubt, kind, needs_human in rows:
        if needs_human:
            raise CheckFailed("S9.needs_human", f"{name} needs a person where everything can be known")
        if in_doubt or status in ("submitted", "pending_cancel") or kind == "market":
            raise CheckFailed("S9.resolved", f"{name} is still {status}, in doubt {in_doubt}")


def check_nobody_asked(state: Path, exchange: Exchange) -> None:
    """Check that no person was ever asked what became of an order, but one that the venue has hidden.

    All else it shows, if late.
    """
    with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT message FROM alerts WHERE type = 'needs_human'").fetchall()
    for (message,) in rows:
        if exchange.hid.isdisjoint(message.split()):
            raise CheckFailed("S9.asked", f"{message}, and the venue has shown it")


_STATES: Final = {
    OrderState.FILLED: {OrderStatus.FILLED},
    OrderState.CANCELED: {OrderStatus.CANCELED},
    OrderState.EXPIRED: {OrderStatus.EXPIRED},
    OrderState.REJECTED: {OrderStatus.REJECTED},
}
_NOT_THERE: Final = {OrderStatus.REJECTED, OrderStatus.EXPIRED, OrderStatus.NEVER_ARRIVED}


def check_states(state: Path, exchange: Exchange, before_us: int = 1 << 62) -> None:
    """Check that an order has ended in the books as it has at the venue: no conclusion was a wrong one.

    One that lost a trade before we heard of it is over with a remainder. One that was made bigger, or whose
    change to less was lost, has filled all that the books know of it before its rest is canceled. What became
    of an order from `before_us` on the daemon need not know yet.
    """
    lost = {one.client_order_id for one in exchange.truth.busts}
    with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT client_order_id, status, max(updated_seq), CAST(filled_qty AS REAL) > "
            "CAST(working_qty AS REAL) FROM orders WHERE section <> 'external' "
            "GROUP BY client_order_id"
        ).fetchall()
    for name, status, _, beyond in rows:
        known = exchange.final_state(name)
        expected = _NOT_THERE if known is None else _STATES.get(known)
        excused = name in lost and status == OrderStatus.EXPIRED
        excused |= bool(beyond) and status == OrderStatus.FILLED
        excused |= exchange.changed_us(name) >= before_us
        if expected is not None and OrderStatus(status) not in expected and not excused:
            raise CheckFailed("S9.conclusion", f"{name} is {status} in the books, at the venue {known}")


def check_stops(exchange: Exchange) -> None:
    """Check that no order of ours rests that could only reduce what is not held; D5."""
    for report in exchange.open_orders:
        held = exchange.account.held(report.instrument)
        closes = held < 0 if report.side is Side.BUY else held > 0
        if report.reduce_only and report.client_order_id and not closes:
            raise CheckFailed("D5.stop_left", f"{report.client_order_id} rests and {held} lots are held")


def check_fills(state: Path, exchange: Exchange) -> None:
    """Check that the books have every fill of the venue, each once, and no other."""
    truth: Counter[tuple[str, str]] = Counter()
    for fill in exchange.truth.fills:
        truth[str(fill.instrument), fill.trade_id] += fill.qty
    lots = {str(one.id): one.lot_size for one in exchange.matching.instruments.values()}
    booked: Counter[tuple[str, str]] = Counter()
    with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as connection:
        sql = "SELECT instrument, trade_id, qty FROM fills WHERE trade_id NOT LIKE ? AND trade_id NOT LIKE ?"
        for instrument, trade, qty in connection.execute(sql, (f"{NET}%", f"{DUST}%")):
            booked[instrument, trade.partition("#")[0]] += int(Decimal(qty) / lots[instrument])
    for bust in exchange.truth.busts:  # of what the books never had they have no reversal either
        own = str(bust.instrument), f"{BUST}{bust.client_order_id}:{bust.trade_id}"
        if own in booked:
            truth[own] += bust.qty
        else:
            truth[str(bust.instrument), bust.trade_id] -= bust.qty
    truth = +truth
    if truth != booked:
        missing, extra = truth - booked, booked - truth
        raise CheckFailed("S6.fills", f"the books lack {dict(missing)} and have too much {dict(extra)}")
