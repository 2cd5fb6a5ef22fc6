"""The columns of an event ring and the words of a rule machine. Everything is int64."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class RowKind(IntEnum):
    """What a row reports. Timer rows are made from market rows, never by a clock."""

    TRADE = 0
    BOOK = 1
    BAR = 2
    TIMER = 3
    MARK = 4
    FUNDING = 5


# Input columns, as a feed delivers them: int64[N_INPUT, n], one column of the matrix per row.
T: Final = 0  # row time, microseconds UTC: max(previous row of the instrument, venue time)
P: Final = 1  # last price, ticks; carried on by rows that are not trades
Q: Final = 2  # quantity, lots (bars: their volume in lots); 0 on rows that trade nothing
SIDE: Final = 3  # the taker's: +1 buy, -1 sell, 0 none
KIND: Final = 4  # RowKind
BID: Final = 5  # best bid, ticks; bars: their close
ASK: Final = 6
BSZ: Final = 7  # size at the best bid, lots
ASZ: Final = 8
MARK: Final = 9  # mark price, ticks; 0 where the feed has none
OPEN: Final = 10  # bars: ticks; other rows: the price
HIGH: Final = 11
LOW: Final = 12
VT: Final = 13  # the venue's time, microseconds UTC (records only)
RT: Final = 14  # arrival, microseconds UTC (records only)
N_INPUT: Final = 15

# Columns that the engine adds: prefix sums up to and including the row. They may wrap modulo 2^64;
# differences over a window stay exact.
CUM_PT: Final = 15  # sum of price * microseconds it stood, up to this row's time
CUM_V: Final = 16  # sum of traded lots
CUM_PV: Final = 17  # sum of price * lots
CUM_N: Final = 18  # number of trades
CUM_BUY: Final = 19  # lots bought by takers
CUM_RUSH: Final = 20  # number of rush orders (several prices in one timestamp, taker buys)
CUM_PT_HIGH: Final = 21  # the high words of CUM_PT and CUM_PV, see `wide`
CUM_PV_HIGH: Final = 22
N_COLUMNS: Final = 23
