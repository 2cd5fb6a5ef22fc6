"""What the simulated venue's file keeps, over restarts, crashes and damage."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from botd.core.settings import PaperSettings
from botd.errors import InputInvalid, StateCorrupt
from botd.venues.book import SqliteVenueBook
from tests.venues.stand import (
    MS,
    SECOND,
    SPOT,
    Stand,
    amend,
    buy,
    cancel,
    sell,
    told,
    trade,
)

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    trade(0, 1000, bid=1000, ask=1000),
    trade(SECOND, 1000, bid=1000, ask=1000),
    trade(2 * SECOND, 940, bid=940, ask=941),
    trade(3 * SECOND, 930, bid=930, ask=931),
    trade(9 * SECOND, 930, bid=930, ask=931),
]
SETTINGS = PaperSettings(latency_min_us=200 * MS, latency_max_us=200 * MS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "venue.sqlite3"


_OPENED: list[SqliteVenueBook] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close at the end what a test has opened, also what died in it."""
    yield
    while _OPENED:
        _OPENED.pop().close()


def opened(path: Path, account: str = "paper") -> SqliteVenueBook:
    _OPENED.append(SqliteVenueBook(path, account))
    return _OPENED[-1]


def begun(keep: SqliteVenueBook | None) -> Stand:
    """Stand after the second row: 30 lots held, a stop and a limit at rest, three requests under way."""
    stand = Stand(ROWS, settings=SETTINGS, keep=keep)
    stand.run(0)
    stand.send(
        buy("in", 30),
        sell("stop", 20, stop=950, reduce=True, t=1),
        buy("low", 10, limit=935, expire=8 * SECOND),
    )
    stand.run(1)
    stand.send(
        amend("stop", 30, SECOND),
        buy("more", 10, limit=920, t=4 * SECOND),
        cancel("more", 5 * SECOND),
    )
    return stand


REST = [
    "1200000 stop amended to 30",
    "2000000 stop 30 at 940 taker fee 0.0282",
    "3000000 low 10 at 935 maker fee 0.00748",
    "4200000 more accepted",
    "5200000 more canceled: canceled on request",
]


def test_venue_goes_on_from_its_file_as_if_nothing_had_been(path: Path) -> None:
    assert told(begun(None).run()) == REST
    keep = opened(path)
    before = begun(keep)
    keep.close()

    again = opened(path)
    stand = Stand(ROWS, settings=SETTINGS, keep=again)
    stand.venue.recall(again.load(4), expected=True)
    assert stand.venue.state() == before.venue.state()
    assert stand.venue.positions() == {SPOT.id: 30}
    assert [(command.client_order_id, lots) for command, lots in stand.venue.working()] == [
        ("low", (0, 10)),
        ("stop", (0, 20)),
    ]
    stand.row, stand.requests = before.row, before.requests
    assert told(stand.run()) == REST
    again.close()


def test_G3_requests_handed_over_again_after_a_restart_are_ignored(path: Path) -> None:  # noqa: N802
    begun(opened(path))
    stand = Stand(ROWS, settings=SETTINGS, keep=(again := opened(path)))
    stand.venue.recall(again.load(4), expected=True)
    stand.venue.send(5, buy("more", 10, limit=920, t=4 * SECOND))
    stand.venue.send(6, cancel("more", 5 * SECOND))
    stand.row = 2
    assert told(stand.run()) == REST


def test_answers_that_no_daemon_took_wait_at_their_positions(path: Path) -> None:
    first = begun(opened(path))
    lost = first.run(2)  # saved by the venue; the daemon dies before the journal has them
    assert told(lost) == REST[:2]

    again = opened(path)
    stand = Stand(ROWS, settings=SETTINGS, keep=again)
    stand.venue.recall(again.load(4), expected=True)
    assert stand.venue.positions() == {SPOT.id: 0}  # the venue is ahead of the bot
    assert stand.venue.waiting_position() == 2
    assert stand.venue.take_waiting(1) == []
    assert stand.venue.take_waiting(2) == lost
    assert stand.venue.take_waiting(2) == []
    stand.row = 2
    assert told(stand.run()) == REST[2:]


def test_G5_answer_of_now_does_not_overtake_those_that_wait(path: Path) -> None:  # noqa: N802
    """The last number taken says what is asked for again: an answer that overtook others lost them."""
    first = begun(opened(path))
    lost = first.run(2)
    stand = Stand(ROWS, settings=SETTINGS, keep=(again := opened(path)))
    stand.venue.recall(again.load(4), expected=True)
    stand.row, stand.requests = 1, 6
    stand.send(cancel("stop", 0))  # which the venue has filled, and the bot has not heard of
    assert stand.run(1) == []
    assert again.load(4)[1][-1].position == 2
    taken = stand.venue.take_waiting(2)
    assert told(taken) == [*REST[:2], "200000 stop refused: no such order"]
    assert taken[:2] == lost
    assert [one.seq for one in taken] == [5, 6, 7]


def test_part_of_the_answers_may_have_been_taken(path: Path) -> None:
    first = begun(opened(path))
    lost = first.run(3)
    again = opened(path)
    stand = Stand(ROWS, settings=SETTINGS, keep=again)
    stand.venue.recall(again.load(lost[1].seq), expected=True)
    stand.row = 2
    assert told(stand.run()) == REST[2:]


def test_G5_answers_keep_waiting_over_a_second_crash(path: Path) -> None:  # noqa: N802
    lost = begun(opened(path)).run(2)
    for _ in range(3):
        again = opened(path)
        stand = Stand(ROWS, settings=SETTINGS, keep=again)
        stand.venue.recall(again.load(4), expected=True)
        stand.venue.save()
        again.close()
    assert stand.venue.take_waiting(9) == lost


def test_accounts_do_not_see_each_other(path: Path) -> None:
    begun(opened(path, "a"))
    other = opened(path, "b")
    assert other.load(0) is None
    stand = Stand(ROWS, keep=other)
    stand.run(0)
    stand.send(buy("x", 7))
    stand.run(1)
    kept = opened(path, "a").load(0)
    assert kept is not None
    assert kept[0]["account"]["nets"] == {SPOT.id: [30, 30_000]}


def test_money_comes_back_exactly(path: Path) -> None:
    stand = begun(opened(path))
    stand.run()
    kept = opened(path).load(0)
    assert kept is not None
    # 1000 - fees 0.03, 0.0282, 0.00748 - 30 lots x 60 ticks x 0.001
    assert Decimal(kept[0]["account"]["cash"]["USDT"]) == Decimal("998.13432")


def test_missing_book_of_a_known_session_is_refused(path: Path) -> None:
    keep = opened(path)
    with pytest.raises(StateCorrupt, match="knows nothing of this session"):
        Stand(ROWS).venue.recall(keep.load(0), expected=True)
    Stand(ROWS).venue.recall(keep.load(0), expected=False)


def test_G14_book_older_than_the_journal_is_refused(path: Path) -> None:  # noqa: N802
    begun(opened(path))
    with pytest.raises(StateCorrupt, match="older than"):
        opened(path).load(5)


def test_book_that_lacks_an_answer_is_refused(path: Path) -> None:
    begun(opened(path))
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM answers WHERE seq = 3")
    connection.commit()
    connection.close()
    assert opened(path).load(3) is not None
    with pytest.raises(StateCorrupt, match="lacks answers between 1 and 4"):
        opened(path).load(1)


def test_old_answers_are_dropped_and_the_newest_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botd.venues.book.ANSWERS_KEPT", 2)
    begun(opened(path))
    assert opened(path).load(4) is not None  # drops 1 and 2
    kept = opened(path).load(2)
    assert kept is not None
    assert [due.answer.seq for due in kept[1]] == [3, 4]
    with pytest.raises(StateCorrupt, match="lacks answers"):
        opened(path).load(1)


def kept_seqs(path: Path) -> list[int]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT seq FROM answers WHERE account = 'paper' ORDER BY seq").fetchall()
    connection.close()
    return [seq for (seq,) in rows]


def traded(stand: Stand, times: int) -> int:
    """Buy and sell by turns, a row each; return the last answer's number."""
    last = 0
    for _ in range(times):
        make = buy if stand.venue.positions().get(SPOT.id, 0) == 0 else sell
        stand.send(make(f"o{stand.requests}", 10, t=stand.row - 1))
        last = stand.run(stand.row)[-1].seq
    return last


def test_long_run_keeps_no_more_answers_than_the_newest(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botd.venues.book.ANSWERS_KEPT", 5)
    opened(path, "other").save({"seq": 1}, [], 0)
    stand = Stand([trade(n, 1000, bid=1000, ask=1000) for n in range(60)], keep=(keep := opened(path)))
    stand.run(0)
    last = traded(stand, 50)
    assert last == 100  # accepted and filled
    # of the last call nobody knows yet whether they were taken; of those before the newest 5 stay
    assert kept_seqs(path) == list(range(94, 101))
    assert keep.load(93) is not None


def test_answers_that_wait_for_a_daemon_are_kept_by_a_long_run(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botd.venues.book.ANSWERS_KEPT", 0)
    calm = [trade(n, 1000, bid=1000, ask=1000) for n in range(60)]
    first = Stand(calm, keep=opened(path))
    first.run(0)
    lost = traded(first, 3)
    again = Stand(calm, keep=(keep := opened(path)))
    again.venue.recall(keep.load(lost - 2), expected=True)  # the last two were never taken
    again.requests = first.requests
    again.send(sell("new", 10, t=3))
    assert again.venue.execute(SPOT.id, again.ring, 0, 4, 4, 4, own=True) == []  # they wait behind these
    assert kept_seqs(path) == [lost - 1, lost, lost + 1, lost + 2]


def test_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_text(
        "this is not a database, and it is longer than a header of a hundred bytes would be\n" * 9
    )
    with pytest.raises(StateCorrupt, match="not a venue file") as kept:
        opened(path)
    assert kept.tb is not None  # and what it refers to
    files = [str(one.readlink()) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
    assert str(path) not in files


def test_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputInvalid, match="cannot be written"):
        opened(tmp_path / "none" / "venue.sqlite3")


def test_damaged_state_is_refused(path: Path) -> None:
    begun(opened(path))
    connection = sqlite3.connect(path)
    connection.execute("UPDATE state SET body = substr(body, 1, 40)")
    connection.commit()
    connection.close()
    with pytest.raises(StateCorrupt, match="damaged"):
        opened(path).load(0)


def test_damaged_pages_are_refused(path: Path) -> None:
    keep = opened(path)
    begun(keep)
    keep.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(bytes(content))
    with pytest.raises(StateCorrupt):
        opened(path).load(0)


def test_kill_9_between_saves_loses_nothing_that_was_said(path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    requests, seq = 0, 0
    for _ in range(4):
        command = [sys.executable, str(ROOT / "tests/venues/save_loop.py"), str(path), str(seq)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            timer = threading.Timer(rng.uniform(0.005, 0.3), process.kill)
            timer.start()
            for line in process.stdout:
                if line.endswith("\n"):
                    requests, *seqs = map(int, line.split())
                    seq = seqs[-1] if seqs else seq  # what comes waits behind what the last one left
            timer.join()
        keep = opened(path)
        kept = keep.load(seq)
        keep.close()
        assert kept is not None
        state, waiting = kept
        # the venue may be one request ahead of what it was able to say, and knows what it did not say
        assert requests <= state["last_request"] <= requests + 1
        requests = state["last_request"]  # a process may be killed before it says anything
        assert [due.answer.seq for due in waiting] == list(range(seq + 1, state["seq"] + 1))
        bought = sum(1 if n % 2 else -1 for n in range(1, state["trades"] + 1))
        assert state["account"]["nets"].get(SPOT.id, [0, 0])[0] == 10 * bought
    assert seq > 0
