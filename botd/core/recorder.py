"""What has happened, written down as records in the order it happened."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from botd.core.events import ClientOrderId, DecisionKey, FeeTaken, OrderFilled, Section, Side
from botd.core.instrument import Instrument, InstrumentId
from botd.core.money import ZERO
from botd.core.orders import Order
from botd.core.pins import Owner
from botd.core.portfolio import FillEffect, Marks, Portfolio, Position
from botd.core.records import (
    FillRecord,
    IntentRecord,
    OrderRecord,
    Record,
    RiskRecord,
    SignalRecord,
    TradeRecord,
)
from botd.core.restraint import Restraint, TradingState, Verb
from botd.core.risk import Check, Denial
from botd.core.runner import Runner
from botd.core.updates import AlertRecord, OrderUpdate, PortfolioSnapshot, PositionUpdate, TradingStateRecord
from botd.core.values import maker
from botd.engine.layout import P, T

_PROTECT: Final = Section.PROTECT

_signal_record = maker(SignalRecord)
_intent_record = maker(IntentRecord)
_risk_record = maker(RiskRecord)
_order_record = maker(OrderRecord)
_order_update = maker(OrderUpdate)
_fill_record = maker(FillRecord)
_trade_record = maker(TradeRecord)
_portfolio_snapshot = maker(PortfolioSnapshot)
_position_update = maker(PositionUpdate)


class Recorder:
    """Makes records and numbers them; the driver takes them away.

    Fields are given in their order, without names: a call with keywords costs half as much again.
    """

    __slots__ = ("_moved", "changed", "instruments", "pinned", "records", "revision", "seq", "taken")

    def __init__(self, instruments: Iterable[Instrument], revision: str | None) -> None:
        """`revision` is that of the plan, under which everybody decides who is not pinned."""
        self.revision = revision
        self.pinned: dict[Owner, str | None] = {}  # whose rules are those of an older plan, and which
        self.instruments: dict[InstrumentId, Instrument] = {one.id: one for one in instruments}
        self.records: list[Record] = []
        self.seq = 0
        self.changed: dict[ClientOrderId, Order] = {}
        # fees that were not taken in the quote currency, until they are settled: of whose fill, and which
        self.taken: list[tuple[str, Instrument, OrderFilled, FeeTaken]] = []
        self._moved: dict[Position, int] = {}  # positions, each an object of its own, and when

    # ---- decisions ------------------------------------------------------------------------------

    def revision_of(self, owner: Owner) -> str | None:
        """Return under which plan's rules a strategy decides on an instrument now."""
        return self.pinned.get(owner, self.revision)

    def signal(
        self,
        runner: Runner,
        section: Section,
        rule: str,
        row: int,
        side: Side,
        confidence: float | None = None,
        acted: bool = True,
        reason: str = "",
    ) -> None:
        """Record that a section came true at a row of the current block."""
        lane = runner.lane
        values, instrument = lane.values(row), lane.instrument
        self.seq += 1
        self.records.append(
            _signal_record(
                self.seq,
                runner.strategy.id,
                instrument.id,
                section,
                rule,
                runner.memory.cycle,
                lane.row0 + row,
                values[T],
                side,
                values[P] * instrument.tick_size,
                confidence,
                runner.named_values(row) if section is not _PROTECT else (),
                acted,
                reason,
                self.revision_of(runner.key),
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
    ) -> IntentRecord:
        """Record a request and return its record."""
        self.seq += 1
        record = _intent_record(self.seq, key, row, ts_us, side, lots, price, sizing, instrument)
        self.records.append(record)
        return record

    def risk(self, intent: IntentRecord, denial: Denial | None, checks: tuple[Check, ...] = ()) -> None:
        """Record what risk said to an intent, and what each limit did."""
        key = intent.key
        self.seq += 1
        self.records.append(
            _risk_record(
                self.seq,
                intent.seq,
                key.strategy,
                key.instrument,
                intent.row,
                intent.ts_us,
                denial is None,
                denial.reason if denial else None,
                denial.limit if denial else None,
                denial.actual if denial else None,
                denial.cause if denial else None,
                denial.since_us if denial else None,
                checks,
            )
        )

    def submitted(self, order: Order) -> None:
        """Record an order as it was submitted."""
        instrument = self.instruments[order.instrument]
        self.seq += 1
        self.records.append(
            _order_record(
                self.seq,
                order.key,
                order.command,
                order.intent_seq,
                order.row,
                order.decision_price,
                instrument,
                order.revision,
            )
        )

    # ---- what came of them ----------------------------------------------------------------------

    def updated(self, order: Order, ts_us: int) -> None:
        """Note that an order has changed by us: `settle` records the state it comes to."""
        order.updated_us = ts_us
        self.changed[order.client_order_id] = order

    def moved(self, position: Position, ts_us: int) -> None:
        """Note that a position has changed: `settle` records the state it comes to."""
        self._moved[position] = ts_us

    def settle(self) -> None:
        """Record every position and order that has changed, once, in the order in which they first did."""
        seq, record, instruments = self.seq, self.records.append, self.instruments
        if self._moved:
            for position, ts_us in self._moved.items():
                held = position.qty  # 0 lots is flat
                seq += 1
                record(
                    _position_update(
                        seq,
                        position.strategy,
                        instruments[position.instrument],
                        position.cycle,
                        position.sign,
                        held,
                        held or position.entry_qty,
                        position.cost if held else position.entry_cost,
                        position.realized,
                        position.fees,
                        position.opened_us,
                        ts_us,
                    )
                )
            self._moved.clear()
        if self.changed:
            for client_order_id, order in self.changed.items():
                seq += 1
                record(
                    _order_update(
                        seq,
                        client_order_id,
                        order.status,
                        order.in_doubt,
                        order.needs_human,
                        order.qty,
                        order.filled,
                        order.cost,
                        order.fee,
                        order.reason,
                        order.updated_us,
                        instruments[order.instrument],
                    )
                )
            self.changed.clear()
        self.seq = seq

    def fill(self, order: Order, key: DecisionKey, fill: OrderFilled, effect: FillEffect) -> None:
        """Record an execution and the round trip that it ends; note the position it leaves."""
        instrument = self.instruments[order.instrument]
        self.seq += 1
        self.records.append(_fill_record(self.seq, key, order.side, fill, effect.realized, instrument))
        if fill.taken is not None:
            self.taken.append((key.strategy, instrument, fill, fill.taken))
        self._moved[effect.position] = fill.ts_us
        if effect.position.qty == 0:
            self.seq += 1
            self.records.append(
                _trade_record(self.seq, effect.position, fill.ts_us, key.section, key.rule, instrument)
            )

    # ---- the account ----------------------------------------------------------------------------

    def snapshot(
        self,
        portfolio: Portfolio,
        ts_us: int,
        marks: Marks,
        currencies: Iterable[str],
        observe: bool = True,
    ) -> None:
        """Record the account in some currencies; with `observe`, peaks and day starts are seen here too."""
        for currency in currencies:
            account = portfolio.account(currency)
            if observe:
                equity = portfolio.observe(currency, marks, ts_us)
            else:
                equity = portfolio.equity(currency, marks)
            self.seq += 1
            self.records.append(
                _portfolio_snapshot(
                    self.seq,
                    ts_us,
                    currency,
                    account.balance,
                    equity,
                    ZERO if portfolio.is_flat else portfolio.exposure_total(currency, marks),
                    max(equity, account.peak),
                    portfolio.count,
                )
            )

    def trading(
        self, ts_us: int, one: Restraint, verb: Verb, state: TradingState, who: str, reason: str
    ) -> None:
        """Record that a restraint began, was lifted, or stands; `state` is that of its scope after it."""
        self.seq += 1
        self.records.append(
            TradingStateRecord(
                seq=self.seq,
                ts_us=ts_us,
                scope=one.scope,
                verb=verb,
                state=state,
                cause=one.cause,
                who=who,
                reason=reason,
                since_us=one.since_us,
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
