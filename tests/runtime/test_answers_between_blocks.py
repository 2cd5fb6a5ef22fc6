"""What a remote venue answers in the middle of a block is met again at the place where it was booked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from botd.core.bot import Bot, LaneSpec
from botd.core.events import OrderAccepted, OrderEnded, Side
from botd.core.instrument import InstrumentId
from botd.core.records import OrderRecord
from botd.core.settings import CoreSettings
from botd.engine.layout import T
from botd.errors import StateCorrupt
from botd.ports import AnswersEvent, Chunk, OrderReport, OrderState
from botd.runtime.brake import Brake
from botd.runtime.gateway import Gateway
from botd.runtime.loop import Group, TradingLoop
from botd.runtime.recovery import Recovery
from botd.simulation.exchange.exchange import RULES
from tests.core.scene import NO_LIMITS, PERP, D, rows, strategy
from tests.runtime.manual_clock import ManualClock

OTHER = replace(PERP, id=InstrumentId("ETH/USDT:USDT"))
RESTS = "when: always, order: { type: limit, price: price - 20, ttl: 1h }, size: { fixed: 1 BTC }"
FIRST = strategy("first", z1=RESTS)
SECOND = strategy("second", z1=RESTS, instrument=OTHER.id)


class Venue:
    """A venue that is never asked: what it shows is told to the tracker by hand."""

    rules = RULES


def chunk(position: int, *prints: tuple[int, int, int]) -> Chunk:
    """Return prints of (second, lane, price)."""
    return Chunk(
        position=position,
        instrument=np.array([lane for _, lane, _ in prints], np.int64),
        rows=rows(*((second, price) for second, _, price in prints)),
    )


# the second strategy's order is over in the middle of the later block, in which it could fire again
BEFORE = chunk(0, (0, 0, 99), (0, 1, 99), (1, 1, 105))
BLOCK = chunk(3, (10, 0, 105), (11, 1, 99), (12, 1, 105), (13, 1, 99))
AFTER = chunk(7, (20, 1, 99), (21, 1, 105))


def start(recovery: Recovery | None = None) -> tuple[TradingLoop, Gateway]:
    specs = [LaneSpec(instrument=PERP, strategies=(FIRST,)), LaneSpec(instrument=OTHER, strategies=(SECOND,))]
    bot = Bot(CoreSettings(equity={"USDT": D(100_000)}, limits=NO_LIMITS), specs, id_prefix="botd-1")
    clock = ManualClock(int(BEFORE.rows[T, 0]))
    gateway = Gateway(Venue(), clock, lambda: 0.0, Brake())  # type: ignore[arg-type]
    loop = TradingLoop(bot, gateway, lane_of=[0, 1], bar_length_us=None, recovery=recovery)
    gateway.serve(loop, [])
    return loop, gateway


def day(loop: TradingLoop, gateway: Gateway) -> Iterator[Group]:
    """Yield what is committed; the venue speaks while the block's first order is being committed."""
    yield from loop.run(BEFORE)
    (waiting,) = gateway.tracker.tickets
    for group in loop.run(BLOCK):
        yield group
        if any(isinstance(one, OrderRecord) for one in group.records):
            report = OrderReport(
                client_order_id=waiting,
                instrument=OTHER.id,
                state=OrderState.EXPIRED,
                side=Side.BUY,
                qty=1,
                filled=0,
                reduce_only=False,
                ts_us=int(BLOCK.rows[T, 0]),
                limit=85,
            )
            gateway.tracker.report(report, 0.0)
    yield from loop.run(AFTER)


def test_answer_in_the_middle_of_a_block_is_decided_on_alike_after_a_restart() -> None:
    loop, gateway = start()
    groups = list(day(loop, gateway))
    told = [event for group in groups for event in group.events if isinstance(event, AnswersEvent)]
    assert [type(one) for event in told for one in event.answers] == [OrderAccepted, OrderEnded]
    assert told[0].position > BEFORE.rows.shape[1] + 1  # not before the rows that were judged without it
    recovery = Recovery(groups[-1].cursor, [event for group in groups for event in group.events])
    again, _ = start(recovery)
    for one in (BEFORE, BLOCK, AFTER):
        list(again.run(one))
    assert again.recovery is None
    assert again.bot.desk.seq == loop.bot.desk.seq
    assert again.state()["bot"]["desk"] == loop.state()["bot"]["desk"]


def test_session_that_is_not_met_again_as_it_was_is_refused() -> None:
    loop, gateway = start()
    groups = list(day(loop, gateway))
    recovery = Recovery(groups[-1].cursor, [])  # what the venue answered is gone
    again, _ = start(recovery)
    with pytest.raises(StateCorrupt, match="is not met again as it was"):
        for one in (BEFORE, BLOCK, AFTER):
            list(again.run(one))
