"""The process of the API, as its daemon keeps it: begun anew whenever it ends, and ended with the daemon.

Two threads do this. Neither the trading thread nor whoever else says something ever waits for the process.
"""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Final

from botd.api.library import READ_S
from botd.api.link import Answer, Asked, Begin, End, Logged, News, Shut, Told, log_line, unpacked
from botd.api.thread import BACKOFF_S, STOP_S, WELL_S
from botd.core.records import Record

log = logging.getLogger(__name__)

PROGRAM: Final = (sys.executable, "-P", "-m", "botd.api_process")
GATHER_S: Final = 0.05  # what is committed within this goes over in one message
NEWS_S: Final = 0.2  # without a commit
END_S: Final = STOP_S + 1.0  # that the process gets to close its connections and end
SHUT_S: Final = READ_S + 1.0  # that its readers get to leave the books
WAITING_MAX: Final = 10_000  # groups that a process has not been told of yet
SAID_MAX: Final = 1 << 20  # bytes of one message
# of the environment: what Python and the machine need, and none of the venue's keys
_PASSED: Final = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ", "VIRTUAL_ENV")
_PASSED_WITH: Final = ("LC_", "PYTHON")


def environment_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what the process may see of the daemon's environment."""
    return {
        name: text for name, text in environment.items() if name in _PASSED or name.startswith(_PASSED_WITH)
    }


class ApiProcess:
    """Keeps the process, tells it what happens, and hears what people ask of it."""

    def __init__(
        self,
        listening: socket.socket,
        environment: Mapping[str, str],
        *,
        begin: Callable[[News], Begin],
        news: Callable[[Sequence[Sequence[Record]], bool], News],
        heard: Callable[[Asked], None],
        monotonic: Callable[[], float],
        backoff_s: tuple[float, ...] = BACKOFF_S,
    ) -> None:
        """`news` is made of the groups committed since, or of everything for one who knows nothing."""
        self.listening = listening
        self._environment = environment_of(environment)
        self._begin = begin
        self._news = news
        self._heard = heard
        self._monotonic = monotonic
        self._backoff_s = backoff_s
        self._groups: deque[Sequence[Record]] = deque(maxlen=WAITING_MAX)
        self._answers: list[Answer] = []
        self._link: Connection | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._has_books = False  # the process may be reading them
        self._hurries = self._stops = False
        self._turn = threading.Condition()
        self._sending = threading.Lock()  # a link is not closed under who sends
        self._keeper = threading.Thread(target=self._keep, name="botd-api-keep", daemon=True)
        self._teller = threading.Thread(target=self._tell, name="botd-api-tell", daemon=True)

    def start(self) -> None:
        self._keeper.start()
        self._teller.start()

    @property
    def pid(self) -> int | None:
        """Return the number of the process, None between two."""
        return None if self._link is None or self._process is None else self._process.pid

    def publish(self, records: Sequence[Record]) -> None:
        """Leave committed records to be told."""
        self._groups.append(records)

    def answer(self, answer: Answer) -> None:
        """Have an answer told at once, after the news that it is part of."""
        with self._turn:
            self._answers.append(answer)
            self._hurry()

    def shut(self) -> None:
        """Have it hear at once that the books are shut; return once it reads them no more, or soon."""
        with self._turn:
            self._hurry()
            if not self._turn.wait_for(lambda: not self._has_books, SHUT_S):
                log.warning("the API still reads the books: their write-ahead log may stay")

    def stop(self) -> None:
        """End it in order; what does not end by then is killed."""
        with self._turn:
            self._stops = True
            self._hurry()
        if self._teller.is_alive():
            self._teller.join(STOP_S)
        if (process := self._process) is not None:
            _end(process)
        if self._keeper.is_alive():
            self._keeper.join(END_S)
        self.listening.close()

    def _hurry(self) -> None:
        self._hurries = True
        self._turn.notify_all()

    # ---- telling ----------------------------------------------------------------------------------

    def _tell(self) -> None:
        """Tell it what there is to tell, until the daemon stops."""
        knows: Connection | None = None  # who has been told where it began
        told_s = 0.0
        stops = False
        while not stops:
            with self._turn:
                self._turn.wait_for(lambda: self._hurries, GATHER_S)
                link, stops = self._link, self._stops
                due = self._hurries or self._groups or self._monotonic() - told_s >= NEWS_S
                self._hurries = False
                if link is None or not due:
                    continue
                messages = self._take(first=link is not knows)
            told_s, knows = self._monotonic(), link
            with self._sending, suppress(OSError):  # it is gone: whoever keeps it sees that as well
                for one in [*messages, End()] if stops else messages:
                    link.send(one)

    def _take(self, *, first: bool) -> list[Told]:
        """Return what it is to be told now."""
        groups = []
        while self._groups:
            groups.append(self._groups.popleft())
        news = self._news(groups, first)
        self._has_books = self._has_books or news.books
        answers, self._answers = self._answers, []
        return [self._begin(news) if first else news, *answers]

    # ---- keeping ----------------------------------------------------------------------------------

    def _keep(self) -> None:
        failures = 0
        while not self._stops:
            began_s = self._monotonic()
            code = self._live()
            if self._stops:
                return
            failures = 0 if self._monotonic() - began_s > WELL_S else failures
            wait_s = self._backoff_s[min(failures, len(self._backoff_s) - 1)]
            failures += 1
            fields = {"wait_s": wait_s, "code": code}
            log.critical("the API's process ended and begins anew; trading goes on", extra=fields)
            with self._turn:
                self._turn.wait_for(lambda: self._stops, wait_s)

    def _live(self) -> int | str:
        """Begin a process and hear it until it ends; return its exit code, or why there is none."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                passed = (theirs.fileno(), self.listening.fileno())
                process = subprocess.Popen(
                    [*PROGRAM, *map(str, passed)],
                    pass_fds=passed,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                )
        except (OSError, ValueError) as error:  # ValueError: of an address that a stop has closed
            ours.close()
            return str(error)
        link = Connection(ours.detach())
        with self._turn:
            self._process, self._link = process, link
            if self._stops:  # nobody is left to tell it anything
                process.kill()
            self._hurry()
        self._hear(link, process)
        with self._turn:
            self._link, self._has_books = None, False
            self._turn.notify_all()
        code = _end(process)  # from here on nothing can hang in a send
        with self._sending:
            link.close()
        return code

    def _hear(self, link: Connection, process: subprocess.Popen[bytes]) -> None:
        """Hear what it says, until it ends or says what it may not."""
        while True:
            try:
                said = unpacked(link.recv_bytes(SAID_MAX))
            except (EOFError, OSError):
                return
            except ValueError as error:
                log.critical("the API's process says what it may not", extra={"error": str(error)})
                process.kill()
                return
            self._take_in(said)

    def _take_in(self, said: Asked | Shut | Logged) -> None:
        if isinstance(said, Logged):
            log_line(said)
        elif isinstance(said, Shut):
            with self._turn:
                self._has_books = False
                self._turn.notify_all()
        else:
            try:
                self._heard(said)
            except Exception:
                log.exception("what the API asked for failed", extra={"what": said.what})


def _end(process: subprocess.Popen[bytes]) -> int:
    """Give a process a while to end; then kill it. Return its exit code."""
    try:
        return process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
