"""Problems as answers."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from aiohttp import web

from botd.api.problems import HEADERS


def problem_response(
    status: int,
    error: str,
    message: str,
    *,
    incident: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Make the answer of a problem, as the model `Problem` has it."""
    body = orjson.dumps({"error": error, "message": message, "incident": incident})
    sent = {**HEADERS, "Content-Type": "application/json", **(headers or {})}
    return web.Response(status=status, body=body, headers=sent)
