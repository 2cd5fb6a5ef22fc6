"""The journal on real files: what was committed is there, whatever came between."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, select

from botd.core.outcomes import OrderStatus
from botd.core.records import Record, RiskRecord
from botd.core.updates import UntoldAlert, UntoldTrade
from botd.errors import InputInvalid, InvariantBroken
from botd.ports import Batch, JournalEvent
from botd.store.journal import open_state
from botd.store.queries import StateReader
from botd.store.snapshots import SnapshotFolder
from botd.store.tables import risk_decisions
from tests.store import samples
from tests.store.samples import decisions, journal_with

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "botd.sqlite3"


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
    assert samples.all_said(shared, name) == [samples.said(record) for record in written]


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_what_every_limit_said_comes_back_bit_for_bit(shared: Path, data: st.DataObject) -> None:
    intent = samples.intent(1)
    risk = data.draw(samples.any_record(RiskRecord, 2, intent_seq=1))
    name = f"c{scalar(shared, 'SELECT count(*) FROM sessions')}"
    journal_with(shared, intent, risk, session=name).close()
    query = select(risk_decisions.c.checks).where(risk_decisions.c.session_id == name)
    engine = create_engine(f"sqlite:///{shared}")
    with engine.connect() as connection:
        assert repr(connection.execute(query).scalar_one()) == repr(risk.checks)
    engine.dispose()


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_snapshots_alerts_and_trading_states_come_back_bit_for_bit(shared: Path, data: st.DataObject) -> None:
    written = [
        data.draw(samples.any_record(kind, seq)) for seq, kind in enumerate(samples.BOOK_KINDS, start=1)
    ]
    name = f"b{scalar(shared, 'SELECT count(*) FROM sessions')}"
    journal_with(shared, *written, session=name).close()
    with StateReader(shared) as reader:
        found = [
            *reader.equity_curve(name),
            *reader.recent_alerts(name),
            *reader.trading_states(name),
        ]
    assert [repr(record) for record in found] == [repr(record) for record in written]


def test_records_come_back_by_seq_whatever_their_table(path: Path) -> None:
    records = samples.entry()
    journal_with(path, *reversed(records)).close()
    assert [record.seq for record in decisions(path)] == [1, 2, 3, 4, 5, 7]


def test_B16_commit_again_changes_nothing(path: Path) -> None:  # noqa: N802
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
def test_B16_decision_met_again_under_another_seq_is_no_op(path: Path, again: Record) -> None:  # noqa: N802
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


def test_C1_trade_id_of_another_instrument_or_order_is_another_fill(path: Path) -> None:  # noqa: N802
    """Trade ids are unique per instrument at most venues, and both sides of a trade may be ours."""
    fills = (
        samples.fill(7),
        samples.fill(8, instrument="ETH/USDT", client_order_id="b-2"),
        samples.fill(9, client_order_id="b-3"),
        samples.fill(10),  # a copy
    )
    journal_with(path, *fills).close()
    assert [record.seq for record in decisions(path)] == [7, 8, 9]


def test_same_decision_in_another_session_is_kept(path: Path) -> None:
    journal_with(path, samples.signal(1)).close()
    journal_with(path, samples.signal(1), session="s2").close()
    assert len(decisions(path, "s1")) == len(decisions(path, "s2")) == 1


def test_order_update_sets_the_state_and_keeps_what_was_submitted(path: Path) -> None:
    changes = {"filled_lots": 20, "cost": 20 * 2_001_050, "fee": Decimal("0.4")}
    partial = samples.update(6, OrderStatus.PARTIALLY_FILLED, lots=40, **changes)
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
    assert samples.all_said(path) == [samples.said(samples.order(5))]


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
    closed = samples.position(20, lots=0, realized=310_000, ts_us=samples.T0 + 9)
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
    journal.start_session(samples.started("never started"))
    assert journal.cursor("never started") is None
    journal.commit(batch)
    assert journal.cursor("never started") == samples.cursor(1)
    journal.close()


def test_H1_full_disk_is_one_line_and_nothing_is_written(path: Path) -> None:  # noqa: N802
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


def test_R2_session_of_one_mode_is_none_of_another(path: Path) -> None:  # noqa: N802 - the fault's id
    journal = open_state(path)
    paper = samples.started()
    journal.start_session(paper)
    assert journal.find_session(mode="paper", feed=paper.feed) == paper
    assert journal.find_session(mode="live", feed=paper.feed) is None
    assert journal.newest_session(mode="live", feed_kind=paper.feed.partition(":")[0]) is None
    journal.close()


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
    first, second = samples.started("a"), samples.started("b", started_us=samples.T0 + 1)
    for info in (first, second, samples.started("c", feed="other"), samples.started("d", mode="warmup")):
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
    """Return session and position of every file, without what tells apart those of one position."""
    return sorted(file.name.split(".snap")[0][:-13] for file in (path.parent / "snapshots").iterdir())


def snapshot_file(path: Path, position: int) -> Path:
    (file,) = (path.parent / "snapshots").glob(f"s1-{position}.*.snap")
    return file


def test_newest_snapshot_is_loaded_and_two_are_kept(path: Path) -> None:
    journal = journal_with(path)
    assert journal.load_snapshot("s1") is None
    for n in (9, 10, 11):
        journal.save_snapshot("s1", samples.cursor(n), b"state %d" % n)
    assert journal.load_snapshot("s1") == (samples.cursor(11), b"state 11")
    assert snapshot_files(path) == ["s1-10", "s1-11"]
    journal.close()


@pytest.mark.parametrize("damage", [b"", b"stat\x00 11", b"state 11 and more", None])
def test_damaged_snapshot_falls_back_to_the_older(path: Path, damage: bytes | None) -> None:
    journal = journal_with(path)
    for n in (10, 11):
        journal.save_snapshot("s1", samples.cursor(n), b"state %d" % n)
    newest = snapshot_file(path, 11)
    if damage is None:
        newest.unlink()
    else:
        newest.write_bytes(damage)
    assert journal.load_snapshot("s1") == (samples.cursor(10), b"state 10")
    snapshot_file(path, 10).write_bytes(b"gone")
    assert journal.load_snapshot("s1") is None
    journal.close()


def test_crash_between_snapshot_file_and_row_leaves_the_older_one(path: Path) -> None:
    journal = journal_with(path)
    journal.save_snapshot("s1", samples.cursor(10), b"state 10")
    # What the disk holds when the process dies before the row, and while it writes the next file: of this
    # botd, which may stop twice at one place, and of a former one.
    folder = SnapshotFolder(path)
    folder.write("s1", 10, b"state 10 once more")
    folder.write("s1", 11, b"state 11")
    (folder.path / "s1-11.snap").write_bytes(b"state 11")
    (folder.path / "s1-12.snap.tmp").write_bytes(b"sta")
    journal.close()
    journal = open_state(path)
    assert journal.load_snapshot("s1") == (samples.cursor(10), b"state 10")
    journal.save_snapshot("s1", samples.cursor(13), b"state 13")
    assert snapshot_files(path) == ["s1-10", "s1-13"]
    journal.close()


def test_snapshots_of_a_session_leave_those_of_another_alone(path: Path) -> None:
    journal = journal_with(path, session="s")
    journal.start_session(samples.started("s-1"))
    journal.start_session(samples.started("../s"))
    journal.save_snapshot("s-1", samples.cursor(5), b"other")
    journal.save_snapshot("../s", samples.cursor(5), b"slash")
    for n in (1, 2, 3):
        journal.save_snapshot("s", samples.cursor(n), b"mine")
    assert journal.load_snapshot("s-1") == (samples.cursor(5), b"other")
    assert journal.load_snapshot("../s") == (samples.cursor(5), b"slash")
    assert snapshot_files(path) == ["..%2Fs-5", "s-1-5", "s-2", "s-3"]
    journal.close()


def test_snapshot_without_room_is_one_line(path: Path) -> None:
    journal = journal_with(path)
    (path.parent / "snapshots").write_text("a file where the folder should be")
    with pytest.raises(InputInvalid, match=r"cannot write a snapshot into .*; make room"):
        journal.save_snapshot("s1", samples.cursor(1), b"state")
    journal.close()


def test_G7_untold_is_what_came_after_a_record_and_in_sessions_after_it(path: Path) -> None:  # noqa: N802
    journal = open_state(path)
    for name, mode, began_us in (
        ("s0", "paper", 1),
        ("s1", "paper", 2),
        ("w", "warmup", 3),
        ("s2", "paper", 4),
    ):
        journal.start_session(samples.started(name, mode=mode, started_us=began_us))
        records = (samples.alert(3), samples.trade(4), samples.alert(5))
        journal.commit(Batch(session_id=name, records=records))
    assert [one.seq for one in journal.untold("s1", 4)] == [5, 3, 4, 5]
    found = journal.untold("s2", 3)
    assert found == [
        UntoldTrade(4, samples.T0 + 30, "dip", found[0].instrument, Decimal("2.99400000"), "ZE1 out"),
        UntoldAlert(5, samples.T0, "high", "daily_loss", "5 % lost"),
    ]
    assert journal.untold("nobody", 0) == []
    journal.close()
