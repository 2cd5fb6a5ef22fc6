"""Commands of people: who said what, once, and what came of it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from botd.api.settings import Bounds
from botd.core.events import OrderType, Section, Side
from botd.core.outcomes import OrderStatus
from botd.core.restraint import TradingCommand, Verb
from tests.api.stand import POSITION, TRADER, VIEWER, Reloads, Stand, book
from tests.api.test_reads import FAILED
from tests.store import samples

CLOSE = f"/api/trading/positions/{POSITION}/close"


def closing(stand: Stand) -> None:
    """Have the books show the exit that a close brings about."""

    def write(command: TradingCommand) -> None:
        assert command.verb is Verb.CLOSE
        exit_order = samples.order(
            60, client_order_id="b-9", section=Section.MANUAL, rule="close", side=Side.SELL, intent_seq=None,
            type=OrderType.MARKET, reduce_only=True,
        )  # fmt: skip
        book(stand.journal, exit_order, position=301)

    stand.desk.then_do = write


def test_halt_and_resume_say_who_and_why(stand: Stand) -> None:
    book(stand.journal, samples.trading_state(70))
    got = stand.post("/api/trading/halt", {"reason": " odd \n prices "})
    assert (got.status, got.json["done"]) == (200, True)
    (what, who, reason) = stand.desk.asked[-1]
    assert (what, reason) == ("halt", "odd prices")
    assert who.startswith("trader ") and who.endswith(" from 127.0.0.1 (api)") and TRADER not in who
    assert [one["state"] for one in got.json["restraints"]] == ["halted"]
    assert stand.post("/api/trading/resume").status == 200
    assert stand.desk.asked[-1][0] == "resume"


@pytest.mark.parametrize("name", [POSITION, "BTC%2FUSDT", "BTC%2fUSDT"])
def test_close_names_a_position_by_its_id_or_its_symbol(tmp_path: Path, name: str) -> None:
    with Stand(tmp_path) as stand:
        closing(stand)
        got = stand.post(f"/api/trading/positions/{name}/close", {"reason": "enough"})
        (command,) = stand.desk.commands
        assert (command.verb, command.scope, command.strategy) == (Verb.CLOSE, "BTC/USDT", "dip")
        assert command.reason == "enough"
        (order,) = got.json["orders"]
        assert (got.status, order["order_id"], order["section"], order["side"]) == (
            200,
            "b-9",
            "manual",
            "sell",
        )


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("positions/dip-btc-usdt-2/close", 404, "no_position"),  # another cycle is another position
        ("positions/ETH%2FUSDT/close", 404, "no_position"),
        ("orders/b-7/cancel", 404, "no_order"),
        ("orders/b-1/cancel", 409, "order_over"),
        ("orders/b-3/cancel", 409, "not_an_entry"),
    ],
)
def test_what_cannot_be_done_is_refused_and_asked_of_nobody(
    stand: Stand, path: str, status: int, error: str
) -> None:
    stand.clock.pass_s(61)
    before = len(stand.desk.asked)
    got = stand.post(f"/api/trading/{path}")
    assert (got.status, got.json["error"], len(stand.desk.asked)) == (status, error, before)


def test_what_nobody_owns_is_not_closed(tmp_path: Path) -> None:
    with Stand(tmp_path) as stand:
        position = samples.position(90, strategy="~unowned", cycle=3)
        book(stand.journal, position)
        got = stand.post("/api/trading/positions/unowned-btc-usdt-3/close")
        assert (got.status, got.json["error"], stand.desk.commands) == (409, "unowned", [])


def test_cancel_ends_an_entry_and_shows_it(tmp_path: Path) -> None:
    with Stand(tmp_path) as stand:
        stand.desk.then_do = lambda _: book(
            stand.journal, samples.update(80, OrderStatus.PENDING_CANCEL, client_order_id="b-2")
        )
        got = stand.post("/api/trading/orders/b-2/cancel")
        (order,) = got.json["orders"]
        assert (got.status, order["status"], order["cancelable"]) == (200, "pending_cancel", False)
        assert [(one.verb, one.scope) for one in stand.desk.commands] == [(Verb.CANCEL, "b-2")]
        assert stand.post("/api/trading/orders/b-2/cancel").json["error"] == "order_over"


def test_what_is_not_obeyed_yet_is_accepted_and_not_done(tmp_path: Path) -> None:
    with Stand(tmp_path, bounds=Bounds(obeyed_s=0.05)) as stand:
        stand.desk.obeys = False
        for path in ("/api/trading/halt", CLOSE, "/api/trading/orders/b-2/cancel"):
            got = stand.post(path)
            assert (got.status, got.json["done"]) == (202, False)


def test_nothing_is_closed_before_a_session_is_open(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.facts = replace(stand.facts, session_id="")
    with stand:
        assert stand.post(CLOSE).json["error"] == "no_session"
        assert stand.post("/api/trading/halt").status == 200  # but a halt is


# ---- reload ---------------------------------------------------------------------------------------


def test_reload_says_what_came_of_it(tmp_path: Path) -> None:
    with Stand(tmp_path, bounds=Bounds(reloaded_s=0.05)) as stand:
        assert stand.post("/api/reload").json["error"] == "no_reload"
        stand.reloads = Reloads(replace(FAILED, ok=True, errors=(), changes=("dip: stop_loss 5% -> 4%",)))
        got = stand.post("/api/reload")
        assert (got.status, got.json["ok"], got.json["changes"]) == (200, True, ["dip: stop_loss 5% -> 4%"])
        assert stand.reloads.asked[0].startswith("trader ")
        stand.reloads = Reloads(FAILED)
        got = stand.post("/api/reload")
        assert (got.status, got.json["errors"][0]["line"]) == (409, 3)
        stand.reloads = Reloads(None)
        assert stand.post("/api/reload").json["error"] == "reload_late"
        assert not stand.reloads.found[0].cancelled()  # it may still be done
        stand.reloads.stops = True
        assert stand.post("/api/reload").json["error"] == "no_reload"


# ---- once -----------------------------------------------------------------------------------------


def test_same_key_does_it_once_and_answers_the_same(tmp_path: Path) -> None:
    with Stand(tmp_path) as stand:
        closing(stand)
        first = stand.post(CLOSE, {"reason": "a"}, Idempotency_Key="k-1")
        again = stand.post(CLOSE, {"reason": "a"}, Idempotency_Key="k-1")
        assert (again.status, again.body, len(stand.desk.commands)) == (first.status, first.body, 1)
        other = stand.post(CLOSE, {"reason": "b"}, Idempotency_Key="k-1")
        elsewhere = stand.post("/api/trading/resume", {"reason": "a"}, Idempotency_Key="k-1")
        assert {other.json["error"], elsewhere.json["error"]} == {"key_reused"}
        assert (other.status, elsewhere.status, len(stand.desk.commands)) == (422, 422, 1)
        assert stand.post(CLOSE, {"reason": "a"}, Idempotency_Key="bad key").status == 422


def test_key_is_known_after_a_restart_until_a_day_has_passed(tmp_path: Path) -> None:
    with Stand(tmp_path) as stand:
        closing(stand)
        first = stand.post(CLOSE, Idempotency_Key="k-1")
    with Stand(tmp_path) as stand:
        again = stand.post(CLOSE, Idempotency_Key="k-1")
        assert (again.body, stand.desk.commands) == (first.body, [])
        assert (stand.folder / "api-answers.jsonl").stat().st_mode & 0o077 == 0
        stand.clock.pass_s(86_401)
        closing(stand)
        assert stand.post(CLOSE, Idempotency_Key="k-2").status == 200
        assert stand.post(CLOSE, Idempotency_Key="k-1").status == 200
        assert len(stand.desk.commands) == 2


def test_key_whose_process_died_over_it_is_not_done_again(tmp_path: Path) -> None:
    with Stand(tmp_path) as stand:
        closing(stand)
        stand.post(CLOSE, Idempotency_Key="k-1")
    kept = tmp_path / "api-answers.jsonl"
    begun, _ = kept.read_text().splitlines()
    kept.write_text(f'{begun}\n{{"key": "cut')
    with Stand(tmp_path) as stand:
        got = stand.post(CLOSE, Idempotency_Key="k-1")
        assert (got.status, got.json["error"], stand.desk.commands) == (409, "outcome_unknown", [])


def test_what_was_refused_may_be_asked_for_again_by_the_same_key(tmp_path: Path) -> None:
    with Stand(tmp_path) as stand:
        assert stand.post("/api/reload", Idempotency_Key="k-1").status == 503
        stand.reloads = Reloads(replace(FAILED, ok=True))
        assert stand.post("/api/reload", Idempotency_Key="k-1").status == 200


def test_what_broke_off_is_not_done_again_by_the_same_key(tmp_path: Path) -> None:
    with Stand(tmp_path) as stand:
        stand.desk.breaks = True
        assert stand.post(CLOSE, Idempotency_Key="k-1").status == 500
        stand.desk.breaks = False
        assert stand.post(CLOSE, Idempotency_Key="k-1").json["error"] == "outcome_unknown"
        assert len(stand.desk.commands) == 1


def test_two_at_once_with_one_key_are_one(tmp_path: Path) -> None:
    bounds = Bounds(obeyed_s=0.3)
    with Stand(tmp_path, bounds=bounds) as stand, ThreadPoolExecutor(2) as callers:
        stand.desk.obeys = False  # so that the second comes while the first waits
        go = threading.Barrier(2)

        def call() -> tuple[int, bytes]:
            go.wait()
            got = stand.post(CLOSE, Idempotency_Key="k-1")
            return got.status, got.body

        first, second = callers.submit(call), callers.submit(call)
        assert first.result() == second.result()
        assert len(stand.desk.commands) == 1


def test_viewer_s_key_is_not_the_trader_s(stand: Stand) -> None:
    assert stand.post("/api/trading/halt", token=VIEWER, Idempotency_Key="k-7").status == 403
    assert stand.post("/api/trading/halt", Idempotency_Key="k-7").status == 200
