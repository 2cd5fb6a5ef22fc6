"""One canonical line per decision: two runs decided the same when the digest of their lines is equal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from botd.core.events import DecisionKey
from botd.core.money import plain_text
from botd.core.records import (
    FillRecord,
    IntentRecord,
    Keyed,
    OrderRecord,
    Record,
    RiskRecord,
    SignalRecord,
    TradeRecord,
)

_Fields = dict[str, object]


def canonical_line(record: Any, kind: type[Record] | None = None) -> str | None:
    """Return the record's line, without a newline; None for a record that is no decision.

    `record` is one, or anything that has its fields when `kind` says which: a row of its table. Compact
    JSON with sorted keys. Floats are `float.hex()` text, Decimals plain text that depends on the amount
    only. Client ids, venue trade ids, sequence numbers, texts for people and what halted trading are left
    out.
    """
    fields_of = _FIELDS_OF.get(kind or type(record))
    if fields_of is None:
        return None
    fields = fields_of(record)
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(lines: Iterable[str]) -> str:
    """Return the sha256 of the lines, each ended by a newline, as hex text."""
    total = hashlib.sha256()
    for line in lines:
        total.update(line.encode("ascii"))
        total.update(b"\n")
    return total.hexdigest()


def _key(record: Keyed) -> _Fields:
    return {name: getattr(record, name) for name in DecisionKey.__slots__}


def _signal(record: SignalRecord) -> _Fields:
    return {
        "kind": "signal",
        "strategy": record.strategy,
        "instrument": record.instrument,
        "section": record.section,
        "rule": record.rule,
        "cycle": record.cycle,
        "row": record.row,
        "ts_us": record.ts_us,
        "side": record.side,
        "price": plain_text(record.price),
        "confidence": _hex(record.confidence),
        "values": {name: float(value).hex() for name, value in record.values},
        "acted": record.acted,
        "reason": record.reason,
    }


def _intent(record: IntentRecord) -> _Fields:
    return {
        "kind": "intent",
        **_key(record),
        "row": record.row,
        "ts_us": record.ts_us,
        "side": record.side,
        "qty": plain_text(record.qty),
        "price": plain_text(record.price),
    }


def _risk(record: RiskRecord) -> _Fields:
    return {
        "kind": "risk",
        "strategy": record.strategy,
        "instrument": record.instrument,
        "row": record.row,
        "ts_us": record.ts_us,
        "approved": record.approved,
        "reason": record.reason,
        "limit": _text(record.limit),
        "actual": _text(record.actual),
    }


def _order(record: OrderRecord) -> _Fields:
    return {
        "kind": "order",
        **_key(record),
        "row": record.row,
        "ts_us": record.ts_us,
        "side": record.side,
        "type": record.type,
        "tif": record.tif,
        "qty": plain_text(record.qty),
        "limit_price": _text(record.limit_price),
        "stop_price": _text(record.stop_price),
        "reduce_only": record.reduce_only,
        "decision_price": plain_text(record.decision_price),
    }


def _fill(record: FillRecord) -> _Fields:
    return {
        "kind": "fill",
        **_key(record),
        "ts_us": record.ts_us,
        "side": record.side,
        "qty": plain_text(record.qty),
        "price": plain_text(record.price),
        "fee": plain_text(record.fee),
        "maker": record.maker,
        "realized_pnl": plain_text(record.realized_pnl),
    }


def _trade(record: TradeRecord) -> _Fields:
    return {
        "kind": "trade",
        "strategy": record.strategy,
        "instrument": record.instrument,
        "cycle": record.cycle,
        "side": record.side,
        "qty": plain_text(record.qty),
        "entry_price": plain_text(record.entry_price),
        "exit_price": plain_text(record.exit_price),
        "opened_us": record.opened_us,
        "closed_us": record.closed_us,
        "realized_pnl": plain_text(record.realized_pnl),
        "fees": plain_text(record.fees),
        "section": record.exit_section,
        "rule": record.exit_rule,
        "confidence": _hex(record.confidence),
    }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else plain_text(amount)


def _hex(value: float | None) -> str | None:
    return None if value is None else float(value).hex()


_FIELDS_OF: Final[Mapping[type[Record], Callable[[Any], _Fields]]] = {
    SignalRecord: _signal,
    IntentRecord: _intent,
    RiskRecord: _risk,
    OrderRecord: _order,
    FillRecord: _fill,
    TradeRecord: _trade,
}
