"""What the API gives, as its description in /openapi.json has it.

Money is a decimal in a string, a time is RFC 3339 (`..._at`) and microseconds of 1970 (`..._us`), `symbol` is
the instrument as the strategies write it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from botd.api.figures import CurrencyPerformance, GroupPerformance
from botd.api.shapes import Answer, Money, Time

# ---- trading ------------------------------------------------------------------------------------


class Problem(Answer):
    """Why a request was not answered as it was meant."""

    error: str
    message: str
    incident: str | None
    """Finds what the log says of it."""


class Order(Answer):
    order_id: str
    """The client order id."""
    session_id: str
    strategy: str
    symbol: str
    section: str
    rule: str
    cycle: int
    revision: str | None
    """The beginning of the hash of the configuration whose rules decided; null where nobody's did."""
    side: str
    order_type: str
    quantity: Money
    limit_price: Money | None
    stop_price: Money | None
    decision_price: Money
    """The top of book that it was decided at."""
    filled_quantity: Money
    average_fill_price: Money | None
    slippage_bps: float | None
    """Against the decision price; positive is worse for us."""
    fee: Money
    status: str
    status_reason: str
    in_doubt: bool
    needs_human: bool
    cancelable: bool
    """Whether POST /api/trading/orders/{id}/cancel would do something."""
    created_at: Time
    created_us: int
    updated_at: Time
    updated_us: int
    filled_at: Time | None
    filled_us: int | None


class Orders(Answer):
    orders: list[Order]
    next_cursor: int | None
    """Ask with it for what is older; null at the end."""


class Position(Answer):
    position_id: str
    session_id: str
    strategy: str
    symbol: str
    cycle: int
    side: str
    quantity: Money
    entry_price: Money
    current_price: Money | None
    unrealized_pnl: Money | None
    realized_pnl: Money
    fees: Money
    opened_at: Time
    opened_us: int
    updated_at: Time
    updated_us: int


class Positions(Answer):
    positions: list[Position]


class LimitCheck(Answer):
    """What one limit said of an entry."""

    name: str
    limit: Money
    actual: Money
    """An amount as it would be with the entry, a count as it stands."""
    passed: bool


class Signal(Answer):
    signal_id: str
    session_id: str
    strategy: str
    symbol: str
    section: str
    """S1, Z1, O1, ZE1, E1 or protect."""
    rule: str
    cycle: int
    revision: str | None
    """The beginning of the hash of the configuration whose rules decided; null where nobody's did."""
    side: str
    price: Money
    confidence: float | None
    indicator_values: dict[str, float | None]
    acted: bool
    reason: str
    quantity: Money | None
    approved: bool | None
    deny_reason: str | None
    order_id: str | None
    order_status: str | None
    checks: list[LimitCheck]
    """Empty for exits, and for what was decided while trading was halted."""
    created_at: Time
    created_us: int


class Signals(Answer):
    signals: list[Signal]
    next_cursor: int | None


class Trade(Answer):
    """A round trip, from the first fill to flat."""

    trade_id: str
    session_id: str
    strategy: str
    symbol: str
    cycle: int
    revision: str | None
    """The beginning of the hash of the configuration whose rules decided; null where nobody's did."""
    side: str
    quantity: Money
    entry_price: Money
    exit_price: Money
    realized_pnl: Money
    """Before fees."""
    fees: Money
    exit_section: str
    exit_rule: str
    confidence: float | None
    opened_at: Time
    opened_us: int
    closed_at: Time
    closed_us: int


class Trades(Answer):
    trades: list[Trade]
    next_cursor: int | None


class Performance(Answer):
    session_id: str
    period: str
    currencies: list[CurrencyPerformance]
    groups: list[GroupPerformance]
    """Empty unless `by` asks for them."""


# ---- sessions, lifecycle, alerts ----------------------------------------------------------------


class Session(Answer):
    session_id: str
    mode: str
    feed: str
    status: str
    account: str
    config_hash: str
    started_at: Time
    started_us: int
    ended_at: Time | None
    ended_us: int | None


class Sessions(Answer):
    sessions: list[Session]


class Results(Answer):
    session: Session
    counts: dict[str, int]
    """Rows by table."""
    currencies: list[CurrencyPerformance]


class Timeout(Answer):
    position_id: str
    strategy: str
    symbol: str
    age_us: int
    warning_us: int
    holding_max_us: int | None
    remaining_us: int | None
    state: Literal["fine", "warning", "overdue"]


class Timeouts(Answer):
    automatic_timeout: bool
    timeouts: list[Timeout]


class TrackedPositions(Answer):
    count: int
    limit: int
    positions: list[Position]


class Alert(Answer):
    alert_id: str
    severity: str
    type: str
    message: str
    strategy: str | None
    symbol: str | None
    created_at: Time
    created_us: int


class Alerts(Answer):
    alerts: list[Alert]


# ---- configuration ------------------------------------------------------------------------------


class Fault(Answer):
    """A fault in a file, with its place; 0 where it is the whole file."""

    file: str
    line: int
    column: int
    message: str
    severity: str
    text: str
    """As a terminal shows it, with a caret."""


class Reload(Answer):
    ok: bool
    who: str
    config_hash: str
    """Of the files that were tried."""
    running_hash: str
    changes: list[str]
    errors: list[Fault]
    at: Time
    at_us: int


class Configuration(Answer):
    config_hash: str
    applied_at: Time
    applied_us: int
    files: dict[str, str]
    """Secrets are ***."""
    last_reload: Reload | None


# ---- health -------------------------------------------------------------------------------------


class Health(Answer):
    status: Literal["alive"]
    version: str
    mode: str
    uptime_s: float
    session_id: str | None
    trading_state: str
    last_row_age_s: float | None
    config_hash: str
    config_state: Literal["ok", "stale"]
    """stale: the last reload was refused, and the plan before it trades on."""


class Check(Answer):
    ok: bool
    detail: str


class Readiness(Answer):
    ready: bool
    checks: dict[str, Check]


class DeepHealth(Answer):
    status: Literal["ok", "warn", "fail"]
    checks: dict[str, Check]


# ---- done ---------------------------------------------------------------------------------------


class Restraint(Answer):
    state: str
    cause: str
    scope: str
    who: str
    reason: str
    since: Time
    since_us: int


class TradingStateChange(Answer):
    done: bool
    """False: asked for, in force, and not written yet."""
    trading_state: str
    restraints: list[Restraint]


class Acted(Answer):
    done: bool
    """False: asked for, and not obeyed yet."""
    orders: list[Order]
    """What came of it: the exits of a close, the order that was cancelled."""


def document(model: BaseModel) -> bytes:
    """Return an answer as JSON."""
    return model.model_dump_json().encode()


def any_model(model: type[BaseModel]) -> Any:
    """Return the reference by which the description names a model."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}
