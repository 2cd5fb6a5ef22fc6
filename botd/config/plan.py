"""The plan: everything the YAML of a bot says, checked, resolved and frozen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final

from botd.config.frozen import FrozenMapping
from botd.core.instrument import Instrument, InstrumentId
from botd.core.settings import CoreSettings
from botd.errors import Diagnostic
from botd.language.typed import OnStop, Strategy

BARS_KEPT_US: Final = 90 * 86_400_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSettings:
    """Where market rows come from (config.yaml `feed`)."""

    kind: str = "synthetic"  # synthetic | recorded
    seed: int = 1  # synthetic only
    path: Path | None = None  # recorded only
    speed: float | None = 1.0  # times real time; None is as fast as it goes


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job of the schedule: five crontab fields in UTC, weekdays by name."""

    name: str
    cron: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginSettings:
    """Shares of margin_buffer (configs/risk.yaml `margin`)."""

    warn: Decimal = Decimal("0.25")
    alert: Decimal = Decimal("0.15")
    close: Decimal = Decimal("0.10")
    close_enabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSettings:
    """When requests that add risk are held back (configs/risk.yaml `breaker`)."""

    failures: int = 5
    window_us: int = 60_000_000
    open_us: int = 30_000_000
    probes: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleSettings:
    """How old a position may grow (configs/lifecycle.yaml `lifecycle`).

    With `automatic_timeout`, `holding_max_us` is already in the `protect` of every strategy that
    names no holding time of its own.
    """

    warning_us: int = 10_800_000_000
    holding_max_us: int = 14_400_000_000
    automatic_timeout: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSettings:
    """How the health of a position is judged (configs/lifecycle.yaml `health`)."""

    weight_pnl: int = 20
    weight_drawdown: int = 30
    weight_age: int = 20
    weight_margin: int = 15
    weight_volatility: int = 15
    threshold: int = 30
    emergency_close: bool = True
    check_bars: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderKeeping:
    """How orders are looked up and how long they are remembered (configs/execution.yaml)."""

    query_retries: int = 3
    query_backoff_us: int = 1_000_000
    poll_open_orders_us: int = 2_000_000
    orders_max: int = 1000
    positions_tracked_max: int = 100
    terminal_orders_kept_us: int = 3_600_000_000
    terminal_orders_sweep_us: int = 60_000_000
    closed_positions_kept_us: int = 300_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownSettings:
    """How the daemon stops (configs/shutdown.yaml)."""

    expected_us: int = 8_000_000
    ceiling_us: int = 60_000_000
    on_stop: OnStop = OnStop.CANCEL  # for what no strategy owns


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggingSettings:
    level: str = "info"
    format: str = "json"  # json | text


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiAddress:
    """Where the HTTP API listens, and for whom (config.yaml `api`)."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = 8080  # 0 is any free one
    expose: bool = False
    behind_proxy: bool = False
    read_open: bool | None = None  # None: unless it is exposed
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalDefaults:
    """What a strategy that does not say otherwise gets."""

    cooldown_us: int = 60_000_000
    kelly_cap: Decimal = Decimal("0.10")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A bot: settings, instruments and strategies, and the text they were read from."""

    mode: str
    account: str
    budget: tuple[Decimal, str]  # amount, currency
    settings: CoreSettings
    instruments: tuple[Instrument, ...]  # in the order of config.yaml
    strategies: tuple[Strategy, ...]  # by id; `instruments` are listed ids, universes resolved
    feed: FeedSettings = FeedSettings()
    state_path: Path  # absolute
    schedule: tuple[Job, ...] = ()
    bars_kept_us: int = BARS_KEPT_US  # minute bars in the state file
    record: bool = True
    logging: LoggingSettings = LoggingSettings()
    api: ApiAddress = ApiAddress()
    margin: MarginSettings = MarginSettings()
    breaker: BreakerSettings = BreakerSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()
    health: HealthSettings = HealthSettings()
    orders: OrderKeeping = OrderKeeping()
    shutdown: ShutdownSettings = ShutdownSettings()
    defaults: SignalDefaults = SignalDefaults()
    config_hash: str
    files: Mapping[str, str] = field(default_factory=lambda: FrozenMapping[str, str]({}))  # name -> text
    warnings: tuple[Diagnostic, ...] = ()

    def instrument(self, name: str) -> Instrument:
        """Return a listed instrument. Raises KeyError."""
        for instrument in self.instruments:
            if instrument.id == name:
                return instrument
        raise KeyError(name)

    def instruments_of(self, strategy: str) -> tuple[InstrumentId, ...]:
        """Return the instruments of a strategy, by its id. Raises KeyError."""
        for candidate in self.strategies:
            if candidate.id == strategy:
                return tuple(InstrumentId(name) for name in candidate.instruments)
        raise KeyError(strategy)


def hash_files(files: Mapping[str, str]) -> str:
    """Return the sha256 over the names and bytes of all files, whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(files):
        for part in (name.encode(), files[name].encode()):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()
