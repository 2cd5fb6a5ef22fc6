"""What has happened, written down as records in the order it happened."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from botd.core.events import DecisionKey, OrderFilled, Section, Side
from botd.core.instrument import Instrument, InstrumentId
from botd.core.money import EXACT, ZERO, average_price
from botd.core.orders import Order
from botd.core.portfolio import ClosedTrade, FillEffect, Marks, Portfolio, Position
from botd.core.records import (
    AlertRecord,
    FillRecord,
    IntentRecord,
    OrderRecord,
    OrderUpdate,
    PortfolioSnapshot,
    PositionUpdate,
    Record,
    RiskRecord,
    SignalRecord,
    TradeRecord,
)
from botd.core.risk import Denial
from botd.core.runner import Runner
from botd.core.values import maker
from botd.engine.layout import P, T

_DRAWDOWN_STEP: Final = Decimal("1e-12")

_PROTECT: Final = Section.PROTECT

_signal_record = maker(SignalRecord)
_intent_record = maker(IntentRecord)
_risk_record = maker(RiskRecord)
_order_record = maker(OrderRecord)
_order_update = maker(OrderUpdate)
_fill_record = maker(FillRecord)
_trade_record = maker(TradeRecord)
_position_update = maker(PositionUpdate)


class Recorder:
    """Makes records and numbers them; the driver takes them away."""

    __slots__ = ("instruments", "records", "seq")

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self.instruments: dict[InstrumentId, Instrument] = {one.id: one for one in instruments}
        self.records: list[Record] = []
        self.seq = 0

    # ---- decisions ------------------------------------------------------------------------------

    def signal(
        self,
        runner: Runner,
        section: Section,
        rule: str,
        row: int,
        *,
        side: Side,
        confidence: float | None = None,
        acted: bool = True,
        reason: str = "",
    ) -> None:
        """Record that a section came true at a row of the current block."""
        lane = runner.lane
        values = lane.values(row)
        self.seq += 1
        self.records.append(
            _signal_record(
                seq=self.seq,
                strategy=runner.strategy.id,
                instrument=lane.instrument.id,
                section=section,
                rule=rule,
                cycle=runner.memory.cycle,
                row=lane.row0 + row,
                ts_us=values[T],
                side=side,
                price=lane.instrument.price(values[P]),
                confidence=confidence,
                values=runner.named_values(row) if section is not _PROTECT else (),
                acted=acted,
                reason=reason,
            )
        )

    def intent(
        self,
        instrument: Instrument,
        key: DecisionKey,
        row: int,
        ts_us: int,
        side: Side,
        lots: int,
        price: int,
        sizing: str,
    ) -> int:
        """Record a request and return its seq."""
        self.seq += 1
        self.records.append(
            _intent_record(
                seq=self.seq,
                strategy=key.strategy,
                instrument=key.instrument,
                section=key.section,
                rule=key.rule,
                cycle=key.cycle,
                leg=key.leg,
                row=row,
                ts_us=ts_us,
                side=side,
                qty=instrument.qty(lots),
                price=instrument.price(price),
                sizing=sizing,
            )
        )
        return self.seq

    def risk(self, key: DecisionKey, intent_seq: int, row: int, ts_us: int, denial: Denial | None) -> None:
        """Record what risk said to an intent."""
        self.seq += 1
        self.records.append(
            _risk_record(
                seq=self.seq,
                intent_seq=intent_seq,
                strategy=key.strategy,
                instrument=key.instrument,
                row=row,
                ts_us=ts_us,
                approved=denial is None,
                reason=denial.reason if denial else None,
                limit=denial.limit if denial else None,
                actual=denial.actual if denial else None,
            )
        )

    def submitted(self, order: Order) -> None:
        """Record an order as it was submitted."""
        key, instrument = order.key, self.instruments[order.instrument]
        self.seq += 1
        self.records.append(
            _order_record(  # more than 15 keywords would be packed into a dict
                self.seq,
                order.client_order_id,
                order.intent_seq,
                key.strategy,
                key.instrument,
                key.section,
                key.rule,
                key.cycle,
                leg=key.leg,
                row=order.row,
                ts_us=order.ts_us,
                side=order.side,
                type=order.type,
                tif=order.tif,
                qty=instrument.qty(order.qty),
                limit_price=None if order.limit is None else instrument.price(order.limit),
                stop_price=None if order.stop is None else instrument.price(order.stop),
                reduce_only=order.reduce_only,
                decision_price=instrument.price(order.decision_price),
            )
        )

    # ---- what came of them ----------------------------------------------------------------------

    def updated(self, order: Order, ts_us: int) -> None:
        """Record an order's state."""
        instrument, filled = self.instruments[order.instrument], order.filled
        qty = instrument.qty(order.qty)
        self.seq += 1
        self.records.append(
            _order_update(
                seq=self.seq,
                client_order_id=order.client_order_id,
                status=order.status,
                in_doubt=order.in_doubt,
                qty=qty,
                filled_qty=qty if filled == order.qty else instrument.qty(filled),
                avg_price=average_price(order.cost, filled, instrument.tick_size) if filled else None,
                fee=order.fee,
                reason=order.reason,
                ts_us=ts_us,
            )
        )

    def fill(self, order: Order, fill: OrderFilled, effect: FillEffect) -> None:
        """Record an execution, the position it leaves and the round trip that it ends."""
        key, instrument = order.key, self.instruments[order.instrument]
        self.seq += 1
        self.records.append(
            _fill_record(  # more than 15 keywords would be packed into a dict
                self.seq,
                order.client_order_id,
                fill.trade_id,
                strategy=key.strategy,
                instrument=key.instrument,
                section=key.section,
                rule=key.rule,
                cycle=key.cycle,
                leg=key.leg,
                ts_us=fill.ts_us,
                side=order.side,
                qty=instrument.qty(fill.qty),
                price=instrument.price(fill.price),
                fee=fill.fee,
                maker=fill.maker,
                realized_pnl=effect.realized,
            )
        )
        self.position(effect.position, fill.ts_us)
        if effect.closed is not None:
            self._trade(effect.closed, key, instrument)

    def _trade(self, closed: ClosedTrade, key: DecisionKey, instrument: Instrument) -> None:
        self.seq += 1
        self.records.append(
            _trade_record(
                seq=self.seq,
                strategy=closed.strategy,
                instrument=closed.instrument,
                cycle=closed.cycle,
                side=closed.side,
                qty=instrument.qty(closed.qty_max),
                entry_price=closed.entry_price,
                exit_price=closed.exit_price,
                opened_us=closed.opened_us,
                closed_us=closed.closed_us,
                realized_pnl=closed.realized,
                fees=closed.fees,
                exit_section=key.section,
                exit_rule=key.rule,
                confidence=closed.confidence,
            )
        )

    # ---- the account ----------------------------------------------------------------------------

    def position(self, position: Position, ts_us: int) -> None:
        """Record a position's state; 0 lots is flat."""
        instrument = self.instruments[position.instrument]
        self.seq += 1
        self.records.append(
            _position_update(
                seq=self.seq,
                strategy=position.strategy,
                instrument=position.instrument,
                cycle=position.cycle,
                side=position.side,
                qty=instrument.qty(position.signed_qty),
                entry_price=position.entry_price(instrument.tick_size),
                realized_pnl=instrument.money(position.realized),
                fees=position.fees,
                opened_us=position.opened_us,
                ts_us=ts_us,
            )
        )

    def snapshot(self, portfolio: Portfolio, ts_us: int, marks: Marks) -> None:
        """Record the account in every currency; this is also where peaks and day starts are seen."""
        for currency in portfolio.currencies():
            equity = portfolio.observe(currency, marks, ts_us)
            peak = portfolio.peak_equity(currency)
            balance = portfolio.balance(currency)
            self.seq += 1
            self.records.append(
                PortfolioSnapshot(
                    seq=self.seq,
                    ts_us=ts_us,
                    currency=currency,
                    balance=balance,
                    unrealized_pnl=equity - balance,
                    equity=equity,
                    exposure_gross=portfolio.exposure_total(currency, marks),
                    peak_equity=peak,
                    drawdown=EXACT.divide(peak - equity, peak).quantize(_DRAWDOWN_STEP) if peak > 0 else ZERO,
                    positions_count=len(portfolio.positions()),
                )
            )

    def alert(self, severity: str, kind: str, message: str, ts_us: int, runner: Runner | None = None) -> None:
        """Record what a person has to know."""
        self.seq += 1
        self.records.append(
            AlertRecord(
                seq=self.seq,
                ts_us=ts_us,
                severity=severity,
                type=kind,
                message=message,
                strategy=runner.strategy.id if runner else None,
                instrument=runner.lane.instrument.id if runner else None,
            )
        )
