"""Every limit just under, at and over, and the order in which they answer."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from botd.core.events import Side
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.outcomes import DenyReason
from botd.core.restraint import Cause, Restraint, TradingState
from botd.core.risk import Denial, EntryIntent, RiskView, judge_entry
from botd.core.settings import Limits

D = Decimal
R = DenyReason

SPOT = Instrument(
    id=InstrumentId("X/USDT"),
    kind=InstrumentKind.SPOT,
    base="X",
    quote="USDT",
    tick_size=D("0.01"),
    lot_size=D("0.01"),  # at 10,000 ticks a lot is worth 1 USDT
    taker_fee=D("0.001"),
    maker_fee=D("0.001"),
)
PERP = replace(SPOT, id=InstrumentId("X/USDT:USDT"), kind=InstrumentKind.PERPETUAL)
WIDE = Limits(
    position_max=D(1000),
    position_max_usd=None,
    symbol_exposure_max=D(1000),
    total_exposure_max=D(1000),
    positions_max=1000,
    leverage_max=D(1000),
    daily_loss_max=D(1000),
    drawdown_max=D(1000),
    concentration_max=D(1000),
    margin_use_max=D(1000),
    losing_streak_max=1000,
    orders_per_minute_max=1000,
    equity_min=D(0),
)


def view(**changes: Any) -> RiskView:
    """Return a view of an account of 1,000 USDT that has done nothing yet."""
    terms: dict[str, Any] = {
        "equity": D(1000),
        "start_equity": D(1000),
        "day_start_equity": D(1000),
        "peak_equity": D(1000),
        "balance_free": D(1_000_000),
    }
    return RiskView(**{**terms, **changes})


def check(
    lots: int = 100,
    *,
    price: int | None = 10_000,
    side: Side = Side.BUY,
    instrument: Instrument = SPOT,
    limits: Limits = WIDE,
    **changes: Any,
) -> Denial | None:
    return judge_entry(EntryIntent(side, lots, price), view(**changes), limits, instrument).denial


def limited(**changes: Any) -> Limits:
    return replace(WIDE, **changes)


def test_entry_within_every_default_limit_may_trade() -> None:
    assert check(100, limits=Limits()) is None  # 100 of 1,000 USDT is just 10 %


# Each case: the limit in force, then lots or view just within it, then just over it.


@pytest.mark.parametrize(
    ("reason", "limits", "held", "within", "over", "limit", "actual"),
    [
        # 10 % of 1,000 = 100
        (R.POSITION_MAX, {"position_max": D("0.1")}, {}, 100, 101, "100", "101"),
        (
            R.POSITION_MAX,
            {"position_max": D("0.1")},
            {"position_notional": D("0.5")},
            99,
            100,
            "100",
            "100.5",
        ),
        (R.POSITION_MAX, {"position_max_usd": D(70)}, {}, 70, 71, "70", "71"),
        # 20 % of 1,000 = 200, 150 held
        (
            R.SYMBOL_EXPOSURE_MAX,
            {"symbol_exposure_max": D("0.2")},
            {"symbol_exposure": D(150)},
            50,
            51,
            "200",
            "201",
        ),
        # 50 % of 1,000 = 500, 450 held
        (
            R.TOTAL_EXPOSURE_MAX,
            {"total_exposure_max": D("0.5")},
            {"total_exposure": D(450)},
            50,
            51,
            "500",
            "501",
        ),
        # half of 40 % of 1,000 = 200
        (
            R.CONCENTRATION_MAX,
            {"concentration_max": D("0.5"), "total_exposure_max": D("0.4")},
            {"symbol_exposure": D(100)},
            100,
            101,
            "200",
            "201",
        ),
        # once the equity, 900 held
        (R.LEVERAGE_MAX, {"leverage_max": D(1)}, {"total_exposure": D(900)}, 100, 101, "1000", "1001"),
        # spot: 100.1 of cash cover 100 and the fee of 0.1
        (R.BALANCE, {}, {"balance_free": D("100.1")}, 100, 101, "100.1", "101.101"),
    ],
)
def test_amount_limit_allows_at_the_limit_and_denies_over_it(
    reason: R,
    limits: dict[str, Any],
    held: dict[str, Any],
    within: int,
    over: int,
    limit: str,
    actual: str,
) -> None:
    assert check(within - 1, limits=limited(**limits), **held) is None
    assert check(within, limits=limited(**limits), **held) is None
    assert check(over, limits=limited(**limits), **held) == Denial(reason, D(limit), D(actual))


@pytest.mark.parametrize(
    ("reason", "limits", "name", "count_max"),
    [
        (R.POSITIONS_MAX, {"positions_max": 5}, "positions_count", 5),
        (R.LOSING_STREAK_MAX, {"losing_streak_max": 6}, "losing_streak", 6),
        (R.ORDERS_PER_MINUTE, {"orders_per_minute_max": 30}, "orders_last_minute", 30),
    ],
)
def test_count_limit_allows_under_the_limit_and_denies_at_it(
    reason: R, limits: dict[str, Any], name: str, count_max: int
) -> None:
    under: dict[str, Any] = {name: count_max - 1}
    assert check(limits=limited(**limits), **under) is None
    for count in (count_max, count_max + 1):
        reached: dict[str, Any] = {name: count}
        denial = check(limits=limited(**limits), **reached)
        assert denial == Denial(reason, D(count_max), D(count))


def test_daily_loss_is_measured_from_the_days_start() -> None:
    limits = limited(daily_loss_max=D("0.05"))  # of 2,000 = 100
    assert check(10, limits=limits, day_start_equity=D(2000), equity=D("1900.01")) is None
    assert check(10, limits=limits, day_start_equity=D(2000), equity=D(1900)) is None
    denial = check(10, limits=limits, day_start_equity=D(2000), equity=D("1899.99"))
    assert denial == Denial(R.DAILY_LOSS_MAX, D(100), D("100.01"))


def test_drawdown_is_measured_from_the_peak() -> None:
    limits = limited(drawdown_max=D("0.15"))  # of 2,000 = 300
    assert check(10, limits=limits, peak_equity=D(2000), equity=D("1700.01")) is None
    assert check(10, limits=limits, peak_equity=D(2000), equity=D(1700)) is None
    denial = check(10, limits=limits, peak_equity=D(2000), equity=D("1699.99"))
    assert denial == Denial(R.DRAWDOWN_MAX, D(300), D("300.01"))


def test_equity_minimum_is_a_share_of_the_start() -> None:
    limits = limited(equity_min=D("0.2"))  # of 1,000 = 200
    assert check(10, limits=limits, equity=D("200.01")) is None
    assert check(10, limits=limits, equity=D(200)) is None
    assert check(10, limits=limits, equity=D("199.99")) == Denial(R.EQUITY_MIN, D(200), D("199.99"))


def test_min_notional() -> None:
    instrument = replace(SPOT, min_notional=D(10))
    assert check(11, instrument=instrument) is None
    assert check(10, instrument=instrument) is None
    assert check(9, instrument=instrument) == Denial(R.BELOW_MIN_NOTIONAL, D(10), D(9))


@pytest.mark.parametrize("quote", ["USD", "USDT"])
def test_dollar_limit_binds_in_dollars(quote: str) -> None:
    instrument = replace(SPOT, quote=quote)
    denial = check(71, instrument=instrument, limits=limited(position_max_usd=D(70)))
    assert denial == Denial(R.POSITION_MAX, D(70), D(71))


@pytest.mark.parametrize("quote", ["BTC", "USDC", "EUR"])
def test_dollar_limit_does_not_bind_elsewhere(quote: str) -> None:
    instrument = replace(SPOT, quote=quote)
    assert check(71, instrument=instrument, limits=limited(position_max_usd=D(70))) is None


def test_ratio_limit_answers_before_the_dollar_limit() -> None:
    limits = limited(position_max=D("0.1"), position_max_usd=D(70))
    assert check(101, limits=limits) == Denial(R.POSITION_MAX, D(100), D(101))


@pytest.mark.parametrize(
    ("state", "reason"),
    [(TradingState.REDUCING, R.TRADING_REDUCING), (TradingState.HALTED, R.TRADING_HALTED)],
)
def test_entry_while_reducing_or_halted_is_denied_with_cause_and_since(
    state: TradingState, reason: DenyReason
) -> None:
    restraint = Restraint(state=state, cause=Cause.SIGNAL, who="kill", reason="", since_us=77)
    assert check(restraint=restraint) == Denial(reason, cause=Cause.SIGNAL, since_us=77)


@pytest.mark.parametrize("price", [None, 0, -1])
def test_unknown_price_denies(price: int | None) -> None:
    assert check(price=price) == Denial(R.PRICE_UNKNOWN)


def test_unknown_equity_denies() -> None:
    assert check(equity=None) == Denial(R.PRICE_UNKNOWN)


def test_entry_against_another_strategys_side_is_denied_on_a_netting_venue() -> None:
    assert check(opposed=True) == Denial(R.OPPOSITE_SIDE)


@pytest.mark.parametrize("lots", [0, -1])
def test_size_of_nothing_is_denied(lots: int) -> None:
    assert check(lots) == Denial(R.SIZE_ZERO)


def test_cost_beyond_the_machines_word_is_denied() -> None:
    fine = replace(SPOT, tick_size=D("1e-8"), lot_size=D("1e-8"))
    most = (1 << 62) // 10**12  # at 10,000
    rich = {"equity": D(10) ** 9, "start_equity": D(1), "balance_free": D(10) ** 9, "instrument": fine}
    assert check(most, price=10**12, **rich) is None
    denial = check(most + 1, price=10**12, **rich)
    assert denial == Denial(R.SIZE_TOO_LARGE, D("461.1686018427387904"), D("461.1687"))


def test_short_on_spot_is_denied_and_on_a_perpetual_is_not() -> None:
    assert check(side=Side.SELL) == Denial(R.SHORT_ON_SPOT)
    assert check(side=Side.SELL, instrument=PERP) is None


def test_negative_equity_denies_whatever_is_asked() -> None:
    assert check(1, equity=D("-0.01")) == Denial(R.EQUITY_MIN, D(0), D("-0.01"))


@pytest.mark.parametrize("equity", [D("NaN"), D("sNaN")])
def test_a_value_that_compares_with_nothing_never_trades(equity: Decimal) -> None:
    with pytest.raises(ArithmeticError):
        check(1, equity=equity)


def test_leverage_of_the_instrument_itself_is_limited() -> None:
    geared = replace(PERP, leverage=D(3))
    assert check(instrument=geared, limits=limited(leverage_max=D(3))) is None
    denial = check(instrument=geared, limits=limited(leverage_max=D("2.5")))
    assert denial == Denial(R.LEVERAGE_MAX, D("2.5"), D(3))


def test_perpetual_needs_margin_and_fee_only() -> None:
    geared = replace(PERP, leverage=D(4))
    # 400 / 4 = 100 of margin and a fee of 0.4
    assert check(400, instrument=geared, balance_free=D("100.4")) is None
    denial = check(400, instrument=geared, balance_free=D("100.3"))
    assert denial == Denial(R.BALANCE, D("100.3"), D("100.4"))


def test_margin_use_counts_what_is_used_already() -> None:
    geared = replace(PERP, leverage=D(4))
    limits = limited(margin_use_max=D("0.8"))  # of 1,000 = 800
    assert check(400, instrument=geared, limits=limits, margin_used=D(700)) is None  # 700 + 100
    denial = check(404, instrument=geared, limits=limits, margin_used=D(700))
    assert denial == Denial(R.MARGIN_USE_MAX, D(800), D(801))
    assert check(404, instrument=SPOT, limits=limits, margin_used=D(700)) is None


# Everything is broken at first; each step mends the limit that answered and shows the next one.
BROKEN: dict[str, Any] = {
    "instrument": replace(SPOT, min_notional=D(10), leverage=D(2)),
    "limits": Limits(position_max_usd=D(60)),
    "restraint": Restraint(
        state=TradingState.HALTED, cause=Cause.FILE, who="somebody", reason="", since_us=1
    ),
    "orders_last_minute": 99,
    "price": None,
    "opposed": True,
    "lots": 0,
    "side": Side.SELL,
    "equity": D(100),
    "losing_streak": 9,
    "positions_count": 9,
    "balance_free": D(0),
}
MENDING: list[tuple[DenyReason, dict[str, Any]]] = [
    (R.TRADING_HALTED, {"restraint": None}),
    (R.ORDERS_PER_MINUTE, {"orders_last_minute": 0}),
    (R.PRICE_UNKNOWN, {"price": 10_000}),
    (R.OPPOSITE_SIDE, {"opposed": False}),
    (R.SIZE_ZERO, {"lots": 1}),
    (R.BELOW_MIN_NOTIONAL, {"lots": 601}),
    (R.SHORT_ON_SPOT, {"side": Side.BUY}),
    (R.EQUITY_MIN, {"equity": D(300)}),  # 30 % of the start
    (R.DRAWDOWN_MAX, {"peak_equity": D(300)}),
    (R.DAILY_LOSS_MAX, {"day_start_equity": D(300)}),
    (R.LOSING_STREAK_MAX, {"losing_streak": 0}),
    (R.POSITIONS_MAX, {"positions_count": 0}),
]
MENDING_LIMITS: list[tuple[DenyReason, dict[str, Any]]] = [
    (R.POSITION_MAX, {"position_max": D(10)}),
    (R.POSITION_MAX, {"position_max_usd": None}),
    (R.LEVERAGE_MAX, {"leverage_max": D(2)}),  # the instrument's own
    (R.SYMBOL_EXPOSURE_MAX, {"symbol_exposure_max": D(10)}),
    (R.TOTAL_EXPOSURE_MAX, {"total_exposure_max": D(3)}),
    (R.CONCENTRATION_MAX, {"concentration_max": D(1)}),
    (R.LEVERAGE_MAX, {"leverage_max": D(3)}),  # the account's: 601 over 2 x 300
]


def test_limits_answer_in_the_documented_order() -> None:
    terms = dict(BROKEN)
    steps = [*MENDING, *((reason, {"limits": change}) for reason, change in MENDING_LIMITS)]
    for reason, change in steps:
        denial = check(**terms)
        assert denial is not None
        assert denial.reason is reason
        if "limits" in change:
            change = {"limits": replace(terms["limits"], **change["limits"])}
        terms |= change
    last = check(**terms)
    assert last == Denial(R.BALANCE, D(0), D("601.601"))
    assert check(**(terms | {"balance_free": D("601.601")})) is None
