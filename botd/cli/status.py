"""`botd status`: what the state file knows, without asking the daemon."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from botd.cli.decisions import STATE_FILE, StateOption
from botd.runtime.tally import feed_name

if TYPE_CHECKING:
    from rich.console import Console

    from botd.ports import SessionInfo
    from botd.store.queries import StateReader

_WIDTH_OF_FILES = 200
_SESSIONS_SHOWN = 5
_SIGNALS_SHOWN = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def status(state: StateOption = STATE_FILE) -> None:
    """Show the newest session: how far it is, its positions, its equity and its last signals."""
    from rich.console import Console

    from botd.store.queries import StateReader

    with StateReader(state) as reader:
        console = Console(highlight=False, soft_wrap=True)
        if not console.is_terminal:
            console.width = _WIDTH_OF_FILES  # who reads a file or a pipe wants the cells whole
        session = reader.session()
        _head(console, reader, session)
        _account(console, reader, session.id)
        _positions(console, reader, session.id)
        _signals(console, reader, session.id)
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
    counts = reader.counts(session.id)
    console.print(f"state    {reader.path}", markup=False)
    console.print(f"session  {session.id}  {session.mode}  {session.status}", markup=False)
    console.print(f"feed     {feed_name(session.feed)}", markup=False)
    console.print(f"started  {when(session.started_us)}", markup=False)
    if cursor is not None:
        console.print(f"cursor   row {cursor.position} at {when(cursor.ts_us)}", markup=False)
    names = ("signals", "intents", "orders", "fills", "trades", "alerts")
    console.print("records  " + "  ".join(f"{counts[name]} {name}" for name in names), markup=False)


def _account(console: Console, reader: StateReader, session_id: str) -> None:
    for snapshot in reader.equity(session_id):
        console.print(
            f"equity   {plain(snapshot.equity)} {snapshot.currency}  "
            f"unrealized {plain(snapshot.unrealized_pnl)}  drawdown {snapshot.drawdown:.2%}  "
            f"at {when(snapshot.ts_us)}",
            markup=False,
        )


def _positions(console: Console, reader: StateReader, session_id: str) -> None:
    found = reader.positions(session_id)
    if not found:
        console.print("no open positions")
        return
    rows = [
        (p.strategy, p.instrument, p.side, plain(p.qty), plain(p.entry_price), when(p.opened_us))
        for p in found
    ]
    _table(console, "open positions", ("strategy", "instrument", "side", "qty", "entry", "opened"), rows)


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
    if rows:
        _table(
            console, "last signals", ("UTC", "strategy", "instrument", "section", "price", "outcome"), rows
        )


def _sessions(console: Console, reader: StateReader) -> None:
    def minute(ts_us: int | None) -> str:
        return "-" if ts_us is None else f"{_moment(ts_us):%Y-%m-%d %H:%M}"

    rows = [
        (info.id, info.status, minute(info.started_us), minute(info.ended_us))
        for info in reader.sessions()[:_SESSIONS_SHOWN]
    ]
    _table(console, "sessions", ("id", "status", "started (UTC)", "ended"), rows)


def _table(console: Console, title: str, names: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table, markup=False)
