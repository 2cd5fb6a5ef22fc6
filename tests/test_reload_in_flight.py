"""Edits of risk, lifecycle and execution, saved while an order is unanswered and a position is open."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from botd.app import build_bot, build_loop
from botd.config.loader import load_plan
from botd.core.decisions import canonical_line
from botd.core.outcomes import DenyReason, OrderStatus
from botd.core.records import Record
from botd.core.swap import pins_due
from botd.daemon import Daemon
from botd.feeds.recorded import RecordedFeed
from botd.machine import Machine
from botd.ports import Chunk
from botd.reception import NoApi
from botd.runtime.loop import TradingLoop
from botd.runtime.shutdown import StopRequest
from botd.simulation.machine import QuietScreen
from botd.store.fsck import examine
from botd.store.queries import StateReader
from tests.cli.bots import RIDER, edit, make_bot, write_pump

# enters in the first burst and stays in; the shipped lifecycle closes it after four hours
HOLDER = """strategy: holder
instruments: [NXS/BTC]
side: long
S1: { when: change(10s) > 1%, cooldown: 4h }
Z1: { when: always, order: { type: market }, size: { percent: 5% of equity } }
protect: { stop_loss: 20% }
on_stop: keep
"""
OWN_SLIPPAGE = "order: { type: market, slippage_max: 200bps }"
STANDS_S = 60.0  # that a daemon may take to load and to come to a place; it takes one or two
Found = dict[str, Any]


class GatedFeed(RecordedFeed):
    """A recorded feed that stands still before a row until a test has it go on."""

    def __init__(self, path: Path, *, gate: int) -> None:
        super().__init__(path)
        self._gate = gate
        self.stands = asyncio.Event()  # every row before the gate is judged
        self.goes_on = asyncio.Event()

    async def stream(self, position: int) -> AsyncIterator[Chunk]:
        assert position == 0
        yield self.cut(0, self._gate)
        self.stands.set()
        await self.goes_on.wait()
        yield self.cut(self._gate, self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a daemon left: decisions as lines, orders and trades oldest first, and who was in flight."""

    lines: list[str]
    orders: list[Any]
    trades: list[Any]
    denials: list[Any]
    alerts: list[str]
    in_flight: str
    outcome: OrderStatus  # of that order
    revisions: tuple[str, str]

    def after(self) -> list[Any]:
        """Return the orders decided under the edit."""
        return [one for one in self.orders if one.revision == self.revisions[1]]


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    folder = make_bot(tmp_path / "bot", rider=RIDER, holder=HOLDER)
    edit(folder / "config.yaml", "speed: 1\n", "speed: max\n")  # late rows are none to be held for
    write_pump(folder / "data/nxs.parquet", bursts=4)
    return folder


def judged(loop: TradingLoop, chunk: Chunk) -> Iterator[Record]:
    for group in loop.run(chunk):
        yield from group.records


def in_flight(loop: TradingLoop) -> str | None:
    """Return the unanswered entry of the rider while the holder holds, None where there is none."""
    desk = loop.bot.desk
    holds = any(one.strategy == "holder" for one in desk.portfolio.positions())
    waiting = [
        one
        for one in desk.orders.live()
        if one.status is OrderStatus.SUBMITTED and (one.key.strategy, one.key.section) == ("rider", "Z1")
    ]
    return waiting[0].client_order_id if holds and waiting else None


def find_gate(folder: Path) -> int:
    """Return the first row behind which an order is unanswered and a position is open."""
    feed = RecordedFeed(folder / "data/nxs.parquet")
    loop = build_loop(load_plan(folder), feed, session_id="s")
    row = 0
    while in_flight(loop) is None:
        assert row < feed.count
        list(judged(loop, feed.cut(row, row + 1)))
        row += 1
    return row


async def first_of(awaited: Coroutine[Any, Any, object], serving: asyncio.Task[int]) -> None:
    """Wait for something; fail at once where the daemon ends instead."""
    waiting = asyncio.ensure_future(awaited)
    await asyncio.wait((waiting, serving), return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        pytest.fail(f"the daemon ended: {serving.result()}")


async def run_daemon(folder: Path, gate: int, file: str, changes: dict[str, str]) -> Ended:
    """Run a daemon to the end of its data, with an edit saved while it stands at the gate."""
    said: list[str] = []
    reloaded = asyncio.Event()

    def say(line: str) -> None:
        said.append(line)
        if line.startswith("reload"):
            reloaded.set()

    feed, before = GatedFeed(folder / "data/nxs.parquet", gate=gate), load_plan(folder)
    machine = Machine(open_api=lambda plan, needs: NoApi())
    daemon = Daemon(
        before, data=None, speed=None, screen=QuietScreen(say), machine=machine, config=folder, feed=feed
    )

    async def serve() -> int:
        with machine.lock(folder / "state"):
            return await daemon.serve(StopRequest())

    serving = asyncio.create_task(serve())
    async with asyncio.timeout(STANDS_S):
        await first_of(feed.stands.wait(), serving)
        with StateReader(folder / "state/botd.sqlite3") as reader:
            session = reader.session().id
            entries = [one for one in reader.recent_orders(session) if one.section == "Z1"]
            sent = [one for one in entries if (one.strategy, one.status) == ("rider", "submitted")]
            assert len(sent) == 1
            assert {one.strategy for one in reader.positions(session)} >= {"holder"}
        for old, new in changes.items():
            edit(folder / file, old, new)
        await first_of(reloaded.wait(), serving)
    assert said[-1] == f"reloaded: {file}: changed"
    feed.goes_on.set()
    assert await asyncio.wait_for(serving, STANDS_S) == 0
    assert examine(folder / "state/botd.sqlite3").findings == ()
    with StateReader(folder / "state/botd.sqlite3") as reader:
        found = list(reader.decisions(session))
        return Ended(
            lines=[line for kind, one in found if (line := canonical_line(one, kind)) is not None],
            orders=list(reversed(reader.recent_orders(session, limit=1_000))),
            trades=list(reader.trades(session)),
            denials=[one.reason for kind, one in found if kind.__name__ == "RiskRecord" and not one.approved],
            alerts=[one.type for one in reader.recent_alerts(session)],
            in_flight=sent[0].client_order_id,
            outcome=reader.recent_orders(session, name=sent[0].client_order_id)[0].status,
            revisions=(before.config_hash[:12], load_plan(folder).config_hash[:12]),
        )


def decided_with_the_edit_from_there(folder: Path, gate: int, files_before: dict[Path, str]) -> list[str]:
    """Return what a loop without a daemon decides, whose plan is another one from the gate on."""
    after = load_plan(folder)
    texts = {path: path.read_text() for path in files_before}
    for path, text in files_before.items():
        path.write_text(text)
    before = load_plan(folder)
    for path, text in texts.items():
        path.write_text(text)
    feed = RecordedFeed(folder / "data/nxs.parquet")
    loop = build_loop(before, feed, session_id="s")
    records = list(judged(loop, feed.cut(0, gate)))
    assert in_flight(loop) is not None
    assert pins_due(loop.bot, after.strategies) == []
    records += loop.exchange(build_bot(after, feed, session_id="s")).records
    loop.venue.go_by(after.settings.paper)
    for sent in loop.send_unsent(again=False):
        records += sent.records
    records += judged(loop, feed.cut(gate, feed.count))
    return [line for one in records if (line := canonical_line(one)) is not None]


async def edited(folder: Path, file: str, changes: dict[str, str]) -> Ended:
    """Save an edit with an order unanswered and a position open; check what holds for any edit."""
    gate, texts = find_gate(folder), {folder / file: (folder / file).read_text()}
    ended = await run_daemon(folder, gate, file, changes)
    assert ended.lines == decided_with_the_edit_from_there(folder, gate, texts)
    keys = [(one.strategy, one.section, one.rule, one.cycle, one.leg) for one in ended.orders]
    assert len(keys) == len(set(keys))
    (waited,) = [one for one in ended.orders if one.client_order_id == ended.in_flight]
    assert waited.revision == ended.revisions[0]
    assert {one.revision for one in ended.orders} == set(ended.revisions)
    return ended


def ratio(order: Any) -> Decimal:
    """Return how far a market entry may go from the top that it was decided at."""
    return Decimal(order.limit_price) / Decimal(order.decision_price) - 1


async def test_I8_limit_edited_with_an_order_in_flight_denies_the_next_one(bot: Path) -> None:
    ended = await edited(bot, "configs/risk.yaml", {"positions_max: 5": "positions_max: 1"})
    assert ended.outcome is OrderStatus.FILLED
    assert set(ended.denials) == {DenyReason.POSITIONS_MAX}
    assert [one.strategy for one in ended.after() if one.section == "Z1"] == []
    assert [one.strategy for one in ended.trades].count("rider") == 2  # with the one that was in flight
    assert {one.revision for one in ended.trades if one.strategy == "rider"} == {ended.revisions[0]}


async def test_I8_timeout_edited_with_an_order_in_flight_closes_what_is_open(bot: Path) -> None:
    changes = {"warning: 180m": "warning: 4m", "holding_max: 240m": "holding_max: 6m"}
    ended = await edited(bot, "configs/lifecycle.yaml", changes)
    assert ended.outcome is OrderStatus.FILLED
    (closed,) = [one for one in ended.trades if one.strategy == "holder"]
    assert (closed.exit_section, closed.exit_rule) == ("protect", "holding_max")
    assert closed.closed_us - closed.opened_us < 362_000_000  # the first row after six minutes
    assert ended.alerts.count("exits_adopted") == 1
    (out,) = [one for one in ended.after() if one.strategy == "holder"]
    assert (closed.revision, out.revision) == ended.revisions
    assert ended.denials == []


async def test_I8_slippage_edited_with_an_order_in_flight_bounds_the_next_one(bot: Path) -> None:
    edit(bot / "strategies/rider.yaml", OWN_SLIPPAGE, "order: { type: market }")
    ended = await edited(bot, "configs/execution.yaml", {"slippage_max: 0.5%": "slippage_max: 2%"})
    assert ended.outcome is OrderStatus.FILLED
    bounds = {revision: [] for revision in ended.revisions}
    for one in ended.orders:
        if one.section == "Z1":
            bounds[one.revision].append(ratio(one))
    before, after = (bounds[revision] for revision in ended.revisions)
    assert len(before) == 3  # the holder's, the rider's first, and the one in flight: as it was sent
    assert len(after) == 2
    assert max(before) <= Decimal("0.005") < Decimal("0.019") < min(after)
    assert max(after) <= Decimal("0.02")
    assert ended.denials == []
