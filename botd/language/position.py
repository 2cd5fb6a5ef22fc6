"""Exit rules with position words: the position-free parts become columns, the rest a scalar program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from botd.errors import InvariantBroken
from botd.language import opcodes as op
from botd.language.graph import Graph, Node, Plane, has_position_words
from botd.language.prints import has_crossing, reads_prints
from botd.language.typed import Expr

WORD_INDEX: Final = {word: index for index, word in enumerate(op.POSITION_WORDS)}
_SCALAR_OPS: Final = {
    "add": op.P_ADD,
    "sub": op.P_SUB,
    "mul": op.P_MUL,
    "div": op.P_DIV,
    "neg": op.P_NEG,
    "abs": op.P_ABS,
    "min": op.P_MIN,
    "max": op.P_MAX,
    "lt": op.P_LT,
    "le": op.P_LE,
    "eq": op.P_EQ,
    "ne": op.P_NE,
    "and": op.P_AND,
    "or": op.P_OR,
    "not": op.P_NOT,
    "if": op.P_IF,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Instruction:
    """One step of a position program; `column` is the node whose slot goes into `a`."""

    op: int
    out: int
    a: int = 0
    b: int = 0
    c: int = 0
    state: int = 0
    value: float = 0.0
    column: Node | None = None


class PositionProgram:
    """Collect the scalar code of every position rule of a program."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.code: list[Instruction] = []
        self.n_registers = 0
        self.n_state = 0
        self._next = 0

    def add_rule(self, expr: Expr) -> tuple[int, int, list[Node]]:
        """Append a rule; return its range of code and the columns it reads. The last result is its answer."""
        start = len(self.code)
        self._next = 0
        self._lower(expr)
        self.n_registers = max(self.n_registers, self._next)
        columns = [i.column for i in self.code[start:] if i.column is not None]
        return start, len(self.code), columns

    def _emit(
        self,
        code: int,
        *args: int,
        state: int = 0,
        value: float = 0.0,
        c: int | None = None,
        column: Node | None = None,
    ) -> int:
        out = self._next
        self._next += 1
        a, b, third = (*args, 0, 0, 0)[:3]
        self.code.append(
            Instruction(
                op=code,
                out=out,
                a=a,
                b=b,
                c=third if c is None else c,
                state=state,
                value=value,
                column=column,
            )
        )
        return out

    def _lower(self, expr: Expr) -> int:
        word = expr.op
        if word == "const":
            return self._emit(op.P_CONST, value=float(expr.params[0]))
        if not has_position_words(expr):
            node = self._graph.lower(expr)
            if node.plane is Plane.F:
                return self._emit(op.P_COLF, column=node)
            if has_crossing(node) and reads_prints(node):
                return self._emit(op.P_EVENT, column=node, state=self._state())
            return self._emit(op.P_COLU, column=node)
        if word in WORD_INDEX:
            return self._emit(op.P_WORD, WORD_INDEX[word])
        args = [self._lower(x) for x in expr.args]
        if word in _SCALAR_OPS:
            return self._emit(_SCALAR_OPS[word], *args)
        if word == "clamp":
            return self._emit(op.P_MAX, self._emit(op.P_MIN, args[0], args[2]), args[1])
        if word == "for":
            return self._emit(op.P_FOR, args[0], c=int(expr.params[0]), state=self._state())
        if word in ("crosses_above", "crosses_below"):
            a, b = args if word == "crosses_above" else reversed(args)
            return self._emit(op.P_CROSS, a, b, state=self._state())
        raise InvariantBroken(f"{word!r} cannot look at an open position")

    def _state(self) -> int:
        self.n_state += 1
        return self.n_state - 1
