"""Hot reload: the files as they are now, checked whole, warmed beside the running plan, and swapped in.

A reload is a transaction. Whatever is wrong with it leaves the old plan trading, and is said with file, line
and column. What it changes is on disk, with the state that goes on from there, before the next row is judged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Final, Protocol

from botd.app import build_bot, read_pins
from botd.config.changes import changed_files, needs_restart
from botd.config.folder import POLL_S, BotFolder
from botd.config.plan import Plan
from botd.core.bot import Bot
from botd.core.pins import Pin
from botd.core.records import Record
from botd.core.reload import ReloadOutcome
from botd.core.swap import busy, pins_due
from botd.errors import BotdError, ConfigInvalid, Diagnostic, InputInvalid, InvariantBroken, Severity
from botd.ports import Clock, Cursor
from botd.runtime.live import LiveDriver
from botd.sessions import Session
from botd.warming import Place, catch_up, look, warm

PIN_LOOK_S: Final = 1.0  # how often it is asked whether a pinned position is closed
TRIES_MAX: Final = 5  # to warm a plan while rows run away from it


class Keeper(Protocol):
    """Writes what comes of reloads; the journal in its own thread."""

    async def swapped(
        self,
        outcome: ReloadOutcome,
        plan: Plan,
        records: Sequence[Record],
        cursor: Cursor,
        state: dict[str, Any],
    ) -> None: ...

    async def note(self, outcome: ReloadOutcome) -> None: ...


log = logging.getLogger(__name__)


class Reloader:
    """Brings the running plan to what the files say: when they change, when asked, when a pin is over."""

    def __init__(
        self,
        plan: Plan,
        folder: BotFolder,
        session: Session,
        driver: LiveDriver,
        *,
        fit: Callable[[Plan], Plan],
        read_plan: Callable[[Mapping[str, str]], Plan],
        keeper: Keeper,
        applied: Callable[[Plan], None],
        tell: Callable[[ReloadOutcome], None],
        clock: Clock,
    ) -> None:
        """`fit` leaves out what the feed cannot be traded with and `keeper` commits. `applied` hears of the
        plan that trades from then on, `tell` of every outcome.
        """
        self.plan = plan
        self._folder = folder
        self._session = session
        self._driver = driver
        self._fit = fit
        self._read_plan = read_plan
        self._keeper = keeper
        self._applied = applied
        self._tell = tell
        self._clock = clock
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

    # ---- running --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Watch and reload for ever."""
        self._over = False
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
        if self.plan.config_hash != (await self._settled_hash()):
            self._seen = ""  # changed since the start read them
        waited_s = POLL_S
        while True:
            asked, self._asked = self._asked, []
            now = await asyncio.to_thread(self._folder.fingerprint)
            if asked or now != self._seen:
                await self._attempt(asked)
            elif self._session.loop.bot.pins:
                await self._unpin()
            waited_s = PIN_LOOK_S if self._session.loop.bot.pins else POLL_S
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
            cold = needs_restart(self.plan, plan)
            if cold:
                raise ConfigInvalid(cold)
            if plan.config_hash == self.plan.config_hash:
                return await self._note(self._outcome(who, tried, ok=True))
            return self._told(await self._swap(plan, who, changed_files(self.plan, plan)))
        except ConfigInvalid as error:
            return await self._refuse(who, tried, error.diagnostics)
        except BotdError as error:
            if isinstance(error, InvariantBroken):
                log.error("a reload was refused by a check of its own", exc_info=True)
            fault = Diagnostic(file=str(self._folder.path), line=0, column=0, message=str(error))
            return await self._refuse(who, tried, (fault,))

    async def _unpin(self) -> None:
        """Give those whose pinned position is closed the files as they are."""
        bot = self._session.loop.bot
        over = [pin for pin in bot.pins if (pin.strategy, pin.instrument) not in busy(bot)]
        if over:
            lines = tuple(f"{pin.strategy} on {pin.instrument} is flat and follows its file" for pin in over)
            self._told(await self._swap(self.plan, "botd", lines))

    async def _swap(self, plan: Plan, who: str, changes: tuple[str, ...]) -> ReloadOutcome:
        """Warm a plan, and swap it in between two chunks. Raises BotdError where that cannot be."""
        feed, driver, loop = self._session.feed, self._driver, self._session.loop

        async def due() -> tuple[Pin, ...]:
            return tuple(pins_due(loop.bot, plan.strategies))

        for _ in range(TRIES_MAX):
            pins = await driver.between_chunks(due)
            bot = await asyncio.to_thread(self._make, plan, pins)

            async def note(bot: Bot = bot) -> Place:
                return look(loop.bot, bot, loop.ts_us, loop.judged_feed_position)

            place = await driver.between_chunks(note)
            if place.rings:
                await asyncio.to_thread(warm, bot, plan, feed, place)

            async def swap(bot: Bot = bot, pins: tuple[Pin, ...] = pins) -> ReloadOutcome | None:
                if await due() != pins or not catch_up(bot, loop.bot):
                    return None
                return await self._carry_out(bot, plan, who, changes)

            outcome = await driver.between_chunks(swap)
            if outcome is not None:
                return outcome
        raise InputInvalid("the new plan was not warm as fast as rows came; save again to try again")

    def _make(self, plan: Plan, pins: tuple[Pin, ...]) -> Bot:
        session = self._session
        return build_bot(
            plan,
            session.feed,
            session_id=session.id,
            pins=pins,
            revisions=read_pins(plan, pins, self._read_plan) if pins else (),
            one_way=session.gateway is not None and session.gateway.link.rules.one_way,
            rows=session.loop.bot.block_max,
        )

    async def _carry_out(self, bot: Bot, plan: Plan, who: str, changes: tuple[str, ...]) -> ReloadOutcome:
        outcome = replace(
            self._outcome(who, plan.config_hash, ok=True, changes=changes),
            running_hash=plan.config_hash,
            position=self._session.loop.position,
        )

        async def save(records: Sequence[Record], cursor: Cursor, state: dict[str, Any]) -> None:
            await self._keeper.swapped(outcome, plan, records, cursor, state)

        await self._driver.reload(bot, save)
        self.plan = plan
        self._applied(plan)
        return outcome

    # ---- outcomes -------------------------------------------------------------------------------

    def _outcome(
        self,
        who: str,
        tried: str,
        *,
        ok: bool,
        changes: tuple[str, ...] = (),
        errors: tuple[Diagnostic, ...] = (),
    ) -> ReloadOutcome:
        return ReloadOutcome(
            ts_us=self._clock.now_us(),
            who=who,
            ok=ok,
            config_hash=tried,
            running_hash=self.plan.config_hash,
            session_id=self._session.id,
            position=-1,
            changes=changes,
            errors=errors,
        )

    async def _refuse(self, who: str, tried: str, errors: Sequence[Diagnostic]) -> ReloadOutcome:
        return await self._note(self._outcome(who, tried, ok=False, errors=tuple(errors)))

    async def _note(self, outcome: ReloadOutcome) -> ReloadOutcome:
        """Keep what came of a reload that swapped nothing."""
        await self._keeper.note(outcome)
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
