"""A live order at a remote venue, as far as it is known what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from botd.core.events import AmendOrder, ClientOrderId, SubmitOrder
from botd.ports import OrderReport


class Phase(StrEnum):
    """How far an order of ours has come, as we know it."""

    WAITING = "waiting"  # not sent yet, and nobody else has
    SENDING = "sending"  # the request is on its way
    DOUBT = "doubt"  # it may have come, or still come
    SIGHTED = "sighted"  # the venue has shown it
    OVER = "over"


@dataclass(slots=True, eq=False)
class Ticket:
    """One live order."""

    command: SubmitOrder
    phase: Phase
    qty: int  # lots, the whole order as the bot has it
    stop: int | None
    filled: int = 0  # lots that the bot has been told of
    trades: set[str] = field(default_factory=set)
    sent_s: float = 0.0  # no later than this may have been the request
    look_s: float = 0.0  # when to look it up next
    looks: int = 0
    absent_s: float | None = None  # the first lookup after the deadline that found nothing
    shown_s: float = 0.0  # when it was last asked for and shown
    missing_s: float | None = None  # since when no read has shown it, though it was seen
    forsaken: bool = False  # the bot was told that it needs a person, and not yet that it shows again
    cries: int = 0
    cancel_wanted: bool = False
    cancels: int = 0
    cancel_s: float = 0.0  # when to ask for the cancel next
    cancelling: bool = False
    amend: AmendOrder | None = None  # asked for, and not seen to be so
    amend_s: float = 0.0  # when it was
    newest_us: int = 0  # of what the venue has shown
    final: OrderReport | None = None  # it is over, and not all of its fills have been shown
    final_s: float = 0.0  # when that was known; only reads from then on can lack them
    doubted: bool = False  # the bot knows that its fate is open
    resumed: bool = False  # a process before this one sent it, and may have had it changed
    busted: bool = False  # a trade of it was taken back before the bot was told of it
    compared: bool = False  # with the terms that were asked for

    @property
    def id(self) -> ClientOrderId:
        return self.command.client_order_id
