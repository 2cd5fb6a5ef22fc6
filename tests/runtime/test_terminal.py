from __future__ import annotations

import io
import logging
import random
import re
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from botd.core.bot import Bot, LaneSpec
from botd.core.events import ClientOrderId, OrderType, Section, Side, TimeInForce
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.records import (
    AlertRecord,
    DenyReason,
    IntentRecord,
    OrderRecord,
    Record,
    RiskRecord,
    SignalRecord,
    TradeRecord,
)
from botd.core.risk import TradingState
from botd.core.settings import CoreSettings
from botd.engine import layout as col
from botd.language.strategy import read_strategy
from botd.language.typed import Strategy
from botd.runtime.panels import Frame, Heading, draw
from botd.runtime.tally import Tally, money, number, span, why
from botd.runtime.terminal import LINES_MAX, Screen
from botd.runtime.view import AccountView, LaneView, Phase, PositionView, View, look
from botd.telemetry import configure_logging
from tests.runtime.manual_clock import ManualClock

D = Decimal
SECOND = 1_000_000
T0 = 1_763_733_802_000_000  # 2025-11-21 14:03:22 UTC
BTC = InstrumentId("BTC/USDT:USDT")
NXS = InstrumentId("NXS/BTC")


def instrument(name: str = BTC, tick: str = "0.1", lot: str = "0.001") -> Instrument:
    base, _, rest = name.partition("/")
    return Instrument(
        id=InstrumentId(name),
        kind=InstrumentKind.PERPETUAL if ":" in name else InstrumentKind.SPOT,
        base=base,
        quote=rest.partition(":")[0],
        tick_size=D(tick),
        lot_size=D(lot),
        taker_fee=D("0.0005"),
        maker_fee=D("0.0002"),
    )


def strategy(name: str, traded: str) -> Strategy:
    lines = (
        f"strategy: {name}",
        f"instruments: [{traded}]",
        "side: long",
        "S1: { when: price > 0, order: { type: market }, size: { percent: 5% of equity } }",
        "protect: { stop_loss: 1% }",
        "on_stop: cancel",
        "",
    )
    text = "\n".join(lines)
    found, diagnostics = read_strategy(text, f"{name}.yaml")
    assert found is not None, diagnostics
    return found


@pytest.fixture
def bot() -> Bot:
    """Two instruments and three rows: BTC/USDT:USDT last at 50,000.0, NXS/BTC at 0.00001."""
    specs = [
        LaneSpec(instrument=instrument(), strategies=(strategy("dip", BTC), strategy("rise", BTC))),
        LaneSpec(instrument=instrument(NXS, "0.00000001", "1"), strategies=(strategy("pump", NXS),)),
    ]
    bot = Bot(CoreSettings(equity={"USDT": D(10000), "BTC": D(1)}), specs, id_prefix="t", block_max=8)
    rows = np.zeros((col.N_INPUT, 3), np.int64)
    rows[col.T] = [T0, T0 + SECOND, T0 + 2 * SECOND]
    rows[col.P] = [499_000, 1_000, 500_000]
    rows[col.BID] = rows[col.P] - 1
    rows[col.ASK] = rows[col.P] + 1
    rows[col.Q] = rows[col.SIDE] = 1
    block = bot.load(np.array([0, 1, 0]), rows)
    for lane in bot.lanes:
        lane.next = lane.n  # every row has been judged
    assert block.n == 3
    return bot


def hold(bot: Bot, *, lots: int, price: int, side: Side = Side.BUY) -> None:
    bot.desk.portfolio.apply_fill(
        "dip", bot.lanes[0].instrument, side, lots, price, D("0.25"), T0, 1, reducing=False
    )


class Records:
    """Makes records in the order of their seq."""

    def __init__(self) -> None:
        self.seq = 0

    def _common(self, **values: Any) -> dict[str, Any]:
        self.seq += 1
        return {"seq": self.seq, "strategy": "dip", "instrument": BTC, "ts_us": T0} | values

    def signal(self, section: Section = Section.S1, **values: Any) -> SignalRecord:
        base = {"section": section, "rule": "", "cycle": 1, "row": 7, "side": Side.BUY, "price": D("50000.0")}
        rest = {"confidence": 0.725, "values": (("speed", 0.0125),), "acted": True}
        return SignalRecord(**self._common(**(base | rest | values)))

    def intent(self, section: Section = Section.Z1, **values: Any) -> IntentRecord:
        base = {"section": section, "rule": "", "cycle": 1, "leg": 0, "row": 7, "side": Side.BUY}
        rest = {"qty": D("0.010"), "price": D("50000.1"), "sizing": "percent: 5%"}
        return IntentRecord(**self._common(**(base | rest | values)))

    def risk(self, intent: IntentRecord, **values: Any) -> RiskRecord:
        base = {"intent_seq": intent.seq, "row": 7, "approved": False, "reason": DenyReason.POSITION_MAX}
        rest = {"limit": D("1000.00"), "actual": D("1234.50")}
        return RiskRecord(**self._common(**(base | rest | values)))

    def order(self, **values: Any) -> OrderRecord:
        base = {"client_order_id": ClientOrderId("t-1"), "intent_seq": 1, "section": Section.Z1, "rule": ""}
        rest = {"cycle": 1, "leg": 0, "row": 7, "side": Side.BUY, "type": OrderType.MARKET}
        last = {"qty": D(1), "limit_price": None, "stop_price": None, "reduce_only": False}
        more = {"tif": TimeInForce.IOC, "decision_price": D(1)}
        return OrderRecord(**self._common(**(base | rest | last | more | values)))

    def trade(self, pnl: str, fees: str, **values: Any) -> TradeRecord:
        base = {"cycle": 1, "side": "long", "qty": D("0.010"), "entry_price": D("50000.100000000000")}
        rest = {
            "exit_price": D("50500"),
            "opened_us": T0,
            "closed_us": T0 + 192 * SECOND,
            "exit_rule": "gone",
        }
        last = {"realized_pnl": D(pnl), "fees": D(fees), "exit_section": Section.E1, "confidence": None}
        common = self._common(**(base | rest | last | values))
        del common["ts_us"]
        return TradeRecord(**common)

    def alert(self, severity: str = "critical", kind: str = "order_rejected") -> AlertRecord:
        return AlertRecord(**self._common(severity=severity, type=kind, message="the venue rejected t-1"))


@pytest.fixture
def make() -> Records:
    return Records()


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


def test_look_takes_under_a_millisecond(bot: Bot) -> None:
    hold(bot, lots=1, price=500_000)
    look(bot, T0)
    times = []
    for _ in range(200):
        began = time.perf_counter()
        look(bot, T0)
        times.append(time.perf_counter() - began)
    assert sorted(times)[100] < 0.001


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
        "E1 gone: long 0.01, 50,000.1 to 50,500, 3m 12s",
        "2025-11-21 14:06:34 trade dip BTC/USDT:USDT -0.10 USDT after fees, "
        "E1 gone: long 0.01, 50,000.1 to 50,500, 3m 12s",
        "2025-11-21 14:06:34 trade pump NXS/BTC -0.00020100 BTC after fees, "
        "E1 gone: long 0.01, 50,000.1 to 50,500, 3m 12s",
    ]


def test_denial_takes_the_place_of_the_intent_it_denies(make: Records) -> None:
    intent = make.intent()
    tally = Tally()
    tally.add([make.signal(), intent])
    tally.add([make.risk(intent)])
    assert [type(one) for one in tally.decisions] == [SignalRecord, RiskRecord]


def test_alert_makes_a_line(make: Records) -> None:
    assert Tally().add([make.alert()]) == [
        "2025-11-21 14:03:22 alert critical order_rejected: the venue rejected t-1"
    ]


def test_why_names_confidence_rule_and_values(make: Records) -> None:
    assert why(make.signal()) == "confidence 0.72, speed 0.0125"
    assert why(make.signal(acted=False)) == "confidence 0.72, too low to act on, speed 0.0125"
    assert why(make.signal(Section.ZE1, rule="stall", values=())) == "stall"
    assert why(make.signal(Section.O1, reason="after", values=())) == "its time is over"
    assert why(make.signal(Section.O1, reason="when", values=())) == "no longer wanted"
    denial = make.risk(make.intent(), reason=DenyReason.PRICE_UNKNOWN, limit=None, actual=None)
    assert why(denial) == "price_unknown"


@pytest.mark.parametrize(
    ("us", "text"),
    [(0, "0s"), (-5, "0s"), (59_999_999, "59s"), (192 * SECOND, "3m 12s"), (7500 * SECOND, "2h 5m"),
     (356_400 * SECOND, "4d 3h")],
)  # fmt: skip
def test_span(us: int, text: str) -> None:
    assert span(us) == text


def test_numbers_are_written_for_people() -> None:
    assert number(D("1234567.89000")) == "1,234,567.89"
    assert number(D("-0.00000001")) == "-0.00000001"
    assert number(D("-1234.5")) == "-1,234.5"
    assert number(D("0E-8")) == "0"
    assert money(D("1234.567"), "USDT") == "1,234.57"
    assert money(D("0.1"), "BTC", signed=True) == "+0.10000000"


# ---- drawing ------------------------------------------------------------------------------------


def text_of(frame: Frame, *, width: int = 100, height: int = 30, up_us: int = 192 * SECOND) -> str:
    console = Console(width=width, height=height, force_terminal=True, color_system=None, file=io.StringIO())
    with console.capture() as capture:
        console.print(draw(frame, height=height, up_us=up_us))
    return capture.get()


def frame_of(screen: Screen) -> Frame:
    return screen._frame


def screen_of(bot: Bot, records: list[Record], clock: ManualClock | None = None) -> Screen:
    screen = Screen(Console(file=io.StringIO(), width=200), clock or ManualClock(), mode="paper")
    screen.begin(session="paper-1", feed="synthetic market, seed 1")
    screen.update(records)
    screen.observe(bot, T0)
    return screen


def row_with(text: str, *words: str) -> str:
    (found,) = [line for line in text.splitlines() if all(word in line for word in words)]
    return " ".join(found.split())


def test_picture_shows_everything_that_is_known(bot: Bot, make: Records) -> None:
    hold(bot, lots=20, price=498_000)
    intent = make.intent()
    records = [make.signal(), intent, make.risk(intent), make.trade("5.00", "0.50"), make.alert()]
    text = text_of(frame_of(screen_of(bot, records)))
    assert row_with(text, "botd") == "botd paper active paper-1 up 3m 12s, Ctrl-C stops"
    assert row_with(text, "synthetic") == "2025-11-21 14:03:22 UTC synthetic market, seed 1 3 rows"
    assert row_with(text, "50,000.0", "rise") == "BTC/USDT:USDT 50,000.0 dip rise 2"
    assert row_with(text, "0.00001000") == "NXS/BTC 0.00001000 pump 1"
    assert row_with(text, "100%") == "dip 1 1 1 1 100% +4.50 USDT"
    assert row_with(text, "10,003.75") == "USDT 10,003.75 +0.04% +4.00 0.00 0.25 0.00%"
    assert row_with(text, "long", "0.02 ") == (
        "BTC/USDT:USDT dip long 0.02 49,800.0 50,000.0 +4.00 USDT +0.40% 0s"
    )
    assert (
        row_with(text, "S1 ", "signal")
        == "14:03:22 dip BTC/USDT:USDT S1 signal @ 50,000 confidence 0.72, speed 0.0125"
    )
    assert "denied position_max, 1,234.5 against" in row_with(text, "Z1 ", "position_max")
    assert row_with(text, "E1 ").startswith("14:06:34 dip BTC/USDT:USDT E1 +4.50 USDT gone: long 0.01")
    assert row_with(text, "! ").startswith("14:03:22 dip BTC/USDT:USDT ! order_rejected the venue rej")


def test_picture_before_the_first_row_says_so() -> None:
    text = text_of(Frame(heading=Heading(mode="paper")))
    assert "waiting for the first rows" in text


def random_view(rng: random.Random) -> View:
    names = [f"COIN{k}/{rng.choice(['USDT:USDT', 'BTC'])}" for k in range(rng.randrange(1, 40))]
    known = [instrument(name, rng.choice(["0.1", "0.00000001", "0.0005"])) for name in names]
    ticks = [rng.choice([None, rng.randrange(1, 10**9)]) for _ in known]
    strategies = tuple((f"strategy_number_{k}", Phase(rng.randrange(4))) for k in range(rng.randrange(6)))
    lanes = tuple(
        LaneView(one, tick, tick, tick, rng.randrange(10**8), strategies)
        for one, tick in zip(known, ticks, strict=True)
    )
    positions = tuple(
        PositionView(
            "a_rather_long_strategy_name",
            rng.choice(known),
            rng.choice(["long", "short"]),
            D(rng.randrange(1, 10**9)) / 1000,
            D(rng.randrange(1, 10**9)) / 10,
            rng.choice([None, D(rng.randrange(1, 10**9)) / 10]),
            rng.choice([None, D(rng.randrange(-(10**9), 10**9)) / 10**4]),
            rng.choice([None, rng.uniform(-1, 1)]),
            T0 - rng.randrange(10**13),
        )
        for _ in range(rng.randrange(12))
    )
    accounts = tuple(
        AccountView(ccy, D(1), D(1), rng.choice([None, D(rng.randrange(10**9))]), D(-5), D(1), rng.random())
        for ccy in ("USDT", "BTC", "EUR")[: rng.randrange(1, 4)]
    )
    return View(T0, 10**9, rng.choice(list(TradingState)), lanes, positions, accounts)


def test_any_picture_fits_its_terminal(make: Records) -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(40):
        tally = Tally()
        for _ in range(rng.randrange(60)):
            intent = make.intent(strategy=f"strategy_number_{rng.randrange(30)}")
            tally.add(
                [make.signal(), intent, make.risk(intent), make.trade("-123456.789", "1"), make.alert()]
            )
        frame = Frame(
            heading=Heading(
                mode="paper", session="paper-20251121T140322-4f2a1c", feed="x" * rng.randrange(200)
            ),
            view=random_view(rng),
            strategies=tally.strategies,
            decisions=tuple(tally.decisions),
            rows_per_s=rng.choice([None, 1e6]),
            speed=rng.choice([None, 1.0, 1e5]),
        )
        width, height = rng.choice([100, 120, 200]), rng.randrange(24, 60)
        lines = text_of(frame, width=width, height=height).splitlines()
        assert len(lines) < height
        assert max(len(line.rstrip()) for line in lines) <= width
        assert any(line.startswith(" decisions") for line in lines)


# ---- lines and pictures as they are written -----------------------------------------------------


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 5.0
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.01)


def test_plain_screen_writes_lines_and_a_status_line_a_minute(bot: Bot, make: Records) -> None:
    clock, lines = ManualClock(), list[str]()
    screen = Screen(Console(file=io.StringIO()), clock, mode="paper", write=lines.append)
    screen.begin(session="paper-1", feed="synthetic")
    intent = make.intent()
    with screen:
        screen.observe(bot, T0)
        screen.update([make.signal(), intent, make.risk(intent), make.trade("5.00", "0.50")])
        screen.update([make.trade("5.00", "0.50")], announce=False)
        wait_until(lambda: len(lines) == 2)
        clock.advance(60 * SECOND)
        screen.observe(bot, T0 + 30 * SECOND)
        wait_until(lambda: len(lines) == 3)
    assert lines[0].startswith("2025-11-21 14:03:22 denied dip")
    assert lines[1].startswith("2025-11-21 14:06:34 trade dip")
    assert lines[2] == (
        "2025-11-21 14:03:52 status active, equity 10,000.00 USDT, 1.00000000 BTC; "
        "0 open, 1 S1, 1 Z1, 1 denied, 2 trades; 3 rows, 0 rows/s at 0.5x"
    )


def test_plain_screen_writes_what_still_waits_when_it_ends(make: Records) -> None:
    lines: list[str] = []
    with Screen(Console(file=io.StringIO()), ManualClock(), mode="paper", write=lines.append) as screen:
        screen.update([make.alert()])
    assert len(lines) == 1
    screen.say("afterwards, at once")
    assert lines[1] == "afterwards, at once"


def test_plain_lines_that_come_too_fast_are_counted(make: Records) -> None:
    lines: list[str] = []
    with Screen(Console(file=io.StringIO()), ManualClock(), mode="paper", write=lines.append) as screen:
        for _ in range(LINES_MAX + 3):
            screen.say("x")
        wait_until(lambda: len(lines) > LINES_MAX)
    assert lines[-1] == "3 more lines came too fast to be written"


def test_observe_copies_at_most_four_times_a_second(bot: Bot) -> None:
    clock = ManualClock()
    screen = screen_of(bot, [], clock)
    first = frame_of(screen).view
    clock.advance(249_999)
    screen.observe(bot, T0 + SECOND)
    assert frame_of(screen).view is first
    clock.advance(1)
    screen.observe(bot, T0 + 2 * SECOND)
    assert frame_of(screen).view is not first
    assert frame_of(screen).speed == 8.0  # two seconds of event time in a quarter


def console_on(file: io.StringIO, *, is_terminal: bool, term: str = "xterm-256color") -> Console:
    """Make a console that takes nothing from this process's environment."""
    return Console(
        file=file,
        force_terminal=is_terminal,
        width=100,
        height=40,
        color_system="256",
        _environ={"TERM": term},
    )


@pytest.fixture
def terminal() -> Console:
    return console_on(io.StringIO(), is_terminal=True)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_live_screen_draws_in_place_and_leaves_the_cursor_and_the_last_picture(
    bot: Bot, make: Records, terminal: Console
) -> None:
    screen = Screen(terminal, ManualClock(), mode="paper")
    with screen:
        screen.observe(bot, T0)
        wait_until(lambda: "NXS/BTC" in written(terminal))
        screen.say("a line above")
        screen.update([make.trade("5.00", "0.50")])
        wait_until(lambda: "a line above" in written(terminal))
    text = written(terminal)
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # cursor hidden, then shown
    assert "\x1b[1A" in text  # drawn over the picture before
    last = text[text.rindex("botd") :]
    assert "+4.50 USDT" in last
    assert re.search(r"\x1b\[(1;)?32m\+4\.50", last)  # green


def test_live_screen_draws_nothing_anew_while_nothing_changes(bot: Bot, terminal: Console) -> None:
    with Screen(terminal, ManualClock(), mode="paper") as screen:
        screen.observe(bot, T0)
        wait_until(lambda: "NXS/BTC" in written(terminal))
        drawn = len(written(terminal))
        time.sleep(0.6)
        assert len(written(terminal)) == drawn


def test_terminal_that_cannot_move_its_cursor_gets_plain_lines(make: Records) -> None:
    console = console_on(io.StringIO(), is_terminal=True, term="dumb")
    with Screen(console, ManualClock(), mode="paper") as screen:
        screen.update([make.alert()])
    assert written(console) == "2025-11-21 14:03:22 alert critical order_rejected: the venue rejected t-1\n"


class BrokenPipe(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError("gone")


@pytest.mark.parametrize("is_terminal", [False, True])
def test_broken_console_darkens_the_screen_and_nothing_else(
    bot: Bot, make: Records, is_terminal: bool, caplog: pytest.LogCaptureFixture
) -> None:
    screen = Screen(console_on(BrokenPipe(), is_terminal=is_terminal), ManualClock(), mode="paper")
    with caplog.at_level(logging.WARNING), screen:
        screen.observe(bot, T0)
        screen.update([make.alert()])
        wait_until(lambda: bool(caplog.records))
        screen.update([make.alert()])
    assert [record.message for record in caplog.records] == ["the screen cannot be written to, it stays dark"]


@pytest.fixture
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.mark.usefixtures("restored_logging")
def test_log_lines_go_above_the_table(bot: Bot, terminal: Console) -> None:
    with Screen(terminal, ManualClock(), mode="paper") as screen:
        configure_logging(form="text", stream=screen.log_stream())
        screen.observe(bot, T0)
        logging.getLogger("botd.test").warning("disk is slow")
        wait_until(lambda: "disk is slow" in written(terminal))


# ---- the end ------------------------------------------------------------------------------------


def test_summary_tells_what_the_run_came_to(bot: Bot, make: Records) -> None:
    hold(bot, lots=20, price=498_000)
    intents = [make.intent() for _ in range(3)]
    records: list[Record] = [make.signal(), *intents, *(make.risk(one) for one in intents[:2])]
    records += [make.risk(intents[2], reason=DenyReason.BALANCE)]
    records += [make.trade("5.00", "0.50"), make.trade("-1", "0.25"), make.alert(), make.alert()]
    records += [make.trade("0.0001", "0.00000100", instrument=NXS)]
    assert screen_of(bot, records).summary().splitlines() == [
        "session paper-1 (paper), synthetic market, seed 1",
        "  signals    1 S1, 3 Z1",
        "  denied     3: 2 position_max, 1 balance",
        "  trades     3 closed, 2 won",
        "  P&L        +3.25 USDT of closed trades, after 0.75 of fees",
        "  P&L        +0.00009900 BTC of closed trades, after 0.00000100 of fees",
        "  equity     10,003.75 USDT, +0.04% in all",
        "  equity     1.00000000 BTC, +0.00% in all",
        "  open       dip BTC/USDT:USDT long 0.02 from 49,800, +4.00 USDT unrealized",
        "  market     3 rows, up to 2025-11-21 14:03:22 UTC",
        "  alerts     2 critical order_rejected, the last: the venue rejected t-1",
    ]


def test_summary_sees_what_changed_after_the_last_observation(bot: Bot) -> None:
    screen = screen_of(bot, [])
    hold(bot, lots=20, price=498_000)
    assert "  open       dip" in screen.summary()


def test_summary_of_nothing() -> None:
    screen = Screen(Console(file=io.StringIO()), ManualClock(), mode="paper")
    screen.begin(session="paper-1", feed="synthetic")
    assert screen.summary().splitlines() == [
        "session paper-1 (paper), synthetic",
        "  signals    0 S1, 0 Z1",
        "  denied     0",
        "  trades     0 closed",
        "  alerts     none",
    ]
