"""What the screen copies of the bot, and how it counts and words what happened."""

import pytest

from botd.core.bot import Bot, LaneSpec
from botd.core.events import Section, Side
from botd.core.outcomes import DenyReason
from botd.core.records import Record, RiskRecord, SignalRecord
from botd.core.restraint import Cause, Restraint, TradingCommand, TradingState, Verb
from botd.core.settings import CoreSettings
from botd.runtime.tally import Tally, money, number, percent, restraint_text, span, why
from botd.runtime.view import Phase, look
from tests.runtime.screens import BTC, NXS, SECOND, T0, D, Records, hold, instrument, strategy

# ---- what is copied of the bot ------------------------------------------------------------------


def test_look_reads_prices_rows_and_phases(bot: Bot) -> None:
    bot.runners[1].lane.engine.phase[1] = Phase.IN_POSITION
    view = look(bot, T0)
    first, second = view.lanes
    assert (first.last, first.bid, first.ask, first.rows) == (500_000, 499_999, 500_001, 2)
    assert first.strategies == (("dip", Phase.IDLE), ("rise", Phase.IN_POSITION))
    assert (second.last, second.rows, second.strategies) == (1_000, 1, (("pump", Phase.IDLE),))
    assert (view.rows, view.ts_us, view.trading) == (3, T0, TradingState.ACTIVE)


def test_look_values_a_long_position_at_the_last_price(bot: Bot) -> None:
    hold(bot, lots=20, price=498_000)  # 0.020 BTC at 49,800.0; 200 USDT of price is 4 USDT
    view = look(bot, T0)
    (held,) = view.positions
    assert (held.side, held.qty, held.entry_price) == ("long", D("0.020"), D("49800.0"))
    assert (held.mark, held.unrealized) == (D("50000.0"), D("4.00000"))
    assert held.ratio == pytest.approx(200 / 49_800, rel=1e-12)
    usdt, btc = view.accounts
    assert (usdt.equity, usdt.balance, usdt.fees) == (D("10003.75"), D("9999.75"), D("0.25"))
    assert (btc.equity, btc.drawdown) == (D(1), 0.0)


def test_look_values_a_short_position_and_its_drawdown(bot: Bot) -> None:
    hold(bot, lots=1000, price=490_000, side=Side.SELL)  # 1 BTC short at 49,000: 1,000 USDT behind
    view = look(bot, T0)
    assert (view.positions[0].side, view.positions[0].unrealized) == ("short", D(-1000))
    assert view.accounts[0].drawdown == pytest.approx(1000.25 / 10_000, rel=1e-12)


def test_look_changes_nothing_of_the_bot(bot: Bot) -> None:
    hold(bot, lots=1000, price=400_000)  # equity far over the peak, which only the bot may note
    before = bot.desk.portfolio.state()
    look(bot, T0)
    assert bot.desk.portfolio.state() == before
    assert bot.desk.portfolio.peak_equity("USDT") == 10_000


def test_look_at_a_bot_without_rows_knows_no_price() -> None:
    spec = LaneSpec(instrument=instrument(), strategies=(strategy("dip", BTC),))
    bot = Bot(CoreSettings(equity={"USDT": D(10000)}), [spec], id_prefix="t", block_max=8)
    hold(bot, lots=1, price=500_000)
    view = look(bot, T0)
    assert (view.lanes[0].last, view.rows) == (None, 0)
    assert (view.positions[0].mark, view.positions[0].unrealized) == (None, None)
    assert (view.accounts[0].equity, view.accounts[0].drawdown) == (None, None)


def test_look_copies_what_restrains_trading(bot: Bot) -> None:
    for verb, cause in ((Verb.HOLD, Cause.LOOP_STALLED), (Verb.HALT, Cause.FILE)):
        bot.obey(TradingCommand(verb=verb, cause=cause, who="ann", reason="odd prices"), T0)
    view = look(bot, T0)
    assert view.trading is TradingState.HALTED
    assert [one.cause for one in view.restraints] == [Cause.LOOP_STALLED, Cause.FILE]
    assert [restraint_text(one) for one in view.restraints] == [
        "reducing since 2025-11-21 14:03:22 UTC, loop_stalled, by ann: odd prices",
        "halted since 2025-11-21 14:03:22 UTC, file, by ann: odd prices; 'botd resume' lifts it",
    ]
    bot.obey(TradingCommand(verb=Verb.RESUME, cause=Cause.COMMAND, who="ann"), T0)
    assert len(view.restraints) == 2


def test_restraint_is_told_with_its_scope_and_with_what_lifts_it() -> None:
    def told(scope: str, cause: Cause) -> str:
        one = Restraint(
            state=TradingState.HALTED, cause=cause, who="botd", reason="why", since_us=0, scope=scope
        )
        return restraint_text(one)

    began = "since 1970-01-01 00:00:00 UTC"
    assert told(BTC, Cause.QUARANTINED) == (
        f"halted on {BTC} {began}, quarantined, by botd: why; 'botd resume' lifts it"
    )
    assert told("strategy:dip", Cause.DRAWDOWN).startswith(f"halted on strategy:dip {began}, drawdown")
    assert told("account", Cause.DAILY_LOSS) == f"halted {began}, daily_loss, by botd: why"  # the day does


# ---- counting -----------------------------------------------------------------------------------


def test_tally_counts_per_strategy_and_currency(make: Records) -> None:
    intent = make.intent()
    records: list[Record] = [
        make.signal(),
        intent,
        make.risk(intent),
        make.signal(strategy="pump", instrument=NXS),
        make.intent(strategy="pump", instrument=NXS),
        make.order(),
        make.trade("5.00", "0.50"),
        make.trade("0.40", "0.50"),
        make.trade("-0.00020000", "0.00000100", strategy="pump", instrument=NXS),
        make.intent(Section.E1),
    ]
    tally = Tally()
    lines = tally.add(records)
    dip, pump = tally.strategies["dip"], tally.strategies["pump"]
    assert (dip.signals, dip.entries, dip.denied, dip.trades, dip.wins) == (1, 1, 1, 2, 1)
    assert dip.net == {"USDT": D("4.40")}
    assert (pump.signals, pump.entries, pump.trades, pump.wins) == (1, 1, 1, 0)
    assert pump.net == {"BTC": D("-0.00020100")}
    assert tally.denials == {"position_max": 1}
    assert lines == [
        "2025-11-21 14:03:22 denied dip BTC/USDT:USDT: position_max, 1,234.5 against a limit of 1,000",
        "2025-11-21 14:06:34 trade dip BTC/USDT:USDT +4.50 USDT after fees, "
        "E1 gone: long 0.01, 50,000.1 to 50,500, 3m 12s #7",
        "2025-11-21 14:06:34 trade dip BTC/USDT:USDT -0.10 USDT after fees, "
        "E1 gone: long 0.01, 50,000.1 to 50,500, 3m 12s #8",
        "2025-11-21 14:06:34 trade pump NXS/BTC -0.00020100 BTC after fees, "
        "E1 gone: long 0.01, 50,000.1 to 50,500, 3m 12s #9",
    ]


def test_denial_takes_the_place_of_the_intent_it_denies(make: Records) -> None:
    intent = make.intent()
    tally = Tally()
    tally.add([make.signal(), intent])
    tally.add([make.risk(intent)])
    assert [type(one) for one in tally.decisions] == [SignalRecord, RiskRecord]


def test_alert_makes_a_line(make: Records) -> None:
    assert Tally().add([make.alert()]) == [
        "2025-11-21 14:03:22 alert critical order_rejected: the venue rejected t-1 #1"
    ]


def test_why_names_confidence_rule_and_values(make: Records) -> None:
    assert why(make.signal()) == "confidence 0.72, speed 0.0125"
    assert why(make.signal(acted=False)) == "confidence 0.72, too low to act on, speed 0.0125"
    assert why(make.signal(Section.ZE1, rule="stall", values=())) == "stall"
    assert why(make.signal(Section.O1, reason="after", values=())) == "its time is over"
    assert why(make.signal(Section.O1, reason="when", values=())) == "no longer wanted"
    denial = make.risk(make.intent(), reason=DenyReason.PRICE_UNKNOWN, limit=None, actual=None)
    assert why(denial) == "price_unknown"
    terms = {"limit": None, "actual": None, "cause": Cause.SIGNAL, "since_us": T0}
    halted = make.risk(make.intent(), reason=DenyReason.TRADING_HALTED, **terms)
    assert why(halted) == "trading_halted, signal since 2025-11-21 14:03:22"


@pytest.mark.parametrize(
    ("us", "text"),
    [(0, "0s"), (-5, "0s"), (59_999_999, "59s"), (192 * SECOND, "3m 12s"), (7500 * SECOND, "2h 5m"),
     (356_400 * SECOND, "4d 3h")],
)  # fmt: skip
def test_span(us: int, text: str) -> None:
    assert span(us) == text


def test_amount_that_rounds_to_nothing_has_no_minus() -> None:
    assert money(D("-0.001"), "USDT") == "0.00"
    assert money(D("-0.001"), "USDT", signed=True) == "+0.00"
    assert [percent(x, signed=True) for x in (-0.00001, 0.00001, -0.0125, 0.5)] == [
        "0.00%",
        "0.00%",
        "-1.25%",
        "+50.00%",
    ]
    assert percent(-0.00001) == "0.00%"


def test_numbers_are_written_for_people() -> None:
    assert number(D("1234567.89000")) == "1,234,567.89"
    assert number(D("-0.00000001")) == "-0.00000001"
    assert number(D("-1234.5")) == "-1,234.5"
    assert number(D("0E-8")) == "0"
    assert money(D("1234.567"), "USDT") == "1,234.57"
    assert money(D("0.1"), "BTC", signed=True) == "+0.10000000"
