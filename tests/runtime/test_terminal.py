from __future__ import annotations

import io
import logging
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from rich.console import Console

from botd.core.bot import Bot
from botd.core.outcomes import DenyReason
from botd.core.records import Record
from botd.core.restraint import Cause, Restraint, TradingCommand, TradingState, Verb
from botd.runtime.panels import Frame, Heading, draw
from botd.runtime.tally import Tally, money
from botd.runtime.terminal import LINES_MAX, Screen
from botd.runtime.view import AccountView, LaneView, Phase, PositionView, View, look
from botd.telemetry import configure_logging
from tests.runtime.manual_clock import ManualClock
from tests.runtime.screens import NXS, SECOND, T0, D, Records, hold, instrument

# ---- drawing ------------------------------------------------------------------------------------


def text_of(frame: Frame, *, width: int = 100, height: int = 30, up_us: int = 192 * SECOND) -> str:
    console = Console(width=width, height=height, force_terminal=True, color_system=None, file=io.StringIO())
    with console.capture() as capture:
        console.print(draw(frame, width=width, height=height, up_us=up_us))
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


def test_picture_says_what_halts_trading_and_how_to_go_on(bot: Bot) -> None:
    bot.obey(TradingCommand(verb=Verb.HALT, cause=Cause.SIGNAL, who="process 7", reason="SIGUSR1"), T0)
    text = text_of(Frame(heading=Heading(mode="paper"), view=look(bot, T0)))
    assert row_with(text, " paper ").split()[2] == "halted"
    assert "halted since 2025-11-21 14:03:22 UTC, signal, by process 7: SIGUSR1; 'botd resume'" in text


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
    restraints = tuple(
        Restraint(state=state, cause=Cause.FILE, who="ann", reason="why " * 50, since_us=T0)
        for state in rng.choices([TradingState.HALTED, TradingState.REDUCING], k=rng.randrange(4))
    )
    return View(T0, 10**9, rng.choice(list(TradingState)), lanes, positions, accounts, restraints)


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
        width, height = rng.choice([80, 100, 120, 200]), rng.randrange(24, 60)
        lines = text_of(frame, width=width, height=height).splitlines()
        assert len(lines) < height
        assert max(len(line.rstrip()) for line in lines) <= width
        assert any(line.startswith(" decisions") for line in lines)


def names_and_amounts(frame: Frame) -> list[str]:
    view = frame.view
    assert view is not None
    return [
        *(one.instrument.id for one in view.lanes),
        *frame.strategies,
        *(
            f"{money(net, ccy, signed=True)} {ccy}"
            for t in frame.strategies.values()
            for ccy, net in t.net.items()
        ),
        *(one.currency for one in view.accounts),
        *(money(one.equity, one.currency) for one in view.accounts if one.equity is not None),
        *(one.strategy for one in view.positions),
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_names_and_amounts_survive_a_narrow_terminal(bot: Bot, make: Records, width: int) -> None:
    hold(bot, lots=20, price=498_000)
    intent = make.intent(strategy="mean_reversion")
    records = [
        make.signal(),
        intent,
        make.risk(intent),
        make.trade("5.00", "0.50", strategy="mean_reversion"),
    ]
    frame = frame_of(screen_of(bot, records))
    (held,) = frame.view.positions if frame.view else ()
    long = replace(held, strategy="mean_reversion")
    assert frame.view is not None
    frame = replace(frame, view=replace(frame.view, positions=(long,)))
    text = text_of(frame, width=width, height=40)
    for words in names_and_amounts(frame):
        assert words in text, f"{words!r} is lost:\n{text}"
    assert row_with(text, "mean_reversion", "+4.00 USDT").startswith("BTC/USDT:USDT mean_reversion")
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    if width >= 80:
        headers = row_with(text, "positions", "strategy")
        assert headers.startswith("positions strategy side quantity")
        assert "unrealized" in headers


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
    line = "2025-11-21 14:03:22 alert critical order_rejected: the venue rejected t-1 #1\n"
    assert written(console) == line


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
        "since this start",
        "  signals    1 S1, 3 Z1",
        "  denied     3: 2 position_max, 1 balance",
        "  trades     3 closed, 2 won",
        "  P&L        +3.25 USDT of closed trades, after 0.75 of fees",
        "  P&L        +0.00009900 BTC of closed trades, after 0.00000100 of fees",
        "  alerts     2 critical order_rejected, the last: the venue rejected t-1",
        "the account, since it began",
        "  equity     10,003.75 USDT, +0.04%",
        "  equity     1.00000000 BTC, 0.00%",
        "  open       dip BTC/USDT:USDT long 0.02 from 49,800, +4.00 USDT unrealized",
        "  market     3 rows, up to 2025-11-21 14:03:22 UTC",
    ]


def test_summary_sees_what_changed_after_the_last_observation(bot: Bot) -> None:
    screen = screen_of(bot, [])
    hold(bot, lots=20, price=498_000)
    assert "  open       dip" in screen.summary()


def test_summary_says_that_it_counts_a_warm_up(make: Records) -> None:
    screen = Screen(Console(file=io.StringIO()), ManualClock(), mode="paper")
    screen.update([make.trade("5.00", "0.50")], announce=False)
    assert screen.summary().splitlines()[1] == "since this start, its warm-up included"


def test_summary_of_nothing() -> None:
    screen = Screen(Console(file=io.StringIO()), ManualClock(), mode="paper")
    screen.begin(session="paper-1", feed="synthetic")
    assert screen.summary().splitlines() == [
        "session paper-1 (paper), synthetic",
        "since this start",
        "  signals    0 S1, 0 Z1",
        "  denied     0",
        "  trades     0 closed",
        "  alerts     none",
    ]
