"""How long a request travels to the simulated venue: drawn from what was decided, not from dice."""

from __future__ import annotations

import hashlib

from botd.core.events import AmendOrder, CancelOrder, Command, SubmitOrder
from botd.core.settings import PaperSettings
from botd.venues.floor import Floor


def latency_us(command: Command, floor: Floor, settings: PaperSettings) -> int:
    """Return the request's latency, uniform in the settings' range by sha256 of seed and decision key.

    `floor` names the order that a cancel or an amendment means.
    """
    low, high = settings.latency_min_us, settings.latency_max_us
    if low == high:
        return low
    what = str(command.key) if isinstance(command, SubmitOrder) else _request_key(command, floor)
    digest = hashlib.sha256(f"{settings.seed}|{what}".encode()).digest()
    return low + int.from_bytes(digest[:8], "big") % (high - low + 1)


def _request_key(command: CancelOrder | AmendOrder, floor: Floor) -> str:
    """Name a cancel or an amendment without the order's id, which differs between sessions."""
    order = floor.working.get(command.client_order_id)
    submit = order.command if order else None
    for request in floor.requests:
        other = request.command
        if isinstance(other, SubmitOrder) and other.client_order_id == command.client_order_id:
            submit = other
    key = str(submit.key) if submit else str(command.instrument)
    return f"{type(command).__name__}|{key}|{command.ts_us}"
