"""What an order meets at a row: the top of the book, a bar's open, or what touches it."""

from __future__ import annotations

from dataclasses import dataclass

from botd.core.events import OrderType, Side, SubmitOrder
from botd.core.lanes import I64
from botd.engine.fills import NEVER, bar_price, first_touch
from botd.engine.layout import ASK, ASZ, BID, BSZ, HIGH, KIND, LOW, OPEN, P, RowKind, T
from botd.venues.floor import Floor


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the venue stands in an instrument's rows: before the row at ring index `index`."""

    ring: I64
    first_row: int  # absolute row number of ring index 0
    index: int

    @property
    def row(self) -> int:
        """The absolute number of the row it stands before."""
        return self.first_row + self.index

    @property
    def kind(self) -> int:
        return int(self.ring[KIND, self.index])

    @property
    def now_us(self) -> int:
        return int(self.ring[T, self.index])


def book_top(spot: Spot, side: Side) -> tuple[int, int]:
    """Return (price, size) that an order of a side meets before the row; 0 is unknown."""
    if spot.index < 1:
        return 0, 0
    buy = side is Side.BUY
    before = spot.index - 1
    return int(spot.ring[ASK if buy else BID, before]), int(spot.ring[ASZ if buy else BSZ, before])


def bar_open(spot: Spot, side: Side, slippage_ppm: int) -> tuple[int, int]:
    """Return (price, unknown size) of an order carried out at the bar's open."""
    return bar_price(int(spot.ring[OPEN, spot.index]), slippage_ppm, buy=side is Side.BUY), 0


def last_close(spot: Spot, side: Side, slippage_ppm: int) -> tuple[int, int]:
    """Return (price, unknown size) at the last bar's close: no further bar will come."""
    if spot.index < 1:
        return 0, 0
    return bar_price(int(spot.ring[P, spot.index - 1]), slippage_ppm, buy=side is Side.BUY), 0


def stop_top(spot: Spot, side: Side, stop: int, slippage_ppm: int) -> tuple[int, int]:
    """Return (price, size) that a stop meets at the row that triggers it."""
    ring, index, buy = spot.ring, spot.index, side is Side.BUY
    if spot.kind == RowKind.BAR:
        opened = int(ring[OPEN, index])
        price = max(opened, stop) if buy else min(opened, stop)
        return bar_price(price, slippage_ppm, buy=buy), 0
    price = int(ring[ASK if buy else BID, index]) or int(ring[P, index])
    return price, int(ring[ASZ if buy else BSZ, index])


def traded_range(spot: Spot) -> tuple[int, int] | None:
    """Return (low, high) that traded in the row, None for a row in which nothing trades."""
    kind = spot.kind
    if kind == RowKind.BAR:
        return int(spot.ring[LOW, spot.index]), int(spot.ring[HIGH, spot.index])
    if kind == RowKind.TRADE:
        return int(spot.ring[P, spot.index]), int(spot.ring[P, spot.index])
    return None


def triggers(command: SubmitOrder, low: int, high: int) -> bool:
    """Say whether a row's prices reach a stop."""
    if command.type is not OrderType.STOP_MARKET or command.stop is None:
        return False
    return low <= command.stop if command.side is Side.SELL else high >= command.stop


def trades_through(command: SubmitOrder, low: int, high: int) -> bool:
    """Say whether a row's prices pass strictly through a limit."""
    if command.type is not OrderType.LIMIT or command.limit is None:
        return False
    return low < command.limit if command.side is Side.BUY else high > command.limit


def crosses(command: SubmitOrder, price: int) -> bool:
    """Say whether a limit order trades at once at the opposite top."""
    if command.limit is None or price <= 0:
        return False
    return price <= command.limit if command.side is Side.BUY else price >= command.limit


def next_touch(floor: Floor, ring: I64, first_row: int, start: int, stop: int) -> int:
    """Return the first ring index in [start, stop) whose row touches a resting order, else `stop`."""
    sell_stop, buy_stop, buy_limit, sell_limit = 0, NEVER, 0, NEVER
    fresh = stop
    for order in floor.working.values():
        command = order.command
        fresh = min(fresh, order.checked + 1 - first_row)
        if command.type is OrderType.LIMIT and command.limit is not None:
            if command.side is Side.BUY:
                buy_limit = max(buy_limit, command.limit)
            else:
                sell_limit = min(sell_limit, command.limit)
        elif command.stop is not None:
            if command.side is Side.SELL:
                sell_stop = max(sell_stop, command.stop)
            else:
                buy_stop = min(buy_stop, command.stop)
    return int(first_touch(ring, max(start, fresh), stop, NEVER, sell_stop, buy_stop, buy_limit, sell_limit))


def next_bar(ring: I64, start: int, stop: int, deadline_us: int) -> int:
    """Return the first ring index in [start, stop) of a bar from a time on, else `stop`."""
    if deadline_us == NEVER:
        return stop
    return int(first_touch(ring, start, stop, deadline_us, 0, NEVER, 0, NEVER))
