"""A bot with real engines, driven row by row, and a venue that says what the test tells it to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

import numpy as np

from botd.core.bot import Bot, LaneSpec
from botd.core.events import (
    AmendOrder,
    CancelOrder,
    ClientOrderId,
    Command,
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    OrderFilled,
    OrderRejected,
    RequestRefused,
    SubmitOrder,
)
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.records import Record
from botd.core.settings import CoreSettings, Limits
from botd.engine import machine
from botd.engine.layout import (
    ASK,
    ASZ,
    BID,
    BSZ,
    HIGH,
    KIND,
    LOW,
    MARK,
    N_INPUT,
    OPEN,
    SIDE,
    P,
    Q,
    RowKind,
    T,
)
from botd.language.strategy import read_strategy
from botd.language.typed import Strategy

D = Decimal
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 3600 * SECOND
T0 = 1_700_000_000 * SECOND  # 13 min 20 s past the hour
HUGE = D(10) ** 9

# One tick is 1 USDT and one lot 1 BTC: ticks and lots read as amounts.
PERP = Instrument(
    id=InstrumentId("BTC/USDT:USDT"),
    kind=InstrumentKind.PERPETUAL,
    base="BTC",
    quote="USDT",
    tick_size=D(1),
    lot_size=D(1),
    taker_fee=D(0),
    maker_fee=D(0),
)
SPOT = replace(PERP, id=InstrumentId("BTC/USDT"), kind=InstrumentKind.SPOT)

NO_LIMITS = Limits(
    position_max=HUGE,
    position_max_usd=None,
    symbol_exposure_max=HUGE,
    total_exposure_max=HUGE,
    leverage_max=HUGE,
    daily_loss_max=HUGE,
    drawdown_max=HUGE,
    concentration_max=HUGE,
    margin_use_max=HUGE,
    equity_min=D(0),
)

Kind = TypeVar("Kind")


def strategy(
    id: str = "s",
    *,
    s1: str = "when: price > 100, cooldown: 1s",
    side: str = "long",
    let: str = "",
    o1: str = "",
    z1: str = "when: always, order: { type: market, slippage_max: 10% }, size: { fixed: 10 BTC }",
    ze1: str = "",
    e1: str = "",
    protect: str = "",
    on_stop: str = "cancel",
    instrument: str = PERP.id,
) -> Strategy:
    """Return a strategy that buys 10 BTC when the price is over 100, unless told otherwise.

    `z1` empty leaves Z1 out; `ze1` and `e1` are the rules between the brackets. Something must be able to
    close the whole position: a last E1 that never comes does.
    """
    e1 = f"{e1}{', ' if e1 else ''}{{ name: never, when: never }}"
    lines = [f"strategy: {id}", f"instruments: [{instrument}]", f"side: {side}"]
    if let:
        lines += ["let:", *(f"  {line}" for line in let.splitlines())]
    lines.append(f"S1: {{ {s1} }}")
    lines += [f"O1: {{ {o1} }}"] if o1 else []
    lines += [f"Z1: {{ {z1} }}"] if z1 else []
    lines += [f"ZE1: [ {ze1} ]"] if ze1 else []
    lines.append(f"E1: [ {e1} ]")
    lines.append(f"protect: {{ {protect} }}")
    lines.append(f"on_stop: {on_stop}")
    read, faults = read_strategy("\n".join(lines) + "\n", f"{id}.yaml")
    if read is None:
        raise AssertionError("\n".join(fault.render() for fault in faults))
    return read


def rows(*prices: tuple[int, int], **columns: int) -> np.ndarray:
    """Return rows of (seconds after T0, price): trades of one lot with a book one tick wide each way."""
    out = np.zeros((N_INPUT, len(prices)), np.int64)
    for k, (second, price) in enumerate(prices):
        out[T, k] = T0 + second * SECOND
        out[P, k] = out[OPEN, k] = out[HIGH, k] = out[LOW, k] = price
        out[Q, k], out[SIDE, k], out[KIND, k] = 1, 1, RowKind.TRADE
        out[BID, k], out[ASK, k], out[BSZ, k], out[ASZ, k] = price - 1, price + 1, 5, 5
        out[MARK, k] = columns.get("mark", 0)
        out[BID, k] = columns.get("bid", int(out[BID, k]))
        out[ASK, k] = columns.get("ask", int(out[ASK, k]))
    return out


class Scene:
    """One session: rows in, commands out, and the venue's answers as the test wants them."""

    def __init__(
        self,
        *strategies: Strategy,
        instrument: Instrument = PERP,
        others: Sequence[tuple[Instrument, Strategy]] = (),
        limits: Limits = NO_LIMITS,
        equity: str = "100000",
        block_max: int = 64,
        **settings: Any,
    ) -> None:
        settings.setdefault("outlier_sigma", 0.0)  # prices leap here: a test that wants outliers says so
        self.settings = CoreSettings(equity={"USDT": D(equity)}, limits=limits, **settings)
        self.specs = [
            LaneSpec(instrument=instrument, strategies=strategies),
            *(LaneSpec(instrument=other, strategies=(one,)) for other, one in others),
        ]
        self.block_max = block_max
        self.bot = self.fresh()
        self.records: list[Record] = []
        self.second = 0
        self.seq = 0

    def fresh(self) -> Bot:
        """Return another bot of the same plan."""
        return Bot(self.settings, self.specs, id_prefix="o", block_max=self.block_max)

    # ---- rows -----------------------------------------------------------------------------------

    def row(self, price: int, *, lane: int = 0, at: int | None = None, **columns: int) -> list[Command]:
        """Judge one row, a second after the last one unless `at` gives its second; return the commands."""
        self.second = self.second + 1 if at is None else at
        return self.feed([lane], rows((self.second, price), **columns))

    def feed(self, lanes: Sequence[int], block_rows: np.ndarray) -> list[Command]:
        """Judge a block of rows, a lane for each; return the commands."""
        block = self.bot.load(np.array(lanes, np.int64), block_rows)
        place, commands = 0, []
        while place < block.n:
            place, more = self.bot.advance(block, place, block.n)
            commands += more
        self._note()
        return commands

    def _note(self) -> None:
        self.records += self.bot.take_records()

    # ---- the venue ------------------------------------------------------------------------------

    @property
    def now_us(self) -> int:
        return T0 + self.second * SECOND

    def say(self, answer: Any, **terms: Any) -> list[Command]:
        """Give the bot an answer about an order, stamped with the time of the last row."""
        self.seq += 1
        commands = self.bot.apply([answer(seq=self.seq, ts_us=terms.pop("at_us", self.now_us), **terms)])
        self._note()
        return commands

    def accept(self, command: Command | ClientOrderId) -> list[Command]:
        return self.say(OrderAccepted, client_order_id=_id(command))

    def fill(
        self, command: Command | ClientOrderId, qty: int, price: int, *, fee: str = "0", trade: str = ""
    ) -> list[Command]:
        return self.say(
            OrderFilled,
            client_order_id=_id(command),
            trade_id=trade or f"t{self.seq}",
            price=price,
            qty=qty,
            fee=D(fee),
            maker=False,
        )

    def end(
        self, command: Command | ClientOrderId, *, canceled: bool = False, reason: str = "used up"
    ) -> list[Command]:
        return self.say(OrderEnded, client_order_id=_id(command), canceled=canceled, reason=reason)

    def reject(self, command: Command | ClientOrderId, reason: str = "no") -> list[Command]:
        return self.say(OrderRejected, client_order_id=_id(command), reason=reason)

    def amended(self, command: AmendOrder) -> list[Command]:
        return self.say(
            OrderAmended, client_order_id=command.client_order_id, qty=command.qty, stop=command.stop
        )

    def refuse(self, command: Command | ClientOrderId, reason: str = "no such order") -> list[Command]:
        return self.say(RequestRefused, client_order_id=_id(command), reason=reason)

    # ---- what came of it ------------------------------------------------------------------------

    def of(self, kind: type[Kind]) -> list[Kind]:
        """Return the records of a kind so far."""
        return [record for record in self.records if isinstance(record, kind)]

    def phase(self, runner: int = 0) -> int:
        return self.bot.runners[runner].phase()

    def held(self, runner: int = 0) -> int:
        """Return the signed lots that a strategy holds."""
        one = self.bot.runners[runner]
        position = self.bot.desk.portfolio.held(one.key)
        return position.signed_qty if position else 0


def _id(command: Command | ClientOrderId) -> ClientOrderId:
    return command if isinstance(command, str) else command.client_order_id


def only(commands: Sequence[Command], kind: type[Kind]) -> Kind:
    """Return the one command there is, which is of this kind."""
    assert len(commands) == 1, commands
    assert isinstance(commands[0], kind)
    return commands[0]


def submitted(commands: Sequence[Command]) -> SubmitOrder:
    """Return the one command there is, an order."""
    return only(commands, SubmitOrder)


def bought(scene: Scene, *, price: int = 102, qty: int = 10) -> SubmitOrder | None:
    """Bring a scene into a position: the row, the acceptance and one whole fill; return its stop, if any."""
    order = submitted(scene.row(101))
    scene.accept(order)
    commands = scene.fill(order, qty, price)
    assert scene.phase() == machine.IN_POSITION
    return submitted(commands) if commands else None


__all__ = ["CancelOrder", "Scene", "bought", "only", "rows", "strategy", "submitted"]
