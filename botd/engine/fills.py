"""The fill model of the simulated venue, over rows: what touches an order and what a market order pays.

Market orders take the top of the book and walk on by one tick for each multiple of its size; limits
fill only when traded through; stops become market orders when the last price reaches them. On bars a
market order pays the next bar's open, a stop is judged before a limit inside one bar.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from botd.engine.jit import entry
from botd.engine.layout import HIGH, KIND, LOW, P, RowKind, T

_TRADE: Final = int(RowKind.TRADE)
_BAR: Final = int(RowKind.BAR)
NEVER: Final = 1 << 62


@entry
def first_touch(
    R: Any,
    start: int,
    stop: int,
    bar_deadline: int,
    sell_stop: int,
    buy_stop: int,
    buy_limit: int,
    sell_limit: int,
) -> Any:
    """Return the first ring row in [start, stop) that touches a resting order, else `stop`.

    `sell_stop` is the highest resting sell stop, `buy_stop` the lowest buy stop, `buy_limit` the highest
    buy limit and `sell_limit` the lowest sell limit, in ticks (0, NEVER, 0 and NEVER where there is
    none); `bar_deadline` asks for the first bar from that time on, whatever its prices.
    """
    for i in range(start, stop):
        kind = R[KIND, i]
        if kind == _TRADE:
            p = R[P, i]
            if p <= sell_stop or p >= buy_stop or p < buy_limit or p > sell_limit:
                return i
        elif kind == _BAR and (
            R[T, i] >= bar_deadline
            or R[LOW, i] <= sell_stop
            or R[HIGH, i] >= buy_stop
            or R[LOW, i] < buy_limit
            or R[HIGH, i] > sell_limit
        ):
            return i
    return stop


def walk(
    lots: int, top: int, size: int, *, buy: bool, limit: int | None, levels_max: int
) -> Iterator[tuple[int, int]]:
    """Yield (price ticks, lots) of a market order that meets `size` lots at `top` and at each tick beyond.

    Stops at the limit, after `levels_max` levels, or below one tick; the rest does not fill. A size of
    zero is unknown: everything fills at the top.
    """
    step = 1 if buy else -1
    price = top
    for _ in range(levels_max):
        if lots <= 0 or price < 1:
            return
        if limit is not None and (price > limit if buy else price < limit):
            return
        take = lots if size <= 0 else min(lots, size)
        yield price, take
        lots -= take
        price += step


def bar_price(price: int, slippage_ppm: int, *, buy: bool) -> int:
    """Return a bar's price made worse by the slippage, rounded to the next worse tick."""
    if buy:
        return -((-price * (1_000_000 + slippage_ppm)) // 1_000_000)
    return max(1, (price * (1_000_000 - slippage_ppm)) // 1_000_000)
