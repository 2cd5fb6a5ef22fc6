"""A venue that nets positions: nobody buys what another strategy is short of. And the ids of a process."""

from __future__ import annotations

import pytest

from botd.core.events import SubmitOrder
from botd.core.outcomes import DenyReason
from botd.core.records import RiskRecord
from tests.core.scene import Scene, only, strategy, submitted

LONG = strategy("long")
# each at a price of its own
SHORT = strategy("short", side="short", s1="when: price < 90, cooldown: 1s")


def denials(scene: Scene) -> list[DenyReason | None]:
    return [one.reason for one in scene.of(RiskRecord) if not one.approved]


@pytest.mark.parametrize("state", ["on its way", "held"])
def test_entry_against_another_strategys_side_is_denied(state: str) -> None:
    scene = Scene(LONG, SHORT, one_way=True)
    order = submitted(scene.row(101))
    if state == "held":
        scene.accept(order)
        scene.fill(order, 10, 102)
    assert scene.row(80) == []
    assert denials(scene) == [DenyReason.OPPOSITE_SIDE]


def test_entry_is_free_again_once_the_other_side_is_flat() -> None:
    scene = Scene(LONG, SHORT, one_way=True)
    scene.reject(submitted(scene.row(101)))
    assert only(scene.row(80), SubmitOrder).key.strategy == "short"


def test_entries_on_one_side_do_not_oppose_each_other() -> None:
    scene = Scene(LONG, strategy("too"), one_way=True)
    assert [one.key.strategy for one in scene.row(101)] == ["long", "too"]


def test_both_sides_trade_where_the_venue_keeps_them_apart() -> None:
    scene = Scene(LONG, SHORT)
    scene.row(101)
    assert only(scene.row(80), SubmitOrder).key.strategy == "short"
    assert denials(scene) == []


def test_epoch_gives_orders_ids_of_their_own_and_the_first_opens_the_books() -> None:
    scene = Scene(LONG)
    scene.bot.begin_epoch("botd-a", 7)
    first = submitted(scene.row(101))
    scene.reject(first)
    scene.bot.begin_epoch("botd-b", 9)
    scene.row(90)
    second = submitted(scene.row(101, at=10))
    assert (first.client_order_id[:7], second.client_order_id[:7]) == ("botd-a-", "botd-b-")
    assert scene.bot.desk.fills_from_us == 7
    kept = scene.fresh()
    kept.restore(scene.bot.state())
    assert (kept.desk.id_prefix, kept.desk.fills_from_us) == ("botd-b", 7)
