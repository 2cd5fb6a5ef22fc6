"""Records for the store's tests: one session told by hand, and any record at all."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from botd.core.events import ClientOrderId, DecisionKey, OrderType, Section, Side, TimeInForce
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.records import (
    AlertRecord,
    DenyReason,
    FillRecord,
    IntentRecord,
    OrderRecord,
    OrderStatus,
    OrderUpdate,
    PortfolioSnapshot,
    PositionUpdate,
    Record,
    RiskRecord,
    SignalRecord,
    TradeRecord,
    TradingStateRecord,
)
from botd.core.restraint import Cause, TradingState, Verb
from botd.ports import Batch, Cursor, SessionInfo
from botd.store.journal import SqliteJournal, open_state
from botd.store.queries import StateReader
from tests.core.keyed import keyed

BTC = InstrumentId("BTC/USDT")
TRADED = Instrument(
    id=BTC,
    kind=InstrumentKind.SPOT,
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.001"),
    taker_fee=Decimal("0.001"),
    maker_fee=Decimal("0.001"),
)
T0 = 1_700_000_000_000_000


def started(session_id: str = "s1", **changes: Any) -> SessionInfo:
    values: dict[str, Any] = {
        "id": session_id,
        "mode": "paper",
        "feed": "synthetic:1",
        "config_hash": "c0ffee",
        "started_us": T0,
        "ended_us": None,
        "status": "running",
        "account": "paper",
    }
    return SessionInfo(**(values | changes))


def cursor(position: int, *, seq: int = 0) -> Cursor:
    return Cursor(feed_position=position * 2, position=position, ts_us=T0 + position, seq=seq, venue_seq=7)


def signal(seq: int, **changes: Any) -> SignalRecord:
    values: dict[str, Any] = {
        "seq": seq,
        "strategy": "dip",
        "instrument": BTC,
        "section": Section.S1,
        "rule": "",
        "cycle": 1,
        "row": 100,
        "ts_us": T0,
        "side": Side.BUY,
        "price": Decimal("20000.10"),
        "confidence": 0.75,
        "values": (("speed", 0.1), ("busy", 3.0)),
        "acted": True,
        "reason": "",
    }
    return SignalRecord(**(values | changes))


def intent(seq: int, **changes: Any) -> IntentRecord:
    values: dict[str, Any] = {
        "seq": seq,
        "strategy": "dip",
        "instrument": BTC,
        "section": Section.Z1,
        "rule": "",
        "cycle": 1,
        "leg": 0,
        "row": 101,
        "ts_us": T0 + 1,
        "side": Side.BUY,
        "qty": Decimal("0.050"),
        "price": Decimal("20000.20"),
        "sizing": "fixed 1000 USDT",
    }
    return keyed(IntentRecord, **(values | changes))


def risk(seq: int, intent_seq: int, **changes: Any) -> RiskRecord:
    values: dict[str, Any] = {
        "seq": seq,
        "intent_seq": intent_seq,
        "strategy": "dip",
        "instrument": BTC,
        "row": 101,
        "ts_us": T0 + 1,
        "approved": True,
        "reason": None,
        "limit": None,
        "actual": None,
    }
    return RiskRecord(**(values | changes))


def order(seq: int, **changes: Any) -> OrderRecord:
    values: dict[str, Any] = {
        "seq": seq,
        "client_order_id": ClientOrderId("b-1"),
        "intent_seq": 3,
        "strategy": "dip",
        "instrument": BTC,
        "section": Section.Z1,
        "rule": "",
        "cycle": 1,
        "leg": 0,
        "row": 101,
        "ts_us": T0 + 1,
        "side": Side.BUY,
        "type": OrderType.MARKET,
        "tif": TimeInForce.IOC,
        "qty": Decimal("0.050"),
        "limit_price": None,
        "stop_price": None,
        "reduce_only": False,
        "decision_price": Decimal("20000"),
    }
    return keyed(OrderRecord, **(values | changes))


def update(seq: int, status: OrderStatus, **changes: Any) -> OrderUpdate:
    values: dict[str, Any] = {
        "seq": seq,
        "client_order_id": ClientOrderId("b-1"),
        "status": status,
        "in_doubt": False,
        "lots": 50,
        "filled_lots": 0,
        "cost": 0,
        "fee": Decimal("0"),
        "reason": "",
        "ts_us": T0 + seq,
        "traded": TRADED,
    }
    return OrderUpdate(**(values | in_lots(changes, {"qty": "lots", "filled_qty": "filled_lots"})))


def fill(seq: int, **changes: Any) -> FillRecord:
    values: dict[str, Any] = {
        "seq": seq,
        "client_order_id": ClientOrderId("b-1"),
        "trade_id": "v-1",
        "strategy": "dip",
        "instrument": BTC,
        "section": Section.Z1,
        "rule": "",
        "cycle": 1,
        "leg": 0,
        "ts_us": T0 + 2,
        "side": Side.BUY,
        "qty": Decimal("0.050"),
        "price": Decimal("20010"),
        "fee": Decimal("1.00050000"),
        "maker": False,
        "realized_pnl": Decimal("0"),
    }
    return keyed(FillRecord, **(values | changes))


def position(seq: int, **changes: Any) -> PositionUpdate:
    values: dict[str, Any] = {
        "seq": seq,
        "strategy": "dip",
        "traded": TRADED,
        "cycle": 1,
        "sign": 1,
        "lots": 50,
        "basis_lots": 50,
        "basis_cost": 50 * 2_001_000,
        "realized": 0,
        "fees": Decimal("1.00050000"),
        "opened_us": T0 + 2,
        "ts_us": T0 + 2,
    }
    return PositionUpdate(**(values | in_lots(changes, {"qty": "lots"})))


def in_lots(changes: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Return terms in which quantities are whole lots of the instrument, under the names they have there."""
    return {
        "realized" if name == "realized_pnl" else names.get(name, name): int(
            value / (TRADED.lot_size if name in names else TRADED.tick_size * TRADED.lot_size)
        )
        if name in names or name == "realized_pnl"
        else value
        for name, value in changes.items()
        if name != "avg_price"
    }


def alert(seq: int, **changes: Any) -> AlertRecord:
    values = {"seq": seq, "ts_us": T0, "severity": "high", "type": "daily_loss", "message": "5 % lost"}
    return AlertRecord(**(values | changes))  # type: ignore[arg-type]


def trading_state(seq: int, **changes: Any) -> TradingStateRecord:
    values: dict[str, Any] = {
        "seq": seq,
        "ts_us": T0 + seq,
        "scope": "account",
        "verb": Verb.HALT,
        "state": TradingState.HALTED,
        "cause": Cause.FILE,
        "who": "ann",
        "reason": "odd prices",
        "since_us": T0 + seq,
    }
    return TradingStateRecord(**(values | changes))


def entry() -> tuple[Record, ...]:
    """A signal, its entry, approved, sent and filled: seq 1 to 8."""
    return (
        signal(1),
        signal(2, section=Section.Z1, confidence=None, row=101, values=()),
        intent(3),
        risk(4, 3),
        order(5),
        update(6, OrderStatus.FILLED, filled_lots=50, cost=50 * 2_001_000),
        fill(7),
        position(8),
    )


def journal_with(path: Path, *records: Record, session: str = "s1") -> SqliteJournal:
    journal = open_state(path)
    journal.start_session(started(session))
    journal.commit(Batch(session_id=session, records=records))
    return journal


def decisions(path: Path, session: str = "s1") -> list[Record]:
    with StateReader(path) as reader:
        return list(reader.decision_records(session))


INT64 = st.integers(min_value=-(2**63), max_value=2**63 - 1)
WORDS = st.text(max_size=12)
MONEY = st.decimals(allow_nan=False, allow_infinity=False)
FLOATS = st.floats()
VALUES = st.lists(st.tuples(WORDS, FLOATS), max_size=5, unique_by=lambda pair: pair[0]).map(tuple)

# Any value a field's type allows, by the field's name; the rest are texts.
BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("cycle", "row", "ts_us", "opened_us", "closed_us"), INT64),
    **dict.fromkeys(("price", "qty", "fee", "fees", "realized_pnl", "entry_price", "exit_price"), MONEY),
    **dict.fromkeys(("decision_price", "balance", "unrealized_pnl", "equity", "exposure_gross"), MONEY),
    **dict.fromkeys(("peak_equity", "drawdown"), MONEY),
    **dict.fromkeys(("limit", "actual", "limit_price", "stop_price"), st.none() | MONEY),
    **dict.fromkeys(("acted", "approved", "reduce_only", "maker"), st.booleans()),
    **dict.fromkeys(("section", "exit_section"), st.sampled_from(Section)),
    "positions_count": st.integers(min_value=0, max_value=2**31 - 1),
    "confidence": st.none() | FLOATS,
    "values": VALUES,
    "type": st.sampled_from(OrderType),
    "tif": st.sampled_from(TimeInForce),
    "intent_seq": st.none() | INT64,
    "key": st.builds(
        DecisionKey,
        strategy=WORDS,
        instrument=WORDS,
        cycle=INT64,
        section=st.sampled_from(Section),
        rule=WORDS,
        leg=st.integers(min_value=0, max_value=2**31 - 1),
    ),
    "since_us": INT64,
    "cause": st.sampled_from(Cause),
    "verb": st.sampled_from(Verb),
    "state": st.sampled_from(TradingState),
}
EXCEPTIONS: dict[type[Any], dict[str, st.SearchStrategy[Any]]] = {
    RiskRecord: {
        "reason": st.none() | st.sampled_from(DenyReason),
        "cause": st.none() | st.sampled_from(Cause),
        "since_us": st.none() | INT64,
    },
    TradeRecord: {"side": st.sampled_from(("long", "short"))},
    AlertRecord: {"type": WORDS, "strategy": st.none() | WORDS, "instrument": st.none() | WORDS},
}


def any_record(kind: type[Any], seq: int, **fixed: Any) -> st.SearchStrategy[Any]:
    """Draw a record of this type with every field at its strangest."""
    sides = {"side": st.sampled_from(Side)}
    known = BY_NAME | sides | EXCEPTIONS.get(kind, {}) | {"seq": st.just(seq)}
    known |= {name: st.just(value) for name, value in fixed.items()}
    return st.builds(kind, **{name: known.get(name, WORDS) for name in kind.__dataclass_fields__})


EVERY_PLAIN_KIND = (SignalRecord, IntentRecord, OrderRecord, FillRecord, TradeRecord)
BOOK_KINDS = (PortfolioSnapshot, AlertRecord, TradingStateRecord)
