"""From checked strategies to one int64 program: what the block kernels and rule machines run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from botd.language.assembly import Assembler, StateRange
from botd.language.graph import Graph, Node, Plane, has_position_words
from botd.language.position import PositionProgram
from botd.language.prints import has_crossing, reads_prints
from botd.language.typed import ExitRule, Expr, Strategy

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCode:
    """One ZE1 or E1 rule: a U column, or a range of the position program.

    The program runs what has position words, and crossings, which are kept while a print is unconfirmed.
    """

    slot: int  # -1 in the position program
    pos_start: int
    pos_end: int
    waits: bool  # a print can move it: not judged while one is unconfirmed


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineCode:
    """Where the columns of one strategy's rules are; -1 is absent.

    All columns but `s1` hold values only where the strategy's machine is not idle or S1 is true
    somewhere in the block. `lets` are (name, is boolean, slot).
    """

    strategy: Strategy
    s1: int
    confidence: int
    o1: int
    z1: int
    limit_price: int
    exits: tuple[RuleCode, ...]
    emergencies: tuple[RuleCode, ...]
    lets: tuple[tuple[str, bool, int], ...]
    pos_state: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Program:
    """The compiled form of a set of strategies for one instrument; see `opcodes` for the words."""

    code: I64  # [n * 8] op, out, a, b, ist, fst, ip0, ip1
    fpar: F64  # [n]
    n_f: int
    n_u: int
    n_c: int
    const_f: tuple[tuple[int, float], ...]  # columns that never change: (slot, value)
    const_u: tuple[tuple[int, int], ...]
    ist0: I64  # initial node states
    fst0: F64
    states: tuple[StateRange, ...]  # whose state is where, for a reload
    edges: I64  # ist offsets of the row cursors
    deques: I64  # ist offset of each monotonic deque
    bars: I64  # ist offset of each bar builder
    bar_keep: int  # closed bars that operators look back
    n_hist: int  # value histories beside the ring
    n_sample: int  # float64 words of the sample rings
    pos_code: I64  # [k, 6] op, out, a, b, c, state
    pos_fpar: F64  # [k]
    n_reg: int
    n_pos_state: int  # -1 is the empty state
    machines: tuple[MachineCode, ...]
    columns: frozenset[int]  # prefix columns of the layout that windows read
    lookback_us: int  # longest window over rows
    bar_lengths: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    node: Node | None
    pos_start: int = 0
    pos_end: int = 0
    waits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sections:
    """The nodes of one strategy before they have slots."""

    strategy: Strategy
    s1: Node
    confidence: Node | None
    o1: Node | None
    z1: Node
    limit_price: Node | None
    exits: tuple[_Rule, ...]
    emergencies: tuple[_Rule, ...]
    lets: tuple[tuple[str, Node], ...]
    pos_state: tuple[int, int]
    columns: tuple[Node, ...]  # read by position rules

    def guarded_roots(self) -> Iterable[Node]:
        """Yield every node that must live to the block's end, S1 apart."""
        yield from (n for n in (self.confidence, self.o1, self.z1, self.limit_price) if n is not None)
        yield from (r.node for r in (*self.exits, *self.emergencies) if r.node is not None)
        yield from (node for _, node in self.lets)
        yield from self.columns


def compile_program(strategies: Sequence[Strategy]) -> Program:
    """Compile checked strategies to one program. Equal sub-expressions are computed once."""
    graph = Graph()
    position = PositionProgram(graph)
    sections = [_lower_strategy(s, graph, position) for s in strategies]
    assembler = Assembler(graph.nodes, [(s.s1, tuple(s.guarded_roots())) for s in sections])
    slots = assembler.slots
    pos_code = np.array(
        [
            (i.op, i.out, i.a if i.column is None else slots[i.column], i.b, i.c, i.state)
            for i in position.code
        ],
        np.int64,
    ).reshape(-1, 6)
    return Program(
        code=np.array(assembler.code, np.int64).reshape(-1),
        fpar=np.array(assembler.fpar, np.float64),
        n_f=assembler.counts[Plane.F],
        n_u=assembler.counts[Plane.U],
        n_c=assembler.counts[Plane.C],
        const_f=tuple(assembler.const_f),
        const_u=tuple(assembler.const_u),
        ist0=np.array(assembler.ist, np.int64),
        fst0=np.array(assembler.fst, np.float64),
        states=tuple(assembler.states),
        edges=np.array(assembler.edges, np.int64),
        deques=np.array(assembler.deques, np.int64),
        bars=np.array(assembler.bars, np.int64),
        bar_keep=assembler.bar_keep,
        n_hist=assembler.n_hist,
        n_sample=assembler.n_sample,
        pos_code=pos_code,
        pos_fpar=np.array([i.value for i in position.code], np.float64),
        n_reg=position.n_registers,
        n_pos_state=position.n_state,
        machines=tuple(_machine(s, slots) for s in sections),
        columns=frozenset(assembler.columns),
        lookback_us=assembler.lookback_us,
        bar_lengths=tuple(sorted(assembler.bar_lengths)),
    )


def _lower_strategy(strategy: Strategy, graph: Graph, position: PositionProgram) -> _Sections:
    def optional(expr: Expr | None) -> Node | None:
        return None if expr is None else graph.lower(expr)

    columns: list[Node] = []

    def rule(written: ExitRule) -> _Rule:
        if not has_position_words(written.when):
            node = graph.lower(written.when)
            if not has_crossing(node):
                return _Rule(node=node, waits=reads_prints(node))
        start, end, read = position.add_rule(written.when)
        columns.extend(read)
        return _Rule(node=None, pos_start=start, pos_end=end, waits=any(map(reads_prints, read)))

    first_state = position.n_state
    exits = tuple(map(rule, strategy.exits))
    emergencies = tuple(map(rule, strategy.emergencies))
    return _Sections(
        strategy=strategy,
        s1=graph.lower(strategy.signal.when),
        confidence=optional(strategy.signal.confidence),
        o1=optional(strategy.cancel.when) if strategy.cancel else None,
        z1=graph.lower(strategy.entry.when),
        limit_price=optional(strategy.entry.order.price),
        exits=exits,
        emergencies=emergencies,
        lets=tuple((name, graph.lower(e)) for name, e in strategy.lets if not has_position_words(e)),
        pos_state=(first_state, position.n_state),
        columns=tuple(columns),
    )


def _machine(sections: _Sections, slots: dict[Node, int]) -> MachineCode:
    def slot(node: Node | None) -> int:
        return -1 if node is None else slots[node]

    def rules(written: tuple[_Rule, ...]) -> tuple[RuleCode, ...]:
        return tuple(
            RuleCode(slot=slot(r.node), pos_start=r.pos_start, pos_end=r.pos_end, waits=r.waits)
            for r in written
        )

    return MachineCode(
        strategy=sections.strategy,
        s1=slots[sections.s1],
        confidence=slot(sections.confidence),
        o1=slot(sections.o1),
        z1=slots[sections.z1],
        limit_price=slot(sections.limit_price),
        exits=rules(sections.exits),
        emergencies=rules(sections.emergencies),
        lets=tuple((name, node.plane is Plane.U, slots[node]) for name, node in sections.lets),
        pos_state=sections.pos_state,
    )
