"""What happens at the venue unasked: liquidations, other people, money, maintenance, new filters."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from botd.core.events import OrderType, Side
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.ports import AccountModes, OrderState
from botd.simulation.chance import Chance, Stream
from botd.simulation.exchange import sites
from botd.simulation.exchange.matching import Matching
from botd.simulation.exchange.streams import Streams
from botd.simulation.exchange.truth import Flow

TURN_S: Final = 10.0
MAINTENANCE_S: Final = (20.0, 900.0)
FILTERS_S: Final = (60.0, 600.0)
FILTER_FACTOR_MAX: Final = 1000  # by which the minimum size of an entry grows at most
MODE_S: Final = (30.0, 1800.0)
TERMS: Final = "cross 10x"
OTHER_TERMS: Final = "isolated 20x"
FLOW_PERCENT_MAX: Final = 20
BUST_US: Final = (30_000_000, 300_000_000)  # how old what is taken back may be
MANUAL_BITS: Final = 4  # a person trades at most 2**4 lots


class Mishaps:
    """Draws every ten seconds what befalls the account and the venue."""

    own_first = False  # nobody trades by hand before the first order of a process: it was not there yet

    def __init__(self, chance: Chance, matching: Matching, streams: Streams) -> None:
        self.least_lots = 1  # of an entry, while the filters stand
        self._filters_until_us = 0
        self._switched: tuple[InstrumentId | None, int, int] | None = None  # of what, since, until
        self._chance = chance
        self._matching = matching
        self._streams = streams
        matching.after(TURN_S, self._turn)

    def too_small(self, qty: int) -> bool:
        """Whether the filters of now refuse an entry of so many lots."""
        stand = self._matching.now_us() < self._filters_until_us and not self._chance.healed
        return stand and qty < self.least_lots

    def switch(self, instrument: InstrumentId | None, seconds: float) -> None:
        """Have a person set hedge mode, or other margin and leverage of an instrument, for a while."""
        now_us = self._matching.now_us()
        self._switched = instrument, now_us, now_us + int(seconds * 1e6)

    def switch_back(self) -> None:
        """Have a person set everything as it was."""
        self._switched = None

    @property
    def _switch(self) -> tuple[InstrumentId | None, int] | None:
        """Return what is set to something else now, None for the account's mode, and since when."""
        if self._switched is None or self._chance.healed:
            return None
        what, since_us, until_us = self._switched
        return (what, since_us) if self._matching.now_us() < until_us else None

    def modes(self, one_way: bool) -> AccountModes:
        """Return how the account is set up now; `one_way` is what its position mode should be."""
        switch, terms = self._switch, dict.fromkeys(self._matching.instruments, TERMS)
        if switch is not None and switch[0] is not None:
            terms[switch[0]] = OTHER_TERMS
        changed = switch is not None and switch[0] is None
        return AccountModes(one_way=one_way is not changed, terms=terms)

    def misled_us(self, instrument: InstrumentId) -> int:
        """Return for how long an instrument has been in a wrong mode, 0 where it is not."""
        switch = self._switch
        wrong = switch is not None and switch[0] in (None, instrument)
        return self._matching.now_us() - switch[1] if switch is not None and wrong else 0

    def _turn(self) -> None:
        self._matching.after(TURN_S, self._turn)
        hit = self._chance.hit
        manual, flow = hit(sites.MANUAL.name), hit(sites.FLOW.name)
        if self.own_first and not self._matching.truth.arrivals:
            manual = None
        maintenance, filters = hit(sites.MAINTENANCE.name), hit(sites.FILTERS.name)
        mode = hit(sites.MODE.name)
        if mode is not None:
            self.switch(mode.one_of((None, *self._matching.instruments)), mode.span(*MODE_S))
        held = [name for name, lots in self._matching.account.positions.items() if lots]
        if held and not self._matching.paused:  # nothing but a position can be liquidated
            liquidation = hit(sites.LIQUIDATION.name)
            if liquidation is not None:
                self._liquidate(self._matching.instruments[liquidation.one_of(held)], liquidation)
        if manual is not None and not self._matching.paused:
            self._act_by_hand(manual)
        bust = hit(sites.BUST.name)
        if bust is not None:
            self._bust(bust)
        if flow is not None:
            self._move_money(flow)
        if maintenance is not None:
            self._close_down(maintenance)
        if filters is not None:
            self._filters_until_us = self._matching.now_us() + int(filters.span(*FILTERS_S) * 1e6)
            self.least_lots = 1 + filters.below(FILTER_FACTOR_MAX)

    def _liquidate(self, instrument: Instrument, fault: Stream) -> None:
        """Close a whole position at a bad price; its orders go first."""
        matching = self._matching
        for order in list(matching.open.values()):
            if order.instrument is instrument:
                matching.end(order, OrderState.CANCELED, "liquidation")
        held = matching.account.held(instrument.id)
        bid, ask, _, _ = matching.top(instrument.id)
        percent = 1 + fault.below(5)
        side, price = (
            (Side.SELL, bid - bid * percent // 100) if held > 0 else (Side.BUY, ask + ask * percent // 100)
        )
        matching.trade(instrument, side, abs(held), max(1, price), liquidation=True)

    def _act_by_hand(self, fault: Stream) -> None:
        """Trade as a person would: close, reduce, open, or leave an order."""
        matching = self._matching
        instrument = fault.one_of(list(matching.instruments.values()))
        bid, ask, _, _ = matching.top(instrument.id)
        held = matching.account.held(instrument.id)
        what = fault.below(4)
        if held and what < 2:
            side = Side.SELL if held > 0 else Side.BUY
            qty = abs(held) if what == 0 else 1 + fault.below(abs(held))
        else:
            sells = fault.below(2) and (held or instrument.kind is not InstrumentKind.SPOT)
            side = Side.SELL if sells else Side.BUY
            qty = fault.magnitude(MANUAL_BITS)
            if sells and instrument.kind is InstrumentKind.SPOT:
                qty = min(qty, held)
        if what == 3:
            away = 1 + (bid // 200)
            matching.leave_order(instrument, side, qty, bid - away if side is Side.BUY else ask + away)
        else:
            matching.trade(instrument, side, qty, ask if side is Side.BUY else bid, liquidation=False)

    def _bust(self, fault: Stream) -> None:
        """Take a trade of the last minutes back, of a spot only what is still held."""
        matching, account = self._matching, self._matching.account
        known = {(one.instrument, one.trade_id) for one in matching.truth.busts}
        now_us = matching.now_us()
        found = [
            fill
            for fill in matching.truth.fills
            if BUST_US[0] <= now_us - fill.ts_us <= BUST_US[1]
            and (fill.instrument, fill.trade_id) not in known
            and (
                matching.instruments[fill.instrument].kind is not InstrumentKind.SPOT
                or fill.side is Side.SELL
                or account.held(fill.instrument) >= fill.qty
            )
        ]
        if found:
            matching.take_back(fault.one_of(found))

    def _move_money(self, fault: Stream) -> None:
        """Deposit or withdraw a share of the cash of one currency."""
        account = self._matching.account
        currency = fault.one_of(list(account.cash))
        percent = 1 + fault.below(FLOW_PERCENT_MAX)
        amount = (abs(account.cash[currency]) * percent / 100).quantize(Decimal("1e-8"))
        amount = -amount if fault.below(2) else amount
        account.move(currency, amount)
        flow = Flow(currency=currency, amount=amount, ts_us=self._matching.now_us())
        self._matching.truth.flows.append(flow)

    def _close_down(self, fault: Stream) -> None:
        """Be away for maintenance; what is left of the stops afterwards is drawn too."""
        seconds = fault.span(*MAINTENANCE_S)
        self._matching.paused_until_us = self._matching.now_us() + int(seconds * 1e6)
        self._streams.disconnect()
        if fault.below(2):
            self._matching.after(seconds, self._cancel_stops)

    def _cancel_stops(self) -> None:
        if self._chance.healed:
            return
        for order in list(self._matching.open.values()):
            if order.type is OrderType.STOP_MARKET:
                self._matching.end(order, OrderState.CANCELED, "canceled by the venue in maintenance")
