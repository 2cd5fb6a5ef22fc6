"""Reads and commits at the same time, through the API: neither waits for the other, nor fails by it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from botd.api.settings import Bounds
from botd.store.pages import PageReader
from tests.api.stand import SESSION, Stand, book
from tests.store import samples

# ruff: noqa: N802 - the fault's id

COMMITS = 100
READERS = 6
FREE = Bounds(connections_per_ip_max=64)
PATHS = ("trading/orders", "alerts", "trading/signals", "trading/positions", f"sessions/{SESSION}/results")


def test_L1_commits_go_on_while_many_read_and_what_is_read_only_grows(tmp_path: Path) -> None:
    ended = threading.Event()
    with Stand(tmp_path, bounds=FREE) as stand, ThreadPoolExecutor(READERS) as readers:
        before = len(stand.get("/api/alerts?limit=1000").json["alerts"])

        def read(number: int) -> list[int]:
            seen = []
            while not ended.is_set():
                assert stand.get(f"/api/{PATHS[number % len(PATHS)]}").status == 200
                seen.append(len(stand.get("/api/alerts?limit=1000").json["alerts"]))
            return seen

        reading = [readers.submit(read, number) for number in range(READERS)]
        try:
            for number in range(COMMITS):
                alert = samples.alert(100 + number)
                book(stand.journal, alert, position=400 + number)
                stand.wire.publish((alert,))
                stand.clock.pass_s(1.0)  # so that everybody looks anew
        finally:
            ended.set()
        for one in reading:
            seen = one.result(30)
            assert seen == sorted(seen)
        assert len(stand.get("/api/alerts?limit=1000").json["alerts"]) == before + COMMITS


def test_L1_commit_does_not_wait_for_a_reader_in_the_middle_of_a_look(tmp_path: Path) -> None:
    with Stand(tmp_path) as stand, PageReader(tmp_path / "botd.sqlite3") as reader:
        looking = reader.decisions(SESSION)
        first = next(looking)[1].seq  # a look that holds the state of the file as it was
        book(stand.journal, samples.signal(150, cycle=7, row=900), position=401)
        assert [one.seq for _, one in looking][-1] < 150
        assert first == 1
        signals = stand.get("/api/trading/signals").json["signals"]
        assert signals[0]["signal_id"] == f"{SESSION}-150"


def test_books_that_are_shut_are_nobody_s_and_closed_last_by_their_writer(tmp_path: Path) -> None:
    with Stand(tmp_path) as stand:
        assert stand.get("/api/alerts").status == 200
        stand.library.shut()
        stand.clock.pass_s(1.0)
        got = stand.get("/api/alerts")
        assert (got.status, got.json["error"]) == (503, "no_books")
        assert stand.get("/health").status == 200
        assert stand.post("/api/trading/halt").json["restraints"] == []  # done, and not to be shown
        stand.journal.close()
        assert [one.name for one in tmp_path.iterdir() if "sqlite3" in one.name] == ["botd.sqlite3"]
