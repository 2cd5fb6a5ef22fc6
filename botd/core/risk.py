"""The limits every entry must pass. Exits have no check here, and must never get one."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from botd.core.events import Side
from botd.core.instrument import Instrument, InstrumentKind
from botd.core.money import EXACT, ZERO, is_dollar
from botd.core.outcomes import DenyReason
from botd.core.restraint import Cause, Restraint, TradingState
from botd.core.settings import Limits
from botd.core.values import maker, value

TICK_LOTS_MAX: Final = (
    1 << 62
)  # the machine keeps an entry's cost in an int64; a fill may slip past its limit

# names of their own: a member read through its class costs as much as a comparison of amounts
_SELL: Final = Side.SELL
_SPOT: Final = InstrumentKind.SPOT


@value(frozen=True, slots=True)
class Denial:
    """Why an intent must not trade. Limit and actual are in the same unit, None where neither applies."""

    reason: DenyReason
    limit: Decimal | None = None
    actual: Decimal | None = None
    cause: Cause | None = None  # of the halt or hold, with the event time it stands since
    since_us: int | None = None


@value(frozen=True, slots=True)
class Check:
    """What one limit said, in its unit: an amount as it would be with the entry, a count as it stands."""

    reason: DenyReason
    limit: Decimal
    actual: Decimal
    passed: bool


_check: Final = maker(Check)


@value(frozen=True, slots=True)
class Verdict:
    """What risk says to an entry: why not, and every check that could be made, in their order."""

    denial: Denial | None
    checks: tuple[Check, ...] = ()


@value(frozen=True, slots=True)
class EntryIntent:
    """A sized entry that nobody has checked."""

    side: Side
    qty: int  # lots
    price: int | None  # ticks: the price the size was made from, None when there is none


@dataclass(slots=True)
class RiskView:
    """What the checks may know, in the quote currency of the instrument asked for.

    Working and in-doubt entries count as filled in `position_notional`, the exposures, `margin_used`,
    `balance_free` and `positions_count`. The intent being checked is in none of them.
    """

    equity: Decimal | None  # None: some position's price is not known
    start_equity: Decimal
    day_start_equity: Decimal
    peak_equity: Decimal
    balance_free: Decimal
    margin_used: Decimal = ZERO
    position_notional: Decimal = ZERO  # the strategy's own on this instrument
    symbol_exposure: Decimal = ZERO  # gross, all strategies on this instrument
    total_exposure: Decimal = ZERO  # gross, all instruments quoted in this currency
    positions_count: int = 0  # positions other than the strategy's own on this instrument
    losing_streak: int = 0
    orders_last_minute: int = 0
    restraint: Restraint | None = None  # what halts or holds trading
    unexplained: bool = False  # the venue filled more on the instrument than was asked for
    opposed: bool = False  # another strategy is on the other side, where the venue nets both


def judge_entry(intent: EntryIntent, view: RiskView, limits: Limits, instrument: Instrument) -> Verdict:
    """Say whether the entry may trade. What we cannot know denies.

    The first limit that fails answers, in the order in which they stand here: trading state, rate,
    price, size, account, number of positions, exposure, cash. A count denies once it stands
    at its limit, an amount once it is over it. The limits behind it are told of as well.
    """
    restraint = view.restraint
    if restraint is not None:
        halted = restraint.state is TradingState.HALTED
        reason = DenyReason.TRADING_HALTED if halted else DenyReason.TRADING_REDUCING
        return Verdict(Denial(reason, cause=restraint.cause, since_us=restraint.since_us))
    rate = _count(DenyReason.ORDERS_PER_MINUTE, limits.orders_per_minute_max, view.orders_last_minute)
    equity = view.equity
    if intent.price is None or intent.price <= 0 or equity is None:
        return Verdict(_denial(rate) or Denial(DenyReason.PRICE_UNKNOWN), (rate,))
    tick_lots = intent.price * intent.qty
    notional = instrument.money(tick_lots)
    gate = _gate(intent, view, instrument, tick_lots, notional)
    if gate is not None:
        return Verdict(_denial(rate) or gate, (rate,))
    checks = (
        rate,
        *_of_account(view, limits, equity),
        *_of_position(view, limits, instrument, notional, equity),
        *_of_exposure(view, limits, instrument, notional, equity),
        *_of_cash(view, limits, instrument, notional, equity),
    )
    for one in checks:
        if not one.passed:
            return Verdict(_denial(one), checks)
    return Verdict(None, checks)


def _gate(
    intent: EntryIntent, view: RiskView, instrument: Instrument, tick_lots: int, notional: Decimal
) -> Denial | None:
    """Return why the entry cannot be measured by any limit, or None."""
    if view.unexplained:
        return Denial(DenyReason.POSITION_UNEXPLAINED)
    if view.opposed:
        return Denial(DenyReason.OPPOSITE_SIDE)
    if intent.qty <= 0:
        return Denial(DenyReason.SIZE_ZERO)
    if tick_lots > TICK_LOTS_MAX:
        return Denial(DenyReason.SIZE_TOO_LARGE, instrument.money(TICK_LOTS_MAX), notional)
    if notional < instrument.min_notional:
        return Denial(DenyReason.BELOW_MIN_NOTIONAL, instrument.min_notional, notional)
    if instrument.kind is _SPOT and intent.side is _SELL:
        return Denial(DenyReason.SHORT_ON_SPOT)
    return None


def _of_account(view: RiskView, limits: Limits, equity: Decimal) -> tuple[Check, ...]:
    equity_min = limits.equity_min * view.start_equity
    fall_max = limits.drawdown_max * view.peak_equity
    loss_max = limits.daily_loss_max * view.day_start_equity
    return (
        _check(DenyReason.EQUITY_MIN, equity_min, equity, equity >= equity_min),
        _most(DenyReason.DRAWDOWN_MAX, fall_max, view.peak_equity - equity),
        _most(DenyReason.DAILY_LOSS_MAX, loss_max, view.day_start_equity - equity),
        _count(DenyReason.LOSING_STREAK_MAX, limits.losing_streak_max, view.losing_streak),
    )


def _of_position(
    view: RiskView, limits: Limits, instrument: Instrument, notional: Decimal, equity: Decimal
) -> tuple[Check, ...]:
    position, dollars_max = view.position_notional + notional, limits.position_max_usd
    checks = (
        _count(DenyReason.POSITIONS_MAX, limits.positions_max, view.positions_count),
        _most(DenyReason.POSITION_MAX, limits.position_max * equity, position),
    )
    if dollars_max is not None and is_dollar(instrument.quote):
        return (*checks, _most(DenyReason.POSITION_MAX, dollars_max, position))
    return checks


def _of_exposure(
    view: RiskView, limits: Limits, instrument: Instrument, notional: Decimal, equity: Decimal
) -> tuple[Check, ...]:
    symbol, total = view.symbol_exposure + notional, view.total_exposure + notional
    total_max = limits.total_exposure_max * equity
    return (
        _most(DenyReason.LEVERAGE_MAX, limits.leverage_max, instrument.leverage),
        _most(DenyReason.SYMBOL_EXPOSURE_MAX, limits.symbol_exposure_max * equity, symbol),
        _most(DenyReason.TOTAL_EXPOSURE_MAX, total_max, total),
        _most(DenyReason.CONCENTRATION_MAX, limits.concentration_max * total_max, symbol),
        _most(DenyReason.LEVERAGE_MAX, limits.leverage_max * equity, total),
    )


def _of_cash(
    view: RiskView, limits: Limits, instrument: Instrument, notional: Decimal, equity: Decimal
) -> tuple[Check, ...]:
    """Compare with the free balance: all of the notional on spot, the margin on a perpetual; and the fee."""
    spot = instrument.kind is _SPOT
    ungeared = spot or instrument.leverage == 1
    margin = notional if ungeared else EXACT.divide(notional, instrument.leverage)
    cost = margin + notional * instrument.taker_fee  # a fill rounds it
    balance = _most(DenyReason.BALANCE, view.balance_free, cost)
    if spot:
        return (balance,)
    used_max = limits.margin_use_max * equity
    return balance, _most(DenyReason.MARGIN_USE_MAX, used_max, view.margin_used + margin)


def _most(reason: DenyReason, limit: Decimal, actual: Decimal) -> Check:
    return _check(reason, limit, actual, actual <= limit)  # what compares with nothing never passes


def _count(reason: DenyReason, limit: int, actual: int) -> Check:
    return _check(reason, Decimal(limit), Decimal(actual), actual < limit)


def _denial(check: Check) -> Denial | None:
    return None if check.passed else Denial(check.reason, check.limit, check.actual)
