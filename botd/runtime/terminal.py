"""The daemon's screen: a live table on a terminal, plain lines everywhere else."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from rich.console import Console
from rich.live import Live

from botd.core.bot import Bot
from botd.core.instrument import Instrument
from botd.core.money import ZERO
from botd.core.records import Record
from botd.ports import Clock
from botd.runtime.panels import Frame, Heading, draw
from botd.runtime.tally import Tally, clock_text, money, number
from botd.runtime.view import View, look

REFRESH_S: Final = 0.25
STATUS_EVERY_US: Final = 60_000_000
RATE_OVER_US: Final = 5_000_000
LINES_MAX: Final = 2_000  # waiting to be written; more are counted, not kept


class Screen:
    """Show what the bot does.

    `update` and `observe` belong to the task that owns the bot: they copy and count, and write nothing.
    `run` is a task of its own that draws four times a second, or writes a line for every closed trade,
    denial and alert and a status line a minute where the console is no terminal.
    """

    def __init__(
        self,
        console: Console,
        clock: Clock,
        heading: Heading,
        instruments: Sequence[Instrument],
        *,
        write: Callable[[str], None] | None = None,
    ) -> None:
        """`write` takes plain lines in place of the console."""
        self._console = console
        self._clock = clock
        self._heading = heading
        self._write = write or self._print
        self._currencies = {str(one.id): one.quote for one in instruments}
        self._tally = Tally({one.id: one for one in instruments})
        self._view: View | None = None
        self._before: dict[str, int] = {}
        self._lines: deque[str] = deque(maxlen=LINES_MAX)
        self._lines_lost = 0
        self._started_us = clock.now_us()
        self._status_us = self._started_us
        self._samples: deque[tuple[int, int, int]] = deque()  # (wall time, event time, rows)
        self.live = console.is_terminal and write is None

    # ---- from the task that owns the bot --------------------------------------------------------

    def update(self, records: Sequence[Record]) -> None:
        """Count records that have been committed."""
        lines = self._tally.add(records)
        if not self.live:
            for line in lines:
                self._keep(line)

    def observe(self, bot: Bot, ts_us: int) -> None:
        """Copy what is to be seen of the bot between two blocks; `ts_us` is its event time."""
        self._view = look(bot, ts_us)
        for runner in bot.runners:
            self._tally.of(runner.strategy.id)
        now_us = self._clock.now_us()
        self._samples.append((now_us, ts_us, self._view.rows))
        while now_us - self._samples[0][0] > RATE_OVER_US and len(self._samples) > 2:
            self._samples.popleft()

    # ---- drawing --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Draw or write until cancelled; the last picture stays."""
        if self.live:
            await self._run_live()
        else:
            await self._run_lines()

    async def _run_live(self) -> None:
        live = Live(console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        with live:
            try:
                while True:
                    # Drawing takes longer than a decision may wait; a frame is frozen, so a thread can do it.
                    await asyncio.to_thread(self._show, live, self._frame())
                    await asyncio.sleep(REFRESH_S)
            finally:
                self._show(live, self._frame())

    async def _run_lines(self) -> None:
        try:
            while True:
                self.flush()
                await asyncio.sleep(REFRESH_S)
        finally:
            self.flush()

    def flush(self) -> None:
        """Write the lines that wait, and the status line when it is due."""
        while self._lines:
            self._write(self._lines.popleft())
        if self._lines_lost:
            self._write(f"{self._lines_lost} more lines were not written: they came too fast")
            self._lines_lost = 0
        now_us = self._clock.now_us()
        if not self.live and self._view is not None and now_us - self._status_us >= STATUS_EVERY_US:
            self._status_us = now_us
            self._write(self.status(self._view))

    def log_stream(self) -> io.TextIOBase:
        """Return a stream for the log that does not run into the live table: its lines go above it."""
        return _LinesAbove(self._console)

    def _show(self, live: Live, frame: Frame) -> None:
        live.update(draw(frame, self._console.height), refresh=True)

    def _frame(self) -> Frame:
        view, rates = self._view, self._rates()
        before = self._before
        if view is not None:
            self._before = {str(lane.instrument.id): lane.last or 0 for lane in view.lanes}
        return Frame(
            heading=self._heading,
            view=view,
            before=before,
            strategies={name: replace(t, net=dict(t.net)) for name, t in self._tally.strategies.items()},
            currencies=self._currencies,
            decisions=tuple(self._tally.decisions),
            up_us=self._clock.now_us() - self._started_us,
            rows_per_s=rates[0] if rates else None,
            speed=rates[1] if rates else None,
        )

    def _rates(self) -> tuple[float, float] | None:
        """Return rows per second and event time over wall time of the last seconds."""
        if len(self._samples) < 2:
            return None
        (wall0, event0, rows0), (wall1, event1, rows1) = self._samples[0], self._samples[-1]
        if wall1 <= wall0:
            return None
        return (rows1 - rows0) * 1e6 / (wall1 - wall0), (event1 - event0) / (wall1 - wall0)

    # ---- lines ----------------------------------------------------------------------------------

    def _keep(self, line: str) -> None:
        if len(self._lines) == LINES_MAX:
            self._lines_lost += 1
        else:
            self._lines.append(line)

    def _print(self, line: str) -> None:
        self._console.out(line, highlight=False)

    def status(self, view: View) -> str:
        """Return the status line."""
        total = self._tally.total()
        equity = ", ".join(
            f"{money(one.equity, one.currency)} {one.currency}" if one.equity is not None else "price unknown"
            for one in view.accounts
        )
        rates = self._rates()
        speed = f", {rates[0]:,.0f} rows/s at {rates[1]:,.1f}x" if rates else ""
        return (
            f"{clock_text(view.ts_us)} status {view.trading}, equity {equity}; "
            f"{len(view.positions)} open, {total.signals} S1, {total.entries} Z1, {total.denied} denied, "
            f"{total.trades} trades; {view.rows:,} rows{speed}"
        )

    def summary(self) -> str:
        """Return what the run came to, for its end; counts are since this start."""
        total = self._tally.total()
        lines = [f"session {self._heading.session} ({self._heading.mode}), {self._heading.feed}"]
        if self._view is not None:
            lines.append(f"  rows       {self._view.rows:,} up to {clock_text(self._view.ts_us)} UTC")
        lines.append(f"  signals    {total.signals} S1, {total.entries} Z1")
        won = f", {total.wins} won" if total.trades else ""
        lines.append(f"  trades     {total.trades} closed{won}")
        lines += self._profit_lines()
        lines += self._view_lines()
        denied = ", ".join(f"{count} {reason}" for reason, count in self._tally.denials.most_common())
        lines.append(f"  denied     {total.denied}{f': {denied}' if denied else ''}")
        if not self._tally.alerts:
            lines.append("  alerts     none")
        for (severity, kind), count in self._tally.alerts.most_common():
            message = self._tally.last_alert[severity, kind]
            lines.append(f"  alerts     {count} {severity} {kind}, the last: {message}")
        return "\n".join(lines)

    def _profit_lines(self) -> list[str]:
        lines = []
        for currency, realized in self._tally.realized.items():
            fees: Decimal = self._tally.fees.get(currency, ZERO)
            net = money(realized - fees, currency, signed=True)
            lines.append(
                f"  P&L        {net} {currency} after {money(fees, currency)} {currency} of fees "
                "(closed trades)"
            )
        return lines

    def _view_lines(self) -> list[str]:
        view = self._view
        if view is None:
            return []
        lines = []
        for one in view.accounts:
            if one.equity is not None:
                change = (
                    f" ({float(one.equity / one.start - 1):+.2%} since the beginning)" if one.start else ""
                )
                lines.append(f"  equity     {money(one.equity, one.currency)} {one.currency}{change}")
        if not view.positions:
            lines.append("  positions  none open")
        for held in view.positions:
            quote = held.instrument.quote
            gain = (
                "" if held.unrealized is None else f", {money(held.unrealized, quote, signed=True)} {quote}"
            )
            lines.append(
                f"  positions  {held.strategy} {held.instrument.id} {held.side} {number(held.qty)} "
                f"from {number(held.entry_price)}, {gain}"
            )
        return lines


class _LinesAbove(io.TextIOBase):
    """A text stream whose whole lines are written through a console, above what it keeps live."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._console.out(line, highlight=False)
        return len(text)
