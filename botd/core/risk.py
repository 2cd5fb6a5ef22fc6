"""The limits every entry must pass. Exits have no check here, and must never get one."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from botd.core.events import Side
from botd.core.instrument import Instrument, InstrumentKind
from botd.core.money import EXACT, ZERO, fee, is_dollar
from botd.core.records import DenyReason
from botd.core.settings import Limits


class TradingState(StrEnum):
    """Whether new risk may be taken. Exits run in all three."""

    ACTIVE = "active"
    REDUCING = "reducing"  # released when its cause ends
    HALTED = "halted"  # persisted, released only by command, or at day end for daily loss


@dataclass(frozen=True, slots=True)
class Denial:
    """Why an intent must not trade. Limit and actual are in the same unit, None where neither applies."""

    reason: DenyReason
    limit: Decimal | None = None
    actual: Decimal | None = None


@dataclass(frozen=True, slots=True)
class EntryIntent:
    """A sized entry that nobody has checked."""

    side: Side
    qty: int  # lots
    price: int | None  # ticks: the price the size was made from, None when there is none


@dataclass(slots=True, kw_only=True)
class RiskView:
    """What the checks may know, in the quote currency of the instrument asked for.

    Working and in-doubt entries count as filled in `position_notional`, the exposures, `margin_used`,
    `balance_free` and `positions_count`. The intent being checked is in none of them.
    """

    trading: TradingState = TradingState.ACTIVE
    data_confirmed: bool = True  # no unconfirmed outlier on the instrument
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
    rejects_in_a_row: int = 0


def check_entry(intent: EntryIntent, view: RiskView, limits: Limits, instrument: Instrument) -> Denial | None:
    """Return why the entry must not trade, or None. What we cannot know denies.

    The first limit that fails answers, in the order in which they stand here: trading state, rates,
    price and data, size, account, number of positions, exposure, cash. A count denies once it stands
    at its limit, an amount once it is over it.
    """
    denial = _check_gates(view, limits)
    if denial is not None:
        return denial
    if intent.price is None or intent.price <= 0 or view.equity is None:
        return Denial(DenyReason.PRICE_UNKNOWN)
    if not view.data_confirmed:
        return Denial(DenyReason.DATA_UNCONFIRMED)
    if intent.qty <= 0:
        return Denial(DenyReason.SIZE_ZERO)
    notional = instrument.money(intent.price * intent.qty)
    equity = view.equity
    return (
        _check_order(intent, instrument, notional)
        or _check_account(view, limits, equity)
        or _check_position(view, limits, instrument, notional, equity)
        or _check_exposure(view, limits, instrument, notional, equity)
        or _check_cash(view, limits, instrument, notional, equity)
    )


def _check_gates(view: RiskView, limits: Limits) -> Denial | None:
    if view.trading is not TradingState.ACTIVE:
        return Denial(DenyReason.TRADING_HALTED)
    return _count_reached(
        DenyReason.REJECTS_IN_A_ROW, limits.rejects_in_a_row_max, view.rejects_in_a_row
    ) or _count_reached(DenyReason.ORDERS_PER_MINUTE, limits.orders_per_minute_max, view.orders_last_minute)


def _check_order(intent: EntryIntent, instrument: Instrument, notional: Decimal) -> Denial | None:
    if notional < instrument.min_notional:
        return Denial(DenyReason.BELOW_MIN_NOTIONAL, instrument.min_notional, notional)
    if intent.side is Side.SELL and instrument.kind is InstrumentKind.SPOT:
        return Denial(DenyReason.SHORT_ON_SPOT)
    return None


def _check_account(view: RiskView, limits: Limits, equity: Decimal) -> Denial | None:
    equity_min = limits.equity_min * view.start_equity
    if not equity >= equity_min:
        return Denial(DenyReason.EQUITY_MIN, equity_min, equity)
    return (
        _amount_exceeded(
            DenyReason.DRAWDOWN_MAX, limits.drawdown_max * view.peak_equity, view.peak_equity - equity
        )
        or _amount_exceeded(
            DenyReason.DAILY_LOSS_MAX,
            limits.daily_loss_max * view.day_start_equity,
            view.day_start_equity - equity,
        )
        or _count_reached(DenyReason.LOSING_STREAK_MAX, limits.losing_streak_max, view.losing_streak)
    )


def _check_position(
    view: RiskView, limits: Limits, instrument: Instrument, notional: Decimal, equity: Decimal
) -> Denial | None:
    denial = _count_reached(DenyReason.POSITIONS_MAX, limits.positions_max, view.positions_count)
    if denial is not None:
        return denial
    position = view.position_notional + notional
    denial = _amount_exceeded(DenyReason.POSITION_MAX, limits.position_max * equity, position)
    if denial is None and limits.position_max_usd is not None and is_dollar(instrument.quote):
        return _amount_exceeded(DenyReason.POSITION_MAX, limits.position_max_usd, position)
    return denial


def _check_exposure(
    view: RiskView, limits: Limits, instrument: Instrument, notional: Decimal, equity: Decimal
) -> Denial | None:
    symbol = view.symbol_exposure + notional
    total = view.total_exposure + notional
    total_max = limits.total_exposure_max * equity
    if instrument.leverage > limits.leverage_max:
        return Denial(DenyReason.LEVERAGE_MAX, limits.leverage_max, instrument.leverage)
    return (
        _amount_exceeded(DenyReason.SYMBOL_EXPOSURE_MAX, limits.symbol_exposure_max * equity, symbol)
        or _amount_exceeded(DenyReason.TOTAL_EXPOSURE_MAX, total_max, total)
        or _amount_exceeded(DenyReason.CONCENTRATION_MAX, limits.concentration_max * total_max, symbol)
        or _amount_exceeded(DenyReason.LEVERAGE_MAX, limits.leverage_max * equity, total)
    )


def _check_cash(
    view: RiskView, limits: Limits, instrument: Instrument, notional: Decimal, equity: Decimal
) -> Denial | None:
    """Compare with the free balance: all of the notional on spot, the margin on a perpetual."""
    cost = fee(notional, instrument.taker_fee)
    if instrument.kind is InstrumentKind.SPOT:
        return _amount_exceeded(DenyReason.BALANCE, view.balance_free, notional + cost)
    margin = EXACT.divide(notional, instrument.leverage)
    return _amount_exceeded(DenyReason.BALANCE, view.balance_free, margin + cost) or _amount_exceeded(
        DenyReason.MARGIN_USE_MAX, limits.margin_use_max * equity, view.margin_used + margin
    )


def _count_reached(reason: DenyReason, limit: int, actual: int) -> Denial | None:
    return Denial(reason, Decimal(limit), Decimal(actual)) if actual >= limit else None


def _amount_exceeded(reason: DenyReason, limit: Decimal, actual: Decimal) -> Denial | None:
    # Written so that a value that compares with nothing denies.
    return None if actual <= limit else Denial(reason, limit, actual)
