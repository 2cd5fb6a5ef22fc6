"""`botd status`: what the state file knows, without asking the daemon."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from botd.cli.books import ConfigOption, SessionOption, StateOption, open_books
from botd.cli.output import screen
from botd.core.instrument import quote_of
from botd.runtime.columns import Column, fitting
from botd.runtime.control import ControlFiles
from botd.runtime.lock import is_held
from botd.runtime.tally import feed_name, money, percent, restraint_text

if TYPE_CHECKING:
    from rich.console import Console

    from botd.ports import SessionInfo
    from botd.store.queries import StateReader

_SESSIONS_SHOWN = 5
_SIGNALS_SHOWN = 5
_ALERTS_SHOWN = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def status(state: StateOption = None, config: ConfigOption = None, session: SessionOption = None) -> None:
    """Show a session: how far it is, its account, its positions, its last signals and alerts."""
    with open_books(state, config) as reader, screen(soft_wrap=True) as console:
        shown = reader.session(session)
        _head(console, reader, shown)
        _trading(console, reader, shown.id)
        _account(console, reader, shown)
        _positions(console, reader, shown.id)
        _dust(console, reader, shown.id)
        _signals(console, reader, shown.id)
        _alerts(console, reader, shown.id)
        _sessions(console, reader)


def when(ts_us: int | None) -> str:
    """Write a time in microseconds for people."""
    if ts_us is None:
        return "-"
    return f"{_moment(ts_us):%Y-%m-%d %H:%M:%S} UTC"


def _moment(ts_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=ts_us)


def plain(amount: Decimal | None) -> str:
    """Write an amount without exponent and trailing zeros."""
    if amount is None:
        return "-"
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _head(console: Console, reader: StateReader, session: SessionInfo) -> None:
    cursor = reader.cursor(session.id)
    warm_up = reader.warm_up_of(session)
    _print(console, f"state    {reader.path}")
    _print(console, f"session  {session.id}  {session.mode}  {_how_it_is(reader, session)}")
    _print(console, f"feed     {feed_name(session.feed)}")
    _print(console, f"started  {when(session.started_us)}")
    if cursor is not None:
        _print(console, f"cursor   row {cursor.position} at {when(cursor.ts_us)}")
    _print(console, f"records  {_records(reader, session.id)}, of this session")
    if warm_up is not None:
        _print(console, f"warm-up  {_records(reader, warm_up.id)}, of {warm_up.id} before it")


def _print(console: Console, text: str) -> None:
    console.print(text, markup=False)


def _records(reader: StateReader, session_id: str) -> str:
    counts = reader.counts(session_id)
    names = ("signals", "intents", "orders", "fills", "trades", "alerts")
    return "  ".join(f"{counts[name]} {name}" for name in names)


def _trading(console: Console, reader: StateReader, session_id: str) -> None:
    standing = reader.restraints(session_id)
    for one in standing:
        _print(console, f"trading  {restraint_text(one)}")
    if not standing:
        _print(console, "trading  active")
    files = ControlFiles(reader.path.parent)
    if (note := files.halt()) is not None and not any(one.cause is note.cause for one in standing):
        _print(console, f"         a halt is asked for and not taken up yet ({files.halt_path})")
    if files.resume() is not None:
        _print(console, f"         a resume is asked for and not taken up yet ({files.resume_path})")


def _how_it_is(reader: StateReader, session: SessionInfo) -> str:
    """Return a session's status; one that is to be running runs only while a daemon holds the folder."""
    if session.status == "running" and is_held(reader.path.parent) is False:
        next_run = "begins anew" if session.mode == "warmup" else "goes on with it"
        return f"not running (killed or crashed; 'botd run' {next_run})"
    return session.status


def _account(console: Console, reader: StateReader, session: SessionInfo) -> None:
    """Show the account, which goes on from session to session, and what this session's trades came to."""
    books = reader.equity(session.id)
    for one in books:
        _print(
            console,
            f"equity   {plain(one.equity)} {one.currency}  balance {plain(one.balance)}  "
            f"unrealized {plain(one.unrealized_pnl)}  drawdown {percent(float(one.drawdown))}  "
            f"at {when(one.ts_us)}",
        )
    if not books:
        _print(console, "equity   not recorded yet")
    _profits(console, reader, session.id, "of this session")
    warm_up = reader.warm_up_of(session)
    if warm_up is not None:
        _profits(console, reader, warm_up.id, "of its warm-up")


def _profits(console: Console, reader: StateReader, session_id: str, whose: str) -> None:
    found = reader.profits(session_id)
    for currency in sorted({quote_of(one.instrument) for one in found}):
        of = [one for one in found if quote_of(one.instrument) == currency]
        fees = sum((one.fees for one in of), Decimal(0))
        net = sum((one.realized_pnl for one in of), Decimal(0)) - fees
        trades, won = sum(one.trades_count for one in of), sum(one.won_count for one in of)
        _print(
            console,
            f"P&L      {money(net, currency, signed=True)} {currency} after {money(fees, currency)} of fees  "
            f"{trades} trades, {won} won, {whose}",
        )


def _positions(console: Console, reader: StateReader, session_id: str) -> None:
    found = reader.positions(session_id)
    if not found:
        console.print("no open positions")
        return
    rows = [
        (
            *(p.strategy, p.instrument, p.side, plain(p.qty), plain(p.entry_price)),
            *(plain(p.realized_pnl), plain(p.fees), when(p.opened_us)),
        )
        for p in found
    ]
    columns = (
        Column(header="strategy"),
        Column(header="instrument"),
        Column(header="side", drop=1),
        Column(header="qty"),
        Column(header="entry", drop=2),
        Column(header="realized", drop=3),
        Column(header="fees", drop=4),
        Column(header="opened", drop=5),
    )
    _table(console, "open positions", columns, rows)


def _dust(console: Console, reader: StateReader, session_id: str) -> None:
    """Show what is held beside the positions: too little to sell."""
    for instrument, amount in reader.dust(session_id).items():
        _print(console, f"dust     {plain(amount)} {instrument.partition('/')[0]} of {instrument}")


def _signals(console: Console, reader: StateReader, session_id: str) -> None:
    rows = []
    for view in reader.recent_signals(session_id, limit=_SIGNALS_SHOWN):
        signal = view.signal
        outcome = str(view.deny_reason or view.order_status or ("" if signal.acted else "recorded only"))
        section = f"{signal.section} {signal.rule}".strip()
        rows.append(
            (
                f"{_moment(signal.ts_us):%m-%d %H:%M:%S}",
                signal.strategy,
                signal.instrument,
                section,
                plain(signal.price),
                outcome,
            )
        )
    columns = (
        Column(header="UTC", drop=1),
        Column(header="strategy"),
        Column(header="instrument"),
        Column(header="section", drop=2),
        Column(header="price", drop=3),
        Column(header="outcome"),
    )
    if rows:
        _table(console, "last signals", columns, rows)


def _alerts(console: Console, reader: StateReader, session_id: str) -> None:
    found = reader.recent_alerts(session_id, limit=_ALERTS_SHOWN)
    if not found:
        return
    console.print("last alerts")
    for one in found:
        of = " ".join(word for word in (one.strategy, one.instrument) if word)
        who = f" {of}" if of else ""
        _print(console, f"{_moment(one.ts_us):%m-%d %H:%M:%S}  {one.severity} {one.type}{who}: {one.message}")


def _sessions(console: Console, reader: StateReader) -> None:
    def minute(ts_us: int | None) -> str:
        return "-" if ts_us is None else f"{_moment(ts_us):%Y-%m-%d %H:%M}"

    rows = [
        (info.id, _how_it_is(reader, info).partition(" (")[0], minute(info.started_us), minute(info.ended_us))
        for info in reader.sessions()[:_SESSIONS_SHOWN]
    ]
    columns = (
        Column(header="id"),
        Column(header="status"),
        Column(header="started (UTC)", drop=2),
        Column(header="ended", drop=1),
    )
    _table(console, "sessions", columns, rows)


def _table(console: Console, title: str, columns: Sequence[Column], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table; on a narrow terminal whole columns go, the least needed first."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    places = fitting(columns, rows, console.width, 1)
    for place in places:
        table.add_column(columns[place].header, no_wrap=True)
    for row in rows:
        table.add_row(*(row[place] for place in places))
    console.print(table, markup=False)
