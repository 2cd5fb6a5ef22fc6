"""The state file under kill -9, readers of other processes, and damage."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from botd.errors import StateCorrupt
from botd.ports import Batch
from botd.store.journal import open_state
from tests.store import samples
from tests.store.samples import decisions, journal_with

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "botd.sqlite3"


def test_kill_9_in_a_commit_loop_keeps_every_committed_cursor(path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    reached = 0
    for _ in range(4):
        command = [sys.executable, str(ROOT / "tests/store/commit_loop.py"), str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            timer = threading.Timer(rng.uniform(0.005, 0.2), process.kill)
            timer.start()
            acknowledged = [int(line) for line in process.stdout if line.endswith("\n")]
            timer.join()
        journal = open_state(path)
        cursor = journal.cursor("s1")
        journal.close()
        records = decisions(path)
        last = 0 if cursor is None else cursor.seq
        assert last >= max(acknowledged, default=reached)
        assert [record.seq for record in records] == list(range(1, last + 1))
        assert last >= reached
        reached = last
    assert reached > 0


def test_file_of_a_killed_daemon_can_be_read_before_it_is_started_again(path: Path, tmp_path: Path) -> None:
    journal = journal_with(path, *samples.entry())
    killed = tmp_path / "killed"
    shutil.copytree(path.parent, killed, ignore=shutil.ignore_patterns("*-shm"))
    journal.close()
    assert len(decisions(killed / path.name)) == 6


def test_two_processes_read_whole_batches_while_one_writes(path: Path) -> None:
    journal = journal_with(path)
    command = [sys.executable, str(ROOT / "tests/store/read_loop.py"), str(path)]
    readers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
        for _ in range(2)
    ]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
    for n in range(150):
        records = tuple(samples.signal(seq, row=seq) for seq in range(n * 10 + 1, n * 10 + 11))
        journal.commit(Batch(session_id="s1", records=records, cursor=samples.cursor(n, seq=n * 10 + 10)))
    journal.end_session("s1", status="finished", ended_us=samples.T0)
    for reader in readers:
        output, _ = reader.communicate(timeout=60)
        assert (reader.returncode, output) == (0, "1500\n")
    journal.close()


def test_damage_met_while_reading_is_state_corrupt(path: Path) -> None:
    many = tuple(samples.signal(seq, row=seq, reason="x" * 200) for seq in range(1, 400))
    journal = journal_with(path, *many)
    journal.close()
    content = bytearray(path.read_bytes())
    for page in range(30, len(content) // 4096):
        content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(bytes(content))
    with pytest.raises(StateCorrupt, match="damaged"):
        decisions(path)
    with pytest.raises(StateCorrupt, match="damaged"):
        open_state(path)
