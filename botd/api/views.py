"""From rows of the books to what the API says of them."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, Final

from botd.api import models as m
from botd.api.facts import Mark
from botd.core import restraint
from botd.core.events import Section, Side
from botd.core.orders import TERMINAL
from botd.core.outcomes import OrderStatus
from botd.core.reload import ReloadOutcome
from botd.core.updates import AlertRecord
from botd.ports import SessionInfo
from botd.store.queries import OrderView, PositionView, SignalView

UNPRICED: Final = Mark(price=None, unrealized_pnl=None)


def slug(symbol: str) -> str:
    """Return an instrument's name as part of an id."""
    return symbol.lower().replace("/", "-").replace(":", "-")


def position_id(strategy: str, symbol: str, cycle: int) -> str:
    """Return the id of one position: of a strategy, an instrument and a cycle."""
    return f"{strategy.lstrip('~')}-{slug(symbol)}-{cycle}"


def cancelable(order: OrderView) -> bool:
    """Say whether a person may cancel it: exits and stops belong to the position that they close."""
    is_entry = order.section is Section.Z1
    return is_entry and order.status not in TERMINAL and order.status is not OrderStatus.PENDING_CANCEL


def order(session_id: str, view: OrderView) -> m.Order:
    return m.Order(
        order_id=view.client_order_id,
        session_id=session_id,
        strategy=view.strategy,
        symbol=view.instrument,
        section=view.section,
        rule=view.rule,
        cycle=view.cycle,
        revision=view.revision,
        side=view.side,
        order_type=view.type,
        quantity=view.working_qty,
        limit_price=view.limit_price,
        stop_price=view.stop_price,
        decision_price=view.decision_price,
        filled_quantity=view.filled_qty,
        average_fill_price=view.avg_price,
        slippage_bps=_slippage(view),
        fee=view.fee,
        status=view.status,
        status_reason=view.status_reason,
        in_doubt=view.in_doubt,
        needs_human=view.needs_human,
        cancelable=cancelable(view),
        created_at=view.ts_us,
        created_us=view.ts_us,
        updated_at=view.updated_us,
        updated_us=view.updated_us,
        filled_at=view.filled_us,
        filled_us=view.filled_us,
    )


def _slippage(view: OrderView) -> float | None:
    if view.avg_price is None or not view.decision_price:
        return None
    sign = 1 if view.side is Side.BUY else -1
    return round(float(sign * (view.avg_price - view.decision_price) / view.decision_price) * 1e4, 4)


def position(session_id: str, view: PositionView, mark: Mark) -> m.Position:
    return m.Position(
        position_id=position_id(view.strategy, view.instrument, view.cycle),
        session_id=session_id,
        strategy=view.strategy,
        symbol=view.instrument,
        cycle=view.cycle,
        side=view.side,
        quantity=abs(view.qty),
        entry_price=view.entry_price,
        current_price=mark.price,
        unrealized_pnl=mark.unrealized_pnl,
        realized_pnl=view.realized_pnl,
        fees=view.fees,
        opened_at=view.opened_us,
        opened_us=view.opened_us,
        updated_at=view.updated_us,
        updated_us=view.updated_us,
    )


def signal(session_id: str, view: SignalView) -> m.Signal:
    one = view.signal
    return m.Signal(
        signal_id=f"{session_id}-{one.seq}",
        session_id=session_id,
        strategy=one.strategy,
        symbol=one.instrument,
        section=one.section,
        rule=one.rule,
        cycle=one.cycle,
        revision=one.revision,
        side=one.side,
        price=one.price,
        confidence=one.confidence,
        indicator_values={name: finite(number) for name, number in one.values},
        acted=one.acted,
        reason=one.reason,
        quantity=view.qty,
        approved=view.approved,
        deny_reason=view.deny_reason,
        order_id=view.client_order_id,
        order_status=view.order_status,
        checks=[
            m.LimitCheck(name=check.reason, limit=check.limit, actual=check.actual, passed=check.passed)
            for check in view.checks
        ],
        created_at=one.ts_us,
        created_us=one.ts_us,
    )


def finite(number: float) -> float | None:
    """Return a number that JSON has, None for one that it has not."""
    return number if math.isfinite(number) else None


def trade(session_id: str, row: Any) -> m.Trade:
    """Say what a round trip was; `row` has what a `TradeRecord` has."""
    return m.Trade(
        trade_id=f"{session_id}-{row.seq}",
        session_id=session_id,
        strategy=row.strategy,
        symbol=row.instrument,
        cycle=row.cycle,
        revision=row.revision,
        side=row.side,
        quantity=row.qty,
        entry_price=row.entry_price,
        exit_price=row.exit_price,
        realized_pnl=row.realized_pnl,
        fees=row.fees,
        exit_section=row.exit_section,
        exit_rule=row.exit_rule,
        confidence=row.confidence,
        opened_at=row.opened_us,
        opened_us=row.opened_us,
        closed_at=row.closed_us,
        closed_us=row.closed_us,
    )


def session(info: SessionInfo) -> m.Session:
    return m.Session(
        session_id=info.id,
        mode=info.mode,
        feed=info.feed,
        status=info.status,
        account=info.account,
        config_hash=info.config_hash,
        started_at=info.started_us,
        started_us=info.started_us,
        ended_at=info.ended_us,
        ended_us=info.ended_us,
    )


def alert(session_id: str, one: AlertRecord) -> m.Alert:
    return m.Alert(
        alert_id=f"{session_id}-{one.seq}",
        severity=one.severity,
        type=one.type,
        message=one.message,
        strategy=one.strategy,
        symbol=one.instrument,
        created_at=one.ts_us,
        created_us=one.ts_us,
    )


def standing(one: restraint.Restraint) -> m.Restraint:
    return m.Restraint(
        state=one.state,
        cause=one.cause,
        scope=one.scope,
        who=one.who,
        reason=one.reason,
        since=one.since_us,
        since_us=one.since_us,
    )


def reload(one: ReloadOutcome) -> m.Reload:
    return m.Reload(
        ok=one.ok,
        who=one.who,
        config_hash=one.config_hash,
        running_hash=one.running_hash,
        changes=list(one.changes),
        errors=[
            m.Fault(
                file=fault.file,
                line=fault.line,
                column=fault.column,
                message=fault.message,
                severity=fault.severity,
                text=fault.render(),
            )
            for fault in one.errors
        ],
        at=one.ts_us,
        at_us=one.ts_us,
    )


ZERO: Final = Decimal(0)
