"""Every pair of order states against a table written out by hand."""

from __future__ import annotations

import pytest

from botd.core.events import ClientOrderId, DecisionKey, OrderType, Section, Side, SubmitOrder, TimeInForce
from botd.core.instrument import InstrumentId
from botd.core.orders import TERMINAL, TRANSITIONS, Order
from botd.core.outcomes import OrderStatus
from botd.errors import InvariantBroken

S = OrderStatus
BTC = InstrumentId("BTC/USDT")

# SEMANTICS section 6. Columns as rows; x marks a legal move.
LEGAL = """
                 intent submitted accepted partially_filled pending_cancel filled canceled expired rejected never_arrived denied
intent           .      x         .        .                .              .      .        x       .        .             x
submitted        .      .         x        x                x              x      x        x       x        x             .
accepted         .      .         .        x                x              x      x        x       x        .             .
partially_filled .      .         .        .                x              x      x        x       .        .             .
pending_cancel   .      x         x        x                .              x      x        x       x        x             .
filled           .      .         .        .                .              .      .        .       .        .             .
canceled         .      .         .        .                .              .      .        .       .        .             .
expired          .      .         .        .                .              .      .        .       .        .             .
rejected         .      .         .        .                .              .      .        .       .        .             .
never_arrived    .      .         .        .                .              .      .        .       .        .             .
denied           .      .         .        .                .              .      .        .       .        .             .
"""  # noqa: E501


def legal_moves() -> dict[tuple[str, str], bool]:
    header, *rows = [line.split() for line in LEGAL.strip().splitlines()]
    return {(row[0], after): mark == "x" for row in rows for after, mark in zip(header, row[1:], strict=True)}


def order(status: OrderStatus) -> Order:
    command = SubmitOrder(
        client_order_id=ClientOrderId("a"),
        key=DecisionKey("s", BTC, 1, Section.Z1, ""),
        instrument=BTC,
        side=Side.BUY,
        type=OrderType.MARKET,
        tif=TimeInForce.IOC,
        qty=10,
        ts_us=1_000,
    )
    one = Order(command, 7, 100)
    one.status, one.is_terminal, one.in_doubt = status, status in TERMINAL, True
    return one


@pytest.mark.parametrize(("before", "after"), [(b, a) for b in S for a in S])
def test_transition_is_allowed_exactly_where_the_table_says(before: S, after: S) -> None:
    one = order(before)
    if legal_moves()[before, after]:
        one.to(after)
        assert one.status is after
        assert one.is_terminal == (after in TERMINAL)
        assert one.in_doubt == (after not in TERMINAL)  # an order that is over is in no doubt
    else:
        with pytest.raises(InvariantBroken, match=f"order a: {before} cannot become {after}"):
            one.to(after)
        assert one.status is before


def test_terminal_states_are_the_six_without_a_way_out() -> None:
    assert {S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED, S.NEVER_ARRIVED, S.DENIED} == TERMINAL
    assert set(TRANSITIONS) == set(S)
