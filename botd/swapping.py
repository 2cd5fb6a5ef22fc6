"""A plan swapped in for the running one: made and warmed beside it, carried out between two chunks.

What a swap changes is on disk, with the state that goes on from there, before the next row is judged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from botd.app import build_bot, read_pins
from botd.config.changes import changed_files
from botd.config.plan import Plan
from botd.core.bot import Bot
from botd.core.pins import Pin
from botd.core.records import Record
from botd.core.reload import ReloadOutcome
from botd.core.swap import busy, pins_due
from botd.errors import Diagnostic, InputInvalid
from botd.ports import Clock, Cursor
from botd.runtime.live import LiveDriver
from botd.session_writer import SessionWriter
from botd.sessions import Session
from botd.warming import Place, catch_up, look, warm

TRIES_MAX: Final = 5  # to warm a plan while rows run away from it

Visit = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Awaitable[Any]]  # does it where no row is judged


class Swapper:
    """Knows the plan that a session trades by, and brings it to another one."""

    def __init__(
        self,
        session: Session,
        driver: LiveDriver,
        writer: SessionWriter,
        *,
        read_plan: Callable[[Mapping[str, str]], Plan],
        applied: Callable[[Plan], None],
        clock: Clock,
    ) -> None:
        """`applied` hears of the plan that trades from then on."""
        self.plan = session.plan
        self.swapped_us: int | None = None  # when; None where the process began with it
        self.begun = asyncio.Event()  # the session trades by the files of this start
        self._session = session
        self._driver = driver
        self._read_plan = read_plan
        self._writer = writer
        self._applied = applied
        self._clock = clock

    async def begin_with(self, plan: Plan) -> ReloadOutcome:
        """Swap a plan in before the driver runs: nothing new is judged by the old one."""
        return await self._swap(plan, "start", changed_files(self.plan, plan), self._driver.before_rows)

    async def swap(self, plan: Plan, who: str) -> ReloadOutcome:
        """Swap a plan in while the driver runs. Raises BotdError, and changes nothing, where it cannot."""
        return await self._swap(plan, who, changed_files(self.plan, plan), self._driver.between_chunks)

    @property
    def pinned(self) -> bool:
        """Say whether somebody goes on by an older text."""
        return bool(self._session.loop.bot.pins)

    async def unpin(self) -> ReloadOutcome | None:
        """Give those whose pinned position is closed the files as they are, if there are any."""
        bot = self._session.loop.bot
        over = [pin for pin in bot.pins if (pin.strategy, pin.instrument) not in busy(bot)]
        if not over:
            return None
        lines = tuple(f"{pin.strategy} on {pin.instrument} is flat and follows its file" for pin in over)
        return await self._swap(self.plan, "botd", lines, self._driver.between_chunks)

    async def _swap(self, plan: Plan, who: str, changes: tuple[str, ...], visit: Visit) -> ReloadOutcome:
        feed, loop = self._session.feed, self._session.loop

        async def due() -> tuple[Pin, ...]:
            return tuple(pins_due(loop.bot, plan.strategies))

        for _ in range(TRIES_MAX):
            pins = await visit(due)
            bot = await asyncio.to_thread(self._make, plan, pins)

            async def note(bot: Bot = bot) -> Place:
                return look(loop.bot, bot, loop.ts_us, loop.judged_feed_position)

            place = await visit(note)
            if place.rings:
                await asyncio.to_thread(warm, bot, plan, feed, place)

            async def swap(bot: Bot = bot, pins: tuple[Pin, ...] = pins) -> ReloadOutcome | None:
                if await due() != pins or not catch_up(bot, loop.bot):
                    return None
                return await self._carry_out(bot, plan, who, changes)

            outcome: ReloadOutcome | None = await visit(swap)
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
            self.outcome(who, plan.config_hash, changes=changes),
            running_hash=plan.config_hash,
            position=self._session.loop.position,
        )

        async def save(records: Sequence[Record], cursor: Cursor, state: dict[str, Any]) -> None:
            await self._writer.swapped(outcome, plan, records, cursor, state)

        await self._driver.reload(bot, save)
        if plan is not self.plan:  # else somebody only follows it now too
            self.plan, self.swapped_us = plan, outcome.ts_us
        self._applied(plan)
        return outcome

    def outcome(
        self, who: str, tried: str, *, changes: tuple[str, ...] = (), errors: tuple[Diagnostic, ...] = ()
    ) -> ReloadOutcome:
        """Return what came of an attempt that swapped nothing."""
        return ReloadOutcome(
            ts_us=self._clock.now_us(),
            who=who,
            ok=not errors,
            config_hash=tried,
            running_hash=self.plan.config_hash,
            session_id=self._session.id,
            position=-1,
            changes=changes,
            errors=errors,
        )
