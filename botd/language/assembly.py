"""Order the nodes of a graph, give them column slots and state, and write their instructions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from botd.language import opcodes as op
from botd.language.graph import Node, Plane


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRange:
    """Where one stateful node keeps its state; a reload carries it to the node of the same hash."""

    hash: bytes
    op: int
    ist: tuple[int, int]
    fst: tuple[int, int]
    resource: int  # index of its deque, bar ring or history; offset of its samples; -1 = none
    size: int  # words of its samples
    bars: int = -1  # index of the bar ring whose closed bars it counts, where it does


def initial_state(node: Node) -> tuple[list[int], list[float]]:
    """Return the state a node starts with; empty for a node that has none."""
    nan = float("nan")
    code = node.op
    if code == op.EDGE:
        return [-1], []
    if code in (op.HIGHW, op.LOWW):
        return [0, 0, 0], []  # head, tail, next row to push
    if code in (op.STDDEVW, op.SLOPEW):
        return [0, 0, 0, 0, 0, 0, 0, 0, 0], []  # next to drop, next to add, n, sums
    if code == op.ZSCORE:
        window, every = node.ip
        # previous row's time, next sample's time, oldest in the window, ready, offset, capacity
        return [op.NEVER, 0, 0, 0, 0, -(-window // every) + 1], [nan, nan, nan]
    if code == op.FUNDING_RATE:
        return [], [nan]
    if code == op.BAR:
        return [0, op.NEVER, 0, 0, 0, 0, 0, 0, node.ip[0]], []  # closed, open time, o h l c v, traded, length
    if code in op.BAR_OPS:
        periods = [*node.ip[3:], 0, 0, 0][:3]
        return [0, node.ip[2], 0, *periods], [nan, 0.0, 0.0, 0.0]
    if code == op.CROSS:
        return [0], []
    if code == op.CROSS_BARS:
        return [0, 0, 0], []  # sign of the last difference, the one at the previous bar, closed bars
    if code == op.FOR:
        return [op.NEVER], []
    return [], []


def _is_stateful(node: Node) -> bool:
    ist, fst = initial_state(node)
    return bool(ist or fst) or node.op in (op.HIST, op.HISTU)


class Assembler:
    """Lay out a program: `roots` are, per strategy, its S1 and the other nodes stage 2 reads.

    Nodes that only one strategy uses and that keep no state stand behind a GUARD, which skips them
    while the strategy is idle and its S1 is true nowhere in the block.
    """

    def __init__(self, nodes: Sequence[Node], roots: Sequence[tuple[Node, tuple[Node, ...]]]) -> None:
        self.code: list[tuple[int, ...]] = []
        self.fpar: list[float] = []
        self.ist: list[int] = []
        self.fst: list[float] = []
        self.slots: dict[Node, int] = {}
        self.counts = {Plane.F: 0, Plane.U: 0, Plane.C: 0, Plane.NONE: 0}
        self.const_f: list[tuple[int, float]] = []
        self.const_u: list[tuple[int, int]] = []
        self.states: list[StateRange] = []
        self.edges: list[int] = []
        self.deques: list[int] = []
        self.bars: list[int] = []
        self.bar_lengths: set[int] = set()
        self.bar_keep = 1
        self.n_hist = 0
        self.n_sample = 0
        self.columns: set[int] = set()
        self.lookback_us = 0
        self._resource: dict[Node, int] = {}
        self._free: dict[Plane, list[int]] = {p: [] for p in Plane}
        eager, local = _split(nodes, roots)
        self._keep = {node for s1, others in roots for node in (s1, *others)}
        self._last_use = _last_uses(eager, local)
        self._position = 0
        for node in eager:
            self._write(node)
        for machine, region in enumerate(local):
            if region:
                self._emit((op.GUARD, 0, self.slots[roots[machine][0]], machine, 0, 0, len(region), 0), 0.0)
                for node in region:
                    self._write(node)

    def _emit(self, words: tuple[int, ...], value: float) -> None:
        self.code.append(words)
        self.fpar.append(value)

    def _write(self, node: Node) -> None:
        place = self._position
        self._position += 1
        if node.op in (op.CONST, op.CONSTU):
            self.slots[node] = slot = self._new_slot(node.plane)
            if node.op == op.CONST:
                self.const_f.append((slot, node.fp[0]))
            else:
                self.const_u.append((slot, node.ip[0]))
            return
        free = self._free[node.plane]
        slot = free.pop() if free else self._new_slot(node.plane)
        self.slots[node] = slot
        for arg in set(node.args):  # freed only now: a result never overwrites its own input
            if self._last_use[arg] == place and arg not in self._keep and arg.op not in (op.CONST, op.CONSTU):
                self._free[arg.plane].append(self.slots[arg])
        ist, fst = len(self.ist), len(self.fst)
        self._reserve(node)
        a, b = ([self.slots[x] for x in node.args] + [0, 0])[:2]
        ip0, ip1, b = self._parameters(node, b)
        self._emit((node.op, slot, a, b, ist, fst, ip0, ip1), node.fp[0] if node.fp else 0.0)

    def _new_slot(self, plane: Plane) -> int:
        self.counts[plane] += 1
        return self.counts[plane] - 1

    def _reserve(self, node: Node) -> None:
        """Give a node its state words and rings, and note what it needs of the rows."""
        ist, fst = initial_state(node)
        at, at_f, code = len(self.ist), len(self.fst), node.op
        resource, size = -1, 0
        if code == op.EDGE:
            self.edges.append(at)
            self.lookback_us = max(self.lookback_us, node.ip[0])
        elif code in (op.HIGHW, op.LOWW):
            resource = len(self.deques)
            self.deques.append(at)
        elif code == op.BAR:
            resource = len(self.bars)
            self.bars.append(at)
            self.bar_lengths.add(node.ip[0])
        elif code in op.BAR_OPS:
            self.bar_keep = max(self.bar_keep, node.ip[0] + node.ip[2] + 2)
        elif code == op.ZSCORE:
            resource, size = self.n_sample, ist[5]
            ist[4] = resource
            self.n_sample += size
            self.lookback_us = max(self.lookback_us, node.ip[0])
        elif code in (op.HIST, op.HISTU):
            resource = self.n_hist
            self.n_hist += 1
        self.columns |= _columns(node)
        self._resource[node] = resource
        if _is_stateful(node):
            self.states.append(
                StateRange(
                    hash=node.hash,
                    op=code,
                    ist=(at, at + len(ist)),
                    fst=(at_f, at_f + len(fst)),
                    resource=resource,
                    size=size,
                    bars=self._counted(node),
                )
            )
        self.ist.extend(ist)
        self.fst.extend(fst)

    def _counted(self, node: Node) -> int:
        """Return the bar ring whose closed bars a node counts in its state, -1 for none."""
        if node.op in op.BAR_OPS:
            return self._resource[node.args[0]]
        return self._resource[node.args[2]] if node.op == op.CROSS_BARS else -1

    def _parameters(self, node: Node, b: int) -> tuple[int, int, int]:
        """Return ip0, ip1 and b as the kernels read them."""
        code = node.op
        ip = (*node.ip, 0, 0)
        if code in (op.HIGHW, op.LOWW):
            return self._resource[node], len(node.args) - 1, b
        if code == op.STDDEVW:
            return 0, len(node.args) - 1, b
        if code == op.SLOPEW:
            return ip[0], len(node.args) - 1, b
        if code == op.BAR:
            return ip[0], self._resource[node], b
        if code in op.BAR_OPS:
            return ip[0], self._resource[node.args[0]], ip[1]
        if code in (op.IFF, op.CROSS_BARS):
            return self.slots[node.args[2]], 0, b
        if code in (op.HIST, op.HISTU):
            return self._resource[node], 0, b
        if code in (op.AGO, op.AGOU):
            return self._resource[node.args[1]], 0, 0
        return ip[0], ip[1], b


def _columns(node: Node) -> set[int]:
    """Return the prefix columns a node reads."""
    if node.op in (op.TWPA0, op.TWPA):
        return {op.CUM_PT}
    if node.op in (op.SUM0, op.SUM):
        return {node.ip[0]}
    if node.op in (op.SELLS0, op.SELLS):
        return {op.CUM_V, op.CUM_BUY}
    return {op.CUM_V, op.CUM_PV} if node.op in (op.VWAP0, op.VWAP) else set()


def _split(
    nodes: Sequence[Node], roots: Sequence[tuple[Node, tuple[Node, ...]]]
) -> tuple[list[Node], list[list[Node]]]:
    """Split the nodes in use into those always computed and, per strategy, those behind its guard."""
    users: dict[Node, int] = dict.fromkeys(nodes, 0)
    everybody = (1 << (len(roots) + 1)) - 1  # the extra bit makes it more than one user
    for machine, (s1, others) in enumerate(roots):
        users[s1] |= everybody
        for node in others:
            users[node] |= 1 << machine
    for node in reversed(nodes):  # arguments come before their users in `nodes`
        if users[node] and _is_stateful(node):
            users[node] = everybody
        for arg in node.args:
            users[arg] |= users[node]
    eager: list[Node] = []
    local: list[list[Node]] = [[] for _ in roots]
    for node in nodes:
        if users[node].bit_count() > 1 or (users[node] and node.op in (op.CONST, op.CONSTU)):
            eager.append(node)
        elif users[node]:
            local[users[node].bit_length() - 1].append(node)
    return eager, local


def _last_uses(eager: Sequence[Node], local: Sequence[Sequence[Node]]) -> dict[Node, int]:
    last: dict[Node, int] = {}
    place = 0
    for region in (eager, *local):
        for node in region:
            for arg in node.args:
                last[arg] = place
            place += 1
    return last
