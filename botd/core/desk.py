"""The desk: the account's shared state and the one place where records and commands are made."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from botd.core.events import (
    AmendOrder,
    CancelOrder,
    ClientOrderId,
    Command,
    DecisionKey,
    OrderType,
    Section,
    Side,
    SubmitOrder,
    TimeInForce,
)
from botd.core.instrument import Instrument, InstrumentId
from botd.core.lanes import Lane
from botd.core.money import EXACT, ZERO, average_price
from botd.core.orders import Order, OrderTable
from botd.core.portfolio import Portfolio, Position
from botd.core.records import (
    AlertRecord,
    IntentRecord,
    OrderRecord,
    OrderStatus,
    OrderUpdate,
    PortfolioSnapshot,
    PositionUpdate,
    Record,
    SignalRecord,
)
from botd.core.risk import TradingState
from botd.core.runner import Runner
from botd.core.settings import CoreSettings, Limits
from botd.language.typed import Strategy

MINUTE_US: Final = 60_000_000
_DRAWDOWN_STEP: Final = Decimal("1e-12")


class Desk:
    """Orders, portfolio and counters of one account, and what is to be recorded and sent."""

    __slots__ = (
        "_limits",
        "commands",
        "id_prefix",
        "ids",
        "instruments",
        "lanes",
        "orders",
        "portfolio",
        "records",
        "rejects",
        "runners",
        "seq",
        "settings",
        "submitted_us",
        "trading_state",
        "working",
    )

    def __init__(
        self, settings: CoreSettings, lanes: list[Lane], runners: list[Runner], id_prefix: str
    ) -> None:
        self.settings = settings
        self.lanes = lanes
        self.instruments: Mapping[InstrumentId, Instrument] = {
            lane.instrument.id: lane.instrument for lane in lanes
        }
        self.orders = OrderTable()
        self.portfolio = Portfolio(settings.equity)
        self.id_prefix = id_prefix
        self.ids = 0
        self.seq = 0
        self.rejects = 0  # in a row
        self.submitted_us: deque[int] = deque()  # entries sent in the last minute
        self.trading_state = TradingState.ACTIVE
        self.runners = runners
        self._limits = {r.strategy.id: _overridden(settings.limits, r.strategy) for r in runners}
        self.working: list[Runner] = []  # those with a live entry order, in the order of entry
        self.records: list[Record] = []
        self.commands: list[Command] = []

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq

    # ---- records ------------------------------------------------------------------------------

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
        self.records.append(
            SignalRecord(
                seq=self.next_seq(),
                strategy=runner.strategy.id,
                instrument=lane.instrument.id,
                section=section,
                rule=rule,
                cycle=runner.memory.cycle,
                row=lane.row0 + row,
                ts_us=lane.row_time(row),
                side=side,
                price=lane.instrument.price(lane.price(row)),
                confidence=confidence,
                values=named_values(runner, row) if section is not Section.PROTECT else (),
                acted=acted,
                reason=reason,
            )
        )

    def intent(
        self,
        runner: Runner,
        key: DecisionKey,
        row: int,
        ts_us: int,
        side: Side,
        lots: int,
        price: int,
        sizing: str,
    ) -> int:
        """Record a request and return its seq."""
        instrument = runner.lane.instrument
        seq = self.next_seq()
        self.records.append(
            IntentRecord(
                seq=seq,
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
        return seq

    def alert(self, severity: str, kind: str, message: str, ts_us: int, runner: Runner | None = None) -> None:
        self.records.append(
            AlertRecord(
                seq=self.next_seq(),
                ts_us=ts_us,
                severity=severity,
                type=kind,
                message=message,
                strategy=runner.strategy.id if runner else None,
                instrument=runner.lane.instrument.id if runner else None,
            )
        )

    def updated(self, order: Order, ts_us: int) -> None:
        """Record an order's state."""
        instrument = self.instruments[order.instrument]
        self.records.append(
            OrderUpdate(
                seq=self.next_seq(),
                client_order_id=order.client_order_id,
                status=order.status,
                in_doubt=order.in_doubt,
                qty=instrument.qty(order.qty),
                filled_qty=instrument.qty(order.filled),
                avg_price=average_price(order.cost, order.filled, instrument.tick_size)
                if order.filled
                else None,
                fee=order.fee,
                reason=order.reason,
                ts_us=ts_us,
            )
        )

    def position(self, position: Position, ts_us: int) -> None:
        """Record a position's state; 0 lots is flat."""
        instrument = self.instruments[position.instrument]
        self.records.append(
            PositionUpdate(
                seq=self.next_seq(),
                strategy=position.strategy,
                instrument=position.instrument,
                cycle=position.cycle,
                side=position.side,
                qty=instrument.qty(position.signed_qty),
                entry_price=self.portfolio.entry_price(position),
                realized_pnl=instrument.money(position.realized),
                fees=position.fees,
                opened_us=position.opened_us,
                ts_us=ts_us,
            )
        )

    def snapshot(self, ts_us: int, marks: Mapping[InstrumentId, int]) -> None:
        """Record the account in every currency; this is also where peaks and day starts are seen."""
        portfolio = self.portfolio
        for currency in portfolio.currencies():
            equity = portfolio.observe(currency, marks, ts_us)
            peak = portfolio.peak_equity(currency)
            balance = portfolio.balance(currency)
            self.records.append(
                PortfolioSnapshot(
                    seq=self.next_seq(),
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

    # ---- what others ask ----------------------------------------------------------------------

    def marks(self, before: int) -> dict[InstrumentId, int]:
        """Return the mark (ticks) of every instrument held, as of just before a merged place."""
        held = {position.instrument for position in self.portfolio.positions()}
        found: dict[InstrumentId, int] = {}
        for lane in self.lanes:
            if lane.instrument.id in held:
                mark = lane.mark(before)
                if mark is not None:
                    found[lane.instrument.id] = mark
        return found

    def marks_now(self) -> dict[InstrumentId, int]:
        """Return the mark (ticks) of every instrument held, as of the last row judged."""
        held = {position.instrument for position in self.portfolio.positions()}
        found: dict[InstrumentId, int] = {}
        for lane in self.lanes:
            last = lane.judged()
            if lane.instrument.id in held and last is not None:
                found[lane.instrument.id] = lane.mark_at(last)
        return found

    def limits_of(self, strategy: Strategy) -> Limits:
        """Return the account's limits with the strategy's own in their place."""
        return self._limits[strategy.id]

    def working_entries(self) -> Iterator[tuple[Runner, Decimal]]:
        """Yield every live entry order's runner and the notional that may still fill."""
        for runner in self.working:
            order = self.orders.get(runner.memory.entry_id) if runner.memory.entry_id else None
            if order is not None and order.leaves:
                price = order.decision_price if order.limit is None else order.limit
                yield runner, runner.lane.instrument.money(order.leaves * price)

    def forget_old_submissions(self, ts_us: int) -> None:
        """Drop entries sent over a minute ago from the rate count."""
        while self.submitted_us and self.submitted_us[0] <= ts_us - MINUTE_US:
            self.submitted_us.popleft()

    # ---- commands -----------------------------------------------------------------------------

    def submit(
        self,
        key: DecisionKey,
        *,
        row: int,
        ts_us: int,
        side: Side,
        lots: int,
        kind: OrderType,
        decision_price: int,
        intent_seq: int | None,
        limit: int | None = None,
        stop: int | None = None,
        reduce_only: bool = False,
        expire_us: int | None = None,
    ) -> Order:
        """Commit to an order: it is in the table and among the commands, with an id of its own."""
        self.ids += 1
        command = SubmitOrder(
            client_order_id=ClientOrderId(f"{self.id_prefix}-{self.ids}"),
            key=key,
            instrument=key.instrument,
            side=side,
            type=kind,
            tif=TimeInForce.IOC if kind is OrderType.MARKET else TimeInForce.GTC,
            qty=lots,
            limit=limit,
            stop=stop,
            reduce_only=reduce_only,
            expire_us=expire_us,
            ts_us=ts_us,
        )
        order = Order.from_command(command, row=row, intent_seq=intent_seq, decision_price=decision_price)
        order.to(OrderStatus.SUBMITTED)
        self.orders.add(order)
        self.commands.append(command)
        self.record_order(order)
        return order

    def record_order(self, order: Order) -> None:
        """Record an order as it was submitted."""
        key, instrument = order.key, self.instruments[order.instrument]
        self.records.append(
            OrderRecord(
                seq=self.next_seq(),
                client_order_id=order.client_order_id,
                intent_seq=order.intent_seq,
                strategy=key.strategy,
                instrument=key.instrument,
                section=key.section,
                rule=key.rule,
                cycle=key.cycle,
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

    def cancel(self, client_order_id: ClientOrderId | None, ts_us: int) -> None:
        """Ask for a live order's end; nothing happens for one that is over or being cancelled."""
        order = self.orders.get(client_order_id) if client_order_id is not None else None
        if order is None or order.is_terminal or order.status is OrderStatus.PENDING_CANCEL:
            return
        order.to(OrderStatus.PENDING_CANCEL)
        self.commands.append(
            CancelOrder(client_order_id=order.client_order_id, instrument=order.instrument, ts_us=ts_us)
        )
        self.updated(order, ts_us)

    def amend(self, order: Order, lots: int, ts_us: int) -> None:
        """Ask for another whole quantity of a resting order."""
        self.commands.append(
            AmendOrder(
                client_order_id=order.client_order_id, instrument=order.instrument, qty=lots, ts_us=ts_us
            )
        )

    # ---- snapshots ----------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return everything that a snapshot keeps, as plain values."""
        return {
            "orders": self.orders.state(),
            "portfolio": self.portfolio.state(),
            "ids": self.ids,
            "id_prefix": self.id_prefix,
            "seq": self.seq,
            "rejects": self.rejects,
            "submitted_us": list(self.submitted_us),
            "trading_state": str(self.trading_state),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state()`."""
        self.orders = OrderTable.from_state(state["orders"])
        self.portfolio = Portfolio.from_state(state["portfolio"], self.instruments.values())
        self.ids = state["ids"]
        self.id_prefix = state["id_prefix"]
        self.seq = state["seq"]
        self.rejects = state["rejects"]
        self.submitted_us = deque(state["submitted_us"])
        self.trading_state = TradingState(state["trading_state"])


def named_values(runner: Runner, row: int) -> tuple[tuple[str, float], ...]:
    """Return the strategy's `let` values at a row of the block; NaN where not ready."""
    lane = runner.lane
    engine = lane.engine
    stride = engine.block_max
    out = []
    for name, is_bool, slot in lane.machines.codes[runner.machine].lets:
        if is_bool:
            raw = int(engine.U[slot * stride + row])
            out.append((name, float(raw) if raw < 2 else float("nan")))
        else:
            out.append((name, float(engine.F[slot * stride + row])))
    return tuple(out)


def opposite(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY


def _overridden(limits: Limits, strategy: Strategy) -> Limits:
    """Return the limits with a strategy's own values in place of the account's."""
    own: dict[str, Any] = {
        name: int(value) if isinstance(getattr(limits, name), int) else value
        for name, value in strategy.limits
    }
    return replace(limits, **own) if own else limits
