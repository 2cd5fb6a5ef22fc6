"""The venue's record of what our own orders held at most."""

from __future__ import annotations

from decimal import Decimal

import pytest

from botd.core.events import Side
from botd.ports import VenueFill
from botd.simulation.exchange.truth import Truth
from tests.simulation.exchange.scene import BTC


def fill(side: Side, qty: int, owner: str = "botd-1") -> VenueFill:
    return VenueFill(
        client_order_id=owner,
        instrument=BTC,
        trade_id=f"{side}{qty}{owner}",
        side=side,
        price=100,
        qty=qty,
        fee=Decimal(0),
        maker=False,
        ts_us=0,
    )


@pytest.mark.parametrize(
    ("by_others", "peak"),
    [
        ([(Side.SELL, 60)], 100),  # closed by somebody: 40 are held, and 60 more make 100
        ([(Side.SELL, 200)], 100),  # turned by somebody: that is not our order's
        ([(Side.BUY, 50)], 160),
        ([(Side.SELL, 60), (Side.BUY, 60)], 100),
    ],
)
def test_own_peak_is_of_our_orders_less_what_others_closed(
    by_others: list[tuple[Side, int]], peak: int
) -> None:
    truth = Truth()
    truth.add_fill(fill(Side.BUY, 100))
    for side, qty in by_others:
        truth.add_fill(fill(side, qty, ""))
    truth.add_fill(fill(Side.BUY, 60))
    assert truth.own_peaks[BTC] == peak


def test_own_peak_knows_of_a_trade_taken_back() -> None:
    truth = Truth()
    bought = fill(Side.BUY, 100)
    truth.add_fill(bought)
    truth.add_bust(bought)
    truth.add_fill(fill(Side.BUY, 60))
    assert truth.own_peaks[BTC] == 100
