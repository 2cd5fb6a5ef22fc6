"""A session of twelve orders, worked out by hand, equals the books to the last digit."""

from __future__ import annotations

from decimal import Decimal

from botd.core.events import (
    ClientOrderId,
    DecisionKey,
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    OrderFilled,
    OrderRejected,
    OrderType,
    Section,
    Side,
    SubmitOrder,
    TimeInForce,
)
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.money import fee
from botd.core.orders import Change, Order, OrderTable
from botd.core.outcomes import OrderStatus
from botd.core.portfolio import FillEffect, Portfolio, Position
from tests.core.booking import apply

D = Decimal

PERP = Instrument(
    id=InstrumentId("BTC/USDT:USDT"),
    kind=InstrumentKind.PERPETUAL,
    base="BTC",
    quote="USDT",
    tick_size=D("0.1"),
    lot_size=D("0.001"),  # one tick-lot is 0.0001 USDT
    taker_fee=D("0.0005"),
    maker_fee=D("0.0002"),
)
SPOT = Instrument(
    id=InstrumentId("NXS/BTC"),
    kind=InstrumentKind.SPOT,
    base="NXS",
    quote="BTC",
    tick_size=D("0.00000001"),
    lot_size=D("0.01"),  # one tick-lot is 1e-10 BTC
    taker_fee=D("0.001"),
    maker_fee=D("0.001"),
)
SECOND = 1_000_000


class Session:
    """An order table and a portfolio, fed with one venue's answers as the bot feeds them."""

    def __init__(self) -> None:
        self.orders = OrderTable()
        self.books = Portfolio({"USDT": D(10000), "BTC": D(1)})
        self.now_us = 0
        self.seq = 0

    def submit(
        self,
        number: int,
        strategy: str,
        instrument: Instrument,
        section: Section,
        side: Side,
        qty: int,
        *,
        limit: int | None = None,
        stop: int | None = None,
        accept: bool = True,
    ) -> Order:
        command = SubmitOrder(
            client_order_id=ClientOrderId(str(number)),
            key=DecisionKey(strategy, instrument.id, 1, section, ""),
            instrument=instrument.id,
            side=side,
            type=OrderType.LIMIT if limit else OrderType.STOP_MARKET if stop else OrderType.MARKET,
            tif=TimeInForce.GTC if limit or stop else TimeInForce.IOC,
            qty=qty,
            limit=limit,
            stop=stop,
            reduce_only=section is not Section.Z1,
            ts_us=self.now_us,
        )
        order = Order(command, number, 1)
        self.orders.add(order)
        if accept:
            apply(self.orders, OrderAccepted(client_order_id=order.client_order_id, **self._stamp()))
        return order

    def fill(
        self, order: Order, instrument: Instrument, qty: int, price: int, *, maker: bool = False
    ) -> FillEffect:
        rate = instrument.maker_fee if maker else instrument.taker_fee
        answer = OrderFilled(
            client_order_id=order.client_order_id,
            trade_id=f"t{self.seq}",
            price=price,
            qty=qty,
            fee=fee(instrument.money(price * qty), rate),
            maker=maker,
            **self._stamp(),
        )
        assert apply(self.orders, answer) is Change.FILLED
        return self.books.apply_fill(
            order.key.strategy,
            instrument,
            order.side,
            qty,
            price,
            answer.fee,
            answer.ts_us,
            order.key.cycle,
            reducing=order.command.reduce_only,
            confidence=0.75,
        )

    def end(self, order: Order, *, canceled: bool) -> None:
        apply(
            self.orders,
            OrderEnded(client_order_id=order.client_order_id, canceled=canceled, reason="", **self._stamp()),
        )

    def _stamp(self) -> dict[str, int]:
        self.seq += 1
        self.now_us += SECOND
        return {"seq": self.seq, "ts_us": self.now_us}


def test_twelve_orders_by_hand() -> None:  # allow: one story, told in the order it happened
    session = Session()
    books = session.books

    # 1. s1 buys 0.1 BTC in two fills.
    #    60 x 500,000 = 30,000,000 tick-lots = 3,000.0000 USDT, fee x 0.0005 = 1.5
    #    40 x 500,001 = 20,000,040 tick-lots = 2,000.0040 USDT, fee x 0.0005 = 1.000002
    first = session.submit(1, "s1", PERP, Section.Z1, Side.BUY, 100)
    session.fill(first, PERP, 60, 500_000)
    effect = session.fill(first, PERP, 40, 500_001)
    assert (first.status, first.cost, first.fee) == (OrderStatus.FILLED, 50_000_040, D("2.500002"))
    assert (effect.realized, effect.position.qty) == (D(0), 100)
    assert books.balance("USDT") == D("9997.499998")
    assert books.entry_price(effect.position) == D("50000.04")  # 500,000.4 ticks

    # 2. its stop rests at the venue.
    stop = session.submit(2, "s1", PERP, Section.PROTECT, Side.SELL, 100, stop=490_000)
    assert not stop.is_terminal

    # 3. s1 sells 33 lots at 510,000: cost removed 50,000,040 x 33 / 100 = 16,500,013.2 -> 16,500,013
    #    realized 16,830,000 - 16,500,013 = 329,987 tick-lots = 32.9987; fee 1,683 x 0.0005 = 0.8415
    third = session.submit(3, "s1", PERP, Section.ZE1, Side.SELL, 33)
    effect = session.fill(third, PERP, 33, 510_000)
    assert effect.realized == D("32.9987")
    assert (effect.position.qty, effect.position.cost) == (67, 33_500_027)
    assert books.balance("USDT") == D("10029.657198")  # 9,997.499998 + 32.9987 - 0.8415
    # the stop shrinks to what is held and fills: 67 x 490,000 = 32,830,000
    #    realized 32,830,000 - 33,500,027 = -670,027 -> -67.0027; fee 3,283 x 0.0005 = 1.6415
    apply(session.orders, OrderAmended(client_order_id=stop.client_order_id, qty=67, **session._stamp()))
    effect = session.fill(stop, PERP, 67, 490_000)
    assert stop.status is OrderStatus.FILLED
    assert effect.realized == D("-67.0027")
    closed = Position(
        strategy="s1",
        instrument=PERP.id,
        cycle=1,
        sign=1,
        opened_us=2 * SECOND,  # acceptance at 1 s, first fill at 2 s
        confidence=0.75,
        qty=0,
        cost=0,
        realized=-340_040,  # 32.9987 - 67.0027 = 4,966.0000 - 5,000.0040 = -34.0040
        fees=D("4.983002"),  # 1.5 + 1.000002 + 0.8415 + 1.6415
        qty_max=100,
        entry_qty=100,
        entry_cost=50_000_040,
        exit_qty=100,
        exit_cost=33 * 510_000 + 67 * 490_000,
    )
    assert all(getattr(effect.position, name) == getattr(closed, name) for name in Position.__slots__)
    assert effect.position.entry_price(PERP.tick_size) == D("50000.04")
    assert effect.position.exit_price(PERP.tick_size) == D("49660")  # 496,600 ticks
    assert books.balance("USDT") == D("9961.012998")  # 10,000 - 34.004 - 4.983002
    assert books.losing_streak("s1", session.now_us) == 1

    # 4. s2 sells short 50 lots by a limit; 21 fill as maker, the rest is canceled.
    #    21 x 500,001 = 10,500,021 tick-lots = 1,050.0021 USDT, fee x 0.0002 = 0.21000042
    fourth = session.submit(4, "s2", PERP, Section.Z1, Side.SELL, 50, limit=500_001)
    session.fill(fourth, PERP, 21, 500_001, maker=True)
    fourth.to(OrderStatus.PENDING_CANCEL)
    session.end(fourth, canceled=True)
    assert (fourth.status, fourth.filled) == (OrderStatus.CANCELED, 21)

    # 5. s2 sells 29 more: 29 x 500,008 = 14,500,232 = 1,450.0232 USDT, fee x 0.0005 = 0.7250116
    fifth = session.submit(5, "s2", PERP, Section.Z1, Side.SELL, 29)
    effect = session.fill(fifth, PERP, 29, 500_008)
    assert (effect.position.signed_qty, effect.position.cost) == (-50, 25_000_253)
    assert books.net_quantities()[PERP.id] == -50
    # marked at 499,000: -(24,950,000 - 25,000,253) = 50,253 tick-lots
    marks = {PERP.id: 499_000}
    assert books.unrealized("USDT", marks) == D("5.0253")

    # 6. s2 buys back 25 at 480,003: cost removed 25,000,253 / 2 = 12,500,126.5 -> 12,500,126 (even)
    #    realized -(12,000,075 - 12,500,126) = 500,051 -> 50.0051; fee 1,200.0075 x 0.0005 = 0.60000375
    sixth = session.submit(6, "s2", PERP, Section.ZE1, Side.BUY, 25)
    effect = session.fill(sixth, PERP, 25, 480_003)
    assert effect.realized == D("50.0051")
    assert sixth.fee == D("0.60000375")
    assert (effect.position.qty, effect.position.cost) == (25, 12_500_127)

    # 7. the venue rejects the next exit: nothing is booked.
    balance = books.balance("USDT")
    seventh = session.submit(7, "s2", PERP, Section.E1, Side.BUY, 25, accept=False)
    apply(
        session.orders,
        OrderRejected(client_order_id=seventh.client_order_id, reason="busy", **session._stamp()),
    )
    assert (seventh.status, books.balance("USDT")) == (OrderStatus.REJECTED, balance)

    # 8. asked again, 10 of 25 fill and the rest expires: cost removed 12,500,127 x 10 / 25 =
    #    5,000,050.8 -> 5,000,051; realized -(5,050,000 - 5,000,051) = -49,949 -> -4.9949; fee 0.2525
    eighth = session.submit(8, "s2", PERP, Section.E1, Side.BUY, 25)
    effect = session.fill(eighth, PERP, 10, 505_000)
    session.end(eighth, canceled=False)
    assert (eighth.status, effect.realized) == (OrderStatus.EXPIRED, D("-4.9949"))

    # 9. the remainder: 15 x 505,002 = 7,575,030; cost 7,500,076; -(74,954) -> -7.4954
    #    fee 757.503 x 0.0005 = 0.3787515
    ninth = session.submit(9, "s2", PERP, Section.E1, Side.BUY, 15)
    effect = session.fill(ninth, PERP, 15, 505_002)
    assert effect.realized == D("-7.4954")
    closed = effect.position
    assert (closed.side, closed.qty, closed.qty_max) == ("short", 0, 50)
    assert PERP.money(closed.realized) == D("37.5148")  # 2,500.0253 - (1,200.0075 + 505.0000 + 757.5030)
    # 0.21000042 + 0.7250116 + 0.60000375 + 0.2525 + 0.3787515
    assert closed.fees == D("2.16626727")
    assert closed.entry_price(PERP.tick_size) == D("50000.506")  # 25,000,253 / 50 = 500,005.06 ticks
    assert closed.exit_price(PERP.tick_size) == D("49250.21")  # 24,625,105 / 50 = 492,502.1 ticks
    assert books.losing_streak("s2", session.now_us) == 0
    assert books.balance("USDT") == D("9996.36153073")  # 9,961.012998 + 37.5148 - 2.16626727

    # 10. a limit that nobody hits expires.
    tenth = session.submit(10, "s2", PERP, Section.Z1, Side.SELL, 5, limit=600_000)
    session.end(tenth, canceled=False)
    assert (tenth.status, tenth.filled) == (OrderStatus.EXPIRED, 0)

    # 11. s1 buys 1,234.56 NXS at 4,321 ticks: 123,456 x 4,321 = 533,453,376 = 0.0533453376 BTC
    #     fee x 0.001 = 0.0000533453376 -> 0.00005335
    eleventh = session.submit(11, "s1", SPOT, Section.Z1, Side.BUY, 123_456)
    session.fill(eleventh, SPOT, 123_456, 4_321)
    assert eleventh.fee == D("0.00005335")
    assert books.committed("BTC") == D("0.0533453376")
    assert books.committed("USDT") == 0

    # 12. s1 sells 500 NXS at 4,400: realized 50,000 x (4,400 - 4,321) = 3,950,000 -> 0.000395
    #     fee 0.022 x 0.001 = 0.000022; 73,456 lots stay, cost 317,403,376
    twelfth = session.submit(12, "s1", SPOT, Section.ZE1, Side.SELL, 50_000)
    effect = session.fill(twelfth, SPOT, 50_000, 4_400)
    assert (effect.realized, twelfth.fee) == (D("0.000395"), D("0.000022"))
    assert (effect.position.qty, effect.position.cost) == (73_456, 317_403_376)

    assert books.balance("BTC") == D("1.00031965")  # 1 + 0.000395 - 0.00005335 - 0.000022
    # marked at 4,300: 73,456 x 4,300 - 317,403,376 = -1,542,576 -> -0.0001542576
    marks = {SPOT.id: 4_300}
    assert books.unrealized("BTC", marks) == D("-0.0001542576")
    assert books.equity("BTC", marks) == D("1.0001653924")
    assert books.exposure_total("BTC", marks) == D("0.03158608")  # 315,860,800 tick-lots
    assert books.equity("USDT", marks) == D("9996.36153073")
    assert (books.realized("USDT"), books.fees("USDT")) == (D("3.5108"), D("7.14926927"))
    assert (books.realized("BTC"), books.fees("BTC")) == (D("0.000395"), D("0.00007535"))
    assert session.orders.live() == []
    assert [p.strategy for p in books.positions()] == ["s1"]
