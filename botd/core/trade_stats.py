"""What closed round trips came to, all of them or in groups. What is undefined is None, never 0."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from statistics import median_low
from typing import Final, Protocol, TypeVar

from botd.core.money import EXACT, ZERO
from botd.core.periods import HOUR_US

_STEP: Final = Decimal("1e-8")


class ClosedTrade(Protocol):
    """A round trip; money in the quote currency of its instrument."""

    @property
    def strategy(self) -> str: ...
    @property
    def instrument(self) -> str: ...
    @property
    def cycle(self) -> int: ...
    @property
    def side(self) -> str: ...
    @property
    def opened_us(self) -> int: ...
    @property
    def closed_us(self) -> int: ...
    @property
    def realized_pnl(self) -> Decimal: ...
    @property
    def fees(self) -> Decimal: ...
    @property
    def exit_section(self) -> str: ...
    @property
    def exit_rule(self) -> str: ...
    @property
    def revision(self) -> str | None: ...


Trade = TypeVar("Trade", bound=ClosedTrade)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeStats:
    """Round trips in one currency. P&L is after fees unless named gross; one of exactly 0 is neither."""

    trades_count: int
    wins_count: int
    losses_count: int
    win_rate: float | None  # of all trades
    profit_factor: float | None  # sum of wins over sum of losses; None without a loss
    expectancy: Decimal | None  # mean P&L of a trade, to 1e-8
    pnl_total: Decimal
    pnl_gross: Decimal  # before fees
    fees: Decimal
    trade_best: Decimal | None
    trade_worst: Decimal | None
    win_avg: Decimal | None
    loss_avg: Decimal | None
    wins_in_a_row: int  # the longest row, in the order in which they closed
    losses_in_a_row: int
    fall_max: Decimal  # the deepest fall of the sum of the trades from its peak, in money
    holding_min_us: int | None
    holding_median_us: int | None  # the lower of two in the middle
    holding_avg_us: int | None
    holding_max_us: int | None


def measure_trades(trades: Sequence[ClosedTrade]) -> TradeStats:
    """Return what trades in one currency came to; they stand in the order in which they closed."""
    nets = [trade.realized_pnl - trade.fees for trade in trades]
    wins = [net for net in nets if net > 0]
    losses = [net for net in nets if net < 0]
    held = [trade.closed_us - trade.opened_us for trade in trades]
    count = len(trades)
    return TradeStats(
        trades_count=count,
        wins_count=len(wins),
        losses_count=len(losses),
        win_rate=len(wins) / count if count else None,
        profit_factor=float(sum(wins, ZERO) / -sum(losses, ZERO)) if losses else None,
        expectancy=_mean(nets),
        pnl_total=sum(nets, ZERO),
        pnl_gross=sum((trade.realized_pnl for trade in trades), ZERO),
        fees=sum((trade.fees for trade in trades), ZERO),
        trade_best=max(nets, default=None),
        trade_worst=min(nets, default=None),
        win_avg=_mean(wins),
        loss_avg=_mean(losses),
        wins_in_a_row=_longest(net > 0 for net in nets),
        losses_in_a_row=_longest(net < 0 for net in nets),
        fall_max=_fall(nets),
        holding_min_us=min(held, default=None),
        holding_median_us=median_low(held) if held else None,
        holding_avg_us=sum(held) // count if count else None,
        holding_max_us=max(held, default=None),
    )


# What trades can be put together by. Hours are those of the close, UTC.
GROUPS: Final[Mapping[str, Callable[[ClosedTrade], str]]] = {
    "strategy": lambda one: one.strategy,
    "symbol": lambda one: one.instrument,
    "side": lambda one: one.side,
    "exit": lambda one: f"{one.exit_section} {one.exit_rule}".strip(),
    "hour": lambda one: f"{one.closed_us // HOUR_US % 24:02}",
    "revision": lambda one: one.revision or "-",
}


def grouped(trades: Sequence[Trade], by: str) -> dict[str, list[Trade]]:
    """Return the trades of each group of `GROUPS`, groups by their names. Raises KeyError."""
    found: dict[str, list[Trade]] = {}
    for trade in trades:
        found.setdefault(GROUPS[by](trade), []).append(trade)
    return dict(sorted(found.items()))


def _mean(amounts: Sequence[Decimal]) -> Decimal | None:
    if not amounts:
        return None
    return EXACT.divide(sum(amounts, ZERO), len(amounts)).quantize(_STEP, ROUND_HALF_EVEN, EXACT)


def _longest(happened: Iterable[bool]) -> int:
    longest = row = 0
    for one in happened:
        row = row + 1 if one else 0
        longest = max(longest, row)
    return longest


def _fall(nets: Sequence[Decimal]) -> Decimal:
    run, peak, deepest = ZERO, ZERO, ZERO
    for net in nets:
        run += net
        peak = max(peak, run)
        deepest = max(deepest, peak - run)
    return deepest
