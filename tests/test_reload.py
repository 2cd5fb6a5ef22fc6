"""Hot reload in the daemon's process: edited, broken, deleted, asked for, and killed right after."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

import signal
from pathlib import Path

import pytest

from botd.core.reload import ReloadOutcome
from botd.store.queries import StateReader
from tests.cli.books import Books
from tests.cli.bots import RIDER, Warm, botd, edit, make_bot, write_pump
from tests.test_daemon import DATA, HOLDER, MARKET, START, sessions, wait_until

SPEED = ("--speed", "60")


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    holder = HOLDER.replace("ORDER", MARKET).replace("POLICY", "keep")
    folder = make_bot(tmp_path / "bot", rider=RIDER, holder=holder)
    write_pump(folder / DATA, bursts=12)
    return folder


def reloads(folder: Path) -> tuple[ReloadOutcome, ...]:
    with StateReader(folder / "state/botd.sqlite3") as reader:
        return reader.reloads()


def alerts(folder: Path) -> list[str]:
    with StateReader(folder / "state/botd.sqlite3") as reader:
        return [one.type for one in reader.recent_alerts(reader.session().id)]


def test_I1_saved_edit_trades_on_and_a_bad_one_leaves_the_plan_before_it(bot: Path) -> None:
    rider = bot / "strategies/rider.yaml"
    with Warm(bot, "run", "--data", DATA, *SPEED) as daemon:
        daemon.wait_for(" trade rider ")
        edit(rider, "cooldown: 30s", "cooldown: 31s")
        daemon.wait_for("reloaded: strategies/rider.yaml: changed")
        (done,) = reloads(bot)
        assert (done.ok, done.who, done.changes) == (True, "files", ("strategies/rider.yaml: changed",))
        assert done.position > 0
        with StateReader(bot / "state/botd.sqlite3") as reader:
            assert reader.session().config_hash == done.running_hash == done.config_hash
            assert reader.revisions()[0].files["strategies/rider.yaml"] == rider.read_text()

        edit(rider, "speed > 1%", "speed > 1 USDT")
        daemon.wait_for("reload refused, the old plan trades on:")
        daemon.wait_for("^")
        refused = reloads(bot)[0]
        assert (refused.ok, refused.running_hash, refused.position) == (False, done.running_hash, -1)
        (fault,) = refused.errors
        assert (fault.line, fault.excerpt) == (8, "  when: speed > 1 USDT")

        edit(rider, "speed > 1 USDT", "speed > 1%")
        wait_until(lambda: reloads(bot)[0].ok and reloads(bot)[0].ts_us > refused.ts_us)
        daemon.signal(signal.SIGHUP)
        daemon.wait_for("reload: nothing has changed")
        daemon.wait_for(" trade rider ")
        daemon.signal(signal.SIGTERM)
        assert daemon.end().code == 0
    assert len(sessions(bot)) == 1
    history = botd(bot, "config", "history").out
    assert f"{done.running_hash[:12]}  files: strategies/rider.yaml: changed" in history
    assert "files: refused\n" in history
    assert "        ^" in history
    assert "-  cooldown: 30s\n+  cooldown: 31s\n" in botd(bot, "config", "diff").out
    first = history.splitlines()[-1].split()[3]
    with StateReader(bot / "state/botd.sqlite3") as reader:
        decided = {one.revision for one in reader.recent_orders(reader.session().id, limit=1_000)}
        assert first in decided <= {first, done.running_hash[:12]}
        orders, trades = reader.decided_by_revision()[first]
    assert f"  {first}  in use, " in history
    assert f", {orders} order{'s' * (orders != 1)}, {trades} trade{'s' * (trades != 1)}\n" in history
    assert botd(bot, "config", "rollback", first).out == "strategies/rider.yaml: written\n"
    assert rider.read_text() == RIDER
    assert botd(bot, "config", "rollback", first).out == "the files are as they were then\n"
    missing = botd(bot, "config", "rollback", "zz")
    assert (missing.code, "zz is no revision" in missing.err) == (2, True)
    Books(bot / "state/botd.sqlite3").check(START)
    assert botd(bot, "fsck").code == 0


def test_I4_deleted_strategy_exits_by_its_last_revision_also_after_a_kill(bot: Path) -> None:
    with Warm(bot, "run", "--data", DATA, *SPEED) as daemon:
        wait_until(lambda: _holds(bot, "holder"))
        (bot / "strategies/holder.yaml").unlink()
        daemon.wait_for("reloaded: strategies/holder.yaml: removed")
        daemon.signal(signal.SIGKILL)
        daemon.end()
    assert alerts(bot).count("exit_only") == 1
    assert _holds(bot, "holder")
    with Warm(bot, "run", "--data", DATA, *SPEED) as daemon:
        daemon.wait_for("goes on at")
        daemon.wait_for(" trade rider ")
        daemon.signal(signal.SIGTERM)
        assert daemon.end().code == 0
    assert _holds(bot, "holder")  # its stop is far away
    assert alerts(bot).count("exit_only") == 1
    assert len(sessions(bot)) == 1
    assert botd(bot, "fsck").code == 0


def test_I6_files_changed_between_two_runs_are_reloaded_at_the_start_and_a_position_keeps_its_exits(
    bot: Path,
) -> None:
    with Warm(bot, "run", "--data", DATA, *SPEED) as daemon:
        wait_until(lambda: _holds(bot, "holder"))
        daemon.signal(signal.SIGKILL)
        daemon.end()
    edit(bot / "strategies/holder.yaml", "stop_loss: 20%", "stop_loss: 15%")
    edit(bot / "strategies/rider.yaml", "cooldown: 30s", "cooldown: 31s")
    with Warm(bot, "run", "--data", DATA, *SPEED) as daemon:
        daemon.wait_for("reloaded: strategies/holder.yaml: changed, strategies/rider.yaml: changed")
        (done,) = reloads(bot)
        assert (done.ok, done.who) == (True, "start")
        with StateReader(bot / "state/botd.sqlite3") as reader:
            assert reader.session().config_hash == done.config_hash
            assert reader.cursor(reader.session().id).position >= done.position > 0
        daemon.wait_for(" trade rider ")
        daemon.signal(signal.SIGTERM)
        assert daemon.end().code == 0
    with StateReader(bot / "state/botd.sqlite3") as reader:
        told = [(one.type, one.strategy) for one in reader.recent_alerts(reader.session().id)]
    assert told.count(("revision_pinned", "holder")) == 1
    assert len(sessions(bot)) == 1
    assert botd(bot, "fsck").code == 0


def test_change_that_a_running_bot_cannot_take_up_is_refused_at_its_key(bot: Path) -> None:
    with Warm(bot, "run", "--data", DATA, *SPEED) as daemon:
        daemon.wait_for(" trade rider ")
        edit(bot / "config.yaml", "BTC: 1 }", "BTC: 2 }")
        daemon.wait_for("account cannot change while botd runs")
        (refused,) = reloads(bot)
        (fault,) = refused.errors
        assert (fault.file, fault.line) == ("config.yaml", 2)
        daemon.signal(signal.SIGKILL)
        daemon.end()


def _holds(folder: Path, strategy: str) -> bool:
    try:
        with StateReader(folder / "state/botd.sqlite3") as reader:
            return any(one.strategy == strategy for one in reader.positions(reader.session().id))
    except Exception:
        return False  # being made
