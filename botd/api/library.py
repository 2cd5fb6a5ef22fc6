"""Reads of the books: a few threads, one short look each, and one look for all who ask the same at once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Condition
from typing import Final, TypeVar

from botd.api.problems import Problem
from botd.api.routes import Clock
from botd.errors import BotdError, InputInvalid
from botd.store.pages import PageReader

T = TypeVar("T")

FLOOR_S: Final = 0.2  # an answer so young is given again whatever was committed: reads cannot outrun a market
READ_S: Final = 2.0  # that whoever reads gets to end when the books are shut
KEPT_MAX: Final = 256  # answers that may be given again


@dataclass(slots=True)
class _Kept:
    generation: int
    at_s: float
    answer: asyncio.Future[bytes]


class Library:
    """The state file of one daemon, from when that has it open until it closes it; shut before and after.

    A reader that is still there when the writer closes the file would leave the WAL behind.
    """

    def __init__(self, path: Path, clock: Clock, *, threads: int = 2) -> None:
        self.folder = path.parent
        self._path = path
        self._clock = clock
        self._reader: PageReader | None = None
        self._open = False
        self._readers = 0  # threads that may be reading
        self._news = Condition()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="botd-api-read")
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def open(self) -> None:
        """Let readers in; from any thread."""
        with self._news:
            self._open = True

    def shut(self) -> None:
        """Have readers out; from any thread. Returns once they are, or after a moment."""
        with self._news:
            self._open = False
            self._news.wait_for(lambda: not self._readers, READ_S)
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def close(self) -> None:
        """End its threads, for good."""
        self.shut()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def books(self) -> PageReader:
        """Return the open books, inside of `run`; raise Problem where there are none."""
        with self._news:
            if self._reader is None:
                if not self._open:
                    raise Problem(503, "no_books", "the books are not open; ask again")
                try:
                    self._reader = PageReader(self._path)
                except BotdError as error:
                    raise Problem(503, "no_books", "the books cannot be read yet; ask again") from error
            return self._reader

    def session_id(self, running: str, asked: str | None) -> str:
        """Return the session that is meant; raise Problem where there is none."""
        books = self.books()
        if asked is not None:
            if not books.known(asked):
                raise Problem(404, "no_session", f"there is no session {asked}")
            return asked
        if running:
            return running
        try:
            return books.session().id
        except InputInvalid as error:
            raise Problem(503, "no_session", "there is no session yet; ask again") from error

    async def run(self, read: Callable[[], T]) -> T:
        """Run something that may wait for the disk in a thread."""

        def counted() -> T:
            with self._news:
                self._readers += 1
            try:
                return read()
            finally:
                with self._news:
                    self._readers -= 1
                    self._news.notify_all()

        return await asyncio.get_running_loop().run_in_executor(self._threads, counted)

    def forget(self) -> None:
        """Look anew at everything: somebody has done something, and wants to see it."""
        self._kept.clear()

    async def look(self, key: str, generation: int, fresh_s: float, read: Callable[[], bytes]) -> bytes:
        """Return what `read` gives, or gave to who asked the same while nothing has been committed since."""
        now_s = self._clock.monotonic()
        kept = self._kept.get(key)
        if kept is not None:
            age_s = now_s - kept.at_s
            if age_s < FLOOR_S or (age_s < fresh_s and kept.generation == generation):
                return await asyncio.shield(kept.answer)
        answer = asyncio.ensure_future(self.run(read))
        answer.add_done_callback(_heard)
        self._kept[key] = _Kept(generation, now_s, answer)
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        try:
            return await asyncio.shield(answer)
        except Exception:
            if (kept := self._kept.get(key)) is not None and kept.answer is answer:
                del self._kept[key]
            raise


def _heard(answer: asyncio.Future[bytes]) -> None:
    """Take note of a failure that nobody may be left to hear of."""
    if not answer.cancelled():
        answer.exception()
