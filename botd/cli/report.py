"""`botd report`: what the trades of a span came to, whole and in groups."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from botd.cli.books import ConfigOption, SessionOption, StateOption, find_books
from botd.cli.output import screen, write
from botd.core.periods import PERIODS, start_of
from botd.core.trade_stats import GROUPS, TradeStats
from botd.errors import InputInvalid
from botd.runtime.tally import money, percent, span

if TYPE_CHECKING:
    from rich.console import Console

    from botd.store.queries import CurrencyResult, GroupView

PeriodOption = Annotated[str, typer.Option("--period", help=f"One of {' '.join(PERIODS)}, by days of UTC.")]
FromOption = Annotated[
    str | None, typer.Option("--from", help="In place of a period: a date or time, UTC, such as 2026-11-01.")
]
UntilOption = Annotated[str | None, typer.Option("--until", help="Before this date or time, UTC.")]
ByOption = Annotated[str | None, typer.Option("--by", help=f"Also in groups: {' '.join(GROUPS)}.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON; money is text, what is undefined null.")
]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NONE: Final = "-"


def report(
    period: PeriodOption = "ALL",
    since: FromOption = None,
    until: UntilOption = None,
    by: ByOption = None,
    as_json: JsonOption = False,
    state: StateOption = None,
    config: ConfigOption = None,
    session: SessionOption = None,
) -> None:
    """Judge the trades that closed in a span, of a session and those whose account it goes on with."""
    from botd.store.queries import FOR_EVER, ScreenReader

    period = period.upper()
    if period not in PERIODS:
        raise InputInvalid(f"--period is one of {' '.join(PERIODS)}, not {period}")
    if by is not None and by not in GROUPS:
        raise InputInvalid(f"--by is one of {' '.join(GROUPS)}, not {by}")
    with ScreenReader(find_books(state, config)) as reader:
        line = reader.line(reader.session(session).id)
        cursor = reader.cursor(line[0])
        now_us = cursor.ts_us if cursor else 0
        since_us = start_of(period, now_us) if since is None else _time(since, "--from")
        until_us = FOR_EVER if until is None else _time(until, "--until")
        found = reader.performance(line, since_us=since_us, until_us=until_us)
    if as_json:
        write(json.dumps([_plain(one, by) for one in found], indent=2) + "\n")
        return
    with screen() as console:
        shown = [one for one in found if one.trips]
        for one in shown:
            _show(console, one, by)
        if not shown:
            console.print("no round trip has closed in this span")


def _time(text: str, option: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputInvalid(f"{option} takes a date or a time such as 2026-11-01T12:30, not {text}") from error
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return (at - _EPOCH) // timedelta(microseconds=1)


# ---- for people ---------------------------------------------------------------------------------


def _show(console: Console, one: CurrencyResult, by: str | None) -> None:
    from botd.store.queries import by_group

    made, of = one.performance, one.currency
    rows = [
        ("trades", f"{made.trades_count:,}: {made.wins_count:,} won, {made.losses_count:,} lost"),
        ("profit after fees", f"{_money(made.pnl_total, of)} {of}, fees {money(made.fees, of)}"),
        ("win rate", _share(made.win_rate)),
        ("profit factor", _number(made.profit_factor)),
        ("expectancy", f"{_money(made.expectancy, of)} a trade"),
        ("won, lost on average", f"{_money(made.win_avg, of)}, {_money(made.loss_avg, of)}"),
        ("best, worst", f"{_money(made.trade_best, of)}, {_money(made.trade_worst, of)}"),
        ("in a row at most", f"{made.wins_in_a_row} won, {made.losses_in_a_row} lost"),
        (
            "max drawdown",
            f"{_share(made.max_drawdown)}, under a peak for {_span(made.max_drawdown_length_us)}",
        ),
        ("sharpe, sortino", f"{_number(made.sharpe)}, {_number(made.sortino)} a year, hourly equity"),
        ("calmar", _number(made.calmar)),
        ("in the market", f"{_share(made.exposure_time)} of the time"),
        (
            "held",
            f"{_span(made.holding_median_us)} in the middle, "
            f"{_span(made.holding_min_us)} to {_span(made.holding_max_us)}",
        ),
    ]
    _table(console, of, ("", ""), rows)
    if by is not None:
        columns = (by, "trades", "win rate", "profit", "profit factor", "expectancy", "best", "worst", "held")
        figures = [_row(group, of) for group in by_group([one], by)]
        _table(console, f"{of} by {by}", columns, figures)


def _row(group: GroupView, of: str) -> tuple[str, ...]:
    stats = group.stats
    return (
        group.group,
        f"{stats.trades_count:,}",
        _share(stats.win_rate),
        _money(stats.pnl_total, of),
        _number(stats.profit_factor),
        _money(stats.expectancy, of),
        _money(stats.trade_best, of),
        _money(stats.trade_worst, of),
        _span(stats.holding_avg_us),
    )


def _table(console: Console, title: str, columns: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), show_header=any(columns))
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number and len(columns) > 2 else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table, markup=False)


def _money(amount: Decimal | None, currency: str) -> str:
    return _NONE if amount is None else money(amount, currency, signed=True)


def _share(ratio: float | None) -> str:
    return _NONE if ratio is None else percent(ratio)


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:,.2f}"


def _span(us: int | None) -> str:
    return _NONE if us is None else span(us)


# ---- for programs -------------------------------------------------------------------------------


def _plain(one: CurrencyResult, by: str | None) -> dict[str, Any]:
    from botd.store.queries import by_group

    groups = () if by is None else by_group([one], by)
    return {
        "currency": one.currency,
        "equity": None if one.equity is None else str(one.equity),
        **_values(one.performance),
        "groups": {group.group: _values(group.stats) for group in groups},
    }


def _values(stats: TradeStats) -> dict[str, Any]:
    # what became of signals is judged in a backtest alone
    names = [field.name for field in fields(stats) if not field.name.startswith("signal")]
    values = {name: getattr(stats, name) for name in names}
    return {name: str(one) if isinstance(one, Decimal) else one for name, one in values.items()}
