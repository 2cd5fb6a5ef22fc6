"""When the account is recorded: at every hour, and when a trade has closed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from botd.core.events import OrderFilled
from botd.core.instrument import InstrumentId
from botd.core.updates import PortfolioSnapshot
from tests.core.scene import HOUR, PERP, SECOND, T0, D, Scene, bought, rows, strategy, submitted

ETH = replace(PERP, id=InstrumentId("ETH/USDT:USDT"), base="ETH")
LATER = "when: always, order: { type: market, slippage_max: 10% }, size: { fixed: 10 ETH }"


def test_account_is_recorded_every_hour_with_the_row_that_closes_on_it() -> None:
    scene = Scene(strategy())
    hour = (T0 // HOUR + 1) * HOUR
    second = (hour - T0) // SECOND
    order = submitted(scene.row(101, at=second - 10))
    scene.fill(order, 10, 102)
    scene.row(100, at=second - 1)
    scene.row(105, at=second)
    assert scene.of(PortfolioSnapshot) == []  # another row of this time may follow
    scene.row(200, at=second + 1)
    (snapshot,) = scene.of(PortfolioSnapshot)
    assert (snapshot.ts_us, snapshot.currency, snapshot.positions_count) == (hour, "USDT", 1)
    assert (snapshot.balance, snapshot.unrealized_pnl, snapshot.equity) == (100_000, 30, 100_030)
    assert (snapshot.exposure_gross, snapshot.peak_equity, snapshot.drawdown) == (1050, 100_030, 0)
    scene.row(90, at=second + 3 * 3600)  # one for the hours without rows, at the first of them
    scene.row(90, at=second + 3 * 3600 + 5)
    assert [one.ts_us - hour for one in scene.of(PortfolioSnapshot)] == [0, HOUR, 3 * HOUR]
    assert [one.equity for one in scene.of(PortfolioSnapshot)] == [100_030, 100_980, 99_880]


def test_block_size_does_not_move_the_hourly_record() -> None:
    hour = (T0 // HOUR + 1) * HOUR
    second = (hour - T0) // SECOND
    prices = [(second - 2, 101), (second, 104), (second, 103), (second + 1, 90), (second + 2, 80)]
    found = []
    for size in (1, 2, 5):
        scene = Scene(strategy())
        scene.fill(submitted(scene.row(101, at=1)), 10, 102)
        for start in range(0, 5, size):
            part = prices[start : start + size]
            scene.feed([0] * len(part), rows(*part))
        found.append([(one.ts_us, one.equity) for one in scene.of(PortfolioSnapshot)])
    assert found == [[(hour, 100_010)]] * 3


def test_hour_is_recorded_before_an_answer_that_comes_after_it() -> None:
    scene = Scene(strategy())
    hour = (T0 // HOUR + 1) * HOUR
    order = submitted(scene.row(101, at=(hour - T0) // SECOND))
    fill = {"trade_id": "1", "price": 102, "qty": 10, "fee": D(5), "maker": False}
    scene.say(OrderFilled, client_order_id=order.client_order_id, at_us=hour + 1, **fill)
    (snapshot,) = scene.of(PortfolioSnapshot)
    assert (snapshot.ts_us, snapshot.equity, snapshot.positions_count) == (hour, 100_000, 0)


def test_account_is_recorded_when_a_trade_closes_at_the_marks_of_that_place() -> None:
    other = strategy("t", instrument=ETH.id, z1=LATER)
    crash = "{ name: crash, when: price < 95 }"
    scene = Scene(strategy(protect="stop_loss: 10%", e1=crash), others=[(ETH, other)])
    eth = submitted(scene.feed([1], rows((1, 101))))
    scene.fill(eth, 10, 102)
    scene.second = 1
    stop = bought(scene)
    assert stop is not None
    scene.accept(stop)
    block = np.concatenate([rows((3, 90)), rows((4, 500))], axis=1)
    loaded = scene.bot.load(np.array([0, 1], np.int64), block)
    place, _ = scene.bot.advance(loaded, 0, 2)
    assert place == 1  # the crash stopped it: ETH's row at 500 is scanned, and still to come
    scene.second = 3
    scene.fill(stop, 10, 91)
    (snapshot,) = scene.of(PortfolioSnapshot)
    assert (snapshot.ts_us, snapshot.currency) == (T0 + 3 * SECOND, "USDT")
    assert (snapshot.balance, snapshot.unrealized_pnl) == (100_000 - 110, -10)  # ETH: 102 to 101
    assert snapshot.drawdown == D("0.0012")
