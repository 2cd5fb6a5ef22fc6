"""Requests that are done once: the same Idempotency-Key gets the same answer, over a restart too."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from botd.api.problems import Problem
from botd.api.routes import Clock

log = logging.getLogger(__name__)

KEPT_MAX: Final = 1000
KEPT_US: Final = 86_400_000_000
Given = tuple[int, bytes]  # status and body


@dataclass(slots=True)
class _Kept:
    fingerprint: str
    at_us: int
    answer: asyncio.Future[Given] | Given | None  # None: begun, and nobody knows what came of it


class Answers:
    """What was answered to each key of a day; call it from one event loop."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._load()

    async def once(self, key: str, what: tuple[str, bytes], act: Callable[[], Awaitable[Given]]) -> Given:
        """Do something, or return what it came to when this key asked for it before.

        Raises Problem where the key was for something else, or where nobody knows what came of it. What
        is refused is forgotten: it may be asked for again.
        """
        fingerprint = hashlib.sha256(what[0].encode() + b"\0" + what[1]).hexdigest()
        kept = self._kept.get(key)
        if kept is not None:
            if kept.fingerprint != fingerprint:
                raise Problem(422, "key_reused", "this Idempotency-Key was for another request; take another")
            if kept.answer is None:
                raise Problem(
                    409,
                    "outcome_unknown",
                    "this was begun and broke off: look at positions and orders, then ask with another key",
                )
            if isinstance(kept.answer, asyncio.Future):
                return await asyncio.shield(kept.answer)
            return kept.answer
        self._forget_old()
        answer = asyncio.ensure_future(self._act(key, fingerprint, act))
        self._kept[key] = _Kept(fingerprint, self._clock.now_us(), answer)
        return await asyncio.shield(answer)  # a caller who leaves does not end what was begun

    async def _act(self, key: str, fingerprint: str, act: Callable[[], Awaitable[Given]]) -> Given:
        at_us = self._clock.now_us()
        self._write({"key": key, "print": fingerprint, "at_us": at_us})
        try:
            status, body = await act()
        except Problem:  # it was refused, and nothing done
            self._kept.pop(key, None)
            self._write({"key": key, "forget": True})
            raise
        except BaseException:
            self._kept[key] = _Kept(fingerprint, at_us, None)
            raise
        self._kept[key] = _Kept(fingerprint, at_us, (status, body))
        self._write(
            {"key": key, "print": fingerprint, "at_us": at_us, "status": status, "body": body.decode()}
        )
        return status, body

    def _forget_old(self) -> None:
        since_us = self._clock.now_us() - KEPT_US
        while self._kept:
            key, first = next(iter(self._kept.items()))
            if len(self._kept) < KEPT_MAX and first.at_us >= since_us:
                return
            del self._kept[key]

    # ---- the file -------------------------------------------------------------------------------

    def _load(self) -> None:
        with suppress(OSError):
            for line in self._path.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError, KeyError, TypeError):  # a line that a kill has cut
                    self._take(json.loads(line))
        self._forget_old()
        draft = self._path.with_name(f"{self._path.name}.tmp")
        with suppress(OSError):  # whatever is there stays as it is
            with _open(draft, os.O_TRUNC) as file:
                for key, one in self._kept.items():
                    file.write(json.dumps(_line(key, one)) + "\n")
            draft.replace(self._path)

    def _take(self, line: dict[str, object]) -> None:
        key = str(line["key"])
        self._kept.pop(key, None)
        if "forget" in line:
            return
        status, body = line.get("status"), line.get("body")
        answer = (status, str(body).encode()) if isinstance(status, int) else None
        self._kept[key] = _Kept(str(line["print"]), int(str(line["at_us"])), answer)

    def _write(self, line: dict[str, object]) -> None:
        try:
            with _open(self._path, os.O_APPEND) as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            log.warning("an answer is not kept over a restart", extra={"reason": error.strerror})


def _open(path: Path, how: int) -> TextIO:
    """Open a file to write that only its owner reads."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600), "w", encoding="utf-8")


def _line(key: str, one: _Kept) -> dict[str, object]:
    line: dict[str, object] = {"key": key, "print": one.fingerprint, "at_us": one.at_us}
    if isinstance(one.answer, tuple):
        line |= {"status": one.answer[0], "body": one.answer[1].decode()}
    return line
