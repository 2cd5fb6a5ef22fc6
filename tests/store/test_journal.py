"""The journal on real files: what was committed is there, whatever came between."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botd.core.events import Section
from botd.core.records import DenyReason, OrderStatus, Record, RiskRecord
from botd.errors import InputInvalid, InvariantBroken, StateCorrupt
from botd.ports import Batch, JournalEvent
from botd.store.journal import SqliteJournal, open_state
from botd.store.queries import StateReader
from tests.store import samples

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "botd.sqlite3"


def journal_with(path: Path, *records: Record, session: str = "s1") -> SqliteJournal:
    journal = open_state(path)
    journal.start_session(samples.session(session))
    journal.commit(Batch(session_id=session, records=records))
    return journal


def decisions(path: Path, session: str = "s1") -> list[Record]:
    with StateReader(path) as reader:
        return list(reader.decision_records(session))


def scalar(path: Path, sql: str) -> object:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchone()[0]
    finally:
        connection.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shared") / "botd.sqlite3"
    open_state(path).close()
    return path


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_decision_comes_back_bit_for_bit(shared: Path, data: st.DataObject) -> None:
    kinds = samples.EVERY_PLAIN_KIND
    written: list[Record] = [
        data.draw(samples.any_record(kind, seq)) for seq, kind in enumerate(kinds, start=1)
    ]
    intent_seq = 2
    written.append(data.draw(samples.any_record(RiskRecord, len(written) + 1, intent_seq=intent_seq)))
    name = f"s{data.draw(st.integers(min_value=0))}-{scalar(shared, 'SELECT count(*) FROM sessions')}"
    journal = journal_with(shared, *written, session=name)
    journal.close()
    # repr tells 1.0 from 1.00 and -0.0 from 0.0, and NaN is itself.
    assert [repr(record) for record in decisions(shared, name)] == [repr(record) for record in written]


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_snapshots_and_alerts_come_back_bit_for_bit(shared: Path, data: st.DataObject) -> None:
    written = [
        data.draw(samples.any_record(kind, seq)) for seq, kind in enumerate(samples.BOOK_KINDS, start=1)
    ]
    name = f"b{scalar(shared, 'SELECT count(*) FROM sessions')}"
    journal_with(shared, *written, session=name).close()
    with StateReader(shared) as reader:
        found = [*reader.equity_curve(name), *reader.recent_alerts(name)]
    assert [repr(record) for record in found] == [repr(record) for record in written]


def test_records_come_back_by_seq_whatever_their_table(path: Path) -> None:
    records = samples.entry()
    journal_with(path, *reversed(records)).close()
    assert [record.seq for record in decisions(path)] == [1, 2, 3, 4, 5, 7]


def test_commit_again_changes_nothing(path: Path) -> None:
    journal = journal_with(path, *samples.entry())
    before = list(journal._connection.iterdump())
    journal.commit(Batch(session_id="s1", records=samples.entry()))
    assert list(journal._connection.iterdump()) == before
    journal.close()


@pytest.mark.parametrize(
    "again",
    [
        samples.signal(51),
        samples.intent(51),
        samples.order(51, client_order_id="b-2-1"),
        samples.fill(51),
        samples.risk(51, 50),
    ],
    ids=lambda record: type(record).__name__,
)
def test_decision_met_again_under_another_seq_is_no_op(path: Path, again: Record) -> None:
    journal = journal_with(path, *samples.entry())
    journal.commit(Batch(session_id="s1", records=(samples.intent(50), again)))
    journal.close()
    assert [record.seq for record in decisions(path)] == [1, 2, 3, 4, 5, 7]


def test_two_signals_of_one_cycle_on_different_rows_are_both_kept(path: Path) -> None:
    below = samples.signal(1, acted=False, confidence=0.1)
    journal_with(path, below, samples.signal(2, row=140)).close()
    assert [record.seq for record in decisions(path)] == [1, 2]


def test_second_leg_is_another_decision(path: Path) -> None:
    journal_with(path, samples.intent(1), samples.intent(2, leg=1)).close()
    assert [record.seq for record in decisions(path)] == [1, 2]


def test_same_decision_in_another_session_is_kept(path: Path) -> None:
    journal_with(path, samples.signal(1)).close()
    journal_with(path, samples.signal(1), session="s2").close()
    assert len(decisions(path, "s1")) == len(decisions(path, "s2")) == 1


def test_order_update_sets_the_state_and_keeps_what_was_submitted(path: Path) -> None:
    changes = {"filled_qty": Decimal("0.02"), "avg_price": Decimal("20010.5"), "fee": Decimal("0.4")}
    partial = samples.update(6, OrderStatus.PARTIALLY_FILLED, qty=Decimal("0.040"), **changes)
    journal_with(path, samples.order(5), partial).close()
    with StateReader(path) as reader:
        (view,) = reader.recent_orders("s1")
    assert view.status is OrderStatus.PARTIALLY_FILLED
    assert (view.working_qty, view.filled_qty, view.avg_price, view.fee) == (
        Decimal("0.040"),
        Decimal("0.02"),
        Decimal("20010.5"),
        Decimal("0.4"),
    )
    assert view.filled_us is None
    assert decisions(path) == [samples.order(5)]


def test_older_order_update_met_again_does_not_undo_a_newer_one(path: Path) -> None:
    accepted, filled = samples.update(6, OrderStatus.ACCEPTED), samples.update(7, OrderStatus.FILLED)
    journal = journal_with(path, samples.order(5), accepted, filled)
    journal.commit(Batch(session_id="s1", records=(accepted,)))
    journal.close()
    with StateReader(path) as reader:
        (view,) = reader.recent_orders("s1")
    assert (view.status, view.updated_us, view.filled_us) == (
        OrderStatus.FILLED,
        samples.T0 + 7,
        samples.T0 + 7,
    )


def test_position_closes_when_flat_and_an_older_update_does_not_open_it(path: Path) -> None:
    opened = samples.position(8)
    closed = samples.position(20, qty=Decimal("0.000"), realized_pnl=Decimal("3.10"), ts_us=samples.T0 + 9)
    journal = journal_with(path, opened, closed)
    journal.commit(Batch(session_id="s1", records=(opened,)))
    journal.close()
    with StateReader(path) as reader:
        assert reader.positions("s1") == ()
        (view,) = reader.positions("s1", open_only=False)
    assert (view.closed_us, view.realized_pnl, view.opened_us) == (
        samples.T0 + 9,
        Decimal("3.10"),
        samples.T0 + 2,
    )


def test_commit_that_fails_leaves_nothing(path: Path) -> None:
    journal = open_state(path)
    batch = Batch(session_id="never started", records=(samples.signal(1),), cursor=samples.cursor(1))
    with pytest.raises(InvariantBroken):
        journal.commit(batch)
    journal.start_session(samples.session("never started"))
    assert journal.cursor("never started") is None
    journal.commit(batch)
    assert journal.cursor("never started") == samples.cursor(1)
    journal.close()


def test_full_disk_is_one_line_and_nothing_is_written(path: Path) -> None:
    journal = journal_with(path, samples.signal(1))
    (pages,) = journal._connection.execute("PRAGMA page_count").fetchone()
    journal._connection.execute(f"PRAGMA max_page_count = {pages}")
    many = tuple(samples.signal(seq, row=seq, reason="x" * 500) for seq in range(2, 200))
    with pytest.raises(InputInvalid, match="full"):
        journal.commit(Batch(session_id="s1", records=many))
    journal._connection.execute("PRAGMA max_page_count = 1000000")
    journal.commit(Batch(session_id="s1", records=(samples.signal(2, row=2),)))
    journal.close()
    assert [record.seq for record in decisions(path)] == [1, 2]


def test_cursor_never_goes_back(path: Path) -> None:
    journal = journal_with(path)
    assert journal.cursor("s1") is None
    for position, seq in ((5, 10), (3, 4), (5, 9)):
        journal.commit(Batch(session_id="s1", cursor=samples.cursor(position, seq=seq)))
        assert journal.cursor("s1") == samples.cursor(5, seq=10)
    journal.close()


def test_events_come_back_in_order_over_many_pages(path: Path) -> None:
    written = [
        JournalEvent(position=n // 3, ordinal=n % 3, kind="answer", payload=f'{{"n": {n}}}')
        for n in range(3001)
    ]
    shuffled = written[:]
    random.Random(1).shuffle(shuffled)
    journal = journal_with(path)
    journal.commit(Batch(session_id="s1", events=tuple(shuffled)))
    journal.commit(Batch(session_id="s1", events=tuple(shuffled[:10])))
    assert list(journal.events("s1", from_position=0)) == written
    assert list(journal.events("s1", from_position=900)) == written[2700:]
    journal.close()


def test_find_session_returns_the_newest_that_is_not_finished(path: Path) -> None:
    journal = open_state(path)
    assert journal.find_session(mode="paper", feed="synthetic:1") is None
    first, second = samples.session("a"), samples.session("b", started_us=samples.T0 + 1)
    for info in (first, second, samples.session("c", feed="other"), samples.session("d", mode="warmup")):
        journal.start_session(info)
    assert journal.find_session(mode="paper", feed="synthetic:1") == second
    journal.end_session("b", status="finished", ended_us=samples.T0 + 2)
    assert journal.find_session(mode="paper", feed="synthetic:1") == first
    journal.end_session("a", status="stopped", ended_us=samples.T0 + 3)
    stopped = replace(first, status="stopped", ended_us=samples.T0 + 3)
    assert journal.find_session(mode="paper", feed="synthetic:1") == stopped
    journal.start_session(replace(first, started_us=samples.T0 + 99, config_hash="new"))
    assert journal.find_session(mode="paper", feed="synthetic:1") == replace(first, config_hash="new")
    with pytest.raises(InvariantBroken, match="never started"):
        journal.end_session("x", status="stopped", ended_us=1)
    journal.close()


def test_revision_is_kept_once(path: Path) -> None:
    journal = open_state(path)
    for _ in range(2):
        journal.save_revision(config_hash="c0ffee", files={"config.yaml": "mode: paper\n"}, applied_us=5)
    journal.close()
    assert scalar(path, "SELECT count(*) FROM config_revisions") == 1
    assert scalar(path, "SELECT files ->> '$.\"config.yaml\"' FROM config_revisions") == "mode: paper\n"


def test_journal_settings_are_the_durable_ones(path: Path) -> None:
    journal = open_state(path)
    settings = {
        name: journal._connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    }
    journal.close()
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


# ---- snapshots


def snapshot_files(path: Path) -> list[str]:
    return sorted(file.name for file in (path.parent / "snapshots").iterdir())


def test_newest_snapshot_is_loaded_and_two_are_kept(path: Path) -> None:
    journal = journal_with(path)
    assert journal.load_snapshot("s1") is None
    for n in (9, 10, 11):
        journal.save_snapshot("s1", samples.cursor(n), b"state %d" % n)
    assert journal.load_snapshot("s1") == (samples.cursor(11), b"state 11")
    assert snapshot_files(path) == ["s1-10.snap", "s1-11.snap"]
    journal.close()


@pytest.mark.parametrize("damage", [b"", b"stat\x00 11", b"state 11 and more", None])
def test_damaged_snapshot_falls_back_to_the_older(path: Path, damage: bytes | None) -> None:
    journal = journal_with(path)
    for n in (10, 11):
        journal.save_snapshot("s1", samples.cursor(n), b"state %d" % n)
    newest = path.parent / "snapshots" / "s1-11.snap"
    if damage is None:
        newest.unlink()
    else:
        newest.write_bytes(damage)
    assert journal.load_snapshot("s1") == (samples.cursor(10), b"state 10")
    (path.parent / "snapshots" / "s1-10.snap").write_bytes(b"gone")
    assert journal.load_snapshot("s1") is None
    journal.close()


def test_crash_between_snapshot_file_and_row_leaves_the_older_one(path: Path) -> None:
    journal = journal_with(path)
    journal.save_snapshot("s1", samples.cursor(10), b"state 10")
    # What the disk holds when the process dies before the row, and while it writes the next file.
    (path.parent / "snapshots" / "s1-11.snap").write_bytes(b"state 11")
    (path.parent / "snapshots" / "s1-12.snap.tmp").write_bytes(b"sta")
    journal.close()
    journal = open_state(path)
    assert journal.load_snapshot("s1") == (samples.cursor(10), b"state 10")
    journal.save_snapshot("s1", samples.cursor(13), b"state 13")
    assert snapshot_files(path) == ["s1-10.snap", "s1-13.snap"]
    journal.close()


def test_snapshots_of_a_session_leave_those_of_another_alone(path: Path) -> None:
    journal = journal_with(path, session="s")
    journal.start_session(samples.session("s-1"))
    journal.start_session(samples.session("../s"))
    journal.save_snapshot("s-1", samples.cursor(5), b"other")
    journal.save_snapshot("../s", samples.cursor(5), b"slash")
    for n in (1, 2, 3):
        journal.save_snapshot("s", samples.cursor(n), b"mine")
    assert journal.load_snapshot("s-1") == (samples.cursor(5), b"other")
    assert journal.load_snapshot("../s") == (samples.cursor(5), b"slash")
    assert snapshot_files(path) == ["..%2Fs-5.snap", "s-1-5.snap", "s-2.snap", "s-3.snap"]
    journal.close()


def test_snapshot_without_room_is_one_line(path: Path) -> None:
    journal = journal_with(path)
    (path.parent / "snapshots").write_text("a file where the folder should be")
    with pytest.raises(InputInvalid, match=r"s1-1\.snap"):
        journal.save_snapshot("s1", samples.cursor(1), b"state")
    journal.close()


# ---- crashes and company


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


def test_view_columns_are_those_of_the_design_documents(path: Path) -> None:
    # The lists are DEFAULTS, "Tables and views", word for word.
    expected = {
        "signal_history": "signal_id signal_type symbol side quantity price confidence strategy_name "
        "indicator_values risk_score approved rejection_reason order_id created_at",
        "live_orders": "order_id exchange_order_id symbol side order_type quantity requested_price "
        "filled_quantity average_fill_price status error_message slippage commission created_at updated_at "
        "filled_at",
        "live_positions": "symbol side quantity entry_price current_price liquidation_price unrealized_pnl "
        "unrealized_pnl_pct margin leverage margin_ratio opened_at updated_at closed_at status",
    }
    open_state(path).close()
    connection = sqlite3.connect(path)
    for view, columns in expected.items():
        found = [column[0] for column in connection.execute(f"SELECT * FROM {view}").description]
        assert found == columns.split()
    connection.close()


def test_views_tell_the_story_of_an_entry(path: Path) -> None:
    denied = (
        samples.signal(10, cycle=2, row=200),
        samples.intent(11, cycle=2, section=Section.S1, row=200),
        samples.risk(
            12, 11, approved=False, reason=DenyReason.POSITIONS_MAX, limit=Decimal(5), actual=Decimal(6)
        ),
        samples.signal(13, cycle=3, row=300, acted=False),
        samples.alert(14),
    )
    journal_with(path, *samples.entry(), *denied).close()
    connection = sqlite3.connect(path)
    signals = connection.execute(
        "SELECT signal_id, signal_type, quantity, confidence, approved, order_id FROM signal_history "
        "ORDER BY created_at, signal_id"
    ).fetchall()
    assert sorted(signals) == [
        ("s1:1", "S1", "0.050", 0.75, 1, "b-1"),
        ("s1:10", "S1", "0.050", 0.75, 0, None),
        ("s1:13", "S1", None, 0.75, None, None),
        ("s1:2", "Z1", "0.050", None, 1, "b-1"),
    ]
    (order,) = connection.execute(
        "SELECT status, filled_quantity, average_fill_price, slippage, requested_price FROM live_orders"
    ).fetchall()
    assert order == ("filled", "0.050", "20010", pytest.approx(5.0), None)  # 10 on 20000, worse for us
    (position,) = connection.execute("SELECT status, quantity, current_price FROM live_positions").fetchall()
    assert position == ("open", "0.050", None)
    (event,) = connection.execute("SELECT event_id, severity, event_type FROM risk_events").fetchall()
    assert event == ("s1:14", "WARNING", "daily_loss")
    connection.close()
