"""The desk: the account's shared state, and the one place where commands are made."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from botd.core.events import (
    AmendOrder,
    CancelOrder,
    ClientOrderId,
    Command,
    DecisionKey,
    OrderType,
    Side,
    SubmitOrder,
    TimeInForce,
)
from botd.core.instrument import InstrumentId
from botd.core.lanes import Lane
from botd.core.money import floor_to_lots
from botd.core.orders import Order, OrderTable
from botd.core.outcomes import OrderStatus
from botd.core.portfolio import Portfolio
from botd.core.recorder import Recorder
from botd.core.restraint import ACCOUNT, Restraint, TradingState, gravest, scope_of
from botd.core.runner import Runner
from botd.core.settings import CoreSettings, Limits
from botd.core.values import maker
from botd.language.typed import Strategy

MINUTE_US: Final = 60_000_000

_MARKET: Final = OrderType.MARKET
_IOC: Final = TimeInForce.IOC
_GTC: Final = TimeInForce.GTC

_submit_order = maker(SubmitOrder)
_cancel_order = maker(CancelOrder)


class Desk(Recorder):
    """Orders, portfolio and counters of one account, what is to be recorded and what to be sent."""

    __slots__ = (
        "_limits",
        "banned_for_us",
        "banned_until_us",
        "busted",
        "commands",
        "entered",
        "external",
        "fills_from_us",
        "id_prefix",
        "ids",
        "lanes",
        "last_marks",
        "noticed",
        "orders",
        "place",
        "portfolio",
        "rejected_us",
        "rejects",
        "restraint",
        "restraint_of",
        "restraints",
        "runners",
        "settings",
        "submitted_us",
        "terms",
        "turnover",
        "turnover_until_us",
        "unsellable",
        "working",
        "worst_prices",
    )

    def __init__(
        self, settings: CoreSettings, lanes: list[Lane], runners: list[Runner], id_prefix: str
    ) -> None:
        super().__init__((lane.instrument for lane in lanes), settings.revision)
        self.settings = settings
        self.lanes = lanes
        # of what is held and has had no row since it was taken over
        self.last_marks: dict[InstrumentId, int] = {}
        self.place = 0  # merged places of the block that are judged
        self.entered: dict[Runner, int] = {}  # who has bought at this place, and when: their stops are due
        self.orders = OrderTable()
        self.portfolio = Portfolio(settings.equity)
        self.id_prefix = id_prefix
        self.ids = 0
        self.rejects = 0  # in a row
        self.rejected_us = 0  # the last of them
        self.submitted_us: deque[int] = deque()  # entries sent in the last minute
        self.turnover = 0.0  # notional of the entries of an hour, in multiples of the equity
        self.turnover_until_us = 0  # when it ends
        self.external: dict[str, int] = {}  # trades past us that are booked, and when
        self.busted: dict[str, int] = {}  # trades that the venue took back, and when
        self.noticed: dict[str, int] = {}  # what a person was told about the venue, and when
        self.terms: dict[str, str] = {}  # margin mode and leverage of an instrument, as first seen
        self.fills_from_us = 0  # venue time since which what fills on the account is ours to book
        self.banned_until_us = 0  # the venue's last word; nothing is asked of it before
        self.banned_for_us = 0  # for how long that was
        self.restraints: list[Restraint] = []  # standing, in the order they began
        self.restraint: Restraint | None = None  # the gravest that the account is under
        self.restraint_of: dict[str, Restraint] = {}  # the gravest of an instrument or a strategy alone
        self.runners = runners
        self._limits = {r.strategy.id: _overridden(settings.limits, r.strategy) for r in runners}
        # the limit of a market entry as a share of the top, numerator and denominator
        self.worst_prices = {r.strategy.id: _worst_price(settings, r.strategy, r.sign) for r in runners}
        self.working: list[Runner] = []  # those with a live entry order, in the order of entry
        self.commands: list[Command] = []
        # whose position the venue would not sell as too small, and at which price; until it is settled
        self.unsellable: list[tuple[Runner, int]] = []

    # ---- what others ask ------------------------------------------------------------------------

    def marks(self, before: int) -> dict[InstrumentId, int]:
        """Return the mark (ticks) of every instrument held, as of just before a merged place."""
        if self.portfolio.is_flat:
            return {}
        return self.last_marks | {
            lane.instrument.id: mark for lane in self._lanes_held() if (mark := lane.mark(before)) is not None
        }

    def marks_now(self) -> dict[InstrumentId, int]:
        """Return the mark (ticks) of every instrument held, as of the last row judged."""
        return self.last_marks | {
            lane.instrument.id: mark
            for lane in self._lanes_held()
            if (last := lane.judged()) is not None and (mark := lane.mark_at(last)) is not None
        }

    def _lanes_held(self) -> list[Lane]:
        held = {position.instrument for position in self.portfolio.positions()}
        return [lane for lane in self.lanes if lane.instrument.id in held]

    def holdings(self) -> dict[InstrumentId, int]:
        """Return the signed whole lots that the venue holds for us, by instrument: dust may make some."""
        held = self.portfolio.net_quantities()
        for name, amount in self.portfolio.dust.items():
            if name in self.instruments:
                held[name] = held.get(name, 0) + floor_to_lots(amount, self.instruments[name].lot_size)
        return held

    def restrain(self, standing: Sequence[Restraint]) -> None:
        """Have these stand, and no others."""
        self.restraints = list(standing)
        scopes: dict[str, list[Restraint]] = {}
        for one in standing:
            scopes.setdefault(one.scope, []).append(one)
        self.restraint = gravest(scopes.pop(ACCOUNT, ()))
        self.restraint_of = {
            scope: grave for scope, group in scopes.items() if (grave := gravest(group)) is not None
        }

    @property
    def trading_state(self) -> TradingState:
        """Return that of the account."""
        return self.state_of(ACCOUNT)

    def state_of(self, scope: str) -> TradingState:
        """Return the trading state of the account, or of an instrument or a strategy alone."""
        found = self.restraint if scope == ACCOUNT else self.restraint_of.get(scope)
        return TradingState.ACTIVE if found is None else found.state

    def restraint_on(self, runner: Runner) -> Restraint | None:
        """Return the gravest that a strategy is under on its instrument."""
        of = self.restraint_of.get
        own = of(runner.lane.instrument.id), of(scope_of(runner.strategy.id))
        return gravest([one for one in (self.restraint, *own) if one is not None])

    def limits_of(self, strategy: Strategy) -> Limits:
        """Return the account's limits with the strategy's own in their place."""
        return self._limits[strategy.id]

    def working_entries(self) -> Iterator[tuple[Runner, Decimal]]:
        """Yield every live entry order's runner and the notional that may still fill."""
        for runner in self.working:
            entry_id = runner.memory.entry_id
            order = self.orders.get(entry_id) if entry_id else None
            if order is not None and not order.is_terminal:
                limit = order.command.limit
                price = order.decision_price if limit is None else limit
                yield runner, runner.lane.instrument.money(order.leaves * price)

    def forget_old_submissions(self, ts_us: int) -> None:
        """Drop entries sent over a minute ago from the rate count."""
        sent, since = self.submitted_us, ts_us - MINUTE_US
        while sent and sent[0] <= since:
            sent.popleft()

    # ---- commands -------------------------------------------------------------------------------

    def submit(
        self,
        key: DecisionKey,
        row: int,
        ts_us: int,
        side: Side,
        lots: int,
        kind: OrderType,
        decision_price: int,
        intent_seq: int | None,
        limit: int | None = None,
        stop: int | None = None,
        reduce_only: bool = False,
        expire_us: int | None = None,
    ) -> Order:
        """Commit to an order: it is in the table and among the commands, with an id of its own."""
        self.ids += 1
        command = _submit_order(
            ClientOrderId(f"{self.id_prefix}-{self.ids}"),
            key,
            key.instrument,
            side,
            kind,
            _IOC if kind is _MARKET else _GTC,
            lots,
            ts_us,
            limit,
            stop,
            reduce_only,
            expire_us,
        )
        revision = self.revision_of((key.strategy, key.instrument))
        order = Order(command, row, decision_price, intent_seq, revision)
        self.orders.add(order)
        self.commands.append(command)
        self.submitted(order)
        return order

    def cancel(self, client_order_id: ClientOrderId | None, ts_us: int) -> None:
        """Ask for a live order's end; nothing happens for one that is over or being cancelled."""
        order = self.orders.get(client_order_id) if client_order_id is not None else None
        if order is None or order.is_terminal or order.status is OrderStatus.PENDING_CANCEL:
            return
        order.cancel_wanted = not order.accepted
        order.to(OrderStatus.PENDING_CANCEL)
        self.commands.append(_cancel_order(order.client_order_id, order.instrument, ts_us))
        self.updated(order, ts_us)

    def amend(self, order: Order, lots: int, stop: int, ts_us: int) -> None:
        """Ask for another whole quantity and price of a resting stop."""
        self.commands.append(AmendOrder(order.client_order_id, order.instrument, lots, ts_us, stop))

    # ---- snapshots ------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return everything that a snapshot keeps, as plain values."""
        return {
            "orders": self.orders.state(),
            "portfolio": self.portfolio.state(),
            "ids": self.ids,
            "id_prefix": self.id_prefix,
            "seq": self.seq,
            "rejects": self.rejects,
            "rejected_us": self.rejected_us,
            "submitted_us": list(self.submitted_us),
            "turnover": [self.turnover, self.turnover_until_us],
            "external": dict(self.external),
            "busted": dict(self.busted),
            "noticed": dict(self.noticed),
            "terms": dict(self.terms),
            "last_marks": dict(self.last_marks),
            "banned_until_us": self.banned_until_us,
            "banned_for_us": self.banned_for_us,
            "fills_from_us": self.fills_from_us,
            "restraints": [one.row() for one in self.restraints],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state()`."""
        self.orders = OrderTable.from_state(state["orders"])
        self.portfolio = Portfolio.from_state(state["portfolio"], self.instruments.values())
        self.ids = state["ids"]
        self.id_prefix = state["id_prefix"]
        self.seq = state["seq"]
        self.rejects = state["rejects"]
        self.rejected_us = state["rejected_us"]
        self.submitted_us = deque(state["submitted_us"])
        # a snapshot of an older botd knows none of these
        self.turnover, self.turnover_until_us = state.get("turnover", (0.0, 0))
        self.external = dict(state.get("external", {}))
        self.busted = dict(state.get("busted", {}))
        self.noticed = dict(state.get("noticed", {}))
        self.terms = dict(state.get("terms", {}))
        self.last_marks = dict(state.get("last_marks", {}))
        self.banned_until_us = state.get("banned_until_us", 0)
        self.banned_for_us = state.get("banned_for_us", 0)
        self.fills_from_us = state.get("fills_from_us", 0)
        self.restrain([Restraint.of(row) for row in state.get("restraints", ())])


def _overridden(limits: Limits, strategy: Strategy) -> Limits:
    """Return the limits with a strategy's own values in place of the account's."""
    own: dict[str, Any] = {
        name: int(value) if isinstance(getattr(limits, name), int) else value
        for name, value in strategy.limits
    }
    return replace(limits, **own) if own else limits


def _worst_price(settings: CoreSettings, strategy: Strategy, sign: int) -> tuple[int, int]:
    own = strategy.entry.order.slippage_max
    slippage = settings.execution.slippage_max if own is None else own
    return (1 + sign * slippage).as_integer_ratio()
