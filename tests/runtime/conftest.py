"""Fixtures of the screen's tests."""

import numpy as np
import pytest

from botd.core.bot import Bot, LaneSpec
from botd.core.settings import CoreSettings
from botd.engine import layout as col
from tests.runtime.screens import BTC, NXS, SECOND, T0, D, Records, instrument, strategy


@pytest.fixture
def bot() -> Bot:
    """Two instruments and three rows: BTC/USDT:USDT last at 50,000.0, NXS/BTC at 0.00001."""
    specs = [
        LaneSpec(instrument=instrument(), strategies=(strategy("dip", BTC), strategy("rise", BTC))),
        LaneSpec(instrument=instrument(NXS, "0.00000001", "1"), strategies=(strategy("pump", NXS),)),
    ]
    bot = Bot(CoreSettings(equity={"USDT": D(10000), "BTC": D(1)}), specs, id_prefix="t", block_max=8)
    rows = np.zeros((col.N_INPUT, 3), np.int64)
    rows[col.T] = [T0, T0 + SECOND, T0 + 2 * SECOND]
    rows[col.P] = [499_000, 1_000, 500_000]
    rows[col.BID] = rows[col.P] - 1
    rows[col.ASK] = rows[col.P] + 1
    rows[col.Q] = rows[col.SIDE] = 1
    block = bot.load(np.array([0, 1, 0]), rows)
    for lane in bot.lanes:
        lane.next = lane.n  # every row has been judged
    assert block.n == 3
    return bot


@pytest.fixture
def make() -> Records:
    return Records()
