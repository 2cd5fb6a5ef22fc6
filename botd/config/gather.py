"""All files of a bot, read together: what they say and every fault in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from botd.config.build import build_lifecycle, build_listed, build_paper, default_settings
from botd.config.cross import (
    check_config,
    check_execution,
    check_lifecycle,
    check_risk,
    check_shutdown,
    read_symbol,
)
from botd.config.files import read_text, strategy_files
from botd.config.models import ConfigFile, ExecutionFile, LifecycleFile, RiskFile, ShutdownFile
from botd.config.plan import LifecycleSettings, SignalDefaults
from botd.config.reading import Document, read_model
from botd.config.secrets import find_secret
from botd.config.shape import Shape
from botd.config.strategies import Surroundings, advise_on_old_keys, resolve_strategy
from botd.core.instrument import Instrument
from botd.errors import Diagnostic, InputInvalid, Severity
from botd.language.document import MapNode, ScalarNode, Source, read_document
from botd.language.strategy import read_strategy
from botd.language.typed import Strategy

S = TypeVar("S", bound=Shape)

INCLUDED = {
    "strategies": "strategies",
    "risk": "configs/risk.yaml",
    "lifecycle": "configs/lifecycle.yaml",
    "execution": "configs/execution.yaml",
    "shutdown": "configs/shutdown.yaml",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BotFiles:
    """config.yaml and configs/*.yaml, without an error in any of them."""

    config: ConfigFile
    risk: RiskFile
    lifecycle: LifecycleFile
    execution: ExecutionFile
    shutdown: ShutdownFile
    instruments: tuple[Instrument, ...]


@dataclass(slots=True)
class Gathering:
    """Reads files one after the other and keeps their texts and their faults."""

    root: Path
    texts: dict[str, str] = field(default_factory=dict)  # name within the bot -> text
    kept: bool = False  # the files are those that a state file has already: what is in them is there
    found: list[Diagnostic] = field(default_factory=list)
    strategies: list[Strategy] = field(default_factory=list)
    config_document: Document | None = None
    settings_count: int = 0
    strategies_count: int = 0

    @property
    def refused(self) -> bool:
        """Say whether anything found is an error."""
        return any(d.severity is Severity.ERROR for d in self.found)

    # ---- config.yaml and configs/*.yaml ---------------------------------------------------------

    def read_settings(self, file: Path) -> BotFiles | None:
        """Read config.yaml and the files it includes; None when any of them has an error."""
        config, self.config_document = self.read_file(ConfigFile, file, file.name, check_config)
        risk, _ = self._read_included(RiskFile, "risk", check_risk)
        lifecycle, _ = self._read_included(LifecycleFile, "lifecycle", check_lifecycle)
        execution, _ = self._read_included(ExecutionFile, "execution", check_execution)
        shutdown, _ = self._read_included(ShutdownFile, "shutdown", check_shutdown)
        if config is None or risk is None or lifecycle is None or execution is None or shutdown is None:
            return None
        instruments = self._list_instruments(config, risk, execution)
        if self.refused:
            return None
        return BotFiles(
            config=config,
            risk=risk,
            lifecycle=lifecycle,
            execution=execution,
            shutdown=shutdown,
            instruments=instruments,
        )

    def read_file(
        self,
        shape: type[S],
        file: Path,
        name: str,
        cross_check: Callable[[Document, S], Iterator[Diagnostic]],
    ) -> tuple[S | None, Document | None]:
        """Read one file of settings; the model is None when the file has an error in its shape."""
        self.settings_count += 1
        text = read_text(file, str(file))
        if isinstance(text, Diagnostic):
            self.found.append(self._blame_include(name, text))
            return None, None
        if (secret := find_secret(text, str(file))) is not None and not self.kept:
            self.found.append(secret)
            return None, None
        self.texts[name] = text
        read = read_model(shape, text, str(file))
        self.found += read.diagnostics
        if read.model is not None and read.document is not None:
            self.found += cross_check(read.document, read.model)
        return read.model, read.document

    def _read_included(
        self, shape: type[S], key: str, cross_check: Callable[[Document, S], Iterator[Diagnostic]]
    ) -> tuple[S | None, Document | None]:
        name = self._included(key)
        return self.read_file(shape, self.root / name, name, cross_check)

    def _included(self, key: str) -> str:
        """Return the name that config.yaml gives a file, also where config.yaml has other faults."""
        if self.config_document is not None and isinstance(self.config_document.root, MapNode):
            includes = self.config_document.root.get("includes")
            node = includes.get(key) if isinstance(includes, MapNode) else None
            if isinstance(node, ScalarNode) and node.text:
                return node.text
        return INCLUDED[key]

    def _blame_include(self, name: str, fault: Diagnostic) -> Diagnostic:
        """Point a file that cannot be read at the line of config.yaml that names it."""
        if self.config_document is None:
            return fault
        for key in INCLUDED:
            if self._included(key) == name:
                return self.config_document.at(("includes", key), f"{fault.file}: {fault.message}")
        return fault

    def _list_instruments(
        self, config: ConfigFile, risk: RiskFile, execution: ExecutionFile
    ) -> tuple[Instrument, ...]:
        document = self.config_document
        if document is None:
            return ()
        paper, leverage_max = build_paper(execution.paper), risk.limits.leverage_max
        listed: list[Instrument] = []
        for name, shape in config.instruments.items():
            symbol, _ = read_symbol(document, name)
            if symbol is None:
                continue
            instrument = build_listed(symbol, shape, paper)
            if instrument.leverage > leverage_max:
                self.found.append(
                    document.at(
                        ("instruments", name, "leverage"),
                        f"leverage {instrument.leverage} is over leverage_max {leverage_max} of "
                        f"{self._included('risk')}: every entry would be denied; change one of them",
                    )
                )
            listed.append(instrument)
        return tuple(listed)

    # ---- strategies -----------------------------------------------------------------------------

    def read_strategies_folder(self, around: Surroundings) -> None:
        """Read the strategies folder that config.yaml includes."""
        name = self._included("strategies")
        folder = self.root / name
        try:
            if not folder.is_dir():
                fault = "is a file; name the folder" if folder.exists() else "no such folder"
                self._blame_folder(folder, fault)
            elif not self.read_strategies_in(folder, name, around):
                self._blame_folder(folder, "has no strategies; put at least one .yaml file there")
        except InputInvalid as error:
            self._blame_folder(folder, str(error).removeprefix(f"{folder}: "))
        except PermissionError:  # a folder around it is closed
            self._blame_folder(folder, "this user may not read it; change its permissions")

    def read_strategies_in(self, folder: Path, name: str, around: Surroundings) -> int:
        """Read every strategy file of a folder and return how many there are.

        Raises InputInvalid when the folder cannot be listed.
        """
        files, lookalikes = strategy_files(folder)
        for path, message in lookalikes:
            self.found.append(
                Diagnostic(file=str(path), line=0, column=0, message=message, severity=Severity.WARNING)
            )
        for path in files:
            self.read_strategy_file(path, f"{name.rstrip('/')}/{path.name}", around)
        return len(files)

    def read_strategy_file(self, file: Path, name: str, around: Surroundings) -> None:
        """Read one strategy file and check it against its surroundings and the strategies before it."""
        self.strategies_count += 1
        text = read_text(file, str(file))
        if isinstance(text, Diagnostic):
            self.found.append(text)
            return
        if (secret := find_secret(text, str(file))) is not None and not self.kept:
            self.found.append(secret)
            return
        self.texts[name] = text
        strategy, diagnostics = read_strategy(text, str(file))
        root, _ = read_document(text, str(file))
        if root is None:
            self.found += diagnostics
            return
        document = Document(Source(str(file), text), root)
        self.found += advise_on_old_keys(document, diagnostics)
        if strategy is None:
            return
        strategy, faults = resolve_strategy(document, strategy, around)
        self.found += faults
        before = next((s for s in self.strategies if s.id == strategy.id), None)
        if before is not None:
            message = f"strategy '{strategy.id}' is already in {before.file}; give one of them another id"
            self.found.append(document.at(("strategy",), message))
        self.strategies.append(strategy)

    def _blame_folder(self, folder: Path, message: str) -> None:
        if self.config_document is not None:
            self.found.append(self.config_document.at(("includes", "strategies"), f"{folder}: {message}"))
        else:
            self.found.append(Diagnostic(file=str(folder), line=0, column=0, message=message))


def surroundings(files: BotFiles | None) -> Surroundings:
    """Return what strategies are checked against; without settings, their instruments are not."""
    if files is None:
        return Surroundings(
            listed=None,
            universes={},
            equity={},
            position_max=default_settings().limits.position_max,
            defaults=SignalDefaults(),
            lifecycle=LifecycleSettings(),
        )
    return Surroundings(
        listed={instrument.id: instrument for instrument in files.instruments},
        universes=files.config.universes,
        equity=files.config.account.equity,
        position_max=files.risk.limits.position_max,
        defaults=SignalDefaults(cooldown_us=files.risk.signal.cooldown, kelly_cap=files.risk.kelly.cap),
        lifecycle=build_lifecycle(files.lifecycle),
    )
