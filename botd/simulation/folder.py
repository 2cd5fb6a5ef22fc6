"""The files of a simulated bot: people save them, and the daemon that runs sees it, late or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from botd.config.folder import BotFolder
from botd.config.loader import Checked
from botd.config.plan import Plan, hash_files
from botd.errors import ConfigInvalid
from botd.machine import read_plan
from botd.simulation.bots import CONFIG, TURNED, draw_files
from botd.simulation.chance import Stream


class Files:
    """What stands in the folder of a seed's bot; it outlives every process."""

    def __init__(self, seed: int, policy: str | None, state: Path) -> None:
        """`state` is where the bot's database is, whatever its files say."""
        self._seed = seed
        self._policy = policy
        self._state = state
        self._seen: asyncio.Future[None] | None = None
        self.edition = 0
        self._turned = False
        self._seen_editions = {0}
        self.texts: Mapping[str, str] = self.whole()

    def turn_to(self, edition: int) -> None:
        """Have another edition be what is saved from now on."""
        self.edition = edition
        self._seen_editions.add(edition)

    def turn(self) -> None:
        """Change a setting that no running daemon takes up, or change it back; the edition stays."""
        self._turned = not self._turned

    def plans(self) -> list[Plan]:
        """Return the plans of all editions that there have been."""
        texts = [draw_files(self._seed, edition=one, policy=self._policy) for one in self._seen_editions]
        return [self.read(one) for one in texts]

    def whole(self) -> Mapping[str, str]:
        """Return the texts of the edition that is there, or on its way."""
        texts = draw_files(self._seed, edition=self.edition, policy=self._policy)
        if self._turned:
            texts[CONFIG] = texts[CONFIG].replace(*TURNED)
        return texts

    def plan(self) -> Plan:
        """Return the plan of the edition."""
        return self.read(self.whole())

    def read(self, texts: Mapping[str, str]) -> Plan:
        """Return the plan that texts say. Raises ConfigInvalid."""
        return replace(_read(tuple(sorted(texts.items()))), state_path=self._state)

    def save(self, *, told: bool, half: Stream | None = None) -> None:
        """Save the edition; `told` says whether the mount tells who watches.

        With `half` one file ends where that decides.
        """
        texts = self.texts = self.whole()
        if half is not None:
            name = half.one_of(tuple(texts))
            self.texts = {**texts, name: texts[name][: half.below(len(texts[name]))]}
        if told and self._seen is not None and not self._seen.done():
            self._seen.set_result(None)

    async def saved(self) -> None:
        """Return at the next save that is told of."""
        self._seen = asyncio.get_running_loop().create_future()
        await self._seen


class SimulatedFolder(BotFolder):
    """The folder as one process sees it: `BotFolder` with texts in the place of a disk."""

    def __init__(self, path: Path, files: Files) -> None:
        super().__init__(path, ())
        self._files = files

    def fingerprint(self) -> str:
        """Return a hash of all texts."""
        return hash_files(dict(self._files.texts))

    def check(self) -> Checked:
        """Read all texts as one plan."""
        try:
            plan = self._files.read(self._files.texts)
        except ConfigInvalid as error:
            return Checked(
                plan=None, diagnostics=tuple(error.diagnostics), settings_count=0, strategies_count=0
            )
        return Checked(plan=plan, diagnostics=plan.warnings, settings_count=0, strategies_count=0)

    async def watch(self, changed: asyncio.Event) -> None:
        """Set `changed` at every save that is told of, for ever."""
        while True:
            await self._files.saved()
            changed.set()


@lru_cache(maxsize=32)
def _read(texts: tuple[tuple[str, str], ...]) -> Plan:
    return read_plan(dict(texts))
