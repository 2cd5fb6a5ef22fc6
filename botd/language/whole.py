"""A whole expression: its size with the names written out, and the unit it must have."""

from __future__ import annotations

from typing import Final

from botd.language.source import Faults
from botd.language.typed import BOOL, PRICE, RATIO, Expr, Unit
from botd.language.units import common, unit_name

INLINED_NODES_MAX: Final = 2_048
INLINED_DEPTH_MAX: Final = 128


def fits(expr: Expr, want: Unit | None, clause: str, faults: Faults) -> bool:
    """Check the whole expression: its size with the names written out, and the unit it must have."""
    nodes, depth = _measure(expr)
    if nodes > INLINED_NODES_MAX or depth > INLINED_DEPTH_MAX:
        faults.error(
            expr.span,
            f"with its named values written out {clause} is too large "
            f"(over {INLINED_NODES_MAX} terms or {INLINED_DEPTH_MAX} levels); simplify the names",
        )
        return False
    if want is None:
        return True
    if want == BOOL:
        if expr.unit == BOOL:
            return True
        faults.error(
            expr.span,
            f"{clause} needs a condition, this is {unit_name(expr.unit)}; compare it with something",
        )
        return False
    if want == RATIO and unit_name(expr.unit) in ("count", "number"):
        return True
    if common(want, expr.unit) is None:
        example = "best_bid" if want == PRICE else "clamp(change(10s) / 5%, 0, 1)"
        faults.error(
            expr.span,
            f"{clause} needs a {unit_name(want)}, this is {unit_name(expr.unit)}; write it like {example}",
        )
        return False
    return True


def _measure(expr: Expr) -> tuple[int, int]:
    """Count nodes and levels, stopping a little past the limits: shared names can grow exponentially."""
    nodes, deepest, waiting = 0, 0, [(expr, 1)]
    while waiting and nodes <= INLINED_NODES_MAX:
        node, depth = waiting.pop()
        nodes += 1
        deepest = max(deepest, depth)
        waiting += [(arg, depth + 1) for arg in node.args]
    return nodes, deepest
