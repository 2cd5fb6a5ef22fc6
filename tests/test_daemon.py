"""The daemon as a process: to the end of its data, stopped, interrupted, killed, started again."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from tests.cli.books import Books
from tests.cli.bots import ROOT, Done, Running, Warm, botd, edit, make_bot, write_pump

START = {"BTC": Decimal(1), "USDT": Decimal(10_000)}
DATA = "data/nxs.parquet"
SHUTDOWN_S = 8.0  # shutdown.expected of the shipped files

# Enters in a burst and stays in; what is resting at the venue differs.
HOLDER = """\
strategy: holder
instruments: [NXS/BTC]
side: long
S1: { when: change(10s) > 1%, cooldown: 1h }
Z1: { when: always, order: ORDER, size: { percent: 5% of equity } }
protect: { stop_loss: 20%, holding_max: 4h }
on_stop: POLICY
"""
MARKET = "{ type: market, slippage_max: 200bps }"
FAR_LIMIT = "{ type: limit, price: best_bid * 0.9, ttl: 4h }"


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    folder = make_bot(tmp_path / "bot")
    write_pump(folder / DATA, bursts=6)
    return folder


def put_answers_out_of_reach(folder: Path) -> None:
    """Put what the venue answered where no start looks: a stop in order leaves nothing to decide again."""
    with closing(sqlite3.connect(folder / "state/botd.sqlite3")) as state, state:
        place = "position, ts_us, seq, venue_seq"
        reached = state.execute(f"SELECT {place} FROM journal_cursor").fetchall()
        kept = state.execute(f"SELECT {place} FROM engine_snapshots ORDER BY position DESC LIMIT 1")
        assert kept.fetchall() == reached
        assert state.execute("UPDATE journal_events SET position = -1 - position").rowcount > 3


def run(folder: Path, *more: object) -> Done:
    return botd(folder, "run", "--data", DATA, *more)


def sessions(folder: Path) -> list[tuple[str, str]]:
    """Return id and status of every session, oldest first."""
    return [(str(one["id"]), str(one["status"])) for one in Books(folder / "state/botd.sqlite3").sessions]


def wait_until(met: Callable[[], bool], *, seconds: float = 60) -> None:
    """Return once something is met; fail where it never is."""
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, f"not met in {seconds} s"
        time.sleep(0.05)


def books_hold(folder: Path, met: Callable[[Books], bool]) -> Callable[[], bool]:
    """Return a condition over the books of a daemon that is just being started, too."""

    def check() -> bool:
        state = folder / "state/botd.sqlite3"
        try:
            return state.exists() and met(Books(state))
        except Exception:
            return False  # being made

    return check


# ---- to the end of the data -------------------------------------------------------------------


def test_run_to_the_end_prints_trades_and_a_summary(bot: Path) -> None:
    done = run(bot)
    assert (done.code, done.err.count('"level": "error"')) == (0, 0)
    assert len(re.findall(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d trade rider NXS/BTC \+", done.out, re.M)) == 6
    for words in (
        " begins\n",
        "(paper), nxs.parquet (recorded)\n",
        "  signals    6 S1, 6 Z1\n",
        "  trades     6 closed, 6 won\n",
        "  open       no positions\n",
        "  market     2,880 rows, up to 2023-11-14 22:43:19 UTC\n",
    ):
        assert words in done.out
    Books(bot / "state/botd.sqlite3").check(START)


def test_run_writes_lines_for_people_and_its_log_apart(bot: Path) -> None:
    done = run(bot)
    assert '"level"' not in done.out
    for line in done.err.splitlines():
        assert not json.loads(line)["logger"].startswith(("alembic", "apscheduler")), line


def test_run_without_speed_is_as_fast_as_it_goes(bot: Path) -> None:
    plain = run(bot)
    shutil.rmtree(bot / "state")
    assert run(bot, "--speed", "max").code == plain.code == 0


def test_status_and_decisions_tell_of_a_finished_run(bot: Path) -> None:
    run(bot)
    status = botd(bot, "status")
    assert status.code == 0
    for words in (
        *("nxs.parquet (recorded)", "6 trades", "no open positions", "ZE1 fade", "finished"),
        *("equity   10000 USDT", "at 2023-11-14 22:43:19 UTC", "6 trades, 6 won, of this session"),
    ):
        assert words in status.out
    assert "…" not in status.out  # a pipe gets the cells whole
    kinds = [json.loads(line)["kind"] for line in botd(bot, "decisions").out.splitlines()]
    assert kinds.count("trade") == 6
    assert set(kinds) == {"signal", "intent", "risk", "order", "fill", "trade"}


def test_status_fits_80_columns(bot: Path) -> None:
    run(bot)
    tables = botd(bot, "status").out.partition("no open positions")[2]
    assert max(len(line.rstrip()) for line in tables.splitlines()) <= 80


def test_second_run_of_finished_data_is_a_new_session_with_equal_decisions(bot: Path) -> None:
    run(bot)
    first = botd(bot, "decisions").out
    again = run(bot)
    assert again.code == 0
    assert again.out.count(" trade rider ") == 6
    assert [status for _, status in sessions(bot)] == ["finished", "finished"]
    assert botd(bot, "decisions").out == first
    assert botd(bot, "decisions", "--session", sessions(bot)[0][0]).out == first


# ---- stopped and killed -----------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_in_order_and_the_next_run_goes_on(bot: Path, number: signal.Signals) -> None:
    whole = shutil.copytree(bot, bot.parent / "whole")
    run(whole)
    with Running(bot, "run", "--data", DATA, "--speed", "600") as daemon:
        daemon.wait_for(" trade rider ")
        asked = time.monotonic()
        daemon.signal(number)
        done = daemon.end()
    assert time.monotonic() - asked < SHUTDOWN_S
    assert done.code == 0
    assert done.out.endswith("stopped in order\n")
    ((session, status),) = sessions(bot)
    assert status == "stopped"
    Books(bot / "state/botd.sqlite3").check(START)
    put_answers_out_of_reach(bot)

    again = run(bot)
    assert again.code == 0
    assert f"session {session} goes on at 2023-11-14 " in again.out
    told = [line for line in (done.out + again.out).splitlines() if " trade rider " in line]
    assert len(told) == len(set(told)) == 6  # each trade is told once, by the run that made it
    assert sessions(bot) == [(session, "finished")]
    assert botd(bot, "decisions").out == botd(whole, "decisions").out
    Books(bot / "state/botd.sqlite3").check(START)


def test_rows_that_a_former_run_judged_are_not_waited_for_again(bot: Path) -> None:
    with Warm(bot, "run", "--data", DATA, "--speed", "600") as daemon:
        daemon.wait_for(" trade rider ")
        daemon.signal(signal.SIGKILL)
        daemon.process.wait(30)
    ((session, reached),) = Books(bot / "state/botd.sqlite3").cursors.items()
    assert reached > 150  # at real time that many seconds, or nearly
    with Warm(bot, "run", "--data", DATA, "--speed", "1") as daemon:
        daemon.wait_for(" goes on at ")
        wait_until(books_hold(bot, lambda books: books.cursors[session] > reached), seconds=30)
        daemon.process.terminate()
        assert daemon.end().code == 0


def test_status_tells_a_killed_session_from_a_running_one(bot: Path) -> None:
    with Warm(bot, "run", "--data", DATA, "--speed", "60") as daemon:
        daemon.wait_for(" begins")
        assert "  paper  running\n" in botd(bot, "status").out
        daemon.signal(signal.SIGKILL)
        daemon.process.wait(30)
    assert "  paper  not running (killed or crashed; 'botd run' goes on with it)\n" in botd(bot, "status").out
    assert run(bot).code == 0
    assert [status for _, status in sessions(bot)] == ["finished"]


def test_kill_9_anywhere_loses_nothing(bot: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    whole = shutil.copytree(bot, bot.parent / "whole")
    run(whole)
    for trade in sorted(rng.sample(range(1, 6), 2)):
        with Warm(bot, "run", "--data", DATA, "--speed", "900") as daemon:
            wait_until(books_hold(bot, lambda books, least=trade: len(books.trades) >= least))  # type: ignore[misc]
            time.sleep(rng.random() * 0.2)
            daemon.signal(signal.SIGKILL)
            assert daemon.process.wait(30) == -signal.SIGKILL
        Books(bot / "state/botd.sqlite3")
    done = run(bot)
    assert done.code == 0
    assert len(sessions(bot)) == 1
    assert botd(bot, "decisions").out == botd(whole, "decisions").out
    Books(bot / "state/botd.sqlite3").check(START)


def entered(books: Books) -> bool:
    newest = str(books.sessions[-1]["id"])
    stops = [one for one in books.live_orders(newest) if one["stop_price"] and one["status"] == "accepted"]
    return bool(books.open_positions(newest)) and bool(stops)


def resting(books: Books) -> bool:
    return any(one["status"] == "accepted" for one in books.live_orders(str(books.sessions[-1]["id"])))


def stop_when(folder: Path, met: Callable[[Books], bool], *, order: str, policy: str) -> tuple[Done, Books]:
    """Run a holder until its books meet a condition, stop it, and return what it left."""
    bot = make_bot(folder / "bot", holder=HOLDER.replace("ORDER", order).replace("POLICY", policy))
    write_pump(bot / DATA, bursts=6)
    with Warm(bot, "run", "--data", DATA, "--speed", "300") as daemon:
        wait_until(books_hold(bot, met))
        daemon.process.terminate()
        done = daemon.end()
    assert done.code == 0, done
    books = Books(bot / "state/botd.sqlite3")
    books.check(START)
    return done, books


@pytest.mark.parametrize("policy", ["keep", "cancel"])
def test_stop_leaves_the_position_and_its_stop_order(tmp_path: Path, policy: str) -> None:
    done, books = stop_when(tmp_path, entered, order=MARKET, policy=policy)
    session = str(books.sessions[0]["id"])
    (position,) = books.open_positions(session)
    (stop,) = books.live_orders(session)
    assert (stop["status"], stop["side"], stop["qty"]) == ("accepted", "sell", position["qty"])
    assert stop["stop_price"] is not None
    assert "  open       holder NXS/BTC long " in done.out


def test_stop_that_flattens_closes_the_position_and_cancels_its_stop(tmp_path: Path) -> None:
    done, books = stop_when(tmp_path, entered, order=MARKET, policy="flatten")
    session = str(books.sessions[0]["id"])
    assert books.open_positions(session) == books.live_orders(session) == []
    assert len(books.trades) == 1
    assert sorted(one["status"] for one in books.orders) == ["canceled", "filled", "filled"]
    assert "  open       no positions" in done.out


@pytest.mark.parametrize(("policy", "status"), [("keep", "accepted"), ("cancel", "canceled")])
def test_stop_decides_about_an_entry_that_waits(tmp_path: Path, policy: str, status: str) -> None:
    _, books = stop_when(tmp_path, resting, order=FAR_LIMIT, policy=policy)
    assert [one["status"] for one in books.orders] == [status]


# ---- interrupted before it trades ---------------------------------------------------------------


def loads(daemon: Running, library: str) -> Callable[[], bool]:
    """Return whether a process has come to load a library: it is in `main`, and far from trading."""
    maps = Path(f"/proc/{daemon.process.pid}/maps")
    return lambda: library in maps.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_it_loads_is_silent(bot: Path, number: signal.Signals) -> None:
    with Running(bot, "run") as daemon:
        wait_until(loads(daemon, "_multiarray_umath"))
        daemon.signal(number)
        done = daemon.end()
    assert done.code == -number  # a shell says 128 + number
    assert (done.out, done.err) == ("", "")
    assert not (bot / "state").exists()
    assert run(bot).code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_in_the_warm_up_is_clean_and_the_next_start_works(bot: Path, number: signal.Signals) -> None:
    warming = books_hold(bot, lambda books: [one["status"] for one in books.sessions] == ["running"])
    with Warm(bot, "run") as daemon:
        wait_until(warming)
        daemon.signal(number)
        done = daemon.end(timeout=SHUTDOWN_S)
    assert done.code == 0
    if "stopped in order" in done.out:  # the warm-up ended as the signal came: the session stopped at once
        return
    assert done.out.splitlines() == [
        "warming up: the last 24 h of the market, some seconds",
        "stopped before it traded",
    ]
    assert [status for _, status in sessions(bot)] == ["failed"]
    with Warm(bot, "run") as daemon:
        daemon.wait_for(" begins")
        daemon.process.terminate()
        assert daemon.end().code == 0
    assert [status for _, status in sessions(bot)][:2] == ["failed", "finished"]


# ---- the shipped bot ----------------------------------------------------------------------------


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    folder = tmp_path / "bot"
    for name in ("configs", "strategies"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "config.yaml", folder)
    return folder


def test_shipped_bot_trades_within_a_minute_and_survives_a_kill(shipped: Path) -> None:
    began = time.monotonic()
    with Running(shipped, "run") as daemon:
        daemon.wait_for("warm-up: 24 h, ")
        daemon.wait_for(" trade ", timeout=60)
        assert time.monotonic() - began < 60
        daemon.signal(signal.SIGKILL)
        daemon.process.wait(30)
    state = shipped / "state/botd.sqlite3"
    killed = Books(state)
    warmup, session = (str(one["id"]) for one in killed.sessions)
    assert len(killed.of(killed.trades, warmup)) > 100  # the books are filled

    with Running(shipped, "run") as daemon:
        assert session in daemon.wait_for(" goes on at ")
        daemon.wait_for(" trade ", timeout=60)
        daemon.process.terminate()
        assert daemon.end().code == 0
    books = Books(state)
    assert [str(one["id"]) for one in books.sessions] == [warmup, session]
    for one in (warmup, session):
        before = killed.of(killed.fills, one)
        assert books.of(books.fills, one)[: len(before)] == before
    books.check(START)


@pytest.mark.skipif(os.environ.get("BOTD_PARITY") != "full", reason="a warm-up; BOTD_PARITY=full runs it")
def test_shipped_bot_takes_an_edited_strategy_up_at_a_start(shipped: Path) -> None:
    with Warm(shipped, "run") as daemon:
        daemon.wait_for(" begins")
        daemon.process.terminate()
        assert daemon.end().code == 0
    edit(shipped / "strategies/breakout.yaml", "after: 3s", "after: 4s")
    with Warm(shipped, "run") as daemon:
        daemon.wait_for("reloaded: strategies/breakout.yaml: changed")
        daemon.process.terminate()
        assert daemon.end().code == 0
    Books(shipped / "state/botd.sqlite3").check(START)
