"""A bot folder with daemons that start, trade for a while and die, at a clock that a test moves."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from botd.config.loader import load_plan
from botd.core.orders import Order
from botd.feeds.synthetic import SyntheticFeed
from botd.machine import Machine
from botd.ports import Batch
from botd.runtime.brake import Brake
from botd.runtime.clock import WallClock
from botd.runtime.terminal import Screen
from botd.sessions import Session, SessionOpener
from botd.store.journal import SqliteJournal, open_state

ROOT = Path(__file__).resolve().parents[1]
NOW_US = 1_790_000_000_000_000
MINUTE_US = 60_000_000

# enters on every burst and holds, so that there is something to carry
HOLDER = """strategy: breakout
instruments: [ETH/USDT:USDT, SOL/USDT:USDT]
side: long
let:
  rise: price / high(from 15s to 2s) - 1
S1: { when: rise > 0.1%, cooldown: 15s }
Z1: { when: always, order: { type: market, slippage_max: 100bps }, size: { percent: 2% of equity } }
ZE1:
  - { name: half, when: held > 20s, close: 50% }
  - { name: out, when: held > 1h, close: 100% }
protect: { stop_loss: 20% }
on_stop: keep
"""


class HandClock(WallClock):
    """A wall clock that a test moves."""

    def __init__(self, now_us: int) -> None:
        self.at_us = now_us

    def now_us(self) -> int:
        return self.at_us


class Bench:
    """A bot folder, and daemons that start, trade for a while and die."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = HandClock(NOW_US)
        self.said: list[str] = []
        self.brake = Brake()
        self.summary: Callable[[], str] = str
        shutil.copytree(ROOT / "configs", folder / "configs")
        shutil.copy(ROOT / "config.yaml", folder)
        (folder / "strategies").mkdir()
        self.write(HOLDER)

    def write(self, text: str, name: str = "holder.yaml") -> None:
        (self.folder / "strategies" / name).write_text(text)

    def judge_otherwise(self) -> None:
        """Change what a session stands on: the next start begins another one."""
        config = self.folder / "config.yaml"
        text = config.read_text()
        now = text.replace("outlier_window: 5m", "outlier_window: 6m")
        config.write_text(now if now != text else text.replace("outlier_window: 6m", "outlier_window: 5m"))

    def open(self) -> tuple[Session, SqliteJournal]:
        plan = load_plan(self.folder)
        feed = SyntheticFeed(plan.instruments, seed=1, clock=self.clock)
        journal = open_state(plan.state_path)
        screen = Screen(Console(file=io.StringIO()), self.clock, mode="paper", write=self.said.append)
        self.summary = screen.summary
        try:
            machine = Machine(clock=self.clock)
            opener = SessionOpener(plan, feed, journal, machine=machine, screen=screen, brake=self.brake)
            return opener.open(), journal
        except BaseException:
            journal.close()
            raise

    def trade(self, session: Session, journal: SqliteJournal, minutes: int) -> None:
        """Let time pass, commit what happens, and die without a word."""
        self.clock.at_us += minutes * MINUTE_US
        feed = session.feed
        assert isinstance(feed, SyntheticFeed)
        for chunk in feed.read(session.loop.feed_position, until_us=self.clock.at_us):
            for group in session.loop.run(chunk):
                batch = Batch(
                    session_id=session.id, records=group.records, events=group.events, cursor=group.cursor
                )
                journal.commit(batch)
        self.die(session, journal)

    def die(self, session: Session, journal: SqliteJournal) -> None:
        session.book.close()
        journal.close()


def held(session: Session) -> dict[str, int]:
    return {str(p.instrument): p.qty for p in session.loop.bot.desk.portfolio.positions()}


def live_orders(session: Session) -> list[tuple[str, str, int]]:
    orders: list[Order] = session.loop.bot.desk.orders.live()
    return sorted((o.client_order_id, str(o.status), o.qty) for o in orders)


def recover(bench: Bench, session: Session) -> None:
    """Read rows until the session has met all that it had committed."""
    assert isinstance(session.feed, SyntheticFeed)
    until = bench.clock.at_us + 5_000_000
    for chunk in session.feed.read(session.loop.feed_position, until_us=until):
        if session.loop.recovery is None:
            return
        list(session.loop.run(chunk))
