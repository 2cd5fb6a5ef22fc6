"""The form of what the API gives: how money and time are written, and what every answer is built on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIME: Final = {"type": "string", "format": "date-time"}


def plain(amount: Decimal) -> str:
    """Write an amount without an exponent."""
    return format(amount, "f")


def time_text(ts_us: int) -> str:
    """Write a time as RFC 3339, UTC."""
    moment = _EPOCH + timedelta(microseconds=ts_us)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


Money = Annotated[
    Decimal,
    PlainSerializer(plain, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}, mode="serialization"),
]
Time = Annotated[
    int, PlainSerializer(time_text, return_type=str), WithJsonSchema(_TIME, mode="serialization")
]


class Answer(BaseModel):
    """Base of what is given."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True, extra="forbid")
