"""Canonical lines: what is in them, what is not, and that equal decisions give equal text."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from botd.core.decisions import canonical_line, digest
from botd.core.events import ClientOrderId, OrderType, Section, Side, TimeInForce
from botd.core.instrument import InstrumentId
from botd.core.outcomes import DenyReason, OrderStatus
from botd.core.records import Record, RiskRecord, SignalRecord
from botd.core.updates import AlertRecord, OrderUpdate, PortfolioSnapshot, PositionUpdate
from botd.store.rows import DECISIONS as TABLES
from tests.core.amounts import fill_of, intent_of, order_of, trade_of
from tests.core.scene import PERP

D = Decimal
BTC = InstrumentId("BTC/USDT")
TRADED = replace(PERP, id=BTC, tick_size=D("0.05"), lot_size=D("0.002"))
WHERE: dict[str, Any] = {"strategy": "s", "instrument": BTC, "row": 41, "ts_us": 1_000_000}

SIGNAL = SignalRecord(
    seq=1,
    **WHERE,
    section=Section.S1,
    rule="",
    cycle=3,
    side=Side.BUY,
    price=D("50000.10"),
    confidence=0.1,
    values=(("z", 1.5), ("a", float("nan")), ("minus", -0.0), ("far", float("inf"))),
    acted=True,
)
INTENT = intent_of(
    TRADED,
    seq=2,
    **WHERE,
    section=Section.Z1,
    rule="",
    cycle=3,
    leg=0,
    side=Side.BUY,
    qty=D("0.100"),
    price=D("50000.10"),
    sizing="percent: for people",
)
RISK = RiskRecord(
    seq=3,
    intent_seq=2,
    **WHERE,
    approved=False,
    reason=DenyReason.POSITION_MAX,
    limit=D("1E+3"),
    actual=D("5000.010"),
)
ORDER = order_of(
    TRADED,
    seq=4,
    client_order_id=ClientOrderId("x-1"),
    intent_seq=2,
    **WHERE,
    section=Section.Z1,
    rule="",
    cycle=3,
    leg=0,
    side=Side.BUY,
    type=OrderType.MARKET,
    tif=TimeInForce.IOC,
    qty=D("0.100"),
    limit_price=D("50250"),
    stop_price=None,
    reduce_only=False,
    decision_price=D("50000.10"),
)
FILL = fill_of(
    TRADED,
    seq=5,
    client_order_id=ClientOrderId("x-1"),
    trade_id="t-9",
    strategy="s",
    instrument=BTC,
    section=Section.Z1,
    rule="",
    cycle=3,
    leg=0,
    ts_us=1_200_000,
    side=Side.BUY,
    qty=D("0.100"),
    price=D("50000.20"),
    fee=D("2.50001000"),
    maker=False,
    realized_pnl=D("0E-12"),
)
TRADE = trade_of(
    TRADED,
    seq=6,
    strategy="s",
    cycle=3,
    side="long",
    qty=D("0.100"),
    entry_price=D("50000.20"),
    exit_price=D("49000.00"),
    opened_us=1_200_000,
    closed_us=9_000_000,
    realized_pnl=D("-100.0200"),
    fees=D("4.95001000"),
    exit_section=Section.E1,
    exit_rule="crash",
    confidence=0.1,
)
DECISIONS: list[Record] = [SIGNAL, INTENT, RISK, ORDER, FILL, TRADE]

LINES = [
    '{"acted":true,"confidence":"0x1.999999999999ap-4","cycle":3,"instrument":"BTC/USDT","kind":"signal",'
    '"price":"50000.1","reason":"","row":41,"rule":"","section":"S1","side":"buy","strategy":"s",'
    '"ts_us":1000000,"values":{"a":"nan","far":"inf","minus":"-0x0.0p+0","z":"0x1.8000000000000p+0"}}',
    '{"cycle":3,"instrument":"BTC/USDT","kind":"intent","leg":0,"price":"50000.1","qty":"0.1","row":41,'
    '"rule":"","section":"Z1","side":"buy","strategy":"s","ts_us":1000000}',
    '{"actual":"5000.01","approved":false,"instrument":"BTC/USDT","kind":"risk","limit":"1000",'
    '"reason":"position_max","row":41,"strategy":"s","ts_us":1000000}',
    '{"cycle":3,"decision_price":"50000.1","instrument":"BTC/USDT","kind":"order","leg":0,'
    '"limit_price":"50250","qty":"0.1","reduce_only":false,"row":41,"rule":"","section":"Z1","side":"buy",'
    '"stop_price":null,"strategy":"s","tif":"ioc","ts_us":1000000,"type":"market"}',
    '{"cycle":3,"fee":"2.50001","instrument":"BTC/USDT","kind":"fill","leg":0,"maker":false,'
    '"price":"50000.2","qty":"0.1","realized_pnl":"0","rule":"","section":"Z1","side":"buy","strategy":"s",'
    '"ts_us":1200000}',
    '{"closed_us":9000000,"confidence":"0x1.999999999999ap-4","cycle":3,"entry_price":"50000.2",'
    '"exit_price":"49000","fees":"4.95001","instrument":"BTC/USDT","kind":"trade","opened_us":1200000,'
    '"qty":"0.1","realized_pnl":"-100.02","rule":"crash","section":"E1","side":"long","strategy":"s"}',
]

# What a second run may write differently, what is text for people, and who halted it when.
LEFT_OUT = {"seq", "intent_seq", "client_order_id", "trade_id", "sizing", "cause", "since_us"}
LEFT_OUT |= {"fee_paid", "fee_currency", "reverses"}  # how a venue took the fee, or the trade back
LEFT_OUT |= {"revision"}  # a comment more in a file decides nothing else
LEFT_OUT |= {"checks"}  # limits that did not deny have decided nothing


def other_than(value: Any) -> Any:
    """Return a value of the same kind that is not this one."""
    if value is None or isinstance(value, Decimal):
        return D(7)
    return f"{value}!" if isinstance(value, str) else 77


@pytest.mark.parametrize("place", range(len(LINES)))
def test_line_of_each_decision(place: int) -> None:
    assert canonical_line(DECISIONS[place]) == LINES[place]


def names_of(record: Record) -> tuple[str, ...]:
    """Return everything that a decision says: it is what its row says."""
    (table,) = (one for one in TABLES if one.record is type(record))
    return table.field_names


@pytest.mark.parametrize("record", DECISIONS, ids=lambda record: type(record).__name__)
def test_everything_a_decision_says_is_in_its_line_or_left_out_on_purpose(record: Record) -> None:
    line = canonical_line(record)
    assert line is not None
    names = {"exit_section": "section", "exit_rule": "rule"}
    own = {names.get(name, name) for name in names_of(record)}
    assert set(json.loads(line)) == own - LEFT_OUT | {"kind"}


@pytest.mark.parametrize("record", DECISIONS, ids=lambda record: type(record).__name__)
def test_what_is_left_out_changes_nothing_and_all_else_does(record: Record) -> None:
    line = canonical_line(record)
    said = {name: getattr(record, name) for name in names_of(record)}
    assert canonical_line(SimpleNamespace(**said), type(record)) == line  # as its row says it
    for name, value in said.items():
        other = (("z", 2.0),) if name == "values" else other_than(value)
        changed = canonical_line(SimpleNamespace(**{**said, name: other}), type(record))
        assert (changed == line) == (name in LEFT_OUT), name


def test_amounts_give_the_same_line_whatever_exponent_they_carry() -> None:
    fine = replace(PERP, id=BTC, tick_size=D("0.0001"), lot_size=D("1E-5"))
    said = {name: getattr(FILL, name) for name in names_of(FILL)}
    twin = fill_of(fine, **{**said, "fee": D("2.50001"), "realized_pnl": D("-0")})
    assert str(twin.price) != str(FILL.price)
    assert canonical_line(twin) == canonical_line(FILL)


def test_undefined_parts_are_null() -> None:
    assert '"confidence":null' in str(canonical_line(replace(SIGNAL, confidence=None)))
    passed = str(canonical_line(replace(RISK, approved=True, reason=None, limit=None, actual=None)))
    assert '"actual":null,"approved":true' in passed
    assert '"limit":null,"reason":null' in passed


def test_records_that_are_no_decisions_have_no_line() -> None:
    none: list[Record] = [
        OrderUpdate(
            seq=1,
            client_order_id=ClientOrderId("x"),
            status=OrderStatus.FILLED,
            in_doubt=False,
            needs_human=False,
            lots=1,
            filled_lots=1,
            cost=1,
            fee=D(0),
            reason="",
            ts_us=0,
            traded=PERP,
        ),
        PositionUpdate(
            seq=1,
            strategy="s",
            traded=PERP,
            cycle=1,
            sign=1,
            lots=1,
            basis_lots=1,
            basis_cost=1,
            realized=0,
            fees=D(0),
            opened_us=0,
            ts_us=0,
        ),
        PortfolioSnapshot(
            seq=1,
            ts_us=0,
            currency="USDT",
            balance=D(1),
            equity=D(1),
            exposure_gross=D(0),
            peak_equity=D(1),
            positions_count=0,
        ),
        AlertRecord(seq=1, ts_us=0, severity="high", type="t", message="m"),
    ]
    assert [canonical_line(record) for record in none] == [None] * 4


def test_digest_is_the_sha256_of_the_lines() -> None:
    text = "".join(line + "\n" for line in LINES)
    assert digest(LINES) == hashlib.sha256(text.encode()).hexdigest()
    # sha256 of nothing, FIPS 180-4
    assert digest([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest(["a", "b"]) != digest(["b", "a"])
    assert digest(["ab"]) != digest(["a", "b"])
