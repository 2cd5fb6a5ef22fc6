"""What the screen shows of a bot at one moment, copied so that it can be drawn while the bot goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from botd.core.bot import Bot
from botd.core.instrument import Instrument, InstrumentId
from botd.core.lanes import Lane
from botd.core.money import EXACT, ZERO
from botd.core.restraint import Restraint, TradingState
from botd.engine import layout, machine

_EVERYTHING = 1 << 62  # a merged place after every row


class Phase(IntEnum):
    """Where a strategy stands on an instrument."""

    IDLE = machine.IDLE
    SIGNALLED = machine.SIGNALLED
    ENTERING = machine.ENTERING
    IN_POSITION = machine.IN_POSITION


@dataclass(frozen=True, slots=True)
class LaneView:
    """One instrument; prices in ticks, None where none is known."""

    instrument: Instrument
    last: int | None
    bid: int | None
    ask: int | None
    rows: int
    strategies: tuple[tuple[str, Phase], ...]


@dataclass(frozen=True, slots=True)
class PositionView:
    """One strategy's holding. `mark` and `unrealized` are None where no price is known."""

    strategy: str
    instrument: Instrument
    side: str  # long | short
    qty: Decimal
    entry_price: Decimal
    mark: Decimal | None
    unrealized: Decimal | None  # quote currency, without fees
    ratio: float | None  # of the entry cost
    opened_us: int


@dataclass(frozen=True, slots=True)
class AccountView:
    """One currency's books. `equity` is None where some position has no price."""

    currency: str
    start: Decimal
    balance: Decimal
    equity: Decimal | None
    realized: Decimal
    fees: Decimal
    drawdown: float | None


@dataclass(frozen=True, slots=True)
class View:
    """A bot between two blocks."""

    ts_us: int
    rows: int
    trading: TradingState
    lanes: tuple[LaneView, ...]
    positions: tuple[PositionView, ...]
    accounts: tuple[AccountView, ...]
    restraints: tuple[Restraint, ...] = ()  # what keeps new risk out, oldest first


def look(bot: Bot, ts_us: int) -> View:
    """Copy what the screen shows. Reads only; call it between two blocks, in the task that owns the bot."""
    desk = bot.desk
    marks = desk.marks(_EVERYTHING)
    phases: dict[int, list[tuple[str, Phase]]] = {}
    for runner in bot.runners:
        phases.setdefault(runner.lane.index, []).append((runner.strategy.id, Phase(runner.phase())))
    lanes = tuple(_lane(lane, tuple(phases.get(lane.index, ()))) for lane in bot.lanes)
    return View(
        ts_us=ts_us,
        rows=sum(lane.rows for lane in lanes),
        trading=desk.trading_state,
        lanes=lanes,
        positions=_positions(bot, marks),
        accounts=tuple(_account(bot, currency, marks) for currency in desk.portfolio.currencies()),
        restraints=tuple(desk.restraints),
    )


def _lane(lane: Lane, strategies: tuple[tuple[str, Phase], ...]) -> LaneView:
    row = lane.judged()
    rows = lane.engine.rows_seen
    if row is None or row < 0:
        return LaneView(lane.instrument, None, None, None, rows, strategies)
    ring = lane.engine.ring
    last, bid, ask = (int(ring[column, row]) or None for column in (layout.P, layout.BID, layout.ASK))
    return LaneView(lane.instrument, last, bid, ask, rows, strategies)


def _positions(bot: Bot, marks: Mapping[InstrumentId, int]) -> tuple[PositionView, ...]:
    found = []
    for position in bot.desk.portfolio.positions():
        instrument = bot.desk.instruments[position.instrument]
        mark = marks.get(position.instrument)
        gain = None if mark is None else position.unrealized(mark)
        found.append(
            PositionView(
                strategy=position.strategy,
                instrument=instrument,
                side=position.side,
                qty=instrument.qty(position.qty),
                entry_price=bot.desk.portfolio.entry_price(position),
                mark=None if mark is None else instrument.price(mark),
                unrealized=None if gain is None else instrument.money(gain),
                ratio=None if gain is None or not position.cost else gain / position.cost,
                opened_us=position.opened_us,
            )
        )
    return tuple(found)


def _account(bot: Bot, currency: str, marks: Mapping[InstrumentId, int]) -> AccountView:
    portfolio = bot.desk.portfolio
    held = [p.instrument for p in portfolio.positions()]
    known = all(name in marks for name in held if bot.desk.instruments[name].quote == currency)
    equity = portfolio.equity(currency, marks) if known else None
    drawdown = None
    peak = portfolio.peak_equity(currency)
    if equity is not None and peak > 0:
        drawdown = float(max(ZERO, 1 - EXACT.divide(equity, peak)))
    return AccountView(
        currency=currency,
        start=portfolio.start(currency),
        balance=portfolio.balance(currency),
        equity=equity,
        realized=portfolio.realized(currency),
        fees=portfolio.fees(currency),
        drawdown=drawdown,
    )
