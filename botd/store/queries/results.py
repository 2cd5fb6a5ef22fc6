"""What round trips came to, by strategy and instrument, and the account's equity over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from botd.core.money import ZERO
from botd.core.performance import HOUR_US, EquitySample, hourly_returns, sharpe, sortino

_TRADES: Final = """
SELECT strategy, instrument, opened_us, closed_us, realized_pnl, fees FROM trades
WHERE session_id = ? ORDER BY seq DESC
"""
_ODD_US: Final = 3_600_000_000  # that a trade may have been closed before one that was noted earlier
_CURVE: Final = """
SELECT ts_us, equity, drawdown, max(seq) FROM portfolio_snapshots
WHERE session_id = ? AND currency = ? AND ts_us >= ? GROUP BY ts_us / ? ORDER BY ts_us
"""
_DEEPEST: Final = """
SELECT max(CAST(drawdown AS REAL)) FROM portfolio_snapshots
WHERE session_id = ? AND currency = ? AND ts_us >= ?
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultView:
    """Closed round trips of one strategy on one instrument, in its quote currency, after fees."""

    strategy: str
    instrument: str
    trades_count: int
    won_count: int
    net: Decimal
    fees: Decimal
    win_rate: float
    profit_factor: float | None  # None without a loss
    expectancy: Decimal
    best: Decimal
    worst: Decimal
    drawdown_max: Decimal  # deepest fall of the sum of the trades from its peak, in money
    holding_avg_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityPoint:
    """The equity as it was last noted in a span of time."""

    ts_us: int
    equity: Decimal
    drawdown: Decimal  # ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountResult:
    """What a currency's account did; None where there is too little to say."""

    sharpe: float | None
    sortino: float | None
    drawdown_max: float | None


@dataclass(slots=True)
class _Sum:
    nets: list[Decimal] = field(default_factory=list)
    fees: Decimal = ZERO
    held_us: int = 0


def results(raw: Any, sessions: Iterable[str], since_us: int) -> tuple[ResultView, ...]:
    """Return what the round trips closed from a time on came to, by strategy and instrument.

    `sessions` are told newest first: their trades are read from the end.
    """
    sums: dict[tuple[str, str], _Sum] = {}
    for session in sessions:
        for strategy, instrument, opened, closed, realized, fees in raw.execute(_TRADES, (session,)):
            if closed < since_us:
                if closed < since_us - _ODD_US:
                    break
                continue
            one = sums.setdefault((strategy, instrument), _Sum())
            fee = Decimal(fees)
            one.nets.append(Decimal(realized) - fee)
            one.fees += fee
            one.held_us += closed - opened
    return tuple(_result(*key, one) for key, one in sorted(sums.items()))


def _result(strategy: str, instrument: str, one: _Sum) -> ResultView:
    nets, count = one.nets[::-1], len(one.nets)
    won, lost = [net for net in nets if net > 0], [net for net in nets if net < 0]
    total = sum(nets, ZERO)
    return ResultView(
        strategy=strategy,
        instrument=instrument,
        trades_count=count,
        won_count=len(won),
        net=total,
        fees=one.fees,
        win_rate=len(won) / count,
        profit_factor=float(sum(won, ZERO) / -sum(lost, ZERO)) if lost else None,
        expectancy=total / count,
        best=max(nets),
        worst=min(nets),
        drawdown_max=_fall(nets),
        holding_avg_us=one.held_us // count,
    )


def _fall(nets: Sequence[Decimal]) -> Decimal:
    run, peak, deepest = ZERO, ZERO, ZERO
    for net in nets:
        run += net
        peak = max(peak, run)
        deepest = max(deepest, peak - run)
    return deepest


def curve(
    raw: Any, sessions: Iterable[str], currency: str, *, since_us: int, step_us: int
) -> tuple[EquityPoint, ...]:
    """Return the equity as it was last noted in each span of `step_us`, oldest first."""
    found: dict[int, EquityPoint] = {}
    for session in sessions:  # a later one has the last word on a span
        for ts_us, equity, drawdown, _ in raw.execute(_CURVE, (session, currency, since_us, step_us)):
            found[ts_us // step_us] = EquityPoint(
                ts_us=ts_us, equity=Decimal(equity), drawdown=Decimal(drawdown)
            )
    return tuple(found[slot] for slot in sorted(found))


def account_result(raw: Any, sessions: Sequence[str], currency: str, since_us: int) -> AccountResult:
    """Return what a currency's account did from a time on."""
    points = curve(raw, sessions, currency, since_us=since_us, step_us=HOUR_US)
    returns = hourly_returns([EquitySample(one.ts_us, one.equity) for one in points])
    falls = [raw.execute(_DEEPEST, (session, currency, since_us)).fetchone()[0] for session in sessions]
    return AccountResult(
        sharpe=sharpe(returns),
        sortino=sortino(returns),
        drawdown_max=max((fall for fall in falls if fall is not None), default=None),
    )


def nets_by_currency(found: Iterable[ResultView]) -> Mapping[str, tuple[Decimal, int]]:
    """Return the sum after fees and the number of trades, by quote currency."""
    sums: dict[str, tuple[Decimal, int]] = {}
    for one in found:
        currency = one.instrument.partition(":")[0].rpartition("/")[2]
        net, count = sums.get(currency, (ZERO, 0))
        sums[currency] = net + one.net, count + one.trades_count
    return sums
