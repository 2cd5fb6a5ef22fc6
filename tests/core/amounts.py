"""Records made from the amounts that a test thinks in; the core keeps them in whole lots and ticks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from botd.core.events import DecisionKey, FeeTaken, OrderFilled, SubmitOrder
from botd.core.instrument import Instrument
from botd.core.portfolio import Position
from botd.core.records import FillRecord, IntentRecord, OrderRecord, TradeRecord


def steps(amount: Decimal | None, step: Decimal) -> int | None:
    """Return an amount as the whole number of steps that it must be."""
    if amount is None:
        return None
    count = int(amount / step)
    assert count * step == amount, (amount, step)
    return count


def _key(terms: dict[str, Any]) -> DecisionKey:
    return DecisionKey(*(terms.pop(name) for name in DecisionKey.__slots__))


def intent_of(traded: Instrument, **terms: Any) -> IntentRecord:
    """Make an intent; its key, quantity and price are given by their own names."""
    lots, ticks = steps(terms.pop("qty"), traded.lot_size), steps(terms.pop("price"), traded.tick_size)
    return IntentRecord(key=_key(terms), lots=lots or 0, ticks=ticks or 0, traded=traded, **terms)


def order_of(traded: Instrument, **terms: Any) -> OrderRecord:
    """Make an order; everything that its row says is given by its own name."""
    key, tick = _key(terms), traded.tick_size
    command = SubmitOrder(
        client_order_id=terms.pop("client_order_id"),
        key=key,
        instrument=key.instrument,
        side=terms.pop("side"),
        type=terms.pop("type"),
        tif=terms.pop("tif"),
        qty=steps(terms.pop("qty"), traded.lot_size) or 0,
        ts_us=terms.pop("ts_us"),
        limit=steps(terms.pop("limit_price"), tick),
        stop=steps(terms.pop("stop_price"), tick),
        reduce_only=terms.pop("reduce_only"),
    )
    ticks = steps(terms.pop("decision_price"), tick) or 0
    return OrderRecord(key=key, command=command, ticks=ticks, traded=traded, **terms)


def fill_of(traded: Instrument, **terms: Any) -> FillRecord:
    """Make an execution; everything that its row says is given by its own name."""
    paid, currency = terms.pop("fee_paid", None), terms.pop("fee_currency", None)
    terms.pop("reverses", None)  # is in the trade id
    fill = OrderFilled(
        seq=1,
        client_order_id=terms.pop("client_order_id"),
        trade_id=terms.pop("trade_id"),
        price=steps(terms.pop("price"), traded.tick_size) or 0,
        qty=steps(terms.pop("qty"), traded.lot_size) or 0,
        fee=terms.pop("fee"),
        maker=terms.pop("maker"),
        ts_us=terms.pop("ts_us"),
        taken=None if paid is None and currency is None else FeeTaken(paid or Decimal(0), currency or ""),
    )
    return FillRecord(key=_key(terms), fill=fill, traded=traded, **terms)


def trade_of(traded: Instrument, **terms: Any) -> TradeRecord:
    """Make a round trip of one entry and one exit; everything that its row says is given by its own name."""
    lots, tick = steps(terms.pop("qty"), traded.lot_size) or 0, traded.tick_size
    position = Position(
        strategy=terms.pop("strategy"),
        instrument=traded.id,
        cycle=terms.pop("cycle"),
        sign=1 if terms.pop("side") == "long" else -1,
        opened_us=terms.pop("opened_us"),
        confidence=terms.pop("confidence"),
        realized=steps(terms.pop("realized_pnl"), tick * traded.lot_size) or 0,
        fees=terms.pop("fees"),
        qty_max=lots,
        entry_qty=lots,
        entry_cost=(steps(terms.pop("entry_price"), tick) or 0) * lots,
        exit_qty=lots,
        exit_cost=(steps(terms.pop("exit_price"), tick) or 0) * lots,
    )
    return TradeRecord(position=position, traded=traded, **terms)
