from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from botd.core.events import Section, Side
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.outcomes import DenyReason
from botd.core.records import Record, RiskRecord, SignalRecord, TradeRecord
from botd.core.updates import PortfolioSnapshot, PositionUpdate
from botd.engine import layout as col
from botd.engine.layout import N_INPUT
from botd.ports import Chunk
from botd.research.report import DataSpan, Report, Run, make_report, to_json
from botd.research.report_text import to_markdown
from tests.core.amounts import trade_of

HOUR = 3_600_000_000
T0 = 1_640_995_200_000_000  # 2022-01-01 00:00 UTC
NXS = InstrumentId("NXS/BTC")
BTC = InstrumentId("BTC/USDT:USDT")


def instrument(name: str, tick: str) -> Instrument:
    base, quote = name.split(":")[0].split("/")
    return Instrument(
        id=InstrumentId(name),
        kind=InstrumentKind.SPOT,
        base=base,
        quote=quote,
        tick_size=Decimal(tick),
        lot_size=Decimal(1),
        taker_fee=Decimal("0.001"),
        maker_fee=Decimal("0.001"),
    )


def span(
    instruments: Sequence[Instrument], rows: Sequence[tuple[int, int, int]], *, at_once: int = 2
) -> DataSpan:
    """Return the span of (hour, instrument number, ticks) rows, fed some rows at once."""
    made = DataSpan(instruments)
    for start in range(0, len(rows), at_once):
        part = rows[start : start + at_once]
        matrix = np.zeros((N_INPUT, len(part)), np.int64)
        matrix[col.T] = [T0 + hour * HOUR for hour, _, _ in part]
        matrix[col.P] = [ticks for _, _, ticks in part]
        numbers = np.array([number for _, number, _ in part], np.int64)
        made.add(Chunk(position=start, instrument=numbers, rows=matrix))
    return made


def trade(name: InstrumentId, cycle: int, opened: int, closed: int, pnl: str, fees: str) -> TradeRecord:
    return trade_of(
        instrument(name, "0.0001"),
        seq=cycle,
        strategy="pump",
        cycle=cycle,
        side="long",
        qty=Decimal(10),
        entry_price=Decimal("0.0001"),
        exit_price=Decimal("0.0002"),
        opened_us=T0 + opened * HOUR,
        closed_us=T0 + closed * HOUR,
        realized_pnl=Decimal(pnl),
        fees=Decimal(fees),
        exit_section=Section.ZE1,
        exit_rule="fade",
        confidence=0.75,
    )


def signal(name: InstrumentId, cycle: int, *, acted: bool = True) -> SignalRecord:
    return SignalRecord(
        seq=cycle,
        strategy="pump",
        instrument=name,
        section=Section.S1,
        rule="",
        cycle=cycle,
        row=cycle,
        ts_us=T0,
        side=Side.BUY,
        price=Decimal(1),
        confidence=0.75,
        values=(),
        acted=acted,
    )


def snapshot(hour: int, equity: str, currency: str = "BTC") -> PortfolioSnapshot:
    zero = Decimal(0)
    return PortfolioSnapshot(
        seq=0,
        ts_us=T0 + hour * HOUR,
        currency=currency,
        balance=Decimal(equity),
        equity=Decimal(equity),
        exposure_gross=zero,
        peak_equity=Decimal(equity),
        positions_count=0,
    )


def position(name: InstrumentId, cycle: int, lots: int) -> PositionUpdate:
    return PositionUpdate(
        seq=0,
        strategy="pump",
        traded=instrument(name, "0.00000001"),
        cycle=cycle,
        sign=1,
        lots=lots,
        basis_lots=1,
        basis_cost=11_000,
        realized=0,
        fees=Decimal(0),
        opened_us=T0 + 8 * HOUR,
        ts_us=T0 + 8 * HOUR,
    )


def denial() -> RiskRecord:
    return RiskRecord(
        seq=0,
        intent_seq=0,
        strategy="pump",
        instrument=NXS,
        row=0,
        ts_us=T0,
        approved=False,
        reason=DenyReason.BALANCE,
        limit=None,
        actual=None,
    )


def first_run() -> Run:
    """Return ten hours on NXS/BTC: +0.05, -0.02 and an open position; prices 100 to 110 ticks."""
    listed = (instrument(NXS, "0.000001"),)
    records: list[Record] = [
        signal(NXS, 1),
        signal(NXS, 2),
        signal(NXS, 3, acted=False),
        signal(NXS, 4),
        trade(NXS, 1, 1, 3, "0.052", "0.002"),
        snapshot(3, "1.05"),
        denial(),
        trade(NXS, 2, 4, 5, "-0.018", "0.002"),
        snapshot(5, "1.03"),
        position(NXS, 1, 0),
        position(NXS, 4, 1000),
        snapshot(10, "1.04"),
    ]
    return Run(
        name="nxs.parquet",
        instruments=listed,
        book="derived",
        span=span(listed, [(0, 0, 100), (4, 0, 90), (10, 0, 110)]),
        equity={"BTC": Decimal(1), "USDT": Decimal(10_000)},
        records=records,
    )


def second_run() -> Run:
    """Return thirty hours on NXS/BTC with one loss of 0.1 in six hours; prices 200 to 150 ticks."""
    listed = (instrument(NXS, "0.000001"),)
    return Run(
        name="nxs2.parquet",
        instruments=listed,
        book="derived",
        span=span(listed, [(0, 0, 200), (30, 0, 150)]),
        equity={"BTC": Decimal(1)},
        records=[signal(NXS, 1), trade(NXS, 1, 6, 12, "-0.09", "0.01"), snapshot(12, "0.9")],
    )


def test_figures_of_one_run() -> None:
    report = make_report(strategies=["pump"], data="nxs.parquet", runs=[first_run()])
    (run,) = report.runs
    (result,) = run.results
    assert report.pooled == run.results
    assert result.currency == "BTC"
    figures = result.performance
    assert (figures.trades_count, figures.win_rate, figures.profit_factor) == (2, 0.5, 2.5)
    assert (figures.pnl_total, figures.fees) == (Decimal("0.030"), Decimal("0.004"))
    assert figures.exposure_time == 0.5  # hours 1-3, 4-5 and 8-10 of ten
    assert figures.max_drawdown == pytest.approx(1 - 1.03 / 1.05)
    assert figures.signal_accuracy == 0.5  # one of two with a closed trade; the third is open
    assert (result.end_equity, result.equity_change) == (Decimal("1.04"), pytest.approx(0.04))
    assert result.buy_and_hold == pytest.approx(0.1)
    # the equity stands at 1 at the start, so the returns are those of ten hours
    expected = [0, 0, 0.05, 0, 1.03 / 1.05 - 1, 0, 0, 0, 0, 1.04 / 1.03 - 1]
    assert result.returns == pytest.approx(expected)
    assert figures.sharpe == pytest.approx(np.mean(expected) / np.std(expected, ddof=1) * 8760**0.5)
    assert (run.funnel.signals, run.funnel.recorded_only, run.funnel.trades) == (4, 1, 2)
    assert run.funnel.denied == (("balance", 1),)


def test_open_position_is_marked_at_the_last_price() -> None:
    (run,) = make_report(strategies=["pump"], data="x", runs=[first_run()]).runs
    (one,) = run.open_positions
    assert (one.qty, one.last_price) == (Decimal(1000), Decimal("0.000110"))
    assert one.unrealized_pnl == Decimal("0.00000")  # (0.00011 - 0.00011) * 1000
    assert one.opened_us == T0 + 8 * HOUR


def test_pooled_figures_of_two_runs() -> None:
    report = make_report(strategies=["pump"], data="pumps", runs=[first_run(), second_run()])
    (pooled,) = report.pooled
    figures = pooled.performance
    assert report.trades_count == figures.trades_count == 3
    assert figures.win_rate == pytest.approx(1 / 3)
    assert figures.profit_factor == pytest.approx(0.05 / 0.12)
    assert figures.pnl_total == Decimal("-0.070")
    assert figures.exposure_time == pytest.approx((5 + 6) / 40)  # hours held of all hours
    assert figures.max_drawdown == pytest.approx(0.1)
    assert (figures.signals_acted_count, figures.signals_judged_count) == (4, 3)
    assert figures.signal_accuracy == pytest.approx(1 / 3)
    assert len(pooled.returns) == 10 + 30
    assert figures.sharpe == pytest.approx(
        np.mean(pooled.returns) / np.std(pooled.returns, ddof=1) * 8760**0.5
    )
    assert pooled.buy_and_hold == pytest.approx((0.1 - 0.25) / 2)
    assert pooled.equity_change == pytest.approx((0.04 - 0.1) / 2)
    assert pooled.end_equity is None


def portfolio() -> Report:
    listed = (instrument(NXS, "0.000001"), instrument(BTC, "0.5"))
    run = Run(
        name="folder",
        instruments=listed,
        book="none",
        span=span(listed, [(0, 0, 100), (1, 1, 1000), (2, 1, 1100), (3, 0, 50)], at_once=3),
        equity={"BTC": Decimal(1), "USDT": Decimal(10_000)},
        records=[
            trade(NXS, 1, 1, 2, "0.1", "0"),
            trade(BTC, 2, 1, 2, "500", "10"),
            snapshot(2, "1.1"),
            snapshot(2, "10490", "USDT"),
        ],
    )
    return make_report(strategies=["pump", "other"], data="folder", runs=[run])


def test_currencies_are_kept_apart() -> None:
    btc, usdt = portfolio().pooled
    assert (btc.currency, usdt.currency) == ("BTC", "USDT")
    assert (btc.performance.pnl_total, usdt.performance.pnl_total) == (Decimal("0.1"), Decimal(490))
    assert (btc.buy_and_hold, usdt.buy_and_hold) == (pytest.approx(-0.5), pytest.approx(0.1))
    assert (btc.performance.trades_count, usdt.performance.trades_count) == (1, 1)


def test_span_does_not_depend_on_chunks() -> None:
    listed = (instrument(NXS, "0.000001"), instrument(BTC, "0.5"))
    rows = [(0, 0, 100), (1, 1, 1000), (2, 1, 1100), (3, 0, 50)]
    spans = [span(listed, rows, at_once=n) for n in (1, 2, 3, 4)]
    for one in spans:
        assert (one.rows_count, one.start_us, one.end_us) == (4, T0, T0 + 3 * HOUR)
        assert one.prices == spans[0].prices
    assert spans[0].prices[BTC].first == Decimal(500)
    empty = Chunk(position=0, instrument=np.zeros(0, np.int64), rows=np.zeros((N_INPUT, 0), np.int64))
    spans[0].add(empty)
    assert spans[0].rows_count == 4


def test_json_has_trades_and_one_object_per_file() -> None:
    report = make_report(strategies=["pump"], data="pumps", runs=[first_run(), second_run()])
    document: dict[str, Any] = json.loads(to_json(report))
    assert document["trades_count"] == len(document["trades"]) == 3
    assert [one["file"] for one in document["files"]] == ["nxs.parquet", "nxs2.parquet"]
    assert document["equity_sampled"] == {
        "drawdown": "at every hour and at every fill that closes a trade",
        "sharpe_sortino": "at every hour, with the row that closes on it",
    }
    first = document["files"][0]
    assert first["book"] == "derived"
    assert first["trades_count"] == len(first["trades"]) == 2
    assert first["trades"][0] == {
        "file": "nxs.parquet",
        "strategy": "pump",
        "instrument": "NXS/BTC",
        "cycle": 1,
        "side": "long",
        "qty": "10",
        "entry_price": "0.0001",
        "exit_price": "0.0002",
        "opened_us": T0 + HOUR,
        "closed_us": T0 + 3 * HOUR,
        "realized_pnl": "0.052",
        "fees": "0.002",
        "pnl": "0.05",
        "exit_section": "ZE1",
        "exit_rule": "fade",
        "confidence": 0.75,
    }
    assert first["results"]["BTC"]["pnl_total"] == "0.03"
    assert first["results"]["BTC"]["profit_factor"] == 2.5
    assert first["open_positions"][0]["qty"] == "1000"
    assert first["denials"] == {"balance": 1}
    assert first["funnel"]["denied"] == {"balance": 1}
    assert document["funnel"] == {
        "signals": 5,
        "recorded_only": 1,
        "cancelled": 0,
        "denied": {"balance": 1},
        "undecided": 3,
        "orders": 0,
        "unfilled": 0,
        "trades": 3,
    }
    assert document["results"]["BTC"]["trades_count"] == 3
    assert document["results"]["BTC"]["end_equity"] is None
    assert document["open_positions_count"] == 1


def test_run_without_trades_is_a_report_too() -> None:
    listed = (instrument(NXS, "0.000001"),)
    run = Run(
        name="quiet.csv",
        instruments=listed,
        book="derived",
        span=span(listed, [(0, 0, 100)]),
        equity={},
        records=[],
    )
    report = make_report(strategies=["pump"], data="quiet.csv", runs=[run])
    document = json.loads(to_json(report))
    assert document["trades_count"] == 0
    assert document["results"]["BTC"]["sharpe"] is None
    assert document["results"]["BTC"]["equity_change"] is None
    assert "| quiet.csv |" in to_markdown(report)
