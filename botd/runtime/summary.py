"""The status line of a running bot, and what a run came to at its end, as plain text."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from botd.core.money import ZERO
from botd.runtime.panels import Frame
from botd.runtime.tally import Tally, clock_text, feed_name, money, number, percent, total
from botd.runtime.view import AccountView, PositionView, View


def status(frame: Frame) -> str:
    """Return one line: equity, positions, counts, speed."""
    view = frame.view
    if view is None:
        return "status: waiting for the first rows"
    counts = total(frame.strategies.values())
    speed = ""
    if frame.rows_per_s is not None and frame.speed is not None:
        speed = f", {frame.rows_per_s:,.0f} rows/s at {frame.speed:,.1f}x"
    return (
        f"{clock_text(view.ts_us)} status {view.trading}, equity {', '.join(map(_equity, view.accounts))}; "
        f"{len(view.positions)} open, {counts.signals} S1, {counts.entries} Z1, {counts.denied} denied, "
        f"{counts.trades} trades; {view.rows:,} rows{speed}"
    )


def summarize_run(frame: Frame, tally: Tally, *, since: str) -> str:
    """Return the summary of a run: what was counted since this start, and how the account stands."""
    heading, counts = frame.heading, total(tally.strategies.values())
    won = f", {counts.wins} won" if counts.trades else ""
    denied = ", ".join(f"{count} {reason}" for reason, count in tally.denials.most_common())
    lines = [
        f"session {heading.session} ({heading.mode}), {feed_name(heading.feed)}",
        since,
        f"  signals    {counts.signals} S1, {counts.entries} Z1",
        f"  denied     {counts.denied}{f': {denied}' if denied else ''}",
        f"  trades     {counts.trades} closed{won}",
        *_profits(tally),
        *_alerts(tally),
        *(_standing(frame.view) if frame.view else ()),
    ]
    return "\n".join(lines)


def _profits(tally: Tally) -> Iterator[str]:
    for currency, realized in tally.realized.items():
        fees: Decimal = tally.fees.get(currency, ZERO)
        net = money(realized - fees, currency, signed=True)
        yield f"  P&L        {net} {currency} of closed trades, after {money(fees, currency)} of fees"


def _standing(view: View) -> Iterator[str]:
    yield "the account, since it began"
    for one in view.accounts:
        share = ""
        if one.equity is not None and one.start:
            share = f", {percent(float(one.equity / one.start - 1), signed=True)}"
        yield f"  equity     {_equity(one)}{share}"
    for held in view.positions:
        yield f"  open       {_position(held)}"
    if not view.positions:
        yield "  open       no positions"
    yield f"  market     {view.rows:,} rows, up to {clock_text(view.ts_us)} UTC"


def _alerts(tally: Tally) -> Iterator[str]:
    if not tally.alerts:
        yield "  alerts     none"
    for (severity, kind), count in tally.alerts.most_common():
        yield f"  alerts     {count} {severity} {kind}, the last: {tally.last_alert[severity, kind]}"


def _equity(one: AccountView) -> str:
    if one.equity is None:
        return f"{one.currency} unknown for want of a price"
    return f"{money(one.equity, one.currency)} {one.currency}"


def _position(held: PositionView) -> str:
    text = (
        f"{held.strategy} {held.instrument.id} {held.side} {number(held.qty)} from {number(held.entry_price)}"
    )
    if held.unrealized is None:
        return f"{text}, no price is known"
    quote = held.instrument.quote
    return f"{text}, {money(held.unrealized, quote, signed=True)} {quote} unrealized"
