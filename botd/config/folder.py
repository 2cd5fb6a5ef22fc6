"""The files of a bot as they stand on disk: when they have changed, and when a change is whole."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from watchfiles import Change, awatch

from botd.config.files import read_text
from botd.config.loader import CONFIG_NAME, Checked, check_bot
from botd.config.plan import hash_files
from botd.errors import Diagnostic, InputInvalid

SETTLED_S: Final = 0.3  # two reads so far apart have to be equal
POLL_S: Final = 10.0  # some mounts tell of nothing


class BotFolder:
    """Reads a bot's files; knows which belong to it."""

    def __init__(self, path: Path, names: Iterable[str]) -> None:
        """`path` is config.yaml or its folder, `names` the files known so far, within the bot."""
        self.path = path
        self.root = (path if path.is_dir() else path.parent).absolute()
        self._config = CONFIG_NAME if path.is_dir() else path.name
        self._names = set(names)

    def fingerprint(self) -> str:
        """Return a hash of the names and texts of all files that belong to the bot, or may."""
        texts: dict[str, str] = {}
        for name in {self._config, *self._names, *self._listed()}:
            text = read_text(self.root / name, name)
            texts[name] = text if isinstance(text, str) else text.message
        return hash_files(texts)

    def folders(self) -> set[Path]:
        """Return the folders that hold the files."""
        names = {self._config, *self._names}
        return {folder for name in names if (folder := (self.root / name).parent).is_dir()}

    def check(self) -> Checked:
        """Read and check everything; remember the names. A config.yaml that is gone is a fault."""
        try:
            checked = check_bot(self.path)
        except InputInvalid as error:
            fault = Diagnostic(file=str(self.path), line=0, column=0, message=str(error))
            return Checked(plan=None, diagnostics=(fault,), settings_count=0, strategies_count=0)
        if checked.plan is not None:
            self._names = set(checked.plan.files)
        return checked

    async def settle(self) -> tuple[str, Checked]:
        """Return the files' fingerprint and what they say, once nobody is writing."""
        before = await asyncio.to_thread(self.fingerprint)
        while True:
            checking = asyncio.to_thread(self.check)  # in the time that has to pass anyway
            checked, _ = await asyncio.gather(checking, asyncio.sleep(SETTLED_S))
            now = await asyncio.to_thread(self.fingerprint)
            if now == before:  # and so it was while they were checked
                return now, checked
            before = now

    async def watch(self, changed: asyncio.Event) -> None:
        """Set `changed` whenever something happens in the folders, for ever."""
        while True:
            folders = self.folders()
            async for _ in awatch(
                *folders,
                watch_filter=_may_matter,
                recursive=False,
                debounce=50,
                step=20,
                ignore_permission_denied=True,
            ):
                changed.set()
                if self.folders() != folders:
                    break

    def _listed(self) -> set[str]:
        """Return the YAML files that stand beside those that are known, editors' own apart."""
        found: set[str] = set()
        for folder in self.folders() - {self.root}:
            with suppress(OSError):
                for file in folder.iterdir():
                    if file.suffix in (".yaml", ".yml") and not file.name.startswith("."):
                        found.add(file.relative_to(self.root).as_posix())
        return found


def _may_matter(_: Change, path: str) -> bool:
    """Say whether it can be one of a bot's files, or the link by which a mounted folder is swapped."""
    name = path.rpartition("/")[2]
    return name.endswith((".yaml", ".yml")) or name.startswith("..")
