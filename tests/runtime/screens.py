"""What the tests of the screen share: a small bot, what it holds, and records."""

from decimal import Decimal
from typing import Any

from botd.core.bot import Bot
from botd.core.events import ClientOrderId, OrderType, Section, Side, TimeInForce
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.outcomes import DenyReason
from botd.core.records import IntentRecord, OrderRecord, RiskRecord, SignalRecord, TradeRecord
from botd.core.updates import AlertRecord
from botd.language.strategy import read_strategy
from botd.language.typed import Strategy
from tests.core.amounts import intent_of, order_of, trade_of

D = Decimal
SECOND = 1_000_000
T0 = 1_763_733_802_000_000  # 2025-11-21 14:03:22 UTC
BTC = InstrumentId("BTC/USDT:USDT")
NXS = InstrumentId("NXS/BTC")


def instrument(name: str = BTC, tick: str = "0.1", lot: str = "0.001") -> Instrument:
    base, _, rest = name.partition("/")
    return Instrument(
        id=InstrumentId(name),
        kind=InstrumentKind.PERPETUAL if ":" in name else InstrumentKind.SPOT,
        base=base,
        quote=rest.partition(":")[0],
        tick_size=D(tick),
        lot_size=D(lot),
        taker_fee=D("0.0005"),
        maker_fee=D("0.0002"),
    )


def strategy(name: str, traded: str) -> Strategy:
    lines = (
        f"strategy: {name}",
        f"instruments: [{traded}]",
        "side: long",
        "S1: { when: price > 0, order: { type: market }, size: { percent: 5% of equity } }",
        "protect: { stop_loss: 1% }",
        "on_stop: cancel",
        "",
    )
    text = "\n".join(lines)
    found, diagnostics = read_strategy(text, f"{name}.yaml")
    assert found is not None, diagnostics
    return found


def hold(bot: Bot, *, lots: int, price: int, side: Side = Side.BUY) -> None:
    bot.desk.portfolio.apply_fill(
        "dip", bot.lanes[0].instrument, side, lots, price, D("0.25"), T0, 1, reducing=False
    )


class Records:
    """Makes records in the order of their seq."""

    def __init__(self) -> None:
        self.seq = 0

    def _common(self, **values: Any) -> dict[str, Any]:
        self.seq += 1
        return {"seq": self.seq, "strategy": "dip", "instrument": BTC, "ts_us": T0} | values

    def signal(self, section: Section = Section.S1, **values: Any) -> SignalRecord:
        base = {"section": section, "rule": "", "cycle": 1, "row": 7, "side": Side.BUY, "price": D("50000.0")}
        rest = {"confidence": 0.725, "values": (("speed", 0.0125),), "acted": True}
        return SignalRecord(**self._common(**(base | rest | values)))

    def intent(self, section: Section = Section.Z1, **values: Any) -> IntentRecord:
        base = {"section": section, "rule": "", "cycle": 1, "leg": 0, "row": 7, "side": Side.BUY}
        rest = {"qty": D("0.010"), "price": D("50000.1"), "sizing": "percent: 5%"}
        terms = self._common(**(base | rest | values))
        return intent_of(instrument(terms["instrument"]), **terms)

    def risk(self, intent: IntentRecord, **values: Any) -> RiskRecord:
        base = {"intent_seq": intent.seq, "row": 7, "approved": False, "reason": DenyReason.POSITION_MAX}
        rest = {"limit": D("1000.00"), "actual": D("1234.50")}
        return RiskRecord(**self._common(**(base | rest | values)))

    def order(self, **values: Any) -> OrderRecord:
        base = {"client_order_id": ClientOrderId("t-1"), "intent_seq": 1, "section": Section.Z1, "rule": ""}
        rest = {"cycle": 1, "leg": 0, "row": 7, "side": Side.BUY, "type": OrderType.MARKET}
        last = {"qty": D(1), "limit_price": None, "stop_price": None, "reduce_only": False}
        more = {"tif": TimeInForce.IOC, "decision_price": D(1)}
        return order_of(instrument(), **self._common(**(base | rest | last | more | values)))

    def trade(self, pnl: str, fees: str, **values: Any) -> TradeRecord:
        base = {"cycle": 1, "side": "long", "qty": D("0.010"), "entry_price": D("50000.1")}
        rest = {
            "exit_price": D("50500"),
            "opened_us": T0,
            "closed_us": T0 + 192 * SECOND,
            "exit_rule": "gone",
        }
        last = {"realized_pnl": D(pnl), "fees": D(fees), "exit_section": Section.E1, "confidence": None}
        common = self._common(**(base | rest | last | values))
        del common["ts_us"]
        return trade_of(instrument(common.pop("instrument"), lot="0.0000001"), **common)

    def alert(self, severity: str = "critical", kind: str = "order_rejected") -> AlertRecord:
        return AlertRecord(**self._common(severity=severity, type=kind, message="the venue rejected t-1"))
