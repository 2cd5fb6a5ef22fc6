"""The instruction set that the compiler writes and the kernels read.

Planes: F float64 columns, U uint8 booleans (0 false, 1 true, >= 2 undefined), C int64 row cursors.
"""

from __future__ import annotations

from typing import Final

# ring columns that windows read; the same numbers as engine.layout, which a test holds
COL_BID: Final = 5
COL_ASK: Final = 6
COL_BSZ: Final = 7
COL_ASZ: Final = 8
COL_MARK: Final = 9
CUM_PT: Final = 15
CUM_V: Final = 16
CUM_PV: Final = 17
CUM_N: Final = 18
CUM_BUY: Final = 19
CUM_RUSH: Final = 20

# F, of the row
PRICE: Final = 1
BEST_BID: Final = 2
BEST_ASK: Final = 3
BID_SIZE: Final = 4
ASK_SIZE: Final = 5
MID: Final = 6
SPREAD: Final = 7
SPREAD_PRICE: Final = 8
IMBALANCE: Final = 9
MARK_PRICE: Final = 10
FUNDING_RATE: Final = 11
TIME_OF_DAY: Final = 12
DAY_OF_WEEK: Final = 13

# C
EDGE: Final = 14  # last row with t <= now - lag, -1 before there is one
BAR: Final = 15  # number of closed bars

# F, windows: the one ending now takes one edge, the other two
TWPA0: Final = 16
TWPA: Final = 17
SUM0: Final = 18
SUM: Final = 19
SELLS0: Final = 20
SELLS: Final = 21
VWAP0: Final = 22
VWAP: Final = 23
CHANGE0: Final = 24
CHANGE: Final = 25
HIGHW: Final = 26
LOWW: Final = 27
STDDEVW: Final = 28
SLOPEW: Final = 29
HIST: Final = 30  # writes F column a into history column ip0
HISTU: Final = 31
AGO: Final = 32
AGOU: Final = 33
ZSCORE: Final = 34

# F, on closed bars
B_LAST: Final = 35
B_SMA: Final = 36
B_EMA: Final = 37
B_RSI: Final = 38
B_HIGHEST: Final = 39
B_LOWEST: Final = 40
B_STDDEV: Final = 41
B_ZSCORE: Final = 42
B_MACD: Final = 43
B_MACD_SIGNAL: Final = 44
B_ATR: Final = 45
BAR_OPS: Final = frozenset(range(B_LAST, B_ATR + 1))

# F, arithmetic; C suffix: the other operand is fpar
ADD: Final = 46
SUB: Final = 47
MUL: Final = 48
DIV: Final = 49
NEG: Final = 50
ABS: Final = 51
MIN: Final = 52
MAX: Final = 53
IFF: Final = 54
ADDC: Final = 55
MULC: Final = 56
SUBFC: Final = 57  # a - c
SUBCF: Final = 58  # c - a
DIVFC: Final = 59
DIVCF: Final = 60

# U
LT: Final = 61
LE: Final = 62
EQ: Final = 63
NE: Final = 64
LTFC: Final = 65
LTCF: Final = 66
LEFC: Final = 67
LECF: Final = 68
AND: Final = 69
OR: Final = 70
NOT: Final = 71
CROSS: Final = 72  # a crosses above b
FOR: Final = 73

GUARD: Final = 74  # skip ip0 instructions while machine b is idle and U column a is true nowhere

# never in code: their columns are filled once
CONST: Final = 75
CONSTU: Final = 76

# U: a crosses above b, both of bars only; the result stands until the next bar of column ip0 closes
CROSS_BARS: Final = 77

# the position program: int64[k, 6] op, dst, a, b, c, state
P_CONST: Final = 0
P_WORD: Final = 1  # a: index of POSITION_WORDS
P_COLF: Final = 2  # a: F slot
P_COLU: Final = 3  # a: U slot
P_ADD: Final = 4
P_SUB: Final = 5
P_MUL: Final = 6
P_DIV: Final = 7
P_NEG: Final = 8
P_ABS: Final = 9
P_MIN: Final = 10
P_MAX: Final = 11
P_LT: Final = 12
P_LE: Final = 13
P_EQ: Final = 14
P_NE: Final = 15
P_AND: Final = 16
P_OR: Final = 17
P_NOT: Final = 18
P_IF: Final = 19
P_FOR: Final = 20  # c: microseconds
P_CROSS: Final = 21
P_EVENT: Final = 22  # a: U slot; true in one row only, and so kept while a print is unconfirmed
POSITION_WORDS: Final = ("pnl", "pnl_max", "held", "entry_price", "position_size")

# state words of a bar operator: done, ago, sum, and the three periods of MACD
BAR_OP_IST: Final = 6
BAR_OP_FST: Final = 4
NEVER: Final = -(1 << 62)  # a time before every other
