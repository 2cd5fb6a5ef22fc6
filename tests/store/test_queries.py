"""The read models over a session told by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError

from botd.core.events import Section
from botd.core.outcomes import DenyReason, OrderStatus
from botd.core.records import TradeRecord
from botd.core.reload import ReloadOutcome
from botd.core.restraint import Cause, TradingState, Verb
from botd.core.updates import PortfolioSnapshot
from botd.errors import Diagnostic, InputInvalid
from botd.ports import Batch
from botd.store.journal import open_state
from botd.store.queries import StateReader
from botd.store.tables import signals
from tests.store import samples


def snapshot(seq: int, currency: str, equity: str) -> PortfolioSnapshot:
    amount = Decimal(equity)
    return PortfolioSnapshot(
        seq=seq,
        ts_us=samples.T0 + seq,
        currency=currency,
        balance=amount,
        equity=amount,
        exposure_gross=Decimal(0),
        peak_equity=amount,
        positions_count=0,
    )


TRADE = samples.trade(30)
DENIED = (
    samples.signal(10, cycle=2, row=200),
    samples.intent(11, cycle=2, section=Section.S1, row=200),
    samples.risk(
        12, 11, approved=False, reason=DenyReason.POSITIONS_MAX, limit=Decimal(5), actual=Decimal(6)
    ),
    samples.signal(13, cycle=3, row=300, acted=False),
)
BOOKS = (
    snapshot(14, "USDT", "10000"),
    snapshot(15, "BTC", "1"),
    snapshot(16, "USDT", "10005.5"),
    samples.alert(17),
)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateReader]:
    path = tmp_path_factory.mktemp("queries") / "botd.sqlite3"
    journal = open_state(path)
    journal.start_session(samples.started("w1", mode="warmup", started_us=samples.T0 + 5))
    journal.start_session(samples.started())
    journal.start_session(samples.started("old", started_us=samples.T0 - 5))
    records = (*samples.entry(), *DENIED, *BOOKS, TRADE)
    journal.commit(Batch(session_id="s1", records=records, cursor=samples.cursor(300, seq=30)))
    journal.commit(Batch(session_id="old", records=(samples.signal(1),)))
    journal.close()
    with StateReader(path) as reader:
        yield reader


def test_session_that_goes_on_is_the_default_though_another_started_later(tmp_path: Path) -> None:
    journal = open_state(tmp_path / "botd.sqlite3")
    journal.start_session(samples.started("paper", started_us=samples.T0))
    journal.end_session("paper", status="stopped", ended_us=samples.T0 + 10)
    journal.start_session(samples.started("data", started_us=samples.T0 + 20))
    journal.end_session("data", status="finished", ended_us=samples.T0 + 30)
    with StateReader(tmp_path / "botd.sqlite3") as reader:
        assert reader.session().id == "data"  # nothing runs: the last active
        journal.start_session(samples.started("paper"))
        assert reader.session().id == "paper"
        journal.end_session("paper", status="stopped", ended_us=samples.T0 + 50)
        assert [info.id for info in reader.sessions()] == ["paper", "data"]
    journal.close()


def test_killed_session_is_marked_by_the_next_start_and_comes_before_older_ones(tmp_path: Path) -> None:
    journal = open_state(tmp_path / "botd.sqlite3")
    journal.start_session(samples.started("w1", mode="warmup"))
    journal.start_session(samples.started("data"))
    journal.end_session("data", status="finished", ended_us=samples.T0 + 9)
    journal.note_killed(samples.T0 + 10)
    with StateReader(tmp_path / "botd.sqlite3") as reader:
        assert [(i.id, i.status, i.ended_us) for i in reader.sessions()] == [
            ("w1", "killed", samples.T0 + 10),
            ("data", "finished", samples.T0 + 9),
        ]
    journal.close()


def test_sessions_are_last_active_first_and_the_first_trading_one_is_the_default(reader: StateReader) -> None:
    assert [info.id for info in reader.sessions()] == ["w1", "s1", "old"]
    assert reader.session() == samples.started()
    assert reader.session("w1").mode == "warmup"


def test_unknown_session_names_the_known_ones(reader: StateReader) -> None:
    with pytest.raises(InputInvalid, match=r"no session s9 .*: w1, s1, old"):
        reader.session("s9")


def test_file_with_only_a_warm_up_has_no_default_session(tmp_path: Path) -> None:
    journal = open_state(tmp_path / "botd.sqlite3")
    journal.start_session(samples.started(mode="warmup"))
    journal.close()
    with (
        StateReader(tmp_path / "botd.sqlite3") as reader,
        pytest.raises(InputInvalid, match="no session yet"),
    ):
        reader.session()


def test_cursor_and_counts(reader: StateReader) -> None:
    assert reader.cursor("s1") == samples.cursor(300, seq=30)
    assert reader.cursor("old") is None
    assert reader.counts("s1") == {
        "signals": 4,
        "intents": 2,
        "risk_decisions": 2,
        "orders": 1,
        "fills": 1,
        "trades": 1,
        "portfolio_snapshots": 3,
        "alerts": 1,
    }


def test_recent_signals_say_what_came_of_them(reader: StateReader) -> None:
    outcomes = [
        (view.signal.seq, view.qty, view.approved, view.deny_reason, view.client_order_id, view.order_status)
        for view in reader.recent_signals("s1")
    ]
    entered = (Decimal("0.050"), True, None, "b-1", OrderStatus.FILLED)
    checks = [view.checks for view in reader.recent_signals("s1")]
    assert [repr(one) for one in checks] == [repr(()), *[repr(samples.risk(1, 1).checks)] * 3]
    assert outcomes == [
        (13, None, None, None, None, None),
        (10, Decimal("0.050"), False, DenyReason.POSITIONS_MAX, None, None),
        (2, *entered),
        (1, *entered),
    ]
    assert [view.signal for view in reader.recent_signals("s1", limit=1)] == [DENIED[3]]


def test_orders_positions_and_alerts(reader: StateReader) -> None:
    (order,) = reader.recent_orders("s1")
    assert (order.client_order_id, order.avg_price) == ("b-1", Decimal("20010"))
    assert reader.recent_orders("s1", instrument="ETH/USDT") == ()
    assert reader.recent_orders("s1", instrument="BTC/USDT") == (order,)
    (position,) = reader.positions("s1")
    assert (position.qty, position.closed_us) == (Decimal("0.050"), None)
    assert reader.recent_alerts("s1") == (samples.alert(17),)


def test_what_restrains_trading_is_what_began_and_was_not_lifted(tmp_path: Path) -> None:
    halt = samples.trading_state(1)
    hold = samples.trading_state(2, verb=Verb.HOLD, cause=Cause.LOOP_STALLED)
    release = samples.trading_state(3, verb=Verb.RELEASE, cause=Cause.LOOP_STALLED, since_us=hold.since_us)
    path = tmp_path / "botd.sqlite3"
    samples.journal_with(path, halt, hold, release).close()
    with StateReader(path) as reader:
        assert reader.trading_states("s1", limit=2) == (hold, release)
        (restraint,) = reader.restraints("s1")
        assert (restraint.state, restraint.cause, restraint.who, restraint.since_us) == (
            TradingState.HALTED,
            Cause.FILE,
            "ann",
            halt.ts_us,
        )
        assert reader.restraints("none") == ()


def test_trades_and_equity(reader: StateReader) -> None:
    (trade,) = reader.trades("s1")
    assert samples.said(trade, TradeRecord) == samples.said(TRADE)
    assert reader.equity_curve("s1") == BOOKS[:3]
    assert reader.equity_curve("s1", limit=2) == BOOKS[1:3]
    assert reader.equity("s1") == (BOOKS[1], BOOKS[2])
    assert reader.trades("old") == ()


def test_decisions_may_be_left_half_way(reader: StateReader) -> None:
    records = reader.decisions("s1")
    kind, row = next(records)
    assert samples.said(row, kind) == samples.said(samples.signal(1))
    records.close()
    assert [row.seq for _, row in reader.decisions("s1")] == [1, 2, 3, 4, 5, 7, 10, 11, 12, 13, 30]


def test_reader_cannot_write(reader: StateReader) -> None:
    with pytest.raises((InputInvalid, SQLAlchemyError), match="readonly"), reader._connect() as connection:
        connection.execute(signals.delete())


def test_reloads_and_revisions_come_back_newest_first_with_their_carets(tmp_path: Path) -> None:
    fault = Diagnostic(
        file="configs/risk.yaml", line=3, column=5, message="a ratio is missing", excerpt="    x: 1", width=4
    )
    done = ReloadOutcome(
        ts_us=samples.T0,
        who="files",
        ok=True,
        config_hash="b" * 64,
        running_hash="b" * 64,
        session_id="s1",
        position=77,
        changes=("strategies/pump.yaml: changed",),
    )
    refused = replace(
        done, ts_us=samples.T0 + 1, ok=False, config_hash="c" * 64, position=-1, errors=(fault,)
    )
    journal = open_state(tmp_path / "botd.sqlite3")
    journal.start_session(samples.started())
    for outcome in (done, refused):
        journal.save_reload(outcome)
    files = {name: {"a.yaml": f"a: {name}\n"} for name in "01"}
    for at_us, name in enumerate("0011101"):  # a restart, a reload, a pin that is over; there and back
        journal.save_revision(config_hash=name, files=files[name], applied_us=at_us)
    journal.close()
    with StateReader(tmp_path / "botd.sqlite3") as reader:
        assert reader.reloads() == (refused, done)
        assert reader.reloads(limit=1) == (refused,)
        seen = [(one.applied_us, one.config_hash) for one in reader.revisions()]
        assert seen == [(6, "1"), (5, "0"), (2, "1"), (0, "0")]
        assert [(one.applied_us, one.files) for one in reader.revisions(limit=1)] == [(6, files["1"])]
