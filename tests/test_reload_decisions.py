"""A reload decides what a run decides that had the edit from that row on, whatever warmed it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from botd.app import build_bot, build_loop, read_pins
from botd.config.plan import Plan
from botd.core.bot import Bot
from botd.core.decisions import canonical_line
from botd.core.records import Record
from botd.core.swap import pins_due
from botd.core.updates import AlertRecord
from botd.feeds.synthetic import SyntheticFeed
from botd.machine import read_plan
from botd.ports import Chunk
from botd.runtime.loop import Group, TradingLoop
from botd.warming import catch_up, look, warm
from tests.session_scene import MINUTE_US, NOW_US, ROOT, HandClock

SHIPPED = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (ROOT / "config.yaml", *(ROOT / "configs").glob("*.yaml"))
}
RIDER = """strategy: rider
instruments: [ETH/USDT:USDT, SOL/USDT:USDT, EVX/BTC]
side: long
let:
  rise: price / high(from 15s to 2s) - 1
S1: { when: rise > 0.1%, cooldown: 15s }
Z1: { when: always, order: { type: market, slippage_max: 100bps }, size: { percent: 2% of equity } }
ZE1:
  - { name: half, when: held > 20s, close: 50% }
  - { name: out, when: held > 3m, close: 100% }
protect: { stop_loss: 20% }
on_stop: keep
"""
STEADY = """strategy: steady
instruments: [BTC/USDT:USDT, ETH/USDT:USDT]
side: long
let:
  fast: ema(close(5s), 9)
  slow: ema(close(5s), 21)
S1: { when: fast crosses above slow, cooldown: 20s }
Z1: { when: price > 0, order: { type: market }, size: { fixed: 100 USDT } }
ZE1: [ { name: back, when: fast < slow, close: 100% } ]
protect: { stop_loss: 3% }
on_stop: keep
"""
EDITS = {
    "a threshold": lambda text: text.replace("0.1%", "0.05%"),
    "a window": lambda text: text.replace("from 15s to 2s", "from 40s to 1s"),
    "a longer average": lambda text: text.replace("let:", "let:\n  mean: sma(close(1m), 30)").replace(
        "rise > 0.1%", "rise > 0.05% and price > mean"
    ),
    "exits, adopted": lambda text: text.replace("held > 3m", "held > 40s").replace(
        "on_stop", "on_reload: adopt\non_stop"
    ),
    "exits, pinned": lambda text: text.replace("held > 3m", "held > 40s"),
    "its stop, adopted": lambda text: text.replace("20%", "2%").replace(
        "on_stop", "on_reload: adopt\non_stop"
    ),
    "its instruments": lambda text: text.replace("ETH/USDT:USDT, SOL/USDT:USDT", "BTC/USDT:USDT"),
}


def plan_of(rider: str | None) -> Plan:
    files = {**SHIPPED, "strategies/steady.yaml": STEADY}
    return read_plan(files if rider is None else {**files, "strategies/rider.yaml": rider})


@dataclass
class Day:
    """A loop over the synthetic market; what it recorded."""

    plan: Plan
    records: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.feed = SyntheticFeed(self.plan.instruments, seed=3, clock=HandClock(NOW_US + 7_200_000_000))
        self.start = self.feed.position_at(NOW_US)
        self.loop: TradingLoop = build_loop(self.plan, self.feed, session_id="day")
        self.loop.feed_position = self.start

    def chunks(self, since: int, until_us: int, sizes: Sequence[int]) -> Iterator[Chunk]:
        """Cut the rows from a position on into chunks of any size, and read no further than a time."""
        pending = iter(sizes)
        for chunk in self.feed.read(since, until_us=until_us):
            at = 0
            while at < chunk.rows.shape[1]:
                end = at + next(pending)
                rows = np.ascontiguousarray(chunk.rows[:, at:end])
                yield replace(
                    chunk, position=chunk.position + at, instrument=chunk.instrument[at:end], rows=rows
                )
                at = end

    def run(self, until_us: int, sizes: Sequence[int]) -> None:
        for chunk in self.chunks(self.loop.feed_position, until_us, sizes):
            self.take(self.loop.run(chunk))

    def take(self, groups: Iterator[Group]) -> None:
        for group in groups:
            self.records.extend(group.records)

    def make(self, plan: Plan) -> Bot:
        pins = pins_due(self.loop.bot, plan.strategies)
        revisions = read_pins(plan, pins, read_plan) if pins else ()
        return build_bot(plan, self.feed, session_id="day", pins=pins, revisions=revisions)

    def swap(self, bot: Bot) -> None:
        assert catch_up(bot, self.loop.bot)
        self.records.extend(self.loop.exchange(bot).records)
        self.take(self.loop.send_unsent(again=False))

    def decided(self) -> list[str]:
        return [line for one in self.records if (line := canonical_line(one)) is not None]

    def alerts(self) -> list[str]:
        return [one.type for one in self.records if isinstance(one, AlertRecord)]


def reload_as_the_daemon_does(day: Day, plan: Plan, rng: random.Random) -> None:
    """Warm with what is at hand, while rows go on, and swap."""
    bot = day.make(plan)
    loop = day.loop
    place = look(loop.bot, bot, loop.ts_us, loop.judged_feed_position)
    warm(bot, plan, day.feed, place)
    pins = bot.pins
    day.run(loop.ts_us + rng.randint(1, 20) * 100_000, [rng.randint(1, 50) for _ in range(5_000)])
    if tuple(pins_due(loop.bot, plan.strategies)) != pins:  # as it is then: what was due is not any more
        return reload_as_the_daemon_does(day, plan, rng)
    return day.swap(bot)


def reload_after_the_whole_day(day: Day, plan: Plan) -> None:
    """Warm with every row of the session: what a run has that knew these nodes from the first row on."""
    loop = day.loop
    bot = day.make(plan)
    other = build_loop(plan, day.feed, session_id="day")
    other.bot, bot_lanes = bot, bot.lanes
    end = loop.judged_feed_position
    for chunk in day.feed.read(day.start, until_us=loop.ts_us + 1):
        count = min(chunk.rows.shape[1], end - chunk.position)
        if count <= 0:
            break
        rows = np.ascontiguousarray(chunk.rows[:, :count])
        last = chunk.position + count == end
        other.warm(
            replace(chunk, instrument=chunk.instrument[:count], rows=rows),
            until_us=loop.ts_us + 1 if last else None,
        )
    assert [lane.engine.rows_seen for lane in bot_lanes] == [lane.engine.rows_seen for lane in loop.bot.lanes]
    day.swap(bot)


@pytest.mark.parametrize("edit", EDITS)
def test_edit_decides_from_its_row_on_as_if_it_had_always_been_there(edit: str) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    edited = plan_of(EDITS[edit](RIDER))
    live = Day(plan_of(RIDER))
    sizes = [rng.randint(1, 3_000) for _ in range(20_000)]
    live.run(NOW_US + rng.randint(36 * 60, 50 * 60) * 1_000_000, sizes)
    assert len(live.decided()) > 30
    reload_as_the_daemon_does(live, edited, rng)
    at_us, position = live.loop.ts_us, live.loop.judged_feed_position
    live.run(at_us + 15 * MINUTE_US, sizes)

    whole = Day(plan_of(RIDER))
    whole.run(at_us + 1, [65_536] * 1_000)
    assert whole.loop.judged_feed_position == position
    reload_after_the_whole_day(whole, edited)
    whole.run(at_us + 15 * MINUTE_US, [512] * 100_000)
    assert live.decided() == whole.decided()
    if edit == "exits, pinned":
        assert live.alerts().count("revision_pinned") == len(live.loop.bot.pins)


def test_strategies_that_were_not_edited_decide_as_if_nothing_had_happened() -> None:
    quiet = Day(plan_of(RIDER))
    quiet.run(NOW_US + 40 * MINUTE_US, [65_536] * 1_000)
    edited = Day(plan_of(RIDER))
    edited.run(NOW_US + 20 * MINUTE_US, [65_536] * 1_000)
    reload_as_the_daemon_does(edited, plan_of(EDITS["a window"](RIDER)), random.Random(1))
    edited.run(NOW_US + 40 * MINUTE_US, [65_536] * 1_000)

    def steady(day: Day) -> list[str]:
        return [
            line
            for one in day.records
            if getattr(one, "strategy", None) == "steady"
            and type(one).__name__ == "SignalRecord"
            and (line := canonical_line(one))
        ]

    assert len(steady(quiet)) > 10
    assert steady(edited) == steady(quiet)
