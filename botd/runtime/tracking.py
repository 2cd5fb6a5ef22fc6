"""What we know of each live order at a remote venue, and what each thing the venue shows tells the bot.

Synchronous and without a clock of its own: what it is told comes with the second at which it was asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from botd.core.events import (
    AmendOrder,
    ClientOrderId,
    ExternalFill,
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    OrderFilled,
    OrderInDoubt,
    OrderNeedsHuman,
    OrderNeverArrived,
    OrderRejected,
    OrderType,
    RequestRefused,
    SubmitOrder,
    VenueNotice,
)
from botd.core.orders import Order
from botd.core.outcomes import OrderStatus
from botd.ports import OrderReport, OrderState, VenueFill, VenueRules
from botd.runtime.tickets import Phase, Ticket
from botd.runtime.trades import FAMILY, Busts, fees_of, seen_name

LOOKS_S: Final = (1.0, 2.0, 4.0, 5.0)  # between lookups of an order in doubt; the last one stays
CANCELS_S: Final = (2.0, 4.0, 8.0, 10.0)  # between cancels; they may be repeated, orders never
POLL_S: Final = 5.0
ABSENT_S: Final = 2.0  # between two lookups that must both find nothing
MISSING_S: Final = 60.0  # how long an order that was seen may be shown by no read
CRY_S: Final = 10.0  # in doubt for so long, an order is worth an alert; past its deadline by 30 s another
UNREADABLE_MAX: Final = 1_000  # fills that cannot be, before the oldest is forgotten
MARGIN_S: Final = 1.0  # what a venue lets a time stamp be ahead of its own clock

Tell = Callable[..., None]  # (kind of answer, time at the venue or 0, **fields)


class Tracker:
    """Keeps the tickets; turns what the venue shows into answers."""

    def __init__(self, rules: VenueRules, tell: Tell, known: Callable[[ClientOrderId], Order | None]) -> None:
        """`known` looks an order up in the bot's own table."""
        self._rules = rules
        self._tell = tell
        self._known = known
        self.tickets: dict[str, Ticket] = {}
        self.seen: dict[tuple[str, str], int] = {}  # fills that the bot has, by `seen_name`, and of when
        self.busts = Busts(tell)
        self.orphans: dict[str, OrderReport] = {}  # open orders of our family that no table knows
        # open orders of no books: when each was first shown, and when last
        self._strangers: dict[str, tuple[float, float]] = {}
        self._unreadable: dict[tuple[str, str], None] = {}  # fills that cannot be, oldest first
        self.news = asyncio.Event()  # something was shown that other reads should follow up

    # ---- orders of ours -------------------------------------------------------------------------

    def track(self, command: SubmitOrder) -> Ticket:
        """Take in an order that is about to be sent."""
        ticket = Ticket(command, Phase.WAITING, command.qty, command.stop)
        self.tickets[command.client_order_id] = ticket
        return ticket

    def resume(self, orders: Iterable[Order], amending: Iterable[ClientOrderId], now_s: float) -> None:
        """Take in what was live when the process before this one ended: each may have been sent."""
        changing = set(amending)
        for order in orders:
            ticket = self.tickets.get(order.client_order_id)
            if ticket is None:
                ticket = self.tickets[order.client_order_id] = Ticket(
                    order.command, Phase.SIGHTED if order.accepted else Phase.DOUBT, order.qty, None
                )
            ticket.qty, ticket.stop = order.qty, order.command.stop
            ticket.filled, ticket.trades = order.filled, set(order.trade_ids)
            ticket.sent_s, ticket.resumed = now_s, True
            ticket.doubted, ticket.forsaken = order.in_doubt, order.needs_human
            ticket.cancel_wanted = order.status is OrderStatus.PENDING_CANCEL
            if ticket.phase is Phase.DOUBT:
                self.doubt(ticket, "botd was restarted while it was on its way", now_s)
            if order.client_order_id in changing and ticket.amend is None and ticket.stop is not None:
                # to what is not known any more: whatever comes is it, and no stop is of nothing
                ticket.amend, ticket.amend_s = (
                    AmendOrder(order.client_order_id, order.instrument, 0, 0),
                    now_s,
                )

    def doubt(self, ticket: Ticket, reason: str, now_s: float) -> None:
        """Note that a request got no clear answer."""
        if ticket.phase is Phase.SENDING or ticket.phase is Phase.WAITING:
            ticket.phase = Phase.DOUBT
        ticket.look_s = min(ticket.look_s or now_s + LOOKS_S[0], now_s + LOOKS_S[0])
        order = self._known(ticket.id)
        open_fate = order is not None and order.status in (OrderStatus.SUBMITTED, OrderStatus.PENDING_CANCEL)
        if open_fate and not ticket.doubted:
            ticket.doubted = True
            self._tell(OrderInDoubt, 0, client_order_id=ticket.id, reason=reason)

    def rejected(self, ticket: Ticket, reason: str) -> None:
        """The venue refused it for certain, unless it has shown it: then a copy on the way was refused."""
        if ticket.phase is Phase.SIGHTED:
            self.news.set()
            return
        self._end(ticket)
        self._tell(OrderRejected, 0, client_order_id=ticket.id, reason=reason)

    def never_sent(self, ticket: Ticket, reason: str) -> None:
        """It was not sent, and will not be."""
        self._end(ticket)
        self._tell(OrderEnded, 0, client_order_id=ticket.id, canceled=False, reason=reason)

    def absent(self, ticket: Ticket, asked_s: float) -> None:
        """A lookup that was made at a second found nothing of it."""
        ticket.looks += 1
        ticket.look_s = asked_s + LOOKS_S[min(ticket.looks, len(LOOKS_S) - 1)]
        if ticket.phase is Phase.DOUBT:
            self._not_there(ticket, asked_s)
        elif ticket.phase is Phase.SIGHTED and ticket.final is None and asked_s >= ticket.shown_s:
            if ticket.missing_s is None:
                ticket.missing_s = asked_s
            elif asked_s - ticket.missing_s >= MISSING_S:
                ticket.missing_s = asked_s
                reason = "the venue had it and shows it no more, and no fill tells what became of it"
                self._forsake(ticket, reason)

    def _forsake(self, ticket: Ticket, reason: str) -> None:
        ticket.forsaken = True
        self._tell(OrderNeedsHuman, 0, client_order_id=ticket.id, reason=reason)

    def deadline_s(self, ticket: Ticket) -> float:
        """Return from when on nothing of its request can come up any more."""
        return ticket.sent_s + self._rules.deadline_us / 1e6 + MARGIN_S

    def _not_there(self, ticket: Ticket, asked_s: float) -> None:
        deadline_s = self.deadline_s(ticket)
        if asked_s < deadline_s:
            ticket.look_s = min(ticket.look_s, max(deadline_s, asked_s + LOOKS_S[0]))
        elif ticket.absent_s is None:
            ticket.absent_s = asked_s
            ticket.look_s = asked_s + ABSENT_S
        else:
            late_s = asked_s - ticket.sent_s
            reason = f"{ticket.looks} lookups found nothing, the last {late_s:.0f} s after it was sent"
            self._end(ticket)
            self._tell(OrderNeverArrived, 0, client_order_id=ticket.id, reason=reason)

    def _end(self, ticket: Ticket) -> None:
        ticket.phase = Phase.OVER
        self.tickets.pop(ticket.id, None)

    # ---- what the venue shows -------------------------------------------------------------------

    def report(self, report: OrderReport, asked_s: float) -> None:
        """Take in an order as the venue shows it, by whatever way and in whatever order."""
        ticket = self.tickets.get(report.client_order_id)
        if ticket is None:
            self._stranger(report, asked_s)
            return
        ticket.missing_s = ticket.absent_s = None
        ticket.shown_s = max(ticket.shown_s, asked_s)
        if ticket.final is not None or report.ts_us < ticket.newest_us:
            return
        ticket.newest_us = report.ts_us
        again = ticket.forsaken and report.state is OrderState.OPEN  # what is over may still lack fills
        if ticket.phase is not Phase.SIGHTED or again:
            ticket.phase, ticket.doubted, ticket.forsaken = Phase.SIGHTED, False, False
            self._tell(OrderAccepted, report.ts_us, client_order_id=ticket.id)
        if not ticket.compared:
            self._compare(ticket, report)
        self._terms(ticket, report)
        if report.filled > ticket.filled:
            self.news.set()
        if report.state is not OrderState.OPEN:
            ticket.final, ticket.final_s = report, asked_s
            self._conclude(ticket)

    def _compare(self, ticket: Ticket, report: OrderReport) -> None:
        """Cancel an order that the venue took with other terms than were asked for."""
        ticket.compared = True
        asked = ticket.command
        terms: list[tuple[str, object, object]] = [
            ("side", asked.side, report.side),
            ("reduce_only", asked.reduce_only, report.reduce_only),
        ]
        changed = ticket.resumed or ticket.amend or (ticket.qty, ticket.stop) != (asked.qty, asked.stop)
        if asked.stop is None or not changed:
            terms += [("qty", asked.qty, report.qty), ("stop", asked.stop, report.stop)]
        if asked.type is OrderType.LIMIT:
            terms.append(("limit", asked.limit, report.limit))
        wrong = [f"{name} {theirs} for {ours}" for name, ours, theirs in terms if ours != theirs]
        if wrong:
            text = f"the venue took {ticket.id} with {', '.join(wrong)}; it is cancelled"
            self._tell(VenueNotice, 0, severity="critical", kind="order_differs", text=text)
            ticket.cancel_wanted = True

    def _terms(self, ticket: Ticket, report: OrderReport) -> None:
        """Tell of a stop that was changed."""
        if ticket.command.stop is None:
            return
        theirs = report.qty, report.stop
        if theirs != (ticket.qty, ticket.stop) and report.qty > 0 and report.qty >= ticket.filled:
            ticket.qty, ticket.stop = theirs
            fields = {"client_order_id": ticket.id, "qty": report.qty, "stop": report.stop}
            self._tell(OrderAmended, report.ts_us, **fields)
            if ticket.amend is not None and not ticket.amend.qty:
                ticket.amend = None
        if ticket.amend is None:
            return
        if theirs == (ticket.amend.qty, ticket.amend.stop):
            ticket.amend = None

    def amend_refused(self, ticket: Ticket, reason: str) -> None:
        """The stop rests as it was."""
        ticket.amend = None
        if not ticket.cancel_wanted:
            self._tell(RequestRefused, 0, client_order_id=ticket.id, reason=reason)

    def fill(self, fill: VenueFill) -> None:
        """Take in an execution; one that was shown before changes nothing, nor does one that cannot be."""
        name = seen_name(fill.instrument, fill.client_order_id, fill.trade_id)
        if fill.price <= 0 or fill.qty <= 0 or not fill.trade_id:
            self._cannot_be(name, fill)
            return
        coid = ClientOrderId(fill.client_order_id)
        if self.busts.cover(fill, booked=name in self.seen):
            self._lose(coid, fill)
            return
        if name in self.seen:
            return
        self.seen[name] = fill.ts_us
        if self._known(coid) is not None:
            self._own_fill(coid, fill)
            return
        self._tell(
            ExternalFill,
            fill.ts_us,
            client_order_id=coid,
            instrument=fill.instrument,
            trade_id=fill.trade_id,
            side=fill.side,
            price=fill.price,
            qty=fill.qty,
            **fees_of(fill),
            liquidation=fill.liquidation,
        )

    def forget_fills(self, before_us: int) -> None:
        """Forget fills that no read shows any more."""
        for name in [name for name, ts_us in self.seen.items() if ts_us < before_us]:
            del self.seen[name]

    def _cannot_be(self, name: tuple[str, str], fill: VenueFill) -> None:
        """Book nothing: the lists may have it whole, and where they do not the holdings differ."""
        if name not in self._unreadable:
            self._unreadable[name] = None
            if len(self._unreadable) > UNREADABLE_MAX:
                del self._unreadable[next(iter(self._unreadable))]
            self.news.set()
            text = f"not booked: {fill.side} {fill.qty} lots of {fill.instrument} at {fill.price} ticks, "
            text += f"trade '{fill.trade_id}' of order '{fill.client_order_id}'"
            self._tell(VenueNotice, 0, severity="critical", kind="fill_unreadable", text=text)

    def _own_fill(self, coid: ClientOrderId, fill: VenueFill) -> None:
        ticket = self.tickets.get(coid)
        if ticket is not None:
            if fill.trade_id in ticket.trades:
                return
            ticket.trades.add(fill.trade_id)
            ticket.filled += fill.qty
            ticket.missing_s = ticket.absent_s = None
            ticket.forsaken = False
            if ticket.phase is not Phase.SIGHTED:
                ticket.phase, ticket.doubted = Phase.SIGHTED, False
        fields = {"trade_id": fill.trade_id, "price": fill.price, "qty": fill.qty, **fees_of(fill)}
        self._tell(OrderFilled, fill.ts_us, client_order_id=coid, maker=fill.maker, **fields)
        if ticket is not None:
            self._finish(ticket)

    def _lose(self, coid: ClientOrderId, fill: VenueFill) -> None:
        """Count for an order's end what the bot is not told of as filled."""
        ticket = self.tickets.get(coid)
        if ticket is not None and fill.trade_id not in ticket.trades:
            ticket.trades.add(fill.trade_id)
            ticket.filled += fill.qty
            ticket.busted = True
            self._finish(ticket)

    def _finish(self, ticket: Ticket) -> None:
        """See whether an order is over by what has filled."""
        if ticket.filled < ticket.qty:
            self._conclude(ticket)
            return
        self._end(ticket)
        if ticket.busted:
            fields = {"canceled": False, "reason": "the venue took a trade of it back"}
            self._tell(OrderEnded, 0, client_order_id=ticket.id, **fields)

    def _conclude(self, ticket: Ticket) -> None:
        """Tell of an order's end once all that it has filled is told."""
        final = ticket.final
        if final is None or ticket.filled < final.filled:
            return
        self._end(ticket)
        if final.state is OrderState.REJECTED and not ticket.filled:
            self._tell(OrderRejected, final.ts_us, client_order_id=ticket.id, reason=final.reason)
        elif ticket.filled < ticket.qty or final.state is not OrderState.FILLED:
            canceled = final.state is OrderState.CANCELED
            fields: dict[str, Any] = {"canceled": canceled, "reason": final.reason or str(final.state)}
            self._tell(OrderEnded, final.ts_us, client_order_id=ticket.id, **fields)

    def _stranger(self, report: OrderReport, asked_s: float) -> None:
        """An order that is not live in our books: one of our family must not rest, others are told of.

        A read may show for a while what is over by now: only what is still there later is an orphan.
        """
        name = report.client_order_id
        if report.state is not OrderState.OPEN:
            self._strangers.pop(name, None)
            return
        first_s, _ = self._strangers.get(name, (asked_s, asked_s))
        self._strangers[name] = first_s, asked_s
        if name.startswith(FAMILY):
            if asked_s > first_s + self._rules.read_lag_us / 1e6 + MARGIN_S:
                self.orphans[name] = report
        elif first_s == asked_s:
            text = f"an order of somebody else rests on {report.instrument}: {report.side} {report.qty} lots"
            self._tell(VenueNotice, 0, severity="medium", kind="external_order", text=text)

    def after_read(self, asked_s: float) -> None:
        """See what was not shown and is overdue, now that a whole read is taken in: ends, fills, changes."""
        gone = [name for name, (_, last_s) in self._strangers.items() if asked_s - last_s >= MISSING_S]
        for name in gone:  # many are ours, over before their last word came
            del self._strangers[name]
        for ticket in list(self.tickets.values()):
            order, final = self._known(ticket.id), ticket.final
            if ticket.phase is Phase.SIGHTED and order is not None and order.is_terminal:
                self._end(ticket)  # a person has resolved it
                continue
            changed_s = ticket.amend_s + self._rules.deadline_us / 1e6 + MARGIN_S
            if ticket.amend is not None and asked_s >= changed_s:  # also where the stop itself is not shown
                self.amend_refused(ticket, "the change did not come")
            if final is not None and asked_s - ticket.final_s >= MISSING_S:
                ticket.final_s = asked_s
                reason = (
                    f"it is over with {final.filled} lots, and the fills that are shown make {ticket.filled}"
                )
                self._forsake(ticket, reason)

    # ---- alerts ---------------------------------------------------------------------------------

    def cry(self, now_s: float) -> None:
        """Tell a person of what has been in doubt for long."""
        for ticket in self.tickets.values():
            if ticket.phase is not Phase.DOUBT:
                continue
            at = (ticket.sent_s + CRY_S, self.deadline_s(ticket) + 3 * CRY_S)
            if ticket.cries < len(at) and now_s >= at[ticket.cries]:
                command = ticket.command
                # what is held may have no stop: there is nothing to wait for with that
                severity = "critical" if ticket.cries or command.stop is not None else "high"
                ticket.cries += 1
                text = f"{command.side} {ticket.id} is in doubt, after {ticket.looks} lookups"
                if command.stop is not None:
                    text = f"{text}: what is held may have no stop"
                fields = {"severity": severity, "kind": "order_in_doubt", "text": text}
                self._tell(VenueNotice, 0, **fields, client_order_id=ticket.id)
