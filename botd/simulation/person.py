"""A person at a bot whose files and daemon are simulated: who saves, closes, cancels, and puts back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from botd.api.views import cancelable
from botd.core.restraint import Cause, TradingCommand, Verb
from botd.errors import StillHeld
from botd.reception import ApiNeeds
from botd.simulation.bots import EDITIONS
from botd.simulation.chance import Chance, Stream
from botd.simulation.checks import newest_session
from botd.simulation.folder import Files
from botd.simulation.host import Process
from botd.simulation.incidents import EDIT, HAND, SAVE, TURN
from botd.store.queries import ScreenReader

NAME: Final = "somebody"


class Person:
    """Does what chance says; `note` is told of it."""

    def __init__(self, chance: Chance, files: Files, state: Path, note: Callable[[str], None]) -> None:
        self._chance = chance
        self._files = files
        self._state = state
        self._note = note
        self._daemon: tuple[Process, ApiNeeds] | None = None

    def meet(self, process: Process, needs: ApiNeeds) -> None:
        """Know how the daemon of a process is asked from now on."""
        self._daemon = process, needs

    def edit(self) -> None:
        """Perhaps change the files while no daemon runs."""
        if draws := self._chance.hit(EDIT.name):
            self._files.turn_to(draws.below(EDITIONS))
        if self._chance.hit(TURN.name):
            self._note(f"{NAME} changes what takes another session")
            self._files.turn()

    async def visit(self) -> None:
        """Perhaps act while the daemon runs."""
        if draws := self._chance.hit(SAVE.name):
            await self._save(draws)
        elif draws := self._chance.hit(HAND.name):
            self._act(draws)

    def puts_back(self, error: BaseException | None) -> bool:
        """Put back what takes another session where positions are in its way; say whether they were."""
        if not isinstance(error, StillHeld):
            return False
        self._note(f"{NAME} puts it back")
        self._files.turn()
        return True

    async def _save(self, draws: Stream) -> None:
        """Save what the daemon is to reload, now and then a half of one file first."""
        self._files.turn_to(draws.below(EDITIONS))
        told = draws.below(4) > 0  # not on every mount
        self._note(f"{NAME} saves files {self._files.edition}, told of: {told}")
        if draws.below(3) == 0:
            self._files.save(told=told, half=draws)
            await asyncio.sleep(draws.span(0.0, 20.0))
        self._files.save(told=told)

    def _act(self, draws: Stream) -> None:
        """Close a position or cancel an entry, as the API is asked to."""
        if self._daemon is None or not self._daemon[0].alive:
            return
        process, needs = self._daemon
        asked = self._draw_close(draws) if draws.below(2) else self._draw_cancel(draws)
        if asked is not None:
            self._note(f"{NAME} asks: {asked.verb} {asked.scope} {asked.strategy}")
            process.call(needs.brake.ask, asked)

    def _draw_close(self, draws: Stream) -> TradingCommand | None:
        with ScreenReader(self._state) as reader:
            held = reader.held(newest_session(self._state).id)
        if not held:
            return None
        one = draws.one_of(held)
        strategy = one.strategy if draws.below(2) else ""
        return _command(Verb.CLOSE, str(one.instrument), strategy)

    def _draw_cancel(self, draws: Stream) -> TradingCommand | None:
        with ScreenReader(self._state) as reader:
            live = [one for one in reader.live_orders(newest_session(self._state).id) if cancelable(one)]
        return _command(Verb.CANCEL, str(draws.one_of(live).client_order_id)) if live else None


def _command(verb: Verb, scope: str, strategy: str = "") -> TradingCommand:
    return TradingCommand(
        verb=verb, cause=Cause.COMMAND, who=NAME, reason="by hand", scope=scope, strategy=strategy
    )
