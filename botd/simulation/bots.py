"""Bots for simulated days: a handful of small strategies, with what a seed decides about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from botd.feeds.chance import make_key
from botd.simulation.chance import Stream

SETTINGS: Final[Mapping[str, str]] = {
    "config.yaml": """mode: paper
account: { name: paper, equity: { USDT: 10000, BTC: 1 } }
session: { budget: 1000 USD }
instruments:
  ETH/USDT:USDT: { tick: 0.01, lot: 0.001, min_notional: 5 USDT, leverage: 1 }
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
sync: { positions: 10s }
pnl: { mark_interval: 10s, snapshot_interval: 1h }
""",
    "configs/lifecycle.yaml": """lifecycle: { warning: 180m, holding_max: 240m, automatic_timeout: true }
health:
  weights: { pnl: 20, drawdown: 30, age: 20, margin: 15, volatility: 15 }
  threshold: 30
  emergency_close: true
  check_bars: 5
""",
    "configs/risk.yaml": """limits:
  position_max: 10%
  position_max_usd: 1000 USD
  symbol_exposure_max: 20%
  total_exposure_max: 50%
  positions_max: 5
  leverage_max: 1
  daily_loss_max: 50%
  drawdown_max: 50%
  concentration_max: 100%
  margin_use_max: 80%
  losing_streak_max: 1000
  orders_per_minute_max: 30
  rejects_in_a_row_max: 5
  equity_min: 20%
margin: { warn: 25%, alert: 15%, close: 10%, close_enabled: false }
signal: { confidence_min: 0.5, cooldown: 1m }
kelly: { cap: 10% }
breaker: { failures: 5, window: 60s, open: 30s, probes: 1 }
""",
    "configs/shutdown.yaml": """shutdown: { expected: 8s, ceiling: 60s, on_stop: cancel }
""",
}

RISK: Final = "configs/risk.yaml"
# A limit, what it is for most bots, and what it is for one that is to meet it.
TIGHT: Final = (
    ("position_max", "10%", ("0.5%", "2%")),
    ("position_max_usd", "1000 USD", ("60 USD", "150 USD")),
    ("symbol_exposure_max", "20%", ("1%", "3%")),
    ("total_exposure_max", "50%", ("2%", "4%")),
    ("positions_max", "5", ("1", "2")),
    ("daily_loss_max", "50%", ("0.02%", "0.1%")),
    ("drawdown_max", "50%", ("0.02%", "0.1%")),
    ("concentration_max", "100%", ("2%", "5%")),
    ("margin_use_max", "80%", ("1%", "3%")),
    ("losing_streak_max", "1000", ("1", "2")),
    ("orders_per_minute_max", "30", ("1", "2")),
    ("rejects_in_a_row_max", "5", ("1", "2")),
    ("equity_min", "20%", ("99.95%", "100%")),
)
POLICIES: Final = ("keep", "cancel", "flatten")


def draw_files(seed: int, *, edition: int = 0, policy: str | None = None) -> dict[str, str]:
    """Return the files of a seed's bot by name.

    Every edition has the same strategies with other numbers. `policy` is every strategy's `on_stop`, where
    it is given.
    """
    chosen = Stream(make_key(seed, "bot"))
    draws = Stream(make_key(seed, "bot", edition))
    makers = [_burst, _dip, _fade, _holder]
    files = dict(SETTINGS)
    if chosen.below(4) == 0:  # one bot in four meets its limits
        for limit, loose, tight in TIGHT:
            if chosen.below(3) == 0:
                line = f"  {limit}: {loose}\n"
                files[RISK] = files[RISK].replace(line, f"  {limit}: {chosen.one_of(tight)}\n")
    for make in [makers.pop(chosen.below(len(makers))) for _ in range(2 + chosen.below(3))]:
        name = make.__name__.lstrip("_")
        text = make(draws) + f"on_stop: {policy or draws.one_of(POLICIES)}\n"
        files[f"strategies/{name}.yaml"] = f"strategy: {name}\n{text}"
    return files


def _burst(draws: Stream) -> str:
    """Follow what leaves its range, by market; leave in two steps."""
    return f"""instruments: [ETH/USDT:USDT, EVX/BTC]
side: long
S1: {{ when: price / high(from 12s to 1s) - 1 > 0.1%, cooldown: {240 + draws.below(240)}s }}
Z1:
  when: always
  order: {{ type: market, slippage_max: {draws.one_of((20, 100))}bps }}
  size: {{ percent: {1 + draws.below(3)}% of equity }}
ZE1:
  - {{ name: half, when: held > {3 + draws.below(8)}s, close: 50% }}
  - {{ name: out, when: held > {12 + draws.below(30)}s, close: 100% }}
E1: [ {{ name: crash, when: change(3s) < -0.4%, cooldown: 30s }} ]
protect: {{ stop_loss: {draws.one_of(("0.1%", "0.3%", "1%"))}, trailing_stop: 0.2% }}
"""


def _dip(draws: Stream) -> str:
    """Wait below what falls, by limit."""
    price = draws.one_of(("best_bid", "best_bid * 0.9995", "best_bid * 0.99"))
    return f"""instruments: [EVX/BTC]
side: long
S1: {{ when: change(8s) < -0.2%, cooldown: {180 + draws.below(180)}s }}
O1: {{ after: 20s }}
Z1:
  when: change(2s) > -0.2%
  order: {{ type: limit, price: {price}, ttl: {5 + draws.below(40)}s }}
  size: {{ percent: {1 + draws.below(3)}% of equity }}
ZE1: [ {{ name: home, when: pnl > 0.1%, close: 100% }} ]
protect: {{ stop_loss: 0.5%, take_profit: 1%, holding_max: {20 + draws.below(60)}s }}
"""


def _fade(draws: Stream) -> str:
    """Sell what has jumped."""
    return f"""instruments: [ETH/USDT:USDT]
side: short
S1: {{ when: change(5s) > 0.2%, cooldown: {240 + draws.below(240)}s }}
Z1:
  when: always
  order: {{ type: market, slippage_max: 50bps }}
  size: {{ risk: 0.01% of equity, cap: {2 + draws.below(3)}% of equity }}
ZE1:
  - {{ name: third, when: pnl > 0.05%, close: 33% }}
  - {{ name: rest, when: held > {10 + draws.below(20)}s, close: 100% }}
protect: {{ stop_loss: {draws.one_of(("0.2%", "0.6%"))} }}
"""


def _holder(draws: Stream) -> str:
    """Hold for minutes, so that there is something to carry through crashes."""
    return f"""instruments: [ETH/USDT:USDT, EVX/BTC]
side: long
S1: {{ when: change(30s) > 0.05%, cooldown: {300 + draws.below(300)}s }}
Z1:
  when: always
  order: {{ type: limit, price: best_ask, ttl: 30s }}
  size: {{ percent: {draws.one_of(("1.5%", "4%"))} of equity }}
ZE1:
  - {{ name: some, when: held > {60 + draws.below(60)}s, close: 40% }}
  - {{ name: all, when: held > {150 + draws.below(200)}s, close: 100% }}
protect: {{ stop_loss: 2%, take_profit: 2% }}
"""
