"""The daemon's screen: a live table on a terminal, plain lines everywhere else."""

from __future__ import annotations

import io
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from types import TracebackType
from typing import Final, Self, TextIO, cast

from rich.console import Console
from rich.live import Live

from botd.core.bot import Bot
from botd.core.records import Record
from botd.errors import InvariantBroken
from botd.ports import Clock
from botd.runtime.panels import Frame, Heading, draw
from botd.runtime.summary import status, summarize_run
from botd.runtime.supervisor import describe
from botd.runtime.tally import Tally
from botd.runtime.view import look

log = logging.getLogger(__name__)

REFRESH_S: Final = 0.25
OBSERVE_EVERY_US: Final = 250_000
STATUS_EVERY_US: Final = 60_000_000
RATE_OVER_US: Final = 5_000_000
LINES_MAX: Final = 2_000  # waiting to be written; more are counted, not kept
CLOSE_S: Final = 2.0


class Screen:
    """Show what the bot does, between entering and leaving `with`.

    `update`, `observe` and `say` copy and count, and write nothing: a thread of the screen's own draws
    four times a second. Where the console is no terminal it writes a line for every closed trade, denial
    and alert, and a status line a minute. A console that fails silences the screen, nothing else.
    """

    def __init__(
        self, console: Console, clock: Clock, *, mode: str, write: Callable[[str], None] | None = None
    ) -> None:
        """`write` takes plain lines in place of the console."""
        self.live = console.is_terminal and not console.is_dumb_terminal and write is None
        self._console = console
        self._clock = clock
        self._write = write or self._print
        self._frame = Frame(heading=Heading(mode=mode))
        self._tally = Tally()
        self._since = "since this start"
        self._seen: tuple[Bot, int] | None = None
        self._lines: deque[str | Callable[[], None]] = deque()
        self._lines_lost = 0
        self._started_us = self._observed_us = self._status_us = clock.now_us()
        self._samples: deque[tuple[int, int, int]] = deque()  # (wall time, event time, rows)
        self._drawn: tuple[Frame, int, int, int] | None = None  # what the last picture was made from
        self._dark = False
        self.stuck = False  # its thread hangs in a write, and holds what the end of Python waits for
        self._thread: threading.Thread | None = None
        self._done = threading.Event()

    # ---- what happens ---------------------------------------------------------------------------

    def begin(self, *, session: str, feed: str) -> None:
        """Say which session runs on which data."""
        heading = Heading(mode=self._frame.heading.mode, session=session, feed=feed)
        self._frame = replace(self._frame, heading=heading)

    def update(self, records: Sequence[Record], *, announce: bool = True) -> None:
        """Count records that have been committed; a warm-up's are not announced one by one.

        The live table shows them by itself; before it is on, lines are all there is.
        """
        if not announce:
            self._since = "since this start, its warm-up included"
        for line in self._tally.add(records):
            if announce and (not self.live or self._thread is None):
                self.say(line)

    def observe(self, bot: Bot, ts_us: int) -> None:
        """Note where the bot stands at an event time, between two blocks; at most four times a second."""
        first = self._seen is None
        self._seen = (bot, ts_us)
        now_us = self._clock.now_us()
        if first or not 0 <= now_us - self._observed_us < OBSERVE_EVERY_US:
            self._observed_us = now_us
            self._take(now_us)

    def say(self, line: str) -> None:
        """Write a line, on a terminal above the table."""
        if self._thread is None:
            self._guard(lambda: self._write(line))
        elif len(self._lines) >= LINES_MAX:
            self._lines_lost += 1
        else:
            self._lines.append(line)

    def after_lines(self, then: Callable[[], None]) -> None:
        """Call a function once all that was said before is written; none where the queue is full."""
        if self._thread is None:
            then()
        elif len(self._lines) < LINES_MAX:
            self._lines.append(then)

    def _take(self, now_us: int) -> None:
        """Copy what the next picture needs, so that the thread never reads what the bot changes."""
        if self._seen is None:
            return
        bot, ts_us = self._seen
        view = look(bot, ts_us)
        for runner in bot.runners:
            self._tally.of(runner.strategy.id)
        self._samples.append((now_us, ts_us, view.rows))
        while now_us - self._samples[0][0] > RATE_OVER_US and len(self._samples) > 2:
            self._samples.popleft()
        (wall0, event0, rows0), (wall1, event1, rows1) = self._samples[0], self._samples[-1]
        passed = wall1 - wall0
        before = self._frame.view
        self._frame = Frame(
            heading=self._frame.heading,
            view=view,
            before={one.instrument.id: one.last or 0 for one in before.lanes} if before else {},
            strategies={name: replace(t, net=dict(t.net)) for name, t in self._tally.strategies.items()},
            decisions=tuple(self._tally.decisions),
            rows_per_s=(rows1 - rows0) * 1e6 / passed if passed > 0 else None,
            speed=(event1 - event0) / passed if passed > 0 else None,
        )

    # ---- drawing --------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise InvariantBroken("the screen is on already")
        self._done.clear()
        self._thread = threading.Thread(target=self._guard, args=(self._run,), name="screen", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last picture standing."""
        self._take(self._clock.now_us())
        self._done.set()
        if self._thread is not None:
            self._thread.join(CLOSE_S)  # no longer: a terminal can hang in the middle of a write
            self.stuck = self._thread.is_alive()
        self._thread = None

    def _guard(self, write: Callable[[], None]) -> None:
        """Write, unless the console has failed before. Its failure must never end the trading."""
        if self._dark or self.stuck:
            return
        try:
            write()
        except (OSError, SystemExit) as error:  # rich exits where a pipe is closed
            self._dark = True
            log.warning("the screen cannot be written to, it stays dark", extra={"error": describe(error)})
        except Exception:
            self._dark = True
            log.exception("the screen failed, it stays dark")

    def _run(self) -> None:
        """Keep the screen until it is left."""
        table: Live | None = None
        if self.live:
            table = Live(
                console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
            )
        with table or nullcontext():
            while not self._done.wait(REFRESH_S):
                self._show(table)
            self._show(table)

    def _show(self, table: Live | None) -> None:
        while self._lines:
            line = self._lines.popleft()
            if isinstance(line, str):
                self._write(line)
            else:
                line()
        if self._lines_lost:
            lost, self._lines_lost = self._lines_lost, 0
            self._write(f"{lost} more lines came too fast to be written")
        now_us, frame = self._clock.now_us(), self._frame
        if table is not None:
            up_us = now_us - self._started_us
            drawn = (frame, up_us // 1_000_000, *self._console.size)
            if self._drawn is None or drawn[0] is not self._drawn[0] or drawn[1:] != self._drawn[1:]:
                self._drawn = drawn
                table.update(
                    draw(frame, width=self._console.width, height=self._console.height, up_us=up_us),
                    refresh=True,
                )
        elif frame.view is not None and now_us - self._status_us >= STATUS_EVERY_US:
            self._status_us = now_us
            self._write(status(frame))

    def _print(self, line: str) -> None:
        self._console.out(line, highlight=False)

    def log_stream(self) -> TextIO:
        """Return a stream for the log that does not run into the live table: its lines go above it."""
        return cast(TextIO, _LinesAbove(self.say))

    def summary(self) -> str:
        """Return what the run came to, for its end; counts are since this start."""
        self._take(self._clock.now_us())
        return summarize_run(self._frame, self._tally, since=self._since)


class _LinesAbove(io.TextIOBase):
    """A text stream that hands on whole lines."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._say(line)
        return len(text)
