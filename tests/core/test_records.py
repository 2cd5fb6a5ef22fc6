"""What updates say in money and quantities, made from whole lots when asked."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from botd.core.events import ClientOrderId, DecisionKey, Section, Side
from botd.core.outcomes import OrderStatus
from botd.core.records import IntentRecord
from botd.core.updates import OrderUpdate, PortfolioSnapshot, PositionUpdate
from tests.core.scene import PERP

D = Decimal
FINE = replace(PERP, tick_size=D("0.5"), lot_size=D("0.001"))


def test_instrument_gives_exact_price_and_quantity() -> None:
    assert (FINE.price(201), FINE.qty(7), FINE.money(3)) == (D("100.5"), D("0.007"), D("0.0015"))


def test_record_takes_who_and_what_from_the_key_of_its_decision() -> None:
    key = DecisionKey("s", FINE.id, 3, Section.ZE1, "half", 2)
    intent = IntentRecord(1, key, 7, 5, Side.SELL, 3, 201, "exit", FINE)
    assert (intent.qty, intent.price) == (D("0.003"), D("100.5"))
    assert (intent.strategy, intent.instrument, intent.section) == ("s", FINE.id, Section.ZE1)
    assert (intent.rule, intent.cycle, intent.leg) == ("half", 3, 2)


def test_order_update_gives_quantities_and_the_average_of_what_has_filled() -> None:
    update = OrderUpdate(
        1, ClientOrderId("a"), OrderStatus.PARTIALLY_FILLED, False, False, 30, 3, 601, D("0.1"), "", 5, FINE
    )
    assert (update.qty, update.filled_qty) == (D("0.030"), D("0.003"))
    assert update.avg_price == D("100.166666666667")  # 601 half ticks over 3 lots
    assert replace(update, filled_lots=0, cost=0).avg_price is None


def test_position_update_gives_signed_quantity_entry_price_and_realized_money() -> None:
    short = PositionUpdate(1, "s", FINE, 2, -1, 4, 4, 802, -30, D(1), 5, 6)
    assert (short.instrument, short.side, short.qty) == (FINE.id, "short", D("-0.004"))
    assert (short.entry_price, short.realized_pnl) == (D("100.25"), D("-0.0150"))
    assert replace(short, sign=1).side == "long"


@pytest.mark.parametrize(
    ("balance", "equity", "peak", "unrealized", "drawdown"),
    [
        ("100", "100", "100", "0", "0"),
        ("100", "95", "120", "-5", "0.208333333333"),  # 25 of 120
        ("-1", "-1", "0", "0", "1"),  # fees of a currency that the account never had
    ],
)
def test_snapshot_gives_unrealized_profit_and_drawdown(
    balance: str, equity: str, peak: str, unrealized: str, drawdown: str
) -> None:
    shown = PortfolioSnapshot(1, 5, "USDT", D(balance), D(equity), D(0), D(peak), 0)
    assert (shown.unrealized_pnl, shown.drawdown) == (D(unrealized), D(drawdown))
