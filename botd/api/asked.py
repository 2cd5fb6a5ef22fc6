"""What the API takes: the parameters and bodies of requests."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Request(BaseModel):
    """Base of what is taken: what is not known is refused."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True, extra="forbid")


Symbol = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,20}/[A-Za-z0-9]{1,20}(:[A-Za-z0-9]{1,20})?$")]
SessionId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


def _whole(text: Any) -> Any:
    """Take a whole number as a URL has it: digits and nothing else."""
    if isinstance(text, str) and not _DIGITS.fullmatch(text):
        raise ValueError("must be a whole number")
    return text


_DIGITS: Final = re.compile(r"[0-9]{1,17}", re.ASCII)
Limit = Annotated[int, Field(ge=1, le=1000), BeforeValidator(_whole)]
TimeUs = Annotated[int, Field(ge=0, lt=2**53), BeforeValidator(_whole)]
Cursor = Annotated[int, Field(ge=1, le=2**53), BeforeValidator(_whole)]


class NoQuery(Request):
    """No parameters."""


class SessionQuery(Request):
    session_id: SessionId | None = None
    """The session that runs, or the last one, unless given."""


class PageQuery(SessionQuery):
    limit: Limit = 50
    symbol: Symbol | None = None
    cursor: Cursor | None = None
    """`next_cursor` of the page before."""


class PositionsQuery(SessionQuery):
    symbol: Symbol | None = None


class LimitQuery(Request):
    limit: Limit = 50


class AlertsQuery(SessionQuery):
    limit: Limit = 50


class AnalyticsQuery(SessionQuery):
    period: Literal["ALL", "TODAY", "WEEK", "MONTH", "7D", "30D"] = "ALL"
    """By when a trade closed; days begin at 00:00 UTC, weeks on Monday, months on the 1st."""
    from_us: TimeUs | None = None
    """In place of a period: closed at this time or later."""
    until_us: TimeUs | None = None
    """Closed before this time."""
    by: Literal["strategy", "symbol", "side", "exit", "hour", "revision"] | None = None
    """What to put trades together by; the hour is that of the close, UTC."""


class Reason(Request):
    reason: Annotated[str, Field(max_length=200)] = ""
    """Kept with it, for whoever asks why."""
