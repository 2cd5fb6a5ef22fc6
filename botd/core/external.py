"""What happens on the account without us: a person's trades, a liquidation, a trade taken back, a ban.

An execution that nobody asked for first closes what nobody owns, then what strategies hold the other way,
oldest first; the rest is a position in nobody's name. Each part has an order row of its own, without an
intent, so that every fill has an order and every position is the sum of its fills. A trade that the venue
takes back stays, and another one that names it turns it round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from botd.core import answers, halts
from botd.core.desk import Desk
from botd.core.events import (
    AccountAnswer,
    ClientOrderId,
    DecisionKey,
    ExternalFill,
    FeeTaken,
    OrderFilled,
    OrderType,
    Section,
    Side,
    SubmitOrder,
    TermsSeen,
    TimeInForce,
    TradeBusted,
    VenueBan,
    VenueNotice,
)
from botd.core.instrument import InstrumentId
from botd.core.money import ZERO
from botd.core.orders import Order
from botd.core.portfolio import UNOWNED
from botd.core.records import BUST
from botd.core.restraint import ACCOUNT, Cause, TradingCommand, Verb
from botd.core.runner import Runner

Runners = Mapping[tuple[str, InstrumentId], Runner]

NET: Final = "net-"  # how the trade ids of what closes itself begin: the venue has no such trade
_AGAIN_US: Final = 3_600_000_000
_KEPT_US: Final = 86_400_000_000  # how long a trade id is known; no reader asks that far back


def external_fill(desk: Desk, runners: Runners, fill: ExternalFill) -> None:
    """Book an execution past us, once, and halt: the account for a liquidation, else its instrument."""
    name = f"{fill.instrument}|{fill.trade_id}"
    if name in desk.external:
        return
    desk.external[name] = fill.ts_us
    known = fill.instrument in desk.instruments
    if known:
        book_parts(desk, runners, fill, "liquidation" if fill.liquidation else "trade")
    what = "the venue liquidated" if fill.liquidation else "somebody traded past botd:"
    text = f"{what} {fill.side} {fill.qty} lots of {fill.instrument} at {fill.price} ticks"
    kind = "liquidation" if fill.liquidation else "external_fill"
    desk.alert("critical", kind, text if known else f"{text}, which no strategy trades", fill.ts_us)
    if known:
        cause = Cause.LIQUIDATION if fill.liquidation else Cause.EXTERNAL_TRADE
        scope = ACCOUNT if fill.liquidation else str(fill.instrument)
        halt = TradingCommand(verb=Verb.HALT, cause=cause, who="venue", reason=text, scope=scope)
        halts.obey(desk, halt, fill.ts_us)


def book_parts(desk: Desk, runners: Runners, fill: ExternalFill, rule: str, first: str = UNOWNED) -> None:
    """Book an execution as that of everyone whose lots it closes, beginning with `first`."""
    fee, taken = fill.fee, fill.taken
    for index, (strategy, lots) in enumerate(_parts(desk, fill, first)):
        book(desk, runners, fill, rule, index, strategy, lots, fee, taken)
        fee, taken = ZERO, None


def bust_name(instrument: str, client_order_id: str, trade_id: str) -> str:
    """Return what a bust is known by."""
    return f"{instrument}|{client_order_id}|{trade_id}"


def take_back(desk: Desk, runners: Runners, bust: TradeBusted) -> None:
    """Book the reversal of a trade, once, cry out and halt its instrument.

    Of a trade that was never booked nothing is, nor will it be when it is told after all.
    """
    name = bust_name(bust.instrument, bust.client_order_id, bust.trade_id)
    if name in desk.busted:
        return
    desk.busted[name] = bust.ts_us
    order = desk.orders.get(bust.client_order_id)
    text = f"the venue took trade {bust.trade_id} back: {bust.side} {bust.qty} lots of {bust.instrument} "
    text += f"at {bust.price} ticks"
    if not bust.booked or bust.instrument not in desk.instruments:
        text += ", which was not booked"
        desk.external.setdefault(f"{bust.instrument}|{bust.trade_id}", bust.ts_us)
        if order is not None and bust.trade_id not in order.trade_ids:
            order.trade_ids += (bust.trade_id,)
    else:
        reversal = ExternalFill(
            bust.seq,
            bust.client_order_id,
            bust.instrument,
            f"{BUST}{bust.client_order_id}:{bust.trade_id}",
            Side.SELL if bust.side is Side.BUY else Side.BUY,
            bust.price,
            bust.qty,
            -bust.fee,
            False,
            bust.ts_us,
            bust.taken and replace(bust.taken, amount=-bust.taken.amount),
        )
        owner = UNOWNED if order is None else order.key.strategy
        book_parts(desk, runners, reversal, "bust", first=owner)
    desk.alert("critical", "trade_busted", text, bust.ts_us)
    halt = TradingCommand(
        verb=Verb.HALT, cause=Cause.TRADE_BUSTED, who="venue", reason=text, scope=str(bust.instrument)
    )
    halts.obey(desk, halt, bust.ts_us)


def _parts(desk: Desk, fill: ExternalFill, first: str = UNOWNED) -> Iterator[tuple[str, int]]:
    """Yield whose lots it closes, and how many; what is left over is nobody's."""
    sign = 1 if fill.side is Side.BUY else -1
    held = [
        position
        for position in desk.portfolio.positions()
        if position.instrument == fill.instrument and position.sign != sign
    ]
    left = fill.qty
    for position in sorted(held, key=lambda one: one.strategy != first):
        if left:
            part = min(left, position.qty)
            left -= part
            yield position.strategy, part
    if left:
        yield UNOWNED, left


def net_out(desk: Desk, runners: Runners, ts_us: int, seq: int) -> None:
    """Let what is nobody's and what strategies hold against it close each other, where the venue nets both.

    It holds neither: an exit could not reduce what is not there. Both sides are booked at the price that
    nobody's position was opened at, so that no money moves between them.
    """
    for position in desk.portfolio.positions():
        if position.strategy != UNOWNED:
            continue
        against = [
            one
            for one in desk.portfolio.positions()
            if one.instrument == position.instrument and one.sign != position.sign
        ]
        lots = min(position.qty, sum(one.qty for one in against))
        if not lots:
            continue
        price, trade = max(1, position.cost // position.qty), f"{NET}{desk.seq}"
        sides = (Side.BUY, Side.SELL) if position.sign < 0 else (Side.SELL, Side.BUY)
        terms = (seq, ClientOrderId(""), position.instrument, trade)
        own, other = (ExternalFill(*terms, side, price, lots, ZERO, False, ts_us) for side in sides)
        text = f"{lots} lots of {position.instrument} that nobody asked for have closed what was held"
        desk.alert("critical", "netted", text, ts_us)
        book(desk, runners, own, "net", 0, UNOWNED, lots, ZERO)
        for index, (strategy, part) in enumerate(_parts(desk, other), start=1):
            book(desk, runners, other, "net", index, strategy, part, ZERO)


def book(
    desk: Desk,
    runners: Runners,
    fill: ExternalFill,
    rule: str,
    index: int,
    strategy: str,
    lots: int,
    fee: Decimal,
    taken: FeeTaken | None = None,
) -> None:
    """Book one owner's part: its order, its execution, what it holds afterwards."""
    runner = runners.get((strategy, fill.instrument))
    cycle, leg = fill.seq, index
    if runner is not None:
        cycle, leg = runner.memory.cycle, runner.memory.next_leg(Section.EXTERNAL, rule)
    key = DecisionKey(strategy, fill.instrument, cycle, Section.EXTERNAL, rule, leg)
    order = _order(desk, fill, key, lots, index)
    desk.submitted(order)
    part = OrderFilled(
        fill.seq, order.client_order_id, fill.trade_id, fill.price, lots, fee, False, fill.ts_us, taken
    )
    desk.orders.book(order, part)
    instrument = desk.instruments[fill.instrument]
    if runner is None:
        ((_, effect),) = desk.portfolio.apply_unowned(
            instrument, fill.side, lots, fill.price, fee, fill.ts_us, cycle
        )
    else:
        effect = desk.portfolio.apply_fill(
            strategy, instrument, fill.side, lots, fill.price, fee, fill.ts_us, cycle, reducing=True
        )
    desk.fill(order, key, part, effect)
    desk.changed[order.client_order_id] = order
    if runner is not None:
        answers.reduced(desk, runner, effect.position, fill.ts_us)


def _order(desk: Desk, fill: ExternalFill, key: DecisionKey, lots: int, index: int) -> Order:
    command = SubmitOrder(
        ClientOrderId(f"external-{fill.instrument}-{fill.trade_id}-{index}"),
        key,
        fill.instrument,
        fill.side,
        OrderType.MARKET,
        TimeInForce.IOC,
        lots,
        fill.ts_us,
        reduce_only=True,
    )
    rows = next(lane.row0 + lane.next for lane in desk.lanes if lane.instrument.id == fill.instrument)
    return Order(command, max(0, rows - 1), fill.price)


def forget(desk: Desk, before_us: int) -> None:
    """Forget the trade ids that no reader can bring up again, and what a person was told."""
    for kept, age_us in ((desk.external, _KEPT_US), (desk.busted, _KEPT_US), (desk.noticed, _AGAIN_US)):
        for name in [name for name, ts_us in kept.items() if ts_us < before_us - age_us]:
            del kept[name]


def _notice(desk: Desk, runners: Runners, notice: VenueNotice) -> None:
    """Tell a person, once an hour while it is said again: a restart alone is no news."""
    name = f"{notice.severity}|{notice.kind}|{notice.text}"
    told_us = desk.noticed.get(name)
    if told_us is not None and notice.ts_us - told_us < _AGAIN_US:
        return
    desk.noticed[name] = notice.ts_us
    order = desk.orders.get(notice.client_order_id) if notice.client_order_id else None
    runner = runners.get((order.command.key.strategy, order.instrument)) if order else None
    desk.alert(notice.severity, notice.kind, notice.text, notice.ts_us, runner)


def _banned(desk: Desk, _: Runners, ban: VenueBan) -> None:
    """Remember until when the venue is not to be called, over restarts too, and halt."""
    desk.banned_until_us, desk.banned_for_us = ban.until_us, ban.for_us
    halt = TradingCommand(verb=Verb.HALT, cause=Cause.BANNED, who="venue", reason=ban.reason)
    halts.obey(desk, halt, ban.ts_us)


def _terms(desk: Desk, _: Runners, seen: TermsSeen) -> None:
    """Remember what was seen first, over restarts too."""
    desk.terms.setdefault(str(seen.instrument), seen.terms)


_DO: Final[Mapping[type[AccountAnswer], Callable[[Desk, Runners, Any], None]]] = {
    ExternalFill: external_fill,
    TradeBusted: take_back,
    VenueNotice: _notice,
    VenueBan: _banned,
    TermsSeen: _terms,
}


def hear(desk: Desk, runners: Runners, answer: AccountAnswer) -> None:
    """Do what an answer asks for that is of no order of ours."""
    _DO[type(answer)](desk, runners, answer)
