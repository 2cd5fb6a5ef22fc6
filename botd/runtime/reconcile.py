"""Reconciliation: what we believe against what the venue says, every few seconds."""

from __future__ import annotations

from botd.core.events import SubmitOrder
from botd.core.reconcile import Adjustment, VenueOrder, VenueView, confirmed, diff
from botd.core.settings import ExecutionSettings
from botd.ports import Clock, ListedVenue
from botd.runtime.loop import TradingLoop
from botd.runtime.supervisor import Alert


class Reconciler:
    """Compares orders and positions with the venue's; two reads that agree become an alert.

    Nothing is traded on a difference: what we cannot explain, a person looks at.
    """

    def __init__(
        self, loop: TradingLoop, venue: ListedVenue, clock: Clock, alert: Alert, settings: ExecutionSettings
    ) -> None:
        self._loop = loop
        self._venue = venue
        self._clock = clock
        self._alert = alert
        self._settings = settings
        self._last: tuple[Adjustment, ...] = ()
        self.found: tuple[Adjustment, ...] = ()

    def go_by(self, settings: ExecutionSettings) -> None:
        """Take other settings, from the next comparison on."""
        self._settings = settings

    async def run(self) -> None:
        """Check at every interval until cancelled."""
        while True:
            await self._clock.sleep_until(self._clock.now_us() + self._settings.sync_positions_us)
            self.check()

    def check(self) -> tuple[Adjustment, ...]:
        """Compare now; return what this read and the one before agree on."""
        if self._loop.recovery is not None:
            return ()
        desk = self._loop.bot.desk
        view = VenueView(
            ts_us=self._loop.ts_us,
            orders=tuple(_listed(command, leaves) for command, leaves in self._venue.working()),
            positions=self._venue.positions(),
        )
        now = diff(
            desk.orders.live(),
            desk.portfolio.net_quantities(),
            view,
            grace_us=self._settings.order_timeout_us,
        )
        self.found = confirmed(self._last, now)
        self._last = now
        for one in self.found:
            self._alert("reconcile", f"the venue disagrees: {one}")
        return self.found


def _listed(command: SubmitOrder, filled_qty: tuple[int, int]) -> VenueOrder:
    filled, qty = filled_qty
    return VenueOrder(
        client_order_id=command.client_order_id,
        instrument=command.instrument,
        side=command.side,
        qty=qty,
        filled=filled,
        reduce_only=command.reduce_only,
        limit=command.limit,
        stop=command.stop,
    )
