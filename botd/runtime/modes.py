"""Position mode, margin mode and leverage: whether the account is set up as botd trades it.

Position mode is what the venue's rules say. Margin mode and leverage are no setting of botd: what was seen
first is right, for as long as the account's books go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from botd.core.events import TermsSeen
from botd.core.instrument import InstrumentId
from botd.core.restraint import ACCOUNT, Cause, TradingCommand, Verb
from botd.ports import VenueError
from botd.runtime.link import Kind, Link
from botd.runtime.tracking import Tell

MODES_S: Final = 300.0
WRONG_S: Final = 10.0  # while something is wrong: whoever resumes all the same is to hear of it soon
FAILED_S: Final = 1.0  # after a failed read

_HEDGE: Final = "the account is in hedge mode, and this bot trades it in one-way mode"
_ONE_WAY: Final = "the account is in one-way mode, and this bot trades it in hedge mode"


class ModeWatch:
    """Reads how the account is set up; what differs halts, and halts again while it stands."""

    def __init__(
        self,
        link: Link,
        tell: Tell,
        ask: Callable[[TradingCommand], None],
        known: Callable[[], Mapping[str, str]],
        instruments: Callable[[], Mapping[InstrumentId, object]],
    ) -> None:
        """`ask` takes trading commands; `known` is what was seen first; `instruments` are those traded."""
        self._link = link
        self._tell = tell
        self._ask = ask
        self._known = known
        self._instruments = instruments
        self._told: dict[str, str] = {}  # seen first by this process; the books may not have heard of it yet
        self.wrong = False

    async def check(self) -> None:
        """Compare once; raises VenueError."""
        modes = await self._link.ask(Kind.READ, self._link.venue.fetch_modes)
        self.wrong = False
        if modes.one_way is not self._link.rules.one_way:
            self._halt(ACCOUNT, _ONE_WAY if modes.one_way else _HEDGE)
        for instrument in sorted(set(modes.terms) & set(self._instruments())):
            terms, name = modes.terms[instrument], str(instrument)
            first = self._known().get(name) or self._told.get(name)
            if first is None:
                self._told[name] = terms
                self._tell(TermsSeen, 0, instrument=instrument, terms=terms)
            elif first != terms:
                self._halt(name, f"{instrument} is at {terms} by now, and was at {first} when botd began")

    def _halt(self, scope: str, text: str) -> None:
        self.wrong = True
        reason = f"{text}; set it back at the venue"
        self._ask(
            TradingCommand(
                verb=Verb.HALT, cause=Cause.MODE_CHANGED, who="gateway", reason=reason, scope=scope
            )
        )

    async def watch(self) -> None:
        """Compare for ever."""
        failed = False
        while True:
            await asyncio.sleep(FAILED_S if failed else WRONG_S if self.wrong else MODES_S)
            try:
                await self.check()
                failed = False
            except VenueError:
                failed = True
