"""The invariants of the books: held by a file that daemons wrote, and each broken by its own damage."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from botd.core.events import OrderType, Section, Side, TimeInForce
from botd.core.outcomes import OrderStatus
from botd.core.records import Record
from botd.errors import InputInvalid, NewerSchema, StateCorrupt
from botd.ports import Batch
from botd.store.fsck import CHECKS, ELSEWHERE, ROWS_MAX, Report, examine
from botd.store.journal import open_state
from tests.store import damages, damages_books, samples
from tests.store.ledgers import FILL, Row, change, first, opened, write_ledger, write_round_trips

Harm = Callable[[sqlite3.Connection], Row]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ledger(tmp_path_factory.mktemp("ledger") / "bot")


@pytest.fixture
def path(ledger: Path, tmp_path: Path) -> Path:
    """Return a copy to be damaged."""
    return Path(shutil.copy(ledger, tmp_path / "botd.sqlite3"))


def broken(report: Report) -> dict[str, tuple[Row, ...]]:
    return {finding.check.id: finding.rows for finding in report.findings}


def told(path: Path, records: Mapping[str, tuple[Record, ...]], *, finished: str = "") -> Path:
    """Write sessions by hand, each of one batch and with its cursor at its last record."""
    journal = open_state(path)
    for session, batch in records.items():
        journal.start_session(samples.started(session))
        cursor = samples.cursor(300, seq=batch[-1].seq)
        journal.commit(Batch(session_id=session, records=batch, cursor=cursor))
    if finished:
        journal.end_session(finished, status="finished", ended_us=samples.T0 + 9)
    journal.close()
    return path


# ---- a sound file -------------------------------------------------------------------------------


def test_file_that_daemons_wrote_breaks_nothing(ledger: Path) -> None:
    report = examine(ledger)
    assert broken(report) == {}
    assert report.checks == CHECKS
    assert (report.sessions_count, report.warnings, report.refusal) == (3, (), None)


def test_S14_looking_writes_nothing(path: Path) -> None:  # noqa: N802 - the invariant's id
    def files() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in path.parent.iterdir()}

    before = files()
    examine(path)
    examine(path, newest=10)
    after = files()
    after.pop(f"{path.name}-shm", None)  # how readers and writers find each other, and no state
    assert {name: content for name, content in after.items() if content} == before


def test_every_invariant_is_checked_or_named_with_what_decides_it() -> None:
    numbered = {f"S{n}" for n in range(1, 21)}
    assert {check.id.partition(".")[0] for check in CHECKS} | {one.id for one in ELSEWHERE} == {
        *numbered,
        "file",
    }
    assert len({check.id for check in CHECKS}) == len(CHECKS)


def test_modules_named_as_deciding_elsewhere_exist() -> None:
    root = Path(__file__).resolve().parents[2] / "botd"
    named = [name for one in ELSEWHERE for name in re.findall(r"\w+(?:/\w+)*\.py", one.decided_by)]
    assert len(named) >= 8
    assert [name for name in named if not (root / name).is_file()] == []


# ---- damages ------------------------------------------------------------------------------------

# by check: a damage, and all that it breaks
DAMAGES: list[tuple[str, Harm, set[str]]] = [
    ("file.references", damages.row_of_no_session, set()),
    ("file.values", damages.amount_that_is_no_number, set()),
    ("file.values", damages.amount_as_a_float, set()),
    ("file.values", damages.word_that_nobody_knows, set()),
    ("file.values", damages.time_that_is_no_number, set()),
    ("file.values", damages.flag_that_is_neither, set()),
    ("file.values", damages.values_that_are_no_json, set()),
    ("file.revisions", damages.order_of_a_revision_that_never_ran, set()),
    ("file.cursor", damages.cursor_behind_the_records, set()),
    ("S11.revision", damages.trade_of_another_revision_than_its_entry, set()),
    ("S1.one_order", damages.two_orders_of_an_intent, {"S2.terms"}),
    ("S1.client_order_id", damages.client_order_id_of_another_session, set()),
    ("S2.intent", damages.order_without_its_intent, {"S3.reason"}),
    ("S2.intent", damages.exit_that_names_no_intent, {"S9.ordered"}),
    ("S2.terms", damages.order_of_another_size_than_asked, set()),
    ("S2.stop", damages.stop_of_another_cycle, set()),
    ("S3.decided", damages.entry_that_nobody_judged, set()),
    ("S3.approved", damages.order_that_was_denied, set()),
    ("S3.reason", damages.approval_with_a_reason, set()),
    ("S5.position", damages.position_of_another_size, set()),
    ("S5.position", damages.position_that_was_not_taken_over, {"S7.positions"}),
    ("S5.dust", damages.dust_that_never_left_a_position, {"S6.order", "S13.reduces"}),
    ("S5.flat", damages.position_on_the_other_side, set()),
    ("S5.one_open", damages.position_opened_twice, {"S5.position"}),
    (
        "S5.lineage",
        damages.session_whose_predecessor_is_gone,
        {"S1.client_order_id", "S5.position", "S7.positions", "S13.reduces"},
    ),
    (
        "S6.booked_once",
        damages.fill_booked_in_two_sessions,
        {"S6.order", "S5.position", "S7.positions"},
    ),
    ("S6.order", damages.fill_of_no_order, {"S6.filled"}),
    ("S6.order", damages.fill_of_less_than_nothing, {"S6.filled", "S5.position"}),
    ("S6.reversal", damages.reversal_of_a_fill_that_nobody_knows, set()),
    ("S6.filled", damages.fee_of_another_amount, set()),
    ("S6.overfilled", damages.order_filled_beyond_its_size, set()),
    ("S7.balance", damages_books.balance_off_by_a_digit, set()),
    ("S7.equity", damages_books.equity_that_does_not_add_up, set()),
    ("S7.equity", damages_books.equity_above_its_peak, set()),
    ("S7.positions", damages_books.result_of_a_fill_changed, {"S7.balance"}),
    ("S7.trade", damages_books.round_trip_lost, set()),
    ("S7.trade", damages_books.round_trip_without_its_position, set()),
    ("S7.realized", damages_books.price_of_a_fill_changed, set()),
    ("S8.restrained", damages_books.entry_approved_under_a_halt, set()),
    ("S9.overdue", damages_books.order_that_nobody_answered, set()),
    ("S9.ordered", damages_books.approved_intent_whose_order_is_lost, set()),
    ("S9.carried", damages_books.live_order_that_was_not_taken_over, set()),
    ("S9.left", damages_books.session_ended_with_a_position, set()),
    ("S10.state", damages_books.filled_order_that_has_not_filled, set()),
    ("S10.state", damages_books.accepted_order_that_has_filled, set()),
    ("S10.state", damages_books.partially_filled_order_that_has_filled, set()),
    ("S10.state", damages_books.order_over_and_in_doubt, set()),
    ("S10.ended", damages_books.order_canceled_by_nobody, set()),
    ("S12.stop", damages_books.stop_gone_and_nothing_in_its_place, set()),
    ("S12.stop", damages_books.stop_that_covers_too_little, set()),
    ("S13.reduces", damages_books.exit_that_turned_the_position, {"S6.order"}),
    ("S13.reduce_only", damages_books.exit_that_may_open, set()),
    ("S16.once", damages_books.rule_that_spoke_twice, set()),
    ("S16.valid", damages_books.order_sent_late, set()),
    ("S17.orders_per_minute", damages_books.too_many_orders_in_a_minute, set()),
    ("S20.one_session", damages_books.two_sessions_that_go_on, set()),
]


def test_every_check_has_a_damage_that_breaks_it() -> None:
    assert {check for check, _, _ in DAMAGES} == {check.id for check in CHECKS}


@pytest.mark.parametrize(
    ("check", "harm", "others"), [pytest.param(*damage, id=damage[1].__name__) for damage in DAMAGES]
)
def test_damage_is_found_with_its_row(path: Path, check: str, harm: Harm, others: set[str]) -> None:
    with opened(path) as connection:
        expected = harm(connection)
    found = broken(examine(path))
    assert set(found) == {check, *others}, found
    matching = [row for row in found[check] if expected.items() <= row.items()]
    assert matching, (expected, found[check])


# ---- amounts ------------------------------------------------------------------------------------


def test_amount_that_floats_would_round_is_found_in_a_sum(path: Path) -> None:
    with opened(path) as connection:
        row = first(connection, FILL)
        assert float(f"{row['qty']}{'0' * 20}1") == float(row["qty"])
        change(connection, "fills", row, qty=f"{row['qty']}{'0' * 20}1")
    found = broken(examine(path))
    assert set(found) >= {"S5.position", "S6.filled"}
    assert [row["fills_qty"][-5:] for row in found["S6.filled"]] == ["00001"]


def test_amounts_are_equal_however_many_zeros_they_are_written_with(path: Path) -> None:
    with opened(path) as connection:
        for table, column in [
            ("fills", "qty"),
            ("orders", "filled_qty"),
            ("intents", "qty"),
            ("trades", "fees"),
        ]:
            connection.execute(f"UPDATE {table} SET {column} = {column} || '000' WHERE {column} LIKE '%.%'")
    assert broken(examine(path)) == {}


def test_amount_that_is_no_number_breaks_every_sum_it_is_in(path: Path) -> None:
    with opened(path) as connection:
        change(connection, "fills", first(connection, FILL), qty="lots")
    found = broken(examine(path))
    assert set(found) >= {"file.values", "S5.position", "S6.filled"}
    assert {row["fills_qty"] for row in found["S5.position"]} == {"NaN"}


# ---- sessions that follow each other ------------------------------------------------------------

LIMIT = {"type": OrderType.LIMIT, "tif": TimeInForce.GTC, "limit_price": Decimal(20010)}
PART = {"filled_lots": 20, "cost": 20 * 2_001_000, "fee": Decimal("0.4")}
WHOLE = {"filled_lots": 50, "cost": 50 * 2_001_000, "fee": Decimal("1.0")}


def handed_over(last: Decimal) -> dict[str, tuple[Record, ...]]:
    """An entry that fills by 0.02 in one session and by `last` in the one that took it over."""
    return {
        "s1": (
            samples.signal(1),
            samples.intent(2),
            samples.risk(3, 2),
            samples.order(4, intent_seq=2, **LIMIT),
            samples.update(5, OrderStatus.PARTIALLY_FILLED, **PART),
            samples.fill(6, qty=Decimal("0.020"), fee=Decimal("0.4")),
            samples.position(7, lots=20, fees=Decimal("0.4")),
        ),
        "s2": (
            samples.position(8, lots=20, fees=Decimal("0.4")),
            samples.order(9, intent_seq=2, **LIMIT),
            samples.update(10, OrderStatus.PARTIALLY_FILLED, **PART),
            samples.fill(11, trade_id="v-2", qty=last, fee=Decimal("0.6")),
            samples.update(12, OrderStatus.FILLED, **WHOLE),
            samples.position(13, lots=20 + int(last * 1000), fees=Decimal("1.0")),
        ),
    }


def test_order_taken_over_has_filled_what_it_filled_in_both_sessions(tmp_path: Path) -> None:
    path = told(tmp_path / "s.sqlite3", handed_over(Decimal("0.030")), finished="s1")
    assert broken(examine(path)) == {}


def test_order_taken_over_that_lacks_a_fill_is_found(tmp_path: Path) -> None:
    path = told(tmp_path / "s.sqlite3", handed_over(Decimal("0.029")), finished="s1")
    found = broken(examine(path))
    assert set(found) == {"S6.filled"}
    (row,) = found["S6.filled"]
    assert (row["session_id"], row["filled_qty"], row["fills_qty"]) == ("s2", "0.050", "0.049")


def test_session_is_judged_with_those_it_took_over_from_and_no_others(tmp_path: Path) -> None:
    wrong = tuple(samples.fill(7, qty=Decimal(9)) if one.seq == 7 else one for one in samples.entry())
    path = told(tmp_path / "s.sqlite3", {**handed_over(Decimal("0.030")), "s0": wrong}, finished="s1")
    assert set(broken(examine(path))) >= {"S6.filled", "S1.client_order_id"}
    assert broken(examine(path, session_id="s2")) == {}
    assert set(broken(examine(path, session_id="s0"))) == {"S6.filled", "S5.position"}
    short = told(tmp_path / "short.sqlite3", handed_over(Decimal("0.029")))
    assert broken(examine(short, session_id="s1")) == {}  # what came after it is not its fault
    with pytest.raises(InputInvalid, match="there is no session s9"):
        examine(path, session_id="s9")


def test_S9_session_that_ends_before_its_successor_is_written_is_named(tmp_path: Path) -> None:  # noqa: N802
    """A kill between the end of a session and the first commit of the one that takes over."""
    path = told(tmp_path / "s.sqlite3", {"s1": handed_over(Decimal(0))["s1"]}, finished="s1")
    journal = open_state(path)
    journal.start_session(samples.started("s2"))
    journal.close()
    report = examine(path, session_id="s1")
    assert [finding.check.id for finding in report.findings] == ["S9.left"]
    assert report.refusal is None
    assert report.warnings[0].startswith("S9.left: 1 row against 'a session whose market goes on ends flat")


# ---- exits without a decision -------------------------------------------------------------------


def test_session_that_is_halted_before_anything_else_begins_with_that(tmp_path: Path) -> None:
    records = (samples.trading_state(1), samples.alert(2))
    assert examine(told(tmp_path / "botd.sqlite3", {"a": records})).findings == ()


def exit_intent(*, room: int, judged: bool) -> tuple[Record, ...]:
    """An exit whose order stands `room` numbers behind its intent, judged by risk or not."""
    out = {"section": Section.ZE1, "rule": "half", "side": Side.SELL, "client_order_id": "b-2"}
    named = {name: value for name, value in out.items() if name != "client_order_id"}
    return (
        *samples.entry(),
        samples.intent(9, **named),
        *([samples.risk(10, 9)] if judged else []),
        samples.order(9 + room, intent_seq=9, reduce_only=True, **out),
    )


def test_exit_of_a_former_botd_needs_no_decision(tmp_path: Path) -> None:
    path = told(tmp_path / "s.sqlite3", {"s1": exit_intent(room=1, judged=False)})
    assert "S3.decided" not in broken(examine(path))


def test_S3_exit_needs_the_decision_there_was_room_for(tmp_path: Path) -> None:  # noqa: N802
    path = told(tmp_path / "a.sqlite3", {"s1": exit_intent(room=2, judged=True)})
    assert "S3.decided" not in broken(examine(path))
    path = told(tmp_path / "b.sqlite3", {"s1": exit_intent(room=2, judged=False)})
    (row,) = broken(examine(path))["S3.decided"]
    assert (row["seq"], row["section"], row["decisions_count"]) == (9, "ZE1", 0)


# ---- files of any size --------------------------------------------------------------------------


def test_file_of_a_quarter_million_records_is_judged_in_bounded_steps(tmp_path: Path) -> None:
    """Count the work in steps of SQLite's machine, not in seconds."""
    path = tmp_path / "large.sqlite3"
    write_round_trips(path, 19_231)
    looks: list[int] = []
    for newest in (None, 50_000):
        count = 0

        def look() -> bool:
            nonlocal count
            count += 1
            return False

        assert broken(examine(path, newest=newest, cancelled=look)) == {}
        looks.append(count)
    assert looks[1] < looks[0] / 2


def test_old_rows_are_taken_on_trust_and_sums_are_not(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite3"
    write_round_trips(path, 100)
    with opened(path) as connection:
        change(connection, "orders", {"session_id": "s1", "seq": 4}, working_qty="0.001")
    assert set(broken(examine(path))) == {"S6.overfilled"}
    assert broken(examine(path, newest=100)) == {}
    with opened(path) as connection:
        change(connection, "fills", {"session_id": "s1", "seq": 6}, qty="0.040")
    assert set(broken(examine(path, newest=100))) == {"S5.position", "S13.reduces"}


def test_rows_beyond_the_limit_are_said_to_be_more(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite3"
    write_round_trips(path, ROWS_MAX + 1)
    with opened(path) as connection:
        connection.execute("UPDATE orders SET reduce_only = 1")
    (finding,) = examine(path).findings
    assert (finding.check.id, len(finding.rows), finding.more) == ("S13.reduce_only", ROWS_MAX, True)
    assert finding.count == f"over {ROWS_MAX} rows"


def test_examination_ends_when_it_is_cancelled(ledger: Path) -> None:
    with pytest.raises(InputInvalid, match="interrupted"):
        examine(ledger, cancelled=lambda: True)


# ---- files that cannot be judged ----------------------------------------------------------------


def test_missing_empty_foreign_and_newer_files_are_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputInvalid, match="no state file at"):
        examine(tmp_path / "none")
    (tmp_path / "empty").touch()
    with pytest.raises(InputInvalid, match="is empty"):
        examine(tmp_path / "empty")
    (tmp_path / "text").write_text("hello, this is no database")
    with pytest.raises(StateCorrupt, match="is not a botd state file"):
        examine(tmp_path / "text")
    with opened(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NewerSchema, match="newer botd"):
        examine(path)


def test_H4_damaged_pages_are_refused(path: Path) -> None:  # noqa: N802 - the fault's id
    content = bytearray(path.read_bytes())
    for page in range(3, len(content) // 4096, 2):
        content[page * 4096 : (page + 1) * 4096] = b"\xde\xad\xbe\xef" * 1024
    path.write_bytes(content)
    with pytest.raises(StateCorrupt, match="is damaged"):
        examine(path)


def test_refusal_names_what_is_broken_on_one_line(path: Path) -> None:
    with opened(path) as connection:
        damages.session_whose_predecessor_is_gone(connection)
    refusal = examine(path).refusal
    assert refusal is not None
    assert refusal.exit_code == 6
    assert len(str(refusal)) < 300 + len(str(path))
    assert "S1.client_order_id (" in str(refusal)
    assert " and 1 more; 'botd fsck' shows the rows; restore a copy of the file" in str(refusal)
