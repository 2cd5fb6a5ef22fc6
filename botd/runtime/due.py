"""When an event-time venue has to be asked next, and what it answers then."""

from __future__ import annotations

from collections.abc import Sequence

from botd.core.events import Answer
from botd.core.lanes import Block, Lane
from botd.ports import EventVenue


def next_due(
    venue: EventVenue, lanes: Sequence[Lane], block: Block, start: int, place: int
) -> tuple[int, Lane | None]:
    """Return the first merged place at or after `place` before which the venue has to be asked."""
    best, found = block.n, None
    waiting = venue.waiting_position()
    if waiting < start + best:
        best = max(place, waiting - start)
    for lane in lanes:
        name = lane.instrument.id
        if not venue.busy(name):
            continue
        deadline = venue.deadline_us(name)
        if block.last_us >= deadline:
            at = place + int(block.times[place:].searchsorted(deadline))
            if at < best:
                best, found = at, lane
        if lane.n == 0:
            continue
        first = lane.base + lane.local(place)
        stop = lane.base + lane.local(best)
        if first < stop:
            touch = venue.first_touch(name, lane.engine.ring, lane.engine.first_row, first, stop)
            if touch < stop:
                best, found = lane.place(touch - lane.base), lane
    return best, found


def answers_due(venue: EventVenue, block: Block, lane: Lane | None, start: int, place: int) -> list[Answer]:
    """Return what the venue answers at a merged place that `next_due` gave, with the lane it gave."""
    late = venue.take_waiting(start + place)
    if lane is None:
        return late
    row = lane.local(place)
    own = row < lane.n and lane.place(row) == place
    engine = lane.engine
    index = lane.base + row if lane.n else engine.rows_seen - engine.first_row
    now = int(block.times[place])
    return late + venue.execute(
        lane.instrument.id, engine.ring, engine.first_row, index, now, start + place, own=own
    )
