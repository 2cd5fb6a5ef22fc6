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
from botd.core.values import value

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


def check_entry(intent: EntryIntent, view: RiskView, limits: Limits, instrument: Instrument) -> Denial | None:
    """Return why the entry must not trade, or None. What we cannot know denies.

    The first limit that fails answers, in the order in which they stand here: trading state, rate,
    price, size, account, number of positions, exposure, cash. A count denies once it stands
    at its limit, an amount once it is over it.
    """
    if view.restraint is not None or view.orders_last_minute >= limits.orders_per_minute_max:
        return _closed_gate(view, limits)
    equity = view.equity
    if intent.price is None or intent.price <= 0 or equity is None:
        return Denial(DenyReason.PRICE_UNKNOWN)
    if view.unexplained:
        return Denial(DenyReason.POSITION_UNEXPLAINED)
    if view.opposed:
        return Denial(DenyReason.OPPOSITE_SIDE)
    if intent.qty <= 0:
        return Denial(DenyReason.SIZE_ZERO)
    tick_lots = intent.price * intent.qty
    notional = instrument.money(tick_lots)
    if tick_lots > TICK_LOTS_MAX:
        return Denial(DenyReason.SIZE_TOO_LARGE, instrument.money(TICK_LOTS_MAX), notional)
    if notional < instrument.min_notional:
        return Denial(DenyReason.BELOW_MIN_NOTIONAL, instrument.min_notional, notional)
    spot = instrument.kind is _SPOT
    if spot and intent.side is _SELL:
        return Denial(DenyReason.SHORT_ON_SPOT)
    return (
        _check_account(view, limits, equity)
        or _check_position(view, limits, instrument, notional, equity)
        or _check_exposure(view, limits, instrument, notional, equity)
        or _check_cash(view, limits, instrument, notional, equity, spot=spot)
    )


# Amounts are compared as `not actual <= limit`, so that what compares with nothing never passes.


def _closed_gate(view: RiskView, limits: Limits) -> Denial:
    """Say which gate is closed: trading as a whole, or the rate of orders."""
    restraint = view.restraint
    if restraint is not None:
        halted = restraint.state is TradingState.HALTED
        reason = DenyReason.TRADING_HALTED if halted else DenyReason.TRADING_REDUCING
        return Denial(reason, cause=restraint.cause, since_us=restraint.since_us)
    return _count(DenyReason.ORDERS_PER_MINUTE, limits.orders_per_minute_max, view.orders_last_minute)


def _check_account(view: RiskView, limits: Limits, equity: Decimal) -> Denial | None:
    equity_min = limits.equity_min * view.start_equity
    if not equity >= equity_min:
        return Denial(DenyReason.EQUITY_MIN, equity_min, equity)
    fall, fall_max = view.peak_equity - equity, limits.drawdown_max * view.peak_equity
    if not fall <= fall_max:
        return Denial(DenyReason.DRAWDOWN_MAX, fall_max, fall)
    loss, loss_max = view.day_start_equity - equity, limits.daily_loss_max * view.day_start_equity
    if not loss <= loss_max:
        return Denial(DenyReason.DAILY_LOSS_MAX, loss_max, loss)
    if view.losing_streak >= limits.losing_streak_max:
        return _count(DenyReason.LOSING_STREAK_MAX, limits.losing_streak_max, view.losing_streak)
    return None


def _check_position(
    view: RiskView, limits: Limits, instrument: Instrument, notional: Decimal, equity: Decimal
) -> Denial | None:
    if view.positions_count >= limits.positions_max:
        return _count(DenyReason.POSITIONS_MAX, limits.positions_max, view.positions_count)
    position, position_max = view.position_notional + notional, limits.position_max * equity
    if not position <= position_max:
        return Denial(DenyReason.POSITION_MAX, position_max, position)
    dollars_max = limits.position_max_usd
    if dollars_max is not None and is_dollar(instrument.quote) and not position <= dollars_max:
        return Denial(DenyReason.POSITION_MAX, dollars_max, position)
    return None


def _check_exposure(
    view: RiskView, limits: Limits, instrument: Instrument, notional: Decimal, equity: Decimal
) -> Denial | None:
    if not instrument.leverage <= limits.leverage_max:
        return Denial(DenyReason.LEVERAGE_MAX, limits.leverage_max, instrument.leverage)
    symbol, symbol_max = view.symbol_exposure + notional, limits.symbol_exposure_max * equity
    if not symbol <= symbol_max:
        return Denial(DenyReason.SYMBOL_EXPOSURE_MAX, symbol_max, symbol)
    total, total_max = view.total_exposure + notional, limits.total_exposure_max * equity
    if not total <= total_max:
        return Denial(DenyReason.TOTAL_EXPOSURE_MAX, total_max, total)
    share_max = limits.concentration_max * total_max
    if not symbol <= share_max:
        return Denial(DenyReason.CONCENTRATION_MAX, share_max, symbol)
    geared_max = limits.leverage_max * equity
    if not total <= geared_max:
        return Denial(DenyReason.LEVERAGE_MAX, geared_max, total)
    return None


def _check_cash(
    view: RiskView,
    limits: Limits,
    instrument: Instrument,
    notional: Decimal,
    equity: Decimal,
    *,
    spot: bool,
) -> Denial | None:
    """Compare with the free balance: all of the notional on spot, the margin on a perpetual; and the fee."""
    ungeared = spot or instrument.leverage == 1
    margin = notional if ungeared else EXACT.divide(notional, instrument.leverage)
    cost = margin + notional * instrument.taker_fee  # a fill rounds it
    if not cost <= view.balance_free:
        return Denial(DenyReason.BALANCE, view.balance_free, cost)
    if spot:
        return None
    used, used_max = view.margin_used + margin, limits.margin_use_max * equity
    return None if used <= used_max else Denial(DenyReason.MARGIN_USE_MAX, used_max, used)


def _count(reason: DenyReason, limit: int, actual: int) -> Denial:
    return Denial(reason, Decimal(limit), Decimal(actual))
