"""Strategies of simulated days: small files, with what a seed decides about them.

Each maker returns a file without its first and its last line: the name and `on_stop`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from botd.simulation.chance import Stream


def burst(draws: Stream) -> str:
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


def dip(draws: Stream) -> str:
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


def fade(draws: Stream) -> str:
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


def holder(draws: Stream) -> str:
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


def gambler(draws: Stream) -> str:
    """Stake by confidence, which may be none at all; enter in the row of the signal."""
    return f"""instruments: [ETH/USDT:USDT, EVX/BTC]
side: long
S1:
  when: change(10s) < -0.15%
  confidence: clamp(0.35 + abs(change(10s)) / {draws.one_of(("1%", "3%"))}, 0, 1)
  confidence_min: 0.3
  cooldown: {120 + draws.below(180)}s
  order: {{ type: market, slippage_max: 40bps }}
  size: {{ kelly: {draws.one_of(("4%", "20%"))} }}
ZE1: [ {{ name: back, when: pnl > 0.1% or held > {20 + draws.below(60)}s, close: 100% }} ]
protect: {{ stop_loss: {draws.one_of(("0.1%", "0.8%"))}, holding_max: 90s }}
"""


# What a person writes by hand, and what comes of it: too little, too much, less than a lot.
_AMOUNTS: Final = (
    *("40 USDT", "700 USDT", "0.05 ETH", "2 USDT", "0.003 ETH", "0.0004 ETH"),
    "2000000000000000 ETH",
)


def clerk(draws: Stream) -> str:
    """Buy a fixed amount, in money or in coins, at a price that may not be known yet, or be none."""
    price = draws.one_of(("best_ask", "best_bid", "twpa(12m)", "best_bid - spread_price * 90000"))
    return f"""instruments: [ETH/USDT:USDT]
side: long
S1: {{ when: change(6s) > 0.05%, cooldown: {60 + draws.below(120)}s }}
Z1:
  when: always
  order: {{ type: limit, price: {price}, ttl: {3 + draws.below(20)}s }}
  size: {{ fixed: {draws.one_of(_AMOUNTS)} }}
ZE1: [ {{ name: done, when: held > {15 + draws.below(90)}s, close: 100% }} ]
protect: {{ take_profit: 0.5% }}
"""


def miser(draws: Stream) -> str:
    """Have limits of its own, tighter than the account's."""
    limit = draws.one_of(
        (
            *("position_max: 0.5%", "symbol_exposure_max: 1%", "positions_max: 1", "losing_streak_max: 1"),
            *("leverage_max: 1", "orders_per_minute_max: 1", "rejects_in_a_row_max: 1"),
        )
    )
    return f"""instruments: [ETH/USDT:USDT, EVX/BTC]
side: long
S1: {{ when: change(4s) > 0.1%, cooldown: {90 + draws.below(120)}s }}
Z1:
  when: always
  order: {{ type: market }}
  size: {{ percent: 0.8% of equity }}
ZE1:
  - {{ name: bit, when: held > 5s, close: {draws.one_of(("1%", "60%", "99%"))} }}
  - {{ name: all, when: held > {20 + draws.below(60)}s, close: 100% }}
E1: [ {{ name: slump, when: change(3s) < -0.3%, close: 50% }} ]
protect: {{ stop_loss: 0.2% }}
limits: {{ {limit} }}
"""


def bold(draws: Stream) -> str:
    """Put most of the account into one position."""
    return f"""instruments: [ETH/USDT:USDT, EVX/BTC]
side: long
S1: {{ when: abs(change(5s)) > 0.1%, cooldown: {180 + draws.below(60)}s }}
Z1:
  when: always
  order: {{ type: limit, price: best_ask, ttl: 20s }}
  size: {{ percent: {draws.one_of(("45%", "80%", "99.95%"))} of equity }}
ZE1: [ {{ name: out, when: held > {30 + draws.below(200)}s, close: 100% }} ]
protect: {{ stop_loss: 1% }}
"""


def bolder(draws: Stream) -> str:
    """Do the same on the same markets, at other moments."""
    return bold(draws).replace("abs(change(5s)) > 0.1%", "abs(change(20s)) > 0.1%")


def runaway(share: str, ttl: str) -> str:
    """Ask for an order as often as it can, far from where it would fill."""
    return f"""instruments: [ETH/USDT:USDT, EVX/BTC]
side: long
S1: {{ when: price >= twpa(2s), cooldown: 1s }}
Z1:
  when: always
  order: {{ type: limit, price: best_bid * 0.97, ttl: {ttl} }}
  size: {{ percent: {share} of equity }}
ZE1: [ {{ name: out, when: held > 5s, close: 100% }} ]
protect: {{ stop_loss: 5% }}
"""


MAKERS: Final[tuple[Callable[[Stream], str], ...]] = (burst, dip, fade, holder, gambler, clerk, miser)
OF_ONE: Final[tuple[Callable[[Stream], str], ...]] = (clerk, fade)  # one buys it, the other sells it
BOLD: Final[tuple[Callable[[Stream], str], ...]] = (bold, bolder, fade)
