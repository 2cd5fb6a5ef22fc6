"""Random sessions at a venue that answers late, partly, or not as asked: what must hold whatever happens."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import pytest

from botd.core.events import AmendOrder, CancelOrder, Command, OrderType, Side, SubmitOrder
from botd.core.records import IntentRecord, OrderRecord, RiskRecord, TradeRecord
from botd.core.restraint import Cause, TradingCommand, Verb
from tests.core.scene import NO_LIMITS, Scene, strategy

ROWS = 400
RESTING = "when: always, order: { type: limit, price: price - 1, ttl: 60s }, size: { fixed: 10 BTC }"


@dataclass(slots=True)
class Resting:
    command: SubmitOrder
    qty: int
    filled: int = 0


class Venue:
    """Takes requests after a delay of their own and keeps the true positions."""

    def __init__(self, scene: Scene, chance: random.Random) -> None:
        self.scene = scene
        self.chance = chance
        self.waiting: list[tuple[int, int, Command]] = []  # row it arrives at, number, command
        self.orders: dict[str, Resting] = {}
        self.positions: Counter[str] = Counter()
        self.keys: list[str] = []
        self.number = 0

    def send(self, row: int, commands: list[Command]) -> None:
        for command in commands:
            self.number += 1
            self.waiting.append((row + self.chance.randrange(4), self.number, command))
            if isinstance(command, SubmitOrder):
                self.keys.append(str(command.key))

    def step(self, row: int) -> None:
        """Carry out what has arrived, then let resting orders trade a little."""
        while due := sorted(one for one in self.waiting if one[0] <= row)[:1]:
            self.waiting.remove(due[0])
            self.arrive(row, due[0][2])
        for order in list(self.orders.values()):
            if self.chance.random() < 0.1:
                self.trade(row, order, ended=self.chance.random() < 0.3)

    def arrive(self, row: int, command: Command) -> None:
        scene, name = self.scene, command.client_order_id
        if isinstance(command, SubmitOrder):
            if self.chance.random() < 0.1 or (command.reduce_only and not self.reducible(command)):
                self.send(row, scene.reject(command))
                return
            self.orders[name] = Resting(command, command.qty)
            self.send(row, scene.accept(command))
            if command.type is OrderType.MARKET:
                self.trade(row, self.orders[name], ended=True)
        elif name not in self.orders or (isinstance(command, AmendOrder) and self.chance.random() < 0.2):
            self.send(row, scene.refuse(command))
        elif isinstance(command, CancelOrder):
            if self.chance.random() < 0.3:  # a fill wins against the cancel
                self.trade(row, self.orders[name], ended=False)
            if self.orders.pop(name, None):
                self.send(row, scene.end(command, canceled=True))
        elif command.qty <= self.orders[name].filled:
            self.send(row, scene.refuse(command))
        else:
            self.orders[name].qty = command.qty
            self.send(row, scene.amended(command))

    def reducible(self, command: SubmitOrder) -> int:
        held = self.positions[command.key.strategy]
        return max(0, held if command.side is Side.SELL else -held)

    def trade(self, row: int, order: Resting, *, ended: bool) -> None:
        """Fill a random part, in one or two pieces; the rest ends where `ended` says so."""
        command = order.command
        for _ in range(2):
            left = order.qty - order.filled
            if command.reduce_only:
                left = min(left, self.reducible(command))
            qty = self.chance.randint(0, left)
            if qty:
                order.filled += qty
                self.positions[command.key.strategy] += qty if command.side is Side.BUY else -qty
                price = 100 + self.chance.randint(-3, 3)
                self.send(row, self.scene.fill(command, qty, price, trade=f"v{self.number}-{order.filled}"))
        if order.filled == order.qty:
            self.orders.pop(command.client_order_id, None)
        elif ended:
            self.orders.pop(command.client_order_id, None)
            self.send(row, self.scene.end(command))


def scene_of() -> Scene:
    return Scene(
        strategy(
            "a",
            s1="when: price > 100, cooldown: 1s",
            ze1="{ name: third, when: price > 102, close: 33% }, { name: out, when: price > 104 }",
            e1="{ name: ease, when: price < 97, close: 60%, cooldown: 3s }",
            protect="stop_loss: 2%, trailing_stop: 4%, holding_max: 40s",
            on_stop="flatten",
        ),
        strategy(
            "b",
            side="short",
            s1="when: price < 100, cooldown: 2s",
            z1=RESTING.replace("price - 1", "price + 1"),
            o1="after: 3s",
            ze1="{ name: half, when: price < 98, close: 50% }",
            protect="stop_loss: 3%, take_profit: 3%",
        ),
        limits=replace(NO_LIMITS, rejects_in_a_row_max=10**9),
    )


def check(scene: Scene, venue: Venue) -> None:
    """Check what holds at every moment."""
    bot = scene.bot
    for k, runner in enumerate(bot.runners):
        name, memory = runner.strategy.id, runner.memory
        assert scene.held(k) == venue.positions[name]
        live = [one for one in bot.desk.orders.live() if one.owner == runner.key]
        assert {one.client_order_id for one in live} >= {memory.entry_id, memory.stop_id} - {None}
        assert (runner in bot.desk.working) == (memory.entry_id is not None)
        assert sum(one.type is OrderType.MARKET and one.command.reduce_only for one in live) <= 2
        if scene.held(k):
            wanted = memory.stop_id is not None or memory.goal is not None
            assert wanted, f"{name} holds {scene.held(k)} and nothing protects it"


@pytest.mark.parametrize("seed", range(12))
def test_hostile_venue_never_breaks_the_books(seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    scene = scene_of()
    venue = Venue(scene, chance)
    price = 100
    for row in range(ROWS):
        price = max(90, min(110, price + chance.randint(-2, 2)))
        venue.send(row, scene.row(price))
        venue.step(row)
        check(scene, venue)
    settle(scene, venue)
    assert [key for key, count in Counter(venue.keys).items() if count > 1] == []
    trades = Counter((one.strategy, one.cycle) for one in scene.of(TradeRecord))
    assert len(trades) > 4
    assert max(trades.values()) == 1
    intents = {one.seq for one in scene.of(IntentRecord)}
    assert sorted(one.intent_seq for one in scene.of(RiskRecord)) == sorted(intents)
    assert {one.intent_seq for one in scene.of(OrderRecord)} - {None} <= {
        one.seq for one in scene.of(IntentRecord)
    }


def settle(scene: Scene, venue: Venue) -> None:
    """Let the market leave every signal behind and the venue work well: everything must end."""
    venue.chance = random.Random(0)
    venue.chance.random = lambda: 0.5  # type: ignore[method-assign]
    venue.chance.randint = lambda low, high: high  # type: ignore[method-assign]
    halt = TradingCommand(verb=Verb.HALT, cause=Cause.COMMAND, who="test")  # no entry from here on
    venue.send(ROWS, scene.bot.obey(halt, scene.now_us))
    for row in range(ROWS, ROWS + 200):
        venue.send(row, scene.row(100 + 3 * (row // 10 % 2)))
        venue.step(row)
        check(scene, venue)
    for command in scene.bot.stop(scene.now_us):
        venue.send(ROWS + 200, [command])
    for row in range(ROWS + 200, ROWS + 300):
        venue.step(row)
    assert [one for one in scene.bot.desk.orders.live() if one.type is not OrderType.STOP_MARKET] == []
    for k, runner in enumerate(scene.bot.runners):
        assert scene.held(k) == 0 or runner.memory.stop_id is not None


@pytest.mark.parametrize("seed", range(3))
def test_session_is_the_same_after_every_restore(seed: int) -> None:
    print(f"seed {seed}")
    told: list[list[Any]] = []
    for every in (10**6, 7):
        chance = random.Random(seed)
        scene = scene_of()
        venue = Venue(scene, chance)
        price = 100
        for row in range(150):
            price = max(90, min(110, price + chance.randint(-2, 2)))
            venue.send(row, scene.row(price))
            venue.step(row)
            if row % every == every - 1:
                state = scene.bot.state()
                scene.bot = scene.fresh()
                scene.bot.restore(state)
        told.append([repr(one) for one in scene.records])
    assert told[0] == told[1]
