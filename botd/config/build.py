"""From the shapes of the files to the values the rest of botd takes."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from botd.config.api_shape import ApiShape
from botd.config.frozen import FrozenMapping
from botd.config.models import (
    ConfigFile,
    DataShape,
    ExecutionFile,
    FeedShape,
    Fees,
    InstrumentShape,
    LifecycleFile,
    LimitsShape,
    PaperShape,
    RiskFile,
)
from botd.config.plan import (
    ApiAddress,
    BreakerSettings,
    FeedSettings,
    HealthSettings,
    LifecycleSettings,
    MarginSettings,
    OrderKeeping,
)
from botd.config.symbols import Symbol
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.settings import CoreSettings, ExecutionSettings, Limits, PaperSettings


def build_settings(config: ConfigFile, risk: RiskFile, execution: ExecutionFile) -> CoreSettings:
    """Put together what the core needs beside strategies and instruments."""
    data: DataShape = config.data
    return CoreSettings(
        equity=config.account.equity,
        limits=build_limits(risk.limits),
        confidence_min=risk.signal.confidence_min,
        outlier_sigma=float(data.outlier),
        outlier_window_us=data.outlier_window,
        outlier_confirm_us=data.outlier_confirm,
        execution=ExecutionSettings(
            slippage_max=execution.execution.slippage_max,
            order_ttl_us=execution.execution.order_ttl,
            order_timeout_us=execution.execution.order_timeout,
            sync_positions_us=execution.sync.positions,
            mark_interval_us=execution.pnl.mark_interval,
            snapshot_interval_us=execution.pnl.snapshot_interval,
        ),
        paper=build_paper(execution.paper),
    )


def build_limits(shape: LimitsShape) -> Limits:
    amount = shape.position_max_usd
    return Limits(
        position_max=shape.position_max,
        position_max_usd=None if amount is None else amount.amount,
        symbol_exposure_max=shape.symbol_exposure_max,
        total_exposure_max=shape.total_exposure_max,
        positions_max=shape.positions_max,
        leverage_max=shape.leverage_max,
        daily_loss_max=shape.daily_loss_max,
        drawdown_max=shape.drawdown_max,
        concentration_max=shape.concentration_max,
        margin_use_max=shape.margin_use_max,
        losing_streak_max=shape.losing_streak_max,
        orders_per_minute_max=shape.orders_per_minute_max,
        rejects_in_a_row_max=shape.rejects_in_a_row_max,
        equity_min=shape.equity_min,
    )


def build_paper(shape: PaperShape) -> PaperSettings:
    return PaperSettings(
        seed=shape.seed,
        latency_min_us=shape.latency.min,
        latency_max_us=shape.latency.max,
        bar_slippage=shape.bar_slippage,
        spot_taker_fee=shape.fees.spot.taker,
        spot_maker_fee=shape.fees.spot.maker,
        perpetual_taker_fee=shape.fees.perpetual.taker,
        perpetual_maker_fee=shape.fees.perpetual.maker,
        walk_levels_max=shape.walk_levels_max,
        min_notional=shape.min_notional,
    )


def build_instrument(
    symbol: Symbol,
    *,
    tick: Decimal,
    lot: Decimal,
    paper: PaperSettings,
    min_notional: Decimal | None = None,
    leverage: Decimal | None = None,
    fees: Fees | None = None,
) -> Instrument:
    """Make an instrument; what is not given comes from the simulated venue's settings."""
    spot = symbol.kind is InstrumentKind.SPOT
    taker = paper.spot_taker_fee if spot else paper.perpetual_taker_fee
    maker = paper.spot_maker_fee if spot else paper.perpetual_maker_fee
    if min_notional is None:
        min_notional = paper.min_notional.get(symbol.quote, Decimal(0))
    return Instrument(
        id=InstrumentId(symbol.id),
        kind=symbol.kind,
        base=symbol.base,
        quote=symbol.quote,
        tick_size=tick,
        lot_size=lot,
        min_notional=min_notional,
        taker_fee=taker if fees is None else fees.taker,
        maker_fee=maker if fees is None else fees.maker,
        leverage=Decimal(1) if leverage is None else leverage,
    )


def build_listed(symbol: Symbol, shape: InstrumentShape, paper: PaperSettings) -> Instrument:
    """Make an instrument of config.yaml."""
    return build_instrument(
        symbol,
        tick=shape.tick,
        lot=shape.lot,
        paper=paper,
        min_notional=None if shape.min_notional is None else shape.min_notional.amount,
        leverage=shape.leverage,
        fees=shape.fees,
    )


def build_feed(shape: FeedShape, root: Path) -> FeedSettings:
    return FeedSettings(
        kind=shape.kind.value,
        seed=1 if shape.seed is None else shape.seed,
        path=None if shape.path is None else root / shape.path,
        speed=None if shape.speed is None else float(shape.speed),
    )


def build_api(shape: ApiShape) -> ApiAddress:
    return ApiAddress(
        enabled=shape.enabled,
        host=shape.host,
        port=shape.port,
        expose=shape.expose,
        behind_proxy=shape.behind_proxy,
        read_open=shape.read_open,
        hosts=shape.hosts,
        origins=shape.origins,
    )


def build_margin(risk: RiskFile) -> MarginSettings:
    margin = risk.margin
    return MarginSettings(
        warn=margin.warn, alert=margin.alert, close=margin.close, close_enabled=margin.close_enabled
    )


def build_breaker(risk: RiskFile) -> BreakerSettings:
    breaker = risk.breaker
    return BreakerSettings(
        failures=breaker.failures, window_us=breaker.window, open_us=breaker.open, probes=breaker.probes
    )


def build_lifecycle(file: LifecycleFile) -> LifecycleSettings:
    lifecycle = file.lifecycle
    return LifecycleSettings(
        warning_us=lifecycle.warning,
        holding_max_us=lifecycle.holding_max,
        automatic_timeout=lifecycle.automatic_timeout,
    )


def build_health(file: LifecycleFile) -> HealthSettings:
    health, weights = file.health, file.health.weights
    return HealthSettings(
        weight_pnl=weights.pnl,
        weight_drawdown=weights.drawdown,
        weight_age=weights.age,
        weight_margin=weights.margin,
        weight_volatility=weights.volatility,
        threshold=health.threshold,
        emergency_close=health.emergency_close,
        check_bars=health.check_bars,
    )


def build_orders(file: ExecutionFile) -> OrderKeeping:
    shape = file.execution
    return OrderKeeping(
        query_retries=shape.query_retries,
        query_backoff_us=shape.query_backoff,
        poll_open_orders_us=shape.poll_open_orders,
        orders_max=shape.orders_max,
        positions_tracked_max=shape.positions_tracked_max,
        terminal_orders_kept_us=shape.terminal_orders_kept,
        terminal_orders_sweep_us=shape.terminal_orders_sweep,
        closed_positions_kept_us=shape.closed_positions_kept,
    )


def default_settings() -> CoreSettings:
    """Return the settings of a bot without configuration files: the shipped values."""
    return CoreSettings(
        equity=FrozenMapping({"USDT": Decimal(10_000), "BTC": Decimal(1)}),
        paper=PaperSettings(min_notional=FrozenMapping({"USDT": Decimal(5), "BTC": Decimal("0.0001")})),
    )
