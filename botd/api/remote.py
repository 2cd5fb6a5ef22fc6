"""The daemon, as the process of its API sees it: what it was told last, and what it can be asked for."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Final

from botd.api.facts import ConfigFacts, Facts, Wire
from botd.api.library import Library
from botd.api.link import LATE_S, Answer, Asked, Begin, Logged, News, ReloadNews, Shut, What, packed
from botd.api.routes import Clock, ReloadDesk
from botd.core.reload import ReloadOutcome
from botd.core.restraint import ACCOUNT, TradingCommand, Verb
from botd.telemetry import fields_of

_TRACE: Final = logging.Formatter()


class Remote:
    """Keeps facts as the daemon tells them, and passes on what people ask; see `Controls`, `ReloadDesk`."""

    def __init__(self, link: Connection, begin: Begin, library: Library, wire: Wire, clock: Clock) -> None:
        self._link = link
        self._library = library
        self._wire = wire
        self._clock = clock
        self._saying = threading.Lock()
        self._asked: dict[int, Callable[[Answer], None]] = {}
        self._numbers = itertools.count(1)
        self._config: ConfigFacts | None = None
        self._reloads: ReloadNews | None = None
        self._lag_s = 0.0
        self._told_s = clock.monotonic()
        self._books = False
        self.facts = Facts(
            mode=begin.mode,
            version=begin.version,
            started_us=begin.started_us,
            pid=begin.pid,
            config=self._the_config,
            lag_s=self._how_late,
        )
        self.hear(begin.news)

    # ---- told -------------------------------------------------------------------------------------

    def hear(self, news: News | Answer) -> None:
        """Take what the daemon says; from one thread."""
        if isinstance(news, Answer):
            asked = self._asked.pop(news.number, None)
            if asked is not None:
                asked(news)
            return
        facts = self.facts
        self._config = news.config or self._config
        self._reloads = news.reloads
        self._lag_s, self._told_s = news.lag_s, self._clock.monotonic()
        facts.open_files = news.open_files
        facts.session_id, facts.trades = news.session_id, news.trades
        facts.row_us, facts.row_at_us = news.row_us, news.row_at_us
        facts.trading_state, facts.snapshot, facts.commits = news.trading_state, news.snapshot, news.commits
        if news.books and not self._books:
            self._library.open()
        elif self._books and not news.books:
            self._library.shut()
            self.say(Shut())
        self._books = news.books
        for records in news.groups:
            self._wire.publish(records)

    def _the_config(self) -> ConfigFacts:
        if self._config is None:
            raise RuntimeError("the daemon has not said by which files it trades")
        return self._config

    def _how_late(self) -> float:
        """Return the lag of the trading loop; of a daemon that says nothing, since when."""
        silent_s = self._clock.monotonic() - self._told_s
        return max(self._lag_s, silent_s if silent_s > LATE_S else 0.0)

    # ---- asked ------------------------------------------------------------------------------------

    def halt(self, who: str, reason: str, then: Callable[[], None]) -> None:
        self._ask("halt", lambda _: then(), who, reason)

    def resume(self, who: str, reason: str, then: Callable[[], None]) -> None:
        self._ask("resume", lambda _: then(), who, reason)

    def ask(self, command: TradingCommand, then: Callable[[], None]) -> None:
        what: What = "close" if command.verb is Verb.CLOSE else "cancel"
        self._ask(what, lambda _: then(), command.who, command.reason, command.scope, command.strategy)

    def reloads(self) -> ReloadDesk | None:
        """Return the way to reload, None while the daemon has none."""
        return None if self._reloads is None else RemoteReloads(self._reloads, self._reload)

    def _reload(self, who: str) -> Future[ReloadOutcome]:
        found: Future[ReloadOutcome] = Future()

        def heard(answer: Answer) -> None:
            if answer.broke:
                found.set_exception(RuntimeError(answer.broke))
            elif answer.outcome is None:
                found.cancel()
            else:
                found.set_result(answer.outcome)

        self._ask("reload", heard, who)
        return found

    def _ask(
        self,
        what: What,
        heard: Callable[[Answer], None],
        who: str,
        reason: str = "",
        scope: str = ACCOUNT,
        strategy: str = "",
    ) -> None:
        number = next(self._numbers)
        self._asked[number] = heard
        self.say(Asked(number=number, what=what, who=who, reason=reason, scope=scope, strategy=strategy))

    def say(self, said: Asked | Shut | Logged) -> None:
        """Tell the daemon something; from any thread. One that is gone needs no word."""
        with self._saying, suppress(OSError):
            self._link.send_bytes(packed(said))


class RemoteReloads:
    """The reloads of the daemon, as last told."""

    def __init__(self, news: ReloadNews, request: Callable[[str], Future[ReloadOutcome]]) -> None:
        self._news = news
        self.request = request

    def last(self) -> ReloadOutcome | None:
        return self._news.last

    def swapped_us(self) -> int | None:
        return self._news.swapped_us


class RemoteLog(logging.Handler):
    """Has the daemon's log take what this process logs."""

    def __init__(self, say: Callable[[Logged], None]) -> None:
        super().__init__(logging.INFO)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        fields = fields_of(record)
        if record.exc_info:
            fields["exception"] = _TRACE.formatException(record.exc_info)
        line = Logged(name=record.name, level=record.levelno, message=record.getMessage(), fields=fields)
        self._say(line)
