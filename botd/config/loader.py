"""From a folder of YAML to a plan. Every fault of every file is found before anything is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from botd.config.build import (
    build_api,
    build_breaker,
    build_feed,
    build_health,
    build_lifecycle,
    build_margin,
    build_orders,
    build_settings,
    default_settings,
)
from botd.config.files import looking_at
from botd.config.frozen import FrozenMapping
from botd.config.gather import BotFiles, Gathering, surroundings
from botd.config.plan import (
    BARS_KEPT_US,
    Job,
    LoggingSettings,
    Plan,
    ShutdownSettings,
    SignalDefaults,
    hash_files,
)
from botd.config.reading import Document
from botd.config.strategies import check_traded
from botd.core.instrument import Instrument
from botd.core.reload import revision_name
from botd.errors import ConfigInvalid, Diagnostic, InputInvalid, InvariantBroken, Severity
from botd.language.checks import clauses_unfit_for_bars
from botd.language.document import Source, read_document
from botd.language.typed import Strategy

CONFIG_NAME = "config.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What reading found: everything there is to say, and a plan of a bot without errors."""

    plan: Plan | None
    diagnostics: tuple[Diagnostic, ...]
    settings_count: int  # files of settings read
    strategies_count: int  # strategy files read

    @property
    def ok(self) -> bool:
        """Say whether nothing found is an error."""
        return all(d.severity is not Severity.ERROR for d in self.diagnostics)


def load_plan(path: Path, *, kept: bool = False) -> Plan:
    """Load config.yaml, or the folder it is in, with everything it includes.

    Files `kept` with a session are not searched for secrets: a session must stay readable.
    Raises InputInvalid when there is no such file, and ConfigInvalid with every fault of every file.
    """
    return _accepted(check_bot(path, kept=kept))


def load_strategies(paths: Sequence[Path], config: Path | None = None) -> Plan:
    """Load strategy files and folders that are to be run on data files.

    Limits, fees and the account come from `config`, else from a config.yaml beside the strategies, in
    the folder above or in the working folder, else they are the shipped defaults. Which instruments the
    files name is not checked: `on_instruments` gives the strategies those of the data.
    Raises InputInvalid and ConfigInvalid as `load_plan` does.
    """
    return _accepted(check_strategies(paths, config, listed=False))


def check(path: Path) -> tuple[Plan | None, tuple[Diagnostic, ...]]:
    """Return the plan of a config.yaml or its folder, None when it has errors, and what was found."""
    checked = check_bot(path)
    return checked.plan, checked.diagnostics


def check_bot(path: Path, *, kept: bool = False) -> Checked:
    """Check config.yaml, or the folder it is in. Raises InputInvalid when there is no such file."""
    with looking_at(path):
        file = path / CONFIG_NAME if path.is_dir() else path
        there = file.exists()
    if not there:
        raise InputInvalid(f"{file}: no such file; give the path of a {CONFIG_NAME} or of its folder")
    gathering = Gathering(root=file.parent, kept=kept)
    files = gathering.read_settings(file)
    gathering.read_strategies_folder(surroundings(files))
    return _checked(gathering, files)


def check_strategies(paths: Sequence[Path], config: Path | None = None, *, listed: bool = True) -> Checked:
    """Check strategy files and folders of them; with `listed`, against the instruments of config.yaml."""
    if config is None and paths:
        config = find_config(paths[0])
    elif config is not None and config.is_dir():
        config = config / CONFIG_NAME
    if config is not None and not config.exists():
        raise InputInvalid(f"{config}: no such file")
    gathering = Gathering(root=Path() if config is None else config.parent)
    files = None if config is None else gathering.read_settings(config)
    around = surroundings(files)
    if not listed:
        around = replace(around, listed=None)
    for path in paths:
        with looking_at(path):
            there = path.exists()
        if not there:
            raise InputInvalid(f"{path}: no such file or folder")
        if not path.is_dir():
            gathering.read_strategy_file(path, path.as_posix(), around)
        elif not gathering.read_strategies_in(path, path.as_posix(), around):
            raise InputInvalid(f"{path}: has no strategies; put at least one .yaml file there")
    return _checked(gathering, files)


def find_config(beside: Path) -> Path | None:
    """Return the config.yaml beside a path, in the folder above, or in the working folder."""
    folder = beside if beside.is_dir() else beside.parent
    candidates = (folder / CONFIG_NAME, folder.parent / CONFIG_NAME, Path(CONFIG_NAME))
    return next((file for file in candidates if file.is_file()), None)


def on_instruments(plan: Plan, instruments: Sequence[Instrument]) -> Plan:
    """Return the plan with every strategy trading exactly these instruments, as `--data` asks.

    Raises ConfigInvalid when a strategy cannot trade one: short on spot, a size in another currency,
    no balance in the quote currency.
    """
    found = [fault for strategy in plan.strategies for fault in _unfit(strategy, plan, instruments)]
    if found:
        raise ConfigInvalid(found)
    return _placed(plan, plan.strategies, instruments)


def fit_to_data(plan: Plan, instruments: Sequence[Instrument], *, bar_length_us: int | None) -> Plan:
    """Return the plan with the strategies that can trade these data; the others are left out.

    For a bot whose strategies are made for several kinds of data. Each one left out is one warning of
    one line, with the reason. Raises ConfigInvalid when none can trade them.
    """
    fit: list[Strategy] = []
    found: list[Diagnostic] = []
    left_out: list[Diagnostic] = []
    for strategy in plan.strategies:
        faults = _unfit(strategy, plan, instruments)
        if bar_length_us is not None:
            faults += clauses_unfit_for_bars(strategy, bar_length_us)
        found += faults
        if faults:
            left_out.append(_left_out(strategy, faults))
        else:
            fit.append(strategy)
    if not fit:
        raise ConfigInvalid(found)
    return replace(_placed(plan, fit, instruments), warnings=(*plan.warnings, *left_out))


def _left_out(strategy: Strategy, faults: Sequence[Diagnostic]) -> Diagnostic:
    """Say in one line why a strategy is left out: its first fault, and how many more there are."""
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    message = f"{strategy.id} is left out on these data: {faults[0].message}{more}"
    return replace(faults[0], severity=Severity.WARNING, message=message, excerpt="")


def _unfit(strategy: Strategy, plan: Plan, instruments: Sequence[Instrument]) -> list[Diagnostic]:
    root, _ = read_document(strategy.text, strategy.file)
    if root is None:
        raise InvariantBroken(f"{strategy.file}: a strategy of the plan cannot be read again")
    document = Document(Source(strategy.file, strategy.text), root)
    return check_traded(document, strategy, list(instruments), plan.settings.equity)


def _placed(plan: Plan, strategies: Sequence[Strategy], instruments: Sequence[Instrument]) -> Plan:
    names = tuple(instrument.id for instrument in instruments)
    placed = tuple(replace(strategy, instruments=names) for strategy in strategies)
    return replace(plan, instruments=tuple(instruments), strategies=placed)


def _accepted(checked: Checked) -> Plan:
    if checked.plan is None:
        raise ConfigInvalid([d for d in checked.diagnostics if d.severity is Severity.ERROR])
    return checked.plan


def _checked(gathering: Gathering, files: BotFiles | None) -> Checked:
    plan = None
    if not gathering.refused:
        plan = _default_plan(gathering) if files is None else _plan(gathering, files)
    return Checked(
        plan=plan,
        diagnostics=tuple(gathering.found),
        settings_count=gathering.settings_count,
        strategies_count=gathering.strategies_count,
    )


def _plan(gathering: Gathering, files: BotFiles) -> Plan:
    config, shutdown = files.config, files.shutdown.shutdown
    budget, config_hash = config.session.budget, hash_files(gathering.texts)
    settings = build_settings(config, files.risk, files.execution)
    return Plan(
        mode=config.mode.value,
        account=config.account.name,
        budget=(budget.amount, budget.currency),
        settings=replace(settings, revision=revision_name(config_hash)),
        instruments=files.instruments,
        strategies=_by_id(gathering),
        feed=build_feed(config.feed, gathering.root.absolute()),
        state_path=(gathering.root / config.state.path).absolute(),
        bars_kept_us=config.data.retention or BARS_KEPT_US,
        schedule=tuple(Job(name=name, cron=cron) for name, cron in config.schedule.items()),
        record=config.record,
        logging=LoggingSettings(level=config.logging.level.value, format=config.logging.format.value),
        api=build_api(config.api),
        margin=build_margin(files.risk),
        breaker=build_breaker(files.risk),
        lifecycle=build_lifecycle(files.lifecycle),
        health=build_health(files.lifecycle),
        orders=build_orders(files.execution),
        shutdown=ShutdownSettings(
            expected_us=shutdown.expected, ceiling_us=shutdown.ceiling, on_stop=shutdown.on_stop
        ),
        defaults=SignalDefaults(cooldown_us=files.risk.signal.cooldown, kelly_cap=files.risk.kelly.cap),
        config_hash=config_hash,
        files=FrozenMapping(gathering.texts),
        warnings=tuple(gathering.found),
    )


def _default_plan(gathering: Gathering) -> Plan:
    """Return the plan of strategies without a config.yaml: the shipped values."""
    config_hash = hash_files(gathering.texts)
    return Plan(
        mode="paper",
        account="paper",
        budget=(Decimal(1000), "USD"),
        settings=replace(default_settings(), revision=revision_name(config_hash)),
        instruments=(),
        strategies=_by_id(gathering),
        state_path=Path("state/botd.sqlite3").absolute(),
        config_hash=config_hash,
        files=FrozenMapping(gathering.texts),
        warnings=tuple(gathering.found),
    )


def _by_id(gathering: Gathering) -> tuple[Strategy, ...]:
    return tuple(sorted(gathering.strategies, key=lambda strategy: strategy.id))
