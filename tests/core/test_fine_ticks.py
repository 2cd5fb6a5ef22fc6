"""Entries where a price has very many ticks."""

from __future__ import annotations

from dataclasses import replace

from botd.core.outcomes import DenyReason
from botd.core.records import RiskRecord
from tests.core.scene import PERP, D, Scene, strategy, submitted


def test_limit_price_of_fine_ticks_is_the_tick_it_names() -> None:
    fine = replace(PERP, tick_size=D("1e-8"), lot_size=D("0.001"))
    z1 = "when: always, order: { type: limit, price: price * 1 }, size: { fixed: 0.01 BTC }"
    wrong = []
    for ticks in range(950_012_345_600, 950_012_345_700):
        scene = Scene(strategy(z1=z1), instrument=fine)
        order = submitted(scene.row(ticks))
        wrong += [ticks] if order.limit != ticks else []
    assert wrong == []


def test_size_beyond_the_machines_word_is_denied_before_an_order() -> None:
    fine = replace(PERP, tick_size=D("1e-8"), lot_size=D("1e-8"))
    z1 = "when: always, order: { type: market }, size: { fixed: 1000 USDT }"
    scene = Scene(strategy(z1=z1), instrument=fine)
    assert scene.row(950_012_345_678) == []
    assert scene.of(RiskRecord)[0].reason is DenyReason.SIZE_TOO_LARGE
