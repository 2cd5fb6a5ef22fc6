"""What a backtest came to, from its records: one result per data file and all of them pooled.

Money is kept per currency and never added across currencies. `report_text` shows a report to people.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Final

from botd.core.events import Section
from botd.core.instrument import Instrument, InstrumentId
from botd.core.money import plain_text
from botd.core.performance import (
    ActedSignal,
    EquitySample,
    Performance,
    hourly_returns,
    sharpe,
    sortino,
    summarize,
)
from botd.core.records import Record, SignalRecord, TradeRecord
from botd.core.updates import PortfolioSnapshot, PositionUpdate
from botd.engine import layout as col
from botd.ports import Chunk
from botd.research.funnel import Funnel, count_funnel, pool_funnels

ZERO: Final = Decimal(0)
VERSION: Final = 1  # of the JSON form
DRAWDOWN_SAMPLED: Final = "at every hour and at every fill that closes a trade"
RATIOS_SAMPLED: Final = "at every hour, with the row that closes on it"


@dataclass(slots=True, kw_only=True)
class PriceEnds:
    """The first and the last price of an instrument in a run."""

    first: Decimal
    last: Decimal

    @property
    def change(self) -> float:
        """Return what buying at the first and holding to the last price gives, as a ratio."""
        return float(self.last / self.first) - 1.0


class DataSpan:
    """What a report says about the data of a run; add every chunk that the bot was fed."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self._instruments = tuple(instruments)
        self.rows_count = 0
        self.start_us = 0
        self.end_us = 0
        self.prices: dict[InstrumentId, PriceEnds] = {}

    def add(self, chunk: Chunk) -> None:
        """Take note of the chunk's ends."""
        times = chunk.rows[col.T]
        if times.size == 0:
            return
        self.start_us = int(times[0]) if self.rows_count == 0 else self.start_us
        self.end_us = max(self.end_us, int(times[-1]))
        self.rows_count += int(times.size)
        for number, instrument in enumerate(self._instruments):
            mine = (chunk.instrument == number).nonzero()[0]
            if mine.size:
                last = instrument.price(int(chunk.rows[col.P, mine[-1]]))
                ends = self.prices.get(instrument.id)
                if ends is None:
                    first = instrument.price(int(chunk.rows[col.P, mine[0]]))
                    self.prices[instrument.id] = PriceEnds(first=first, last=last)
                else:
                    ends.last = last


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the bot: what it was fed, what it started with, what it recorded."""

    name: str  # the data file's name; of a portfolio the folder's
    instruments: tuple[Instrument, ...]
    book: str  # Feed.book: "derived", "none", "synthetic"
    span: DataSpan
    equity: Mapping[str, Decimal]  # starting balance by currency
    records: Sequence[Record]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPosition:
    """A position still held at the end of the data."""

    strategy: str
    instrument: InstrumentId
    side: str
    qty: Decimal
    entry_price: Decimal
    last_price: Decimal | None
    opened_us: int
    unrealized_pnl: Decimal | None  # at the last price, without fees


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The figures of one currency, of one run or pooled."""

    currency: str
    performance: Performance
    start_equity: Decimal
    end_equity: Decimal | None  # with open positions at the mark; None pooled over several runs
    equity_change: float | None  # end / start - 1; pooled: the mean over runs
    buy_and_hold: float | None  # mean price change of the instruments; pooled: the mean over runs
    returns: tuple[float, ...]  # hourly


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What one run came to."""

    run: Run
    results: tuple[Result, ...]  # by currency name
    trades: tuple[TradeRecord, ...]
    open_positions: tuple[OpenPosition, ...]
    funnel: Funnel


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a backtest came to."""

    strategies: tuple[str, ...]
    data: str
    runs: tuple[RunReport, ...]
    pooled: tuple[Result, ...]

    @property
    def trades_count(self) -> int:
        return sum(len(run.trades) for run in self.runs)

    @property
    def funnel(self) -> Funnel:
        return pool_funnels(run.funnel for run in self.runs)


def make_report(*, strategies: Sequence[str], data: str, runs: Sequence[Run]) -> Report:
    """Return the report of a backtest over one or more runs, each with its own account."""
    reports = tuple(report_run(run) for run in runs)
    return Report(strategies=tuple(strategies), data=data, runs=reports, pooled=_pool(reports))


def report_run(run: Run) -> RunReport:
    """Return what one run came to, in every currency that one of its instruments is in."""
    trades = tuple(record for record in run.records if isinstance(record, TradeRecord))
    signals = [r for r in run.records if isinstance(r, SignalRecord)]
    currencies = sorted({instrument.quote for instrument in run.instruments})
    open_positions = tuple(_open_positions(run))
    return RunReport(
        run=run,
        results=tuple(_result(run, one, trades, signals, open_positions) for one in currencies),
        trades=trades,
        open_positions=open_positions,
        funnel=count_funnel(run.records),
    )


def to_json(report: Report) -> str:
    """Return the report as JSON: Decimals are text, times are microseconds UTC, unknown is null."""
    document = {
        "version": VERSION,
        "strategies": list(report.strategies),
        "data": report.data,
        "equity_sampled": {"drawdown": DRAWDOWN_SAMPLED, "sharpe_sortino": RATIOS_SAMPLED},
        "trades_count": report.trades_count,
        "trades": [_trade(run, trade) for run in report.runs for trade in run.trades],
        "open_positions_count": sum(len(run.open_positions) for run in report.runs),
        "funnel": _funnel(report.funnel),
        "results": {result.currency: _figures(result) for result in report.pooled},
        "files": [_file(run) for run in report.runs],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _result(
    run: Run,
    currency: str,
    trades: Sequence[TradeRecord],
    signals: Sequence[SignalRecord],
    open_positions: Sequence[OpenPosition],
) -> Result:
    names = {instrument.id for instrument in run.instruments if instrument.quote == currency}
    start = run.equity.get(currency, ZERO)
    samples = _samples(run, currency, start)
    acted, forgotten = (
        [
            ActedSignal(s.strategy, s.instrument, s.cycle)
            for s in signals
            if s.section is section and s.acted and s.instrument in names
        ]
        for section in (Section.S1, Section.O1)
    )
    performance = summarize(
        [trade for trade in trades if trade.instrument in names],
        samples=samples,
        signals=acted,
        forgotten=forgotten,
        start_us=run.span.start_us,
        end_us=run.span.end_us,
        open_since_us=[one.opened_us for one in open_positions if one.instrument in names],
    )
    changes = [ends.change for name, ends in run.span.prices.items() if name in names]
    end = samples[-1].equity
    return Result(
        currency=currency,
        performance=performance,
        start_equity=start,
        end_equity=end,
        equity_change=float(end / start) - 1.0 if start > 0 else None,
        buy_and_hold=_mean(changes),
        returns=tuple(hourly_returns(samples) or ()),
    )


def _samples(run: Run, currency: str, start: Decimal) -> list[EquitySample]:
    """Return the equity over the run. It stands at both ends too, so that hours without a change count."""
    samples = [EquitySample(run.span.start_us, start)]
    for record in run.records:
        if isinstance(record, PortfolioSnapshot) and record.currency == currency:
            samples.append(EquitySample(record.ts_us, record.equity))
    samples.sort(key=lambda sample: sample.ts_us)  # answers of two instruments may come crosswise
    if samples[-1].ts_us < run.span.end_us:
        samples.append(EquitySample(run.span.end_us, samples[-1].equity))
    return samples


def _open_positions(run: Run) -> Iterable[OpenPosition]:
    last: dict[tuple[str, InstrumentId], PositionUpdate] = {}
    for record in run.records:
        if isinstance(record, PositionUpdate):
            last[record.strategy, record.instrument] = record
    for _, one in sorted(last.items()):
        if one.qty != 0:
            ends = run.span.prices.get(one.instrument)
            price = None if ends is None else ends.last
            yield OpenPosition(
                strategy=one.strategy,
                instrument=one.instrument,
                side=one.side,
                qty=one.qty,
                entry_price=one.entry_price,
                last_price=price,
                opened_us=one.opened_us,
                unrealized_pnl=None if price is None else (price - one.entry_price) * one.qty,
            )


def _pool(reports: Sequence[RunReport]) -> tuple[Result, ...]:
    """Pool runs that each had their own account, currency by currency."""
    if len(reports) == 1:
        return reports[0].results
    currencies = sorted({result.currency for report in reports for result in report.results})
    return tuple(_pool_currency(one, reports) for one in currencies)


def _pool_currency(currency: str, reports: Sequence[RunReport]) -> Result:
    """Trades and money are those of all runs together, the drawdown is the deepest of them, and the
    ratios of Sharpe and Sortino are over the hours of all runs."""
    runs = [
        (report, result) for report in reports for result in report.results if result.currency == currency
    ]
    quote = {i.id: i.quote for report in reports for i in report.run.instruments}
    trades = [t for report, _ in runs for t in report.trades if quote[t.instrument] == currency]
    parts = [result.performance for _, result in runs]
    total = summarize(trades, samples=(), start_us=0, end_us=0)
    returns = tuple(one for _, result in runs for one in result.returns)
    spans = [
        (p, report.run.span.end_us - report.run.span.start_us)
        for (report, _), p in zip(runs, parts, strict=True)
    ]
    acted = sum(part.signals_acted_count for part in parts)
    judged = sum(part.signals_judged_count for part in parts)
    right = sum(part.signals_judged_count * (part.signal_accuracy or 0.0) for part in parts)
    time = sum(length for part, length in spans if part.exposure_time is not None)
    held = sum((part.exposure_time or 0.0) * length for part, length in spans)
    performance = Performance(
        **{
            **asdict(total),
            "exposure_time": held / time if time else None,
            "max_drawdown": _most(part.max_drawdown for part in parts),
            "max_drawdown_length_us": _most(part.max_drawdown_length_us for part in parts),
            "sharpe": sharpe(returns),
            "sortino": sortino(returns),
            "signals_acted_count": acted,
            "signals_judged_count": judged,
            "signal_accuracy": right / judged if judged else None,
        }
    )
    changes = [result.equity_change for _, result in runs if result.equity_change is not None]
    holds = [result.buy_and_hold for _, result in runs if result.buy_and_hold is not None]
    return Result(
        currency=currency,
        performance=performance,
        start_equity=sum((result.start_equity for _, result in runs), ZERO),
        end_equity=None,
        equity_change=_mean(changes),
        buy_and_hold=_mean(holds),
        returns=returns,
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _most(values: Iterable[Any]) -> Any:
    return max((value for value in values if value is not None), default=None)


def _file(report: RunReport) -> dict[str, object]:
    run = report.run
    return {
        "file": run.name,
        "instruments": [instrument.id for instrument in run.instruments],
        "book": run.book,
        "rows_count": run.span.rows_count,
        "start_us": run.span.start_us,
        "end_us": run.span.end_us,
        "trades_count": len(report.trades),
        "trades": [_trade(report, trade) for trade in report.trades],
        "open_positions": [_plain(asdict(position)) for position in report.open_positions],
        "signals_count": report.funnel.signals,
        "denials": dict(report.funnel.denied),
        "funnel": _funnel(report.funnel),
        "results": {result.currency: _figures(result) for result in report.results},
    }


def _funnel(funnel: Funnel) -> dict[str, object]:
    return {**asdict(funnel), "denied": dict(funnel.denied)}


def _figures(result: Result) -> dict[str, object]:
    return _plain(
        {
            **asdict(result.performance),
            "start_equity": result.start_equity,
            "end_equity": result.end_equity,
            "equity_change": result.equity_change,
            "buy_and_hold": result.buy_and_hold,
        }
    )


def _trade(report: RunReport, trade: TradeRecord) -> dict[str, object]:
    fields = _plain({name: getattr(trade, name) for name in _TRADE_FIELDS})
    fields["file"] = report.run.name
    fields["pnl"] = plain_text(trade.realized_pnl - trade.fees)
    return fields


_TRADE_FIELDS: Final = (
    *(
        "strategy",
        "instrument",
        "cycle",
        "side",
        "qty",
        "entry_price",
        "exit_price",
        "opened_us",
        "closed_us",
    ),
    *("closed_us", "realized_pnl", "fees", "exit_section", "exit_rule", "confidence"),
)


def _plain(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: plain_text(v) if isinstance(v, Decimal) else v for name, v in fields.items()}
