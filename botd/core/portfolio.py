"""What the account holds: a sub-ledger per strategy and instrument, a balance per quote currency.

Positions are whole lots and whole tick-lots (price ticks times lots), so nothing is lost on the way:
for every currency, at all times and to the last digit,

    equity = start + realized - fees + unrealized.

A partial exit takes out its share of the entry cost, rounded half-even to a whole tick-lot; what
rounding shifts between two exits of one position is at most half a tick-lot and gone when it is flat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from botd.core.events import Side
from botd.core.instrument import Instrument, InstrumentId
from botd.core.money import EXACT, ZERO, average_price, divide_half_even
from botd.core.values import maker, value
from botd.errors import InvariantBroken

Marks = Mapping[InstrumentId, int]  # the price each instrument held is valued at, ticks

DAY_US: Final = 86_400_000_000
UNOWNED: Final = "~unowned"  # who holds what no strategy asked for; no strategy can have this name
UNOWNED_PART: Final = "#unowned"  # between the venue's trade id and the number of nobody's part of it


@dataclass(slots=True, eq=False)
class Position:
    """One strategy's holding of one instrument, from first fill to flat."""

    strategy: str
    instrument: InstrumentId
    cycle: int
    sign: int  # +1 long, -1 short
    opened_us: int
    confidence: float | None = None  # S1's at entry
    qty: int = 0  # lots held, never negative
    cost: int = 0  # tick-lots: entry cost of what is still held
    realized: int = 0  # tick-lots, without fees
    fees: Decimal = ZERO
    qty_max: int = 0  # most lots held at one time
    entry_qty: int = 0
    entry_cost: int = 0
    exit_qty: int = 0
    exit_cost: int = 0
    unexplained: bool = False  # the venue filled what nobody asked for
    revision: str | None = None  # of the rules that decided the entry

    @property
    def signed_qty(self) -> int:
        return self.sign * self.qty

    @property
    def side(self) -> str:
        """Return `long` or `short`."""
        return "long" if self.sign > 0 else "short"

    def entry_price(self, tick_size: Decimal) -> Decimal:
        """Return the average price of what is still held, or of all entries once flat."""
        if self.qty == 0:
            return average_price(self.entry_cost, self.entry_qty, tick_size)
        return average_price(self.cost, self.qty, tick_size)

    def exit_price(self, tick_size: Decimal) -> Decimal:
        """Return the average price of all exits, once there is one."""
        return average_price(self.exit_cost, self.exit_qty, tick_size)

    def unrealized(self, mark: int) -> int:
        """Return the tick-lots that closing at `mark` ticks would realize."""
        return self.sign * (mark * self.qty - self.cost)


@value(frozen=True, slots=True)
class FillEffect:
    """What one fill did; `position` is as it stands after it, with 0 lots when closed."""

    position: Position
    realized: Decimal  # of this fill, without its fee; 0 for entries


@dataclass(slots=True)
class Account:
    """One currency's books."""

    day: int  # days since the epoch, -1 before the first observation
    start: Decimal
    balance: Decimal  # start + realized - fees
    realized: Decimal
    fees: Decimal
    peak: Decimal  # the highest equity observed, the start included
    day_start: Decimal  # the first equity observed on the current UTC day


_position = maker(Position)
_fill_effect = maker(FillEffect)


class Portfolio:
    """The books of one account. Prices in ticks, quantities in lots, times in microseconds UTC."""

    __slots__ = ("_accounts", "_instruments", "_positions", "_streaks", "dust", "held")

    def __init__(self, equity: Mapping[str, Decimal]) -> None:
        self._accounts = {ccy: Account(-1, a, a, ZERO, ZERO, a, a) for ccy, a in equity.items()}
        self._instruments: dict[InstrumentId, Instrument] = {}
        self._positions: dict[tuple[str, InstrumentId], Position] = {}
        # what an owner - strategy and instrument - holds, None when flat
        self.held: Callable[[tuple[str, InstrumentId]], Position | None] = self._positions.get
        self._streaks: dict[str, tuple[int, int]] = {}  # strategy -> (day, losses in a row)
        self.dust: dict[InstrumentId, Decimal] = {}  # base currency held beside all positions, worth nothing

    def apply_fill(
        self,
        strategy: str,
        instrument: Instrument,
        side: Side,
        qty: int,
        price: int,
        fee: Decimal,
        ts_us: int,
        cycle: int,
        reducing: bool,
        confidence: float | None = None,
        revision: str | None = None,
    ) -> FillEffect:
        """Book one execution and return what it did.

        `reducing` says that the fill belongs to an exit: it never adds and never turns the position. A
        position keeps the `confidence` and the `revision` of the entry that opened it.
        Raise InvariantBroken when it would, or when an entry goes against the position held.
        """
        sign = 1 if side is Side.BUY else -1
        key = (strategy, instrument.id)
        position = self._positions.get(key)
        if reducing:
            if position is None or position.sign == sign or qty > position.qty:
                held = position.signed_qty if position else 0
                raise InvariantBroken(f"{instrument.id}: an exit of {sign * qty} lots meets {held} lots held")
            return self._reduce(position, instrument, qty, price, fee, ts_us)
        if position is None:
            self._instruments[instrument.id] = instrument
            position = _position(strategy, instrument.id, cycle, sign, ts_us, confidence)
            position.revision = revision
            self._positions[key] = position
        elif position.sign != sign:
            raise InvariantBroken(f"{strategy} on {instrument.id}: an entry fill against a {position.side}")
        self._charge(position, instrument, fee)
        position.qty += qty
        position.cost += price * qty
        position.entry_qty += qty
        position.entry_cost += price * qty
        position.qty_max = max(position.qty_max, position.qty)
        return _fill_effect(position, ZERO)

    def apply_unowned(
        self, instrument: Instrument, side: Side, qty: int, price: int, fee: Decimal, ts_us: int, cycle: int
    ) -> list[tuple[int, FillEffect]]:
        """Book what no strategy can own; return what closed and what opened, each with its lots."""
        effects = []
        sign = 1 if side is Side.BUY else -1
        position = self.held((UNOWNED, instrument.id))
        if position is not None and position.sign != sign:
            part = min(qty, position.qty)
            effects.append((part, self._reduce(position, instrument, part, price, fee, ts_us)))
            qty, fee = qty - part, ZERO
        if qty:
            effect = self.apply_fill(UNOWNED, instrument, side, qty, price, fee, ts_us, cycle, reducing=False)
            effect.position.unexplained = True
            effects.append((qty, effect))
        return effects

    def unexplained(self, instrument: InstrumentId) -> bool:
        """Say whether anything held of an instrument is not what was asked for."""
        return any(p.unexplained for p in self._positions.values() if p.instrument == instrument)

    def add_dust(self, instrument: InstrumentId, amount: Decimal) -> None:
        """Keep more of a spot's base currency beside the positions; less than nothing is owed."""
        left = self.dust.pop(instrument, ZERO) + amount
        if left:
            self.dust[instrument] = left

    def pay(self, currency: str, amount: Decimal) -> None:
        """Book a fee that belongs to no position."""
        account = self.account(currency)
        account.balance -= amount
        account.fees += amount

    def _charge(self, position: Position, instrument: Instrument, fee: Decimal) -> Account:
        account = self._accounts.get(instrument.quote) or self.account(instrument.quote)
        account.balance -= fee
        account.fees += fee
        position.fees += fee
        return account

    def _reduce(
        self, position: Position, instrument: Instrument, qty: int, price: int, fee: Decimal, ts_us: int
    ) -> FillEffect:
        cost_removed = divide_half_even(position.cost * qty, position.qty)
        tick_lots = position.sign * (price * qty - cost_removed)
        realized = instrument.money(tick_lots)
        position.qty -= qty
        position.cost -= cost_removed
        position.realized += tick_lots
        position.exit_qty += qty
        position.exit_cost += price * qty
        account = self._charge(position, instrument, fee)
        account.balance += realized
        account.realized += realized
        if position.qty == 0:
            self._close(position, instrument, ts_us)
        return _fill_effect(position, realized)

    def _close(self, position: Position, instrument: Instrument, ts_us: int) -> None:
        del self._positions[position.strategy, position.instrument]
        streak = self.losing_streak(position.strategy, ts_us)
        lost = instrument.money(position.realized) < position.fees
        self._streaks[position.strategy] = (ts_us // DAY_US, streak + 1 if lost else 0)

    def positions(self) -> list[Position]:
        """Return the positions held, in the order they were opened."""
        return list(self._positions.values())

    @property
    def count(self) -> int:
        """Return how many positions are held."""
        return len(self._positions)

    @property
    def is_flat(self) -> bool:
        """Say whether nothing at all is held."""
        return not self._positions

    def net_quantities(self) -> dict[InstrumentId, int]:
        """Return the signed lots per instrument held that the venue sees, zero nets included."""
        nets: dict[InstrumentId, int] = {}
        for position in self._positions.values():
            nets[position.instrument] = nets.get(position.instrument, 0) + position.signed_qty
        return nets

    def entry_price(self, position: Position) -> Decimal:
        """Return the average price of what is still held, or of all entries once flat."""
        return position.entry_price(self._instruments[position.instrument].tick_size)

    def currencies(self) -> tuple[str, ...]:
        return tuple(self._accounts)

    def balance(self, currency: str) -> Decimal:
        """Return start + realized - fees."""
        return self.account(currency).balance

    def start(self, currency: str) -> Decimal:
        return self.account(currency).start

    def realized(self, currency: str) -> Decimal:
        return self.account(currency).realized

    def fees(self, currency: str) -> Decimal:
        return self.account(currency).fees

    def committed(self, currency: str) -> Decimal:
        """Return what open positions bind of the balance: their entry cost over the leverage."""
        total = ZERO
        for position in self._positions.values():
            instrument = self._instruments[position.instrument]
            if instrument.quote == currency:
                total += EXACT.divide(instrument.money(position.cost), instrument.leverage)
        return total

    def unrealized(self, currency: str, marks: Marks) -> Decimal:
        """Return what closing everything at the marks would realize, without fees."""
        total = ZERO
        for position in self._positions.values():
            instrument = self._instruments[position.instrument]
            if instrument.quote == currency:
                total += instrument.money(position.unrealized(_mark(marks, position.instrument)))
        return total

    def equity(self, currency: str, marks: Marks) -> Decimal:
        """Return balance + unrealized."""
        return self.account(currency).balance + self.unrealized(currency, marks)

    def exposure(self, instrument: InstrumentId, marks: Marks) -> Decimal:
        """Return the gross notional of one instrument: strategies do not cancel each other out."""
        qty = sum(p.qty for p in self._positions.values() if p.instrument == instrument)
        if qty == 0:
            return ZERO
        return self._instruments[instrument].money(qty * _mark(marks, instrument))

    def exposure_total(self, currency: str, marks: Marks) -> Decimal:
        """Return the gross notional of everything quoted in the currency."""
        total = ZERO
        for position in self._positions.values():
            instrument = self._instruments[position.instrument]
            if instrument.quote == currency:
                total += instrument.money(position.qty * _mark(marks, position.instrument))
        return total

    def observe(self, currency: str, marks: Marks, ts_us: int) -> Decimal:
        """Return the equity now, and let it set the peak and, first on a UTC day, the day's start."""
        account = self.account(currency)
        equity = account.balance
        if self._positions:
            equity += self.unrealized(currency, marks)
        day = ts_us // DAY_US
        if day != account.day:
            account.day = day
            account.day_start = equity
        if equity > account.peak:
            account.peak = equity
        return equity

    def forget_peaks(self, marks: Marks) -> None:
        """Measure drawdowns from what every currency's equity is now."""
        for currency, account in self._accounts.items():
            account.peak = self.equity(currency, marks)

    def peak_equity(self, currency: str) -> Decimal:
        """Return the highest equity observed, the start included."""
        return self.account(currency).peak

    def losing_streak(self, strategy: str, ts_us: int) -> int:
        """Return how many trades in a row the strategy closed at a loss after fees since 00:00 UTC.

        Any other trade ends the streak, and so does midnight: a streak that stops all entries could
        otherwise never end.
        """
        day, streak = self._streaks.get(strategy, (-1, 0))
        return streak if day == ts_us // DAY_US else 0

    def state(self) -> dict[str, Any]:
        """Return everything as JSON values; instruments by id only."""
        return {
            "accounts": {
                ccy: [a.day, *map(str, (a.start, a.balance, a.realized, a.fees, a.peak, a.day_start))]
                for ccy, a in self._accounts.items()
            },
            "positions": [
                {name: getattr(p, name) for name in _PLAIN_FIELDS} | {"fees": str(p.fees)}
                for p in self._positions.values()
            ],
            "streaks": {strategy: list(pair) for strategy, pair in self._streaks.items()},
            "dust": {instrument: str(amount) for instrument, amount in self.dust.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], instruments: Iterable[Instrument]) -> Portfolio:
        """Make the portfolio that `state` described; every instrument held must be among `instruments`."""
        portfolio = cls({})
        for ccy, (day, *amounts) in state["accounts"].items():
            portfolio._accounts[ccy] = Account(day, *map(Decimal, amounts))
        known = {instrument.id: instrument for instrument in instruments}
        for one in state["positions"]:
            position = Position(**{**one, "fees": Decimal(one["fees"])})
            if position.instrument not in known:
                raise InvariantBroken(f"the snapshot holds {position.instrument}, which nothing describes")
            portfolio._instruments[position.instrument] = known[position.instrument]
            portfolio._positions[position.strategy, position.instrument] = position
        portfolio._streaks = {strategy: (day, n) for strategy, (day, n) in state["streaks"].items()}
        portfolio.dust = {name: Decimal(amount) for name, amount in state.get("dust", {}).items()}
        return portfolio

    def account(self, currency: str) -> Account:
        """Return a currency's books."""
        account = self._accounts.get(currency)
        if account is None:  # a currency without starting money can still be owed fees
            account = self._accounts[currency] = Account(-1, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO)
        return account


_PLAIN_FIELDS: Final = tuple(name for name in Position.__slots__ if name != "fees")


def _mark(marks: Marks, instrument: InstrumentId) -> int:
    mark = marks.get(instrument)
    if mark is None:
        raise InvariantBroken(f"no price is known for {instrument}, which is held")
    return mark
