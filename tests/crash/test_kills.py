"""kill -9 of the real daemon: at random moments under load and at every named point, on one living state."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from botd.failpoints import Point
from tests.cli.bots import botd
from tests.crash.daemons import FULL, Nursery, check_files, finish, reached, rows, state, wait_until
from tests.crash.market import make_busy_bot

KILLS, KILLS_AT_START, KILLS_EACH = (200, 40, 10) if FULL else (4, 1, 1)
MINUTES = 1200 if FULL else 20
SPEED = "600"
OFTEN_US = 250_000
SNAPSHOTS = (Point.SNAPSHOT_BEFORE, Point.SNAPSHOT_FILE, Point.SNAPSHOT_ROW, Point.SNAPSHOT_AFTER)
RECOVERIES = (Point.RECOVERY_ROWS, Point.RECOVERY_BEFORE_SEND, Point.RECOVERY_AFTER)
STOPS = (Point.STOP_BEFORE_POLICIES, Point.STOP_BEFORE_CURSOR, Point.STAGE_BEFORE, Point.STAGE_AFTER)
# those that the short run tries: one of each kind
# A daemon that trades on paper asks no venue for anything.
REACHED = [point for point in Point if point not in (Point.REQUEST_BEFORE, Point.REQUEST_AFTER)]
SHORT = (
    Point.GROUP_AFTER_COMMIT,
    Point.SEND_BETWEEN,
    Point.TX_MID,
    Point.SNAPSHOT_FILE,
    Point.RECOVERY_AFTER,
)

pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> str:
    """Return the sha256 of what a daemon decides that nobody kills."""
    return finish(nursery, make_busy_bot(tmp_path_factory.mktemp("whole") / "bot", minutes=MINUTES))


def finish_and_compare(nursery: Nursery, bot: Path, whole: str) -> None:
    """Run to the end of the data; what was decided must be what a daemon that nobody killed decides."""
    assert finish(nursery, bot) == whole
    if FULL:
        assert botd(bot, "fsck").code == 0
    print(f"{rows(state(bot), 'SELECT count(*) FROM orders')[0][0]} orders; sha256 of the decisions {whole}")


def test_kills_at_random_moments_lose_nothing_and_send_nothing_twice(
    tmp_path: Path, nursery: Nursery, rng: random.Random, whole: str
) -> None:
    bot = make_busy_bot(tmp_path / "bot", minutes=MINUTES)
    under_load = [True] * KILLS + [False] * KILLS_AT_START
    rng.shuffle(under_load)
    before = -1
    for loaded in under_load:
        daemon = nursery.start(bot, speed=SPEED, snapshot_us=rng.choice([0, OFTEN_US]))
        if loaded:
            wait_until(lambda: reached(bot) > before, daemon)  # noqa: B023 - called at once
        time.sleep(rng.uniform(0.0, 0.5))
        assert daemon.kill() == -signal.SIGKILL, daemon.text
        if reached(bot) >= 0:
            check_files(bot)
        assert reached(bot) >= before
        before = reached(bot)
    print(f"{KILLS} kills under load, {KILLS_AT_START} at any moment of a start; row {before}")
    finish_and_compare(nursery, bot, whole)


def die_at(nursery: Nursery, bot: Path, point: Point, nth: int) -> None:
    """Start a daemon that dies the nth time that it gets to a point, and see it die there."""
    often = OFTEN_US if point in SNAPSHOTS else 0
    daemon = nursery.start(bot, speed=SPEED, failpoint=f"{point}:{nth}:kill9", snapshot_us=often)
    if point in STOPS:
        before = reached(bot)
        wait_until(lambda: reached(bot) > before, daemon)
        daemon.signal(signal.SIGTERM)
    assert daemon.wait(at=f"{point}:{nth}") == -signal.SIGKILL, f"{point}:{nth}: {daemon.text}"


def times(point: Point, rng: random.Random) -> int:
    """Return the how-manieth time to die at: every start comes to some points once."""
    if point in (Point.STAGE_BEFORE, Point.STAGE_AFTER):
        return rng.randint(1, 3)
    if point in RECOVERIES or point in STOPS:
        return 1
    return rng.randint(1, 2 if point in SNAPSHOTS else 60)


def test_kills_at_every_point_lose_nothing_and_send_nothing_twice(
    tmp_path: Path, nursery: Nursery, rng: random.Random, whole: str
) -> None:
    bot = make_busy_bot(tmp_path / "bot", minutes=MINUTES)
    deaths = [point for point in (REACHED if FULL else SHORT) for _ in range(KILLS_EACH)]
    rng.shuffle(deaths)
    for point in deaths:
        before = reached(bot)
        if before < 0 or point is Point.RECOVERY_ROWS:  # a return needs a life, with rows after its snapshot
            daemon = nursery.start(bot, speed=SPEED)
            wait_until(lambda: reached(bot) > before + 100, daemon)  # noqa: B023 - called at once
            daemon.kill()
        die_at(nursery, bot, point, times(point, rng))
        check_files(bot)
    print(f"{len(deaths)} deaths at {len(set(deaths))} points; row {reached(bot)}")
    finish_and_compare(nursery, bot, whole)
