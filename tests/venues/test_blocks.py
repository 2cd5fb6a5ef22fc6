"""Random orders over random rows: the answers do not depend on how the rows are cut into blocks."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from botd.core.bot import Bot, LaneSpec
from botd.core.events import (
    AmendOrder,
    Answer,
    CancelOrder,
    ClientOrderId,
    Command,
    DecisionKey,
    OrderType,
    Section,
    Side,
    SubmitOrder,
    TimeInForce,
)
from botd.core.instrument import Instrument
from botd.core.lanes import Block
from botd.core.settings import CoreSettings, PaperSettings
from botd.engine.layout import ASZ, BSZ, MARK, P, T
from botd.engine.timers import TimerSource
from botd.language.strategy import read_strategy
from botd.ports import Chunk
from botd.runtime.loop import TradingLoop
from botd.venues.book import SqliteVenueBook
from botd.venues.simulated import SimulatedVenue
from tests.engine.cases import MINUTE, random_bars, random_rows
from tests.venues.stand import PERP, SPOT

D = Decimal
BALANCES = {"USDT": D(100_000_000)}
REPLIES_MAX = 100  # an order may get more than seven answers: replies without end would breed
TEXT = """strategy: quiet
instruments: [X/USDT]
side: long
S1: { when: never }
Z1: { when: always, order: { type: market }, size: { fixed: 1 USDT } }
protect: { stop_loss: 2% }
on_stop: keep
"""


@dataclass(frozen=True)
class Plan:
    """Commands by the row of an instrument after which they are given."""

    commands: Mapping[tuple[str, int], Sequence[Command]]


class PlannedBot(Bot):
    """A bot that gives planned commands at planned rows, and more of them at some answers."""

    def __init__(self, plan: Plan, instruments: Sequence[Instrument], block_max: int, bars: bool) -> None:
        strategy, faults = read_strategy(TEXT, "quiet.yaml")
        assert strategy is not None, faults
        specs = [LaneSpec(instrument=i, strategies=(strategy,)) for i in instruments]
        super().__init__(
            CoreSettings(equity=BALANCES),
            specs,
            id_prefix="p",
            block_max=block_max,
            bar_length_us=MINUTE if bars else None,
        )
        self.plan = plan
        self.heard: list[Answer] = []
        self.late = 0

    def advance(self, block: Block, row: int, until: int) -> tuple[int, list[Command]]:
        for place in range(row, until):
            lane = self.lanes[0 if block.lane_of is None else int(block.lane_of[place])]
            own = lane.row0 + lane.local(place)
            commands = self.plan.commands.get((lane.instrument.id, own))
            for other in self.lanes:
                other.next = other.local(place + 1)
            if commands:
                return place + 1, list(commands)
        return until, []

    def apply(self, answers: Sequence[Answer]) -> list[Command]:
        return [command for answer in answers for command in self._reply(answer)]

    def _reply(self, answer: Answer) -> list[Command]:
        self.heard.append(answer)
        if answer.seq % 7 or self.late == REPLIES_MAX:
            return []
        self.late += 1  # an order in reply to an answer, as the resting stop is
        lane = self.lanes[answer.seq % len(self.lanes)]
        return [
            _order(lane.instrument, 100_000 + self.late, answer.ts_us, random.Random(answer.seq), 100_000)
        ]


def _order(instrument: Instrument, number: int, t: int, rng: random.Random, price: int) -> SubmitOrder:
    side = rng.choice(list(Side))
    kind = rng.choice([OrderType.MARKET, OrderType.LIMIT, OrderType.LIMIT, OrderType.STOP_MARKET])
    near = price + rng.randint(-120, 120)
    return SubmitOrder(
        client_order_id=ClientOrderId(f"o{number}"),
        key=DecisionKey(f"s{number % 3}", instrument.id, number, Section.Z1, ""),
        instrument=instrument.id,
        side=side,
        type=kind,
        tif=TimeInForce.IOC if kind is OrderType.MARKET else TimeInForce.GTC,
        qty=rng.randint(1, 900),
        limit=None
        if kind is OrderType.STOP_MARKET or (rng.random() < 0.2 and kind is OrderType.MARKET)
        else near,
        stop=near if kind is OrderType.STOP_MARKET else None,
        reduce_only=kind is not OrderType.LIMIT and rng.random() < 0.5,
        expire_us=t + rng.randint(1, 40_000_000) if kind is OrderType.LIMIT and rng.random() < 0.5 else None,
        ts_us=t,
    )


def planned(
    rng: random.Random, rows: Mapping[Instrument, NDArray[np.int64]], count: int, *, bars: bool = False
) -> Plan:
    """Make orders at random rows, market's and timers', with cancels and amendments of recent ones."""
    commands: dict[tuple[str, int], list[Command]] = {}
    numbers = iter(range(1, 10**6))
    for instrument, market in rows.items():
        own = TimerSource(MINUTE if bars else None).extend(market, int(market[T, -1]))
        recent = [ClientOrderId("o0")]
        for index in sorted(rng.randrange(own.shape[1]) for _ in range(count)):
            t, price = int(own[T, index]), int(own[P, index])
            here = commands.setdefault((instrument.id, index), [])
            draw = rng.random()
            known = rng.choice(recent[-5:])
            if draw < 0.6:
                order = _order(instrument, next(numbers), t, rng, price)
                recent.append(order.client_order_id)
                here.append(order)
            elif draw < 0.8:
                here.append(CancelOrder(client_order_id=known, instrument=instrument.id, ts_us=t))
            else:
                qty = rng.randint(1, 900)
                here.append(AmendOrder(client_order_id=known, instrument=instrument.id, qty=qty, ts_us=t))
    return Plan(commands)


def run(
    plan: Plan,
    rows: Mapping[Instrument, NDArray[np.int64]],
    *,
    block_max: int,
    chunks: Sequence[int],
    bars: bool = False,
    keep: SqliteVenueBook | None = None,
) -> list[Answer]:
    """Run the rows through a loop in chunks of the given sizes; return what the bot heard."""
    instruments = list(rows)
    bot = PlannedBot(plan, instruments, block_max, bars)
    settings = PaperSettings(seed=3, latency_min_us=0, latency_max_us=2_000_000)
    venue = SimulatedVenue(instruments, settings, balances=BALANCES, bars_only=bars, book=keep)
    length = MINUTE if bars else None
    loop = TradingLoop(bot, venue, lane_of=range(len(instruments)), bar_length_us=length)
    merged = np.concatenate(list(rows.values()), axis=1)
    owner = np.concatenate([np.full(own.shape[1], k) for k, own in enumerate(rows.values())])
    order = np.lexsort((owner, merged[T]))
    merged, owner = merged[:, order], owner[order]
    at = 0
    sizes = iter([*chunks, *[10**9]])
    while at < merged.shape[1]:
        stop = min(merged.shape[1], at + next(sizes))
        chunk = Chunk(position=at, instrument=owner[at:stop], rows=np.ascontiguousarray(merged[:, at:stop]))
        for _ in loop.run(chunk):
            pass
        at = stop
    for _ in loop.stop():
        pass
    return bot.heard


def prepared(seed: int, n: int) -> NDArray[np.int64]:
    rows = random_rows(seed, n, timers=False)
    rows[MARK] = 0
    rows[BSZ, ::3] = rows[ASZ, ::3] = 0  # unknown sizes among known ones
    return rows


@pytest.mark.parametrize("case", ["one", "two", "bars"])
def test_answers_do_not_depend_on_blocks_or_chunks(case: str, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    if case == "bars":
        rows = {PERP: random_bars(seed, 700)}
    else:
        rows = {PERP: prepared(seed, 1500)}
        if case == "two":
            rows[SPOT] = prepared(seed + 1, 1200)
    bars = case == "bars"
    plan = planned(rng, rows, 500 if bars else 200, bars=bars)
    expected = run(plan, rows, block_max=512, chunks=[], bars=bars)
    assert len(expected) > 150
    assert len({type(answer) for answer in expected}) == 6
    for block_max in (1, 7, rng.randint(2, 400)):
        chunks = [rng.randint(1, 200) for _ in range(60)]
        assert run(plan, rows, block_max=block_max, chunks=chunks, bars=bars) == expected
    keep = SqliteVenueBook(tmp_path / "venue.sqlite3", "paper")
    assert run(plan, rows, block_max=33, chunks=[500], bars=bars, keep=keep) == expected
    kept = keep.load(0)
    keep.close()
    assert kept is not None
    assert [due.answer for due in kept[1]] == expected


def test_rows_one_by_one_give_what_the_loop_gives() -> None:
    """Hold the loop's shortcuts (deadlines, first touch) to a venue that is asked at every row."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    rows = prepared(seed, 1500)
    plan = planned(rng, {PERP: rows}, 200)
    settings = PaperSettings(seed=3, latency_min_us=0, latency_max_us=2_000_000)
    bot = PlannedBot(plan, [PERP], 64, bars=False)
    venue = SimulatedVenue([PERP], settings, balances=BALANCES)
    loop = TradingLoop(bot, venue, lane_of=[0], bar_length_us=None)
    for _ in loop.run(Chunk(position=0, instrument=np.zeros(1500, np.int64), rows=rows)):
        pass

    merged = TimerSource().extend(rows, int(rows[T, -1]))
    slow = PlannedBot(plan, [PERP], 64, bars=False)
    asked = SimulatedVenue([PERP], settings, balances=BALANCES)
    number = 0
    for row in range(merged.shape[1]):
        while True:
            answers = asked.execute(PERP.id, merged, 0, row, int(merged[T, row]), row, own=True)
            replies = slow.apply(answers)
            for command in replies:
                number += 1
                asked.send(number, command)
            if not answers:
                break
        for command in plan.commands.get((PERP.id, row), ()):
            number += 1
            asked.send(number, command)
    assert slow.heard == bot.heard
