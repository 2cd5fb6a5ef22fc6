"""A bot that is never idle, on made trades: a burst every minute, so that orders are always under way."""

from __future__ import annotations

import random
from pathlib import Path

from tests.cli.bots import T0_MS, edit, make_bot, write_trades

DATA = "data/nxs.parquet"

RIDER = """\
strategy: rider
instruments: [NXS/BTC]
side: long
S1: { when: change(10s) > 1%, cooldown: 5s }
Z1: { when: always, order: { type: market, slippage_max: 200bps }, size: { percent: 3% of equity } }
ZE1:
  - { name: half, when: pnl > 1%, close: 50% }
  - { name: fade, when: change(10s) < 0, close: 100% }
protect: { stop_loss: 5%, take_profit: 10%, holding_max: 2m }
limits: { losing_streak_max: 1000, daily_loss_max: 90%, drawdown_max: 90% }
on_stop: keep
"""

# Buys what falls with an order that rests a moment, and often is not filled.
RESTER = """\
strategy: rester
instruments: [NXS/BTC]
side: long
S1: { when: change(10s) < -0.2%, cooldown: 5s }
Z1:
  when: always
  order: { type: limit, price: best_bid * 0.999, ttl: 4s }
  size: { percent: 2% of equity }
ZE1:
  - { name: late, when: held > 15s, close: 100% }
protect: { stop_loss: 4%, holding_max: 30s }
limits: { losing_streak_max: 1000, daily_loss_max: 90%, drawdown_max: 90% }
on_stop: keep
"""


def make_busy_bot(folder: Path, *, minutes: int) -> Path:
    """Make a bot folder with its data; some ten orders a minute of them."""
    make_bot(folder, rider=RIDER, rester=RESTER)
    edit(folder / "configs/risk.yaml", "orders_per_minute_max: 30", "orders_per_minute_max: 1000")
    write_trades(folder / DATA, busy_trades(minutes), "{instrument: NXS/BTC, rows: trades}")
    return folder


def busy_trades(minutes: int, *, seed: int = 3) -> list[tuple[int, float, float, str]]:
    """Return trades of (ts_ms, price, amount, side): each minute the price climbs 3 % and falls back."""
    rng = random.Random(seed)
    rows: list[tuple[int, float, float, str]] = []
    for second in range(minutes * 60):
        into = second % 60 - 20
        busy = 0 <= into < 12
        for part in range(5 if busy else 1):
            step = into * 5 + part
            climb = (min(step, 30) if step < 30 else max(0, 60 - step)) * 3 if busy else 0
            side = "buy" if (busy and step < 30) or (not busy and rng.random() < 0.5) else "sell"
            ticks = 3000 + climb + (1 if side == "buy" else 0)
            rows.append(
                (T0_MS + second * 1000 + part * 200, ticks / 1e8, float(rng.randint(200, 3000)), side)
            )
    return rows
