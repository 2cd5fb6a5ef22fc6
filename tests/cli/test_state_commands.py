"""`botd decisions` and `botd status` over a session told by hand."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from botd.cli.decisions import decisions
from botd.cli.resolve import resolve
from botd.cli.status import plain, status, when
from botd.core.events import Section, Side
from botd.core.restraint import Cause, Verb
from botd.errors import BotdError, InputInvalid, StateCorrupt
from botd.ports import Batch
from botd.runtime.control import ControlFiles
from botd.runtime.lock import StateLock
from botd.store.journal import open_state
from tests.store import samples
from tests.store.test_queries import BOOKS, DENIED, TRADE

app = typer.Typer()
app.command()(decisions)
app.command()(status)
app.command()(resolve)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("state") / "botd.sqlite3"
    journal = open_state(path)
    journal.start_session(samples.started("w1", mode="warmup", started_us=samples.T0 + 5))
    journal.start_session(samples.started())
    records = (*samples.entry(), *DENIED, *BOOKS, TRADE)
    journal.commit(Batch(session_id="s1", records=records, cursor=samples.cursor(300, seq=30)))
    journal.commit(Batch(session_id="w1", records=(samples.signal(1),)))
    journal.close()
    return path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, BotdError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_decisions_prints_one_json_line_each_of_the_newest_trading_session(path: Path) -> None:
    lines = [json.loads(line) for line in run("decisions", "--state", str(path)).splitlines()]
    kinds = [line["kind"] for line in lines]
    assert kinds == [
        *("signal", "signal", "intent", "risk", "order", "fill"),
        *("signal", "intent", "risk", "signal", "trade"),
    ]
    assert lines[0]["values"] == {"busy": (3.0).hex(), "speed": (0.1).hex()}


def test_decisions_of_a_named_session(path: Path) -> None:
    assert len(run("decisions", "--state", str(path), "--session", "w1").splitlines()) == 1


def test_decisions_of_an_unknown_session_or_file_exits_2(path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputInvalid, match="no session s9") as refused:
        run("decisions", "--state", str(path), "--session", "s9")
    assert refused.value.exit_code == 2
    for command in ("decisions", "status"):
        with pytest.raises(InputInvalid, match="no state file"):
            run(command, "--state", str(tmp_path / "none.sqlite3"))


def test_file_that_is_not_sqlite_exits_6(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello")
    for command in ("decisions", "status"):
        with pytest.raises(StateCorrupt) as refused:
            run(command, "--state", str(tmp_path / "x"))
        assert refused.value.exit_code == 6


def test_status_shows_session_equity_positions_and_signals(path: Path) -> None:
    output = run("status", "--state", str(path))
    for expected in (
        "s1  paper  not running (killed or crashed",
        "row 300 at 2023-11-14 22:13:20 UTC",
        "4 signals  2 intents  1 orders  1 fills  1 trades  1 alerts, of this session",
        "equity   10005.5 USDT  balance ",
        "equity   1 BTC",
        "P&L      +2.99 USDT after 2.01 of fees  1 trades, 1 won, of this session",
        "last alerts",
        "long  0.05  20010  ",
        "positions_max",
        "recorded only",
    ):
        assert expected in output


def test_status_tells_the_trading_state_and_what_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "botd.sqlite3"
    records = (
        samples.trading_state(1, reason="odd prices"),
        samples.trading_state(2, verb=Verb.HOLD, cause=Cause.LOOP_STALLED, who="watchdog", reason=""),
    )
    samples.journal_with(path, *records).close()
    lines = run("status", "--state", str(path)).splitlines()
    assert [line for line in lines if line.startswith(("trading ", "   "))] == [
        "trading  halted since 2023-11-14 22:13:20 UTC, file, by ann: odd prices; 'botd resume' lifts it",
        "trading  reducing since 2023-11-14 22:13:20 UTC, loop_stalled, by watchdog",
    ]
    (tmp_path / "RESUME").touch()
    assert f"a resume is asked for and not taken up yet ({tmp_path}/RESUME)" in run(
        "status", "--state", str(path)
    )


def test_status_of_an_active_bot_says_so_and_that_a_halt_is_asked_for(path: Path) -> None:
    assert "\ntrading  active\n" in run("status", "--state", str(path))
    halt = path.parent / "HALT"
    halt.touch()
    assert f"a halt is asked for and not taken up yet ({halt})" in run("status", "--state", str(path))
    halt.unlink()


def test_C6_status_shows_the_dust_of_all_sessions_of_the_account(tmp_path: Path) -> None:  # noqa: N802
    state = tmp_path / "botd.sqlite3"
    journal = open_state(state)
    spot = {"instrument": "BTC/USDT", "strategy": "~unowned"}
    moved = {"section": Section.EXTERNAL, "rule": "dust", "side": Side.SELL, "qty": Decimal("0.001")}
    paid = {"fee_paid": Decimal("0.00005"), "fee_currency": "BTC", "fee": Decimal(0)}
    journal.start_session(samples.started())
    first = (samples.fill(1, **spot, **paid), samples.fill(2, trade_id="d", **spot, **moved))
    journal.commit(Batch(session_id="s1", records=first, cursor=samples.cursor(3, seq=2)))
    journal.end_session("s1", status="finished", ended_us=samples.T0 + 1)
    journal.start_session(samples.started("s2", started_us=samples.T0 + 2))
    more = samples.fill(3, trade_id="e", **spot, **paid)
    journal.commit(Batch(session_id="s2", records=(more,), cursor=samples.cursor(3, seq=3)))
    journal.start_session(samples.started("s3", started_us=samples.T0 + 3))
    journal.close()
    lines = run("status", "--state", str(state), "--session", "s2").splitlines()
    assert "dust     0.0009 BTC of BTC/USDT" in lines
    assert "\ndust" not in run("status", "--state", str(state), "--session", "s3")


def test_status_of_a_named_session(path: Path) -> None:
    assert "session  w1  warmup" in run("status", "--state", str(path), "--session", "w1")


def test_status_says_running_while_a_daemon_holds_the_folder(path: Path) -> None:
    with StateLock(path.parent):
        assert "session  s1  paper  running\n" in run("status", "--state", str(path))


def test_status_counts_the_warm_up_a_session_began_from(tmp_path: Path) -> None:
    journal = open_state(tmp_path / "x")
    journal.start_session(samples.started("w1", mode="warmup"))
    journal.commit(Batch(session_id="w1", records=(TRADE,)))
    journal.end_session("w1", status="finished", ended_us=samples.T0 + 1)
    journal.start_session(samples.started("p1", started_us=samples.T0 + 2))
    journal.close()
    output = run("status", "--state", str(tmp_path / "x"))
    assert "0 trades  0 alerts, of this session\n" in output
    assert "1 trades  0 alerts, of w1 before it\n" in output
    assert "P&L      +2.99 USDT after 2.01 of fees  1 trades, 1 won, of its warm-up\n" in output
    assert "equity   not recorded yet" in output


@pytest.mark.parametrize("width", ["40", "60", "80"])
def test_status_keeps_names_and_amounts_on_a_narrow_terminal(
    path: Path, width: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    monkeypatch.setenv("FORCE_COLOR", "1")  # what makes it a terminal
    monkeypatch.setenv("TERM", "dumb")
    lines = [line.split() for line in run("status", "--state", str(path)).splitlines()]
    assert ["strategy", "instrument"] in [line[:2] for line in lines]
    held = next(line for line in lines if line[:2] == ["dip", "BTC/USDT"] and "0.05" in line)
    assert not any("…" in word for word in held)


def test_times_and_amounts_for_people() -> None:
    from decimal import Decimal

    assert when(1_700_000_000_000_000) == "2023-11-14 22:13:20 UTC"
    assert when(None) == plain(None) == "-"
    assert [plain(Decimal(text)) for text in ("1E-7", "10.500", "100", "0E-8")] == [
        "0.0000001",
        "10.5",
        "100",
        "0",
    ]


def test_resolve_asks_for_an_order_that_needs_a_person_and_for_no_other(path: Path, tmp_path: Path) -> None:
    copied = tmp_path / "botd.sqlite3"
    shutil.copy(path, copied)
    with closing(sqlite3.connect(copied)) as connection, connection:
        ((name,),) = connection.execute("SELECT client_order_id FROM orders LIMIT 1").fetchall()
    asked = ("resolve", name, "--reason", "seen there", "--state", str(copied))
    with pytest.raises(InputInvalid, match="say --ended: look at the venue"):
        run(*asked)
    with pytest.raises(InputInvalid, match=f"order {name} is .* and needs nobody"):
        run(*asked, "--ended")
    with pytest.raises(InputInvalid, match="the newest session has no order x"):
        run("resolve", "x", "--ended", "--reason", "", "--state", str(copied))
    with closing(sqlite3.connect(copied)) as connection, connection:
        connection.execute("UPDATE orders SET needs_human = 1 WHERE client_order_id = ?", (name,))
    assert "RESOLVE is there until it is done" in run(*asked, "--ended")
    note = ControlFiles(tmp_path).resolve()
    assert note is not None
    assert (note.order, note.reason) == (name, "seen there")
