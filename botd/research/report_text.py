"""A report for people: Markdown for files, a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Literal

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from botd.core.money import plain_text
from botd.research.funnel import Funnel
from botd.research.report import (
    DRAWDOWN_SAMPLED,
    RATIOS_SAMPLED,
    OpenPosition,
    Report,
    Result,
    RunReport,
)
from botd.runtime.columns import Column, fitting

_NONE = "-"
_HEADINGS = (
    "trades",
    "win rate",
    "profit factor",
    "P&L",
    "fees",
    "equity change",
    "buy and hold",
    "drawdown",
    "Sharpe",
    "Sortino",
    "exposure",
    "signal accuracy",
)

_FUNNEL_HEADINGS = ("signals", "recorded", "O1", "denied", "orders", "unfilled", "trades")


def to_markdown(report: Report) -> str:
    """Return the report as a Markdown page."""
    lines = [f"# Backtest of {', '.join(report.strategies)}", "", f"Data: {report.data}", ""]
    lines += _markdown_table(("file", "period (UTC)", "book", "currency", *_HEADINGS), list(_rows(report)))
    lines += ["", *(f"- {note}" for note in _notes(report))]
    paths = [(name, *_funnel_row(funnel)) for name, funnel in _paths(report)]
    lines += _section("Signals", ("file", *_FUNNEL_HEADINGS), paths)
    lines += _section("Open at the end", _OPEN_HEADINGS, [_open_row(r, p) for r, p in _open(report)])
    trades = [_trade_row(run, i) for run in report.runs for i in range(len(run.trades))]
    lines += _section("Trades", _TRADE_HEADINGS, trades)
    return "\n".join(lines) + "\n"


def to_table(report: Report, *, width: int) -> RenderableType:
    """Return the report for a rich console of a width."""
    parts: list[RenderableType] = [_title(report), _summary_table(report)]
    if len(report.runs) > 1:
        parts.append(_files_table(report, width))
    if any(run.open_positions for run in report.runs):
        parts.append(_open_table(report))
    parts += [Text(""), _funnel_table(report)]
    parts += [Text(""), *(Text(note, style="dim") for note in _notes(report))]
    return Group(*parts)


def _title(report: Report) -> Text:
    strategies, files = ", ".join(report.strategies), len(report.runs)
    data = report.data if files == 1 else f"{files} files of {report.data}"
    return Text(f"{strategies} on {data}", style="italic")


def _summary_table(report: Report) -> Table:
    """Return every figure of the pooled results, a column per currency."""
    table = Table(box=SIMPLE)
    table.add_column("")
    for result in report.pooled:
        table.add_column(result.currency, justify="right")
    for heading, *values in zip(_HEADINGS, *map(_figures, report.pooled), strict=True):
        table.add_row(heading, *values)
    return table


def _files_table(report: Report, width: int) -> Table:
    """Return the main figures of every file; a narrow terminal has fewer of them, and all names."""
    headings = {"trades": 3, "win rate": 4, "P&L": 0, "buy and hold": 2, "drawdown": 1}  # highest goes first
    places = [_HEADINGS.index(heading) for heading in headings]
    suffix = _common_suffix(report)
    rows: list[list[str]] = []
    for run in report.runs:
        for result in run.results:
            figures = _figures(result)
            several = f" {result.currency}" if len(run.results) > 1 else ""
            rows.append([run.run.name.removesuffix(suffix) + several, *(figures[place] for place in places)])
    columns = [
        Column(header="file"),
        *(Column(header=heading, drop=drop, right=True) for heading, drop in headings.items()),
    ]
    table = Table(box=None, padding=(0, 2, 0, 0))
    kept = fitting(columns, rows, width, 1)
    for place in kept:
        column = columns[place]
        justify: Literal["left", "right"] = "right" if column.right else "left"
        table.add_column(column.header, justify=justify, no_wrap=column.right, overflow="fold")
    for row in rows:
        table.add_row(*(row[place] for place in kept))
    return table


_OPEN_HEADINGS = (
    "file",
    "strategy",
    "instrument",
    "side",
    "quantity",
    "entry",
    "last",
    "unrealized P&L",
    "since",
)
_TRADE_HEADINGS = (
    "file",
    "strategy",
    "instrument",
    "side",
    "quantity",
    "entry",
    "exit",
    "P&L",
    "fees",
    "opened",
    "seconds",
    "by",
)


def _rows(report: Report) -> Iterator[tuple[str, ...]]:
    """Yield file, period, book, currency and the figures, the pooled results last."""
    for run in report.runs:
        span = run.run.span
        period = f"{_minute(span.start_us)} to {_minute(span.end_us)}"
        for result in run.results:
            yield (run.run.name, period, run.run.book, result.currency, *_figures(result))
    if len(report.runs) > 1:
        for result in report.pooled:
            yield (f"all {len(report.runs)} files", "", "", result.currency, *_figures(result))


def _figures(result: Result) -> tuple[str, ...]:
    figures = result.performance
    return (
        str(figures.trades_count),
        _percent(figures.win_rate),
        _number(figures.profit_factor),
        _money(figures.pnl_total),
        _money(figures.fees),
        _percent(result.equity_change, signed=True),
        _percent(result.buy_and_hold, signed=True),
        _percent(figures.max_drawdown, decimals=2),
        _number(figures.sharpe),
        _number(figures.sortino),
        _percent(figures.exposure_time),
        _percent(figures.signal_accuracy),
    )


def _notes(report: Report) -> Iterator[str]:
    """Yield what a reader must know to read the figures."""
    yield "P&L: closed trades after fees; equity change: with open positions at the mark"
    yield f"drawdown: of the equity {DRAWDOWN_SAMPLED}; not in between"
    yield f"Sharpe and Sortino: of the equity {RATIOS_SAMPLED}; x the root of 8760, risk-free rate 0"
    if len(report.runs) > 1:
        yield "each file has its own account: drawdown is the deepest, changes are means"
    if any(run.run.book == "derived" for run in report.runs):
        yield "book: derived (the recording has trades only; best bid and ask follow from them)"
    if any(run.run.book == "none" for run in report.runs):
        yield "book: none (bars; market orders fill at the next bar's open with slippage)"
    yield "signals: recorded is a confidence under confidence_min, O1 cancelled by it, denied by risk"
    yield "orders: entries sent; unfilled: over without a fill, most often at slippage_max"
    yield (
        "signal accuracy: signals whose trade closed with a profit, of those with a closed trade and those "
        "that O1 cancelled; denied, unfilled and open ones are neither right nor wrong"
    )
    funnel = report.funnel
    if funnel.undecided:
        yield f"undecided: {funnel.undecided} signals waited for Z1 at the end of the data"
    if funnel.denied:
        listed = ", ".join(f"{reason} {count}" for reason, count in sorted(funnel.denied))
        yield f"denied by risk: {listed}"


def _paths(report: Report) -> Iterator[tuple[str, Funnel]]:
    """Yield every file with what became of its signals, all of them together last."""
    for run in report.runs:
        yield run.run.name, run.funnel
    if len(report.runs) > 1:
        yield f"all {len(report.runs)} files", report.funnel


def _funnel_row(funnel: Funnel) -> tuple[str, ...]:
    counts = (funnel.signals, funnel.recorded_only, funnel.cancelled, funnel.denied_count)
    return tuple(map(str, (*counts, funnel.orders, funnel.unfilled, funnel.trades)))


def _funnel_table(report: Report) -> Table:
    """Return what became of the signals of every file."""
    suffix = _common_suffix(report)
    table = Table(title="Signals", title_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("file", overflow="fold")
    for heading in _FUNNEL_HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for name, funnel in _paths(report):
        table.add_row(name.removesuffix(suffix), *_funnel_row(funnel))
    return table


def _common_suffix(report: Report) -> str:
    """Return the suffix of all files: one for all says nothing, and folds every name."""
    suffixes = {Path(run.run.name).suffix for run in report.runs}
    return suffixes.pop() if len(suffixes) == 1 else ""


def _open(report: Report) -> Iterator[tuple[RunReport, OpenPosition]]:
    for run in report.runs:
        for position in run.open_positions:
            yield run, position


def _open_row(run: RunReport, position: OpenPosition) -> tuple[str, ...]:
    return (
        run.run.name,
        position.strategy,
        position.instrument,
        position.side,
        plain_text(abs(position.qty)),
        plain_text(position.entry_price),
        _NONE if position.last_price is None else plain_text(position.last_price),
        _money(position.unrealized_pnl),
        _second(position.opened_us),
    )


def _open_table(report: Report) -> Table:
    table = Table(title="Open at the end", title_justify="left", box=SIMPLE)
    headings = ("strategy", "instrument", "side", "quantity", "entry", "last", "unrealized P&L")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for run, position in _open(report):
        table.add_row(*_open_row(run, position)[1:-1])
    return table


def _trade_row(run: RunReport, number: int) -> tuple[str, ...]:
    trade = run.trades[number]
    seconds = (trade.closed_us - trade.opened_us) / 1_000_000
    rule = f"{trade.exit_section} {trade.exit_rule}".strip()
    return (
        run.run.name,
        trade.strategy,
        trade.instrument,
        trade.side,
        plain_text(trade.qty),
        plain_text(trade.entry_price),
        plain_text(trade.exit_price),
        _money(trade.realized_pnl - trade.fees),
        _money(trade.fees),
        _second(trade.opened_us),
        f"{seconds:.1f}",
        rule,
    )


def _section(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["", f"## {title}", "", *_markdown_table(headings, rows)] if rows else []


def _markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [_markdown_row(headings), _markdown_row(["---"] * len(headings))]
    return lines + [_markdown_row(row) for row in rows]


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _percent(value: float | None, *, signed: bool = False, decimals: int = 1) -> str:
    if value is None:
        return _NONE
    return f"{value * 100:+.2f}%" if signed else f"{value * 100:.{decimals}f}%"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.2f}"


def _money(value: Decimal | None) -> str:
    """Return an amount to six significant digits, and never finer than 1e-8."""
    if value is None:
        return _NONE
    digits = max(-8, value.adjusted() - 5) if value else 0
    return plain_text(value.quantize(Decimal(1).scaleb(min(digits, 0)), ROUND_HALF_EVEN))


def _minute(ts_us: int) -> str:
    return datetime.fromtimestamp(ts_us // 1_000_000, tz=UTC).strftime("%Y-%m-%d %H:%M")


def _second(ts_us: int) -> str:
    return datetime.fromtimestamp(ts_us // 1_000_000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
