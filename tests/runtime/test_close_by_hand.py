"""A person's close and cancel in the trading loop: between two blocks only, and met again after any death."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from botd.core.events import Section
from botd.core.records import OrderRecord
from botd.core.restraint import Cause, TradingCommand, Verb
from botd.core.updates import AlertRecord
from botd.ports import Chunk
from botd.runtime.brake import Brake
from botd.runtime.loop import Group, TradingLoop
from tests.core.scene import PERP, rows
from tests.runtime.test_brake import PRICES, ROUNDS, Killed, Session

CLOSE = TradingCommand(
    verb=Verb.CLOSE, cause=Cause.COMMAND, who="ann", reason="enough", scope=PERP.id, strategy="rider"
)


class ByChunk(Session):
    """A session whose rows come some at a time; what waits is obeyed in between, as the live driver does."""

    chunk_rows = 5

    def run(self, *, die_at: int | None = None, after_sending: bool = False) -> TradingLoop:
        loop = self.open()
        market = rows(*enumerate(PRICES * ROUNDS))
        for first in range(0, market.shape[1], self.chunk_rows):
            part = np.ascontiguousarray(market[:, first : first + self.chunk_rows])
            chunk = Chunk(position=first, instrument=np.zeros(part.shape[1], np.int64), rows=part)
            for group in loop.run(chunk):
                self._keep(group, loop, die_at, after_sending)
            while loop.brake.asked and loop.recovery is None:
                for group in loop.obey(loop.ts_us):
                    self._keep(group, loop, die_at, after_sending)
        return loop

    def _keep(self, group: Group, loop: TradingLoop, die_at: int | None, after_sending: bool) -> None:
        if after_sending and len(self.groups) == die_at:
            raise Killed
        self._commit(group, loop)
        if not after_sending and len(self.groups) == die_at:
            raise Killed


def closes(session: Session) -> list[OrderRecord]:
    return [one for one in session.of(OrderRecord) if one.section is Section.MANUAL]


def entered(session: Session, nth: int) -> int:
    """Return after which commit the rider has bought for the nth time, and holds."""
    fills = [
        k
        for k, group in enumerate(session.groups, start=1)
        for one in group.records
        if type(one).__name__ == "FillRecord" and one.strategy == "rider" and one.section is Section.Z1
    ]
    return fills[nth]


@pytest.fixture(scope="module")
def quiet() -> ByChunk:
    session = ByChunk()
    session.run()
    return session


def test_G2_death_at_any_commit_around_a_close_changes_nothing_of_it(quiet: ByChunk) -> None:  # noqa: N802
    at = entered(quiet, 3)
    whole = ByChunk({at: CLOSE})
    whole.run()
    (order,) = closes(whole)
    (event,) = whole.events("command")
    assert '"close"' in event.payload and order.rule == "close"
    assert [one.type for one in whole.of(AlertRecord)] == ["position_closed_by_hand"]
    for commit in range(at, at + 8):
        for after_sending in (False, True):
            for chunk_rows in (5, 7):
                session = ByChunk({at: CLOSE})
                with pytest.raises(Killed):
                    session.run(die_at=commit, after_sending=after_sending)
                session.chunk_rows = chunk_rows if closes(session) else 5
                session.run()
                where = f"died at {commit}, after sending: {after_sending}, then {chunk_rows} rows"
                assert session.told() == whole.told(), where
                sent = [one.client_order_id for one in session.sent]
                assert sent == [one.client_order_id for one in whole.sent], where  # each once


def test_close_and_cancel_wait_for_a_place_between_two_blocks() -> None:
    brake, settled = Brake(), list[str]()
    cancel = TradingCommand(verb=Verb.CANCEL, cause=Cause.COMMAND, who="ann", scope="o-1")
    halt = TradingCommand(verb=Verb.HALT, cause=Cause.COMMAND, who="ann")
    brake.ask(CLOSE, then=partial(settled.append, "close"))
    brake.ask(cancel)
    assert (brake.on, brake.asked, brake.urgent) == (False, True, False)
    brake.ask(halt)
    assert brake.take(ending=False) == [halt]
    brake.settle()
    assert (brake.asked, brake.urgent, settled) == (True, False, [])
    assert brake.take() == [CLOSE, cancel]
    brake.settle()
    assert settled == ["close"]
