"""The top of book of recordings that have trades only."""

from __future__ import annotations

import numpy as np

from botd.ports import I64


def derive_top(price: I64, lots: I64, side: I64) -> tuple[I64, I64, I64, I64]:
    """Return best bid, best ask and their sizes after each trade.

    Ask is the price of the last taker buy, bid that of the last taker sell, each with that print's
    amount. Where the two cross or lock, the older one stands one tick off the newer print; the same
    holds for a side that has not traded yet. Under a price of one tick there is none, so there a bid
    stands at one tick and the ask moves over it. The rule looks at the last print of either side only, so
    the top does not depend on where the recording began.
    """
    rows = np.arange(price.size, dtype=np.int64)
    bought = side > 0
    last_buy = np.maximum.accumulate(np.where(bought, rows, -1))
    last_sell = np.maximum.accumulate(np.where(bought, -1, rows))
    # Before a side's first print the newest print of the other side stands in for it.
    buy = np.where(last_buy < 0, rows, last_buy)
    sell = np.where(last_sell < 0, rows, last_sell)
    ask, bid = price[buy], price[sell]
    crossed = bid >= ask
    ask = np.where(crossed & ~bought, bid + 1, ask)
    bid = np.where(crossed & bought, np.maximum(ask - 1, 1), bid)
    ask = np.where(bid >= ask, bid + 1, ask)
    return bid, ask, lots[sell], lots[buy]
