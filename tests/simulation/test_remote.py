"""The world at the hostile venue: a seed is one run, and each check sees what it is for."""

# ruff: noqa: N802 - tests of a catalogued fault carry its id
from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from botd.runtime.courier import VALID_US
from botd.simulation.chance import Chance, Fired
from botd.simulation.checks import CheckFailed, check_equal_books, check_venue
from botd.simulation.exchange.exchange import Exchange
from botd.simulation.exchange.truth import Arrival, BannedCall
from botd.simulation.loop import VirtualLoop, run_virtual
from botd.simulation.remote import (
    CLOCK_TOLERANCE_US,
    MISLED_MAX_US,
    REMOTE_SITES,
    ExchangeTruth,
    RemoteWorld,
    check_fills,
    check_manners,
    check_nobody_asked,
    check_resolved,
    check_states,
    check_stops,
)
from botd.simulation.swarm import run_seed, world_of
from botd.simulation.tally import Tally

HOURS = 0.1
SEED = 11  # which ends with something held and a stop that rests


class Remains:
    """What a run has left: a state file to damage, and a venue that knows better."""

    def __init__(self, state: Path, world: RemoteWorld) -> None:
        self.state = state
        self.exchange: Exchange = world.exchange
        self.truth = ExchangeTruth(world.exchange, world._books_plan)
        self.instruments = world._instruments

    def sql(self, statement: str, *values: Any) -> int:
        """Change the state file; return how many rows it took."""
        with closing(sqlite3.connect(self.state)) as connection, connection:
            return connection.execute(statement, values).rowcount

    def one(self, query: str) -> Any:
        with closing(sqlite3.connect(self.state)) as connection:
            (found,) = connection.execute(query).fetchone()
            return found

    def judge(self) -> None:
        """Ask every check."""
        check_venue(self.state, self.truth)
        check_manners(self.state, self.exchange, Decimal("0.2"))
        check_resolved(self.state)
        check_nobody_asked(self.state, self.exchange)
        check_fills(self.state, self.exchange)
        check_states(self.state, self.exchange)
        check_stops(self.exchange)
        check_equal_books(self.state, self.truth, self.instruments)

    def fails(self) -> str:
        """Return the check that fails."""
        with pytest.raises(CheckFailed) as failed:
            self.judge()
        return failed.value.check


def live_through(folder: Path, seed: int, faults: Collection[Fired]) -> RemoteWorld:
    """Return a world after its day, in which nothing but these faults happened."""
    chance = Chance(seed, REMOTE_SITES, only=faults)

    async def live(loop: VirtualLoop) -> RemoteWorld:
        world = RemoteWorld(loop, chance, folder, chaos_s=HOURS * 3600, tally=Tally())
        await world.run()
        return world

    return run_virtual(live, seed=seed).result


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteWorld]:
    """A run in which nothing went wrong."""
    with closing(live_through(tmp_path_factory.mktemp("world"), SEED, [])) as world:
        yield world


@pytest.fixture
def remains(lived: RemoteWorld, tmp_path: Path) -> Remains:
    state = tmp_path / "botd.sqlite3"
    shutil.copy(lived._state, state)
    return Remains(state, lived)


def arrival(remains: Remains, *, reduce_only: bool = False) -> Arrival:
    return next(one for one in remains.exchange.truth.arrivals if one.order.reduce_only is reduce_only)


def test_seed_has_one_digest_and_three_seeds_in_four_are_lived_at_the_venue() -> None:
    assert world_of(SEED)[0] is RemoteWorld
    first, again = run_seed(SEED, hours=HOURS), run_seed(SEED, hours=HOURS)
    assert (first.check, again.check) == (None, None), first.detail or again.detail
    assert first.digest == again.digest != run_seed(SEED + 2, hours=HOURS).digest


def test_books_of_a_run_in_which_nothing_went_wrong_pass(remains: Remains) -> None:
    assert remains.exchange.truth.fills
    assert remains.exchange.open_orders
    assert remains.truth.holdings()
    remains.judge()


# ---- what the books must have ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "check"),
    [
        ("needs_human", 1, "S9.needs_human"),
        ("in_doubt", 1, "S9.resolved"),
        ("status", "submitted", "S9.resolved"),
        ("status", "pending_cancel", "S9.resolved"),
        ("type", "market", "S9.resolved"),
    ],
)
def test_order_that_is_not_settled_is_seen(remains: Remains, column: str, value: Any, check: str) -> None:
    assert remains.sql(f"UPDATE orders SET {column} = ? WHERE status = 'accepted'", value) > 0
    assert remains.fails() == check


def test_person_who_was_asked_though_the_venue_shows_everything_is_seen(remains: Remains) -> None:
    remains.sql(
        "INSERT INTO alerts (session_id, seq, ts_us, severity, type, message) "
        "SELECT id, 1000000, 1, 'critical', 'needs_human', 'sell botd-1 needs a person' FROM sessions"
    )
    assert remains.fails() == "S9.asked"


def test_person_may_be_asked_about_an_order_that_the_venue_has_hidden(
    remains: Remains, monkeypatch: pytest.MonkeyPatch
) -> None:
    remains.sql(
        "INSERT INTO alerts (session_id, seq, ts_us, severity, type, message) "
        "SELECT id, 1000000, 1, 'critical', 'needs_human', 'sell hidden-1 needs a person: gone' FROM sessions"
    )
    assert remains.fails() == "S9.asked"
    monkeypatch.setattr(remains.exchange.matching.shown, "hid", {"hidden-1"})
    remains.judge()


def test_order_that_a_session_before_the_last_left_open_is_not_asked_for(remains: Remains) -> None:
    remains.sql("PRAGMA foreign_keys = OFF")
    remains.sql("UPDATE orders SET session_id = 'before', in_doubt = 1 WHERE status = 'accepted'")
    check_resolved(remains.state)


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM fills WHERE seq = (SELECT max(seq) FROM fills)",
        "UPDATE fills SET trade_id = 'other' WHERE seq = (SELECT max(seq) FROM fills)",
        "UPDATE fills SET qty = CAST(2 * qty AS TEXT) WHERE seq = (SELECT max(seq) FROM fills)",
    ],
    ids=["lost", "another", "of twice the lots"],
)
def test_C1_C7_fill_that_is_not_the_venues_is_seen(remains: Remains, damage: str) -> None:
    assert remains.sql(damage) == 1
    assert remains.fails() == "S6.fills"


def test_fill_that_is_booked_in_parts_is_one(remains: Remains) -> None:
    qty = Decimal(remains.one("SELECT qty FROM fills ORDER BY seq DESC LIMIT 1"))
    last = "(SELECT max(seq) FROM fills)"
    with closing(sqlite3.connect(remains.state)) as connection:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute(f"SELECT * FROM fills WHERE seq = {last}").fetchone())
    step = remains.exchange.matching.instruments[row["instrument"]].lot_size
    remains.sql(f"UPDATE fills SET qty = ? WHERE seq = {last}", str(qty - step))
    part = {**row, "seq": row["seq"] + 100_000, "trade_id": f"{row['trade_id']}#unowned1", "qty": str(step)}
    marks = ", ".join("?" for _ in part)
    remains.sql(f"INSERT INTO fills ({', '.join(part)}) VALUES ({marks})", *part.values())
    check_fills(remains.state, remains.exchange)


def test_D1_wrong_conclusion_about_an_order_is_seen(remains: Remains) -> None:
    filled = "(SELECT max(seq) FROM orders WHERE status = 'filled')"
    assert remains.sql(f"UPDATE orders SET status = 'canceled' WHERE seq = {filled}") == 1
    assert remains.fails() == "S9.conclusion"


def test_D5_stop_without_a_position_is_seen(remains: Remains, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remains.exchange.account, "positions", {})
    with pytest.raises(CheckFailed, match=r"^D5\.stop_left"):
        check_stops(remains.exchange)


def test_E6_entry_long_after_a_switch_of_mode_is_seen(
    remains: Remains, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remains.exchange.truth, "misled", [("in time", MISLED_MAX_US)])
    remains.judge()
    monkeypatch.setattr(remains.exchange.truth, "misled", [("late", MISLED_MAX_US + 1)])
    assert remains.fails() == "E6.mode"


# ---- what the venue must not see -------------------------------------------------------------------


def test_F2_call_in_a_ban_that_was_told_is_seen(remains: Remains, monkeypatch: pytest.MonkeyPatch) -> None:
    known = BannedCall(process="bot.1", sent_us=10, told_us=5, first_told_us=5)
    unknown = replace(known, told_us=None)
    before = replace(known, sent_us=4)
    monkeypatch.setattr(remains.exchange.truth, "banned_calls", [unknown, before])
    remains.judge()
    monkeypatch.setattr(remains.exchange.truth, "banned_calls", [unknown, before, known])
    assert remains.fails() == "F2.banned_call"


@pytest.mark.parametrize(("reduce_only", "beyond_us"), [(False, 0), (False, 1), (True, 10**9)])
def test_B12_entry_that_was_sent_late_is_seen(
    remains: Remains, monkeypatch: pytest.MonkeyPatch, reduce_only: bool, beyond_us: int
) -> None:
    one = arrival(remains, reduce_only=reduce_only)
    decided_us = remains.one(
        f"SELECT max(ts_us) FROM orders WHERE client_order_id = '{one.order.client_order_id}'"
    )
    late = replace(one, sent_us=decided_us + VALID_US + CLOCK_TOLERANCE_US + beyond_us)
    monkeypatch.setattr(remains.exchange.truth, "arrivals", [late])
    if beyond_us == 1:
        assert remains.fails() == "S16.valid"
    else:
        remains.judge()  # just in time; or an exit, which is never too late


def test_B17_exposure_beyond_the_limits_is_seen(remains: Remains, monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = {name: 1000 * peak for name, peak in remains.exchange.truth.own_peaks.items()}
    monkeypatch.setattr(remains.exchange.truth, "own_peaks", peaks)
    assert remains.fails() == "S4.exposure"


# ---- the venue's own record ------------------------------------------------------------------------


@pytest.mark.parametrize("counts", ["sent", "orders"])
def test_B6_B7_order_that_was_sent_or_taken_twice_is_seen(
    remains: Remains, monkeypatch: pytest.MonkeyPatch, counts: str
) -> None:
    name = arrival(remains).order.client_order_id
    monkeypatch.setitem(getattr(remains.exchange.truth, counts), name, 2)
    assert remains.fails() == "venue.doubled"


def test_G1_order_without_a_row_is_seen(remains: Remains, monkeypatch: pytest.MonkeyPatch) -> None:
    one = arrival(remains)
    stray = replace(one, order=replace(one.order, client_order_id="botd-stray-1"))
    monkeypatch.setattr(remains.exchange.truth, "arrivals", [one, stray])
    assert remains.fails() == "venue.unknown_order"


def test_position_that_is_not_the_venues_is_seen(remains: Remains, monkeypatch: pytest.MonkeyPatch) -> None:
    held = {name: amount and amount + Decimal("1e-8") for name, amount in remains.truth.holdings().items()}
    monkeypatch.setattr(remains.exchange.account, "amounts", held)
    assert remains.fails() == "books.positions"


@pytest.mark.parametrize("change", ["price", "fee"])
def test_cash_that_is_not_the_venues_is_seen(
    remains: Remains, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    *rest, last = remains.exchange.truth.fills
    other = replace(last, price=last.price + 10) if change == "price" else replace(last, fee=last.fee + 1)
    monkeypatch.setattr(remains.exchange.truth, "fills", [*rest, other])
    assert remains.fails() == "books.cash"


def test_worth_is_the_start_less_what_was_bought_and_its_fees(remains: Remains) -> None:
    account = remains.exchange.account
    by_id = {one.id: one for one in remains.instruments}
    for currency, worth in remains.truth.worth().items():
        cost = sum(
            (
                by_id[name].money(cost if account.held(name) > 0 else -cost)
                for name, cost in account.costs.items()
                if by_id[name].quote == currency
            ),
            Decimal(0),
        )
        assert abs(account.cash[currency] - cost - worth) < Decimal("1e-6")


def test_C6_day_with_fees_in_base_ends_with_books_of_the_last_digit(remains: Remains) -> None:
    assert remains.exchange.matching.fees_in_base
    amounts = remains.truth.holdings()
    assert any(amount % 1 for name, amount in amounts.items() if name == "EVX/BTC"), amounts
    assert remains.sql("SELECT 1 FROM fills WHERE fee_currency = 'EVX'")
    remains.judge()
    remains.sql("UPDATE fills SET fee_paid = '0.5' WHERE fee_currency = 'EVX'")
    assert remains.fails() == "books.positions"


def test_C11_trade_taken_back_after_all_is_missed_in_the_books(remains: Remains) -> None:
    fill = remains.exchange.truth.fills[0]
    bust = replace(fill, busted=True)
    remains.exchange.truth.busts.append(bust)
    try:
        assert remains.fails() == "S6.fills"
    finally:
        remains.exchange.truth.busts.clear()


def test_C11_day_with_trades_taken_back_ends_with_the_venues_books(tmp_path: Path) -> None:
    world = live_through(tmp_path, SEED, [Fired("account.bust", n) for n in range(6, 36, 4)])
    with closing(world):  # which has asked every check
        busts = world.exchange.truth.busts
        assert {one.instrument for one in busts} == {"EVX/BTC", "ETH/USDT:USDT"}
        with closing(sqlite3.connect(world._state)) as connection:
            reversed_fills = connection.execute("SELECT DISTINCT instrument, reverses FROM fills").fetchall()
        assert {one for one in reversed_fills if one[1]} == {(one.instrument, one.trade_id) for one in busts}


def test_B18_day_with_hidden_orders_asks_a_person_and_ends_with_nobody_needed(tmp_path: Path) -> None:
    faults = [Fired("order.hidden", n) for n in range(1, 200)]
    with closing(live_through(tmp_path, 2, faults)) as world:  # which has asked every check
        with closing(sqlite3.connect(world._state)) as connection:
            asked = connection.execute("SELECT message FROM alerts WHERE type = 'needs_human'").fetchall()
        assert asked
        assert {message.split()[1] for (message,) in asked} <= world.exchange.hid


def test_C1_answers_told_twice_change_no_row(lived: RemoteWorld, tmp_path: Path) -> None:
    with closing(live_through(tmp_path, SEED, [Fired("answer.copied", n) for n in range(1, 5_000)])) as world:
        copies = sum(1 for one in world._chance.fired if one.site == "answer.copied")
        assert copies > 20
        for table in ("signals", "intents", "orders", "fills", "trades", "positions", "alerts"):
            assert rows_of(world, table) == rows_of(lived, table), table
        with closing(sqlite3.connect(world._state)) as connection:
            told = connection.execute("SELECT payload FROM journal_events WHERE kind = 'answers'").fetchall()
        answers = [json.dumps(one) for (text,) in told for one in json.loads(text)]
        assert len(answers) - len(set(answers)) == copies


def rows_of(world: RemoteWorld, table: str) -> list[Any]:
    with closing(sqlite3.connect(world._state)) as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()
