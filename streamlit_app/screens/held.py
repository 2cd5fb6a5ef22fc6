"""Positions and orders, with what they slipped; closing and cancelling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from botd.store.queries import BarView, OrderView, PositionView, ScreenReader, quote_of

from . import tables, words
from .actions import offer_cancel, offer_close
from .frame import Frame, Page, Scope
from .tables import Cell, Column

_ORDERS: Final = 100
_BAD: Final = frozenset({"rejected", "never_arrived", "denied"})
_POSITION: Final = (
    Column("strategy"),
    Column("instrument"),
    Column("side", "x"),
    Column("quantity", "n"),
    Column("entry", "n x"),
    Column("last", "n"),
    Column("unrealized", "n"),
    Column("%", "n x"),
    Column("realized", "n x"),
    Column("fees", "n x"),
    Column("held", "n x"),
)
_ORDER: Final = (
    Column("time (UTC)"),
    Column("strategy", "t x"),
    Column("instrument"),
    Column("order"),
    Column("quantity", "n"),
    Column("decided at", "n x"),
    Column("filled at", "n"),
    Column("slippage bps", "n x"),
    Column("fee", "n x"),
    Column("status, reason", "t"),
    Column("revision", "x"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    positions: tuple[PositionView, ...]
    bars: Mapping[str, BarView]
    live: tuple[OrderView, ...]
    newest: tuple[OrderView, ...]


def read(reader: ScreenReader, scope: Scope, _: None) -> Held:
    """Read everything of the page."""
    positions = reader.held(scope.session)
    return Held(
        positions=positions,
        bars=reader.last_bars([one.instrument for one in positions]),
        live=reader.live_orders(scope.session),
        newest=reader.newest_orders(scope.sessions, _ORDERS),
    )


def draw(frame: Frame, found: Held) -> None:
    """Draw the page."""
    tables.show_heading("Open positions")
    show_positions(found.positions, found.bars, frame.as_of_us)
    if not frame.is_past:
        offer_close(found.positions)
    tables.show_heading("Live orders")
    show_orders(found.live, key="live", empty="No order is working.")
    if not frame.is_past:
        offer_cancel(found.live)
    tables.show_heading(f"Newest orders, {_ORDERS} at most")
    show_orders(found.newest, key="orders", empty="No orders yet.")


def show_positions(positions: tuple[PositionView, ...], bars: Mapping[str, BarView], as_of_us: int) -> None:
    """Draw positions; what they are worth now is by the last price, before the fees of leaving."""
    rows = []
    for one in positions:
        currency = quote_of(one.instrument)
        bar = bars.get(one.instrument)
        last = bar.close if bar is not None else None
        gain = None if last is None else (last - one.entry_price) * one.qty
        cost = one.entry_price * abs(one.qty)
        share = None if gain is None or not cost else gain / cost
        rows.append(
            (
                one.strategy,
                one.instrument,
                one.side,
                words.plain(one.qty),
                words.average(one.entry_price, last or one.entry_price),
                words.price(last),
                Cell(
                    words.money(gain, currency, signed=True),
                    words.tone(gain),
                    f"{currency}, by the last price",
                ),
                Cell(words.percent(share, signed=True), words.tone(share)),
                words.money(one.realized_pnl, currency, signed=True),
                words.money(one.fees, currency),
                words.span(as_of_us - one.opened_us),
            )
        )
    tables.show_table(_POSITION, rows, key="positions", empty="No open positions.")


def show_orders(orders: tuple[OrderView, ...], *, key: str, empty: str) -> None:
    """Draw orders, newest first; slippage is against the top they were decided at, + is worse for us."""
    rows = []
    for one in orders:
        currency = quote_of(one.instrument)
        slip = words.slippage_bps(one.side, one.decision_price, one.avg_price)
        worse = "" if slip is None else "down" if slip > 0 else "up" if slip < 0 else ""
        partly = one.filled_qty != one.working_qty and one.filled_qty
        rows.append(
            (
                words.short_when(one.ts_us),
                f"{one.strategy} · {one.section} {one.rule}".strip(),
                one.instrument,
                Cell(order_text(one), "up" if one.side == "buy" else "down"),
                f"{words.plain(one.filled_qty)} of {words.plain(one.working_qty)}"
                if partly
                else words.plain(one.working_qty),
                words.price(one.decision_price),
                words.average(one.avg_price, one.decision_price),
                Cell(words.number(slip, 1), worse),
                words.money(one.fee, currency),
                Cell(
                    status_text(one),
                    "bad" if one.needs_human or one.status in _BAD else "warn" if one.in_doubt else "",
                    str(one.client_order_id),
                ),
                tables.revision_cell(one.revision),
            )
        )
    tables.show_table(_ORDER, rows, key=key, empty=empty)


def order_text(one: OrderView) -> str:
    """Write what was asked for; the limit of a market order only bounds it."""
    asked = one.stop_price or (None if one.type == "market" else one.limit_price)
    return f"{one.side} {one.type.replace('_', ' ')}{f' @ {words.price(asked)}' if asked else ''}"


def status_text(one: OrderView) -> str:
    """Write an order's status with what is unclear about it, and why."""
    unclear = ", needs a person" if one.needs_human else ", in doubt" if one.in_doubt else ""
    return f"{one.status}{unclear}{f': {one.status_reason}' if one.status_reason else ''}"


PAGE: Final = Page(
    title="Positions and orders", url="orders", icon=":material/receipt_long:", read=read, draw=draw
)
