"""The shared expression graph: equal sub-expressions of all strategies are one node.

A node's hash is made of its operator, constants and the hashes of its arguments, so it does not
depend on where or in which order it was written and survives a recompile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from botd.errors import InvariantBroken
from botd.language import opcodes as op
from botd.language.typed import COUNT, Expr

SAMPLE_FLOOR_COUNTS: Final = 0.3  # smallest deviation a count is judged against
BAR_COLUMNS: Final = {"open": 0, "bar_high": 1, "bar_low": 2, "close": 3, "bar_volume": 4}
VOLUME_COLUMN: Final = 4
POSITION_WORDS: Final = frozenset(op.POSITION_WORDS)


class Plane(StrEnum):
    """Which column matrix a node's result lives in."""

    F = "F"
    U = "U"
    C = "C"
    NONE = "-"


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One value of the graph; two nodes of a graph are equal only if they are the same object."""

    op: int
    args: tuple[Node, ...]
    ip: tuple[int, ...]
    fp: tuple[float, ...]
    plane: Plane
    hash: bytes


_U_OPS: Final = frozenset(range(op.LT, op.FOR + 1)) | {op.AGOU, op.CONSTU, op.CROSS_BARS}
_COMMUTATIVE: Final = frozenset({op.ADD, op.MUL, op.EQ, op.NE, op.AND, op.OR})
_RIGHT_CONST: Final = {
    op.LT: op.LTFC,
    op.LE: op.LEFC,
    op.ADD: op.ADDC,
    op.MUL: op.MULC,
    op.SUB: op.SUBFC,
    op.DIV: op.DIVFC,
}
_LEFT_CONST: Final = {
    op.LT: op.LTCF,
    op.LE: op.LECF,
    op.ADD: op.ADDC,
    op.MUL: op.MULC,
    op.SUB: op.SUBCF,
    op.DIV: op.DIVCF,
}


_BETWEEN_BARS: Final = frozenset({op.CONST, *range(op.ADD, op.DIVCF + 1), *range(op.LT, op.NOT + 1)})


def _plane(code: int) -> Plane:
    if code in _U_OPS:
        return Plane.U
    if code in (op.EDGE, op.BAR):
        return Plane.C
    return Plane.NONE if code in (op.HIST, op.HISTU) else Plane.F


def _folded(code: int, x: float, y: float) -> float | None:
    if code == op.ADD:
        return x + y
    if code == op.SUB:
        return x - y
    if code == op.MUL:
        return x * y
    if code == op.DIV:
        return x / y if y != 0 else float("nan")
    return None


class Graph:
    """Build nodes, each of them once; `nodes` is in an order in which arguments come first."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._by_hash: dict[bytes, Node] = {}
        self._memo: dict[int, tuple[Expr, Node]] = {}

    def make(self, code: int, *args: Node, ip: tuple[int, ...] = (), fp: tuple[float, ...] = ()) -> Node:
        """Return the node of an operator, folding constants and using immediates where there are any."""
        if len(args) == 2:
            x, y = args
            x_const, y_const = x.op == op.CONST, y.op == op.CONST
            if x_const and y_const:
                value = _folded(code, x.fp[0], y.fp[0])
                if value is not None:
                    return self.const(value)
            if y_const and code in _RIGHT_CONST:
                return self._node(_RIGHT_CONST[code], (x,), ip, y.fp)
            if x_const and code in _LEFT_CONST:
                return self._node(_LEFT_CONST[code], (y,), ip, x.fp)
            if code in _COMMUTATIVE and y.hash < x.hash:
                args = (y, x)
        if code == op.NEG and args[0].op == op.CONST:
            return self.const(-args[0].fp[0])
        return self._node(code, args, ip, fp)

    def _node(self, code: int, args: tuple[Node, ...], ip: tuple[int, ...], fp: tuple[float, ...]) -> Node:
        digest = hashlib.blake2b(f"{code}{ip}{[x.hex() for x in fp]}".encode(), digest_size=16)
        for arg in args:
            digest.update(arg.hash)
        key = digest.digest()
        node = self._by_hash.get(key)
        if node is None:
            node = Node(code, args, ip, fp, _plane(code), key)
            self._by_hash[key] = node
            self.nodes.append(node)
        return node

    def const(self, value: float) -> Node:
        """Return the node of a number."""
        return self._node(op.CONST, (), (), (float(value),))

    def edge(self, lag_us: int) -> Node:
        """Return the cursor at the last row at least `lag_us` old."""
        return self._node(op.EDGE, (), (lag_us,), ())

    def bar(self, length_us: int) -> Node:
        """Return the counter of closed bars of a length."""
        return self._node(op.BAR, (), (length_us,), ())

    def lower(self, expr: Expr) -> Node:
        """Return the node of a checked expression without position words."""
        known = self._memo.get(id(expr))
        if known is None:
            known = (expr, self._lower(expr))  # the expression is kept: its id stays its own
            self._memo[id(expr)] = known
        return known[1]

    def _lower(self, expr: Expr) -> Node:
        word = expr.op
        if word in _ROW_OPS:
            return self.make(_ROW_OPS[word])
        if word in _PLAIN_OPS:
            return self.make(_PLAIN_OPS[word], *map(self.lower, expr.args))
        if word in _SUM_COLUMNS:
            return self._window(op.SUM0, expr, ip=_SUM_COLUMNS[word])
        if word in _WINDOW_OPS:
            return self._window(_WINDOW_OPS[word], expr)
        lowering = _LOWERINGS.get(word)
        if lowering is None:
            raise InvariantBroken(f"no lowering for {word!r} outside a position rule")
        return lowering(self, expr)

    def _window(self, code: int, expr: Expr, ip: tuple[int, ...] = ()) -> Node:
        """Lower a window: `code` is the form that ends now, the next code the one that ended before."""
        start, end = _bounds(expr)
        if code in (op.HIGHW, op.LOWW, op.STDDEVW, op.SLOPEW):
            extra = (max(1, (start - end) >> 20),) if code == op.SLOPEW else ()
            edges = (self.edge(start),) if end == 0 else (self.edge(start), self.edge(end))
            return self._node(code, edges, extra, ())
        if code == op.TWPA0:
            ip = (start, end)
        if end == 0:
            return self._node(code, (self.edge(start),), ip, ())
        return self._node(code + 1, (self.edge(start), self.edge(end)), ip, ())


def _bounds(expr: Expr) -> tuple[int, int]:
    start = int(expr.params[0])
    return start, int(expr.params[1]) if len(expr.params) > 1 else 0


def has_position_words(expr: Expr) -> bool:
    """Say whether an expression needs an open position to have a value."""
    return expr.op in POSITION_WORDS or any(map(has_position_words, expr.args))


def _const(graph: Graph, expr: Expr) -> Node:
    return graph.const(float(expr.params[0]))


def _truth(graph: Graph, expr: Expr) -> Node:
    return graph.make(op.CONSTU, ip=(1 if expr.op == "always" else 0,))


def _clamp(graph: Graph, expr: Expr) -> Node:
    x, low, high = map(graph.lower, expr.args)
    return graph.make(op.MAX, graph.make(op.MIN, x, high), low)


def _if(graph: Graph, expr: Expr) -> Node:
    cond, x, y = map(graph.lower, expr.args)
    return graph.make(op.IFF, x, y, cond)


def _crosses(graph: Graph, expr: Expr) -> Node:
    a, b = map(graph.lower, expr.args)
    if expr.op != "crosses_above":
        a, b = b, a
    lengths = (_bar_lengths(a) or set()) | (_bar_lengths(b) or set())
    if not lengths or _bar_lengths(a) is None or _bar_lengths(b) is None:
        return graph.make(op.CROSS, a, b)
    return graph._node(op.CROSS_BARS, (a, b, graph.bar(min(lengths))), (), ())


def _bar_lengths(node: Node) -> set[int] | None:
    """Return the lengths of the bars a value is made of, None where it is made of anything else too."""
    if node.op in op.BAR_OPS:
        return {node.args[0].ip[0]}
    if node.op not in _BETWEEN_BARS:
        return None
    found: set[int] = set()
    for arg in node.args:
        lengths = _bar_lengths(arg)
        if lengths is None:
            return None
        found |= lengths
    return found


def _for(graph: Graph, expr: Expr) -> Node:
    return graph.make(op.FOR, graph.lower(expr.args[0]), ip=(int(expr.params[0]),))


def _ago(graph: Graph, expr: Expr) -> Node:
    x = graph.lower(expr.args[0])
    lag = int(expr.params[0])
    if lag == 0 or x.op in (op.CONST, op.CONSTU):
        return x
    boolean = x.plane is Plane.U
    history = graph.make(op.HISTU if boolean else op.HIST, x)
    return graph.make(op.AGOU if boolean else op.AGO, graph.edge(lag), history)


def _range(graph: Graph, expr: Expr) -> Node:
    return graph.make(op.SUB, graph._window(op.HIGHW, expr), graph._window(op.LOWW, expr))


def _velocity(graph: Graph, expr: Expr) -> Node:
    fast, slow = (graph._node(op.TWPA0, (graph.edge(int(us)),), (int(us), 0), ()) for us in expr.params)
    return graph.make(op.SUB, graph.make(op.DIV, fast, slow), graph.const(1.0))


def _volume_surge(graph: Graph, expr: Expr) -> Node:
    rates = []
    for us in expr.params:
        total = graph._node(op.SUM0, (graph.edge(int(us)),), _SUM_COLUMNS["volume"], ())
        rates.append(graph.make(op.DIV, total, graph.const(us / 1e6)))
    return graph.make(op.DIV, *rates)


def _zscore(graph: Graph, expr: Expr) -> Node:
    window, every = (int(us) for us in expr.params)
    floor = SAMPLE_FLOOR_COUNTS if expr.args[0].unit == COUNT else 0.0
    return graph.make(op.ZSCORE, graph.lower(expr.args[0]), ip=(window, every), fp=(floor,))


def _bar_op(graph: Graph, expr: Expr, ago: int) -> Node:
    """Lower a bar word as it was `ago` closed bars before the last one."""
    word = expr.op
    if word in BAR_COLUMNS:
        return _on_bar(graph, op.B_LAST, int(expr.params[0]), BAR_COLUMNS[word], 1, ago)
    if word == "atr":
        return _on_bar(graph, op.B_ATR, int(expr.params[0]), 0, int(expr.params[1]), ago)
    series = expr.args[0]
    if series.op not in BAR_COLUMNS:
        raise InvariantBroken(f"{series.op!r} is no series of bars")
    length, column = int(series.params[0]), BAR_COLUMNS[series.op]
    if word in ("bollinger_upper", "bollinger_lower"):
        n, factor = int(expr.params[0]), float(expr.params[1])
        middle = _on_bar(graph, op.B_SMA, length, column, n, ago)
        width = graph.make(op.MUL, _on_bar(graph, op.B_STDDEV, length, column, n, ago), graph.const(factor))
        return graph.make(op.ADD if word == "bollinger_upper" else op.SUB, middle, width)
    periods = tuple(map(int, expr.params))
    if word in ("macd", "macd_signal"):
        code = op.B_MACD if word == "macd" else op.B_MACD_SIGNAL
        fast, slow = sorted(periods[:2])
        return _on_bar(graph, code, length, column, slow, ago, (fast, slow, *periods[2:]))
    return _on_bar(graph, _SERIES_OPS[word], length, column, periods[0], ago)


def _on_bar(
    graph: Graph, code: int, length: int, column: int, n: int, ago: int, periods: tuple[int, ...] = ()
) -> Node:
    return graph.make(code, graph.bar(length), ip=(n, column, ago, *periods))


def _bar_value(graph: Graph, expr: Expr) -> Node:
    return _bar_op(graph, expr, 0)


def _bars_ago(graph: Graph, expr: Expr) -> Node:
    return _shifted(graph, expr.args[0], int(expr.params[0]))


def _shifted(graph: Graph, expr: Expr, ago: int) -> Node:
    """Lower an expression of bar words as it was `ago` closed bars before: each word is shifted."""
    if expr.op == "bars_ago":
        return _shifted(graph, expr.args[0], ago + int(expr.params[0]))
    if expr.op in _LOWERINGS and _LOWERINGS[expr.op] is _bar_value:
        return _bar_op(graph, expr, ago)
    if expr.op == "const":
        return _const(graph, expr)
    if expr.op not in _PLAIN_OPS:
        raise InvariantBroken(f"{expr.op!r} has no value of an earlier bar")
    return graph.make(_PLAIN_OPS[expr.op], *(_shifted(graph, x, ago) for x in expr.args))


_ROW_OPS: Final = {
    "price": op.PRICE,
    "best_bid": op.BEST_BID,
    "best_ask": op.BEST_ASK,
    "bid_size": op.BID_SIZE,
    "ask_size": op.ASK_SIZE,
    "mid": op.MID,
    "spread": op.SPREAD,
    "spread_price": op.SPREAD_PRICE,
    "imbalance": op.IMBALANCE,
    "mark_price": op.MARK_PRICE,
    "funding_rate": op.FUNDING_RATE,
    "time_of_day": op.TIME_OF_DAY,
    "day_of_week": op.DAY_OF_WEEK,
}
_PLAIN_OPS: Final = {
    "add": op.ADD,
    "sub": op.SUB,
    "mul": op.MUL,
    "div": op.DIV,
    "neg": op.NEG,
    "abs": op.ABS,
    "min": op.MIN,
    "max": op.MAX,
    "lt": op.LT,
    "le": op.LE,
    "eq": op.EQ,
    "ne": op.NE,
    "and": op.AND,
    "or": op.OR,
    "not": op.NOT,
}
_SUM_COLUMNS: Final = {  # prefix column, 1 where the sum is in lots
    "volume": (op.CUM_V, 1),
    "buys": (op.CUM_BUY, 1),
    "count": (op.CUM_N, 0),
    "rush_orders": (op.CUM_RUSH, 0),
}
_WINDOW_OPS: Final = {
    "twpa": op.TWPA0,
    "vwap": op.VWAP0,
    "sells": op.SELLS0,
    "change": op.CHANGE0,
    "high": op.HIGHW,
    "low": op.LOWW,
    "stddev": op.STDDEVW,
    "slope": op.SLOPEW,
}
_SERIES_OPS: Final = {
    "sma": op.B_SMA,
    "ema": op.B_EMA,
    "rsi": op.B_RSI,
    "highest": op.B_HIGHEST,
    "lowest": op.B_LOWEST,
    "stddev_bars": op.B_STDDEV,
    "zscore_bars": op.B_ZSCORE,
}
_BAR_WORDS: Final = (
    *BAR_COLUMNS,
    *_SERIES_OPS,
    "bollinger_upper",
    "bollinger_lower",
    "macd",
    "macd_signal",
    "atr",
)
_LOWERINGS: Final[dict[str, Callable[[Graph, Expr], Node]]] = {
    "const": _const,
    "always": _truth,
    "never": _truth,
    "clamp": _clamp,
    "if": _if,
    "crosses_above": _crosses,
    "crosses_below": _crosses,
    "for": _for,
    "ago": _ago,
    "bars_ago": _bars_ago,
    "range": _range,
    "velocity": _velocity,
    "volume_surge": _volume_surge,
    "zscore": _zscore,
    **dict.fromkeys(_BAR_WORDS, _bar_value),
}
