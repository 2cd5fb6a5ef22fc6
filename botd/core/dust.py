"""What a spot account holds beside its positions: less than a lot, or less than the venue would sell.

A fee that the venue takes in the base currency comes out of the dust, and out of the position that was
filled for as many lots as the dust lacks. So for every instrument, at all times and to the last digit,

    held at the venue = lots of all positions + dust.

Dust is worth nothing in our books: lots that go there are sold at a price for a fee of all that they bring,
and lots that come back are bought so. Both are fills of rule `dust`, which no venue knows.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from botd.core import external
from botd.core.desk import Desk
from botd.core.events import ClientOrderId, ExternalFill, FeeTaken, OrderFilled, Side, VenueNotice
from botd.core.instrument import Instrument
from botd.core.money import ZERO, floor_to_lots
from botd.core.portfolio import UNOWNED, Position

DUST: Final = "dust-"  # how the trade ids of its fills begin


def settle(desk: Desk, runners: external.Runners, ts_us: int, seq: int) -> None:
    """Account for fees in other currencies, for what cannot be sold, and for dust that was sold."""
    taken, desk.taken = desk.taken, []
    for one in taken:
        _pay(desk, runners, *one)
    rests, desk.unsellable = desk.unsellable, []
    for runner, price in rests:
        position = desk.portfolio.held(runner.key)
        if position is not None:
            instrument = runner.lane.instrument
            text = f"{instrument.qty(position.qty)} {instrument.base} are too little to sell: they are dust"
            desk.alert("medium", "dust", text, ts_us, runner)
            _move(desk, runners, instrument, position, position.qty, price, (ts_us, seq))
    for name, amount in list(desk.portfolio.dust.items()):
        owing = desk.portfolio.held((UNOWNED, name))
        if owing is not None and owing.sign < 0:
            lots = min(owing.qty, floor_to_lots(amount, desk.instruments[name].lot_size))
            price = max(1, owing.cost // owing.qty)
            _move(desk, runners, desk.instruments[name], owing, lots, price, (ts_us, seq))


def _pay(
    desk: Desk,
    runners: external.Runners,
    strategy: str,
    instrument: Instrument,
    fill: OrderFilled,
    taken: FeeTaken,
) -> None:
    """Take a fee out of what it was taken in."""
    if instrument.holds(taken.currency):
        desk.portfolio.add_dust(instrument.id, -taken.amount)
        position = desk.portfolio.held((strategy, instrument.id))
        if position is not None and position.sign > 0:
            lacking = _lots_to_cover(-desk.portfolio.dust.get(instrument.id, ZERO), instrument.lot_size)
            lots = min(lacking, position.qty)
            _move(desk, runners, instrument, position, lots, fill.price, (fill.ts_us, fill.seq))
    elif not fill.fee:
        desk.portfolio.pay(taken.currency, taken.amount)
        text = (
            f"fees of {instrument.id} are taken in {taken.currency}, and nobody says what they are worth in "
        )
        text += f"{instrument.quote}: they are booked in {taken.currency}, and no trade's result has them"
        notice = VenueNotice(fill.seq, "high", "fee_not_valued", text, fill.ts_us)
        external.hear(desk, runners, notice)


def _lots_to_cover(amount: Decimal, lot_size: Decimal) -> int:
    lots = floor_to_lots(amount, lot_size)
    return lots + (lots * lot_size < amount)


def _move(
    desk: Desk,
    runners: external.Runners,
    instrument: Instrument,
    position: Position,
    lots: int,
    price: int,
    when: tuple[int, int],
) -> None:
    """Take lots out of a position, or out of what nobody's position lacks; `when` is time and number."""
    if not lots:
        return
    ts_us, seq = when
    side, sign = (Side.SELL, 1) if position.sign > 0 else (Side.BUY, -1)
    worth = sign * instrument.money(price * lots)
    trade = f"{DUST}{desk.seq}"
    desk.portfolio.add_dust(instrument.id, sign * instrument.qty(lots))
    fill = ExternalFill(seq, ClientOrderId(""), instrument.id, trade, side, price, lots, worth, False, ts_us)
    external.book(desk, runners, fill, "dust", int(sign < 0), position.strategy, lots, worth)
