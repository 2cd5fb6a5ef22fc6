"""Records for the store's tests: one session told by hand, and any record at all."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from botd.core.events import (
    ClientOrderId,
    DecisionKey,
    FeeTaken,
    OrderFilled,
    OrderType,
    Section,
    Side,
    SubmitOrder,
    TimeInForce,
)
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.outcomes import DenyReason, OrderStatus
from botd.core.portfolio import Position
from botd.core.records import (
    FillRecord,
    IntentRecord,
    OrderRecord,
    Record,
    RiskRecord,
    SignalRecord,
    TradeRecord,
)
from botd.core.restraint import Cause, TradingState, Verb
from botd.core.risk import Check
from botd.core.updates import AlertRecord, OrderUpdate, PortfolioSnapshot, PositionUpdate, TradingStateRecord
from botd.ports import Batch, Cursor, SessionInfo
from botd.store.journal import SqliteJournal, open_state
from botd.store.queries import StateReader
from botd.store.rows import DECISIONS
from tests.core.amounts import fill_of, intent_of, order_of, trade_of

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
    return intent_of(TRADED, **(values | changes))


def risk(seq: int, intent_seq: int, **changes: Any) -> RiskRecord:
    values: dict[str, Any] = {
        "seq": seq,
        "intent_seq": intent_seq,
        "strategy": "dip",
        "instrument": BTC,
        "row": 101,
        "ts_us": T0 + 1,
        "approved": True,
        "checks": (
            Check(DenyReason.POSITION_MAX, Decimal("1000.0"), Decimal("1000.010"), passed=True),
            Check(DenyReason.DRAWDOWN_MAX, Decimal("1E+2"), Decimal("-0.50"), passed=False),
        ),
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
    return order_of(TRADED, **(values | changes))


def update(seq: int, status: OrderStatus, **changes: Any) -> OrderUpdate:
    values: dict[str, Any] = {
        "seq": seq,
        "client_order_id": ClientOrderId("b-1"),
        "status": status,
        "in_doubt": False,
        "needs_human": False,
        "lots": 50,
        "filled_lots": 0,
        "cost": 0,
        "fee": Decimal("0"),
        "reason": "",
        "ts_us": T0 + seq,
        "traded": TRADED,
    }
    return OrderUpdate(**(values | changes))


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
    return fill_of(TRADED, **(values | changes))


def trade(seq: int, **changes: Any) -> TradeRecord:
    values: dict[str, Any] = {
        "seq": seq,
        "strategy": "dip",
        "cycle": 1,
        "side": "long",
        "qty": Decimal("0.050"),
        "entry_price": Decimal("20010"),
        "exit_price": Decimal("20110"),
        "opened_us": T0 + 2,
        "closed_us": T0 + 30,
        "realized_pnl": Decimal("5.000"),
        "fees": Decimal("2.00600000"),
        "exit_section": Section.ZE1,
        "exit_rule": "out",
        "confidence": None,
    }
    return trade_of(TRADED, **(values | changes))


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
    return PositionUpdate(**(values | changes))


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


def decisions(path: Path, session: str = "s1") -> list[Any]:
    """Return the rows of a session's decisions."""
    with StateReader(path) as reader:
        return [row for _, row in reader.decisions(session)]


def said(record: Any, kind: type[Record] | None = None) -> dict[str, str]:
    """Return everything that a decision says, a record's or its row's.

    `repr` tells 1.0 from 1.00 and -0.0 from 0.0, and NaN is itself.
    """
    (table,) = (one for one in DECISIONS if one.record is (kind or type(record)))
    return {"kind": table.table.name, **{n: repr(getattr(record, n)) for n in table.field_names}}


def all_said(path: Path, session: str = "s1") -> list[dict[str, str]]:
    """Return what each row of a session's decisions says."""
    with StateReader(path) as reader:
        return [said(row, kind) for kind, row in reader.decisions(session)]


INT64 = st.integers(min_value=-(2**63), max_value=2**63 - 1)
LOTS = st.integers(min_value=1, max_value=2**62)
WORDS = st.text(max_size=12)
MONEY = st.decimals(allow_nan=False, allow_infinity=False)
AMOUNTS = st.decimals(min_value=-(10**12), max_value=10**12, places=8)
STEPS = st.sampled_from([Decimal(text) for text in ("0.01", "1E-8", "0.00000001", "5", "0.10", "1")])
FLOATS = st.floats()
VALUES = st.lists(st.tuples(WORDS, FLOATS), max_size=5, unique_by=lambda pair: pair[0]).map(tuple)
KEYS = st.builds(
    DecisionKey,
    strategy=WORDS,
    instrument=WORDS,
    cycle=INT64,
    section=st.sampled_from(Section),
    rule=WORDS,
    leg=st.integers(min_value=0, max_value=2**31 - 1),
)

# Any value a field's type allows, by the field's name; the rest are texts.
BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("cycle", "row", "ts_us", "opened_us", "closed_us", "lots", "ticks", "price"), INT64),
    **dict.fromkeys(("realized", "entry_cost", "exit_cost"), INT64),
    **dict.fromkeys(("qty", "qty_max", "entry_qty", "exit_qty"), LOTS),
    **dict.fromkeys(("limit", "stop", "intent_seq", "expire_us"), st.none() | INT64),
    **dict.fromkeys(("fee", "fees", "realized_pnl"), MONEY),
    **dict.fromkeys(("balance", "equity", "exposure_gross", "peak_equity"), AMOUNTS),
    **dict.fromkeys(("acted", "reduce_only", "maker"), st.booleans()),
    **dict.fromkeys(("section", "exit_section"), st.sampled_from(Section)),
    "positions_count": st.integers(min_value=0, max_value=2**31 - 1),
    "confidence": st.none() | FLOATS,
    "values": VALUES,
    "side": st.sampled_from(Side),
    "sign": st.sampled_from((1, -1)),
    "type": st.sampled_from(OrderType),
    "tif": st.sampled_from(TimeInForce),
    "key": KEYS,
    "taken": st.none() | st.builds(FeeTaken, MONEY, WORDS),
    "since_us": INT64,
    "cause": st.sampled_from(Cause),
    "verb": st.sampled_from(Verb),
    "state": st.sampled_from(TradingState),
    "traded": st.builds(replace, st.just(TRADED), tick_size=STEPS, lot_size=STEPS),
}
EXCEPTIONS: dict[type[Any], dict[str, st.SearchStrategy[Any]]] = {
    SignalRecord: {"price": MONEY},
    RiskRecord: {
        "approved": st.booleans(),
        "reason": st.none() | st.sampled_from(DenyReason),
        **dict.fromkeys(("limit", "actual"), st.none() | MONEY),
        "cause": st.none() | st.sampled_from(Cause),
        "since_us": st.none() | INT64,
        "checks": st.lists(
            st.builds(Check, st.sampled_from(DenyReason), MONEY, MONEY, st.booleans()), max_size=4
        ).map(tuple),
    },
    Position: {"qty": st.just(0), "cost": st.just(0), "unexplained": st.just(False)},
    AlertRecord: {"type": WORDS, "strategy": st.none() | WORDS, "instrument": st.none() | WORDS},
}
PARTS: dict[str, type[Any]] = {"command": SubmitOrder, "fill": OrderFilled, "position": Position}


def any_record(kind: type[Any], seq: int = 1, **fixed: Any) -> st.SearchStrategy[Any]:
    """Draw a record of this type, or a part of one, with every field at its strangest."""
    known = BY_NAME | EXCEPTIONS.get(kind, {}) | {"seq": st.just(seq)}
    known |= {name: st.just(value) for name, value in fixed.items()}
    own = {
        name: any_record(PARTS[name]) if name in PARTS else known.get(name, WORDS)
        for name in kind.__dataclass_fields__
    }
    return st.builds(kind, **own)


EVERY_PLAIN_KIND = (SignalRecord, IntentRecord, OrderRecord, FillRecord, TradeRecord)
BOOK_KINDS = (PortfolioSnapshot, AlertRecord, TradingStateRecord)
