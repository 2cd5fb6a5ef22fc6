"""One death at each place of an order's way: what is on disk then, and that the next start makes it whole."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from botd.failpoints import Point
from tests.crash.daemons import Nursery, check_files, decided, finish, reached, rows, state, wait_until
from tests.crash.market import make_busy_bot

TRIES = 60


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_busy_bot(tmp_path_factory.mktemp("made") / "bot", minutes=5)


@pytest.fixture(scope="module")
def whole(made: Path, nursery: Nursery) -> str:
    return finish(nursery, Path(shutil.copytree(made, made.parent / "whole")))


def die(
    nursery: Nursery, made: Path, bot: Path, point: Point, met: Callable[[Path], object], *, first: int = 1
) -> None:
    """Have a daemon die at a point: the first time, from `first` on, that its files are as wanted then."""
    for nth in range(first, TRIES):
        shutil.copytree(made, bot)
        assert nursery.start(bot, failpoint=f"{point}:{nth}:kill9").wait() == -signal.SIGKILL
        check_files(bot)
        if met(bot):
            print(f"{point}:{nth}")
            return
        shutil.rmtree(bot)
    raise AssertionError(f"no death at {point} in {TRIES} left the files so")


def orders(bot: Path) -> dict[str, str]:
    return dict(rows(state(bot), "SELECT client_order_id, status FROM orders"))


def submitted(bot: Path) -> list[str]:
    return [one for one, status in orders(bot).items() if status == "submitted"]


def venue(bot: Path) -> Any:
    ((body,),) = rows(bot / "state/venue.sqlite3", "SELECT body FROM state") or (("null",),)
    return json.loads(body)


def requested(bot: Path) -> str:
    """Return what the venue was asked for and has not done, as text."""
    return json.dumps([floor["requests"] for floor in (venue(bot) or {"floors": {}})["floors"].values()])


def untaken(bot: Path) -> list[str]:
    """Return the kinds of the answers that the venue has given and the books do not have."""
    ((taken,),) = rows(state(bot), "SELECT venue_seq FROM journal_cursor")
    answers = rows(bot / "state/venue.sqlite3", "SELECT body FROM answers WHERE seq > ?", taken)
    return [kind for (text,) in answers for kind, _ in json.loads(text)]


def test_G1_order_that_was_not_committed_never_was_and_is_made_again(  # noqa: N802
    made: Path, tmp_path: Path, nursery: Nursery, whole: str
) -> None:
    bot = tmp_path / "bot"
    die(nursery, made, bot, Point.GROUP_BEFORE_COMMIT, lambda bot: len(orders(bot)) == 3, first=4)
    assert finish(nursery, bot) == whole


def test_G2_order_that_was_committed_and_not_sent_is_sent_once(  # noqa: N802
    made: Path, tmp_path: Path, nursery: Nursery, whole: str
) -> None:
    bot = tmp_path / "bot"
    die(
        nursery,
        made,
        bot,
        Point.SEND_BEFORE,
        lambda bot: any(one not in requested(bot) for one in submitted(bot)),
    )
    assert finish(nursery, bot) == whole


def test_G3_order_that_the_venue_has_taken_is_not_taken_again(  # noqa: N802 - the fault's id
    made: Path, tmp_path: Path, nursery: Nursery, whole: str
) -> None:
    bot = tmp_path / "bot"
    die(
        nursery,
        made,
        bot,
        Point.SEND_AFTER,
        lambda bot: any(one in requested(bot) for one in submitted(bot)),
    )
    assert finish(nursery, bot) == whole


@pytest.mark.parametrize("kind", ["OrderAccepted", "OrderFilled"])
def test_G4_G5_answer_that_was_not_committed_is_taken_once(  # noqa: N802 - the faults' ids
    made: Path, tmp_path: Path, nursery: Nursery, whole: str, kind: str
) -> None:
    bot = tmp_path / "bot"
    die(nursery, made, bot, Point.ANSWERS_BEFORE_COMMIT, lambda bot: kind in untaken(bot))
    assert finish(nursery, bot) == whole


def test_G8_cancel_that_the_venue_has_not_kept_is_asked_again(  # noqa: N802 - the fault's id
    made: Path, tmp_path: Path, nursery: Nursery, whole: str
) -> None:
    bot = tmp_path / "bot"

    def cancelling(bot: Path) -> bool:
        return "pending_cancel" in orders(bot).values() and "Cancel" not in requested(bot)

    die(nursery, made, bot, Point.SEND_BETWEEN, cancelling, first=3)
    assert finish(nursery, bot) == whole
    assert "pending_cancel" not in orders(bot).values()


def test_G7_trade_that_was_committed_and_not_told_is_told_by_the_next_start(  # noqa: N802 - the fault's id
    made: Path, tmp_path: Path, nursery: Nursery, whole: str
) -> None:
    bot = tmp_path / "bot"

    def untold(bot: Path) -> list[int]:
        mark = bot / "state/published"
        told = int(mark.read_text().split()[0]) if mark.exists() else 0
        return [seq for (seq,) in rows(state(bot), "SELECT seq FROM trades WHERE seq > ?", told)]

    die(nursery, made, bot, Point.OUTBOX_BEFORE_PUBLISH, untold, first=4)
    (seq,) = untold(bot)
    daemon = nursery.start(bot)
    assert daemon.wait(600) == 0, daemon.text
    told = [line for line in daemon.text.splitlines() if line.endswith(f" #{seq}")]
    assert len(told) == 1
    assert " trade " in told[0]
    assert untold(bot) == []
    assert decided(bot) == whole


@pytest.mark.parametrize(("point", "kept"), [(Point.SNAPSHOT_FILE, False), (Point.SNAPSHOT_ROW, True)])
def test_G11_death_in_the_last_snapshot_of_a_stop_is_one_as_any_other(  # noqa: N802 - the fault's id
    made: Path, tmp_path: Path, nursery: Nursery, whole: str, point: Point, kept: bool
) -> None:
    bot = Path(shutil.copytree(made, tmp_path / "bot"))
    daemon = nursery.start(bot, speed="600", failpoint=f"{point}:2:kill9")  # the first is that of the start
    wait_until(lambda: reached(bot) > 100, daemon)
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == -signal.SIGKILL, daemon.text
    check_files(bot)
    newest = rows(state(bot), "SELECT max(position) FROM engine_snapshots")
    assert (newest == rows(state(bot), "SELECT position FROM journal_cursor")) is kept
    assert finish(nursery, bot) == whole
