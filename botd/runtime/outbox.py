"""How far what is committed has been told: what nobody has heard of, the next start tells.

The mark is written after the telling: each trade and alert is told at least once, and may be told twice. Each
line ends with the number of its record, by which a reader knows it again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from botd.core.updates import Untold, UntoldTrade
from botd.runtime.tally import alert_line, trade_line

NAME: Final = "published"
_SIZE: Final = 256  # one write of a fixed size: it is there as a whole or not at all
AGAIN_MAX: Final = 1_000  # lines told again; more than that lie in the books alone

log = logging.getLogger(__name__)


class Books(Protocol):
    """The part of a journal that is read."""

    def untold(self, session_id: str, seq: int) -> Sequence[Untold]: ...


class Outbox:
    """Keeps the mark of one state folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def mark(self, session_id: str, seq: int) -> None:
        """Note that everything up to a record has been told; a mark that cannot be written is told again."""
        body = f"{seq} {session_id}\n".encode().ljust(_SIZE)
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.pwrite(descriptor, body, 0)
            finally:
                os.close(descriptor)
        except OSError as error:
            log.warning("what was told cannot be noted", extra={"path": str(self._path), "error": str(error)})

    def begin(self, session_id: str, seq: int) -> None:
        """Note where the telling begins, unless there is a mark: dying before the first one loses nothing."""
        if self.marked() is None:
            self.mark(session_id, seq)

    def marked(self) -> tuple[str, int] | None:
        """Return the session and the record up to which everything has been told, None where nothing says."""
        try:
            seq, session_id = self._path.read_text(encoding="utf-8").split()
            return session_id, int(seq)
        except (OSError, ValueError):
            return None

    def tell_again(self, books: Books, say: Callable[[str], None]) -> None:
        """Tell of the trades and alerts that were committed after the mark."""
        marked = self.marked()
        if marked is None:
            return
        found = books.untold(*marked)
        if len(found) > AGAIN_MAX:
            say(f"{len(found) - AGAIN_MAX} trades and alerts more were not told of; the state file has them")
        for one in found[-AGAIN_MAX:]:
            say(_line(one))


def _line(one: Untold) -> str:
    if isinstance(one, UntoldTrade):
        return trade_line(one.ts_us, one.strategy, one.instrument, one.net, one.grounds, one.seq)
    return alert_line(one.ts_us, one.severity, one.type, one.message, one.seq)
