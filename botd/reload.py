"""Hot reload: the files as they are now, checked whole and swapped in for the running plan.

A reload is a transaction. Whatever is wrong with it leaves the old plan trading, and is said with file, line
and column.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from typing import Final

from botd.config.changes import needs_restart
from botd.config.folder import POLL_S, BotFolder
from botd.config.plan import Plan
from botd.core.reload import ReloadOutcome
from botd.errors import BotdError, ConfigInvalid, Diagnostic, InvariantBroken, Severity
from botd.swapping import Swapper

PIN_LOOK_S: Final = 1.0  # how often it is asked whether a pinned position is closed

log = logging.getLogger(__name__)


class Reloader:
    """Brings the running plan to what the files say: when they change, when asked, when a pin is over."""

    def __init__(
        self,
        folder: BotFolder,
        swapper: Swapper,
        *,
        fit: Callable[[Plan], Plan],
        note: Callable[[ReloadOutcome], Awaitable[None]],
        tell: Callable[[ReloadOutcome], None],
    ) -> None:
        """`fit` leaves out what the feed cannot be traded with; `note` keeps an outcome that swapped nothing,
        `tell` says every one.
        """
        self._folder = folder
        self._swapper = swapper
        self._fit = fit
        self._keep = note
        self._tell = tell
        self._asked: list[tuple[str, Future[ReloadOutcome]]] = []
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._seen = ""  # the fingerprint that was judged last
        self._last: ReloadOutcome | None = None
        self._over = False  # nobody looks at what is asked any more

    # ---- asking ---------------------------------------------------------------------------------

    def request(self, who: str) -> Future[ReloadOutcome]:
        """Ask for a reload, from any thread; what comes of it is the future's."""
        asked: Future[ReloadOutcome] = Future()
        if self._over:
            asked.cancel()
            return asked
        self._asked.append((who, asked))
        self._loop.call_soon_threadsafe(self._changed.set)
        return asked

    def last(self) -> ReloadOutcome | None:
        """Return what came of the last reload of this process, if there was one."""
        return self._last

    def swapped_us(self) -> int | None:
        """Return when the running plan was swapped in; None where the process began with it."""
        return self._swapper.swapped_us

    # ---- running --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Watch and reload for ever."""
        self._over = False
        await self._swapper.begun.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._folder.watch(self._changed), name="watch files")
            try:
                await self._serve()
            finally:
                self._over = True
                for _, asked in self._asked:
                    asked.cancel()

    async def _serve(self) -> None:
        self._seen = await asyncio.to_thread(self._folder.fingerprint)
        if self._swapper.plan.config_hash != (await self._settled_hash()):
            self._seen = ""  # changed since the start read them
        waited_s = POLL_S
        while True:
            asked, self._asked = self._asked, []
            now = await asyncio.to_thread(self._folder.fingerprint)
            if asked or now != self._seen:
                await self._attempt(asked)
            elif self._swapper.pinned:
                await self._unpin()
            waited_s = PIN_LOOK_S if self._swapper.pinned else POLL_S
            try:
                async with asyncio.timeout(waited_s):
                    await self._changed.wait()
            except TimeoutError:
                continue
            self._changed.clear()

    async def _settled_hash(self) -> str:
        _, checked = await self._folder.settle()
        return "" if checked.plan is None else checked.plan.config_hash

    async def _attempt(self, asked: Sequence[tuple[str, Future[ReloadOutcome]]]) -> None:
        who = asked[0][0] if asked else "files"
        try:
            outcome = await self._reload(who)
        except Exception as error:
            for _, future in asked:
                if future.set_running_or_notify_cancel():  # whoever asked may be gone
                    future.set_exception(error)
            raise
        for _, future in asked:
            if future.set_running_or_notify_cancel():
                future.set_result(outcome)

    async def _reload(self, who: str) -> ReloadOutcome:
        """Try once; a reload that cannot be made is an outcome, not an error."""
        tried = ""
        try:
            self._seen, checked = await self._folder.settle()
            if checked.plan is None:
                errors = tuple(d for d in checked.diagnostics if d.severity is Severity.ERROR)
                raise ConfigInvalid(errors)
            plan, tried = self._fit(checked.plan), checked.plan.config_hash
            cold = needs_restart(self._swapper.plan, plan)
            if cold:
                raise ConfigInvalid(cold)
            if plan.config_hash == self._swapper.plan.config_hash:
                return await self._note(self._swapper.outcome(who, tried))
            return self._told(await self._swapper.swap(plan, who))
        except ConfigInvalid as error:
            return await self._refuse(who, tried, error.diagnostics)
        except BotdError as error:
            if isinstance(error, InvariantBroken):
                log.error("a reload was refused by a check of its own", exc_info=True)
            fault = Diagnostic(file=str(self._folder.path), line=0, column=0, message=str(error))
            return await self._refuse(who, tried, (fault,))

    async def _unpin(self) -> None:
        outcome = await self._swapper.unpin()
        if outcome is not None:
            self._told(outcome)

    # ---- outcomes -------------------------------------------------------------------------------

    async def _refuse(self, who: str, tried: str, errors: Sequence[Diagnostic]) -> ReloadOutcome:
        return await self._note(self._swapper.outcome(who, tried, errors=tuple(errors)))

    async def _note(self, outcome: ReloadOutcome) -> ReloadOutcome:
        """Keep what came of a reload that swapped nothing."""
        await self._keep(outcome)
        return self._told(outcome)

    def _told(self, outcome: ReloadOutcome) -> ReloadOutcome:
        self._last = outcome
        self._tell(outcome)
        return outcome


def report(outcome: ReloadOutcome, say: Callable[[str], None]) -> None:
    """Say what came of a reload, on the screen and in the log."""
    fields = {"who": outcome.who, "running": outcome.running_hash[:12], "position": outcome.position}
    if not outcome.ok:
        text = "\n".join(one.render() for one in outcome.errors)
        say(f"reload refused, the old plan trades on:\n{text}")
        log.error("config.rejected", extra={**fields, "errors": text})
    elif outcome.changes:
        say(f"reloaded: {', '.join(outcome.changes)}")
        log.info("config.reloaded", extra={**fields, "changes": list(outcome.changes)})
    else:
        say("reload: nothing has changed")
