"""Records that carry the key of their decision, made from its parts."""

from __future__ import annotations

from typing import Any, TypeVar

from botd.core.events import DecisionKey
from botd.core.records import Keyed

Record = TypeVar("Record", bound=Keyed)


def keyed(kind: type[Record], **terms: Any) -> Record:
    """Make a record; the fields of its key are given by their own names."""
    key = DecisionKey(*(terms.pop(name) for name in DecisionKey.__slots__))
    return kind(key=key, **terms)
