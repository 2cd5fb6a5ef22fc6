"""What a venue says of a trade, as the bot is told it: what it cost, and that it is taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from botd.core.events import ClientOrderId, FeeTaken, TradeBusted
from botd.core.external import bust_name
from botd.core.money import ZERO
from botd.core.portfolio import UNOWNED_PART
from botd.ports import VenueFill

FAMILY: Final = "botd"  # every client order id of every botd at a remote venue begins with it


def seen_name(instrument: str, client_order_id: str, trade_id: str) -> tuple[str, str]:
    """Return what a fill is known by: its order where that is ours, else its instrument; and its trade id."""
    own = client_order_id.startswith(FAMILY)
    trade, _, _ = trade_id.partition(UNOWNED_PART)  # nobody's part of it is booked under a name of its own
    return (client_order_id if own else instrument, trade)


def fees_of(fill: VenueFill) -> dict[str, Any]:
    """Return what a fill cost: in the quote currency, and as it was taken where that is another one."""
    if not fill.fee_currency:
        return {"fee": fill.fee}
    return {"fee": fill.fee_value or ZERO, "taken": FeeTaken(fill.fee, fill.fee_currency)}


class Busts:
    """The trades that the venue has taken back."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell
        self.names: set[str] = set()

    def cover(self, fill: VenueFill, *, booked: bool) -> bool:
        """Return whether this trade is taken back, by what is shown now or was before; tell of it once."""
        name = bust_name(fill.instrument, fill.client_order_id, fill.trade_id)
        if fill.busted and name not in self.names:
            self.names.add(name)
            self._tell(
                TradeBusted,
                fill.ts_us,
                client_order_id=ClientOrderId(fill.client_order_id),
                instrument=fill.instrument,
                trade_id=fill.trade_id,
                side=fill.side,
                price=fill.price,
                qty=fill.qty,
                **fees_of(fill),
                booked=booked,
            )
        return name in self.names
