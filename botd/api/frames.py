"""From committed records to what WebSocket clients hear of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from botd.api.shapes import plain, time_text
from botd.api.views import finite, position_id
from botd.core.orders import TERMINAL
from botd.core.outcomes import OrderStatus
from botd.core.records import FillRecord, OrderRecord, Record, SignalRecord
from botd.core.updates import AlertRecord, OrderUpdate, PositionUpdate, TradingStateRecord


class Topic(StrEnum):
    """What a client may ask to hear. Market rows and indicators are not among records, and so not fed yet."""

    SIGNAL_GENERATED = "signal_generated"
    ORDER_CREATED = "order_created"
    ORDER_UPDATED = "order_updated"
    ORDER_FILLED = "order_filled"
    ORDER_CANCELLED = "order_cancelled"
    POSITION_UPDATED = "position_updated"
    POSITION_CLOSED = "position_closed"
    RISK_ALERT = "risk_alert"
    TRADING_STATE = "trading_state"


@dataclass(frozen=True, slots=True)
class Frame:
    """Something to tell; of no symbol where it is of the account."""

    topic: Topic
    symbol: str | None
    ts_us: int
    data: dict[str, Any]


def frames_of(session_id: str, records: Sequence[Record]) -> Iterator[Frame]:
    """Yield what there is to tell of records, in their order."""
    for one in records:
        make = _MAKERS.get(type(one))
        if make is not None:
            frame = make(one)
            frame.data.update(session_id=session_id, seq=one.seq)
            yield frame


def _times(ts_us: int) -> dict[str, Any]:
    return {"at": time_text(ts_us), "at_us": ts_us}


def _amount(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)


def _signal(one: SignalRecord) -> Frame:
    data = {
        "strategy": one.strategy,
        "symbol": one.instrument,
        "section": one.section,
        "rule": one.rule,
        "cycle": one.cycle,
        "side": one.side,
        "price": plain(one.price),
        "confidence": one.confidence,
        "indicator_values": {name: finite(number) for name, number in one.values},
        "acted": one.acted,
        "reason": one.reason,
    }
    return Frame(Topic.SIGNAL_GENERATED, one.instrument, one.ts_us, data | _times(one.ts_us))


def _order(one: OrderRecord) -> Frame:
    data = {
        "order_id": one.client_order_id,
        "strategy": one.strategy,
        "symbol": one.instrument,
        "section": one.section,
        "rule": one.rule,
        "cycle": one.cycle,
        "side": one.side,
        "order_type": one.type,
        "quantity": plain(one.qty),
        "limit_price": _amount(one.limit_price),
        "stop_price": _amount(one.stop_price),
        "decision_price": plain(one.decision_price),
    }
    return Frame(Topic.ORDER_CREATED, one.instrument, one.ts_us, data | _times(one.ts_us))


def _update(one: OrderUpdate) -> Frame:
    data = {
        "order_id": one.client_order_id,
        "symbol": one.traded.id,
        "status": one.status,
        "status_reason": one.reason,
        "in_doubt": one.in_doubt,
        "needs_human": one.needs_human,
        "over": one.status in TERMINAL,
        "quantity": plain(one.qty),
        "filled_quantity": plain(one.filled_qty),
        "average_fill_price": _amount(one.avg_price),
        "fee": plain(one.fee),
    }
    canceled = one.status is OrderStatus.CANCELED
    topic = Topic.ORDER_CANCELLED if canceled else Topic.ORDER_UPDATED
    return Frame(topic, one.traded.id, one.ts_us, data | _times(one.ts_us))


def _fill(one: FillRecord) -> Frame:
    data = {
        "order_id": one.client_order_id,
        "trade_id": one.trade_id,
        "strategy": one.strategy,
        "symbol": one.instrument,
        "section": one.section,
        "rule": one.rule,
        "cycle": one.cycle,
        "side": one.side,
        "quantity": plain(one.qty),
        "price": plain(one.price),
        "fee": plain(one.fee),
        "maker": one.maker,
        "realized_pnl": plain(one.realized_pnl),
    }
    return Frame(Topic.ORDER_FILLED, one.instrument, one.ts_us, data | _times(one.ts_us))


def _position(one: PositionUpdate) -> Frame:
    data = {
        "position_id": position_id(one.strategy, one.instrument, one.cycle),
        "strategy": one.strategy,
        "symbol": one.instrument,
        "cycle": one.cycle,
        "side": one.side,
        "quantity": plain(abs(one.qty)),
        "entry_price": plain(one.entry_price),
        "realized_pnl": plain(one.realized_pnl),
        "fees": plain(one.fees),
    }
    topic = Topic.POSITION_UPDATED if one.lots else Topic.POSITION_CLOSED
    return Frame(topic, one.instrument, one.ts_us, data | _times(one.ts_us))


def _alert(one: AlertRecord) -> Frame:
    data = {
        "severity": one.severity,
        "type": one.type,
        "message": one.message,
        "strategy": one.strategy,
        "symbol": one.instrument,
    }
    return Frame(Topic.RISK_ALERT, one.instrument, one.ts_us, data | _times(one.ts_us))


def _state(one: TradingStateRecord) -> Frame:
    data = {
        "scope": one.scope,
        "verb": one.verb,
        "state": one.state,
        "cause": one.cause,
        "who": one.who,
        "reason": one.reason,
    }
    return Frame(Topic.TRADING_STATE, None, one.ts_us, data | _times(one.ts_us))


_MAKERS: Final[dict[type[Any], Callable[[Any], Frame]]] = {
    SignalRecord: _signal,
    OrderRecord: _order,
    OrderUpdate: _update,
    FillRecord: _fill,
    PositionUpdate: _position,
    AlertRecord: _alert,
    TradingStateRecord: _state,
}
