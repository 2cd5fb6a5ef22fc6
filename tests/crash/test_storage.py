"""The real daemon on disks that are full, locked, cut and restored, and in processes that stop and go on."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import statistics
import time
from contextlib import closing
from pathlib import Path

import pytest

from botd.simulation.wal import cut
from tests.cli.bots import Running
from tests.crash.daemons import (
    FULL,
    Nursery,
    check_books,
    check_files,
    decided,
    finish,
    only_full,
    reached,
    rows,
    state,
    wait_until,
)
from tests.crash.market import DATA, make_busy_bot

MINUTES = 12 if FULL else 6
SPEED = "600"
BUSY_S = 5.0  # so long the journal waits for a lock

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bot that has never run."""
    return make_busy_bot(tmp_path_factory.mktemp("made") / "bot", minutes=MINUTES)


@pytest.fixture
def bot(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "bot"))


@pytest.fixture(scope="module")
def whole(made: Path, nursery: Nursery) -> str:
    """Return the sha256 of what a daemon decides that nothing happens to."""
    return finish(nursery, Path(shutil.copytree(made, made.parent / "whole")))


def live_and_die(nursery: Nursery, bot: Path, *, rows_more: int) -> None:
    """Let a daemon judge some rows more, and kill it."""
    until = max(reached(bot), 0) + rows_more
    daemon = nursery.start(bot, speed=SPEED)
    wait_until(lambda: reached(bot) >= until, daemon)
    assert daemon.kill() == -signal.SIGKILL
    check_files(bot)


def order_ids(bot: Path) -> set[str]:
    return {one for (one,) in rows(state(bot), "SELECT client_order_id FROM orders")}


# ---- disks --------------------------------------------------------------------------------------


def test_H1_full_disk_ends_the_daemon_in_one_line_and_sends_nothing_unwritten(  # noqa: N802
    bot: Path, nursery: Nursery, whole: str
) -> None:
    live_and_die(nursery, bot, rows_more=300)
    for more in (10_000, 60_000, 120_000) if FULL else (60_000,):
        largest = max(one.stat().st_size for one in (bot / "state").iterdir())
        daemon = nursery.start(bot, file_max=largest + more)
        assert daemon.wait() == 2, daemon.text
        assert "Traceback" not in daemon.text
        assert daemon.text.strip().splitlines()[-1].startswith("botd: "), daemon.text
        check_files(bot)
    assert finish(nursery, bot) == whole


@only_full
@pytest.mark.parametrize(("seconds", "code"), [(2.0, 0), (10.0, 3)])
def test_H2_lock_of_another_process_is_waited_for_or_ends_the_daemon(  # noqa: N802 - the fault's id
    bot: Path, nursery: Nursery, whole: str, seconds: float, code: int
) -> None:
    assert (seconds > BUSY_S) == (code == 3)
    daemon = nursery.start(bot, speed=SPEED)
    wait_until(lambda: reached(bot) > 200, daemon)
    with closing(sqlite3.connect(state(bot), isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN IMMEDIATE")
        before = order_ids(bot)
        time.sleep(seconds)
        assert order_ids(bot) == before
        check_files(bot)  # nothing was sent that could not be written
        other.execute("ROLLBACK")
    assert daemon.wait() == code, daemon.text
    assert (finish(nursery, bot) if code else decided(bot)) == whole


def test_G13_log_cut_at_any_byte_holds_a_prefix_and_the_session_goes_on(  # noqa: N802 - the fault's id
    bot: Path, tmp_path: Path, nursery: Nursery, rng: random.Random, whole: str
) -> None:
    live_and_die(nursery, bot, rows_more=300)
    wal = Path(f"{state(bot)}-wal")
    orders, position = order_ids(bot), reached(bot)
    # reading folds nothing in: what the daemon has left is what is cut
    size = wal.stat().st_size
    assert size > 50_000
    lost = 0
    for number in range(200 if FULL else 10):
        after = Path(shutil.copytree(bot, tmp_path / "cut"))
        cut(Path(f"{state(after)}-wal"), rng.randrange(size + 1))
        for index in (after / "state").glob("*-shm"):
            index.unlink()
        if reached(after) >= 0:  # a first transaction that is cut leaves a file of nothing
            check_books(after)
            assert order_ids(after) <= orders
            assert reached(after) <= position
            lost += reached(after) < position
            if number % 40 == 0:
                assert finish(nursery, after) == whole
        shutil.rmtree(after)
    assert lost > 0


@pytest.mark.parametrize("what", ["the whole folder", "the state file alone"])
def test_G14_old_backup_goes_on_and_no_order_is_sent_twice(  # noqa: N802 - the fault's id
    bot: Path, tmp_path: Path, nursery: Nursery, whole: str, what: str
) -> None:
    """The venue's own file is newer than a state file that is restored alone, as a real venue would be."""
    live_and_die(nursery, bot, rows_more=250)
    backup = Path(shutil.copytree(bot / "state", tmp_path / "backup"))
    live_and_die(nursery, bot, rows_more=150)
    later = len(order_ids(bot))
    for file in [one for one in (bot / "state").iterdir() if one.is_file()]:
        if what == "the whole folder" or not file.name.startswith("venue."):
            file.unlink()
    for file in backup.iterdir():
        if file.is_file() and (what == "the whole folder" or not file.name.startswith("venue.")):
            shutil.copy(file, bot / "state")
    assert 0 < len(order_ids(bot)) < later
    assert finish(nursery, bot) == whole


# ---- processes ----------------------------------------------------------------------------------


def test_G11_J3_kill_at_any_moment_of_a_stop_loses_nothing(  # noqa: N802 - the faults' ids
    bot: Path, nursery: Nursery, whole: str
) -> None:
    fine, coarse = (12, 6) if FULL else (2, 2)
    ends = []
    for delay in [0.004 * n for n in range(fine)] + [0.1 * n for n in range(coarse)]:
        before = reached(bot)
        daemon = nursery.start(bot, speed=SPEED)
        wait_until(lambda: reached(bot) > before, daemon)  # noqa: B023 - called at once
        daemon.signal(signal.SIGTERM)
        time.sleep(delay)
        ends.append(daemon.kill())
        check_files(bot)
    print(f"{ends.count(-signal.SIGKILL)} killed in the stop, {ends.count(0)} had ended")
    assert set(ends) <= {0, -signal.SIGKILL}
    assert finish(nursery, bot) == whole


def test_G16_deaths_in_the_return_of_a_death_lose_nothing(  # noqa: N802 - the fault's id
    bot: Path, nursery: Nursery, whole: str
) -> None:
    live_and_die(nursery, bot, rows_more=250)
    for point in ("rows", "before_send", "after") * (2 if FULL else 1):
        before = order_ids(bot)
        assert nursery.start(bot, failpoint=f"recovery.{point}:1:kill9").wait() == -signal.SIGKILL
        check_files(bot)
        assert order_ids(bot) == before  # nothing new before it knew what it had
    assert finish(nursery, bot) == whole


@only_full
def test_K1_daemon_that_was_stopped_for_a_while_goes_on(  # noqa: N802 - the fault's id
    bot: Path, nursery: Nursery, whole: str
) -> None:
    daemon = nursery.start(bot, speed=SPEED)
    wait_until(lambda: reached(bot) > 200, daemon)
    daemon.signal(signal.SIGSTOP)
    time.sleep(3)
    daemon.signal(signal.SIGCONT)
    assert daemon.wait() == 0, daemon.text
    assert decided(bot) == whole


@only_full
def test_B13_of_daemons_that_start_at_once_one_trades(  # noqa: N802 - the fault's id
    bot: Path, nursery: Nursery, whole: str
) -> None:
    with Nursery() as other:
        other.start(Path(shutil.copytree(bot, bot.parent / "loads"))).kill()  # from here on it has loaded
        for _ in range(8):
            before = reached(bot)
            both = [one.start(bot, speed="60") for one in (nursery, other)]
            began = time.monotonic()
            while all(one.alive() for one in both):
                assert time.monotonic() - began < 10
                time.sleep(0.005)
            first, second = sorted(both, key=lambda one: one.alive())
            assert first.wait() == 3, first.text
            wait_until(lambda: reached(bot) > before, second)  # noqa: B023 - called at once
            second.kill()
            check_files(bot)
    assert finish(nursery, bot) == whole


@pytest.mark.parametrize(
    "zone", ["America/New_York", "Australia/Lord_Howe"] if FULL else ["Australia/Lord_Howe"]
)
def test_P3_time_zone_of_the_machine_decides_nothing(  # noqa: N802 - the fault's id
    bot: Path, nursery: Nursery, whole: str, zone: str
) -> None:
    daemon = nursery.start(bot, zone=zone)
    assert daemon.wait() == 0, daemon.text
    assert decided(bot) == whole


@only_full
def test_return_with_a_thousand_orders_of_history(tmp_path: Path, nursery: Nursery) -> None:
    bot = make_busy_bot(tmp_path / "bot", minutes=240)
    daemon = nursery.start(bot)
    wait_until(lambda: reached(bot) > 0 and len(order_ids(bot)) >= 1000, daemon)
    daemon.kill()
    took: list[float] = []
    forked: list[float] = []
    for _ in range(10):
        before = reached(bot)
        loaded = nursery.start(bot, speed="60")
        wait_until(lambda: reached(bot) > before, loaded)  # noqa: B023 - called at once
        forked.append(time.monotonic() - loaded.born)
        loaded.kill()
        before, began = reached(bot), time.monotonic()
        (bot / "state/starts.json").unlink(missing_ok=True)
        with Running(bot, "run", "--data", DATA, "--speed", "60") as fresh:
            while reached(bot) <= before:
                assert fresh.process.poll() is None, fresh.text
                time.sleep(0.01)
            took.append(time.monotonic() - began)
            fresh.signal(signal.SIGKILL)
            fresh.process.wait(30)
    orders = len(order_ids(bot))
    for what, figures in (("kill -9 to trading", took), ("of it without loading Python", forked)):
        middle, most = statistics.median(figures), max(figures)
        print(f"{what}, {orders} orders: p50 {middle:.2f} s, max {most:.2f} s")
