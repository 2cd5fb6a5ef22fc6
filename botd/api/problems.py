"""What a caller hears where something went wrong: one sentence, and never how we are built."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

HEADERS: Final = {  # of every answer
    "Server": "botd",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


class Problem(Exception):
    """A request that is not answered as it was meant. The message is for people."""

    def __init__(
        self, status: int, error: str, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = error  # a word for programs
        self.message = message
        self.headers = headers or {}


def new_incident() -> str:
    """Return what ties an answer to the line in the log that says more."""
    return secrets.token_hex(6)
