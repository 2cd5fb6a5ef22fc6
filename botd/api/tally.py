"""What has been counted since the process began, from committed records and from the API's own work."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final

from botd.core.outcomes import OrderStatus
from botd.core.records import FillRecord, OrderRecord, Record, RiskRecord, SignalRecord, TradeRecord
from botd.core.updates import AlertRecord, OrderUpdate

Labels = tuple[str, ...]

_ENDS: Final = {
    OrderStatus.REJECTED: "failed",
    OrderStatus.EXPIRED: "failed",
    OrderStatus.NEVER_ARRIVED: "failed",
    OrderStatus.CANCELED: "canceled",
    OrderStatus.FILLED: "filled",
}

# what a counter is called, what it says, and by which labels it is split
COUNTERS: Final[dict[str, tuple[str, Labels]]] = {
    "botd_signals_total": ("Signals, acted on or not.", ("strategy", "section")),
    "botd_orders_submitted_total": ("Orders committed to.", ("symbol", "side", "order_type")),
    "botd_orders_filled_total": ("Orders that filled whole.", ("symbol",)),
    "botd_orders_canceled_total": ("Orders that were cancelled.", ("symbol",)),
    "botd_orders_failed_total": ("Orders rejected, expired or never arrived.", ("symbol", "reason")),
    "botd_orders_fills_total": ("Executions.", ("symbol", "side")),
    "botd_risk_rejections_total": ("Intents that risk denied.", ("reason",)),
    "botd_risk_alerts_total": ("Alerts.", ("severity", "type")),
    "botd_trades_closed_total": ("Round trips that closed.", ("strategy", "symbol")),
    "botd_api_requests_total": ("Requests answered.", ("route", "status")),
    "botd_api_turned_away_total": ("Connections refused: there were too many.", ()),
    "botd_websocket_messages_sent_total": ("Frames sent.", ("type",)),
    "botd_websocket_lagged_total": ("WebSocket clients dropped because they read too slowly.", ()),
}


class Tally:
    """Counters by name and labels; the API's thread is the only one that counts."""

    def __init__(self) -> None:
        self.counts: defaultdict[str, Counter[Labels]] = defaultdict(Counter)
        self.sockets = 0  # WebSocket clients now
        self.connections: Callable[[], int] = int

    def add(self, name: str, *labels: str, by: int = 1) -> None:
        self.counts[name][labels] += by

    def count(self, records: Iterable[Record]) -> None:
        """Count what was committed."""
        for one in records:
            count = _COUNTS.get(type(one))
            if count is not None:
                count(self, one)


def _signal(tally: Tally, one: SignalRecord) -> None:
    tally.add("botd_signals_total", one.strategy, one.section)


def _order(tally: Tally, one: OrderRecord) -> None:
    tally.add("botd_orders_submitted_total", one.instrument, one.side, one.type)


def _update(tally: Tally, one: OrderUpdate) -> None:
    end, symbol = _ENDS.get(one.status), one.traded.id
    if end == "failed":
        tally.add("botd_orders_failed_total", symbol, one.status)
    elif end is not None:
        tally.add(f"botd_orders_{end}_total", symbol)


def _fill(tally: Tally, one: FillRecord) -> None:
    tally.add("botd_orders_fills_total", one.instrument, one.side)


def _risk(tally: Tally, one: RiskRecord) -> None:
    if one.reason is not None:
        tally.add("botd_risk_rejections_total", one.reason)


def _alert(tally: Tally, one: AlertRecord) -> None:
    tally.add("botd_risk_alerts_total", one.severity, one.type)


def _trade(tally: Tally, one: TradeRecord) -> None:
    tally.add("botd_trades_closed_total", one.strategy, one.instrument)


_COUNTS: Final[dict[type[Any], Callable[[Tally, Any], None]]] = {
    SignalRecord: _signal,
    OrderRecord: _order,
    OrderUpdate: _update,
    FillRecord: _fill,
    RiskRecord: _risk,
    AlertRecord: _alert,
    TradeRecord: _trade,
}
