"""Z1: from a signal to an order - price, size, risk, and the command, or a denial."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from botd.core import halts
from botd.core.caps import halt_over, over_cap
from botd.core.desk import Desk
from botd.core.events import DecisionKey, OrderType, Section, Side
from botd.core.instrument import InstrumentId
from botd.core.money import ZERO
from botd.core.outcomes import DenyReason
from botd.core.risk import EntryIntent, RiskView, judge_entry
from botd.core.runner import Runner
from botd.core.sizing import Sized, size_entry
from botd.core.values import maker
from botd.engine.layout import ASK, BID, T
from botd.language.typed import EntryType

# names of their own: a member read through its class costs as much as a sum of amounts
_BUY: Final = Side.BUY
_Z1: Final = Section.Z1
_MARKET: Final = OrderType.MARKET
_LIMIT: Final = EntryType.LIMIT

_decision_key = maker(DecisionKey)
_entry_intent = maker(EntryIntent)
_risk_view = maker(RiskView)


def enter(desk: Desk, runner: Runner, row: int, place: int) -> None:
    """Judge Z1's row: record signal, intent and risk's answer, and commit to an order if it may trade.

    While an order of the last position is still out, Z1 waits: a late stop must not meet a new position.
    """
    lane, strategy = runner.lane, runner.strategy
    if desk.orders.any_live(runner.key):
        runner.wait_to_enter()
        return
    side = runner.entry_side
    if strategy.entry.written:
        desk.signal(runner, _Z1, "", row, side)
    values = lane.values(row)
    if desk.restraints:
        halts.end_day(desk, values[T])
    ts_us, row_number = values[T], lane.row0 + row
    top = values[ASK] if side is _BUY else values[BID]
    marks = desk.marks(place + 1)
    equity = desk.portfolio.observe(lane.instrument.quote, marks, ts_us)
    sized = _size(runner, top, equity)
    key = _decision_key(strategy.id, lane.instrument.id, runner.memory.cycle, _Z1, "")
    asked = desk.intent(lane.instrument, key, row_number, ts_us, side, sized.lots, top, sized.text)
    view = _view(desk, runner, equity, marks, ts_us)
    kind, limit, expire_us = _terms(desk, runner, row, side, top, ts_us)
    intent = _entry_intent(side, sized.lots, top if limit else None)
    verdict = judge_entry(intent, view, desk.limits_of(strategy), lane.instrument)
    denial = verdict.denial
    if denial is None:
        denial = over_cap(desk, lane, sized.lots * top, equity, ts_us)
    desk.risk(asked, denial, verdict.checks)
    if denial is not None:
        runner.become_idle()
        if denial.reason is DenyReason.RATE_CAP:
            halts.obey(desk, halt_over(denial), ts_us)
        halts.after_denial(desk, runner, denial, ts_us)
        return
    order = desk.submit(
        key, row_number, ts_us, side, sized.lots, kind, top, asked.seq, limit, expire_us=expire_us
    )
    runner.memory.entry_id = order.client_order_id
    desk.working.append(runner)
    desk.submitted_us.append(ts_us)


def _size(runner: Runner, top: int, equity: Decimal) -> Sized:
    strategy = runner.strategy
    if top <= 0:
        return Sized(0, ZERO, "no price is known on the side to trade")
    return size_entry(
        strategy.entry.size,
        runner.lane.instrument,
        top,
        runner.memory.confidence,
        equity,
        strategy.protect.stop_loss,
    )


def _view(
    desk: Desk, runner: Runner, equity: Decimal, marks: Mapping[InstrumentId, int], ts_us: int
) -> RiskView:
    """Gather what risk may know; working entries count as filled at their own price."""
    portfolio, instrument = desk.portfolio, runner.lane.instrument
    currency = instrument.quote
    account = portfolio.account(currency)
    own, symbol, total, committed, count, unexplained = None, ZERO, ZERO, ZERO, 0, False
    if not portfolio.is_flat:
        own = portfolio.held(runner.key)
        symbol = portfolio.exposure(instrument.id, marks)
        total = portfolio.exposure_total(currency, marks)
        committed = portfolio.committed(currency)
        count = portfolio.count - (own is not None)
        unexplained = portfolio.unexplained(instrument.id)
    if desk.working:
        for other, notional in desk.working_entries():
            if other.lane.instrument.quote == currency:
                total += notional
                committed += notional / other.lane.instrument.leverage
                if other.lane is runner.lane:
                    symbol += notional
            if portfolio.held(other.key) is None:
                count += 1
    desk.forget_old_submissions(ts_us)
    return _risk_view(
        equity,
        account.start,
        account.day_start,
        account.peak,
        account.balance - committed,
        committed,
        instrument.money(own.qty * marks[instrument.id]) if own else ZERO,
        symbol,
        total,
        count,
        portfolio.losing_streak(runner.strategy.id, ts_us),
        len(desk.submitted_us),
        desk.restraint_on(runner) if desk.restraints else None,
        unexplained,
        desk.settings.one_way and _opposed(desk, runner),
    )


def _opposed(desk: Desk, runner: Runner) -> bool:
    """Say whether a strategy on the other side holds the instrument, or is about to."""
    others = [one for one in desk.runners if one.lane is runner.lane and one.sign != runner.sign]
    return any(desk.portfolio.held(one.key) or desk.orders.any_live(one.key) for one in others)


def _terms(
    desk: Desk, runner: Runner, row: int, side: Side, top: int, ts_us: int
) -> tuple[OrderType, int, int | None]:
    """Return type, limit in ticks (0 where its price is not known) and expiry of the entry order."""
    spec = runner.strategy.entry.order
    lane = runner.lane
    if spec.type is _LIMIT:
        slot = lane.machines.codes[runner.machine].limit_price
        price = lane.engine.F.item(slot * lane.engine.block_max + row) / float(lane.instrument.tick_size)
        ttl = desk.settings.execution.order_ttl_us if spec.ttl_us is None else spec.ttl_us
        if not 0.0 < price < math.inf:  # also where it is not ready
            return OrderType.LIMIT, 0, ts_us + ttl
        near = price * 1e-14  # what float arithmetic may be off a whole tick
        ticks = math.floor(price + near) if side is _BUY else math.ceil(price - near)
        return OrderType.LIMIT, max(1, ticks), ts_us + ttl
    numerator, denominator = desk.worst_prices[runner.strategy.id]
    if side is _BUY:
        return _MARKET, top * numerator // denominator, None
    return _MARKET, max(1, -(-top * numerator // denominator)), None
