"""Bots for simulated days: a handful of small strategies and their limits, as a seed decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

from botd.feeds.chance import make_key
from botd.simulation import strategies
from botd.simulation.chance import Stream

SETTINGS: Final[Mapping[str, str]] = {
    "config.yaml": """mode: paper
account: { name: paper, equity: { USDT: 10000, BTC: 1 } }
session: { budget: 1000 USD }
instruments:
  ETH/USDT:USDT: { tick: 0.01, lot: 0.001, min_notional: 5 USDT, leverage: {leverage} }
  EVX/BTC: { tick: 0.00000001, lot: 1, min_notional: 0.0001 BTC }
universes: {}
feed: { kind: synthetic, seed: 1, speed: 1 }
data: { outlier: 3, outlier_window: 5m, outlier_confirm: 250ms }
state: { path: state/botd.sqlite3 }
schedule: { snapshot: '*/20 * * * *' }
record: true
logging: { level: info, format: json }
includes:
  strategies: strategies
  risk: configs/risk.yaml
  lifecycle: configs/lifecycle.yaml
  execution: configs/execution.yaml
  shutdown: configs/shutdown.yaml
""",
    "configs/execution.yaml": """execution:
  slippage_max: 0.5%
  order_ttl: 5m
  order_timeout: 30s
  query_retries: 3
  query_backoff: 1s
  poll_open_orders: 2s
  orders_max: 1000
  positions_tracked_max: 100
  terminal_orders_kept: 1h
  terminal_orders_sweep: 60s
  closed_positions_kept: 5m
paper:
  seed: 1
  latency: { min: 100ms, max: 500ms }
  bar_slippage: 0.1%
  walk_levels_max: 50
  fees:
    spot: { taker: 10bps, maker: 10bps }
    perpetual: { taker: 5bps, maker: 2bps }
  min_notional: { USDT: 5, BTC: 0.0001 }
sync: { positions: {sync} }
pnl: { mark_interval: 10s, snapshot_interval: {interval} }
""",
    "configs/lifecycle.yaml": """lifecycle: { warning: 180m, holding_max: 240m, automatic_timeout: true }
health:
  weights: { pnl: 20, drawdown: 30, age: 20, margin: 15, volatility: 15 }
  threshold: 30
  emergency_close: true
  check_bars: 5
""",
    "configs/risk.yaml": """margin: { warn: 25%, alert: 15%, close: 10%, close_enabled: false }
signal: { confidence_min: 0.5, cooldown: 1m }
kelly: { cap: 10% }
breaker: { failures: 5, window: 60s, open: 30s, probes: 1 }
""",
    "configs/shutdown.yaml": """shutdown: { expected: 8s, ceiling: 60s, on_stop: cancel }
""",
}

CONFIG: Final = "config.yaml"
TURNED: Final = ("outlier: 3,", "outlier: 4,")  # what the engine's history stands on
EXECUTION: Final = "configs/execution.yaml"
LIFECYCLE: Final = "configs/lifecycle.yaml"
EDITIONS: Final = 6
RISK: Final = "configs/risk.yaml"
LIMITS: Final[Mapping[str, str]] = {
    "position_max": "10%",
    "position_max_usd": "1000 USD",
    "symbol_exposure_max": "20%",
    "total_exposure_max": "50%",
    "positions_max": "5",
    "leverage_max": "3",
    "daily_loss_max": "50%",
    "drawdown_max": "50%",
    "concentration_max": "100%",
    "margin_use_max": "80%",
    "losing_streak_max": "1000",
    "orders_per_minute_max": "30",
    "rejects_in_a_row_max": "5",
    "equity_min": "20%",
}
# What a limit is for a bot that is to meet it.
TIGHT: Final[Mapping[str, tuple[str, ...]]] = {
    "position_max": ("0.5%", "2%"),
    "position_max_usd": ("60 USD", "150 USD"),
    "symbol_exposure_max": ("1%", "3%"),
    "total_exposure_max": ("2%", "4%"),
    "positions_max": ("1", "2"),
    "daily_loss_max": ("0.02%", "0.1%"),
    "drawdown_max": ("0.02%", "0.1%"),
    "concentration_max": ("2%", "5%"),
    "margin_use_max": ("1%", "3%"),
    "losing_streak_max": ("1", "2"),
    "orders_per_minute_max": ("1", "2"),
    "rejects_in_a_row_max": ("1", "2"),
    "equity_min": ("99.95%", "100%"),
}
# Limits of an account that is bold: what it meets are its cash, its margin and its leverage.
WIDE: Final[Mapping[str, str]] = {
    "position_max": "100%",
    "position_max_usd": "off",
    "symbol_exposure_max": "100%",
    "total_exposure_max": "400%",
    "positions_max": "1000",
    "margin_use_max": "100%",
    "orders_per_minute_max": "1000",
}
# Of a runaway: how many, the share of each order, how long it rests. It meets what no setting switches off:
# turnover, entries a minute, orders that rest.
RUNAWAYS: Final = ((6, "90%", "1s"), (8, "0.2%", "1s"), (34, "0.2%", "5m"))
POLICIES: Final = ("keep", "cancel", "flatten")


class Mood(StrEnum):
    """What a seed's bot is like."""

    PLAIN = "plain"
    TIGHT = "tight"  # meets its limits
    BOLD = "bold"  # meets what it has
    RUNAWAY = "runaway"  # meets the caps on whatever is ever sent


MOODS: Final = (*[Mood.PLAIN] * 7, *[Mood.TIGHT] * 5, *[Mood.BOLD] * 3, Mood.RUNAWAY)


def draw_files(seed: int, *, edition: int = 0, policy: str | None = None) -> dict[str, str]:
    """Return the files of a seed's bot by name.

    Editions 0 and 1 differ in the strategies' numbers; in any other one limits and timeouts may be others,
    a strategy may be gone or have another name, and positions may be asked to follow the files at once.
    `policy` is every strategy's `on_stop`, where it is given: such a bot is no runaway, as nobody is to
    resume it.
    """
    chosen = Stream(make_key(seed, "bot"))
    more = Stream(make_key(seed, "bot", "more"))
    draws = Stream(make_key(seed, "bot", edition))
    mood = chosen.one_of(MOODS)
    if mood is Mood.RUNAWAY and policy is not None:
        mood = Mood.PLAIN
    files = dict(SETTINGS)
    files[CONFIG] = files[CONFIG].replace("{leverage}", chosen.one_of(("1", "1", "2", "3")))
    files[EXECUTION] = files[EXECUTION].replace("{interval}", chosen.one_of(("5m", "20m", "1h")))
    files[EXECUTION] = files[EXECUTION].replace("{sync}", more.one_of(("1s", "10s")))
    files[RISK] = _limits(chosen, mood) + files[RISK]
    for name, text in _strategies(chosen, draws, mood):
        files[f"strategies/{name}.yaml"] = (
            f"strategy: {name}\n{text}on_stop: {policy or draws.one_of(POLICIES)}\n"
        )
    if edition > 1:
        _edit(files, Stream(make_key(seed, "edition", edition)), mood)
    return files


def _edit(files: dict[str, str], edits: Stream, mood: Mood) -> None:
    """Change more than the strategies' numbers."""
    if edits.below(2):
        files[RISK] = _limits(edits, mood) + SETTINGS[RISK]
    if edits.below(2):
        files[EXECUTION] = files[EXECUTION].replace(
            "timeout: 30s", edits.one_of(("timeout: 5s", "timeout: 90s"))
        )
        files[LIFECYCLE] = files[LIFECYCLE].replace("max: 240m", edits.one_of(("max: 3m", "max: 30m")))
        files[LIFECYCLE] = files[LIFECYCLE].replace("warning: 180m", "warning: 2m")
    names = [name for name in files if name.startswith("strategies/")]
    for name in names:
        if edits.below(4) == 0:
            files[name] = files[name].replace("\non_stop:", "\non_reload: adopt\non_stop:")
    chosen = edits.one_of(names)
    if edits.below(3) == 0 and len(names) > 1:
        del files[chosen]
    elif edits.below(3) == 0:
        former = chosen.removeprefix("strategies/").removesuffix(".yaml")
        renamed = files.pop(chosen).replace(f"strategy: {former}\n", f"strategy: {former}_b\nwas: {former}\n")
        files[f"strategies/{former}_b.yaml"] = renamed


def _limits(chosen: Stream, mood: Mood) -> str:
    """Return the account's limits as they stand in risk.yaml."""
    limits = dict(LIMITS)
    if mood is Mood.TIGHT:
        for name, tight in TIGHT.items():
            if chosen.below(3) == 0:
                limits[name] = chosen.one_of(tight)
    elif mood in (Mood.BOLD, Mood.RUNAWAY):
        limits |= WIDE
        if mood is Mood.BOLD:
            limits["margin_use_max"] = chosen.one_of(("40%", "80%", "100%"))
            limits["total_exposure_max"] = chosen.one_of(("120%", "400%"))
    return "".join(["limits:\n", *(f"  {name}: {value}\n" for name, value in limits.items())])


def _strategies(chosen: Stream, draws: Stream, mood: Mood) -> Iterator[tuple[str, str]]:
    """Yield the names of the strategies and their files, but for the first and the last line."""
    if mood is Mood.RUNAWAY:
        count, share, ttl = chosen.one_of(RUNAWAYS)
        for number in range(count):
            yield f"runaway_{number}", strategies.runaway(share, ttl)
        return
    if chosen.below(8) == 0:  # long and short on one instrument only
        makers = list(strategies.OF_ONE)
    else:
        makers = list(strategies.BOLD if mood is Mood.BOLD else strategies.MAKERS)
    count = 2 + chosen.below(max(1, len(makers) - 2))
    for make in [makers.pop(chosen.below(len(makers))) for _ in range(count)]:
        yield make.__name__, make(draws)
