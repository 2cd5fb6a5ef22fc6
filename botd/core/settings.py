"""The numbers a plan gives the core: limits, execution, the simulated venue. Values only.

`botd.config` builds these from YAML; DEFAULTS name every value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Risk limits. Ratios are of the equity in the instrument's quote currency; None is off."""

    position_max: Decimal = Decimal("0.10")  # notional of one position, ratio of equity
    position_max_usd: Decimal | None = Decimal(1000)  # binds where the quote is USD or USDT
    symbol_exposure_max: Decimal = Decimal("0.20")
    total_exposure_max: Decimal = Decimal("0.50")
    positions_max: int = 5
    leverage_max: Decimal = Decimal(1)
    daily_loss_max: Decimal = Decimal("0.05")  # of the equity at 00:00 UTC
    drawdown_max: Decimal = Decimal("0.15")  # from the equity's peak
    concentration_max: Decimal = Decimal("0.50")  # one symbol's share of the exposure limit in use
    margin_use_max: Decimal = Decimal("0.80")
    losing_streak_max: int = 6
    orders_per_minute_max: int = 30
    rejects_in_a_row_max: int = 5
    equity_min: Decimal = Decimal("0.20")  # of the starting equity


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperSettings:
    """How the simulated venue fills (configs/execution.yaml `paper`)."""

    seed: int = 1
    latency_min_us: int = 100_000
    latency_max_us: int = 500_000
    bar_slippage: Decimal = Decimal("0.001")  # bar input only
    spot_taker_fee: Decimal = Decimal("0.0010")
    spot_maker_fee: Decimal = Decimal("0.0010")
    perpetual_taker_fee: Decimal = Decimal("0.0005")
    perpetual_maker_fee: Decimal = Decimal("0.0002")
    walk_levels_max: int = 50  # price levels one market order may walk before its rest expires
    min_notional: Mapping[str, Decimal] = field(default_factory=dict)  # by quote currency


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionSettings:
    """configs/execution.yaml `execution`, `sync`, `pnl`."""

    slippage_max: Decimal = Decimal("0.005")
    order_ttl_us: int = 300_000_000
    order_timeout_us: int = 30_000_000
    sync_positions_us: int = 10_000_000
    mark_interval_us: int = 10_000_000
    snapshot_interval_us: int = 3_600_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSettings:
    """Everything the bot core needs beside strategies and instruments."""

    equity: Mapping[str, Decimal]  # starting balance by currency
    revision: str | None = None  # which plan it is: records name it
    one_way: bool = False  # the venue nets what strategies hold: opposite sides would undo each other
    limits: Limits = field(default_factory=Limits)
    confidence_min: Decimal = Decimal("0.5")
    outlier_sigma: float = 3.0
    outlier_window_us: int = 300_000_000
    outlier_confirm_us: int = 250_000
    execution: ExecutionSettings = field(default_factory=ExecutionSettings)
    paper: PaperSettings = field(default_factory=PaperSettings)
