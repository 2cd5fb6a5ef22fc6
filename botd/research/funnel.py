"""Where the signals of a run went: from what was seen to the trades that came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from botd.core.events import ClientOrderId, Section
from botd.core.orders import TERMINAL
from botd.core.records import FillRecord, OrderRecord, Record, RiskRecord, SignalRecord, TradeRecord
from botd.core.updates import OrderUpdate


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """How many signals went how far; `signals` is the sum of all that left it, and of `orders`."""

    signals: int  # S1 came true
    recorded_only: int  # confidence under confidence_min
    cancelled: int  # forgotten by O1
    denied: tuple[tuple[str, int], ...]  # by risk: reason and how often, most frequent first
    undecided: int  # Z1 not yet true at the end of the data
    orders: int  # entries sent
    unfilled: int  # of the orders: over, and nothing filled
    trades: int  # closed round trips

    @property
    def denied_count(self) -> int:
        return sum(count for _, count in self.denied)


def count_funnel(records: Sequence[Record]) -> Funnel:
    """Count what became of every signal of a run."""
    signals = [r for r in records if isinstance(r, SignalRecord) and r.section is Section.S1]
    acted = sum(signal.acted for signal in signals)
    cancelled = sum(isinstance(r, SignalRecord) and r.section is Section.O1 for r in records)
    denied = Counter(str(r.reason) for r in records if isinstance(r, RiskRecord) and r.reason is not None)
    orders = [r.client_order_id for r in records if isinstance(r, OrderRecord) and r.section is Section.Z1]
    return Funnel(
        signals=len(signals),
        recorded_only=len(signals) - acted,
        cancelled=cancelled,
        denied=_most_first(denied),
        undecided=acted - cancelled - denied.total() - len(orders),
        orders=len(orders),
        unfilled=len(set(orders) & _ended_empty(records)),
        trades=sum(isinstance(r, TradeRecord) for r in records),
    )


def _ended_empty(records: Sequence[Record]) -> set[ClientOrderId]:
    """Return the orders that are over without a fill; a fill may come after an order's end."""
    over = {r.client_order_id for r in records if isinstance(r, OrderUpdate) and r.status in TERMINAL}
    return over - {r.client_order_id for r in records if isinstance(r, FillRecord)}


def pool_funnels(funnels: Iterable[Funnel]) -> Funnel:
    """Return the sums over several runs."""
    every = list(funnels)
    denied: Counter[str] = Counter()
    for one in every:
        denied.update(dict(one.denied))
    return Funnel(
        signals=sum(one.signals for one in every),
        recorded_only=sum(one.recorded_only for one in every),
        cancelled=sum(one.cancelled for one in every),
        denied=_most_first(denied),
        undecided=sum(one.undecided for one in every),
        orders=sum(one.orders for one in every),
        unfilled=sum(one.unfilled for one in every),
        trades=sum(one.trades for one in every),
    )


def _most_first(denied: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(denied.items(), key=lambda item: (-item[1], item[0])))
