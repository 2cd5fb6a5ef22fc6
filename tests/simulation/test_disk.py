"""A host's disk: what survives a kill, what a power loss takes, and the journal under a disk's errors."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from botd.errors import BotdError, InputInvalid, SecondDaemon
from botd.failpoints import Point
from botd.ports import Batch
from botd.simulation import disk as disks
from botd.simulation.chance import Chance, Fired
from botd.simulation.disk import SITES, Disk
from botd.simulation.host import Death, EndCause, Host, Process
from botd.simulation.loop import VirtualLoop, run_virtual
from botd.simulation.wal import committed_ends, cut
from botd.simulation.writer import InlineWriter, commit_latency
from botd.store.journal import SqliteJournal, open_state
from tests.store import samples
from tests.store.samples import decisions

STATE = "state/botd.sqlite3"
SEED = 5


@pytest.fixture(scope="session")
def empty_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a state folder once: its migrations take as long as a hundred runs."""
    path = tmp_path_factory.mktemp("empty") / STATE
    journal = open_state(path)
    journal.start_session(samples.started())
    journal.close()
    return path.parent


@pytest.fixture
def folder(tmp_path: Path, empty_state: Path) -> Path:
    shutil.copytree(empty_state, tmp_path / "host" / "state")
    return tmp_path / "host"


def batch(n: int, size: int = 3) -> Batch:
    records = tuple(samples.signal(seq, row=seq) for seq in range(n * size - size + 1, n * size + 1))
    return Batch(session_id="s1", records=records, cursor=samples.cursor(n, seq=n * size))


def whole_batches(path: Path, size: int = 3) -> int:
    """Return how many batches a state file holds: whole ones, from the first on, as its cursor says."""
    seqs = [record.seq for record in decisions(path)]
    assert seqs == list(range(1, len(seqs) + 1))
    count, rest = divmod(len(seqs), size)
    assert rest == 0
    journal = open_state(path)
    cursor = journal.cursor("s1")
    journal.close()
    assert (cursor.position if cursor else 0) == count
    return count


@pytest.fixture
def disk(folder: Path) -> Iterator[Disk]:
    opened = Disk(folder, Chance(SEED, SITES, only=[]))
    yield opened
    opened.close()


# ---- power loss ---------------------------------------------------------------------------------


def test_G13_log_cut_at_any_byte_opens_with_a_prefix_of_the_batches(folder: Path, tmp_path: Path) -> None:  # noqa: N802
    path = folder / STATE
    journal = open_state(path)
    ends = [0]
    for n in range(1, 16):
        journal.commit(batch(n))
        ends.append(committed_ends(Path(f"{path}-wal"))[-1])
    assert ends == sorted(set(ends))
    rng = random.Random(SEED)
    size = ends[-1]
    for at in [0, 31, 32, size - 1, size, *ends[1:4], *(rng.randrange(size) for _ in range(30))]:
        cracked = tmp_path / "cracked"
        shutil.copytree(path.parent, cracked, ignore=shutil.ignore_patterns("*-shm"))
        cut(cracked / f"{path.name}-wal", at)
        expected = max(n for n, end in enumerate(ends) if end <= at)
        assert whole_batches(cracked / path.name) == expected, f"cut at byte {at} of {size}"
        shutil.rmtree(cracked)
    journal.close()


def test_log_that_was_begun_anew_ends_at_its_own_last_commit(folder: Path, tmp_path: Path) -> None:
    path = folder / STATE
    journal = open_state(path)
    log = Path(f"{path}-wal")
    for n in range(1, 9):
        journal.commit(batch(n))
    long = committed_ends(log)
    journal._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    journal.commit(batch(9))
    short = committed_ends(log)
    assert len(short) == 1
    assert short[-1] < long[-1] <= log.stat().st_size  # frames of the former use are still behind it
    for at in (short[-1], short[-1] + 100, long[-1]):
        cracked = tmp_path / "cracked"
        shutil.copytree(path.parent, cracked, ignore=shutil.ignore_patterns("*-shm"))
        cut(cracked / log.name, at)
        assert whole_batches(cracked / path.name) == 9
        shutil.rmtree(cracked)
    journal.close()


def test_log_that_is_none_has_no_commits(tmp_path: Path) -> None:
    log = tmp_path / "a-wal"
    for content in (b"", b"short", b"x" * 5000):
        log.write_bytes(content)
        assert committed_ends(log) == []


def test_power_loss_takes_any_part_of_what_no_sync_secured(folder: Path) -> None:
    path = folder / STATE
    journal = open_state(path)
    journal.commit(batch(1))
    log = Path(f"{path}-wal")
    safe = log.stat().st_size
    with log.open("ab") as file:
        file.write(bytes(10_000))
    left = set()
    for seed in range(10):
        where = folder.with_name(f"host{seed}")
        shutil.copytree(folder, where)
        disk = Disk(where, Chance(seed, SITES))
        disk.survive(power=False)
        assert (where / "state" / log.name).stat().st_size == safe + 10_000
        disk.survive(power=True)
        left.add((where / "state" / log.name).stat().st_size)
        assert whole_batches(where / STATE) == 1
        disk.close()
    assert len(left) > 5
    assert safe <= min(left) < max(left) < safe + 10_000
    journal.close()


@pytest.mark.parametrize("point", [Point.TX_MID, Point.TX_BEFORE_COMMIT, Point.TX_AFTER_COMMIT])
@pytest.mark.parametrize("power", [False, True])
def test_G6_death_inside_a_transaction_leaves_all_of_it_or_nothing(  # noqa: N802
    disk: Disk, point: Point, power: bool
) -> None:
    committed: list[int] = []

    async def program(process: Process) -> None:
        journal = disk.open_journal()
        for n in range(1, 10):
            journal.commit(batch(n, size=60))
            committed.append(n)

    async def world(loop: VirtualLoop) -> EndCause:
        host = Host(loop, "bot", disk=disk)
        end = await host.boot(program, death=Death(point=point, nth=4, power=power)).ended
        kept = whole_batches(disk.folder / STATE, size=60)
        assert kept == (4 if point is Point.TX_AFTER_COMMIT else 3)
        return end.cause

    cause = run_virtual(world, seed=1).result
    assert cause is (EndCause.POWER_LOST if power else EndCause.KILLED)
    assert committed == [1, 2, 3]


def test_next_process_writes_on_while_the_dead_one_stands_in_its_transaction(disk: Disk) -> None:
    """The dead one holds SQLite's write lock for ever; it must be on files that are not there any more."""

    async def program(process: Process) -> int:
        journal = disk.open_journal()
        cursor = journal.cursor("s1")
        done = cursor.position if cursor else 0
        for n in range(done + 1, done + 4):
            journal.commit(batch(n))
            await asyncio.sleep(0.1)
        journal.close()
        return done + 3

    async def world(loop: VirtualLoop) -> list[object]:
        host = Host(loop, "bot", disk=disk)
        deaths = [Death(point=Point.TX_MID, nth=2), Death(step=2), Death(point=Point.TX_AFTER_COMMIT, nth=3)]
        for death in deaths:
            assert (await host.boot(program, death=death).ended).cause is EndCause.KILLED
        assert whole_batches(disk.folder / STATE) == 1 + 1 + 3
        return [(await host.boot(program).ended).result for _ in range(2)]

    assert run_virtual(world, seed=1).result == [8, 11]
    assert whole_batches(disk.folder / STATE) == 11


def test_power_loss_keeps_every_commit_that_was_reported(disk: Disk) -> None:
    async def world(loop: VirtualLoop) -> int:
        reported = 0

        async def program(process: Process) -> None:
            nonlocal reported
            writer = InlineWriter(disk.open_journal(), latency_s=lambda: 0.004)
            for n in range(whole_batches(disk.folder / STATE) + 1, 1000):
                await writer.commit(batch(n))
                reported = n

        host = Host(loop, "bot", disk=disk)
        for number in range(12):
            death = Death(nth=5 + number * 3, power=True)
            assert (await host.boot(program, death=death).ended).cause is EndCause.POWER_LOST
            kept = whole_batches(disk.folder / STATE)
            assert reported <= kept <= reported + 1
        return reported

    assert run_virtual(world, seed=SEED).result >= 15


# ---- errors -------------------------------------------------------------------------------------


def strike(folder: Path, *faults: Fired, seed: int = SEED) -> tuple[Disk, SqliteJournal]:
    disk = Disk(folder, Chance(seed, SITES, only=faults))
    return disk, disk.open_journal()


@pytest.mark.parametrize("site", [disks.BEGIN, disks.WRITE, disks.COMMIT], ids=lambda site: site.name)
def test_H1_error_before_a_commit_leaves_nothing_of_it(folder: Path, site: disks.Site) -> None:  # noqa: N802
    seen = set()
    for seed in range(12):
        where = folder.with_name(f"host{seed}")
        shutil.copytree(folder, where)
        nth = 3 if site is disks.WRITE else 2  # a batch writes records and the cursor
        disk, journal = strike(where, Fired(site.name, nth), seed=seed)
        journal.commit(batch(1))
        with pytest.raises(BotdError) as caught:
            journal.commit(batch(2))
        assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
        seen.add((type(caught.value), caught.value.__cause__.sqlite_errorcode))
        assert whole_batches(where / STATE) == 1
        journal.commit(batch(2))  # the disk is well again
        assert whole_batches(where / STATE) == 2
        disk.close()
    kinds = {error for error, _ in seen}
    assert kinds <= {InputInvalid, SecondDaemon}
    assert len(seen) == (2 if site is disks.WRITE else 3)


def test_error_after_a_commit_hides_that_it_took_place(folder: Path) -> None:
    disk, journal = strike(folder, Fired(disks.COMMITTED.name, 2))
    journal.commit(batch(1))
    with pytest.raises(InputInvalid, match="disk I/O error"):
        journal.commit(batch(2))
    assert whole_batches(folder / STATE) == 2
    disk.close()


def test_error_while_reading_is_reported(folder: Path) -> None:
    disk, journal = strike(folder, Fired(disks.READ.name, 2))
    assert journal.cursor("s1") is None
    with pytest.raises(InputInvalid, match="disk I/O error"):
        journal.cursor("s1")
    assert journal.cursor("s1") is None
    disk.close()


# ---- everything at once -------------------------------------------------------------------------


def test_no_reported_batch_is_lost_whatever_happens_to_disk_and_process(folder: Path) -> None:
    async def world(loop: VirtualLoop, disk: Disk, chance: Chance) -> tuple[int, int]:
        reported = 0
        latency_s = commit_latency(chance.stream("writer"))

        async def program(process: Process) -> None:
            nonlocal reported
            journal = disk.open_journal()
            writer = InlineWriter(journal, latency_s=latency_s)
            cursor = await writer.call(journal.cursor, "s1")
            reported = cursor.position if cursor else 0
            for n in range(reported + 1, 1000):
                await writer.commit(batch(n))
                reported = n

        host = Host(loop, "bot", disk=disk)
        draws = chance.stream("death")
        failures = 0
        for _ in range(6):
            death = Death(nth=draws.magnitude(6)) if draws.below(2) else Death(step=draws.magnitude(7))
            end = await host.boot(program, death=death).ended
            failures += end.cause is EndCause.FAILED
            kept = whole_batches(disk.folder / STATE)
            assert reported <= kept <= reported + 1
            await asyncio.sleep(draws.span(0.5, 40))
        return reported, failures

    runs = []
    for seed in range(4):
        outcomes = []
        for repeat in range(2):
            where = folder.with_name(f"run{seed}.{repeat}")
            shutil.copytree(folder, where)
            chance = Chance(seed, [disks.Site(site.name, 0.02) for site in SITES])
            disk = Disk(where, chance)
            outcomes.append(run_virtual(lambda loop: world(loop, disk, chance), seed=seed))  # noqa: B023
            disk.close()
        assert outcomes[0] == outcomes[1]
        runs.append(outcomes[0].result)
    assert sum(reported for reported, _ in runs) >= 15
    assert sum(failures for _, failures in runs) >= 3
