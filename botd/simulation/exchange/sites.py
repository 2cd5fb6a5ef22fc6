"""What can go wrong at the venue and on the way to it, by name, and how often at plain intensity.

The shares make about seventy faults of an hour with a hundred orders, the reads and the stream that go with
them; a seed turns some off and others up.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from botd.simulation.chance import Site


class Kind(StrEnum):
    """What a request asks for; each kind has its own faults on the way."""

    SUBMIT = "submit"
    CHANGE = "change"  # a cancel or an amendment
    READ = "read"


class PathSites(NamedTuple):
    """The faults that a request of one kind meets on its way."""

    lost: Site  # it never arrives
    held: Site  # it arrives late; its validity decides what becomes of it
    unanswered: Site  # it is processed, and the answer is lost
    error: Site  # it is answered by an error, and processed all the same in two cases of three
    limited: Site  # 429, not processed


def _path(kind: Kind, lost: float, held: float, unanswered: float, error: float, limited: float) -> PathSites:
    return PathSites(
        Site(f"{kind}.lost", lost),
        Site(f"{kind}.held", held),
        Site(f"{kind}.unanswered", unanswered),
        Site(f"{kind}.error", error),
        Site(f"{kind}.limited", limited),
    )


PATHS: Final = {
    Kind.SUBMIT: _path(Kind.SUBMIT, 0.03, 0.03, 0.04, 0.05, 0.01),
    Kind.CHANGE: _path(Kind.CHANGE, 0.02, 0.02, 0.03, 0.03, 0.005),
    Kind.READ: _path(Kind.READ, 0.0005, 0.0005, 0.0005, 0.001, 0.0002),
}

BANNED: Final = Site("request.banned", 0.0002)  # 418 from this call on, for a while

SLOW: Final = Site("submit.slow", 0.03)  # the venue takes up to `processing_us` over it
ACK_LATE: Final = Site("submit.ack_late", 0.05)  # the stream tells of fills before the answer comes
REFUSED: Final = Site("submit.refused", 0.03)  # InsufficientFunds, InvalidOrder
DUPLICATE: Final = Site("submit.duplicate", 0.02)  # a box on the way repeats it: DuplicateOrderId
LAG: Final = Site("order.lag", 0.1)  # reads show the order, or its fills, late
HIDDEN: Final = Site("order.hidden", 0.3)  # of the few that rest for so long that reads have shown them often
ASYNC_REJECT: Final = Site("order.rejected_later", 0.02)  # accepted, then rejected or expired
CUT: Final = Site("order.cut", 0.05)  # an immediate order expires with a remainder
OVERFILL: Final = Site("order.overfill", 0.01)  # more is filled than was asked for, at once or after the end
FILL_WINS: Final = Site("cancel.fill_wins", 0.25)  # the order fills while its cancel is on the way
PART_FILLS: Final = Site("cancel.part_fills", 0.1)  # a part of it does, the rest is canceled
FILL_AFTER: Final = Site("cancel.fill_after", 0.1)  # it is canceled, and a fill of it is told of after that
AMEND_REFUSED: Final = Site("amend.refused", 0.1)  # the stop would trigger at once

DOUBLED: Final = Site("event.doubled", 0.02)
DROPPED: Final = Site("event.dropped", 0.04)
LATE: Final = Site("event.late", 0.02)  # and so out of order
STALL: Final = Site("stream.stall", 0.0015)  # of each heartbeat: nothing comes, with or without them
DISCONNECT: Final = Site("stream.disconnect", 0.0015)  # drawn at each heartbeat

EMPTY: Final = Site("read.empty", 0.002)  # open orders, positions or balances come back as none, or as zero

# Drawn every ten seconds.
LIQUIDATION: Final = Site("account.liquidation", 0.001)
MANUAL: Final = Site("account.manual", 0.002)  # a person trades, or leaves an order
BUST: Final = Site("account.bust", 0.002)  # a trade of the last minutes is taken back
FLOW: Final = Site("account.flow", 0.001)  # a deposit or a withdrawal
MAINTENANCE: Final = Site("venue.maintenance", 0.001)  # 503 for all; stops may be gone after it
MODE: Final = Site("account.mode", 0.0005)  # a person changes position mode or leverage
FILTERS: Final = Site("venue.filters", 0.002)  # entries are too small for a while

SITES: Final = (
    *PATHS[Kind.SUBMIT],
    *PATHS[Kind.CHANGE],
    *PATHS[Kind.READ],
    BANNED,
    SLOW,
    ACK_LATE,
    REFUSED,
    DUPLICATE,
    LAG,
    HIDDEN,
    ASYNC_REJECT,
    CUT,
    OVERFILL,
    FILL_WINS,
    PART_FILLS,
    FILL_AFTER,
    AMEND_REFUSED,
    DOUBLED,
    DROPPED,
    LATE,
    STALL,
    DISCONNECT,
    EMPTY,
    LIQUIDATION,
    MANUAL,
    BUST,
    FLOW,
    MAINTENANCE,
    MODE,
    FILTERS,
)
