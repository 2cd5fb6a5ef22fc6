"""A session's state as bytes, and back: plain values, arrays and the core's own small types only."""

from __future__ import annotations

import io
import pickle
import zlib
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

_MAGIC: Final = b"botd-snapshot-2\n"
_ALLOWED: Final = frozenset(
    {
        ("botd.core.runner", "Memory"),
        ("botd.core.runner", "ExitGoal"),
        ("botd.core.events", "Section"),
        ("botd.core.events", "Side"),
        ("botd.core.events", "OrderType"),
        ("botd.core.events", "TimeInForce"),
        ("botd.core.outcomes", "OrderStatus"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.numeric", "_frombuffer"),
        ("numpy._core.multiarray", "scalar"),
    }
)


# where a class was when an older botd wrote it, and where it is
_MOVED: Final = {("botd.core.records", "OrderStatus"): "botd.core.outcomes"}


class _Saver(pickle.Pickler):
    """Pickle an enum by its value in every Python: until 3.11.3 it is a `getattr`, which is never loaded."""

    def reducer_override(self, obj: Any) -> Any:
        return (type(obj), (obj.value,)) if isinstance(obj, Enum) else NotImplemented


class _Loader(pickle.Unpickler):
    """Unpickle nothing but what a state is made of: a changed file must not run code."""

    def find_class(self, module: str, name: str) -> Any:
        module = _MOVED.get((module, name), module)
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a snapshot")
        return super().find_class(module, name)


def encode(state: Mapping[str, Any], *, plan: str) -> bytes:
    """Return a state as bytes; `plan` is the hash of the plan that made it."""
    body = io.BytesIO()
    _Saver(body, protocol=5).dump(dict(state))
    return _MAGIC + plan.encode() + b"\n" + zlib.compress(body.getvalue(), level=1)


def decode(payload: bytes, *, plan: str) -> Mapping[str, Any] | None:
    """Return the state, None when it is of another format or another plan, or damaged."""
    if not payload.startswith(_MAGIC):
        return None
    made_by, _, body = payload[len(_MAGIC) :].partition(b"\n")
    if made_by != plan.encode():
        return None
    try:
        state: Mapping[str, Any] = _Loader(io.BytesIO(zlib.decompress(body))).load()
    except (zlib.error, pickle.UnpicklingError, EOFError):
        return None
    return state
