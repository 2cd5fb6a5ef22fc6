"""The screen drawn: a view and its counts as rich tables, in as many lines as the terminal has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, TypeVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from botd.core.events import Section
from botd.core.instrument import quote_of
from botd.core.records import IntentRecord, RiskRecord, SignalRecord, TradeRecord
from botd.core.restraint import Restraint, TradingState
from botd.core.updates import AlertRecord
from botd.runtime.columns import Cell, Column, make_table
from botd.runtime.tally import (
    Decision,
    StrategyTally,
    clock_text,
    feed_name,
    moment_us,
    money,
    net_of,
    number,
    percent,
    restraint_text,
    span,
    why,
)
from botd.runtime.view import AccountView, LaneView, Phase, PositionView, View

T = TypeVar("T")

DECISIONS_MAX: Final = 10
RESTRAINTS_MAX: Final = 2
_HEADERS: Final = 2 + 5  # two lines on top, and one over each table

# The colours of the markers on every screen of botd: S1 yellow, Z1 green, ZE1 blue, E1 red.
_SECTION_STYLE: Final = {
    Section.S1: "yellow",
    Section.O1: "yellow",
    Section.Z1: "green",
    Section.ZE1: "blue",
    Section.E1: "red",
    Section.PROTECT: "magenta",
    Section.MANUAL: "cyan",
    Section.EXTERNAL: "cyan",
}
_PHASE_STYLE: Final = {
    Phase.IDLE: "dim",
    Phase.SIGNALLED: "bold yellow",
    Phase.ENTERING: "bold cyan",
    Phase.IN_POSITION: "bold green",
}
_STATE_STYLE: Final = {
    TradingState.ACTIVE: "bold green",
    TradingState.REDUCING: "bold yellow",
    TradingState.HALTED: "bold white on red",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What runs here."""

    mode: str
    session: str = ""
    feed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Everything one picture of the screen is made from; nothing in it changes any more."""

    heading: Heading
    view: View | None = None
    before: Mapping[str, int] = field(default_factory=dict)  # instrument -> last price before, ticks
    strategies: Mapping[str, StrategyTally] = field(default_factory=dict)
    decisions: Sequence[Decision] = ()
    rows_per_s: float | None = None
    speed: float | None = None  # event time over wall time


def draw(frame: Frame, *, width: int, height: int, up_us: int) -> RenderableType:
    """Return the whole screen, `height` lines at most; what does not fit is counted."""
    view = frame.view
    if view is None:
        return Group(_top(frame, width, up_us), Text(" waiting for the first rows", style="dim"))
    restraints = [_restraint(one, width) for one in view.restraints[:RESTRAINTS_MAX]]
    room = max(4, height - 1 - _HEADERS - len(view.accounts) - len(restraints))  # the last line stays free
    decisions = min(max(1, len(frame.decisions)), DECISIONS_MAX, max(1, room // 3))
    room -= decisions
    positions = min(max(1, len(view.positions)), max(1, room // 3))
    room -= positions
    strategies = min(max(1, len(frame.strategies)), max(1, room // 2))
    instruments = min(max(1, len(view.lanes)), max(1, room - strategies))
    room -= strategies + instruments
    decisions = min(max(1, len(frame.decisions)), DECISIONS_MAX, decisions + max(0, room))
    return Group(
        _top(frame, width, up_us),
        _feed_line(frame, view, width),
        *restraints,
        _instruments(frame, view.lanes, width, instruments),
        _strategies(frame, width, strategies),
        _accounts(view.accounts, width),
        _positions(view, width, positions),
        _decisions(frame, width, decisions),
    )


def _line(left: Text, right: Text, width: int) -> RenderableType:
    """Put two texts at the ends of a line; the right one goes where both do not fit."""
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(no_wrap=True, overflow="ellipsis")
    if left.cell_len + right.cell_len + 1 > width:
        line.add_row(left)
        return line
    line.add_column(justify="right", no_wrap=True)
    line.add_row(left, right)
    return line


def _top(frame: Frame, width: int, up_us: int) -> RenderableType:
    left = Text.assemble(" ", (" botd ", "bold white on dark_cyan"))
    left.append(f" {frame.heading.mode} ", style="bold white on grey35")
    if frame.view is not None:
        left.append(f" {frame.view.trading} ", style=_STATE_STYLE[frame.view.trading])
    left.append(f" {frame.heading.session}")
    return _line(left, Text(f"up {span(up_us)}, Ctrl-C stops ", style="dim"), width)


def _feed_line(frame: Frame, view: View, width: int) -> RenderableType:
    parts = [f"{view.rows:,} rows"]
    if frame.rows_per_s is not None:
        parts.insert(0, f"{frame.rows_per_s:,.0f} rows/s")
    if frame.speed is not None:
        parts.insert(0, f"{frame.speed:,.1f}x" if frame.speed < 100 else f"{frame.speed:,.0f}x")
    right = Text("  ".join(parts) + " ")
    left = Text.assemble(" ", (clock_text(view.ts_us), "bold"), (" UTC", "dim"))
    name = Text(f"  {feed_name(frame.heading.feed)}", style="dim")
    name.truncate(max(0, width - left.cell_len - right.cell_len - 1), overflow="ellipsis")
    return _line(Text.assemble(left, name), right, width)


def _restraint(one: Restraint, width: int) -> Text:
    """Return why no entry is taken, on one line."""
    line = Text(f" {restraint_text(one)} ", style=_STATE_STYLE[one.state])
    line.truncate(width, overflow="ellipsis")
    return line


def _instruments(frame: Frame, lanes: Sequence[LaneView], width: int, lines: int) -> Table:
    columns = (
        Column(header="instrument"),
        Column(header="last", right=True),
        Column(header="strategies", shrinks=True, width_min=10, drop=2),
        Column(header="rows", right=True, drop=3),
    )
    shown = _first(lanes, lines, key=lambda lane: max((phase for _, phase in lane.strategies), default=0))
    rows: list[list[Cell]] = []
    for lane in shown:
        name = lane.instrument.id
        last, before = lane.last, frame.before.get(name)
        style = "" if last is None or before in (None, last) else _sign_style(last - (before or 0))
        price = "-" if last is None else f"{lane.instrument.price(last):,f}"
        strategies = Text(" ").join(Text(s, style=_PHASE_STYLE[phase]) for s, phase in lane.strategies)
        rows.append([name, Text(price, style=style), strategies, f"{lane.rows:,}"])
    return make_table(columns, _with_rest(rows, len(lanes) - len(shown), "instruments"), width=width)


def _strategies(frame: Frame, width: int, lines: int) -> Table:
    columns = (
        Column(header="strategies, this run", grows=True),
        Column(header=Text("S1", style="yellow"), right=True, width_min=6, drop=3),
        Column(header=Text("Z1", style="green"), right=True, width_min=6, drop=4),
        Column(header="denied", right=True, width_min=6, drop=5),
        Column(header="trades", right=True, width_min=6, drop=1),
        Column(header="won", right=True, width_min=6, drop=2),
        Column(header="P&L after fees", right=True),
    )
    names = list(frame.strategies)
    shown = _first(names, lines, key=lambda name: frame.strategies[name].trades)
    rows: list[list[Cell]] = []
    for name in shown:
        tally = frame.strategies[name]
        won = f"{tally.wins / tally.trades:.0%}" if tally.trades else "-"
        rows.append(
            [
                name,
                _count(tally.signals),
                _count(tally.entries),
                _count(tally.denied, "red"),
                _count(tally.trades),
                Text(won, style="" if tally.trades else "dim"),
                _net(tally),
            ]
        )
    return make_table(columns, _with_rest(rows, len(names) - len(shown), "strategies"), width=width)


def _accounts(accounts: Sequence[AccountView], width: int) -> Table:
    columns = (
        Column(header="account"),
        Column(header="equity", right=True),
        Column(header="in all", right=True, drop=1),
        Column(header="unrealized", right=True, drop=4),
        Column(header="realized", right=True, drop=2),
        Column(header="fees", right=True, drop=3),
        Column(header="drawdown", right=True, drop=5),
    )
    rows: list[list[Cell]] = []
    for one in accounts:
        if one.equity is None:
            rows.append([one.currency, Text("unknown", style="bold yellow")])
            continue
        change = one.equity - one.start
        share = float(change / one.start) if one.start else 0.0
        depth = one.drawdown
        rows.append(
            [
                one.currency,
                Text(money(one.equity, one.currency), style="bold"),
                Text(percent(share, signed=True), style=_sign_style(change)),
                _signed(one.equity - one.balance, one.currency),
                _signed(one.realized, one.currency),
                money(one.fees, one.currency),
                "-" if depth is None else Text(percent(depth), style=_depth_style(depth)),
            ]
        )
    return make_table(columns, rows, width=width)


def _positions(view: View, width: int, lines: int) -> Table:
    columns = (
        Column(header="positions"),
        Column(header="strategy", grows=True),
        Column(header="side", drop=1),
        Column(header="quantity", right=True, drop=2),
        Column(header="entry", right=True, drop=5),
        Column(header="mark", right=True, drop=4),
        Column(header="unrealized", right=True),
        Column(right=True, drop=3),
        Column(header="held", right=True, drop=6),
    )
    if not view.positions:
        return make_table(columns, [[Text("none", style="dim")]], width=width)
    shown = view.positions[:lines] if len(view.positions) <= lines else view.positions[: max(1, lines - 1)]
    rows = [_position_cells(one, view.ts_us) for one in shown]
    return make_table(columns, _with_rest(rows, len(view.positions) - len(shown), "positions"), width=width)


def _position_cells(one: PositionView, ts_us: int) -> list[Cell]:
    unknown = Text("-", style="dim")
    return [
        one.instrument.id,
        one.strategy,
        Text(one.side, style="green" if one.side == "long" else "red"),
        number(one.qty),
        _price(one.entry_price, one),
        unknown if one.mark is None else _price(one.mark, one),
        unknown if one.unrealized is None else _signed(one.unrealized, one.instrument.quote, name=True),
        unknown if one.ratio is None else Text(percent(one.ratio, signed=True), style=_sign_style(one.ratio)),
        span(ts_us - one.opened_us),
    ]


def _decisions(frame: Frame, width: int, lines: int) -> Table:
    columns = (
        Column(header=" decisions", drop=2),
        Column(header="strategy"),
        Column(header="instrument", drop=1),
        Column(width_min=3),
        Column(header="what"),
        Column(header="why", shrinks=True, width_min=8, drop=3),
    )
    rows = [_decision_cells(record) for record in list(frame.decisions)[-lines:][::-1]]
    return make_table(columns, rows or [[Text(" none yet", style="dim")]], width=width, left=0)


def _decision_cells(record: Decision) -> list[Cell]:
    time = Text(f" {clock_text(moment_us(record))[11:]}", style="dim")
    who, where = record.strategy or "", record.instrument or ""
    grounds = Text(why(record), style="dim")
    if isinstance(record, AlertRecord):
        style = "bold white on red" if record.severity == "critical" else "bold yellow"
        return [time, who, where, Text("!", style=style), Text(record.type, style=style), grounds]
    if isinstance(record, RiskRecord):
        return [time, who, where, _marker(Section.Z1), Text("denied", style="bold red"), grounds]
    if isinstance(record, TradeRecord):
        currency, net = quote_of(record.instrument), net_of(record)
        what = Text(f"{money(net, currency, signed=True)} {currency}", style=f"bold {_sign_style(net)}")
        return [time, who, where, _marker(record.exit_section), what, grounds]
    what = Text(_order_text(record), style="dim" if _is_weak(record) else "")
    return [time, who, where, _marker(record.section), what, grounds]


def _order_text(record: SignalRecord | IntentRecord) -> str:
    if isinstance(record, IntentRecord):
        return f"{record.side} {number(record.qty)} @ {number(record.price)}"
    if record.section is Section.S1:
        return f"signal @ {number(record.price)}"
    if record.section is Section.O1:
        return "signal dropped"
    return f"{record.side} @ {number(record.price)}"


def _is_weak(record: SignalRecord | IntentRecord) -> bool:
    return isinstance(record, SignalRecord) and (not record.acted or record.section is Section.O1)


def _marker(section: Section) -> Text:
    return Text(section, style=f"bold {_SECTION_STYLE[section]}")


def _count(count: int, style: str = "") -> Text:
    return Text(str(count), style=style if count else "dim")


def _net(tally: StrategyTally) -> Text:
    parts = [
        Text(f"{money(net, currency, signed=True)} {currency}", style=_sign_style(net))
        for currency, net in tally.net.items()
    ]
    return Text(" ").join(parts) if parts else Text("-", style="dim")


def _signed(amount: Decimal, currency: str, *, name: bool = False) -> Text:
    text = money(amount, currency, signed=bool(amount))
    return Text(f"{text} {currency}" if name else text, style=_sign_style(amount))


def _price(price: Decimal, one: PositionView) -> str:
    return f"{price.quantize(one.instrument.tick_size):,f}"


def _sign_style(amount: Decimal | float) -> str:
    if amount == 0:
        return "dim"
    return "green" if amount > 0 else "red"


def _depth_style(drawdown: float) -> str:
    if drawdown < 0.0005:
        return "dim"
    return "red" if drawdown >= 0.05 else "yellow"


def _first(items: Sequence[T], lines: int, key: Callable[[T], int]) -> list[T]:
    """Return what fits, the highest keys, in the order they came in; the last line says what is left out."""
    if len(items) <= lines:
        return list(items)
    ranked = sorted(range(len(items)), key=lambda k: -key(items[k]))
    return [items[k] for k in sorted(ranked[: max(1, lines - 1)])]


def _with_rest(rows: list[list[Cell]], count: int, what: str) -> list[list[Cell]]:
    return [*rows, [Text(f"{count} more {what}", style="dim")]] if count > 0 else rows
