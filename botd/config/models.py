"""The shape of config.yaml and configs/*.yaml: strict, frozen, documented for editors.

Every value is read from the text of its scalar by `botd.config.values`. The files in configs/ have no
defaults: a key that is missing is a fault, so that a half-written file cannot pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from botd.config.api_shape import ApiShape
from botd.config.frozen import FrozenMapping
from botd.config.shape import Shape
from botd.config.values import (
    Amount,
    AmountOrOff,
    Confidence,
    Count,
    Cron,
    Currency,
    Duration,
    Flag,
    Frozen,
    Name,
    Names,
    NotNegative,
    Positive,
    Ratio,
    Share,
    Speed,
    Whole,
)
from botd.config.words import (
    FeedKind,
    LogFormat,
    LogLevel,
    Mode,
    read_feed_kind,
    read_format,
    read_level,
    read_mode,
    read_on_stop,
)
from botd.language.typed import OnStop


def _no_entries() -> FrozenMapping[Any, Any]:
    return FrozenMapping[Any, Any]({})


# ---- config.yaml ------------------------------------------------------------------------------


class Account(Shape):
    """Whose money is traded."""

    name: Name
    """A name for the account; a state file belongs to one account."""
    equity: Annotated[Mapping[Currency, Positive], Frozen]
    """Starting balance by currency, one for each quote currency that is traded."""


class Session(Shape):
    """One run of the daemon."""

    budget: Amount
    """What a session may use of the account."""


class Fees(Shape):
    """Fees as ratios of notional."""

    taker: Ratio
    maker: Ratio


class InstrumentShape(Shape):
    """What is traded: its name says spot (BTC/USDT) or perpetual (BTC/USDT:USDT)."""

    tick: Positive
    """Price step."""
    lot: Positive
    """Quantity step."""
    min_notional: Amount | None = None
    """Smallest order, in the quote currency; without it paper.min_notional holds."""
    leverage: Positive | None = None
    """Perpetuals only; 1 unless set."""
    fees: Fees | None = None
    """Without it paper.fees hold."""


class FeedShape(Shape):
    """Where market rows come from."""

    kind: Annotated[FeedKind, BeforeValidator(read_feed_kind)]
    """synthetic (an endless market made from a seed) or recorded (files)."""
    seed: Whole | None = None
    """Synthetic only: another seed is another market."""
    path: Name | None = None
    """Recorded only: a file or folder of Parquet or CSV."""
    speed: Speed
    """1 is real time, 60 an hour a minute, max as fast as it goes."""


class State(Shape):
    """Where the books are kept."""

    path: Name
    """The SQLite file, relative to this file."""


class DataShape(Shape):
    """When market data are doubted."""

    outlier: Positive
    """How many standard deviations of the last 5 minutes' returns make a print an outlier."""
    outlier_window: Duration
    """Over how long those returns are taken."""
    outlier_confirm: Duration
    """How long an outlier is doubted unless further prints confirm it."""
    retention: Duration | None = None
    """How long minute bars are kept for the charts; 90 days unless set."""


class Logging(Shape):
    """What the operator reads."""

    level: Annotated[LogLevel, BeforeValidator(read_level)]
    format: Annotated[LogFormat, BeforeValidator(read_format)]


class Includes(Shape):
    """The other files of the bot, relative to this file."""

    strategies: Name
    """Folder of strategy files, *.yaml."""
    risk: Name
    lifecycle: Name
    execution: Name
    shutdown: Name


class ConfigFile(Shape):
    """config.yaml: what is traded, on which data, where the books are kept."""

    mode: Annotated[Mode, BeforeValidator(read_mode)]
    """paper: real or synthetic data, simulated venue."""
    account: Account
    session: Session
    instruments: Annotated[Mapping[Name, InstrumentShape], Frozen]
    universes: Annotated[Mapping[Name, Names], Frozen] = Field(default_factory=_no_entries)
    """Named lists of instruments for the `instruments:` of a strategy."""
    feed: FeedShape
    data: DataShape
    state: State
    schedule: Annotated[Mapping[Name, Cron], Frozen] = Field(default_factory=_no_entries)
    """Jobs by name: five crontab fields in UTC, weekdays by name."""
    record: Flag
    """Whether market rows are recorded, so that a session can be replayed."""
    logging: Logging
    api: ApiShape = Field(default_factory=ApiShape)
    includes: Includes


# ---- configs/risk.yaml ------------------------------------------------------------------------


class LimitsShape(Shape):
    """What risk denies. Ratios are of the equity in the instrument's quote currency."""

    position_max: Share
    """Notional of one position."""
    position_max_usd: AmountOrOff
    """Notional of one position where the quote is USD or USDT; off switches it off."""
    symbol_exposure_max: Share
    """Exposure of one instrument, all strategies together."""
    total_exposure_max: Ratio
    """Exposure of the whole account."""
    positions_max: Count
    """Open positions."""
    leverage_max: Positive
    """Highest leverage an instrument may have."""
    daily_loss_max: Share
    """Loss since 00:00 UTC, of the equity then."""
    drawdown_max: Share
    """Fall from the peak of equity; trading resumes only by command."""
    concentration_max: Share
    """One symbol's share of the exposure limit."""
    margin_use_max: Share
    """Share of equity bound as margin."""
    losing_streak_max: Count
    """Losing trades of a strategy in a row, counted anew from 00:00 UTC."""
    orders_per_minute_max: Count
    """Orders in 60 seconds; exits are never refused."""
    rejects_in_a_row_max: Count
    """Orders the venue rejected in a row."""
    equity_min: Share
    """Equity left, of the starting equity."""


class Margin(Shape):
    """Shares of margin_buffer: 100 % at entry, 0 % at liquidation."""

    warn: Share
    alert: Share
    close: Share
    """Where positions are closed, if close_enabled."""
    close_enabled: Flag


class SignalShape(Shape):
    """What holds for every S1 that does not say otherwise."""

    confidence_min: Confidence
    """A signal under it is recorded, not acted on."""
    cooldown: Duration
    """Time from one S1 to the next of the same strategy and instrument."""


class Kelly(Shape):
    """Sizes by confidence: equity x fraction x max(0, 2 confidence - 1)."""

    cap: Share
    """Most of equity that a kelly size without its own cap takes."""


class Breaker(Shape):
    """When requests that add risk are held back because the venue fails."""

    failures: Count
    window: Duration
    open: Duration
    """How long it stays open before a probe."""
    probes: Count


class RiskFile(Shape):
    """configs/risk.yaml: every key is mandatory."""

    limits: LimitsShape
    margin: Margin
    signal: SignalShape
    kelly: Kelly
    breaker: Breaker


# ---- configs/lifecycle.yaml -------------------------------------------------------------------


class LifecycleShape(Shape):
    """How old a position may grow."""

    warning: Duration
    holding_max: Duration
    automatic_timeout: Flag
    """Whether a position older than holding_max is closed."""


class HealthWeights(Shape):
    """How much each part counts in the health of a position; together 100."""

    pnl: Whole
    drawdown: Whole
    age: Whole
    margin: Whole
    volatility: Whole


class Health(Shape):
    """The health score of a position, 0 to 100."""

    weights: HealthWeights
    threshold: Whole
    """Under it a position is CRITICAL."""
    emergency_close: Flag
    """Whether a CRITICAL position is closed."""
    check_bars: Count
    """Every how many 1m bars it is judged."""


class LifecycleFile(Shape):
    """configs/lifecycle.yaml: every key is mandatory."""

    lifecycle: LifecycleShape
    health: Health


# ---- configs/execution.yaml -------------------------------------------------------------------


class ExecutionShape(Shape):
    """How orders are sent and watched."""

    slippage_max: Share
    """Market entries: limit at the decision's top x (1 +- this), immediate or cancel."""
    order_ttl: Duration
    """How long a resting entry lives."""
    order_timeout: Duration
    """A request without an answer is looked up, canceled, alerted; never sent again."""
    query_retries: Count
    """Reads and lookups only, never the submit."""
    query_backoff: Duration
    """Before the first retry; doubles each time."""
    poll_open_orders: Duration
    orders_max: Count
    """Orders in memory; exits are never refused."""
    positions_tracked_max: Count
    terminal_orders_kept: Duration
    terminal_orders_sweep: Duration
    closed_positions_kept: Duration


class Latency(Shape):
    """Uniform between the two, drawn from the seed and the decision."""

    min: Duration
    max: Duration


class FeesByKind(Shape):
    spot: Fees
    perpetual: Fees


class PaperShape(Shape):
    """How the simulated venue fills."""

    seed: Whole
    latency: Latency
    bar_slippage: Ratio
    """Bar input only."""
    walk_levels_max: Count
    """Price levels one market order may walk before its rest expires."""
    fees: FeesByKind
    min_notional: Annotated[Mapping[Currency, NotNegative], Frozen]
    """Smallest order by quote currency."""


class Sync(Shape):
    positions: Duration
    """How often our positions are compared with the venue's."""


class Pnl(Shape):
    mark_interval: Duration
    snapshot_interval: Duration


class ExecutionFile(Shape):
    """configs/execution.yaml: every key is mandatory."""

    execution: ExecutionShape
    paper: PaperShape
    sync: Sync
    pnl: Pnl


# ---- configs/shutdown.yaml --------------------------------------------------------------------


class ShutdownShape(Shape):
    """How the daemon stops. A strategy's own on_stop wins."""

    expected: Duration
    """A stop that takes longer is reported."""
    ceiling: Duration
    """After it the daemon ends, saying what was late; nothing is lost."""
    on_stop: Annotated[OnStop, BeforeValidator(read_on_stop)]
    """For what no strategy owns: keep, cancel (entries; protective stops stay) or flatten."""


class ShutdownFile(Shape):
    """configs/shutdown.yaml: every key is mandatory."""

    shutdown: ShutdownShape
