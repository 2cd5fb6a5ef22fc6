"""What round trips came to, and the account's equity over time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NamedTuple

from botd.core.instrument import quote_of
from botd.core.money import ZERO
from botd.core.performance import EquitySample, Performance, summarize
from botd.core.trade_stats import TradeStats, grouped, measure_trades

_TRADES: Final = """
SELECT strategy, instrument, cycle, side, opened_us, closed_us, realized_pnl, fees, exit_section, exit_rule,
    revision FROM trades WHERE session_id = ? ORDER BY seq DESC
"""
_ODD_US: Final = 3_600_000_000  # that a trade may have been closed before one that was noted earlier
_CURVE: Final = """
SELECT ts_us, equity, drawdown, max(seq) FROM portfolio_snapshots
WHERE session_id = ? AND currency = ? AND ts_us >= ? GROUP BY ts_us / ? ORDER BY ts_us
"""
_SAMPLES: Final = "SELECT currency, ts_us, equity FROM portfolio_snapshots WHERE session_id = ? ORDER BY seq"
_HELD: Final = "SELECT instrument, opened_us FROM positions WHERE session_id = ? AND closed_us IS NULL"
FOR_EVER: Final = 1 << 62


class Trip(NamedTuple):
    """A closed round trip; money in the quote currency of its instrument."""

    strategy: str
    instrument: str
    cycle: int
    side: str
    opened_us: int
    closed_us: int
    realized_pnl: Decimal
    fees: Decimal
    exit_section: str
    exit_rule: str
    revision: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultView:
    """Closed round trips of one strategy on one instrument, in its quote currency."""

    strategy: str
    instrument: str
    stats: TradeStats


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyResult:
    """What came of everything in one currency."""

    currency: str
    performance: Performance
    trips: tuple[Trip, ...]  # in the order in which they closed
    equity: Decimal | None  # as it was last noted


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupView:
    """Closed round trips in one currency that have something in common."""

    currency: str
    group: str
    stats: TradeStats


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityPoint:
    """The equity as it was last noted in a span of time."""

    ts_us: int
    equity: Decimal
    drawdown: Decimal  # ratio


def trips(raw: Any, sessions: Iterable[str], since_us: int) -> tuple[Trip, ...]:
    """Return the round trips that closed from a time on, in the order in which they were noted.

    `sessions` are told newest first: their trades are read from the end.
    """
    found = []
    for session in sessions:
        for row in raw.execute(_TRADES, (session,)):
            closed_us = row[5]
            if closed_us < since_us - _ODD_US:
                break
            if closed_us >= since_us:
                found.append(Trip._make((*row[:6], Decimal(row[6]), Decimal(row[7]), *row[8:])))
    return tuple(found[::-1])


def results(raw: Any, sessions: Iterable[str], since_us: int) -> tuple[ResultView, ...]:
    """Return what the round trips closed from a time on came to, by strategy and instrument."""
    return by_owner(trips(raw, sessions, since_us))


def by_owner(closed: Iterable[Trip]) -> tuple[ResultView, ...]:
    """Return what round trips came to, by strategy and instrument."""
    owners: dict[tuple[str, str], list[Trip]] = {}
    for one in closed:
        owners.setdefault((one.strategy, one.instrument), []).append(one)
    return tuple(
        ResultView(strategy=strategy, instrument=instrument, stats=measure_trades(group))
        for (strategy, instrument), group in sorted(owners.items())
    )


def by_group(found: Iterable[CurrencyResult], by: str) -> tuple[GroupView, ...]:
    """Return what round trips came to, put together by one of `GROUPS`. Raises KeyError."""
    return tuple(
        GroupView(currency=one.currency, group=group, stats=measure_trades(closed))
        for one in found
        for group, closed in grouped(one.trips, by).items()
    )


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


@dataclass(slots=True)
class _Books:
    """One currency's, as far as a span needs them."""

    samples: list[EquitySample] = field(default_factory=list)
    closed: list[Trip] = field(default_factory=list)
    held_since_us: list[int] = field(default_factory=list)  # what was not closed when the span ended
    began_us: int = FOR_EVER


def judge(
    raw: Any, sessions: Sequence[str], *, since_us: int, until_us: int, now_us: int
) -> tuple[CurrencyResult, ...]:
    """Return what came of a span of time, by currency; `sessions` newest first, `now_us` where they stand."""
    end_us = min(until_us, now_us)
    books: defaultdict[str, _Books] = defaultdict(_Books)
    for session in reversed(sessions):
        for currency, ts_us, equity in raw.execute(_SAMPLES, (session,)):
            one = books[currency]
            one.began_us = min(one.began_us, ts_us)
            if since_us <= ts_us < until_us:
                one.samples.append(EquitySample(ts_us, Decimal(equity)))
    for trip in trips(raw, sessions, since_us):
        one = books[quote_of(trip.instrument)]
        one.began_us = min(one.began_us, trip.opened_us)
        if trip.closed_us < until_us:
            one.closed.append(trip)
        elif trip.opened_us < until_us:
            one.held_since_us.append(trip.opened_us)
    for instrument, opened_us in raw.execute(_HELD, (sessions[0],)):
        if opened_us < until_us:
            books[quote_of(instrument)].held_since_us.append(opened_us)
    return tuple(_judged(currency, books[currency], since_us, end_us) for currency in sorted(books))


def _judged(currency: str, one: _Books, since_us: int, end_us: int) -> CurrencyResult:
    made = summarize(
        one.closed,
        samples=one.samples,
        start_us=max(since_us, one.began_us),
        end_us=end_us,
        open_since_us=one.held_since_us,
    )
    equity = one.samples[-1].equity if one.samples else None
    return CurrencyResult(currency=currency, performance=made, trips=tuple(one.closed), equity=equity)


def nets_by_currency(found: Iterable[ResultView]) -> Mapping[str, tuple[Decimal, int]]:
    """Return the sum after fees and the number of trades, by quote currency."""
    sums: dict[str, tuple[Decimal, int]] = {}
    for one in found:
        currency = quote_of(one.instrument)
        net, count = sums.get(currency, (ZERO, 0))
        sums[currency] = net + one.stats.pnl_total, count + one.stats.trades_count
    return sums
