"""Named points at which a test may end the process as kill -9 would, and what ends it there.

Production code calls `failpoint(Point.X)` where dying is interesting. Nothing happens there unless the
process was armed (`BOTD_FAILPOINT=tx.mid:3:kill9`: it dies the third time it gets there) or is a simulated
one, whose points are watched through its context. The set of points is closed; `MEANING` is their list.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

from botd.errors import InputInvalid

VARIABLE: Final = "BOTD_FAILPOINT"


class Point(StrEnum):
    """Where the daemon can be made to die."""

    GROUP_BEFORE_COMMIT = "group.before_commit"
    GROUP_AFTER_COMMIT = "group.after_commit"
    OUTBOX_BEFORE_PUBLISH = "outbox.before_publish"
    ANSWERS_BEFORE_COMMIT = "answers.before_commit"
    SEND_BEFORE = "send.before"
    SEND_BETWEEN = "send.between"
    SEND_AFTER = "send.after"
    TX_MID = "tx.mid"
    TX_BEFORE_COMMIT = "tx.before_commit"
    TX_AFTER_COMMIT = "tx.after_commit"
    WRITER_BEFORE = "writer.before"
    WRITER_AFTER = "writer.after"
    REQUEST_BEFORE = "request.before"
    REQUEST_AFTER = "request.after"
    SNAPSHOT_BEFORE = "snapshot.before"
    SNAPSHOT_FILE = "snapshot.file"
    SNAPSHOT_ROW = "snapshot.row"
    SNAPSHOT_AFTER = "snapshot.after"
    RECOVERY_ROWS = "recovery.rows"
    RECOVERY_BEFORE_SEND = "recovery.before_send"
    RECOVERY_AFTER = "recovery.after"
    STOP_BEFORE_POLICIES = "stop.before_policies"
    STOP_BEFORE_CURSOR = "stop.before_cursor"
    STAGE_BEFORE = "stage.before"
    STAGE_AFTER = "stage.after"


MEANING: Final[Mapping[Point, str]] = {
    Point.GROUP_BEFORE_COMMIT: "a group of records is made and not handed to the writer",
    Point.GROUP_AFTER_COMMIT: "a group is on disk, its commands are not sent and nobody has heard of it",
    Point.OUTBOX_BEFORE_PUBLISH: "records are on disk, and no line, log or screen has told of them",
    Point.ANSWERS_BEFORE_COMMIT: "the venue's answers are applied in memory and not on disk",
    Point.SEND_BEFORE: "commands are on disk and none of them is sent",
    Point.SEND_BETWEEN: "a command was handed to the venue, which has not saved it",
    Point.SEND_AFTER: "all commands of a group are sent and the venue has saved them",
    Point.TX_MID: "inside a transaction: records written, events and cursor not",
    Point.TX_BEFORE_COMMIT: "inside a transaction: everything written, not committed",
    Point.TX_AFTER_COMMIT: "a transaction is committed, its caller does not know",
    Point.WRITER_BEFORE: "the writer has taken a call and not begun it",
    Point.WRITER_AFTER: "the writer has done a call and told nobody",
    Point.REQUEST_BEFORE: "an order is about to go to a remote venue",
    Point.REQUEST_AFTER: "a remote venue has answered an order, nobody has heard of it",
    Point.SNAPSHOT_BEFORE: "a snapshot is due, its cursor is committed",
    Point.SNAPSHOT_FILE: "the file of a snapshot is written, the row that makes it count is not",
    Point.SNAPSHOT_ROW: "a snapshot counts, the files it replaces are still there",
    Point.SNAPSHOT_AFTER: "a snapshot is done",
    Point.RECOVERY_ROWS: "some rows of the former run have been judged again",
    Point.RECOVERY_BEFORE_SEND: "all that was committed is met again, what the venue may lack is not sent",
    Point.RECOVERY_AFTER: "what the venue may lack is sent, the session goes on",
    Point.STOP_BEFORE_POLICIES: "a stop begins, no on_stop is carried out",
    Point.STOP_BEFORE_CURSOR: "every on_stop is carried out, the last cursor is not on disk",
    Point.STAGE_BEFORE: "a stage of stopping is about to begin",
    Point.STAGE_AFTER: "a stage of stopping has ended",
}

# Whoever simulates a process watches its points here: a context belongs to one simulated process only.
watcher: Final[ContextVar[Callable[[Point], None] | None]] = ContextVar("watcher", default=None)


def failpoint(point: Point) -> None:
    """Die here if that is what was asked for."""
    watch = watcher.get()
    if watch is not None:
        watch(point)
    elif _trap is not None:
        _trap.reach(point)


class _Trap:
    """Ends this process the n-th time that it gets to a point."""

    def __init__(self, point: Point, nth: int) -> None:
        self._point = point
        self._left = nth
        self._lock = threading.Lock()  # the writer and the loop are two threads

    def reach(self, point: Point) -> None:
        if point is not self._point:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


_trap: _Trap | None = None  # of the process: what it ends is the process


def arm(text: str | None) -> None:
    """Make the process die as `name:n:kill9` says: the n-th time that it gets to a point. Nothing disarms.

    Raises InputInvalid where the text is none of that.
    """
    global _trap
    _trap = _parse(text) if text else None


def _parse(text: str) -> _Trap:
    name, _, rest = text.partition(":")
    count, _, how = rest.partition(":")
    if name not in set(Point):
        near = get_close_matches(name, list(Point), n=1)
        hint = f"did you mean {near[0]}?" if near else f"the points are {', '.join(Point)}"
        raise InputInvalid(f"{VARIABLE}={text}: there is no point {name!r}; {hint}")
    if not (count.isascii() and count.isdigit() and int(count) > 0) or how != "kill9":
        raise InputInvalid(f"{VARIABLE}={text}: write name:n:kill9, such as {name}:1:kill9")
    return _Trap(Point(name), int(count))
